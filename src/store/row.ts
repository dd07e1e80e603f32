/**
 * The column `rest` of a run's row: the summary's other fields as JSON. A sealed one is JSON as well, in which the fields
 * that SQL filters and counts by stay legible.
 */
import type { Vault } from "../core/cipher/cipher.ts";
import { HoldfastError } from "../core/error.ts";
import type { StoredError } from "../core/error.ts";
import { defined } from "../core/record.ts";
import type { RunSummary } from "../core/run/run.ts";
import { resealed } from "./reseal.ts";

export type Rest = Omit<RunSummary, "createdAt" | "id" | "workflow" | "status" | "seq" | "labels">;

/** A page of 201 summaries must fit into one answer of 32 MiB, so one summary has this many UTF-16 units. */
const maxRest = 40_000;

/** The key of the row, which a sealed text is bound to. */
export type RowKey = { readonly created_at: number; readonly id: string };

/** The fields that stay legible. */
type Legible = Pick<Rest, "version" | "startedAt" | "updatedAt" | "finishedAt" | "steps" | "usage" | "trace"> & {
  readonly error: { readonly code?: string } | null;
};
type SealedRest = Legible & { readonly sealed: string };

/** Only sealed texts begin like this. */
const mark = '{"sealed":';

/** SQL for the error of a row as JSON, or null; for a sealed row all of its text, for {@link errorOf}. */
export const errorColumn = `CASE WHEN substr(rest, 1, ${mark.length}) = '${mark}' THEN rest
  WHEN json_valid(rest) THEN rest -> '$.error' END AS error`;

/** The rest of the summary, and its text. */
export function restOf(summary: RunSummary): { readonly rest: Rest; readonly text: string } {
  const {
    createdAt: _createdAt,
    id: _id,
    workflow: _workflow,
    status: _status,
    seq: _seq,
    labels: _labels,
    ...rest
  } = summary;
  const text = JSON.stringify(rest satisfies Rest);
  if (text.length <= maxRest) return { rest, text };
  const short = shortened(rest);
  return { rest: short, text: JSON.stringify(short) };
}

/** The summary as the directory lists it. */
export function listed(summary: RunSummary): RunSummary {
  return { ...summary, ...(JSON.parse(restOf(summary).text) as Rest) };
}

/**
 * Whether two texts with the same `seq` make no difference to a reader of the list. Usage is not compared, and a sentence only
 * up to its first number, because these change with every look at the run.
 */
export function saysTheSame(held: string, told: string): boolean {
  return held === told || gist(held) === gist(told);
}

function gist(text: string): string {
  const { usage: _usage, reason, steps: _steps, ...rest } = JSON.parse(text) as Partial<Rest>;
  return JSON.stringify([rest, reason?.replace(/\d.*/s, "")]);
}

/** A rest that fits into a row: the list can do without some fields, which the run itself still has. */
function shortened({ lead, ...all }: Rest): Rest {
  // The sentence counts all waits. If some are left out here, it cannot be made anew, and stays as it was reported.
  const rest: Rest = lead === undefined || all.waitingFor.length > 10 ? all : { ...all, lead };
  const cut = (text: string): string => (text.length > 1000 ? `${text.slice(0, 1000)}…` : text);
  const waitingFor = rest.waitingFor.slice(0, 10);
  const reason = rest.reason === null ? null : cut(rest.reason);
  // Tallies are kept if possible, for the statistics.
  const tallies = JSON.stringify(rest.tallies).length > maxRest / 2 ? {} : rest.tallies;
  if (rest.error === null) return { ...rest, waitingFor, reason, tallies };
  const { name, message, code, step, attempts } = rest.error;
  const error = {
    name: cut(name),
    message: cut(message),
    ...defined({ code, step, attempts }),
  };
  return { ...rest, waitingFor, reason, error, tallies };
}

/** @param text the rest as JSON */
export function sealRest(vault: Vault, text: string, rest: Rest, key: RowKey): string {
  const sealed = vault.seal(text, placeOf(key));
  return sealed === text ? text : wrap(sealed, rest);
}

function wrap(
  sealed: string,
  { version, startedAt, updatedAt, finishedAt, steps, usage, trace, error }: Legible,
): string {
  const code = error?.code === undefined ? {} : { code: error.code };
  const legible = { version, startedAt, updatedAt, finishedAt, steps, usage, trace };
  return JSON.stringify({ sealed, ...legible, error: error === null ? null : code } satisfies SealedRest);
}

/** The text before it was sealed. @throws HoldfastError key_missing, journal_corrupt, journal_newer */
export function openRest(vault: Vault, text: string, key: RowKey): string {
  return text.startsWith(mark) ? vault.open((JSON.parse(text) as SealedRest).sealed, placeOf(key)) : text;
}

/**
 * The rest; if it cannot be opened, the legible fields, with the cause in `reason`. Null where the row is damaged: lists omit
 * it, and the run's next report, or a rebuild, overwrites it.
 */
export function readRest(vault: Vault, text: string, key: RowKey): Rest | null {
  try {
    const rest = parsed(vault, text, key) as Partial<Rest> | null;
    return Array.isArray(rest?.waitingFor) && typeof rest.steps === "object" ? (rest as Rest) : null;
  } catch {
    return null;
  }
}

function parsed(vault: Vault, text: string, key: RowKey): unknown {
  try {
    return JSON.parse(openRest(vault, text, key));
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return closed(JSON.parse(text) as SealedRest, error);
  }
}

function closed({ sealed: _sealed, error, ...legible }: SealedRest, { message }: HoldfastError): Rest {
  return {
    ...legible,
    error: error === null ? null : { name: "Error", message: "", ...error },
    ...{ parent: null, schedule: null, fork: null },
    waitingFor: [],
    reason: `not to be read: ${message}`,
    tallies: {},
  };
}

/** The error in the row of a failed run. @param text as {@link errorColumn} selects it */
export function errorOf(vault: Vault, text: string | null, key: RowKey): StoredError | null {
  if (text?.startsWith(mark) === true) return readRest(vault, text, key)?.error ?? null;
  return text === null ? null : (JSON.parse(text) as StoredError | null);
}

/** The text sealed with the newest key; null where it is that already. @throws HoldfastError as `openRest` */
export function resealRest(vault: Vault, text: string, key: RowKey): string | null {
  if (!text.startsWith(mark)) {
    const plain = vault.newest === null ? text : sealRest(vault, text, JSON.parse(text) as Rest, key);
    return plain === text ? null : plain;
  }
  const { sealed, ...legible } = JSON.parse(text) as SealedRest;
  const anew = resealed(vault, sealed, placeOf(key));
  return anew === null ? null : wrap(anew, legible);
}

function placeOf({ created_at, id }: RowKey): string {
  return `the row of run ${id}, ${created_at}, in the directory`;
}
