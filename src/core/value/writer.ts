/**
 * Writes values as devalue text by the rules of structured clone, and counts its length meanwhile.
 *
 * The writer of the `devalue` package is not used, because it does not escape lone surrogates, which UTF-8 cannot carry,
 * writes up to six characters for one, does not support errors, and has no limit of size.
 * Long because there are many types of values, and their writers call each other.
 */
import { toBase64 } from "../bytes.ts";
import { builtInOf, HoldfastError } from "../error.ts";
import { group, maxValueBytes, utf8Length } from "../size.ts";
import { describePath, insideError, insideMap, insideMapKey, insideSet } from "./path.ts";
import type { Segment } from "./path.ts";

/** The limit of nesting. Values of this depth can still be parsed deep in a call stack. */
export const maxValueDepth = 500;

/** The stored form of an error; `type` is its built-in class, if its name is different. */
export type ErrorPayload = {
  readonly name: string;
  readonly message: string;
  readonly type?: string;
  readonly stack?: string;
  readonly code?: string | number;
  readonly cause?: unknown;
  readonly errors?: unknown;
};

/** The numbers with which devalue writes values that have no index. */
const undefinedIndex = -1;
const hole = -2;
const nan = -3;
const infinity = -4;
const minusInfinity = -5;
const minusZero = -6;
const sparse = -7;

/** Types without a tag of their own: a class that has such a one only calls itself by the type's name. */
const untagged: ReadonlySet<string> = new Set(["Date", "RegExp", "Error", "Number", "String", "Boolean"]);

export class Writer {
  readonly what: string;
  /** The text of each distinct value, at its index; the first one is the whole value. */
  readonly parts: string[] = [];
  readonly indexes = new Map<unknown, number>();
  readonly path: Segment[] = [];
  /** Characters written so far, and how many of them do not count: base64, and what surrounds texts and bytes. */
  length = 1;
  spared = 1;

  constructor(what: string) {
    this.what = what;
  }

  write(value: unknown): string {
    try {
      const index = this.visit(value);
      if (index < 0) return String(index);
    } catch (error) {
      // A getter or a proxy threw.
      throw error instanceof Refusal ? error.error : this.refusal("cannot be read", error).error;
    }
    const text = `[${this.parts.join(",")}]`;
    const limit = maxValueBytes + this.spared;
    // A character has at most three bytes, so most text need not be measured.
    const bytes = text.length * 3 <= limit ? 0 : utf8Length(text);
    if (bytes > limit) throw this.tooLarge(bytes - this.spared, "").error;
    return text;
  }

  /** The index of the value, which is written if it is new. */
  visit(value: unknown): number {
    if (value === undefined) return undefinedIndex;
    if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) return specialNumber(value);
    const known = this.indexes.get(value);
    if (known !== undefined) return known;
    const index = this.parts.push("") - 1;
    this.indexes.set(value, index);
    const text = this.textOf(value);
    this.parts[index] = text;
    this.length += text.length + 1;
    this.check(0);
    return index;
  }

  /** Like `visit`, for a value within the current one. */
  inside(segment: Segment, value: unknown): number {
    if (this.path.length >= maxValueDepth) throw this.tooDeep();
    this.path.push(segment);
    const index = this.visit(value);
    this.path.pop();
    return index;
  }

  textOf(value: unknown): string {
    switch (typeof value) {
      case "string": {
        this.check(value.length);
        const text = JSON.stringify(value);
        return this.spare(text, text.length - '""'.length);
      }
      case "number":
      case "boolean":
        return String(value);
      case "bigint":
        return `["BigInt","${value}"]`;
      case "function":
        throw this.refusal("is a function");
      case "symbol":
        throw this.refusal("is a symbol");
      default:
        return value === null ? "null" : this.objectText(value as object);
    }
  }

  objectText(value: object): string {
    if (Array.isArray(value)) return this.arrayText(value);
    const proto: unknown = Object.getPrototypeOf(value);
    if (proto === Object.prototype) return this.plainText(value);
    if (proto === null) return this.bareText(value);
    if (value instanceof Error) return this.errorText(value);
    if (ArrayBuffer.isView(value)) return this.viewText(value);
    const tag = Object.prototype.toString.call(value).slice(8, -1);
    const isClaim = untagged.has(tag) && Symbol.toStringTag in value;
    return isClaim ? this.unknownText(value, tag) : this.taggedText(value, tag);
  }

  taggedText(value: object, tag: string): string {
    switch (tag) {
      case "Object":
        return this.plainText(value);
      case "Date":
        return Number.isNaN(Number(value)) ? '["Date",""]' : `["Date","${(value as Date).toISOString()}"]`;
      case "RegExp": {
        const { source, flags } = value as RegExp;
        return `["RegExp",${JSON.stringify(source)}${flags === "" ? "" : `,"${flags}"`}]`;
      }
      case "Map":
        return this.mapText(value as Map<unknown, unknown>);
      case "Set":
        return this.setText(value as Set<unknown>);
      case "ArrayBuffer":
        return this.bufferText(value as ArrayBuffer);
      case "Error":
        return this.errorText(value as Error);
      case "Number":
      case "String":
      case "Boolean":
      case "BigInt":
        return `["Object",${this.visit(value.valueOf())}]`;
      default:
        return this.unknownText(value, tag);
    }
  }

  /** For an object whose tag is not a built-in type's: a host object, or an instance of a user's class with a tag. */
  unknownText(value: object, tag: string): string {
    if (tag === "Promise") throw this.refusal("is a promise: await it first");
    const carries = Object.keys(value).length > 0 && isCloneable(value);
    if (!carries) throw this.refusal(`has the type ${tag}, which structured clone does not carry`);
    return this.plainText(value);
  }

  plainText(value: object): string {
    let text = "";
    for (const key of Object.keys(value)) {
      const index = this.property(value, key);
      text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${index}`;
      this.check(text.length);
    }
    return `{${text}}`;
  }

  /** An object without a prototype. */
  bareText(value: object): string {
    let text = '["null"';
    for (const key of Object.keys(value)) {
      text += `,${JSON.stringify(key)},${this.property(value, key)}`;
      this.check(text.length);
    }
    return `${text}]`;
  }

  property(value: object, key: string): number {
    // Parsing it would set the prototype.
    if (key === "__proto__") throw this.refusal("has a key named __proto__");
    if (this.path.length >= maxValueDepth) throw this.tooDeep();
    this.path.push(key);
    const index = this.visit((value as Record<string, unknown>)[key]);
    this.path.pop();
    return index;
  }

  arrayText(array: readonly unknown[]): string {
    const indexes: number[] = [];
    for (let at = 0; at < array.length; at += 1) {
      const value = array[at];
      if (value === undefined && !Object.hasOwn(array, at)) return this.holedText(array);
      indexes.push(this.inside(at, value));
      // At least two characters each: a digit and a comma.
      this.check(2 * indexes.length);
    }
    return `[${indexes.join(",")}]`;
  }

  /** An array with holes: each hole is marked, or, if most items are holes, each other item is written with its index. */
  holedText(array: readonly unknown[]): string {
    const keys = Object.keys(array).filter((key) => isIndex(key, array.length));
    if (keys.length * 2 < array.length) {
      const others = keys.flatMap((key) => [key, this.inside(Number(key), array[Number(key)])]);
      return `[${[sparse, array.length, ...others].join(",")}]`;
    }
    const indexes = Array.from(array, (value, at) => (Object.hasOwn(array, at) ? this.inside(at, value) : hole));
    return `[${indexes.join(",")}]`;
  }

  mapText(map: ReadonlyMap<unknown, unknown>): string {
    let text = '["Map"';
    for (const [key, value] of map) {
      const at = this.inside(insideMapKey, key);
      const segment: Segment = typeof key === "string" ? { phrase: `.get(${JSON.stringify(key)})` } : insideMap;
      text += `,${at},${this.inside(segment, value)}`;
      this.check(text.length);
    }
    return `${text}]`;
  }

  setText(set: ReadonlySet<unknown>): string {
    let text = '["Set"';
    for (const value of set) {
      text += `,${this.inside(insideSet, value)}`;
      this.check(text.length);
    }
    return `${text}]`;
  }

  bufferText(buffer: ArrayBuffer): string {
    if ((buffer as { detached?: boolean }).detached === true) throw this.refusal("is a buffer that was transferred");
    this.check(buffer.byteLength);
    const text = toBase64(new Uint8Array(buffer));
    return this.spare(`["ArrayBuffer","${text}"]`, buffer.byteLength);
  }

  viewText(view: ArrayBufferView): string {
    const { buffer, byteOffset, byteLength } = view;
    if (!isArrayBuffer(buffer)) throw this.refusal("is a view of shared memory");
    const tag = Object.prototype.toString.call(view).slice(8, -1);
    this.check(byteLength);
    const whole = byteOffset === 0 && byteLength === buffer.byteLength;
    const index = this.visit(whole ? buffer : buffer.slice(byteOffset, byteOffset + byteLength));
    return this.spare(`["${tag}",${index}]`, 0);
  }

  /** Returns the text, which counts as that many bytes instead of its length. */
  spare(text: string, bytes: number): string {
    this.spared += text.length + 1 - bytes;
    return text;
  }

  errorText(error: Error): string {
    const type = builtInOf(error);
    const { name, message, stack }: { name: unknown; message: unknown; stack?: unknown } = error;
    // The order matters: when a cycle leads back here, the parser has read only the first three.
    const payload: Record<string, unknown> = { name: String(name), message: String(message) };
    if (type !== undefined) payload["type"] = type;
    if (typeof stack === "string") payload["stack"] = stack;
    if (Object.hasOwn(error, "code")) Object.assign(payload, codeOf(error));
    if (error instanceof AggregateError) payload["errors"] = error.errors;
    if (Object.hasOwn(error, "cause")) payload["cause"] = error.cause;
    // The payload is a level of its own, as it is for the parser.
    return `["Error",${this.inside(insideError, payload)}]`;
  }

  /** Throws as soon as the text, with `more` that is about to be written, is over the limit. */
  check(more: number): void {
    const bytes = this.length - this.spared + more;
    if (bytes > maxValueBytes) throw this.tooLarge(bytes, "at least ");
  }

  tooDeep(): Refusal {
    return this.refusal(`is nested more than ${maxValueDepth} levels deep`);
  }

  tooLarge(bytes: number, atLeast: string): Refusal {
    const size = `it has ${atLeast}${group(bytes)} bytes, and a value may have ${group(maxValueBytes)} (16 MiB)`;
    return new Refusal(new HoldfastError("value_too_large", `${this.what} is too large to keep: ${size}`));
  }

  refusal(reason: string, ...cause: [unknown?]): Refusal {
    const message = `${this.what} cannot be kept: ${describePath(this.path)} ${reason}`;
    const options = cause.length === 0 ? undefined : { cause: cause[0] };
    return new Refusal(new HoldfastError("value_uncloneable", message, options));
  }
}

/** Wraps our own error while it is thrown through the value's getters, to tell it from theirs. */
class Refusal {
  readonly error: HoldfastError;

  constructor(error: HoldfastError) {
    this.error = error;
  }
}

function codeOf(error: Error): { code?: string | number } {
  const { code } = error as { code?: unknown };
  return typeof code === "string" || typeof code === "number" ? { code } : {};
}

function specialNumber(value: number): number {
  if (Number.isNaN(value)) return nan;
  if (value === 0) return minusZero;
  return value > 0 ? infinity : minusInfinity;
}

function isIndex(key: string, length: number): boolean {
  const at = Number(key);
  return Number.isInteger(at) && at >= 0 && at < length && String(at) === key;
}

function isArrayBuffer(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  return Object.prototype.toString.call(buffer) === "[object ArrayBuffer]";
}

function isCloneable(value: object): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}
