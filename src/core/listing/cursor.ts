/**
 * The cursor of a listing: the last run of a page, as opaque text. It is bound to its filter, because a position within one
 * filter means nothing within another.
 */
import { fromBase64Url, readUtf8, toBase64Url } from "../bytes.ts";
import { HoldfastError } from "../error.ts";
import type { RunFilter } from "../service/directory.ts";
import { fnv1a } from "../hash.ts";
import { sortedEntries } from "../record.ts";

/** A run's position in the listing, which is newest first, and by descending id where instants are equal. */
export type Position = { readonly createdAt: number; readonly id: string };

/** The cursor after `position`; letters, digits, `-` and `_` only. */
export function toCursor(position: Position, filter: RunFilter): string {
  return spell(position, fingerprint(filter));
}

function spell({ createdAt, id }: Position, print: string): string {
  return toBase64Url(new TextEncoder().encode([createdAt.toString(36), print, id].join(" ")));
}

/** @throws HoldfastError cursor_invalid: not a cursor, or one of another filter. */
export function fromCursor(cursor: string, filter: RunFilter): Position {
  const text = readUtf8(fromBase64Url(cursor) ?? new Uint8Array()) ?? "";
  const [created = "", print = "", id = ""] = text.split(" ");
  const position = { createdAt: Number.parseInt(created, 36), id };
  // Decoding is lenient: another spelling of the same position is refused.
  if (id === "" || !Number.isSafeInteger(position.createdAt) || spell(position, print) !== cursor)
    throw new HoldfastError("cursor_invalid", "the cursor is not one that a listing gave out");
  if (print !== fingerprint(filter))
    throw new HoldfastError("cursor_invalid", "the cursor belongs to a listing with another filter");
  return position;
}

/** Sorts newest first. */
export function byNewest(left: Position, right: Position): number {
  if (left.createdAt !== right.createdAt) return right.createdAt - left.createdAt;
  if (left.id === right.id) return 0;
  return left.id < right.id ? 1 : -1;
}

/** The same for every spelling of one filter: order and repetition do not matter. */
function fingerprint(filter: RunFilter): string {
  const labels = sortedEntries(filter.labels ?? {});
  const statuses = [...new Set(filter.status)].toSorted();
  const { workflow = null, createdAfter = null, createdBefore = null, idPrefix, errorCode, cause } = filter;
  // Fields that were added later count only if they are given, so that older cursors stay valid.
  const named = idPrefix === undefined && errorCode === undefined ? [] : [idPrefix ?? null, errorCode ?? null];
  const later = cause === undefined ? named : [idPrefix ?? null, errorCode ?? null, cause];
  return fnv1a(JSON.stringify([workflow, statuses, labels, createdAfter, createdBefore, ...later])).toString(36);
}
