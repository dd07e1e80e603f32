/**
 * Owns: what the objects say to each other, and the Worker to them.
 * Does not own: what they do about it.
 *
 * Arguments and answers are plain data,
 * so that a Worker and an object of neighbouring deployments understand each other: fields are
 * added, never changed. A refusal is an answer, not a throw, because classes do not survive the wire.
 */
import type { ErrorCode, Issue } from "../core/error.ts";
import type { HistoryPage, RunSnapshot, RunStatus, RunSummary } from "../core/run.ts";
import type {
  HookAnswer,
  HookRequest,
  RunAction,
  RunQuery,
  ScheduleInfo,
  SignalRequest,
  StartRequest,
} from "../core/service.ts";
import type { ParentRun, ScheduleFiring } from "../core/entry.ts";
import type { Stored } from "../core/value.ts";

export type Refusal = { readonly code: ErrorCode; readonly message: string; readonly issues?: readonly Issue[] };
export type Answer<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly refusal: Refusal };

/** A start that the Worker has checked: the workflow exists and its schema took the input. */
export type CheckedStart = Omit<StartRequest, "id" | "input" | "labels"> & {
  readonly id: string;
  readonly version: string;
  readonly input: Stored;
  readonly sent?: Stored;
  readonly labels: Readonly<Record<string, string>>;
  readonly parent: ParentRun | null;
  readonly schedule: ScheduleFiring | null;
};

/** Which webhook wait of which life of a run id: an id is free again once its run was deleted. */
export type HookAddress = { readonly call: string; readonly createdAt: number };

export type ValueField = "input" | "output" | "progress";

/** A run on the wire: values too large to travel together are null, named in `apart`, and asked for one by one. */
export type Parcel = Omit<RunSnapshot, "input"> & {
  readonly input: Stored | null;
  readonly apart: readonly ValueField[];
};

/** One run. */
export interface RunRpc {
  start(request: CheckedStart): Promise<Answer<{ readonly run: Parcel; readonly created: boolean }>>;
  /** Of the object that an Idempotency-Key names: the key belongs to this run id and to no other. */
  bind(id: string): Promise<Answer<null>>;
  read(waitMs: number): Promise<Answer<Parcel>>;
  value(field: ValueField): Promise<Answer<Stored | null>>;
  history(after: number, limit: number): Promise<Answer<HistoryPage>>;
  act(action: RunAction): Promise<Answer<Parcel>>;
  /**
   * With `onlyIfWaiting`, refused with code "not_waiting" unless a wait for the name is open right now.
   * A key on record is answered as a duplicate before anything else, also after the run's end.
   */
  signal(signal: SignalRequest, onlyIfWaiting: boolean): Promise<Answer<{ readonly duplicate: boolean }>>;
  hook(address: HookAddress, request: HookRequest): Promise<Answer<HookAnswer>>;
}

/** One shard of the index of runs. */
export interface DirectoryRpc {
  /**
   * Takes the run's summary unless the one held is newer (by `seq`). Answers names that open signal
   * waits of this run are for and that have something buffered, one for each such wait.
   */
  report(summary: RunSummary): Promise<{ readonly offers: readonly string[] }>;
  remove(id: string, createdAt: number): Promise<void>;
  /** This shard's part of a page: up to `limit` runs, newest first, strictly after `before`. */
  list(
    query: Omit<RunQuery, "cursor">,
    before: { readonly createdAt: number; readonly id: string } | null,
  ): Promise<readonly RunSummary[]>;
  counts(): Promise<readonly { readonly workflow: string; readonly status: RunStatus; readonly count: number }[]>;
  /** Ids of runs that wait for a signal of this name; now and then of one that does not. */
  waiters(name: string): Promise<readonly string[]>;
  /** Tells this shard that a signal of this name is buffered, until `expiresAt`. */
  offer(id: string, name: string, expiresAt: number): Promise<void>;
  withdraw(id: string, name: string): Promise<void>;
  /** First shard only: keeps a signal for the next waiter. The signal's `key`, if it has one, is its id. */
  hold(id: string, signal: SignalRequest, expiresAt: number): Promise<HoldAnswer>;
  /** First shard only: the oldest signal of the name, to one run and to no other; the same run may ask again. */
  claim(
    name: string,
    runId: string,
    except: readonly string[],
  ): Promise<{ readonly id: string; readonly signal: SignalRequest } | null>;
  /** First shard only: the run did not take what it claimed; others that wait are asked. */
  release(id: string, runId: string): Promise<void>;
  /** First shard only: the signal was delivered to so many runs. */
  settle(id: string, delivered: number): Promise<void>;
  /** First shard only: what has become of a signal that was held. */
  outcome(id: string): Promise<{ readonly delivered: number; readonly buffered: boolean }>;
}

/** Nothing delivered yet; delivered before; or the id stands for another signal. */
export type HoldAnswer =
  | { readonly kind: "open" }
  | { readonly kind: "settled"; readonly delivered: number }
  | { readonly kind: "conflict" };

export interface SchedulerRpc {
  /** Judges every schedule against the clock, starts what is due, and arms the alarm. */
  tick(): Promise<void>;
  list(): Promise<readonly ScheduleInfo[]>;
  /** A run that a schedule started has ended. */
  ended(firing: ScheduleFiring, runId: string): Promise<void>;
}
