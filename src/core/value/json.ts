/**
 * Writes values as JSON; `revival` reads them back. Types that JSON does not have become `{ "$type": …, "value": … }`:
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
 */
import { bytesOf, toBase64 } from "../bytes.ts";
import { maxValueBytes } from "../size.ts";
import { escapeKey } from "./pointer.ts";
import { Shape } from "./shape.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * How much may still be written, in characters. Stored text has a part that a value repeats, and the holes of a list, once;
 * JSON has each of them, and could exceed any memory.
 */
export type Room = { left: number };

/** For what the values of one text repeat. One of the largest that repeats nothing needs no more either. */
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

/** One object for all, because a list may have millions of holes. */
const nothing: Json = Object.freeze({ $type: "undefined" });

function write(value: unknown, at: string, walk: Walk): Json {
  const { above, room } = walk;
  if (room.left < 0) return { $type: "Cut" };
  room.left -= sizeOf(value);
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
      return nothing;
  }
}

/** How much room a hole of a list takes, or an object besides its contents. */
const large = 32;

/**
 * How much room a value takes besides its text and contents: at most eight times what it has in stored text, if it repeats
 * nothing but numbers and words. A repeated `1,` has two characters there, `-1,` for undefined three, `[],` and `1,` five.
 */
function sizeOf(value: unknown): number {
  if (typeof value === "object") return value === null ? 8 : large;
  return value === undefined || Object.is(value, -0) || (typeof value === "number" && !Number.isFinite(value)) ? 12 : 8;
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
      return bytes === null ? writePlain(value, at, walk) : { $type: type, value: charged(toBase64(bytes), walk.room) };
    }
  }
}

/**
 * Ends with an item that is cut, if there is no room for more. Here and below, loops are used instead of callbacks, which
 * would need more stack for deep values.
 */
function writeList(items: Iterable<unknown>, at: string, walk: Walk): Json[] {
  const json: Json[] = [];
  for (const item of items) {
    const isFull = walk.room.left < 0;
    if (item === undefined && !Object.hasOwn(items, json.length)) walk.room.left -= large;
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
    if (key !== "__proto__") json[charged(key, walk.room)] = write(item, `${at}/${escapeKey(key)}`, walk);
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
