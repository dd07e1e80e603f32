/** Bytes: which types hold them, base64 and hex (RFC 4648), UTF-8, joining and comparing. */

/** Methods that newer runtimes have, and the types do not know yet. */
type NativeBytes = { toBase64?: () => string };
type NativeReader = { fromBase64?: (text: string) => Uint8Array<ArrayBuffer> };

/** Bytes that are converted at a time: no more than a call may have arguments, and a multiple of three. */
const chunk = 24_576;

export function toBase64(bytes: Uint8Array): string {
  const native = (bytes as NativeBytes).toBase64;
  if (native !== undefined) return native.call(bytes);
  let text = "";
  for (let at = 0; at < bytes.length; at += chunk) {
    // `apply` takes the bytes as they are; spreading them takes ten times as long.
    text += btoa(String.fromCharCode.apply(null, bytes.subarray(at, at + chunk) as unknown as number[]));
  }
  return text;
}

/** The bytes; null where the text is not base64 with its padding and nothing else. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  const bytes = text.length % 4 === 0 ? readBytes(text) : null;
  // Decoders skip white space: such a text is longer than its bytes need, and refused.
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

/** In the alphabet of URLs (RFC 4648, section 5), without padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Reads base64url, with or without padding; null where the text is something else. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | null {
  // Two at most: a pattern that takes any number of them begins anew at each, and anybody may send thousands.
  const plain = text.replaceAll("-", "+").replaceAll("_", "/").replace(/==?$/, "");
  return fromBase64(plain.padEnd(Math.ceil(plain.length / 4) * 4, "="));
}

/** As hex digits in lower case. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Reads hex digits of either case; null where the text is something else. */
export function fromHex(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^(?:[0-9a-f]{2})+$/i.test(text)) return null;
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Compares in a time that depends on the length alone, so that it does not tell how close a guess came. */
export function isSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (const [index, byte] of one.entries()) difference |= byte ^ (other[index] ?? 0);
  return difference === 0;
}

/** The bytes of a value; null where it is of none of the byte types. */
export function bytesOf(value: unknown): Uint8Array | null {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return value instanceof ArrayBuffer ? new Uint8Array(value) : null;
}

type FromBuffer = new (buffer: ArrayBuffer) => ArrayBufferView;

const views: ReadonlyMap<string, FromBuffer | undefined> = new Map<string, FromBuffer | undefined>([
  ["DataView", DataView],
  ["Int8Array", Int8Array],
  ["Uint8Array", Uint8Array],
  ["Uint8ClampedArray", Uint8ClampedArray],
  ["Int16Array", Int16Array],
  ["Uint16Array", Uint16Array],
  ["Int32Array", Int32Array],
  ["Uint32Array", Uint32Array],
  // Some runtimes do not have it.
  ["Float16Array", (globalThis as { Float16Array?: FromBuffer }).Float16Array],
  ["Float32Array", Float32Array],
  ["Float64Array", Float64Array],
  ["BigInt64Array", BigInt64Array],
  ["BigUint64Array", BigUint64Array],
]);

export function isByteType(type: string): boolean {
  return type === "ArrayBuffer" || views.get(type) !== undefined;
}

/** The buffer as that type; null where its length is not a multiple of the type's elements. */
export function createBytes(type: string, buffer: ArrayBuffer): ArrayBuffer | ArrayBufferView | null {
  const View = views.get(type);
  if (View === undefined) return buffer;
  try {
    return new View(buffer);
  } catch {
    return null;
  }
}

/** The text that these bytes are in UTF-8, a byte order mark included; null where they are none. */
export function readUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
