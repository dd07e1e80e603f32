/** Sealing rows with the newest key. */
import type { Vault } from "../core/cipher/cipher.ts";
import { cut } from "./part.ts";

/** How many rows were read, and how many of them were sealed with the newest key. */
export type Resealed = { readonly rows: number; readonly sealed: number };

/** The same, with where to continue; null at the end. */
export type Resealing<Mark> = Resealed & { readonly next: Mark | null };

/** The text sealed with the newest key; null where it is that already. @throws HoldfastError as the vault does */
export function resealed(vault: Vault, text: string, place: string): string | null {
  return vault.isStale(text) ? vault.seal(vault.open(text, place), place) : null;
}

/**
 * A text in several rows, sealed with the newest key, which may take another number of rows; null where all of it is sealed
 * with that already. @param placeOf the place that a part is bound to @throws HoldfastError as the vault does
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
