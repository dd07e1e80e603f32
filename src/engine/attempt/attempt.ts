/**
 * Owns: one attempt of one step: calling the author's function, ending the attempt early, and whether it waited for anything.
 * Does not own: what its end means (attempts, verdict).
 * Invariant 1: it ends exactly once, whatever the function does after its timeout.
 */
import { HoldfastError } from "../../core/error.ts";
import type { AttemptContext } from "../../core/definition/options.ts";
import { isThenable } from "../../core/thenable.ts";
import { pass } from "../turn/microtask.ts";
import { captureAsyncContext, openScope, within } from "../call/scope.ts";
import type { AsyncContext, Scope } from "../call/scope.ts";
import type { Stored } from "../../core/value/value.ts";

export type AttemptEnd =
  | { readonly ok: true; readonly value: unknown }
  /** The result of an attempt that was made elsewhere comes in stored form. */
  | { readonly ok: true; readonly stored: Stored }
  | { readonly ok: false; readonly error: unknown };

export type AttemptPlan = {
  /** In words, what the function is that of. */
  readonly inside: string;
  readonly number: number;
  /** These two are made when the function reads them: most functions read neither. */
  readonly idempotencyKey: () => string;
  readonly traceparent: () => string;
  readonly startedAt: number;
  readonly timeoutMs: number;
  /** In which the step was called. */
  readonly scope: Scope;
  /** The one in which the step was called; unset where the attempt begins in it. */
  readonly asyncContext: AsyncContext | undefined;
  readonly fn: (context: AttemptContext) => unknown;
};

/** A function that settles within so many microtasks has waited for no timer and no I/O. */
const quickMicrotasks = 12;

export class Attempt {
  readonly number: number;
  readonly startedAt: number;
  timeoutAt: number;
  /** It was told to stop, and how it ends is still waited for. */
  stopped = false;
  /** It has waited for nothing so far, no timer and no I/O. */
  quick = true;
  /** The one in which the step was called; unset if this attempt began in it, has waited for nothing, and has not failed. */
  asyncContext: AsyncContext | undefined;
  /** Made when the function reads its `signal`: most functions do not. */
  #controller: AbortController | null = null;
  /** Why it is to stop. */
  #reason: Error | null = null;
  readonly #plan: AttemptPlan;
  readonly #ended: (end: AttemptEnd) => void;
  #over = false;

  constructor(plan: AttemptPlan, ended: (end: AttemptEnd) => void) {
    this.#plan = plan;
    this.#ended = ended;
    this.number = plan.number;
    this.asyncContext = plan.asyncContext;
    this.startedAt = plan.startedAt;
    this.timeoutAt = plan.startedAt + plan.timeoutMs;
  }

  /** It has ended, or was abandoned; its end may still be waiting in the queue to go on record. */
  get over(): boolean {
    return this.#over;
  }

  start(): void {
    const { asyncContext } = this.#plan;
    if (asyncContext === undefined) this.#call();
    else asyncContext(() => this.#call());
  }

  #call(): void {
    const { scope, inside, fn } = this.#plan;
    try {
      const result = within(openScope(scope, inside), () => fn(this.#context()));
      if (!isThenable(result)) return this.#end({ ok: true, value: result });
      void this.#watch();
      Promise.resolve(result).then(
        (value) => this.#end({ ok: true, value }),
        (error: unknown) => this.#fail(error),
      );
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.asyncContext ??= captureAsyncContext();
    this.#end({ ok: false, error });
  }

  /** A new object for each call: `map` adds to it. */
  #context(): AttemptContext {
    const { number, idempotencyKey, traceparent } = this.#plan;
    const signal = (): AbortSignal => this.#signal();
    return {
      attempt: number,
      get idempotencyKey() {
        return idempotencyKey();
      },
      get signal() {
        return signal();
      },
      get traceparent() {
        return traceparent();
      },
    };
  }

  #signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#reason !== null) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  #abort(reason: Error): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
  }

  async #watch(): Promise<void> {
    await pass(quickMicrotasks);
    if (this.#over) return;
    this.quick = false;
    this.asyncContext ??= captureAsyncContext();
  }

  expire(): void {
    const { inside, timeoutMs } = this.#plan;
    const why = this.stopped ? "was told to stop and did not" : `took longer than its timeout of ${timeoutMs} ms`;
    const error = new HoldfastError("step_timeout", `${inside} ${why}`);
    this.#end({ ok: false, error });
    this.#abort(error);
  }

  /** Aborts the function's `signal`, and waits for its end until `timeoutAt`. */
  stop(reason: Error, timeoutAt: number): void {
    this.stopped = true;
    this.timeoutAt = Math.min(this.timeoutAt, timeoutAt);
    this.#abort(reason);
  }

  /** The run has ended: nobody waits for this attempt any more. */
  abandon(reason: Error): void {
    this.#over = true;
    this.#abort(reason);
  }

  /** Ends an attempt that a courier made: the function was never called here. */
  settle(end: AttemptEnd): void {
    this.quick = false;
    this.#end(end);
  }

  #end(end: AttemptEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#ended(end);
  }
}
