/** The body of a request or of an answer, by its content type. */
import { HoldfastError } from "../error.ts";

/**
 * JSON is parsed; the fields of a form become an object and `text/*` a string, both read in the charset that the type
 * names; anything else stays bytes. An empty body is null.
 * @throws HoldfastError body_invalid where the body is not what its content type says
 */
export function readBody(contentType: string, bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) return null;
  const type = contentType.split(";")[0]?.trim().toLowerCase() ?? "";
  // JSON is always UTF-8 (RFC 8259), whatever charset the type names.
  if (type === "application/json" || type.endsWith("+json")) return readJson(bytes);
  if (type === "application/x-www-form-urlencoded") return readForm(bytes, charsetOf(contentType));
  if (type.startsWith("text/")) return readText(bytes, charsetOf(contentType));
  return bytes;
}

/** The charset that the type names; UTF-8 where it names none. */
function charsetOf(contentType: string): string {
  return /;\s*charset\s*=\s*["']?([^\s"';]+)/i.exec(contentType)?.[1] ?? "utf-8";
}

function readJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(readText(bytes, "utf-8")) as unknown;
  } catch (cause) {
    throw new HoldfastError("body_invalid", "the body is not JSON, which its content type says it is", { cause });
  }
}

/** The percent-encoded bytes of a form are in its charset; its separators are ASCII. */
function readForm(bytes: Uint8Array, charset: string): Record<string, string> {
  const decoder = decoderOf(charset);
  if (decoder.encoding.startsWith("utf-16")) {
    throw new HoldfastError("body_invalid", `no form is written in ${charset}`);
  }
  const pairs = binaryOf(bytes)
    .split("&")
    .filter((pair) => pair !== "");
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.includes("=") ? pair.indexOf("=") : pair.length;
      const read = (part: string): string =>
        /^[^%+\x80-\xff]*$/.test(part) ? part : textOf(decoder, unescaped(part), charset);
      return [read(pair.slice(0, at)), read(pair.slice(at + 1))];
    }),
  );
}

/** Text with one character for each byte. */
function binaryOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function unescaped(part: string): Uint8Array {
  const text = part
    .replaceAll("+", " ")
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function readText(bytes: Uint8Array, charset: string): string {
  return textOf(decoderOf(charset), bytes, charset);
}

function textOf(decoder: TextDecoder, bytes: Uint8Array, charset: string): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    const name = charset.toLowerCase() === "utf-8" ? "UTF-8" : charset;
    throw new HoldfastError("body_invalid", `the body is not ${name} text`, { cause });
  }
}

/** @throws HoldfastError body_invalid: a charset that the platform does not know */
function decoderOf(charset: string): TextDecoder {
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: false });
  } catch (cause) {
    throw new HoldfastError("body_invalid", `the body is in ${JSON.stringify(charset)}, which is not known`, { cause });
  }
}
