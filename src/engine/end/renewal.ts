/**
 * Owns: `step.continueAsNew`: when the run goes on as new, and when it no longer may.
 * Does not own: the new journal (core/lifecycle/continuation), the handler's new start (drive).
 * Invariant 1: the new journal replaces the old one in one write: there is always exactly one.
 * Invariant 2: a run that was cancelled is not renewed; a paused one is once it is resumed.
 * Invariant 3: once it is asked for, and the input fits, nothing of the old journal begins any more.
 * Invariant 4: of that and the handler's own end (it bails, fails, or settles), the one that was called first counts, unless
 * the input of the new start is refused: how long its schema takes decides nothing (guarantee 3).
 */
import { added, emptySet } from "../../core/empty.ts";
import { continuationOf, nextIncarnation } from "../../core/lifecycle/continuation.ts";
import type { Incarnation } from "../../core/lifecycle/continuation.ts";
import { reviveError } from "../../core/error.ts";
import type { StoredError } from "../../core/error.ts";
import type { Definition } from "../../core/definition/definition.ts";
import { encode } from "../../core/value/value.ts";
import type { Calls } from "../call/calls.ts";
import type { Children } from "../child/children.ts";
import type { Closing } from "./closing.ts";
import type { Course } from "../turn/course.ts";
import type { End } from "./ending.ts";

/** `next` is null while the schema looks at its input. */
type Request = { next: Incarnation | null; reject: (error: unknown) => void };

export class Renewal {
  /** The journal is that of the run's next incarnation. */
  done = false;
  readonly #definition: Definition;
  readonly #course: Course;
  readonly #calls: Calls;
  readonly #closing: Closing;
  readonly #children: Children;
  /** In the order in which they were made, however long their schemas take. */
  #requests: Set<Request> = emptySet;
  /** The ends that the handler has come to meanwhile: they count should all of these be refused. */
  #ends: Set<() => void> = emptySet;
  #refusal: StoredError | null = null;

  constructor(definition: Definition, course: Course, calls: Calls, closing: Closing, children: Children) {
    this.#definition = definition;
    this.#course = course;
    this.#calls = calls;
    this.#closing = closing;
    this.#children = children;
  }

  /** The handler has asked for it, its input fits, and the run is not on its way to its end. */
  get requested(): boolean {
    return this.#isAsked && this.#next !== null;
  }

  /** The same, or schemas still look at the inputs of all requests. */
  get #isAsked(): boolean {
    return this.#requests.size > 0 && !this.#closing.concluded;
  }

  /** Of several, the first counts. */
  get #next(): Incarnation | null {
    for (const { next } of this.#requests) if (next !== null) return next;
    return null;
  }

  /** Rejects with input_invalid, label_invalid, value_uncloneable, value_too_large; else as {@link Renewal.#ask}. */
  async request(input: unknown): Promise<never> {
    // At once, or how long its input is looked at would decide which of two calls hears of it first.
    if (this.#refusal !== null) throw reviveError(this.#refusal);
    if (this.#calls.frozen) return await new Promise(() => {});
    const request: Request = { next: null, reject: () => {} };
    this.#requests = added(this.#requests, request);
    try {
      const fitted = this.#course.validations.fit(this.#definition.input, input, "input_invalid", "the input");
      const stored = encode(fitted instanceof Promise ? await fitted : fitted, "the input");
      return await this.#ask(request, nextIncarnation(this.#definition, this.#course.state.creation, stored));
    } catch (error) {
      this.#requests.delete(request);
      this.#endUnlessAsked();
      throw error;
    }
  }

  /** Rejects where the run is cancelled; else it stays pending, for the handler is over. */
  #ask(request: Request, next: Incarnation): Promise<never> {
    return new Promise((_resolve, reject) => {
      if (this.#refusal !== null) throw reviveError(this.#refusal);
      // The handler can do nothing more: its call stays pending.
      if (this.#closing.concluded) return;
      [request.next, request.reject] = [next, reject];
      this.#closing.finished = true;
      this.#course.stirred.ring();
      this.proceed();
    });
  }

  /** In its turn, once the replay is over and nothing holds the run back. */
  proceed(): void {
    if (this.requested && this.#course.live) this.#course.post(() => this.#renew());
  }

  /** The handler has settled: one that goes on as new does not end by that, unless it is cancelled instead. */
  handlerSettled(end: End): void {
    this.#endBy(() => this.#closing.handlerSettled(end));
  }

  /** The handler ends the run itself, by bail or fail. */
  leave(end: End): void {
    this.#endBy(() => this.#closing.leave(end));
  }

  /** While it is open whether that end counts, the handler gets no further. */
  #endBy(conclude: () => void): void {
    if (!this.#isAsked) return conclude();
    if (this.#next === null) this.#calls.frozen = true;
    this.#ends = added(this.#ends, conclude);
  }

  /** Once all are refused, the handler ends as it wanted meanwhile. */
  #endUnlessAsked(): void {
    if (this.#isAsked) return;
    for (const conclude of this.#ends) conclude();
    this.#ends = emptySet;
  }

  /** The run is cancelled: the handler is to clean up instead. False where it had not asked to go on as new. */
  refuse(error: StoredError): boolean {
    this.#refusal = error;
    if (!this.requested) return false;
    this.#closing.finished = false;
    for (const { reject } of this.#requests) reject(reviveError(error));
    this.#requests.clear();
    this.#endUnlessAsked();
    return true;
  }

  #renew(): void {
    const { ledger, world, suspended, over, careful } = this.#course;
    const next = this.#next;
    if (next === null || !this.requested || suspended || over) return;
    const starting = this.#children.underWay().map(({ child }) => child);
    ledger.restart(continuationOf(ledger.state, next, world.deployment, starting));
    // What killed the process lately may happen again: the new journal is durable before its first step.
    ledger.openedRecovered = careful;
    this.done = true;
    this.#course.stop(() => new Error("the run goes on as new"));
  }
}
