/**
 * Owns: the types of a rehearsal, as a test gets them.
 * Does not own: their implementation (control).
 */
import type { Duration } from "../core/duration.ts";
import type { Entry } from "../core/history/entry.ts";
import type { RunHandle, Sending, SignalName } from "../core/definition/handle.ts";
import type { RunStatus, Waiting } from "../core/run/run.ts";
import type { HookAnswer } from "../core/service/hooks.ts";
import type { SignalTypes } from "../core/definition/step.ts";
import type { SentSignal } from "./script.ts";

/**
 * One entry of the history: a sentence in `text`, and the fields of its kind as in docs/journal.md, with plain values.
 */
export type HistoryEntry = {
  readonly seq: number;
  readonly at: Date;
  readonly kind: Entry["kind"];
  readonly text: string;
  readonly [field: string]: unknown;
};

/** A call of a webhook. */
export type HookCall = {
  /** POST unless set. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  /** Text and bytes go out as they are, anything else as JSON. */
  readonly body?: unknown;
};

/** The answer to the caller of a webhook; `response` if the workflow made one. */
export type HookReply = HookAnswer;

/** The types of a workflow's runs. */
type Handled<Output, Signals extends SignalTypes> = {
  readonly name: string;
  get(id: string): RunHandle<Output, Signals>;
};

/** The state of a run, which is compared after deaths. */
export type Standing = Pick<Rehearsal, "status" | "output" | "error" | "waitingFor" | "progress" | "history">;

export type CrashOptions = {
  /** Returns what has to be the same whenever the process dies; status, output, error, open waits and progress unless set. */
  readonly compare?: (run: Standing) => unknown;
};

/**
 * A run in rehearsal: real code over a real journal, in memory and in virtual time. Time passes only in `skip`, `end` and
 * `result`, and in an `update` that needs it. Every call resolves once nothing more happens by itself at that instant.
 * @throws RehearsalError from any call: a mistake in the rehearsal, or a stand-in that was never used
 */
export interface Rehearsal<Output = unknown, Signals extends SignalTypes = SignalTypes> {
  readonly id: string;
  readonly status: RunStatus;
  /** Null until the run has completed. */
  readonly output: Output | null;
  /** The error with its `code`, if the run failed, was cancelled, or is paused because of it; else null. */
  readonly error:
    | (Error & { readonly code?: string; readonly step?: string; readonly undone?: readonly string[] })
    | null;
  /** Its open waits; `since` and `until` are epoch ms. */
  readonly waitingFor: readonly Waiting[];
  /** One sentence on why it does not progress, or what it is executing; null when it has completed. */
  readonly reason: string | null;
  readonly progress: unknown;
  readonly labels: Readonly<Record<string, string>>;
  readonly history: readonly HistoryEntry[];
  /** Signals that runs of the rehearsal sent to runs outside of it. */
  readonly sent: readonly SentSignal[];
  /** The virtual time. */
  readonly now: Date;

  /** @throws HoldfastError run_ended, signal_invalid */
  signal<Name extends SignalName<Signals>>(name: Name, ...args: Sending<Signals, Name>): Promise<void>;
  /**
   * Calls a webhook, by its name (`review`, `review#2`) or its address.
   * @throws HoldfastError webhook_not_found, webhook_expired, webhook_rejected, body_invalid, run_ended
   */
  call(webhook: string, call?: HookCall): Promise<HookReply>;
  /** @throws what the function threw; HoldfastError query_not_found */
  query<Result = unknown>(name: string): Promise<Result>;
  /** Waits for the answer, also where that takes virtual time. @throws what the function threw; HoldfastError update_not_found, update_invalid, run_paused, run_ended */
  update<Result = unknown>(name: string, argument?: unknown): Promise<Result>;
  /** @throws HoldfastError run_ended */
  cancel(reason?: string): Promise<void>;
  /** @throws HoldfastError run_ended */
  terminate(reason?: string): Promise<void>;
  /** @throws HoldfastError run_ended */
  pause(reason?: string): Promise<void>;
  /** @throws HoldfastError run_ended */
  resume(reason?: string): Promise<void>;
  /** @throws HoldfastError not_retryable */
  retry(reason?: string): Promise<void>;

  /** Lets that much time pass: sleeps end, timeouts fire, retries are made. @throws HoldfastError duration_invalid */
  skip(duration: Duration): Promise<void>;
  /**
   * Lets time pass until the run has ended, however it ends.
   * @throws RehearsalError where it never does by itself: it waits for a signal, a webhook, a person
   */
  end(): Promise<void>;
  /** Lets time pass until the end, and returns the output. @throws the run's error, and as `end` */
  result(): Promise<Output>;

  /** The n-th child of this workflow, from 0, that any run of the rehearsal started; typed by its definition. */
  child<ChildOutput, ChildSignals extends SignalTypes>(
    workflow: Handled<ChildOutput, ChildSignals>,
    n?: number,
  ): Rehearsal<ChildOutput, ChildSignals>;
  child<ChildOutput = unknown>(workflow: string | { readonly name: string }, n?: number): Rehearsal<ChildOutput>;

  /**
   * The process dies now, with all variables of the handlers; the next one begins with the recorded entries. State in the
   * module (a cache, a Map) survives, because the module stays loaded: in a real death it is lost as well.
   */
  crash(): Promise<void>;
  /**
   * Repeats the rehearsal so far once for each commit of its history, with a death of the process right after that commit.
   * Calls of the test are repeated at the same virtual time. Completed steps must not run again, a replay must make the
   * recorded calls, and the result must be the same. What was not recorded is done again, so stand-ins may be called more
   * than once, with the same idempotency key. Deaths within a step that runs at most once are left out, because it would
   * fail. Takes time with the square of the number of commits.
   * @throws RehearsalError which names the commit and the difference
   */
  crashEverywhere(options?: CrashOptions): Promise<{ readonly deaths: number }>;
}
