/**
 * Owns: what a text, or bytes, are told apart by, of equal length whatever it is.
 * Does not own: what is told apart.
 */
import { toHex } from "../core/bytes.ts";

const keyPrefix = "key-";

/** The id of the run that an Idempotency-Key starts, where none is given: the same key finds the same run. */
export async function idOfKey(key: string): Promise<string> {
  return `${keyPrefix}${await digestOf(key, 16)}`;
}

/** Whether the object of that name may stand for a key. */
export function isOfKey(name: string | undefined): boolean {
  return name?.startsWith(keyPrefix) === true;
}

/** The first so many bytes of the SHA-256, two hex digits each. */
export async function digestOf(content: string | Uint8Array, bytes = 32): Promise<string> {
  const bytesOf = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytesOf));
  return toHex(digest.subarray(0, bytes));
}
