/**
 * Owns: `step.continueAsNew`: when the run goes on as new, and when it no longer may.
 * Does not own: what of the run is left (core/continuation), the handler's new start (run).
 * Invariant 1: one write replaces the old journal by the new: never both are there, nor neither.
 * Invariant 2: a run that was cancelled is not renewed; a paused one is once it is resumed.
 */
import { continuationOf, lifeOf } from "../core/continuation.ts";
import type { Life } from "../core/continuation.ts";
import { reviveError } from "../core/error.ts";
import type { StoredError } from "../core/error.ts";
import type { Definition } from "../core/definition.ts";
import { encode } from "../core/value.ts";
import type { Calls } from "./calls.ts";
import type { Closing } from "./closing.ts";
import type { Course } from "./course.ts";

type Request = { readonly life: Life; readonly reject: (error: unknown) => void };

export class Renewal {
  /** The journal is that of the run's next life. */
  done = false;
  readonly #definition: Definition;
  readonly #course: Course;
  readonly #calls: Calls;
  readonly #closing: Closing;
  #request: Request | null = null;
  #refusal: StoredError | null = null;

  constructor(definition: Definition, course: Course, calls: Calls, closing: Closing) {
    this.#definition = definition;
    this.#course = course;
    this.#calls = calls;
    this.#closing = closing;
  }

  get requested(): boolean {
    return this.#request !== null;
  }

  /** Rejects with input_invalid, label_invalid, value_uncloneable, value_too_large; else as {@link Renewal.#ask}. */
  async request(input: unknown): Promise<never> {
    const fitted = this.#course.validations.fit(this.#definition.input, input, "input_invalid", "the input");
    const stored = encode(fitted instanceof Promise ? await fitted : fitted, "the input");
    const { created } = this.#course.state;
    if (created === null) throw new Error("a run that was never created cannot go on");
    return await this.#ask(lifeOf(this.#definition, created, stored));
  }

  /** Rejects where the run is cancelled; else it stays pending, for the handler is over. */
  #ask(life: Life): Promise<never> {
    return new Promise((_resolve, reject) => {
      if (this.#refusal !== null) throw reviveError(this.#refusal);
      // Of two, the first counts.
      if (this.#request !== null) return;
      this.#request = { life, reject };
      this.#closing.finished = true;
      this.#course.stirred.ring();
      this.proceed();
    });
  }

  /** In its turn, once the replay is over and nothing holds the run back. */
  proceed(): void {
    if (this.#request !== null && this.#course.live) this.#course.post(() => this.#renew());
  }

  /** The run is cancelled: the handler is to clean up instead. */
  refuse(error: StoredError): void {
    this.#refusal = error;
    const request = this.#request;
    if (request === null) return;
    this.#request = null;
    this.#closing.finished = false;
    request.reject(reviveError(error));
  }

  #renew(): void {
    const { ledger, world, held, over } = this.#course;
    if (this.#request === null || held || over || this.#calls.frozen) return;
    ledger.restart(continuationOf(ledger.state, this.#request.life, world.deployment));
    this.done = true;
    this.#course.stop(new Error("the run goes on as new"));
  }
}
