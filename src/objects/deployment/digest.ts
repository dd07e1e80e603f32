/**
 * Owns: digests of text and bytes.
 * Does not own: their use.
 */
import { toHex } from "../../core/bytes.ts";
import { keyName } from "../../core/run/key.ts";

/** The name of the object of an Idempotency-Key. It has the run that the key starts, unless an id is given. */
export async function nameOfKey(key: string): Promise<string> {
  return keyName(await digestOf(key, 16));
}

/** The first bytes of the SHA-256, as hex digits. */
export async function digestOf(content: string | Uint8Array, bytes = 32): Promise<string> {
  const bytesOf = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytesOf));
  return toHex(digest.subarray(0, bytes));
}
