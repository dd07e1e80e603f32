/**
 * What a filter by cause leaves of the rows that SQL leaves. The numbers of a message are not for SQL to
 * blank, so each failed row that fits the rest of the filter is read and compared: about a second for
 * 100,000 of them, for a count, and for a page that looks through that many before it is full.
 */
import { causeOf } from "../core/cause.ts";
import type { Position } from "../core/cursor.ts";
import type { StoredError } from "../core/error.ts";
import type { RunSummary } from "../core/run.ts";

/** Of a failed row, what its cause is told from. */
export type Told = { readonly workflow: string; readonly error: string | null };

/** Runs that are held in memory at once, besides those that are found. */
const pageLength = 200;

/** What the row of a failed run says as its error. */
export function errorOf(error: string | null): StoredError | null {
  return error === null ? null : (JSON.parse(error) as StoredError | null);
}

/** Whether the row is of the cause; of any, where none is asked for. */
export function isOf(cause: string | undefined, { workflow, error }: Told): boolean {
  return cause === undefined || causeOf({ workflow, error: errorOf(error) }) === cause;
}

/** @param read failed runs, newest first, strictly after the position */
export function listOf(
  cause: string,
  limit: number,
  before: Position | null,
  read: (limit: number, before: Position | null) => RunSummary[],
): RunSummary[] {
  const found: RunSummary[] = [];
  for (let at = before; found.length < limit;) {
    const page = read(pageLength, at);
    found.push(...page.filter((run) => causeOf(run) === cause));
    const last = page.at(-1);
    if (last === undefined || page.length < pageLength) break;
    at = last;
  }
  return found.slice(0, limit);
}
