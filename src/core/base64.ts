/** Bytes as base64 text (RFC 4648, section 4) and back. */

/** What newer runtimes bring along, and the types do not know yet. */
type NativeBytes = { toBase64?: () => string };
type NativeReader = { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> };

/** Bytes at a time: as many as a call takes as arguments, and a multiple of three. */
const chunk = 24_576;

export function toBase64(bytes: Uint8Array): string {
  const native = (bytes as NativeBytes).toBase64;
  if (native !== undefined) return native.call(bytes);
  let text = "";
  for (let at = 0; at < bytes.length; at += chunk) {
    // Bytes are array-like, which is all that `apply` asks for, and spreading them takes ten times as long.
    text += btoa(String.fromCharCode.apply(null, bytes.subarray(at, at + chunk) as unknown as number[]));
  }
  return text;
}

/** The bytes; null where the text is not base64 with its padding and nothing else. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  const bytes = text.length % 4 === 0 ? readBytes(text) : null;
  // Decoders skip blanks; then the text is longer than its bytes need.
  return bytes !== null && Math.ceil(bytes.length / 3) * 4 === text.length ? bytes : null;
}

function readBytes(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    const native = (Uint8Array as NativeReader).fromBase64;
    if (native !== undefined) return native.call(Uint8Array, text);
    const raw = atob(text);
    const bytes = new Uint8Array(raw.length);
    for (let at = 0; at < raw.length; at += 1) bytes[at] = raw.charCodeAt(at);
    return bytes;
  } catch {
    return null;
  }
}
