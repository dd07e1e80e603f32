/**
 * Values as JSON. Types that JSON does not have become `{ "$type": …, "value": … }`:
 *
 * | `$type` | `value` |
 * |---|---|
 * | `undefined`, `NaN`, `Infinity`, `-Infinity`, `-0` | none |
 * | `Date` | RFC 3339 text, or null for an invalid date |
 * | `BigInt` | decimal text |
 * | `RegExp` | `{ source, flags }` |
 * | `Map` | array of `[key, value]` |
 * | `Set` | array |
 * | `Uint8Array` and the other typed arrays, `ArrayBuffer`, `DataView` | base64 of the bytes |
 * | `Error` | `{ name, message, stack?, code?, cause?, errors? }` |
 * | `Object` | a plain object that has a `$type` of its own |
 * | `Ref` | JSON pointer to an ancestor, if a value contains itself; written, never read |
 * | `Shape` | outline of a value that must not be shown; written, never read |
 * | `Cut` | none; in place of what there is no room for; written, never read |
 *
 * Long because it both writes and reads each type.
 */
import { bytesOf, createBytes, fromBase64, isByteType, toBase64 } from "../bytes.ts";
import { toInstant } from "../duration.ts";
import { createError, hide, HoldfastError } from "../error.ts";
import { isRecord } from "../record.ts";
import { maxValueBytes } from "../size.ts";
import { Shape } from "./shape.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * How much may still be written, in characters. Stored text has a part that a value repeats, and the holes of a list, once;
 * JSON has each of them, and could exceed any memory.
 */
export type Room = { left: number };

/** Four times what the largest value has: one that repeats nothing needs no more. */
export function createRoom(): Room {
  return { left: 4 * maxValueBytes };
}

/**
 * The value as JSON. A function or a symbol is written like undefined.
 * @param room of the text that the value becomes a part of
 */
export function toJson(value: unknown, room = createRoom()): unknown {
  return write(value, "", { above: new Map(), room });
}

/** `above`: the ancestors of the value, each with its JSON pointer. */
type Walk = { readonly above: Map<object, string>; readonly room: Room };

/** How much room a value takes besides its texts. */
const small = 8;
const large = 32;

function write(value: unknown, at: string, walk: Walk): Json {
  const { above, room } = walk;
  if (room.left < 0) return { $type: "Cut" };
  const isSmall = typeof value === "string" || typeof value === "boolean" || Number.isFinite(value);
  room.left -= isSmall ? small : large;
  switch (typeof value) {
    case "string":
      return charged(value, room);
    case "boolean":
      return value;
    case "number":
      if (Object.is(value, -0)) return { $type: "-0" };
      return Number.isFinite(value) ? value : { $type: String(value) };
    case "bigint":
      return { $type: "BigInt", value: charged(String(value), room) };
    case "object": {
      if (value === null) return null;
      const ancestor = above.get(value);
      if (ancestor !== undefined) return { $type: "Ref", value: ancestor };
      above.set(value, at);
      const json = writeObject(value, at, walk);
      above.delete(value);
      return json;
    }
    default:
      return { $type: "undefined" };
  }
}

/** Takes room for the text. An error that was never stored may have a name that is none. */
function charged<Text>(text: Text, room: Room): Text {
  if (typeof text === "string") room.left -= text.length;
  return text;
}

function writeObject(value: object, at: string, walk: Walk): Json {
  if (Array.isArray(value)) return writeList(value, at, walk);
  if (value instanceof Shape) return { $type: "Shape", value: value.outline as Json };
  if (value instanceof Error) return { $type: "Error", value: writeError(value, `${at}/value`, walk) };
  const type = Object.prototype.toString.call(value).slice(8, -1);
  switch (type) {
    case "Date":
      return { $type: type, value: Number.isNaN(Number(value)) ? null : (value as Date).toISOString() };
    case "RegExp":
      return {
        $type: type,
        value: { source: charged((value as RegExp).source, walk.room), flags: (value as RegExp).flags },
      };
    case "Map":
      return { $type: type, value: writePairs(value as Map<unknown, unknown>, `${at}/value`, walk) };
    case "Set":
      return { $type: type, value: writeList(value as Set<unknown>, `${at}/value`, walk) };
    case "Number":
    case "String":
    case "Boolean":
    case "BigInt":
      return write(value.valueOf(), at, walk);
    default: {
      const bytes = bytesOf(value);
      return bytes === null ? writePlain(value, at, walk) : writeBytes(type, bytes, walk);
    }
  }
}

function writeBytes(type: string, bytes: Uint8Array, { room }: Walk): Json {
  return { $type: type, value: charged(toBase64(bytes), room) };
}

/**
 * Ends with an item that is cut, if there is no room for more. Here and below, loops are used instead of callbacks, which would need more stack for
 * deep values.
 */
function writeList(items: Iterable<unknown>, at: string, walk: Walk): Json[] {
  const json: Json[] = [];
  for (const item of items) {
    const isFull = walk.room.left < 0;
    json.push(write(item, `${at}/${json.length}`, walk));
    if (isFull) break;
  }
  return json;
}

function writePairs(pairs: ReadonlyMap<unknown, unknown>, at: string, walk: Walk): Json[] {
  const json: Json[] = [];
  for (const [key, value] of pairs) {
    const isFull = walk.room.left < 0;
    const under = `${at}/${json.length}`;
    json.push([write(key, `${under}/0`, walk), write(value, `${under}/1`, walk)]);
    if (isFull) break;
  }
  return json;
}

function writePlain(value: object, at: string, walk: Walk): Json {
  if (!Object.hasOwn(value, "$type")) return writeEntries(value, at, walk);
  return { $type: "Object", value: writeEntries(value, `${at}/value`, walk) };
}

function writeEntries(value: object, at: string, walk: Walk): { [key: string]: Json } {
  const json: { [key: string]: Json } = {};
  for (const [key, item] of Object.entries(value)) {
    const isFull = walk.room.left < 0;
    // Assigning this key would set the prototype. Stored values do not have it.
    if (key !== "__proto__") json[charged(key, walk.room)] = write(item, `${at}/${escape(key)}`, walk);
    if (isFull) break;
  }
  return json;
}

function writeError(error: Error, at: string, walk: Walk): Json {
  const { name, message, stack, code } = error as Error & { code?: unknown };
  const json: { [key: string]: Json } = { name: charged(name, walk.room), message: charged(message, walk.room) };
  if (typeof stack === "string") json["stack"] = charged(stack, walk.room);
  if (typeof code === "string" || typeof code === "number") json["code"] = code;
  if (Object.hasOwn(error, "cause")) json["cause"] = write(error.cause, `${at}/cause`, walk);
  if (error instanceof AggregateError) json["errors"] = write(error.errors, `${at}/errors`, walk);
  return json;
}

function escape(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** The limit of nesting in JSON that is read. */
const maxDepth = 200;

/** The limit of digits of a BigInt, because the time to parse them grows faster than their number. */
export const maxDigits = 100_000;

/**
 * The value of JSON in this form.
 * @throws HoldfastError body_invalid for an unknown `$type`, a `value` that does not fit it, a `__proto__` key, or more than
 * 200 levels; `issues` has the place as a JSON pointer
 */
export function fromJson(json: unknown): unknown {
  return revive(json, []);
}

/** The value of text. @throws HoldfastError body_invalid: not JSON, or as {@link fromJson} */
export function parseJson(text: string): unknown {
  return fromJson(readJson(text));
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new HoldfastError("body_invalid", "the body is not JSON", { cause });
  }
}

type Path = (string | number)[];

function refuse(path: Path, message: string): HoldfastError {
  const pointer = path.map((key) => `/${escape(String(key))}`).join("");
  // Cut, because the sender controls its length.
  const place = pointer === "" ? "the body" : pointer.length > 200 ? `${pointer.slice(0, 200)}…` : pointer;
  return new HoldfastError("body_invalid", `${place} ${message}`, { issues: [{ path: pointer, message }] });
}

function revive(json: unknown, path: Path): unknown {
  if (typeof json !== "object") {
    if (typeof json === "string" || typeof json === "number" || typeof json === "boolean") return json;
    throw refuse(path, `is not JSON: ${typeof json}`);
  }
  if (json === null) return null;
  if (path.length > maxDepth) throw refuse(path, `is nested more than ${maxDepth} levels deep`);
  if (Array.isArray(json)) return reviveList(json, path);
  return Object.hasOwn(json, "$type") ? reviveTyped(json, path) : reviveEntries(json, path);
}

function inside(json: unknown, path: Path, ...keys: Path): unknown {
  path.push(...keys);
  const value = revive(json, path);
  path.length -= keys.length;
  return value;
}

function reviveList(json: readonly unknown[], path: Path, ...under: Path): unknown[] {
  return json.map((item, index) => inside(item, path, ...under, index));
}

function reviveEntries(json: object, path: Path, ...under: Path): Record<string, unknown> {
  const value: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(json)) {
    if (key === "__proto__") throw refuse([...path, ...under], "has a key named __proto__");
    value[key] = inside(item, path, ...under, key);
  }
  return value;
}

function reviveTyped(json: object, path: Path): unknown {
  const { $type: type, value, ...rest } = json as { $type: unknown; value?: unknown };
  const more = Object.keys(rest)[0];
  if (more !== undefined) throw refuse([...path, more], "is not known beside $type and value");
  switch (type) {
    case "undefined":
      return undefined;
    case "NaN":
    case "Infinity":
    case "-Infinity":
    case "-0":
      return Number(type);
    case "Date":
      return reviveDate(value, path);
    case "BigInt":
      if (typeof value === "string" && value.length <= maxDigits && /^-?\d+$/.test(value)) return BigInt(value);
      throw refuse([...path, "value"], `is not a whole number of at most ${maxDigits} digits, as text`);
    case "RegExp":
      return reviveRegExp(value, path);
    case "Map":
      return new Map(listOf(value, path).map((pair, index) => revivePair(pair, path, index)));
    case "Set":
      return new Set(reviveList(listOf(value, path), path, "value"));
    case "Error":
      return reviveError(value, path);
    case "Object":
      if (isRecord(value)) return reviveEntries(value, path, "value");
      throw refuse([...path, "value"], "is not an object");
    default:
      return reviveBytes(type, value, path);
  }
}

function listOf(value: unknown, path: Path): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw refuse([...path, "value"], "is not an array");
}

function revivePair(pair: unknown, path: Path, index: number): [unknown, unknown] {
  if (!Array.isArray(pair) || pair.length !== 2) {
    throw refuse([...path, "value", index], "is not an array of a key and a value");
  }
  const [key, value] = reviveList(pair, path, "value", index);
  return [key, value];
}

function reviveDate(value: unknown, path: Path): Date {
  if (value === null) return new Date(Number.NaN);
  if (typeof value === "string") {
    // RFC 3339 has no years of more than four digits, but `Date` does.
    const far = /^[+-]\d{6}-/.test(value) ? new Date(value) : null;
    if (far !== null && !Number.isNaN(far.getTime()) && far.toISOString() === value) return far;
    try {
      return new Date(toInstant(value));
    } catch {
      // Refused below, with its place.
    }
  }
  throw refuse([...path, "value"], "is not a date: give RFC 3339 text with a zone");
}

function reviveRegExp(value: unknown, path: Path): RegExp {
  const { source, flags = "", ...rest } = isRecord(value) ? value : { source: null };
  if (typeof source === "string" && typeof flags === "string" && Object.keys(rest).length === 0) {
    try {
      return new RegExp(source, flags);
    } catch {
      // Refused below, with its place.
    }
  }
  throw refuse([...path, "value"], "is not a regular expression: give { source, flags }");
}

const errorFields: readonly string[] = ["name", "message", "stack", "code", "cause", "errors"];

function reviveError(value: unknown, path: Path): Error {
  if (!isRecord(value)) throw refuse([...path, "value"], "is not an object");
  const text = (key: string): string | undefined => {
    const field = value[key];
    if (field === undefined || typeof field === "string") return field;
    throw refuse([...path, "value", key], "is not text");
  };
  const unknown = Object.keys(value).find((key) => !errorFields.includes(key));
  if (unknown !== undefined) throw refuse([...path, "value", unknown], "is not a field of an error");
  const { code, cause, errors } = value;
  const shape = { name: text("name") ?? "Error", message: text("message") ?? "", stack: text("stack") };
  const error = createError(errors === undefined ? shape : { ...shape, type: "AggregateError" });
  if (code !== undefined) {
    if (typeof code !== "string" && typeof code !== "number") throw refuse([...path, "value", "code"], "is not text");
    Object.assign(error, { code });
  }
  if (cause !== undefined) hide(error, "cause", inside(cause, path, "value", "cause"));
  if (errors !== undefined) {
    if (!Array.isArray(errors)) throw refuse([...path, "value", "errors"], "is not an array");
    hide(error, "errors", reviveList(errors, path, "value", "errors"));
  }
  return error;
}

function reviveBytes(type: unknown, value: unknown, path: Path): unknown {
  if (typeof type !== "string" || !isByteType(type)) throw refuse([...path, "$type"], "is not a known type");
  const bytes = typeof value === "string" ? fromBase64(value) : null;
  if (bytes === null) throw refuse([...path, "value"], "is not base64");
  const view = createBytes(type, bytes.buffer);
  if (view === null) throw refuse([...path, "value"], `is not a whole number of elements of ${type}`);
  return view;
}
