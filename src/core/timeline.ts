/**
 * What a run did, as bars over time: made of its journal, for whoever draws it. A bar is one call of
 * `step`, or a time in which the run as a whole stood still.
 */
import type { ErrorCode } from "./code.ts";
import type { CallKind } from "./entry.ts";
import type { StoredError } from "./error.ts";
import type { ChildRun } from "./origin.ts";
import type { Stored } from "./value.ts";

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
  /** Null while it is in flight, or where it was cut off and nothing says when. */
  readonly endedAt: number | null;
  /** Null for the one that succeeded, and for one in flight. */
  readonly error: StoredError | null;
  /** Cut off by the death of the process. */
  readonly interrupted: boolean;
  /** When the next one begins, as it was fixed when this one failed. */
  readonly retryAt: number | null;
};

export type Bar = {
  /** Its place among all bars, from 0: in the order in which they began. */
  readonly index: number;
  /** Tells bars of a run apart: `run:charge#2`. */
  readonly key: string;
  readonly kind: BarKind;
  /** What it is called: the step's id (`charge#2`), the signal's name, the lane. */
  readonly name: string;
  readonly status: BarStatus;
  readonly startedAt: number;
  readonly endedAt: number | null;
  /** Until when it waits, where something limits it. */
  readonly until: number | null;
  /** Of a step: oldest first, and only the newest where there are many. */
  readonly attempts: readonly BarAttempt[];
  /** How many there were, those that are left out included. */
  readonly attemptCount: number;
  /**
   * How many there may be in all, where that is on record; also those that a person granted anew, and those
   * that were cut off.
   */
  readonly attemptLimit: number | null;
  readonly child: ChildRun | null;
  readonly error: StoredError | null;
  /** Calls of a webhook that were refused, newest last; at most 20. */
  readonly rejected: readonly { readonly at: number; readonly reason: string; readonly code?: ErrorCode }[];
  /** `seq`s of its first and its newest entry. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Of a bar that stands for all calls of its name. */
  readonly calls?: Calls;
};

/** Calls of one name that are told as one, by how they do; the rest of them were withdrawn. */
export type Calls = {
  /** Tells them apart from others of the run: `run:resize`. */
  readonly key: string;
  readonly total: number;
  readonly completed: number;
  /** Those that timed out are among them. */
  readonly failed: number;
  readonly open: number;
};

/** `folded`: many calls of one name are one bar, those that failed below it. `within`: such calls alone, by their key. */
export type Grouping = { readonly kind: "folded" } | { readonly kind: "within"; readonly key: string };

/** Which bars: up to `limit` from `from` on, counted among those of the kind `only` where it is given. */
export type Window = {
  readonly from: number;
  readonly limit: number;
  readonly only?: BarKind;
  readonly grouping?: Grouping;
};

/** Where a bar stands in a folded timeline: the row, and which of its calls it is where they are told as one. */
export type RowPlace = {
  readonly row: number;
  readonly within: { readonly key: string; readonly call: number } | null;
};

/** A part of a run's timeline. */
export type Timeline = {
  /** Bars from `from` on, as many as were asked for. */
  readonly bars: readonly Bar[];
  readonly from: number;
  /** How many bars there are, of the kind that was asked for; calls that are told as one are one. */
  readonly total: number;
  /** How many calls that is. */
  readonly count: number;
  readonly startedAt: number;
  /** The end of the run; of one that goes on, when this was made. */
  readonly endedAt: number;
  readonly ended: boolean;
  /** Spans in which nothing happened, long ones only, in order and apart: to be drawn folded. */
  readonly idle: readonly { readonly fromAt: number; readonly untilAt: number }[];
};

/** All that is on record of one call. */
export type Story = {
  readonly bar: Bar;
  readonly place: RowPlace;
  /** What it was given, where that is on record: a child's input, an update's argument. */
  readonly input: Stored | null;
  /** What came of it; null where nothing did yet, or it is never shown. */
  readonly output: Stored | null;
  readonly sensitive: boolean;
  /** What the attempts of a step were given to be told apart by; null for other calls. */
  readonly idempotencyKey: string | null;
};
