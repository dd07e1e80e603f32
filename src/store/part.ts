import { isSealed } from "../core/cipher.ts";
import type { Vault } from "../core/cipher.ts";

/** Long text in rows: production takes rows of 2 MB, and a UTF-16 unit takes up to 3 bytes. */
const maxPart = 600_000;
/** What is sealed grows by a third on its way to base64. */
const maxSealedPart = 450_000;

/** The text in pieces that each fit a row, sealed or not as the vault does; together they are the text. */
export function cut(text: string, vault: Vault): string[] {
  if (text.length <= maxSealedPart) return [text];
  const longest = vault.newest === null ? maxPart : maxSealedPart;
  const parts: string[] = [];
  for (let from = 0; from < text.length;) {
    let to = Math.min(text.length, from + longest);
    // Not where the next piece would say that it was sealed: anybody may send such a text.
    if (isSealed(text.slice(to, to + 8))) to--;
    // Not between the halves of a character: each alone would be lost on the way to UTF-8.
    const last = text.charCodeAt(to - 1);
    if (to < text.length && last >= 0xd800 && last <= 0xdbff) to--;
    parts.push(text.slice(from, to));
    from = to;
  }
  return parts;
}
