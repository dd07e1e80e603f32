/**
 * The words of the journal. An entry is a fact that happened to one run; the journal is the
 * ordered list of them and the whole truth about the run. `docs/journal.md` describes the
 * stored form; a kind, once released, is never renamed and never changes its meaning.
 */
import type { StoredError } from "./error.ts";
import type { Stored } from "./value.ts";

/** What a call of `step` is. A name that changes its kind under a run pauses the run. */
export type CallKind = "run" | "sleep" | "wait" | "webhook";

/** Which firing of which schedule started a run; `at` is the nominal time, epoch ms. */
export type ScheduleFiring = { readonly id: string; readonly at: number };

/** The run that started this one. */
export type ParentRun = { readonly id: string; readonly workflow: string };

/** The facts, without their place and time. */
export type Fact =
  | {
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
      readonly by: string;
    }
  | { readonly kind: "run.started"; readonly deployment: string }
  /**
   * The process died, or was replaced, while the run was at work. `held` unless the code was
   * replaced: a deploy is no fault of the run.
   */
  | { readonly kind: "run.interrupted"; readonly deployment: string; readonly held: boolean }
  /** After deaths, the run is parked again and unharmed: they are no longer held against it. */
  | { readonly kind: "run.recovered" }
  | {
      readonly kind: "step.attempt_failed";
      readonly step: string;
      readonly attempt: number;
      readonly startedAt: number;
      readonly error: StoredError;
      readonly retryAt: number;
    }
  /** A life that was not there when the attempt fell due begins it: from here on its death would be seen. */
  | { readonly kind: "step.attempt_started"; readonly step: string; readonly attempt: number }
  /** An attempt was cut off by the death of the process; it begins again with the same key. */
  | {
      readonly kind: "step.interrupted";
      readonly step: string;
      readonly deployment: string;
      readonly held: boolean;
    }
  | {
      readonly kind: "step.completed";
      readonly step: string;
      readonly attempt: number;
      readonly startedAt: number;
      readonly result: Stored;
    }
  | {
      readonly kind: "step.failed";
      readonly step: string;
      readonly attempt: number;
      readonly startedAt: number;
      readonly error: StoredError;
    }
  /** The code now has a call that the recorded history ran without. */
  | { readonly kind: "step.added"; readonly step: string; readonly call: CallKind }
  /** The recorded history has a call that the code no longer makes. */
  | { readonly kind: "step.removed"; readonly step: string; readonly call: CallKind }
  | { readonly kind: "timer.set"; readonly name: string; readonly call: string; readonly wakeAt: number }
  | { readonly kind: "timer.fired"; readonly name: string; readonly call: string }
  | { readonly kind: "wait.started"; readonly name: string; readonly call: string; readonly until: number | null }
  | {
      readonly kind: "wait.timed_out";
      readonly name: string;
      readonly call: string;
      readonly wait: "signal" | "webhook";
    }
  | {
      readonly kind: "signal.received";
      readonly name: string;
      readonly payload: Stored;
      readonly key?: string;
      readonly by: string;
    }
  /** `signal` is the `seq` of the `signal.received` it consumed. */
  | { readonly kind: "signal.consumed"; readonly name: string; readonly call: string; readonly signal: number }
  | {
      readonly kind: "webhook.created";
      readonly name: string;
      readonly call: string;
      readonly url: string;
      readonly until: number | null;
    }
  | { readonly kind: "webhook.received"; readonly name: string; readonly call: string; readonly request: Stored }
  | { readonly kind: "webhook.rejected"; readonly name: string; readonly call: string; readonly reason: string }
  | {
      readonly kind: "log.written";
      readonly level: LogLevel;
      readonly message: string;
      readonly data?: Stored;
    }
  | { readonly kind: "progress.published"; readonly value: Stored }
  | {
      readonly kind: "run.paused";
      readonly by: string;
      readonly reason: string | null;
      readonly key?: string;
      /** Set when the engine paused the run because it could not go on. */
      readonly error?: StoredError;
    }
  /** `shiftMs` is the length of the pause: every open deadline moves later by it, one fixed within it by the rest. */
  | {
      readonly kind: "run.resumed";
      readonly by: string;
      readonly reason: string | null;
      readonly key?: string;
      readonly shiftMs: number;
    }
  /** `cleared` are the failed steps that run again. */
  | {
      readonly kind: "run.retried";
      readonly by: string;
      readonly reason: string | null;
      readonly key?: string;
      readonly cleared: readonly string[];
    }
  | { readonly kind: "run.completed"; readonly output: Stored }
  | { readonly kind: "run.failed"; readonly error: StoredError }
  | {
      readonly kind: "run.cancelled";
      readonly error: StoredError;
      readonly by: string;
      readonly reason: string | null;
      readonly key?: string;
    };

export type LogLevel = "debug" | "info" | "warn" | "error";

/** A fact in its place: `seq` counts from 1 without gaps, `at` is epoch ms and never goes backwards. */
export type Entry = Fact & { readonly seq: number; readonly at: number };

export type EntryOf<Kind extends Fact["kind"]> = Extract<Entry, { kind: Kind }>;
