/**
 * The interface of a deployed Holdfast. The web layer and the typed handles use this and nothing below it. Every method may
 * throw {@link HoldfastError} with a stable code; values are {@link Stored} text, instants epoch ms. The parts about
 * schedules, lanes, webhooks and the directory are in files of their own.
 */
import type { RequestMetadata, Author } from "../author.ts";
import type { Directory, RunFilter, RunQuery } from "./directory.ts";
import type { ForkCut, ForkPlan } from "../lifecycle/fork.ts";
import type { Hooks } from "./hooks.ts";
import type { Lanes } from "./lanes.ts";
import type { Entry } from "../history/entry.ts";
import type { Retention } from "../run/origin.ts";
import type { HistoryPage, Made, RunSnapshot, RunStatus, RunSummary } from "../run/run.ts";
import type { ScheduleInfo, Schedules } from "./schedules.ts";
import type { StoredError } from "../error.ts";
import type { Census, Stats, StatsQuery } from "../stats/stats.ts";
import type { WorkflowTerms } from "../definition/terms.ts";
import type { Story, Timeline, Window } from "../timeline/timeline.ts";
import type { Stored } from "../value/value.ts";

export interface Service {
  readonly workflows: Workflows;
  readonly runs: Runs;
  readonly signals: Signals;
  readonly schedules: Schedules;
  readonly hooks: Hooks;
  readonly asks: Asks;
  readonly lanes: Lanes;
  readonly directory: Directory;
  readonly stats: Statistics;
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
  /** Of the version that new runs begin with. */
  readonly terms: WorkflowTerms;
  /** Runs in the directory by status. */
  readonly counts: Readonly<Record<RunStatus, number>>;
};

export interface Runs {
  /**
   * Starts a run, or finds the one that the same id or key started before.
   * @throws workflow_not_found, input_invalid, id_invalid, value_too_large, run_exists (same id, another workflow or
   * input), idempotency_conflict (same key, another workflow or input), rate_limited; with a signal or an update also
   * what these throw: the run has then been started nevertheless
   */
  start(request: StartRequest): Promise<Started>;
  /**
   * Keeps the key for a batch of starts with these contents, each of which is then started under a key of its own.
   * @throws idempotency_conflict: the key was used for another batch, or for a start
   */
  bindBatch(key: string, contents: string): Promise<void>;
  /** The run, once it has ended or after `waitMs` (at most 60,000), whichever is first. @throws run_not_found */
  read(id: string, waitMs?: number): Promise<RunSnapshot>;
  /** Entries with `seq` above `after`, oldest first. @throws run_not_found */
  history(id: string, after: number, limit: number): Promise<HistoryPage>;
  /**
   * Entries with `seq` above `after`, in batches: those recorded so far, then each as it happens. Once the run has ended, the
   * stream says so and closes. Cancelling the stream ends the subscription. @throws run_not_found
   */
  follow(id: string, after: number): Promise<ReadableStream<RunNews>>;
  /** Up to `limit` bars from `from` on, of one kind or of all, with the totals of the whole timeline. @throws run_not_found */
  timeline(id: string, window: Window): Promise<Timeline>;
  /** One bar, by its key or by the id of a step, with all that is recorded of it. @throws run_not_found, step_not_found */
  story(id: string, key: string): Promise<Story>;
  /** Newest first. @throws cursor_invalid */
  list(query: RunQuery): Promise<{ readonly runs: readonly RunSummary[]; readonly cursor: string | null }>;
  /** @throws run_not_found, run_ended, run_not_ended (delete), not_retryable, singleton_held (retry), idempotency_conflict */
  act(id: string, action: RunAction): Promise<RunSnapshot>;
  /**
   * Starts a run with the history of this one up to a step, or finds the one that the same id or key made.
   * @throws run_not_found, fork_invalid, workflow_not_found, input_invalid, id_invalid, run_exists,
   * idempotency_conflict, rate_limited
   */
  fork(id: string, request: ForkRequest): Promise<Made>;
  /** Which calls such a fork would keep, and which it would make again. @throws run_not_found, fork_invalid */
  previewFork(id: string, cut: ForkCut): Promise<ForkPreview>;
  /**
   * The run and its history as a text that another deployment can import (`docs/transfer.md`), in UTF-8.
   * @throws run_not_found, not_exportable; the stream fails where the run is removed meanwhile
   */
  export(id: string): Promise<ReadableStream<Uint8Array>>;
  /**
   * Makes a run from such a text, or finds the one that the same text made before.
   * @throws import_invalid, run_exists, id_invalid, value_too_large, key_missing, webhook_unavailable,
   * idempotency_conflict (the key is that of another run)
   */
  import(text: ReadableStream<Uint8Array> | null, request: ImportRequest): Promise<Made>;
  /** Starts the run that acts on all runs of the filter, or finds that of the same key. @throws idempotency_conflict */
  bulk(request: BulkRequest): Promise<RunSnapshot>;
  /** How many runs match the filter, by the directory. */
  count(filter: RunFilter): Promise<number>;
}

/** A message to a follower of a run; `deleted`: the run was removed. */
export type RunNews =
  | { readonly kind: "entries"; readonly entries: readonly Entry[] }
  | { readonly kind: "ended"; readonly status: RunStatus | "deleted" };

export type ForkRequest = RequestMetadata & {
  /** The id of the call to fork from; null: from the start. */
  readonly from: string | null;
  /** Replaces the run's own input. */
  readonly input?: Stored;
  /** Results of steps, by id: they replace recorded outcomes, or are used where there are none. */
  readonly results: ReadonlyMap<string, Stored>;
  readonly id?: string;
  /** Scheme and host under which webhooks are reached, when PUBLIC_URL is not set. */
  readonly origin?: string;
};

export type ImportRequest = Author & {
  /** The run's own unless given. */
  readonly id?: string;
  readonly key?: string;
  /** Scheme and host under which webhooks are reached, when PUBLIC_URL is not set. */
  readonly origin?: string;
  readonly reason?: string;
};

/** Ids of the calls that keep their outcomes, and of those that are made again. */
export type ForkPreview = Pick<ForkPlan, "kept" | "rerun">;

export type BulkRequest = RequestMetadata & { readonly action: RunAction["kind"]; readonly filter: RunFilter };

/** `update`: the answer to the update that came with the start. */
export type Started = Made & { readonly update?: UpdateAnswer };

export type StartRequest = Author & {
  readonly workflow: string;
  readonly input: Stored;
  readonly id?: string;
  readonly key?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Addresses that are notified of its end, besides those that its workflow names. */
  readonly notify?: readonly string[];
  /** Do not begin before this instant. */
  readonly startAt?: number;
  /** The delay that was asked for, if `startAt` was computed from one: compared instead of it, which differs at each request. */
  readonly delayMs?: number;
  /** Cancel instead of beginning after this instant. */
  readonly notAfter?: number;
  /** Scheme and host under which webhooks are reached, when PUBLIC_URL is not set. */
  readonly origin?: string;
  /** Sent together with the start; if the run exists already, to that run, whatever its input was. */
  readonly signal?: Pick<SignalRequest, "name" | "payload">;
  /** An update of the run once it has started; if the run exists already, of that run, whatever its input was. */
  readonly update?: Pick<UpdateRequest, "name" | "argument">;
  /** Wait this long for the end before answering. */
  readonly waitMs?: number;
  /** W3C traceparent of the request, or of the step, that starts it. */
  readonly trace?: string;
  /** Why, where somebody says. */
  readonly reason?: string;
  readonly retention?: Retention;
};

export type RunAction = RequestMetadata & {
  readonly kind: "cancel" | "terminate" | "pause" | "resume" | "retry" | "delete";
  /** Act only if the run was started by this one. */
  readonly parent?: string;
  /** Act only on a run that was created before this instant: a later run of the same id is another one. */
  readonly createdBefore?: number;
};

export interface Signals {
  /**
   * @throws run_not_found, run_ended, signal_invalid (its schema refused the payload),
   * idempotency_conflict, value_too_large
   */
  send(id: string, signal: SignalRequest): Promise<{ readonly duplicate: boolean }>;
  /** To every run that waits for the name now; if none does, it is kept for the next waiter, for a day. */
  broadcast(signal: SignalRequest): Promise<BroadcastOutcome>;
}

/** To how many runs it was delivered; whether it is kept for the next that waits. */
export type BroadcastOutcome = { readonly delivered: number; readonly buffered: boolean };

export type SignalRequest = Author & {
  readonly name: string;
  readonly payload: Stored;
  /** Why, where somebody says. */
  readonly reason?: string;
  /** W3C traceparent of the request. */
  readonly trace?: string;
  readonly key?: string;
};

/** Queries and updates, which a run's handler answers from its own variables. */
export interface Asks {
  /**
   * Changes nothing; works whether the run is executing, parked or ended.
   * @throws run_not_found, query_not_found, query_timeout (10 s), version_missing, name_invalid
   */
  query(id: string, name: string): Promise<QueryAnswer>;
  /**
   * Resolves once the update has ended, or after a minute as `open`: the same request with its key then continues to wait.
   * @throws run_not_found, update_not_found, update_invalid (its schema refused the argument), run_paused,
   * run_ended, version_missing, idempotency_conflict, name_invalid, value_too_large
   */
  update(id: string, update: UpdateRequest): Promise<UpdateAnswer>;
}

/** `failed`: the query's function threw. */
export type QueryAnswer =
  | { readonly kind: "answered"; readonly result: Stored }
  | { readonly kind: "failed"; readonly error: StoredError };

export type UpdateRequest = Author & {
  readonly name: string;
  readonly argument: Stored;
  /** The same key is the same update. */
  readonly key?: string;
  /** Why, where somebody says. */
  readonly reason?: string;
};

/** `failed`: the update's function threw; `open`: the update is recorded and under way. `update` is its id. */
export type UpdateAnswer =
  | { readonly kind: "completed"; readonly update: string; readonly result: Stored }
  | { readonly kind: "failed"; readonly update: string; readonly error: StoredError }
  | { readonly kind: "open"; readonly update: string };

export interface Statistics {
  /**
   * Statistics of the workflow, or of all. The window is cut into 24 to 60 slices, fewer if it is shorter than 24 ms. Slices
   * begin at round instants, so the first and the last may extend beyond the window.
   * @throws workflow_not_found: neither in the deployment nor of any run
   */
  read(query: StatsQuery): Promise<Stats>;
  census(): Promise<Census>;
}
