/** What a further start within the period of a debounce does to the run that waits for the end of that period. */
import { authorOf } from "../author.ts";
import type { Fact } from "../history/entry.ts";
import type { LaneNeed } from "./need.ts";
import type { Retention } from "../run/origin.ts";
import { defined } from "../record.ts";
import type { RunState } from "../state/state.ts";
import type { Stored } from "../value/value.ts";

/** A start that may be merged into a run that has not begun. */
export type DebouncedStart = {
  readonly workflow: string;
  readonly version: string;
  readonly input: Stored;
  readonly sent?: Stored;
  readonly labels: Readonly<Record<string, string>>;
  readonly lanes?: readonly LaneNeed[];
  /** Addresses that are told of the run's end. */
  readonly notify?: readonly string[];
  /** How long the run is kept after its end, where the start says so. */
  readonly retention?: Retention;
  /** The caller asked that the run begin not before this instant, and not after `notAfter`. */
  readonly startAt?: number;
  readonly notAfter?: number;
  readonly periodMs: number;
  /** The run begins this long after its first start at the latest; null: there is no such limit. */
  readonly maxMs: number | null;
  /** What tells this start from others when it is repeated. */
  readonly key?: string;
  readonly by: string;
  readonly role?: string;
  readonly reason?: string;
};

/** `merged`: into the run, by this fact, or before where it is null. `late`: the run has begun, or is another one. */
export type Merge = { readonly kind: "merged"; readonly fact: Fact | null } | { readonly kind: "late" };

export function decideMerge(state: RunState, start: DebouncedStart, now: number): Merge {
  const { created, startedAt, end, paused, cancelling, debounceKeys } = state;
  const { workflow, version, input, sent, labels, notify, retention, notAfter, key } = start;
  if (created === null || created.workflow !== workflow) return { kind: "late" };
  if (key !== undefined && debounceKeys.has(key)) return { kind: "merged", fact: null };
  if (startedAt !== null || end !== null || cancelling !== null || created.continuation !== undefined) {
    return { kind: "late" };
  }
  // A run that is due has already asked for its slots, and keeps its place. What falls due during a pause is moved by it.
  const isDue = (created.startAt ?? 0) <= (paused?.at ?? now);
  const lanes = isDue ? created.lanes : start.lanes;
  const fact: Fact = {
    kind: "run.debounced",
    version,
    input,
    labels,
    startAt: isDue ? (created.startAt ?? created.at) : beginAt(start, created.at, now),
    ...authorOf(start),
    ...defined({ reason: start.reason, sent, lanes, notify, retention, notAfter, key }),
  };
  return { kind: "merged", fact };
}

type DebounceTerms = Pick<DebouncedStart, "startAt" | "periodMs" | "maxMs">;

/** A period from now, but at most `maxMs` after the first start, and not before the `startAt` that was asked for. */
export function beginAt({ startAt = 0, periodMs, maxMs }: DebounceTerms, firstAt: number, now: number): number {
  return Math.max(startAt, Math.min(now + periodMs, maxMs === null ? Infinity : firstAt + maxMs));
}
