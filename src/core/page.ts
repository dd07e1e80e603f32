/** Pages of a listing that is sorted by name. */
import { HoldfastError } from "./error.ts";

/** By code points, as the storage sorts text too. */
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
  const bytes = new TextEncoder().encode(prefix + name);
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @throws HoldfastError cursor_invalid */
export function fromNameCursor(cursor: string): string {
  const name = decode(cursor)?.slice(prefix.length) ?? null;
  // The same place spelt in another way was not made here.
  if (name !== null && toNameCursor(name) === cursor) return name;
  throw new HoldfastError("cursor_invalid", "the cursor is not one that this listing gave out");
}

function decode(cursor: string): string | null {
  try {
    const text = atob(cursor.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
