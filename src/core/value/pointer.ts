/** JSON pointers (RFC 6901). */

/** The pointer to what these keys lead to, one within the other; empty for the whole. */
export function pointerTo(keys: readonly unknown[]): string {
  return keys.map((key) => `/${escapeKey(String(key))}`).join("");
}

/** A key as a part of a pointer. */
export function escapeKey(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}
