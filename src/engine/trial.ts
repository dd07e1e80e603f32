/**
 * Owns: waiting for what a schema makes of a value where that takes its time: that the run is at work meanwhile, for how
 * long it is waited for, and whether the handler hears of anything else before.
 * Does not own: whose schema it is, and what comes of a value that it refuses (waits, calls, handler, renewal).
 * Invariant 1: nothing overtakes what the handler itself is kept waiting for by a schema: in every life the two come in
 * the same order, however long the schema takes (guarantee 3).
 */
import type { ErrorCode } from "../core/code.ts";
import { HoldfastError } from "../core/error.ts";
import { takePayload } from "../core/payload.ts";
import { validate } from "../core/schema.ts";
import type { Schema } from "../core/schema.ts";
import { decode } from "../core/value.ts";
import type { Stored } from "../core/value.ts";
import type { Clock } from "./clock.ts";
import type { Pace } from "./pace.ts";
import { openScope, within } from "./scope.ts";
import type { Scope } from "./scope.ts";

/** As long as an author's function may take over the call of a webhook. */
const limitMs = 30_000;

/** The wait that the payload is for. */
type Waiting = { readonly name: string; readonly scope: Scope };

/** What a schema has made of a payload. */
export type Verdict = { readonly value: unknown } | { readonly error: unknown };

/**
 * A call of step that the schema made would be made in no other life: it makes none.
 * @throws HoldfastError journal_corrupt, journal_newer: the payload cannot be read
 */
export function judge({ name, scope }: Waiting, schema: Schema, payload: Stored): Verdict | Promise<Verdict> {
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

/** What a refusal calls it. */
export function payloadOf(name: string): string {
  return `the payload of signal ${name}`;
}

/** The refusal of a value that its schema says nothing about. */
export function lateFor(code: ErrorCode, what: string): HoldfastError {
  return new HoldfastError(code, `${what} is not valid: its schema did not answer within ${limitMs / 1000} s`);
}

type Trial = {
  /** When it is waited for no longer. */
  readonly endsAt: number;
  readonly giveUp: () => void;
};

/** What is waited for no longer than for a while; `drop` where nobody waits for it any more. */
type Limited<Value> = { readonly made: Promise<Value>; readonly drop: () => void };

export class Trials {
  readonly #clock: Clock;
  readonly #pace: Pace;
  readonly #expect: (at: number) => void;
  readonly #open = new Set<Trial>();

  /** @param expect told of an instant at which there is something to do */
  constructor(clock: Clock, pace: Pace, expect: (at: number) => void) {
    this.#clock = clock;
    this.#pace = pace;
    this.#expect = expect;
  }

  get count(): number {
    return this.#open.size;
  }

  /** When the first of them has had its time; Infinity when none is under way. */
  get timeoutAt(): number {
    let first = Infinity;
    for (const { endsAt } of this.#open) first = Math.min(first, endsAt);
    return first;
  }

  /** Gives up those whose time is over. */
  expire(now: number): void {
    for (const trial of this.#open) if (trial.endsAt <= now) trial.giveUp();
  }

  /** What comes of it; rejects with what `late` answers where that takes too long. */
  limited<Value>(made: Promise<Value>, late: () => Error): Limited<Value> {
    const { promise, resolve, reject } = Promise.withResolvers<Value>();
    const drop = (): void => void this.#open.delete(trial);
    const giveUp = (): void => {
      drop();
      reject(late());
    };
    const trial: Trial = { endsAt: this.#clock.now() + limitMs, giveUp };
    this.#open.add(trial);
    this.#expect(trial.endsAt);
    made.then(resolve, reject);
    promise.then(drop, drop);
    return { made: promise, drop };
  }

  /** The same of what the handler waits for: until then it hears of nothing else. */
  heard<Value>(made: Promise<Value>, late: () => Error): Promise<Value> {
    const heard = this.limited(made, late).made;
    // What fell due meanwhile is due now.
    const free = (): void => this.#expect(-Infinity);
    this.#pace.hold(heard);
    heard.then(free, free);
    return heard;
  }

  /** What the schema makes of a value of the handler's. @throws HoldfastError with `code`, or rejects with it */
  fit<Output>(
    schema: Schema<unknown, Output> | undefined,
    value: unknown,
    code: ErrorCode,
    what: string,
  ): Output | Promise<Output> {
    const made = validate(schema, value, code, what);
    return made instanceof Promise ? this.heard(made, () => lateFor(code, what)) : made;
  }
}
