/**
 * The entries of the journal. An entry is a fact about one run; the journal is the ordered list of them and the whole
 * truth about the run. `docs/journal.md` describes the stored form. A kind, once released, is never renamed and never
 * changes its meaning. Fields that several kinds share (of an attempt, an author, a waiting call) are declared once.
 */
import type { RequestMetadata, Author } from "../author.ts";
import type { ErrorCode } from "../code.ts";
import type { StoredError } from "../error.ts";
import type { Usage } from "../run/usage.ts";
import type { LaneNeed } from "../lane/need.ts";
import type {
  ChildPolicy,
  ChildRun,
  Continuation,
  ForkOrigin,
  ImportOrigin,
  ParentRun,
  Reply,
  Retention,
  ScheduleFiring,
} from "../run/origin.ts";
import type { Stored } from "../value/value.ts";

/** What a call of `step` is. A name that changes its kind under a run pauses the run. */
export type CallKind = "run" | "sleep" | "wait" | "webhook" | "child" | "undo";

/** An attempt of a step, or of undoing one. */
type Begun = { readonly step: string; readonly attempt: number };
/** An attempt with the time of its beginning. */
type Ended = Begun & { readonly startedAt: number };

/** `held`: the death counts against the step, as it does unless the code was replaced. */
type CutOff = { readonly step: string; readonly deployment: string; readonly held: boolean };

/** A sleep, or a wait for a signal or a webhook: `call` is its id, as `name` and `name#2`. */
type Named = { readonly name: string; readonly call: string };

/** A fact: an entry without `seq` and `at`. */
export type Fact =
  | ({
      readonly kind: "run.created";
      readonly id: string;
      readonly workflow: string;
      readonly version: string;
      /** The input that the handler gets: the output of its schema. */
      readonly input: Stored;
      /** The input as it was sent, where the schema changed it; a repeated start is compared with this. */
      readonly sent?: Stored;
      readonly labels: Readonly<Record<string, string>>;
      readonly parent: ParentRun | null;
      readonly schedule: ScheduleFiring | null;
      readonly startAt: number | null;
      readonly notAfter: number | null;
      /** Scheme and host of this run's webhooks where PUBLIC_URL is not set. */
      readonly origin: string | null;
      readonly key?: string;
      /** Of a start with a key: a digest of what it asked for besides its input, which a repeated start is compared with. */
      readonly print?: string;
      /** Why it was started, where somebody said. */
      readonly reason?: string;
      /** Set where a parent waits for the end. */
      readonly reply?: Reply;
      /** W3C traceparent of the request, or of the step, that started it. */
      readonly trace?: string;
      /** How many shards the directory had then: it decides which one lists the run, for as long as it is kept. */
      readonly shards?: number;
      readonly lanes?: readonly LaneNeed[];
      /** Lanes of the debounce or singleton whose keys it claimed; when it is removed, it gives back those that it still has. */
      readonly claims?: readonly string[];
      /** The seed of `random` and `uuid`, where it is not this run's id and creation. */
      readonly seed?: string;
      /** The run that this one was forked from: copied entries follow. */
      readonly fork?: ForkOrigin;
      readonly continuation?: Continuation;
      /** Addresses that are notified of its end. */
      readonly notify?: readonly string[];
      readonly retention?: Retention;
    } & Author)
  /** Another start within the period of a debounce: the newest input counts, and the run begins later. */
  | ({
      readonly kind: "run.debounced";
      readonly version: string;
      readonly input: Stored;
      readonly sent?: Stored;
      readonly labels: Readonly<Record<string, string>>;
      readonly lanes?: readonly LaneNeed[];
      readonly notify?: readonly string[];
      readonly retention?: Retention;
      readonly startAt: number;
      readonly notAfter?: number;
      /** The idempotency key of this start. */
      readonly key?: string;
      readonly reason?: string;
    } & Author)
  | { readonly kind: "run.started"; readonly deployment: string }
  /**
   * The process died, or was replaced, while the run was at work. `held`: the death counts against the run, as it does
   * unless the code was replaced.
   */
  | { readonly kind: "run.interrupted"; readonly deployment: string; readonly held: boolean }
  /** After deaths, the run has come to rest again: they no longer count against it. */
  | { readonly kind: "run.recovered" }
  | ({
      readonly kind: "step.attempt_failed";
      /** How many attempts there are in all, where the policy limits them. */
      readonly limit?: number;
      readonly error: StoredError;
      /** Null where no attempt is left and the run is paused for a person to decide. */
      readonly retryAt: number | null;
      readonly sensitive?: true;
    } & Ended)
  /**
   * The attempt begins. Recorded only where a death during it has to be noticed: for a step that runs at most once, and
   * for an attempt that begins in a later life than the one in which it was due.
   */
  | ({ readonly kind: "step.attempt_started" } & Begun)
  /**
   * The attempt is a request that was handed to a courier: from here on it is under way, whatever becomes of this object's
   * memory. At `until` it times out.
   */
  | ({ readonly kind: "step.dispatched"; readonly until: number; readonly courier: number } & Ended)
  /** An attempt was cut off by the death of the process; it begins again with the same key. */
  | ({ readonly kind: "step.interrupted" } & CutOff)
  /** The attempt was in flight when the next entry made its result irrelevant: how it ends is not recorded. */
  | ({ readonly kind: "step.abandoned" } & Ended)
  | ({
      readonly kind: "step.completed";
      readonly result: Stored;
      /** The step has an `undo`. */
      readonly undo?: true;
      /** The result is never shown. */
      readonly sensitive?: true;
      /** The result was left out of the export that this run was imported from: `result` is only a placeholder. */
      readonly omitted?: true;
    } & Ended)
  /** `sensitive` also here, for the result that a fork may be given instead. */
  | ({ readonly kind: "step.failed"; readonly error: StoredError; readonly sensitive?: true } & Ended)
  /** The code makes a call that is not in the recorded history. */
  | { readonly kind: "step.added"; readonly step: string; readonly call: CallKind }
  /** The recorded history has a call that the code did not make. */
  | {
      readonly kind: "step.removed";
      readonly step: string;
      readonly call: CallKind;
      /** It was open at a retry, after which the handler went another way: the code may be as it was. */
      readonly retried?: true;
    }
  /**
   * The run will end as `ends` says. Before that, these steps are undone, the last completed first; the handler is not
   * run any further.
   */
  | ({
      readonly kind: "undo.started";
      readonly ends: "failed" | "cancelled";
      readonly error: StoredError;
      readonly steps: readonly string[];
      /** Idempotency keys of undos differ from those of steps; absent in older journals, where a step could have the same. */
      readonly apart?: true;
      readonly reason: string | null;
    } & Author)
  | ({
      readonly kind: "undo.attempt_failed";
      readonly limit?: number;
      readonly error: StoredError;
      readonly retryAt: number;
    } & Ended)
  | ({ readonly kind: "undo.attempt_started" } & Begun)
  | ({ readonly kind: "undo.interrupted" } & CutOff)
  | ({ readonly kind: "undo.completed" } & Ended)
  | ({ readonly kind: "undo.failed"; readonly error: StoredError } & Ended)
  /**
   * A call of `invoke`, or of `start` where `detached`. `until` is when an invoke gives up. `startedAt` is when the call was
   * made, no later than the child was; where it is absent the entry's own time is used.
   */
  | {
      readonly kind: "child.started";
      readonly step: string;
      readonly child: ChildRun;
      readonly until: number | null;
      readonly policy: ChildPolicy;
      readonly detached?: true;
      readonly startedAt?: number;
    }
  | { readonly kind: "child.completed"; readonly step: string; readonly child: ChildRun; readonly output: Stored }
  /** `child` is absent where none could be started. `left`: the child may still be running. */
  | {
      readonly kind: "child.failed";
      readonly step: string;
      readonly child?: ChildRun;
      readonly error: StoredError;
      readonly left?: true;
    }
  /** An orphaned child was told to stop, or had ended. */
  | { readonly kind: "child.stopped"; readonly child: ChildRun; readonly policy: ChildPolicy }
  | ({ readonly kind: "timer.set"; readonly wakeAt: number } & Named)
  | ({ readonly kind: "timer.fired" } & Named)
  /** `label` is the name of the wait itself, where it was given one. */
  | ({ readonly kind: "wait.started"; readonly until: number | null; readonly label?: string } & Named)
  /** These calls lost a race, and wait for nothing any more. */
  | { readonly kind: "wait.withdrawn"; readonly calls: readonly { readonly call: CallKind; readonly id: string }[] }
  | ({ readonly kind: "wait.timed_out"; readonly wait: "signal" | "webhook"; readonly label?: string } & Named)
  | ({
      readonly kind: "signal.received";
      /** Why it was sent, where somebody said. */
      readonly reason?: string;
      /** W3C traceparent of the request that brought it. */
      readonly trace?: string;
      readonly name: string;
      readonly payload: Stored;
      /** The payload as it was sent, where the schema changed it and there is a key; a repeated signal is compared with it. */
      readonly sent?: Stored;
      readonly key?: string;
    } & Author)
  /** `signal` is the `seq` of the consumed `signal.received`; `listener`: `onSignal` consumed it. */
  | ({
      readonly kind: "signal.consumed";
      readonly signal: number;
      readonly label?: string;
      readonly listener?: true;
      /** The output of the wait's schema, where that is asynchronous: replay uses it instead of asking the schema again. */
      readonly value?: Stored;
      /** The schema refused the payload, or timed out. */
      readonly error?: StoredError;
    } & Named)
  /** From here on `onSignal` consumes every signal of this name. */
  | { readonly kind: "listener.added"; readonly name: string }
  /** `update` is the id of the update within the run. */
  | ({
      readonly kind: "update.accepted";
      readonly name: string;
      readonly update: string;
      /** The output of the update's schema. */
      readonly argument: Stored;
      /** The argument as it was sent, where the schema changed it; a repeated request is compared with this. */
      readonly sent?: Stored;
      readonly key?: string;
      /** Why it was asked for, where somebody said. */
      readonly reason?: string;
    } & Author)
  | { readonly kind: "update.completed"; readonly name: string; readonly update: string; readonly result: Stored }
  | { readonly kind: "update.failed"; readonly name: string; readonly update: string; readonly error: StoredError }
  /** `step.patched` answered true: the run follows the new code. */
  | { readonly kind: "patch.adopted"; readonly patch: string }
  /** The run, or one of its steps, waits for a slot of the lane. */
  | { readonly kind: "lane.queued"; readonly lane: string; readonly step: string | null }
  /** It has the slot it waited for. */
  | { readonly kind: "lane.entered"; readonly lane: string; readonly step: string | null }
  | ({ readonly kind: "webhook.created"; readonly url: string; readonly until: number | null } & Named)
  | ({ readonly kind: "webhook.received"; readonly request: Stored } & Named)
  /** Also recorded after the run's end. At most a hundred for each webhook; the last one says so. */
  | ({ readonly kind: "webhook.rejected"; readonly reason: string; readonly code?: ErrorCode } & Named)
  /** The address before was revoked. The wait now has `url`, the address of this `generation` (the first was 0). */
  | ({ readonly kind: "webhook.revoked"; readonly url: string; readonly generation: number } & Named & RequestMetadata)
  | { readonly kind: "log.written"; readonly level: LogLevel; readonly message: string; readonly data?: Stored }
  | { readonly kind: "progress.published"; readonly value: Stored }
  | ({
      readonly kind: "run.paused";
      /** Set when the engine paused the run because it could not go on. */
      readonly error?: StoredError;
    } & RequestMetadata)
  /** `shiftMs` is the length of the pause. Open deadlines move later by it; one that was fixed during it, by the rest of it. */
  | ({ readonly kind: "run.resumed"; readonly shiftMs: number } & RequestMetadata)
  /** `cleared`: the failed steps that run again. */
  | ({ readonly kind: "run.retried"; readonly cleared: readonly string[] } & RequestMetadata)
  /** Open calls of the handler reject, so that it can clean up; then the run is cancelled. */
  | ({
      readonly kind: "run.cancel_requested";
      readonly error: StoredError;
      /** Steps in flight that have an `undo`: their ends are awaited, because a completed one has to be undone. */
      readonly awaited: readonly string[];
      /** Where one of those completes, the handler is told of the cancellation; absent in older journals, where it got the result. */
      readonly told?: true;
    } & RequestMetadata)
  /** An action that changed nothing: the run was in that state already, or is ending anyway. */
  | ({ readonly kind: "run.action_noted"; readonly action: "cancel" | "pause" | "resume" } & RequestMetadata)
  /** The run `run` of the built-in workflow notifies the address `url` of the end whose `seq` is `of`. */
  | { readonly kind: "notice.started"; readonly url: string; readonly of: number; readonly run: string }
  /** The entries before this one were imported from another deployment. */
  | ({ readonly kind: "run.imported"; readonly from: ImportOrigin; readonly reason: string | null } & Author)
  | { readonly kind: "run.completed"; readonly output: Stored }
  | { readonly kind: "run.failed"; readonly error: StoredError }
  | ({
      readonly kind: "run.cancelled";
      readonly error: StoredError;
      /** The handler was cleaning up, made no call of `step` for too long, and was not waited for any longer. */
      readonly givenUp?: true;
    } & RequestMetadata);

export type LogLevel = "debug" | "info" | "warn" | "error";

/** A fact in its place: `seq` counts from 1 without gaps, `at` is epoch ms and never goes backwards. */
export type Entry = Fact & {
  readonly seq: number;
  readonly at: number;
  /** The run's usage of the platform up to then. Recorded from time to time, with the last entry of a commit. */
  readonly used?: Usage;
};

export type EntryOf<Kind extends Fact["kind"]> = Extract<Entry, { kind: Kind }>;
export type FactOf<Kind extends Fact["kind"]> = Extract<Fact, { kind: Kind }>;
