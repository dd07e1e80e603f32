/**
 * The words of the journal. An entry is a fact that happened to one run; the journal is the
 * ordered list of them and the whole truth about the run. `docs/journal.md` describes the
 * stored form; a kind, once released, is never renamed and never changes its meaning.
 * What kinds have in common, an attempt, an author, a call that waits, is said once.
 */
import type { Asked, Author } from "./author.ts";
import type { ErrorCode } from "./code.ts";
import type { StoredError } from "./error.ts";
import type { Usage } from "./usage.ts";
import type { LaneNeed } from "./need.ts";
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
} from "./origin.ts";
import type { Stored } from "./value.ts";

/** What a call of `step` is. A name that changes its kind under a run pauses the run. */
export type CallKind = "run" | "sleep" | "wait" | "webhook" | "child" | "undo";

/** An attempt of a step, or of undoing one. */
type Begun = { readonly step: string; readonly attempt: number };
/** The same, once it is over or is told of later: since when. */
type Ended = Begun & { readonly startedAt: number };

/** `held` against the step, unless the code was replaced. */
type CutOff = { readonly step: string; readonly deployment: string; readonly held: boolean };

/** A sleep, or a wait for a signal or a webhook: `call` is its id, as `name` and `name#2`. */
type Named = { readonly name: string; readonly call: string };

/** The facts, without their place and time. */
export type Fact =
  | ({
      readonly kind: "run.created";
      readonly id: string;
      readonly workflow: string;
      readonly version: string;
      /** The input the handler gets: what its schema made of what was sent. */
      readonly input: Stored;
      /** What was sent, where the schema changed it; a repeated start is compared with this. */
      readonly sent?: Stored;
      readonly labels: Readonly<Record<string, string>>;
      readonly parent: ParentRun | null;
      readonly schedule: ScheduleFiring | null;
      readonly startAt: number | null;
      readonly notAfter: number | null;
      /** Where webhooks of this run point when PUBLIC_URL is not set. */
      readonly origin: string | null;
      readonly key?: string;
      /** Of a start with a key: tells what it asked for, besides its input, from what another asks for. */
      readonly print?: string;
      /** Why it was started, where somebody said. */
      readonly reason?: string;
      /** Set where a parent waits for the end. */
      readonly reply?: Reply;
      /** W3C traceparent of the request, or of the step, that started it. */
      readonly trace?: string;
      /** How many shards the directory had: which one lists the run follows from it, for as long as it lives. */
      readonly shards?: number;
      readonly lanes?: readonly LaneNeed[];
      /** Lanes of a debounce or a singleton whose key it took; given back, if it still has it, when it is removed. */
      readonly claims?: readonly string[];
      /** What `random` and `uuid` are made from, where it is not this run itself. */
      readonly seed?: string;
      /** The run whose history up to, and without, a step this one began with: the entries that follow. */
      readonly fork?: ForkOrigin;
      readonly continuation?: Continuation;
      /** Addresses that are told of its end. */
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
      /** What tells this start from others when it is repeated. */
      readonly key?: string;
      readonly reason?: string;
    } & Author)
  | { readonly kind: "run.started"; readonly deployment: string }
  /**
   * The process died, or was replaced, while the run was at work. `held` unless the code was
   * replaced: a deploy is no fault of the run.
   */
  | { readonly kind: "run.interrupted"; readonly deployment: string; readonly held: boolean }
  /** After deaths, the run is parked again and unharmed: they are no longer held against it. */
  | { readonly kind: "run.recovered" }
  | ({
      readonly kind: "step.attempt_failed";
      /** How many attempts there are in all, where the policy says. */
      readonly limit?: number;
      readonly error: StoredError;
      /** Null where no attempt is left, and a person decides. */
      readonly retryAt: number | null;
    } & Ended)
  /**
   * The attempt begins, and from here on its death would be seen: of a step that runs at most once, and
   * where a life begins it that was not there when it fell due.
   */
  | ({ readonly kind: "step.attempt_started" } & Begun)
  /**
   * The attempt is a request that a courier makes and brings the answer of: from here on it is under way, whatever
   * becomes of this memory. `until` is when it is over without one.
   */
  | ({ readonly kind: "step.dispatched"; readonly until: number; readonly courier: number } & Ended)
  /** An attempt was cut off by the death of the process; it begins again with the same key. */
  | ({ readonly kind: "step.interrupted" } & CutOff)
  /** The attempt was at work when what is on record next left it behind: nobody hears how it ends. */
  | ({ readonly kind: "step.abandoned" } & Ended)
  | ({
      readonly kind: "step.completed";
      readonly result: Stored;
      /** It can be undone. */
      readonly undo?: true;
      /** The result is never shown. */
      readonly sensitive?: true;
      /** The result stayed behind where the run was exported: what stands in its place is none. */
      readonly omitted?: true;
    } & Ended)
  | ({ readonly kind: "step.failed"; readonly error: StoredError } & Ended)
  /** The code now has a call that the recorded history ran without. */
  | { readonly kind: "step.added"; readonly step: string; readonly call: CallKind }
  /** The recorded history has a call that the code no longer makes. */
  | { readonly kind: "step.removed"; readonly step: string; readonly call: CallKind }
  /**
   * The run is about to end as `ends` says; before it does, these steps are undone, the last completed
   * first. The handler has nothing more to say.
   */
  | ({
      readonly kind: "undo.started";
      readonly ends: "failed" | "cancelled";
      readonly error: StoredError;
      readonly steps: readonly string[];
      /** Its idempotency keys are told from those of steps; in journals of before, a step's name may be that of an undo. */
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
   * A call of `invoke`, or of `start` where `detached`. `until` is when an invoke gives up; `startedAt` when the
   * call was made, no later than the child: without it nobody knows, and it is the entry's own time.
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
  /** Without a child where none could be started. `left` where the child may still go on. */
  | {
      readonly kind: "child.failed";
      readonly step: string;
      readonly child?: ChildRun;
      readonly error: StoredError;
      readonly left?: true;
    }
  /** A child that nobody waits for any more was told to stop, or had ended. */
  | { readonly kind: "child.stopped"; readonly child: ChildRun; readonly policy: ChildPolicy }
  | ({ readonly kind: "timer.set"; readonly wakeAt: number } & Named)
  | ({ readonly kind: "timer.fired" } & Named)
  /** `label` is the name of the wait in the code, if it is not that of the signal. */
  | ({ readonly kind: "wait.started"; readonly until: number | null; readonly label?: string } & Named)
  /** A race was won by others: these calls wait for nothing any more. */
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
      /** What was sent, where the schema changed it and there is a key; a repeated signal is compared with this. */
      readonly sent?: Stored;
      readonly key?: string;
    } & Author)
  /** `signal` is the `seq` of the `signal.received` it consumed; `listener` where `onSignal` took it. */
  | ({
      readonly kind: "signal.consumed";
      readonly signal: number;
      readonly label?: string;
      readonly listener?: true;
      /** What the schema of the wait made of the payload, where that took time; no other life asks it again. */
      readonly value?: Stored;
      /** It refused the payload, or did not say in time. */
      readonly error?: StoredError;
    } & Named)
  /** From here on `onSignal` takes every signal of this name. */
  | { readonly kind: "listener.added"; readonly name: string }
  /** `update` tells the updates of a run apart. */
  | ({
      readonly kind: "update.accepted";
      readonly name: string;
      readonly update: string;
      /** What the update's schema made of what was sent. */
      readonly argument: Stored;
      /** What was sent, where the schema changed it; a repeated request is compared with this. */
      readonly sent?: Stored;
      readonly key?: string;
      /** Why it was asked for, where somebody said. */
      readonly reason?: string;
    } & Author)
  | { readonly kind: "update.completed"; readonly name: string; readonly update: string; readonly result: Stored }
  | { readonly kind: "update.failed"; readonly name: string; readonly update: string; readonly error: StoredError }
  /** The run takes the new side of a change of its code. */
  | { readonly kind: "patch.adopted"; readonly patch: string }
  /** A limit holds the run, or one of its steps. */
  | { readonly kind: "lane.queued"; readonly lane: string; readonly step: string | null }
  /** It has the slot it waited for. */
  | { readonly kind: "lane.entered"; readonly lane: string; readonly step: string | null }
  | ({ readonly kind: "webhook.created"; readonly url: string; readonly until: number | null } & Named)
  | ({ readonly kind: "webhook.received"; readonly request: Stored } & Named)
  /** Also after the run has ended. Of each webhook a hundred are on record at most; the last says so. */
  | ({ readonly kind: "webhook.rejected"; readonly reason: string; readonly code?: ErrorCode } & Named)
  /** The address before `url` is dead; the wait is open under `url`, the address of this `generation` (0 was the first). */
  | ({ readonly kind: "webhook.revoked"; readonly url: string; readonly generation: number } & Named & Asked)
  | { readonly kind: "log.written"; readonly level: LogLevel; readonly message: string; readonly data?: Stored }
  | { readonly kind: "progress.published"; readonly value: Stored }
  | ({
      readonly kind: "run.paused";
      /** Set when the engine paused the run because it could not go on. */
      readonly error?: StoredError;
    } & Asked)
  /** `shiftMs` is the length of the pause: every open deadline moves later by it, one fixed within it by the rest. */
  | ({ readonly kind: "run.resumed"; readonly shiftMs: number } & Asked)
  /** `cleared` are the failed steps that run again. */
  | ({ readonly kind: "run.retried"; readonly cleared: readonly string[] } & Asked)
  /** The handler hears of it through its open calls, cleans up, and then the run is cancelled. */
  | ({
      readonly kind: "run.cancel_requested";
      readonly error: StoredError;
      /** Steps in flight that can be undone: whether they must be is told by how they end. */
      readonly awaited: readonly string[];
    } & Asked)
  /** Somebody asked for what changed nothing: the run was as they wanted it, or stays on its way to its end. */
  | ({ readonly kind: "run.action_noted"; readonly action: "cancel" | "pause" | "resume" } & Asked)
  /** The run `run` of the built-in workflow tells the address of an end of this one; `of` is its `seq`. */
  | { readonly kind: "notice.started"; readonly url: string; readonly of: number; readonly run: string }
  /** The history up to here came from another deployment. */
  | ({ readonly kind: "run.imported"; readonly from: ImportOrigin; readonly reason: string | null } & Author)
  | { readonly kind: "run.completed"; readonly output: Stored }
  | { readonly kind: "run.failed"; readonly error: StoredError }
  | ({
      readonly kind: "run.cancelled";
      readonly error: StoredError;
      /** The handler was cleaning up, asked nothing of us for long, and was not waited for any more. */
      readonly givenUp?: true;
    } & Asked);

export type LogLevel = "debug" | "info" | "warn" | "error";

/** A fact in its place: `seq` counts from 1 without gaps, `at` is epoch ms and never goes backwards. */
export type Entry = Fact & {
  readonly seq: number;
  readonly at: number;
  /** What the run had taken of the platform by then, in all. Now and then, with the last entry of a commit. */
  readonly used?: Usage;
};

export type EntryOf<Kind extends Fact["kind"]> = Extract<Entry, { kind: Kind }>;
