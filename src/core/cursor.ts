/**
 * Where a listing goes on: the last run of a page, as text that means nothing to its bearer. It is
 * bound to the filter it was made under, because a page of one filter is no place in another.
 */
import { fromBase64Url, toBase64Url } from "./bytes.ts";
import { HoldfastError } from "./error.ts";
import type { RunQuery } from "./directory.ts";
import { fnv1a } from "./hash.ts";
import { sortedEntries } from "./record.ts";

/** A run's place in the listing: newest first, equal instants by id, descending. */
export type Position = { readonly createdAt: number; readonly id: string };

type Filter = Omit<RunQuery, "cursor" | "limit">;

/** The cursor after `position`; letters, digits, `-` and `_` only. */
export function toCursor(position: Position, filter: Filter): string {
  const text = [position.createdAt.toString(36), fingerprint(filter), position.id].join(" ");
  return toBase64Url(new TextEncoder().encode(text));
}

/** @throws HoldfastError cursor_invalid: not a cursor, or one of another filter. */
export function fromCursor(cursor: string, filter: Filter): Position {
  const text = new TextDecoder().decode(fromBase64Url(cursor) ?? undefined);
  const [created = "", print, id = "", ...more] = text.split(" ");
  const position = { createdAt: Number.parseInt(created, 36), id };
  const whole = more.length === 0 && id !== "" && Number.isSafeInteger(position.createdAt);
  if (!whole) throw new HoldfastError("cursor_invalid", "the cursor is not one that a listing gave out");
  if (print !== fingerprint(filter)) {
    throw new HoldfastError("cursor_invalid", "the cursor belongs to a listing with another filter");
  }
  // The same place spelt in another way was not made here.
  if (toCursor(position, filter) !== cursor) {
    throw new HoldfastError("cursor_invalid", "the cursor is not one that a listing gave out");
  }
  return position;
}

/** Sorts newest first. */
export function byNewest(left: Position, right: Position): number {
  if (left.createdAt !== right.createdAt) return right.createdAt - left.createdAt;
  if (left.id === right.id) return 0;
  return left.id < right.id ? 1 : -1;
}

/** The same for every spelling of the same filter: order and repetition say nothing. */
function fingerprint(filter: Filter): string {
  const labels = sortedEntries(filter.labels ?? {});
  const statuses = [...new Set(filter.status)].toSorted();
  const { workflow = null, createdAfter = null, createdBefore = null, idPrefix, errorCode, cause } = filter;
  // Those that came later are not there unless given: a cursor of old keeps its place.
  const named = idPrefix === undefined && errorCode === undefined ? [] : [idPrefix ?? null, errorCode ?? null];
  const later = cause === undefined ? named : [idPrefix ?? null, errorCode ?? null, cause];
  return fnv1a(JSON.stringify([workflow, statuses, labels, createdAfter, createdBefore, ...later])).toString(36);
}
