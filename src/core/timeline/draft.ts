/**
 * A bar in the making, and its attempts: how many there were, and how many there may be.
 * Does not know of other bars (drafts), nor what entries say of it (bars).
 */
import type { Bar, BarAttempt, BarKind } from "./timeline.ts";

type Mutable<Shape> = { -readonly [Key in keyof Shape]: Shape[Key] };

/** A bar without its index, which is known at the end only. */
export type Draft = Mutable<Omit<Bar, "index" | "attempts" | "rejected">> & {
  readonly attempts: Mutable<BarAttempt>[];
  readonly rejected: Bar["rejected"][number][];
  /** The `seq` of the entry that ended it; 0 for none. */
  endedSeq: number;
  /** It was open when the run ended: a retry of the run reopens it. */
  cutShort: boolean;
  /** The limit recorded with the newest failed attempt; null where there is none. */
  limit: number | null;
  /** How many attempts of this limit were granted by a person after earlier ones had failed. */
  granted: number;
};

export function keyOf(kind: BarKind, id: string): string {
  return `${kind}:${id}`;
}

export function draftOf(kind: BarKind, id: string, at: number, seq: number): Draft {
  return {
    ...{ key: keyOf(kind, id), kind, name: id, status: "open", startedAt: at, endedAt: null, until: null },
    ...{ attempts: [], attemptCount: 0, attemptLimit: null, child: null, error: null, rejected: [] },
    ...{ firstSeq: seq, lastSeq: seq, endedSeq: 0, cutShort: false, limit: null, granted: 0 },
  };
}

/** The known part of an attempt. */
export type Attempted = Partial<BarAttempt> & Pick<BarAttempt, "attempt" | "startedAt">;

/** @param limit the limit recorded with the attempt, if any */
export function addAttempt(draft: Draft, made: Attempted, limit = draft.limit): void {
  const last = draft.attempts.at(-1);
  // The attempt was recorded when it began, and has ended now.
  if (last !== undefined && isInFlight(last) && last.attempt === made.attempt) draft.attempts.pop();
  else draft.attemptCount++;
  draft.attempts.push({ endedAt: null, error: null, interrupted: false, retryAt: null, ...made });
  draft.limit = limit;
  limitBy(draft, made.attempt);
}

/** Marks the attempt that was cut off: the one that was recorded as begun, or one whose beginning is not recorded. */
export function interrupt(draft: Draft, at: number): void {
  const last = draft.attempts.at(-1);
  if (last !== undefined && isInFlight(last)) {
    last.interrupted = true;
    return;
  }
  const startedAt = Math.min(last?.retryAt ?? at, at);
  const attempt = last === undefined ? 1 : last.error === null ? last.attempt : last.attempt + 1;
  draft.attempts.push({ attempt, startedAt, endedAt: null, error: null, interrupted: true, retryAt: null });
  draft.attemptCount++;
  limitBy(draft, attempt);
}

/** Attempts count from 1 again, with the full limit. */
export function startOver(draft: Draft): void {
  if (draft.limit !== null) draft.limit -= draft.granted;
  draft.granted = 0;
  limitBy(draft, 0);
}

/** If no attempt was left, a retry or resume of the run grants the full limit again. */
export function grant(draft: Draft): void {
  const last = draft.attempts.at(-1);
  if (last === undefined || last.error === null || last.retryAt !== null) return;
  if (draft.limit !== null) draft.limit += last.attempt - draft.granted;
  draft.granted = last.attempt;
  limitBy(draft, last.attempt);
}

/** Moves deadlines at the end of a pause; those that were set during it move by the rest of it. */
export function shift(draft: Draft, at: number, shiftMs: number): void {
  if (draft.until === null) return;
  const since = draft.attempts.at(-1)?.endedAt ?? draft.startedAt;
  draft.until += Math.min(shiftMs, Math.max(0, at - since));
}

/** Whether no attempt is left and a person has to decide; also if the run has ended meanwhile. */
export function isExhausted({ kind, status, cutShort, attempts }: Draft): boolean {
  const last = attempts.at(-1);
  if (kind !== "run" || (status !== "open" && !cutShort) || last === undefined) return false;
  return last.error !== null && last.retryAt === null;
}

function isInFlight({ endedAt, interrupted }: BarAttempt): boolean {
  return endedAt === null && !interrupted;
}

/** The limit over all attempts that are shown, including those that were cut off, and those before a retry cleared the step. */
function limitBy(draft: Draft, newest: number): void {
  if (draft.limit !== null) draft.attemptLimit = draft.limit + draft.attemptCount - newest;
}
