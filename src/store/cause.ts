/**
 * Filters by cause. SQL cannot make the outline of a message, so every failed row that matches the rest of the filter is read
 * and compared: about a second for 100,000 rows, for a count, or for a page that has to read that many until it is full.
 */
import { causeOf } from "../core/listing/cause.ts";
import type { Position } from "../core/listing/cursor.ts";
import type { Vault } from "../core/cipher/cipher.ts";
import type { RunSummary } from "../core/run/run.ts";
import { errorColumn, errorOf } from "./row.ts";
import type { RowKey } from "./row.ts";

/** The table of runs, and the vault that opens its rows. */
export type Source = { readonly sql: SqlStorage; readonly vault: Vault };

/** The columns of a failed row that its cause is made of. */
export type CauseRow = RowKey & { readonly workflow: string; readonly error: string | null };

/** The columns of {@link CauseRow}. */
export const causeColumns = `created_at, id, workflow, ${errorColumn}`;

/** How many rows are in memory at once, besides those that match. */
const pageLength = 200;

/** Whether the row has the cause; always true where none is asked for. */
export function isOf(vault: Vault, cause: string | undefined, row: CauseRow): boolean {
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
