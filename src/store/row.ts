/**
 * What the row of a run holds beside its columns, as text: JSON; where it is sealed, JSON all the same, with as
 * much of it legible as filters and counts ask SQL for.
 */
import type { Vault } from "../core/cipher.ts";
import { HoldfastError } from "../core/error.ts";
import type { StoredError } from "../core/error.ts";
import { defined } from "../core/record.ts";
import type { RunSummary } from "../core/run.ts";
import { resealed } from "./reseal.ts";

export type Rest = Omit<RunSummary, "createdAt" | "id" | "workflow" | "status" | "seq" | "labels">;

/** A page of 201 summaries must fit into one answer of 32 MiB, so one summary has this many UTF-16 units. */
const maxRest = 40_000;

/** Where the row is: what its text is bound to. */
export type RowKey = { readonly created_at: number; readonly id: string };

/** What of the rest stays legible. */
type Legible = Pick<Rest, "version" | "startedAt" | "updatedAt" | "finishedAt" | "steps" | "usage" | "trace"> & {
  readonly error: { readonly code?: string } | null;
};
type SealedRest = Legible & { readonly sealed: string };

/** No other text begins so. */
const mark = '{"sealed":';

/** Of a row of `runs`: its error as JSON, or null; of a sealed one all of the text, for {@link errorOf}. */
export const errorColumn = `CASE WHEN substr(rest, 1, ${mark.length}) = '${mark}' THEN rest
  WHEN json_valid(rest) THEN rest -> '$.error' END AS error`;

/** What its row holds beside the columns, and as text. */
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

/** The summary as the list has it. */
export function listed(summary: RunSummary): RunSummary {
  return { ...summary, ...(JSON.parse(restOf(summary).text) as Rest) };
}

/**
 * Of two states of a run without an entry between them: whether a reader of the list would see no difference.
 * What a run has used so far grows with every look at it, and a sentence counts time down.
 */
export function saysTheSame(held: string, told: string): boolean {
  return held === told || gist(held) === gist(told);
}

function gist(text: string): string {
  const { usage: _usage, reason, steps: _steps, ...rest } = JSON.parse(text) as Partial<Rest>;
  return JSON.stringify([rest, reason?.replace(/\d.*/s, "")]);
}

/** What a list can do without; the run itself still has all of it. */
function shortened({ lead, ...all }: Rest): Rest {
  // The sentence also counts the waits that are left out here, so then it stays as it was told.
  const rest: Rest = lead === undefined || all.waitingFor.length > 10 ? all : { ...all, lead };
  const cut = (text: string): string => (text.length > 1000 ? `${text.slice(0, 1000)}…` : text);
  const waitingFor = rest.waitingFor.slice(0, 10);
  const reason = rest.reason === null ? null : cut(rest.reason);
  // Of a run that failed with much to say, how its steps went still counts.
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

/** The text as it was before it was sealed. @throws HoldfastError key_missing, journal_corrupt, journal_newer */
export function openRest(vault: Vault, text: string, key: RowKey): string {
  return text.startsWith(mark) ? vault.open((JSON.parse(text) as SealedRest).sealed, placeOf(key)) : text;
}

/**
 * The rest; of one that cannot be opened what is legible, and why there is no more in `reason`. Null where the
 * row is damaged: a list leaves it out, and the run's next report, or a rebuild, writes it anew.
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

/** What the row of a failed run says as its error. @param text as {@link errorColumn} selects it */
export function errorOf(vault: Vault, text: string | null, key: RowKey): StoredError | null {
  if (text?.startsWith(mark) === true) return readRest(vault, text, key)?.error ?? null;
  return text === null ? null : (JSON.parse(text) as StoredError | null);
}

/** The text with what is sealed in it sealed with the newest key; null where it is. @throws HoldfastError as `openRest` */
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
