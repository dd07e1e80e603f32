/** Pages of a listing that is sorted by name. */
import { fromBase64Url, readUtf8, toBase64Url } from "../bytes.ts";
import { HoldfastError } from "../error.ts";

/** Compares by code points, as the storage sorts text. */
export function compareNames(one: string, other: string): number {
  const [left, right] = [[...one], [...other]];
  for (const [index, character] of left.entries()) {
    const against = right[index];
    if (against === undefined) return 1;
    const difference = (character.codePointAt(0) ?? 0) - (against.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

const prefix = "name ";

/** The cursor of the page after this name: letters, digits, `-` and `_` only. */
export function toNameCursor(name: string): string {
  return toBase64Url(new TextEncoder().encode(prefix + name));
}

/** @throws HoldfastError cursor_invalid */
export function fromNameCursor(cursor: string): string {
  const name = (readUtf8(fromBase64Url(cursor) ?? new Uint8Array()) ?? "").slice(prefix.length);
  // Decoding is lenient: anything but the exact text that is made here is refused.
  if (toNameCursor(name) === cursor) return name;
  throw new HoldfastError("cursor_invalid", "the cursor is not one that this listing gave out");
}
