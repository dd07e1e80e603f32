/**
 * Owns: what a text, or bytes, are told apart by, of equal length whatever it is.
 * Does not own: what is told apart.
 */
import { toHex } from "../core/bytes.ts";
import { keyName } from "../core/key.ts";

/** What the object of an Idempotency-Key is called: it has the run that the key starts where no id is given. */
export async function nameOfKey(key: string): Promise<string> {
  return keyName(await digestOf(key, 16));
}

/** The first so many bytes of the SHA-256, two hex digits each. */
export async function digestOf(content: string | Uint8Array, bytes = 32): Promise<string> {
  const bytesOf = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytesOf));
  return toHex(digest.subarray(0, bytes));
}
