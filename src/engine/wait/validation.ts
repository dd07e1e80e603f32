/**
 * Owns: waiting for an asynchronous schema: the run counts as at work meanwhile, the schema has a time limit, and nothing
 * else need be delivered to the handler before it has settled.
 * Does not own: whose schema it is, and what happens to a value that it refuses (waits, calls, handler, renewal).
 * Invariant 1: while the handler itself waits for a schema, nothing else is delivered to it: in every life the order is
 * the same, however long the schema takes (guarantee 3).
 */
import { added, emptySet } from "../../core/empty.ts";
import type { ErrorCode } from "../../core/code.ts";
import { HoldfastError } from "../../core/error.ts";
import { takePayload } from "../../core/definition/payload.ts";
import { validate } from "../../core/definition/schema.ts";
import type { Schema } from "../../core/definition/schema.ts";
import { decode } from "../../core/value/value.ts";
import type { Stored } from "../../core/value/value.ts";
import type { Clock } from "../clock.ts";
import type { Pace } from "../turn/pace.ts";
import { openScope, within } from "../call/scope.ts";
import type { Scope } from "../call/scope.ts";

/** The same limit as for an author's functions that take the call of a webhook. */
const limitMs = 30_000;

/** The wait that takes the payload. */
type Waiting = { readonly name: string; readonly scope: Scope };

/** A payload as its schema makes it, or why the schema refuses it. */
export type Validated = { readonly value: unknown } | { readonly error: unknown };

/**
 * The schema may make no calls of step: those of one life would be made in no other.
 * @throws HoldfastError journal_corrupt, journal_newer: the payload cannot be read
 */
export function validatePayload(
  { name, scope }: Waiting,
  schema: Schema,
  payload: Stored,
): Validated | Promise<Validated> {
  const given = decode(payload);
  const inside = openScope(scope, `the schema of signal ${name}`);
  try {
    const made = within(inside, () => takePayload(schema, given, payloadOf(name)));
    if (!(made instanceof Promise)) return { value: made };
    return made.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
  } catch (error) {
    return { error };
  }
}

/** What a refusal calls the payload. */
export function payloadOf(name: string): string {
  return `the payload of signal ${name}`;
}

/** The refusal of a value whose schema did not settle in time. */
export function schemaTimeout(code: ErrorCode, what: string): HoldfastError {
  return new HoldfastError(code, `${what} is not valid: its schema did not answer within ${limitMs / 1000} s`);
}

type Validation = {
  /** When it is waited for no longer. */
  readonly endsAt: number;
  readonly giveUp: () => void;
};

/** A promise that is waited for no longer than `limitMs`; `drop` stops waiting for it. */
type Limited<Value> = { readonly made: Promise<Value>; readonly drop: () => void };

export class Validations {
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #wakeBy: (at: number) => void;
  #open: Set<Validation> = emptySet;

  /** @param wakeBy told of an instant at which there is something to do */
  constructor(clock: Clock, pace: Pace, wakeBy: (at: number) => void) {
    this.#clock = clock;
    this.#pace = pace;
    this.#wakeBy = wakeBy;
  }

  get count(): number {
    return this.#open.size;
  }

  /** When the first that is under way is given up; Infinity when none is. */
  get timeoutAt(): number {
    let first = Infinity;
    for (const { endsAt } of this.#open) first = Math.min(first, endsAt);
    return first;
  }

  /** Gives up those whose time is over. */
  expire(now: number): void {
    for (const validation of this.#open) if (validation.endsAt <= now) validation.giveUp();
  }

  /** The same promise, which rejects with what `late` returns if it takes too long. */
  limited<Value>(made: Promise<Value>, late: () => Error): Limited<Value> {
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    const drop = (): void => void this.#open.delete(validation);
    const giveUp = (): void => {
      drop();
      reject(late());
    };
    const validation: Validation = { endsAt: this.#clock.now() + limitMs, giveUp };
    this.#open = added(this.#open, validation);
    this.#wakeBy(validation.endsAt);
    made.then(resolve, reject);
    promise.then(drop, drop);
    return { made: promise, drop };
  }

  /** As `limited`, for what the handler itself waits for: nothing else is delivered to it before. */
  exclusive<Value>(made: Promise<Value>, late: () => Error): Promise<Value> {
    const heard = this.limited(made, late).made;
    // What fell due meanwhile is due now.
    const free = (): void => this.#wakeBy(-Infinity);
    this.#pace.awaitSchema(heard);
    heard.then(free, free);
    return heard;
  }

  /** The value that the schema makes of one from the handler. @throws HoldfastError with `code`, or rejects with it */
  fit<Output>(
    schema: Schema<unknown, Output> | undefined,
    value: unknown,
    code: ErrorCode,
    what: string,
  ): Output | Promise<Output> {
    const made = validate(schema, value, code, what);
    if (!(made instanceof Promise)) return made;
    // However quick it is, what the handler does in this turn comes before its answer: so it is in every life.
    made.catch(() => {});
    const heard = this.#clock.turn().then(() => made);
    return this.exclusive(heard, () => schemaTimeout(code, what));
  }
}
