/** The stored form of values: devalue text, the format of the `devalue` package, which also parses it. */
import { dequal } from "dequal";
import { parse } from "devalue";
import { createError, hide } from "../error.ts";
import { narrowed } from "./capacity.ts";
import { Shape } from "./shape.ts";
import type { Outline } from "./shape.ts";
import { unreadable } from "./tag.ts";
import { Writer } from "./writer.ts";
import type { ErrorPayload } from "./writer.ts";

/** A value as devalue text, made by {@link encode}. */
export type Stored = string & { readonly __stored: unique symbol };

export const undefinedValue = "-1" as Stored;

/**
 * The value in stored form. The rules are those of structured clone: class instances become plain objects, symbol keys are
 * left out, and a view of a part of a buffer keeps only that part. Errors keep name, message, stack, cause, members and
 * `code`.
 * @throws HoldfastError value_uncloneable (functions, symbols, promises, weak collections, host objects such as Response, an
 * own `__proto__` key, more than 500 levels), value_too_large. The message names `what`; that of value_uncloneable also the
 * path within the value.
 */
export function encode(value: unknown, what: string): Stored {
  return (short(value) ?? narrowed(new Writer(what).write(value))) as Stored;
}

/** Stands for a value that must not be shown: {@link decode} returns a {@link Shape} for it. */
export function encodeShape(outline: Outline): Stored {
  return `${shapeMark}${JSON.stringify(JSON.stringify(outline))}]` as Stored;
}

/** The beginning of an encoded shape. No value begins like this: arrays are lists of numbers, and no type is called Shape. */
const shapeMark = '[["Shape",1],';

/** The value, made anew by every call. @throws HoldfastError journal_corrupt, journal_newer */
export function decode(stored: Stored): unknown {
  try {
    return read(stored);
  } catch (cause) {
    throw unreadable(stored, cause);
  }
}

function read(stored: Stored): unknown {
  const single = readShort(stored);
  if (single !== unread) return single;
  if (stored.startsWith(shapeMark)) {
    return parse(stored, { Shape: (outline: string) => new Shape(JSON.parse(outline) as Outline) });
  }
  if (!stored.includes(errorMark)) return parse(stored);
  const revived = new Map<ErrorPayload, Error>();
  return parse(stored, { Error: (payload: ErrorPayload) => reviveValue(payload, revived) });
}

/** Reads the values that {@link short} writes, and other lists of one primitive; returns {@link unread} for anything else. */
function readShort(stored: Stored): unknown {
  if (stored === undefinedValue) return undefined;
  const first = stored.charCodeAt(1);
  // Nested lists and objects, and text that is not a list, are left to the full parser.
  if (stored.charCodeAt(0) !== opening || first === opening || first === brace) return unread;
  const whole = readWhole(stored);
  if (whole >= 0) return whole;
  const list = JSON.parse(stored) as readonly unknown[];
  const value = list[0];
  return list.length !== 1 || (typeof value === "object" && value !== null) ? unread : value;
}

/** Reads a list of one small whole number; returns -1 for anything else. */
function readWhole(stored: Stored): number {
  const end = stored.length - 1;
  if (end > 10 || stored.charCodeAt(end) !== closing || (end > 2 && stored.charCodeAt(1) === zero)) return -1;
  let whole = 0;
  for (let at = 1; at < end; at++) {
    const digit = stored.charCodeAt(at) - zero;
    if (!(digit >= 0 && digit <= 9)) return -1;
    whole = 10 * whole + digit;
  }
  return end > 1 ? whole : -1;
}

const unread = Symbol("unread");
const closing = "]".charCodeAt(0);
const zero = "0".charCodeAt(0);
const opening = "[".charCodeAt(0);
const brace = "{".charCodeAt(0);

/** Text without this contains no errors, and is parsed faster. */
const errorMark = '["Error",';

/** Whether two values are deeply equal, in any order of keys. Errors are compared by all that is stored of them. */
export function isSame(a: Stored, b: Stored): boolean {
  return isEqual(a, b, {});
}

/** Whether two values are the same text, or hold errors and are deeply equal but for the stacks of these. */
export function isAlike(a: Stored, b: Stored): boolean {
  // A text may be compared with thousands of others: without an error, neither is parsed.
  return a === b || (a.includes(errorMark) && b.includes(errorMark) && isEqual(a, b, { stack: null }));
}

/** Errors are compared as plain objects, because only enumerable properties are seen. @param instead replaces fields of theirs */
function isEqual(a: Stored, b: Stored, instead: { readonly stack?: null }): boolean {
  if (a === b) return true;
  const form = (stored: Stored): unknown =>
    parse(stored, { Error: (payload: ErrorPayload) => ({ ...payload, ...instead, $error: true }) });
  try {
    return dequal(form(a), form(b));
  } catch {
    // Comparing cycles whose keys are in different orders overflows the stack: they count as different.
    return false;
  }
}

/**
 * Called twice for an error in its own cause chain: first while its payload is incomplete, then at the end. Returns the same
 * error both times, and completes it the second time.
 */
function reviveValue(payload: ErrorPayload, revived: Map<ErrorPayload, Error>): Error {
  const error = revived.get(payload) ?? createError(payload);
  revived.set(payload, error);
  if (Object.hasOwn(payload, "cause")) hide(error, "cause", payload.cause);
  if (Object.hasOwn(payload, "errors")) hide(error, "errors", payload.errors);
  if (payload.code !== undefined) (error as { code?: unknown }).code = payload.code;
  return error;
}

/** Encodes the most common primitives without the writer; returns null for all other values. */
function short(value: unknown): string | null {
  switch (typeof value) {
    case "undefined":
      return "-1";
    case "boolean":
      return value ? "[true]" : "[false]";
    case "string":
      return value.length < 1024 ? `[${JSON.stringify(value)}]` : null;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? `[${value}]` : null;
    default:
      return value === null ? "[null]" : null;
  }
}
