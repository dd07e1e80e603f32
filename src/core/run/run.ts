/**
 * A run as it looks from outside, in stored form: instants are epoch ms, values are {@link Stored} text. The HTTP layer and
 * the typed handle convert it.
 */
import type { Entry } from "../history/entry.ts";
import type { ParentRun, ScheduleFiring } from "./origin.ts";
import type { StoredError } from "../error.ts";
import type { StepTally } from "../state/tally.ts";
import type { Usage } from "./usage.ts";
import type { Stored } from "../value/value.ts";

export const runStatuses = ["queued", "running", "waiting", "paused", "completed", "failed", "cancelled"] as const;

export type RunStatus = (typeof runStatuses)[number];

/** A count of runs by their status, all of them 0. */
export function noRuns(): Record<RunStatus, number> {
  return Object.fromEntries(runStatuses.map((status) => [status, 0])) as Record<RunStatus, number>;
}

/** Completed, failed and cancelled runs have ended. */
export function isEnded(status: RunStatus): status is "completed" | "failed" | "cancelled" {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** What an unfinished run waits for. `until` is null where nothing limits the wait. */
export type Waiting = {
  readonly kind: "signal" | "webhook" | "timer" | "retry" | "run" | "lane" | "start";
  readonly name: string;
  readonly since: number;
  readonly until: number | null;
  /** The address of an open webhook wait. */
  readonly url?: string;
  /** Of a child: its workflow. */
  readonly workflow?: string;
  /** A signal that `onSignal` takes whenever it comes: the handler does not wait for it. */
  readonly listener?: true;
} & Partial<QueuePosition> &
  Partial<NextAttempt>;

/** The next attempt that is waited for: its number, the limit (`of`) where it is known, and the last error in one line. */
export type NextAttempt = {
  readonly attempt: number;
  readonly of: number;
  readonly error: string;
  /** The step is being undone. */
  readonly undo: true;
};

/** The position of a run in the queue of a lane; 1 is next. `limit` null: none. */
export type QueuePosition = { readonly position: number; readonly used: number; readonly limit: number | null };

export type RunSnapshot = {
  readonly id: string;
  readonly workflow: string;
  readonly version: string;
  readonly status: RunStatus;
  readonly input: Stored;
  readonly output: Stored | null;
  readonly error: StoredError | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly progress: Stored | null;
  readonly parent: ParentRun | null;
  readonly schedule: ScheduleFiring | null;
  /** The run that this one was forked from, and the step at which. */
  readonly fork: { readonly id: string; readonly step: string | null } | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly updatedAt: number;
  readonly finishedAt: number | null;
  readonly waitingFor: readonly Waiting[];
  /** One sentence on why the run does not progress, or what it is executing; null when it has completed. */
  readonly reason: string | null;
  /**
   * The part of the sentence that does not depend on the clock, before what the run waits for: that it is ending. Null where
   * there is none; absent where all of `reason` is independent of the clock.
   */
  readonly lead?: string | null;
  readonly steps: { readonly completed: number; readonly failed: number; readonly running: number };
  /** Attempts in flight, as far as the object's memory knows; the oldest first, at most 20. */
  readonly active: readonly ActiveAttempt[];
  readonly usage: Usage;
  /** How its steps went, by name, those that fail most first; at most 50. */
  readonly tallies: Readonly<Record<string, StepTally>>;
  /** The W3C trace it belongs to, as the traceparent of its own span. */
  readonly trace: string;
  /** The newest entry's `seq`: a snapshot with a higher one is newer. */
  readonly seq: number;
};

/** `of`: how many attempts there may be, where that is recorded. `until`: when it times out; absent while nothing limits it. */
export type ActiveAttempt = {
  readonly step: string;
  readonly attempt: number;
  readonly of?: number;
  readonly since: number;
  readonly until?: number;
};

/** The part of a run that the directory keeps. */
export type RunSummary = Omit<RunSnapshot, "input" | "output" | "progress" | "active">;

/** The run that a request made (`created`), or found because it was made before. */
export type Made<Run = RunSnapshot> = { readonly run: Run; readonly created: boolean };

/** `ended`: whether the run has ended; absent where that is not known. */
export type HistoryPage = {
  readonly entries: readonly Entry[];
  readonly next: number | null;
  readonly ended?: boolean;
};

/** Whether the run is being cancelled or undone: then it has no result to wait for. */
export function isEnding({ lead }: Pick<RunSummary, "lead">): boolean {
  return typeof lead === "string";
}
