/**
 * Owns: one attempt of one step: calling the user's function, and ending it early.
 * Does not own: what its end means; that is the execution's.
 * Invariant 1: it ends exactly once, whatever the function does after its timeout.
 */
import { HoldfastError } from "../core/error.ts";
import type { AttemptContext } from "../core/step.ts";

export type AttemptEnd =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown };

export type AttemptPlan = {
  readonly step: string;
  readonly number: number;
  readonly idempotencyKey: string;
  /** Asked for when the function asks. */
  readonly traceparent: () => string;
  readonly startedAt: number;
  readonly timeoutMs: number;
  readonly fn: (context: AttemptContext) => unknown;
};

export class Attempt {
  readonly number: number;
  readonly startedAt: number;
  timeoutAt: number;
  /** It was told to stop and is waited for. */
  stopped = false;
  readonly #controller = new AbortController();
  readonly #plan: AttemptPlan;
  readonly #ended: (end: AttemptEnd) => void;
  #over = false;

  constructor(plan: AttemptPlan, ended: (end: AttemptEnd) => void) {
    this.#plan = plan;
    this.#ended = ended;
    this.number = plan.number;
    this.startedAt = plan.startedAt;
    this.timeoutAt = plan.startedAt + plan.timeoutMs;
  }

  start(): void {
    const { fn, number, idempotencyKey, traceparent } = this.#plan;
    const { signal } = this.#controller;
    try {
      const result = fn({
        attempt: number,
        idempotencyKey,
        signal,
        get traceparent() {
          return traceparent();
        },
      });
      Promise.resolve(result).then(
        (value) => this.#end({ ok: true, value }),
        (error: unknown) => this.#end({ ok: false, error }),
      );
    } catch (error) {
      this.#end({ ok: false, error });
    }
  }

  expire(): void {
    const { step, timeoutMs } = this.#plan;
    const why = this.stopped ? "was told to stop and did not" : `took longer than its timeout of ${timeoutMs} ms`;
    const error = new HoldfastError("step_timeout", `step ${step} ${why}`);
    this.#end({ ok: false, error });
    this.#controller.abort(error);
  }

  /** Asks the function to stop, and gives it until then to say how it ended. */
  stop(reason: Error, timeoutAt: number): void {
    this.stopped = true;
    this.timeoutAt = Math.min(this.timeoutAt, timeoutAt);
    this.#controller.abort(reason);
  }

  /** The run has ended: nobody waits for this attempt any more. */
  abandon(reason: Error): void {
    this.#over = true;
    this.#controller.abort(reason);
  }

  #end(end: AttemptEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#ended(end);
  }
}
