/**
 * The text of an exported run (`docs/transfer.md`): lines of JSON. The first is the manifest; the last has the number of
 * entries and the SHA-256 of all lines before it; each line between is one entry of the journal.
 */
import { endStatus } from "../history/end.ts";
import { HoldfastError } from "../error.ts";
import type { RunState } from "../state/state.ts";
import { checkName, checkRunId } from "../name.ts";
import { defined, isRecord } from "../record.ts";
import { group } from "../size.ts";

const format = "holdfast.run";
const version = 1;
const maxBytes = 64 * 1024 * 1024;
const statuses = ["completed", "failed", "cancelled", "paused"] as const;

/** The first line. */
export type Manifest = {
  readonly format: typeof format;
  readonly version: typeof version;
  readonly run: string;
  readonly workflow: string;
  readonly workflowVersion: string;
  readonly status: (typeof statuses)[number];
  /** Of its last entry. */
  readonly seq: number;
  /** How many results of sensitive steps were left out; absent for none. */
  readonly omitted?: number;
};

/** @param bytes of the whole text, as far as it is known @throws HoldfastError value_too_large */
export function checkTextLength(bytes: number): void {
  if (bytes > maxBytes)
    throw new HoldfastError("value_too_large", `the text is over ${group(maxBytes)} bytes (64 MiB)`);
}

/** The last line. */
export type Trailer = { readonly entries: number; readonly sha256: string };

/** The refusal of a text for what is wrong with one of its lines; the first is 1. */
export function refuseLine(line: number, why: string): HoldfastError {
  return new HoldfastError("import_invalid", `line ${line}: ${why}`, {
    issues: [{ path: `/${line - 1}`, message: why }],
  });
}

/** @param omitted how many results are left out */
export function manifestOf({ creation, end, seq }: RunState, omitted: number): Manifest {
  const { id: run, workflow, version: workflowVersion } = creation;
  const status = end === null ? "paused" : endStatus(end);
  return { format, version, run, workflow, workflowVersion, status, seq, ...(omitted === 0 ? {} : { omitted }) };
}

/** @throws HoldfastError import_invalid */
export function readManifest(text: string): Manifest {
  const fields = readObject(text, 1);
  const { run, workflow, workflowVersion, status, seq, omitted, ...rest } = fields;
  if (rest["format"] !== format) throw refuseLine(1, `its format is not ${format}`);
  if (rest["version"] !== version)
    throw refuseLine(1, `its version is not ${version}, which is all that is known here`);
  const [more] = Object.keys(rest).filter((name) => name !== "format" && name !== "version");
  if (more !== undefined)
    throw refuseLine(1, `it has a field that is not known here, ${JSON.stringify(more.slice(0, 80))}`);
  const known = statuses.find((each) => each === status);
  if (known === undefined) throw refuseLine(1, `its status is none of ${statuses.join(", ")}`);
  if (typeof workflowVersion !== "string") throw refuseLine(1, "it has no workflowVersion");
  if (!isCount(seq) || seq === 0) throw refuseLine(1, "its seq is no whole number above 0");
  if (omitted !== undefined && !isCount(omitted)) throw refuseLine(1, "its omitted is no whole number");
  return {
    ...{ format, version, run: name(run, checkRunId), workflow: name(workflow, checkWorkflow), workflowVersion },
    ...{ status: known, seq, ...defined({ omitted }) },
  };
}

/** @throws HoldfastError import_invalid */
export function readTrailer(text: string, line: number): Trailer {
  const { entries, sha256, ...rest } = readObject(text, line);
  const isTrailer = isCount(entries) && typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256);
  if (isTrailer && Object.keys(rest).length === 0) return { entries, sha256 };
  throw refuseLine(line, "the text ends without its last line, { entries, sha256 }: a part of it is missing");
}

/** @throws HoldfastError import_invalid */
export function readObject(text: string, line: number): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw refuseLine(line, "it is no JSON");
  }
  if (isRecord(json)) return json;
  throw refuseLine(line, "it is no JSON object");
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function checkWorkflow(value: unknown): string {
  return checkName(value, "workflow");
}

function name(value: unknown, check: (value: unknown) => string): string {
  try {
    return check(value);
  } catch (error) {
    throw error instanceof HoldfastError ? refuseLine(1, error.message) : error;
  }
}
