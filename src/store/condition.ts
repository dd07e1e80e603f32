/**
 * A filter as SQL over the table `runs`. Names and labels are compared in quoted form, as the JSON text of them, so that
 * SQLite's own parsing of JSON (escapes, zero bytes, dots in keys) does not matter.
 */
import type { Position } from "../core/listing/cursor.ts";
import type { RunFilter } from "../core/service/directory.ts";

/** The text after WHERE, and the values of its parameters. */
export type Condition = { readonly where: string; readonly values: readonly (string | number)[] };

/** The labels, and the quoted code of the error, of a row of `runs`; none where the row is damaged: SQL throws if it is not JSON. */
export const labelsColumn = "iif(json_valid(runs.labels), runs.labels, '[]')";
export const codeColumn = "iif(json_valid(rest), code, NULL)";

export function conditionOf(query: RunFilter, before: Position | null): Condition {
  const bound = upperBound(query.createdBefore, before);
  const clauses = ["(created_at, id) < (?, ?)"];
  const values: (string | number)[] = [bound.createdAt, bound.id];
  const filter = (clause: string, ...given: readonly (string | number)[]): void => {
    clauses.push(clause);
    values.push(...given);
  };
  if (query.createdAfter !== undefined) filter("created_at >= ?", query.createdAfter);
  if (query.workflow !== undefined) filter("workflow = ?", query.workflow);
  if (query.status !== undefined && query.status.length > 0) {
    filter("status IN (SELECT value FROM json_each(?))", JSON.stringify(query.status));
  }
  // The tilde sorts after every character of an id.
  if (query.idPrefix !== undefined) filter("id >= ? AND id < ?", query.idPrefix, `${query.idPrefix}~`);
  if (query.errorCode !== undefined) filter(`${codeColumn} = ?`, JSON.stringify(query.errorCode));
  // The cause itself is compared by cause.ts.
  if (query.cause !== undefined) filter("status = 'failed'");
  const labels = Object.entries(query.labels ?? {});
  if (labels.length > 0) {
    filter(
      `NOT EXISTS (SELECT 1 FROM json_each(?) AS wanted
         WHERE wanted.value NOT IN (SELECT value FROM json_each(${labelsColumn})))`,
      quoted(labels),
    );
  }
  return { where: clauses.join(" AND "), values };
}

/** A JSON list of JSON texts. */
export function quoted(values: readonly unknown[]): string {
  return JSON.stringify(values.map((value) => JSON.stringify(value)));
}

/** The lower of the two exclusive upper bounds. */
function upperBound(createdBefore: number | undefined, before: Position | null): Position {
  const instant = { createdAt: createdBefore ?? Number.MAX_SAFE_INTEGER, id: "" };
  if (before === null) return instant;
  return before.createdAt < instant.createdAt ? before : instant;
}
