/** Values in stored form: devalue text, the format of the `devalue` package, whose reader reads it. */
import { dequal } from "dequal";
import { parse } from "devalue";
import { createError, hide } from "./error.ts";
import { Shape } from "./shape.ts";
import type { Outline } from "./shape.ts";
import { unreadable } from "./value/tag.ts";
import { Writer } from "./value/writer.ts";
import type { ErrorPayload } from "./value/writer.ts";

/** A value as devalue text; only `encode` makes one. */
export type Stored = string & { readonly __stored: unique symbol };

/**
 * The value as structured clone carries it, for ever: class instances become plain objects, keys
 * that are symbols are left out, a view of a part of a buffer keeps that part only. Errors keep
 * name, message, stack, cause, members and `code`.
 * @throws HoldfastError value_uncloneable (functions, symbols, promises, weak collections, host
 * objects such as Response, an own `__proto__` key, more than 500 levels), value_too_large; the
 * message names `what` and, for the first, the path within the value.
 */
export function encode(value: unknown, what: string): Stored {
  return (short(value) ?? new Writer(what).write(value)) as Stored;
}

/** What is shown in the place of a value: it is decoded as a {@link Shape}. */
export function encodeShape(outline: Outline): Stored {
  return `${shapeMark}${JSON.stringify(JSON.stringify(outline))}]` as Stored;
}

/** No value begins so: in stored form a list holds numbers only. */
const shapeMark = '[["Shape",1],';

/** The value; every call makes a new one. @throws HoldfastError journal_corrupt, journal_newer: it cannot be read */
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

/** What {@link short} writes, and all that is one such value in a list; anything else is {@link unread}. */
function readShort(stored: Stored): unknown {
  if (stored === "-1") return undefined;
  const first = stored.charCodeAt(1);
  // Lists and objects are for the reader, and so is what no list begins.
  if (stored.charCodeAt(0) !== opening || first === opening || first === brace) return unread;
  const whole = readWhole(stored);
  if (whole >= 0) return whole;
  const list = JSON.parse(stored) as readonly unknown[];
  const value = list[0];
  return list.length !== 1 || (typeof value === "object" && value !== null) ? unread : value;
}

/** A whole number alone in its list, and not a large one; -1 for anything else. */
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

/** Text without it holds no errors, and is read faster. */
const errorMark = '["Error",';

/** Whether two values are equal in depth, whatever the order of their keys; two errors by all they keep. */
export function isSame(a: Stored, b: Stored): boolean {
  if (a === b) return true;
  try {
    return dequal(bare(a), bare(b));
  } catch {
    // Cycles with their keys in different orders go round for ever, and are told apart.
    return false;
  }
}

/** Errors as their payloads: comparison looks at listed properties only. */
function bare(stored: Stored): unknown {
  return parse(stored, { Error: (payload: ErrorPayload) => ({ ...payload, $error: true }) });
}

export const undefinedValue: Stored = encode(undefined, "nothing");

/**
 * An error whose cause leads back to it is asked for while its payload is half read, and once
 * more at the end: the same error both times, completed by the last.
 */
function reviveValue(payload: ErrorPayload, revived: Map<ErrorPayload, Error>): Error {
  const error = revived.get(payload) ?? createError(payload);
  revived.set(payload, error);
  if (Object.hasOwn(payload, "cause")) hide(error, "cause", payload.cause);
  if (Object.hasOwn(payload, "errors")) hide(error, "errors", payload.errors);
  if (payload.code !== undefined) (error as { code?: unknown }).code = payload.code;
  return error;
}

/** The commonest values at once: null is returned for those that need the writer. */
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
