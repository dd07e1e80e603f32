/**
 * Owns: reading request bodies, from bytes to checked fields. A body that declares no length is counted as it comes in. All
 * are read as JSON whatever their Content-Type, because `curl -d` sends that of a form.
 */
import { joinBytes } from "../core/bytes.ts";
import { HoldfastError } from "../core/error.ts";
import type { Issue } from "../core/error.ts";
import { pointerTo } from "../core/value/pointer.ts";
import { fromJson } from "../core/value/revival.ts";
import { isRecord } from "../core/record.ts";
import { isLonger, shortened } from "../core/size.ts";
import { encode } from "../core/value/value.ts";
import type { Stored } from "../core/value/value.ts";
import { RequestError } from "./problem.ts";
import type { Reading } from "./reading.ts";

/** Refuses bytes that are no UTF-8. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
/** Enough for a value of 16 MiB with its bytes as base64, and the JSON around it. */
export const maxJsonBytes = 24 * 1024 * 1024;

/** @throws RequestError body_too_large, body_incomplete */
export async function readBytes(request: Request, limit: number): Promise<Uint8Array> {
  const declared = Number(request.headers.get("content-length") ?? Number.NaN);
  if (declared > limit) throw tooLarge(limit);
  // The runtime enforces a declared length; reading everything at once costs half.
  if (Number.isNaN(declared)) return await readPieces(request, limit);
  const bytes = new Uint8Array(await request.arrayBuffer().catch(refuseHalf));
  if (bytes.byteLength > limit) throw tooLarge(limit);
  return bytes;
}

async function readPieces(request: Request, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body?.getReader();
  while (reader !== undefined) {
    const { done, value } = (await reader.read().catch(refuseHalf)) as { done: boolean; value?: Uint8Array };
    if (done || value === undefined) break;
    length += value.byteLength;
    if (length > limit) {
      // Not awaited: the sender may never stop.
      void reader.cancel().catch(() => undefined);
      throw tooLarge(limit);
    }
    chunks.push(value);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : joinBytes(chunks);
}

/** Not the runtime's own error, which is marked as retryable. */
function refuseHalf(): never {
  throw new RequestError("body_incomplete", "The body broke off, or its chunks are not what they say.");
}

function tooLarge(limit: number): RequestError {
  return new RequestError("body_too_large", `The body is over ${limit / 1024 / 1024} MiB.`);
}

/**
 * The body as parsed JSON; undefined when there is none.
 * @throws RequestError body_too_large, json_invalid, content_type_unsupported
 */
async function readJson(request: Request): Promise<unknown> {
  refusePacked(request.headers);
  const bytes = await readBytes(request, maxJsonBytes);
  if (bytes.byteLength === 0) return undefined;
  try {
    return JSON.parse(utf8.decode(bytes)) as unknown;
  } catch (error) {
    const why = error instanceof SyntaxError ? `is not JSON: ${error.message}` : "is not UTF-8 text";
    throw new RequestError("json_invalid", `The body ${why}.`);
  }
}

/** Refuses compressed bodies: nothing decompresses them, and they would be reported as broken JSON. */
function refusePacked(headers: Headers): void {
  if (/^multipart\//i.test(headers.get("content-type") ?? "")) {
    throw new RequestError("content_type_unsupported", "Send the body as JSON, not as a form with parts.");
  }
  if (/^(?:identity)?$/i.test(headers.get("content-encoding")?.trim() ?? "")) return;
  throw new RequestError("content_type_unsupported", "Send the body as it is, without a Content-Encoding.");
}

/**
 * The whole body as a value; undefined for an empty one.
 * @throws RequestError as above; HoldfastError body_invalid, value_too_large
 */
export async function readValue(request: Request, what: string): Promise<Stored> {
  const json = await readJson(request);
  return encode(json === undefined ? undefined : fromJson(json), what);
}

export type Fields = Readonly<Record<string, unknown>>;

/**
 * The body as an object with no other fields than those named; an empty body is an object without fields.
 * @throws RequestError as above, body_invalid, field_unknown
 */
export async function readFields(request: Request, known: readonly string[]): Promise<Fields> {
  const json = await readJson(request);
  return json === undefined ? {} : checkFields(json, known, "The body");
}

/** @param what names the object in refusals @throws RequestError body_invalid, field_unknown */
export function checkFields(json: unknown, known: readonly string[], what: string): Fields {
  if (!isRecord(json)) {
    throw new RequestError("body_invalid", `${what} must be a JSON object.`, {
      issues: [{ path: "", message: "must be an object" }],
    });
  }
  const unknown = Object.keys(json).filter((name) => !known.includes(name));
  const [first, ...rest] = unknown.slice(0, 100).map((name) => shortened(name, 80));
  if (first === undefined) return json;
  const listing = known.length === 0 ? "It takes none." : `Known: ${known.join(", ")}.`;
  const detail = `${what} has a field that this call does not take, ${JSON.stringify(first)}. ${listing}`;
  const issues = [first, ...rest].map((name) => issueAt(name, "is not a field of this call"));
  throw new RequestError("field_unknown", detail, { issues });
}

/** A field that holds a user's value; undefined where it is absent. @throws HoldfastError body_invalid */
export function readValueField(fields: Fields, name: string): Stored {
  return readInside(name, () => encode(Object.hasOwn(fields, name) ? fromJson(fields[name]) : undefined, name));
}

/** Reads something within a field, which issues then name. */
export function readInside<Value>(field: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RequestError || error instanceof HoldfastError) || error.issues === undefined) throw error;
    const issues = error.issues.map(({ path, message }) => ({ path: `/${field}${path}`, message }));
    const told = `In ${field}: ${error.message}`;
    if (error instanceof HoldfastError) throw new HoldfastError(error.code, told, { issues });
    throw new RequestError(error.code, told, { issues });
  }
}

/** Text of at most `limit` characters; undefined when absent. @throws RequestError body_invalid */
export function readText(fields: Fields, name: string, limit: number): string | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw invalidField(name, "must be text");
  if (isLonger(value, limit)) throw invalidField(name, `must be at most ${limit} characters`);
  return value;
}

/** Undefined when absent. @throws RequestError body_invalid */
export function readField<Value>(fields: Fields, name: string, reading: Reading<Value>): Value | undefined {
  const given = fields[name];
  if (given === undefined) return undefined;
  const value = reading.of(given);
  if (value !== null) return value;
  throw invalidField(name, reading.rule);
}

/** @throws RequestError body_invalid, also when absent */
export function needField<Value>(fields: Fields, name: string, reading: Reading<Value>): Value {
  const value = readField(fields, name, reading);
  if (value !== undefined) return value;
  throw invalidField(name, `is needed, and ${reading.rule}`);
}

export function invalidField(name: string, message: string): RequestError {
  return new RequestError("body_invalid", `${name} ${message}.`, { issues: [issueAt(name, message)] });
}

function issueAt(name: string, message: string): Issue {
  return { path: pointerTo([name]), message };
}

/**
 * The header `Idempotency-Key`.
 * @throws RequestError idempotency_key_invalid
 */
export function readKey(request: Request): { readonly key?: string } {
  const key = request.headers.get("idempotency-key");
  if (key === null) return {};
  if (/^[\x20-\x7e]{1,256}$/.test(key)) return { key };
  throw new RequestError("idempotency_key_invalid", "An Idempotency-Key is 1 to 256 printable ASCII characters.");
}
