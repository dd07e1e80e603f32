/**
 * What whoever has to do with a run holds of it, inside of the Worker (objects/handle) and outside (client/run): the
 * same calls with the same names. Values are as they are, a run's own instants are dates.
 */
import type { Duration, Instant } from "./duration.ts";
import type { ParentRun, ScheduleFiring } from "./origin.ts";
import type { ActiveAttempt, RunStatus, Waiting } from "./run.ts";
import type { SignalTypes } from "./step.ts";
import type { Usage } from "./usage.ts";

export type StartOptions = {
  /** `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}`; the same id again finds the same run. */
  readonly id?: string;
  /** Begin this much later. */
  readonly delay?: Duration;
  /** Begin at this instant; not beside `delay`. */
  readonly startAt?: Instant;
  /**
   * Cancel the run instead of beginning it after this instant, with code `start_expired`; at this instant where it has
   * not begun by then, whatever it waits for.
   */
  readonly notAfter?: Instant;
  readonly labels?: Readonly<Record<string, string>>;
  /** Addresses that are told of its end, at most 10, beside those that the workflow names; see docs/webhooks.md. */
  readonly notify?: string | readonly string[];
  /** Sent in one with the start; or to the run of this id that there is already, whatever its input was. */
  readonly signal?: { readonly name: string; readonly payload?: unknown };
  /** The W3C trace that the run becomes a part of, as the header of a request has it; ignored where it is not valid. */
  readonly traceparent?: string | null;
};

/** A run as code in the Worker sees it: values as they are, its own instants as dates. */
export type RunView<Output = unknown> = {
  readonly id: string;
  readonly workflow: string;
  readonly version: string;
  readonly status: RunStatus;
  readonly input: unknown;
  /** Null until the run has completed. */
  readonly output: Output | null;
  readonly error: Error | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly progress: unknown;
  readonly parent: ParentRun | null;
  readonly schedule: ScheduleFiring | null;
  /** The run whose history this one began with, and the step from which on it goes its own way. */
  readonly fork: { readonly id: string; readonly step: string | null } | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly updatedAt: Date;
  readonly finishedAt: Date | null;
  /** `since` and `until` are epoch ms. */
  readonly waitingFor: readonly Waiting[];
  readonly reason: string | null;
  readonly steps: { readonly completed: number; readonly failed: number; readonly running: number };
  /** Attempts in flight, the oldest first, at most 20; `since` is epoch ms. */
  readonly active: readonly ActiveAttempt[];
  /** W3C traceparent of the run's own span. */
  readonly trace: string;
  /** What it took of the platform so far; the `cost` of the API is made of it, with a price. */
  readonly usage: Usage;
};

export interface RunHandle<Output = unknown, Signals extends SignalTypes = SignalTypes> {
  readonly id: string;
  /** @throws HoldfastError run_not_found */
  status(): Promise<RunView<Output>>;
  /**
   * The output, once the run has completed; waits for it as long as it takes.
   * @throws the run's error when it failed or was cancelled, with its `code`; run_not_found
   */
  result(): Promise<Output>;
  /** @throws HoldfastError run_not_found, run_ended, signal_invalid, idempotency_conflict */
  signal<Name extends keyof Signals & string>(
    name: Name,
    ...args: undefined extends Signals[Name]
      ? [payload?: Signals[Name], options?: SignalOptions]
      : [payload: Signals[Name], options?: SignalOptions]
  ): Promise<void>;
  /** One that the workflow declares no schema for. */
  signal<Name extends string>(
    name: Name extends keyof Signals ? never : Name,
    payload?: unknown,
    options?: SignalOptions,
  ): Promise<void>;
  /**
   * What the function registered with `step.query` answers; it changes nothing, also after the run's end.
   * @throws what the function threw; HoldfastError run_not_found, query_not_found, query_timeout, version_missing
   */
  query<Result = unknown>(name: string): Promise<Result>;
  /**
   * What the function registered with `step.update` makes of the argument; waits for it as long as it takes.
   * @throws what the function threw; HoldfastError run_not_found, update_not_found, update_invalid, run_paused,
   * run_ended, version_missing, idempotency_conflict
   */
  update<Result = unknown>(name: string, argument?: unknown, options?: UpdateOptions): Promise<Result>;
  /** @throws HoldfastError run_not_found, run_ended */
  cancel(reason?: string): Promise<void>;
  /** Ends the run at once, without undoing anything. @throws HoldfastError run_not_found, run_ended */
  terminate(reason?: string): Promise<void>;
  /** Nothing begins any more until `resume`. @throws HoldfastError run_not_found, run_ended */
  pause(reason?: string): Promise<void>;
  /** @throws HoldfastError run_not_found, run_ended */
  resume(reason?: string): Promise<void>;
  /** A failed run goes on from what failed; one that waits for its next attempt makes it now. @throws HoldfastError run_not_found, not_retryable, singleton_held */
  retry(reason?: string): Promise<void>;
  /**
   * Starts a run with this one's history up to a step; this one goes on as it was.
   * @throws HoldfastError run_not_found, fork_invalid, input_invalid, id_invalid, run_exists, rate_limited
   */
  fork(options?: ForkOptions): Promise<RunHandle<Output, Signals>>;
}

export type ForkOptions = {
  /** The call to go on from, as `charge` or `charge#2`; from the start unless given. */
  readonly from?: string;
  /** Takes the place of the input. */
  readonly input?: unknown;
  /** Results of steps by their names, in the place of what they gave, or of what they would give. */
  readonly results?: Readonly<Record<string, unknown>>;
  /** Of the new run. */
  readonly id?: string;
  readonly reason?: string;
  /** The same key again finds the same run. */
  readonly idempotencyKey?: string;
};

export type SignalOptions = {
  /** The same key again is the same signal. */
  readonly idempotencyKey?: string;
  /** The W3C trace that has a part in the run by it; ignored where it is not valid. */
  readonly traceparent?: string | null;
};

export type UpdateOptions = {
  /** The same key again is the same update. */
  readonly idempotencyKey?: string;
};
