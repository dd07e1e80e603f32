/**
 * What a deployed Holdfast can be asked. The web layer and the typed handles speak to this and to
 * nothing below it. Every method may throw {@link HoldfastError} with a stable code; values travel
 * as {@link Stored} text, instants as epoch ms.
 */
import type { HistoryPage, RunSnapshot, RunStatus, RunSummary } from "./run.ts";
import type { Stored } from "./value.ts";

export interface Service {
  readonly workflows: Workflows;
  readonly runs: Runs;
  readonly signals: Signals;
  readonly schedules: Schedules;
  readonly hooks: Hooks;
}

export interface Workflows {
  list(): Promise<WorkflowInfo[]>;
  /** @throws workflow_not_found */
  find(name: string): Promise<WorkflowInfo>;
}

export type WorkflowInfo = {
  readonly name: string;
  /** All versions in this deployment; new runs begin with the last. */
  readonly versions: readonly string[];
  readonly version: string;
  /** JSON Schema of the input; null where the workflow takes any JSON or its validator has none. */
  readonly input: object | null;
  readonly signals: Readonly<Record<string, object | null>>;
  readonly schedules: readonly ScheduleInfo[];
  /** Runs in the directory by status. */
  readonly counts: Readonly<Record<RunStatus, number>>;
};

export interface Runs {
  /**
   * Starts a run, or finds the one that the same id or key started before.
   * @throws workflow_not_found, input_invalid, id_invalid, value_too_large, run_exists (same id,
   * another workflow or input), idempotency_conflict (same key, another workflow or input)
   */
  start(request: StartRequest): Promise<{ readonly run: RunSnapshot; readonly created: boolean }>;
  /** The run, after its end or `waitMs` (at most 60,000), whichever is first. @throws run_not_found */
  read(id: string, waitMs?: number): Promise<RunSnapshot>;
  /** Entries with `seq` above `after`, oldest first. @throws run_not_found */
  history(id: string, after: number, limit: number): Promise<HistoryPage>;
  /** Newest first. @throws cursor_invalid */
  list(query: RunQuery): Promise<{ readonly runs: readonly RunSummary[]; readonly cursor: string | null }>;
  /** @throws run_not_found, run_ended, run_not_ended (delete), not_retryable, idempotency_conflict */
  act(id: string, action: RunAction): Promise<RunSnapshot>;
}

export type StartRequest = {
  readonly workflow: string;
  readonly input: Stored;
  readonly id?: string;
  readonly key?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Do not begin before this instant. */
  readonly startAt?: number;
  /** Cancel instead of beginning after this instant. */
  readonly notAfter?: number;
  /** Scheme and host under which webhooks are reached, when PUBLIC_URL is not set. */
  readonly origin?: string;
  /** Wait this long for the end before answering. */
  readonly waitMs?: number;
  readonly by: string;
};

export type RunQuery = {
  readonly workflow?: string;
  readonly status?: readonly RunStatus[];
  readonly labels?: Readonly<Record<string, string>>;
  /** Inclusive. */
  readonly createdAfter?: number;
  /** Exclusive. */
  readonly createdBefore?: number;
  readonly limit: number;
  readonly cursor?: string;
};

export type RunAction = {
  readonly kind: "cancel" | "terminate" | "pause" | "resume" | "retry" | "delete";
  readonly by: string;
  readonly reason: string | null;
  readonly key?: string;
};

export interface Signals {
  /**
   * @throws run_not_found, run_ended, signal_invalid (its schema refused the payload),
   * idempotency_conflict, value_too_large
   */
  send(id: string, signal: SignalRequest): Promise<{ readonly duplicate: boolean }>;
  /** To every run that waits for the name now; kept for the next waiter, for a day, if none does. */
  broadcast(signal: SignalRequest): Promise<{ readonly delivered: number; readonly buffered: boolean }>;
}

export type SignalRequest = {
  readonly name: string;
  readonly payload: Stored;
  readonly key?: string;
  readonly by: string;
};

export interface Schedules {
  list(): Promise<ScheduleInfo[]>;
  /** Judge every schedule against the clock now. Safe to call at any time, any number of times. */
  tick(): Promise<void>;
}

export type Overlap = "skip" | "buffer-one" | "buffer-all" | "cancel-other" | "terminate-other" | "allow-all";

export type ScheduleInfo = {
  readonly id: string;
  readonly workflow: string;
  readonly cron: string;
  readonly timezone: string;
  readonly input: Stored;
  readonly overlap: Overlap;
  readonly catchUpMs: number;
  readonly paused: boolean;
  /** The next firings, epoch ms, soonest first. */
  readonly next: readonly number[];
};

export interface Hooks {
  /** @throws webhook_not_found, webhook_expired, run_ended, webhook_rejected */
  receive(token: string, call: HookRequest): Promise<HookAnswer>;
}

/** A call as it came in; header names are lower case. `body` is the raw bytes. */
export type HookRequest = {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
};

export type HookAnswer = {
  readonly duplicate: boolean;
  /** What the workflow's own `respond` answered, if it has one. */
  readonly response?: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
  };
};
