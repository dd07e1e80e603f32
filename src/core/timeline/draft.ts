/**
 * A bar in the making, and its attempts: how many there were, and how many there may be.
 * Does not know of other bars (drafts), nor what entries say of it (bars).
 */
import type { Bar, BarAttempt, BarKind } from "../timeline.ts";

type Mutable<Shape> = { -readonly [Key in keyof Shape]: Shape[Key] };

/** Its place among the others is known at the end. */
export type Draft = Mutable<Omit<Bar, "index" | "attempts" | "rejected">> & {
  readonly attempts: Mutable<BarAttempt>[];
  readonly rejected: Bar["rejected"][number][];
  /** The entry that ended it, by its `seq`; 0 where none has. Others may tell of it later. */
  endedSeq: number;
  /** It was still open as the run ended: a retry of the run opens it again. */
  cutShort: boolean;
  /** How many attempts the newest that failed had, by its own count; null where that is not on record. */
  limit: number | null;
  /** Of these, so many a person granted on top, as those before them failed. */
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

/** As much of an attempt as is known. */
export type Attempted = Partial<BarAttempt> & Pick<BarAttempt, "attempt" | "startedAt">;

/** @param limit how many there are in all by its own count, where that is on record */
export function addAttempt(draft: Draft, made: Attempted, limit = draft.limit): void {
  const last = draft.attempts.at(-1);
  // One that was on record as begun, and now has its end.
  if (last !== undefined && isInFlight(last) && last.attempt === made.attempt) draft.attempts.pop();
  else draft.attemptCount++;
  draft.attempts.push({ endedAt: null, error: null, interrupted: false, retryAt: null, ...made });
  draft.limit = limit;
  limitBy(draft, made.attempt);
}

/** The attempt that was cut off: the one on record as begun, or one of which nothing says when it began. */
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

/** The next attempt is the first again, of as many as the policy allows. */
export function startOver(draft: Draft): void {
  if (draft.limit !== null) draft.limit -= draft.granted;
  draft.granted = 0;
  limitBy(draft, 0);
}

/** Where none was left: whoever retries or resumes the run grants as many anew. */
export function grant(draft: Draft): void {
  const last = draft.attempts.at(-1);
  if (last === undefined || last.error === null || last.retryAt !== null) return;
  if (draft.limit !== null) draft.limit += last.attempt - draft.granted;
  draft.granted = last.attempt;
  limitBy(draft, last.attempt);
}

/** A pause is over: what was fixed in it moves by the rest of it only. */
export function shift(draft: Draft, at: number, shiftMs: number): void {
  if (draft.until === null) return;
  const since = draft.attempts.at(-1)?.endedAt ?? draft.startedAt;
  draft.until += Math.min(shiftMs, Math.max(0, at - since));
}

/** It has no attempt left, and a person decides; also where the run has ended meanwhile. */
export function isExhausted({ kind, status, cutShort, attempts }: Draft): boolean {
  const last = attempts.at(-1);
  if (kind !== "run" || (status !== "open" && !cutShort) || last === undefined) return false;
  return last.error !== null && last.retryAt === null;
}

function isInFlight({ endedAt, interrupted }: BarAttempt): boolean {
  return endedAt === null && !interrupted;
}

/** All that are shown count: so do those that were cut off, and those from before a retry set the step free. */
function limitBy(draft: Draft, newest: number): void {
  if (draft.limit !== null) draft.attemptLimit = draft.limit + draft.attemptCount - newest;
}
