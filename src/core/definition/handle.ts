/**
 * The handle of a run: the same interface inside the Worker (objects/deployment/handle) and outside of it
 * (client/run). Values are plain JavaScript values, and the run's own instants are dates.
 */
import type { Duration, Instant } from "../duration.ts";
import type { ParentRun, ScheduleFiring } from "../run/origin.ts";
import type { ActiveAttempt, RunStatus, Waiting } from "../run/run.ts";
import type { SignalTypes } from "./step.ts";
import type { Usage } from "../run/usage.ts";

export type StartOptions = {
  /** `[A-Za-z0-9][A-Za-z0-9._:-]{0,127}`; the same id again finds the same run. */
  readonly id?: string;
  /** Begin this much later. */
  readonly delay?: Duration;
  /** Begin at this instant; not beside `delay`. */
  readonly startAt?: Instant;
  /**
   * Cancel the run with code `start_expired` at this instant if it has not begun by then, whatever it waits for.
   */
  readonly notAfter?: Instant;
  readonly labels?: Readonly<Record<string, string>>;
  /** Addresses that are notified of its end, at most 10, besides those that the workflow names; see docs/webhooks.md. */
  readonly notify?: string | readonly string[];
  /** Sent together with the start; if a run of this id exists already, to that run, whatever its input was. */
  readonly signal?: { readonly name: string; readonly payload?: unknown };
  /** The W3C trace that the run becomes a part of, as a `traceparent` header; ignored where it is not valid. */
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
  /** The run that this one was forked from, and the step at which; null: at the start. */
  readonly fork: { readonly id: string; readonly step: string | null } | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly updatedAt: Date;
  readonly finishedAt: Date | null;
  /** `since` and `until` are epoch ms. */
  readonly waitingFor: readonly Waiting[];
  readonly reason: string | null;
  readonly steps: { readonly completed: number; readonly failed: number; readonly running: number };
  /** Attempts in flight, the oldest first, at most 20; `since` and `until` are epoch ms. */
  readonly active: readonly ActiveAttempt[];
  /** W3C traceparent of the run's own span. */
  readonly trace: string;
  /** Its usage of the platform so far, from which the `cost` of the API is calculated. */
  readonly usage: Usage;
};

/** Any name: a workflow also takes signals for which it declares no schema. Editors offer those that it declares. */
export type SignalName<Signals extends SignalTypes> = (keyof Signals & string) | (string & {});

/**
 * The payload of a signal, as its schema takes it; anything where the workflow declares none. It may be left out where it
 * may be undefined or `{}`, as which a signal without a payload arrives.
 */
export type Sending<Signals extends SignalTypes, Name, Rest extends unknown[] = []> = Name extends keyof Signals
  ? Record<never, never> extends Signals[Name]
    ? [payload?: Signals[Name], ...rest: Rest]
    : undefined extends Signals[Name]
      ? [payload?: Signals[Name], ...rest: Rest]
      : [payload: Signals[Name], ...rest: Rest]
  : [payload?: unknown, ...rest: Rest];

export interface RunHandle<Output = unknown, Signals extends SignalTypes = SignalTypes> {
  readonly id: string;
  /** @throws HoldfastError run_not_found */
  status(): Promise<RunView<Output>>;
  /**
   * The output. Waits until the run has ended, however long that takes.
   * @throws the run's error when it failed or was cancelled, with its `code`; run_not_found
   */
  result(): Promise<Output>;
  /** @throws HoldfastError run_not_found, run_ended, signal_invalid, idempotency_conflict */
  signal<Name extends SignalName<Signals>>(
    name: Name,
    ...args: Sending<Signals, Name, [options?: SignalOptions]>
  ): Promise<void>;
  /**
   * The answer of the function registered with `step.query`, also after the run's end. It changes nothing.
   * @throws what the function threw; HoldfastError run_not_found, query_not_found, query_impure, query_timeout, version_missing
   */
  query<Result = unknown>(name: string): Promise<Result>;
  /**
   * The result of the function registered with `step.update`. Waits for it, however long that takes.
   * @throws what the function threw; HoldfastError run_not_found, update_not_found, update_invalid, run_paused,
   * run_ended, version_missing, idempotency_conflict
   */
  update<Result = unknown>(name: string, argument?: unknown, options?: UpdateOptions): Promise<Result>;
  /** @throws HoldfastError run_not_found, run_ended */
  cancel(reason?: string): Promise<void>;
  /** Ends the run at once, without undoing anything. @throws HoldfastError run_not_found, run_ended */
  terminate(reason?: string): Promise<void>;
  /** No step begins until `resume`. @throws HoldfastError run_not_found, run_ended */
  pause(reason?: string): Promise<void>;
  /** @throws HoldfastError run_not_found, run_ended */
  resume(reason?: string): Promise<void>;
  /**
   * A failed run goes on from the steps that failed; one that waits for its next attempt makes it now.
   * @throws HoldfastError run_not_found, not_retryable, singleton_held
   */
  retry(reason?: string): Promise<void>;
  /**
   * Starts a new run with this one's history up to a step; this one is not changed.
   * @throws HoldfastError run_not_found, fork_invalid, input_invalid, id_invalid, run_exists, rate_limited
   */
  fork(options?: ForkOptions): Promise<RunHandle<Output, Signals>>;
}

export type ForkOptions = {
  /** The call to fork from, as `charge` or `charge#2`; from the start unless given. */
  readonly from?: string;
  /** Replaces the input. */
  readonly input?: unknown;
  /** Results of steps by their names, which replace those on record, or are used instead of running the step. */
  readonly results?: Readonly<Record<string, unknown>>;
  /** The id of the new run. */
  readonly id?: string;
  readonly reason?: string;
  /** The same key again finds the same run. */
  readonly idempotencyKey?: string;
};

export type SignalOptions = {
  /** The same key again is the same signal. */
  readonly idempotencyKey?: string;
  /** The W3C trace to which the run's trace is linked by this signal; ignored where it is not valid. */
  readonly traceparent?: string | null;
};

export type UpdateOptions = {
  /** The same key again is the same update. */
  readonly idempotencyKey?: string;
};
