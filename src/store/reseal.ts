/** Rows that are sealed anew, with the newest key. */
import type { Vault } from "../core/cipher.ts";
import { cut } from "./part.ts";

/** Rows that were looked at, and those of them that were sealed anew. */
export type Resealed = { readonly rows: number; readonly sealed: number };

/** The same, and where to go on; null at the end. */
export type Resealing<Mark> = Resealed & { readonly next: Mark | null };

/** The text sealed with the newest key; null where it is already. @throws HoldfastError as the vault does */
export function resealed(vault: Vault, text: string, place: string): string | null {
  return vault.isStale(text) ? vault.seal(vault.open(text, place), place) : null;
}

/**
 * A text that stands in several rows, in as many as it needs when it is sealed; null where all of it is sealed
 * with the newest key. @param placeOf what a part is bound to @throws HoldfastError as the vault does
 */
export function resealedParts(
  vault: Vault,
  parts: readonly string[],
  placeOf: (part: number) => string,
): string[] | null {
  if (!parts.some((part) => vault.isStale(part))) return null;
  const text = parts.map((part, index) => vault.open(part, placeOf(index))).join("");
  return cut(text, vault).map((part, index) => vault.seal(part, placeOf(index)));
}
