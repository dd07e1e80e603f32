import { isSealed } from "../core/cipher/cipher.ts";
import type { Vault } from "../core/cipher/cipher.ts";

/** UTF-16 units of a row: production allows 2 MB, and a unit takes up to 3 bytes. */
const maxPart = 600_000;
/** The same where rows are sealed: base64 makes them longer by a third. */
const maxSealedPart = 450_000;

/** Cuts the text into parts that each fit into a row, and seals them if the vault does. */
export function cut(text: string, vault: Vault): string[] {
  if (text.length <= maxSealedPart) return [text];
  const longest = vault.newest === null ? maxPart : maxSealedPart;
  const parts: string[] = [];
  for (let from = 0; from < text.length;) {
    let to = Math.min(text.length, from + longest);
    // Not where the next part would look sealed: users may send such a text.
    if (isSealed(text.slice(to, to + 8))) to--;
    // Not within a surrogate pair: UTF-8 cannot hold half of one.
    const last = text.charCodeAt(to - 1);
    if (to < text.length && last >= 0xd800 && last <= 0xdbff) to--;
    parts.push(text.slice(from, to));
    from = to;
  }
  return parts;
}
