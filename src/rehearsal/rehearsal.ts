/**
 * Owns: what a test is handed: the types of a rehearsal.
 * Does not own: doing any of it (play).
 */
import type { Duration } from "../core/duration.ts";
import type { Entry } from "../core/entry.ts";
import type { RunHandle } from "../core/handle.ts";
import type { RunStatus, Waiting } from "../core/run.ts";
import type { SignalTypes } from "../core/step.ts";
import type { SentSignal } from "./script.ts";

/**
 * One entry of the history: a sentence in `text`, values as they are, and the fields of its kind beside, as
 * docs/journal.md has them.
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

/** What the caller of a webhook was answered; `response` where the workflow has one of its own. */
export type HookReply = {
  readonly duplicate: boolean;
  readonly response?: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
};

/** A workflow, as far as its runs are typed by it. */
type Handled<Output, Signals extends SignalTypes> = {
  readonly name: string;
  get(id: string): RunHandle<Output, Signals>;
};

/** How a run stands: what the deaths of it are compared by, unless told otherwise. */
export type Standing = Pick<Rehearsal, "status" | "output" | "error" | "waitingFor" | "progress" | "history">;

export type CrashOptions = {
  /** What has to be the same whenever the process dies; status, output, error, open waits and progress unless set. */
  readonly compare?: (run: Standing) => unknown;
};

/**
 * A run that is rehearsed: real code over a real journal, in memory and in virtual time. Time stands still but in
 * `skip`, `end` and `result`, and for an `update` that takes its time.
 * Every call resolves once nothing more happens by itself at that instant.
 * @throws RehearsalError from any of them: what is wrong with the rehearsal, a stand-in that was never asked for
 */
export interface Rehearsal<Output = unknown, Signals extends SignalTypes = SignalTypes> {
  readonly id: string;
  readonly status: RunStatus;
  /** Null until the run has completed. */
  readonly output: Output | null;
  /** With its `code`; null unless the run has failed or was cancelled, or is paused because of it. */
  readonly error:
    | (Error & { readonly code?: string; readonly step?: string; readonly undone?: readonly string[] })
    | null;
  /** What it waits for; `since` and `until` are epoch ms. */
  readonly waitingFor: readonly Waiting[];
  /** Why it is not progressing, or what it is at, in a sentence; null when it has completed. */
  readonly reason: string | null;
  readonly progress: unknown;
  readonly labels: Readonly<Record<string, string>>;
  readonly history: readonly HistoryEntry[];
  /** Signals that runs of the rehearsal sent to runs outside of it. */
  readonly sent: readonly SentSignal[];
  /** What time it is. */
  readonly now: Date;

  /** @throws HoldfastError run_ended, signal_invalid */
  signal<Name extends keyof Signals & string>(
    name: Name,
    ...args: undefined extends Signals[Name] ? [payload?: Signals[Name]] : [payload: Signals[Name]]
  ): Promise<void>;
  /** One that the workflow declares no schema for. */
  signal<Name extends string>(name: Name extends keyof Signals ? never : Name, payload?: unknown): Promise<void>;
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

  /** Lets so much time pass: sleeps end, timeouts come, retries are made. @throws HoldfastError duration_invalid */
  skip(duration: Duration): Promise<void>;
  /**
   * Lets time pass until the run has ended, however it ends.
   * @throws RehearsalError where it never does by itself: it waits for a signal, a webhook, a person
   */
  end(): Promise<void>;
  /** Lets time pass to the end, and answers the output. @throws the run's error, and as `end` */
  result(): Promise<Output>;

  /** The n-th child, counted from 0, that any run of the rehearsal started of this workflow; typed by its definition. */
  child<ChildOutput, ChildSignals extends SignalTypes>(
    workflow: Handled<ChildOutput, ChildSignals>,
    n?: number,
  ): Rehearsal<ChildOutput, ChildSignals>;
  child<ChildOutput = unknown>(workflow: string | { readonly name: string }, n?: number): Rehearsal<ChildOutput>;

  /**
   * The process dies now, with all that the handlers held; the next one finds what is on record. State in the module
   * (a memo, a Map) outlives it, as the module stays loaded: in earnest that is lost as well.
   */
  crash(): Promise<void>;
  /**
   * Rehearses all that has happened so far once for each commit of its history, and has the process die right after
   * that commit. Whatever it was asked meanwhile is asked at the same virtual time. A step that was done must not be
   * done again, a replay must ask for the steps that are on record, and all must come to the same. What was not on
   * record is done again, so stand-ins are called more than once: with the same idempotency key. Deaths within a step
   * that runs at most once are left out: it fails by them. Takes time with the square of the number of commits.
   * @throws RehearsalError which names the commit, and what was different
   */
  crashEverywhere(options?: CrashOptions): Promise<{ readonly deaths: number }>;
}
