/**
 * What a filter by cause leaves of the rows that SQL leaves. The numbers of a message are not for SQL to
 * blank, so each failed row that fits the rest of the filter is read and compared: about a second for
 * 100,000 of them, for a count, and for a page that looks through that many before it is full.
 */
import { causeOf } from "../core/cause.ts";
import type { Position } from "../core/cursor.ts";
import type { Vault } from "../core/cipher.ts";
import type { RunSummary } from "../core/run.ts";
import { errorColumn, errorOf } from "./row.ts";
import type { RowKey } from "./row.ts";

/** The table of runs, and what opens its rows. */
export type Source = { readonly sql: SqlStorage; readonly vault: Vault };

/** Of a failed row, what its cause is told from. */
export type Told = RowKey & { readonly workflow: string; readonly error: string | null };

/** The columns of {@link Told}. */
export const toldColumns = `created_at, id, workflow, ${errorColumn}`;

/** Runs that are held in memory at once, besides those that are found. */
const pageLength = 200;

/** Whether the row is of the cause; of any, where none is asked for. */
export function isOf(vault: Vault, cause: string | undefined, row: Told): boolean {
  return cause === undefined || causeOf({ workflow: row.workflow, error: errorOf(vault, row.error, row) }) === cause;
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
