/**
 * Owns: what a text is told apart by, of equal length whatever it is.
 * Does not own: what is told apart.
 */

/** The first so many bytes of the SHA-256, two hex digits each. */
export async function digestOf(text: string, bytes = 32): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(digest.subarray(0, bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
