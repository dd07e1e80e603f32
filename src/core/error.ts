/**
 * Errors, as they are thrown and as they are stored. Codes are stable: they are added, never
 * changed, and nothing ever matches a message.
 */
import type { ErrorCode } from "./code.ts";
import { defined } from "./record.ts";

/** One problem in a value that a schema refused; `path` is a JSON pointer (RFC 6901). */
export type Issue = { readonly path: string; readonly message: string };

/** An error of Holdfast's own. `code` is stable, `message` is for people. */
export class HoldfastError extends Error {
  override readonly name = "HoldfastError";
  readonly code: ErrorCode;
  readonly issues: readonly Issue[] | undefined;
  /** Of a temporary refusal: when to try again. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options?: { cause?: unknown; issues?: readonly Issue[]; retryAfterMs?: number },
  ) {
    super(message, options && "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.issues = options?.issues;
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** Whether it was refused with one of these codes. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is HoldfastError {
  return error instanceof HoldfastError && codes.includes(error.code);
}

/** An error in the journal: structure, never a rendered string. */
export type StoredError = {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  /** The step it came from, as `charge#2`. */
  readonly step?: string;
  /** How many attempts were made. */
  readonly attempts?: number;
  readonly stack?: string;
  readonly cause?: StoredError;
  /** The members of an AggregateError, or the errors of the failed items of a map. */
  readonly errors?: readonly StoredError[];
  /** The index of the map's item that it comes from. */
  readonly index?: number;
  /** The child run it comes from. */
  readonly child?: string;
  /** Steps that were undone before the run ended, in that order. */
  readonly undone?: readonly string[];
  /** Steps that should have been undone and were not, each with the reason. */
  readonly notUndone?: readonly { readonly step: string; readonly message: string }[];
};

/** Thrown by a step that must not be tried again, whatever its policy says. */
export class NonRetryableError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    hide(this, "name", "NonRetryableError");
  }
}

/**
 * Thrown by a step that knows when the next attempt makes sense. `delay` is a Duration: milliseconds
 * or text such as `"30 s"`; it is kept whole, and the attempt counts against the limit.
 */
export class RetryAfterError extends Error {
  readonly delay: number | string;

  constructor(message: string, delay: number | string, options?: { readonly cause?: unknown }) {
    super(message, options);
    hide(this, "name", "RetryAfterError");
    this.delay = delay;
  }
}

/** By class or by name: the error may come from another copy of the package, or another realm. */
export function isNonRetryable(error: unknown): boolean {
  return isA(error, NonRetryableError) || (isObject(error) && read(error, "name") === "NonRetryableError");
}

/** The delay a RetryAfterError asks for, as it was given, right or wrong; null where it names none, and for every other error. */
export function retryAfterOf(error: unknown): unknown {
  if (!isObject(error)) return null;
  if (!isA(error, RetryAfterError) && read(error, "name") !== "RetryAfterError") return null;
  return read(error, "delay") ?? null;
}

export const maxCauseDepth = 8;
const maxStoredErrors = 256;
/** Characters for which an error counts once more: calls between objects carry 32 MiB, in which the whole tree has to fit. */
const longError = 16_384;
const maxMessageLength = 65_536;
const maxStackLength = 8192;
const maxNameLength = 256;
/** Of the id of a call: a name of 256 characters of two units each, and its occurrence. */
const maxStepLength = 640;
/** The highest index of a revived list: a longer sparse array would take too long to go through. */
const maxIndex = 10_000_000;

/**
 * Anything thrown, in stored form. Long texts are cut, causes and members end at a depth of 8 and at 256 errors in all, of
 * which long ones count for several, and cycles where they close. A value that is not an error becomes one with the value's
 * text as message. Never throws.
 */
export function storeError(thrown: unknown): StoredError {
  return store(thrown, { above: [], left: maxStoredErrors });
}

/** The errors that this one is within, and how many more the whole tree may have. */
type Budget = { readonly above: unknown[]; left: number };

function store(thrown: unknown, budget: Budget): StoredError {
  const message = cut(messageOf(thrown), maxMessageLength);
  budget.left -= 1 + Math.floor(message.length / longError);
  if (!isErrorLike(thrown)) return { name: "Error", message };
  const text = (key: string, limit: number): string | undefined => {
    const value = read(thrown, key);
    return typeof value === "string" ? cut(value, limit) : undefined;
  };
  const attempts = read(thrown, "attempts");
  const index = read(thrown, "index");
  budget.above.push(thrown);
  const cause = storeInner(read(thrown, "cause"), budget);
  const errors = membersOf(thrown)?.map((member) => storeInner(member, budget));
  budget.above.pop();
  return defined({
    name: text("name", maxNameLength) ?? "Error",
    message,
    code: text("code", maxNameLength),
    step: text("step", maxStepLength),
    attempts: typeof attempts === "number" && Number.isFinite(attempts) ? attempts : undefined,
    index: isIndex(index) ? index : undefined,
    child: text("child", maxNameLength),
    stack: text("stack", maxStackLength),
    cause,
    errors: errors?.filter((member) => member !== undefined),
  });
}

function isIndex(index: unknown): index is number {
  return typeof index === "number" && Number.isInteger(index) && index >= 0 && index <= maxIndex;
}

function storeInner(thrown: unknown, budget: Budget): StoredError | undefined {
  if (thrown === undefined || thrown === null || budget.left <= 0) return undefined;
  if (budget.above.length > maxCauseDepth || budget.above.includes(thrown)) return undefined;
  return store(thrown, budget);
}

/** Classes other than AggregateError may hold anything in `errors`: it counts only where each of them is an error. */
function membersOf(error: object): readonly unknown[] | undefined {
  const members = read(error, "errors");
  if (!Array.isArray(members)) return undefined;
  if (isA(error, AggregateError) || read(error, "name") === aggregate) return members;
  return members.length > 0 && members.every((member) => isA(member, Error)) ? members : undefined;
}

/** An error with the recorded fields. */
export type RevivedError = Error & Partial<Pick<StoredError, (typeof marks)[number]>>;

/** Fields of an error that are stored unchanged. */
const marks = ["code", "step", "attempts", "index", "child", "undone", "notUndone"] as const;

/**
 * An Error to throw from what was stored: a built-in class by its name, an AggregateError where it
 * had members, else an Error of that name, since a class of the user's own cannot be made again.
 */
export function reviveError(stored: StoredError): RevivedError {
  const error: RevivedError = createError(stored.errors === undefined ? stored : { ...stored, type: aggregate });
  if (stored.cause !== undefined) hide(error, "cause", reviveError(stored.cause));
  if (stored.errors !== undefined) hide(error, "errors", reviveMembers(stored.errors, stored.code === "map_failed"));
  for (const mark of marks) if (stored[mark] !== undefined) Object.assign(error, { [mark]: stored[mark] });
  return error;
}

/** @param byIndex the errors of a map: each is put at the index of its item */
function reviveMembers(stored: readonly StoredError[], byIndex: boolean): RevivedError[] {
  const members: RevivedError[] = [];
  for (const [i, member] of stored.entries()) members[byIndex ? (member.index ?? i) : i] = reviveError(member);
  return members;
}

const aggregate = "AggregateError";

const builtIns: ReadonlyMap<string, new (message: string) => Error> = new Map([
  ["EvalError", EvalError],
  ["RangeError", RangeError],
  ["ReferenceError", ReferenceError],
  ["SyntaxError", SyntaxError],
  ["TypeError", TypeError],
  ["URIError", URIError],
]);

export type ErrorShape = {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  /** The built-in class, where it differs from the name. */
  readonly type?: string | undefined;
};

/** An Error of that class, name, message and stack; without a stack of its own where none is given. */
export function createError(shape: ErrorShape): Error {
  const BuiltIn = builtIns.get(shape.type ?? shape.name) ?? Error;
  const error = shape.type === aggregate ? new AggregateError([], shape.message) : new BuiltIn(shape.message);
  if (error.name !== shape.name) hide(error, "name", shape.name);
  if (shape.stack === undefined) delete error.stack;
  else hide(error, "stack", shape.stack);
  return error;
}

/** The nearest built-in class an error descends from, by name; undefined for a mere Error. */
export function builtInOf(error: object): string | undefined {
  for (let proto: unknown = error; isObject(proto); proto = Object.getPrototypeOf(proto)) {
    const maker = read(proto, "constructor");
    const name = typeof maker === "function" ? maker.name : "";
    if (builtIns.has(name) || name === aggregate) return name;
  }
  return undefined;
}

/** Sets a property that is not enumerable, like those of errors. */
export function hide(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: false });
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** `instanceof`, or false where asking throws: a proxy may do so. */
export function isA<Made>(value: unknown, maker: abstract new (...parts: never) => Made): value is Made {
  try {
    return value instanceof maker;
  } catch {
    return false;
  }
}

function isErrorLike(thrown: unknown): thrown is object {
  return isObject(thrown) && (isA(thrown, Error) || typeof read(thrown, "message") === "string");
}

/** A property, or undefined where reading it throws. */
function read(target: object, key: string): unknown {
  try {
    return Reflect.get(target, key);
  } catch {
    return undefined;
  }
}

/** Text for a thrown value that is not an error. */
function describe(thrown: unknown): string {
  if (typeof thrown === "string") return thrown;
  try {
    const json = isObject(thrown) ? JSON.stringify(thrown) : undefined;
    // What has nothing of its own to show says at least what it is: `[object Response]`.
    const tag = Object.prototype.toString.call(thrown);
    return json === "{}" && tag !== "[object Object]" ? tag : (json ?? String(thrown));
  } catch {
    return `a thrown ${typeof thrown} that cannot be shown`;
  }
}

/** The message of an error, or the text of any other thrown value. Never throws. */
export function messageOf(thrown: unknown): string {
  const message = isErrorLike(thrown) ? read(thrown, "message") : describe(thrown);
  return typeof message === "string" ? message : "";
}

/** The beginning of a text that is too long, marked, and never longer than the limit. */
function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const mark = `… (${text.length} characters)`;
  return text.slice(0, limit - mark.length) + mark;
}
