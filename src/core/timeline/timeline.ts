/**
 * The timeline of a run: bars over time, made from its journal. A bar is one call of `step`, or a time in which the run as a
 * whole stood still.
 */
import type { ErrorCode } from "../code.ts";
import type { CallKind } from "../history/entry.ts";
import type { StoredError } from "../error.ts";
import type { ChildRun } from "../run/origin.ts";
import type { Stored } from "../value/value.ts";

export type BarKind = CallKind | "lane" | "pause" | "delay" | "update";

export const barKinds: readonly BarKind[] = [
  "run",
  "sleep",
  "wait",
  "webhook",
  "child",
  "undo",
  "lane",
  "pause",
  "delay",
  "update",
];

export type BarStatus = "open" | "completed" | "failed" | "timed_out" | "withdrawn";

export type BarAttempt = {
  /** Counts from 1. */
  readonly attempt: number;
  readonly startedAt: number;
  /** Null while it is in flight, or where it was cut off at an unknown time. */
  readonly endedAt: number | null;
  /** Null for the one that succeeded, and for one in flight. */
  readonly error: StoredError | null;
  /** Cut off by the death of the process. */
  readonly interrupted: boolean;
  /** When the next attempt was to begin, as decided when this one failed. */
  readonly retryAt: number | null;
};

export type Bar = {
  /** Its index among all bars, in the order in which they began. */
  readonly index: number;
  /** Identifies the bar within its run: `run:charge#2`. */
  readonly key: string;
  readonly kind: BarKind;
  /** Its name: the step's id (`charge#2`), the signal's name, the lane. */
  readonly name: string;
  readonly status: BarStatus;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** When its wait, or its attempt in flight, is over at the latest, if that is limited. */
  readonly until: number | null;
  /** Of a step: oldest first, and only the newest where there are many. */
  readonly attempts: readonly BarAttempt[];
  /** How many attempts there were, including those that are left out. */
  readonly attemptCount: number;
  /**
   * The limit of attempts, if it is recorded, including those that a person granted and those that were cut off.
   */
  readonly attemptLimit: number | null;
  readonly child: ChildRun | null;
  readonly error: StoredError | null;
  /** Calls of a webhook that were refused, newest last; at most 20. */
  readonly rejected: readonly { readonly at: number; readonly reason: string; readonly code?: ErrorCode }[];
  /** `seq`s of its first and its newest entry. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Set if the bar stands for all calls of its name. */
  readonly calls?: Calls;
};

/** Calls of one name that are shown as one bar, counted by status; those that are not counted were withdrawn. */
export type Calls = {
  /** Identifies the group within the run: `run:resize`. */
  readonly key: string;
  readonly total: number;
  readonly completed: number;
  /** Including those that timed out. */
  readonly failed: number;
  readonly open: number;
};

/** `folded`: many calls of one name are one bar, with failed ones below it. `within`: only the calls of one such group. */
export type Grouping = { readonly kind: "folded" } | { readonly kind: "within"; readonly key: string };

/** Selects up to `limit` bars from `from` on, counted among those of the kind `only` if it is given. */
export type Window = {
  readonly from: number;
  readonly limit: number;
  readonly only?: BarKind;
  readonly grouping?: Grouping;
};

/** The position of a bar in a folded timeline: its row, and its index within the row's group, if it is in one. */
export type RowPlace = {
  readonly row: number;
  readonly within: { readonly key: string; readonly call: number } | null;
};

/** A part of a run's timeline. */
export type Timeline = {
  /** The selected bars. */
  readonly bars: readonly Bar[];
  readonly from: number;
  /** How many bars of that kind there are; a group counts as one. */
  readonly total: number;
  /** How many calls these stand for. */
  readonly count: number;
  readonly startedAt: number;
  /** The end of the run; if it has not ended, when this was made. */
  readonly endedAt: number;
  readonly ended: boolean;
  /** Long spans in which nothing happened, in order: to be drawn folded. */
  readonly idle: readonly { readonly fromAt: number; readonly untilAt: number }[];
};

/** All that is recorded of one call. */
export type Story = {
  readonly bar: Bar;
  readonly place: RowPlace;
  /** Its input, if it is recorded: a child's input, an update's argument. */
  readonly input: Stored | null;
  /** Its result; null while there is none, or if it is never shown. */
  readonly output: Stored | null;
  readonly sensitive: boolean;
  /** The idempotency key of a step; null for other calls. */
  readonly idempotencyKey: string | null;
};
