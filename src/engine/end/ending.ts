/**
 * Owns: how a run ends, as facts: how it ends instead of as its handler wanted, if it was cancelled, and what is undone
 * before.
 * Does not own: undoing (closing, calls).
 */
import { authorOf } from "../../core/author.ts";
import type { Fact } from "../../core/history/entry.ts";
import type { StoredError } from "../../core/error.ts";
import type { RunState } from "../../core/state/state.ts";

export type End = Extract<Fact, { kind: "run.completed" | "run.failed" | "run.cancelled" }>;

/**
 * How the run ends: as was wanted, unless it was cancelled before or its end is on record already.
 * @param wanted null where its steps have been undone
 */
export function endOf(wanted: End | null, state: RunState): End {
  const { cancelling, ending } = state;
  if (ending !== null) {
    const { error, reason } = ending;
    const told = withUndone(error, state);
    if (ending.ends === "failed") return { kind: "run.failed", error: told };
    return { kind: "run.cancelled", error: told, ...authorOf(ending), reason };
  }
  if (cancelling !== null) {
    const { error, reason } = cancelling;
    const end = { kind: "run.cancelled", error, ...authorOf(cancelling), reason } as const;
    return wanted?.kind === "run.cancelled" && wanted.givenUp === true ? { ...end, givenUp: true } : end;
  }
  if (wanted === null) throw new Error("a run that is not being undone needs an end");
  return wanted;
}

/** What is to be undone before this end, the last completed first; null when there is nothing. */
export function undoing(end: Exclude<End, { kind: "run.completed" }>, { undoable }: RunState): Fact | null {
  if (undoable.size === 0) return null;
  const { error } = end;
  const begun = { kind: "undo.started", error, steps: [...undoable].toReversed(), apart: true } as const;
  if (end.kind === "run.failed") return { ...begun, ends: "failed", by: "engine", reason: null };
  return { ...begun, ends: "cancelled", ...authorOf(end), reason: end.reason };
}

/** The error of a run that ends at once though steps of it could have been undone. */
export function withoutUndoing(error: StoredError, { undoable }: RunState): StoredError {
  if (undoable.size === 0) return error;
  const message = "the run ended before it could be undone";
  return { ...error, notUndone: [...undoable].toReversed().map((step) => ({ step, message })) };
}

function withUndone(error: StoredError, { undone, notUndone }: RunState): StoredError {
  const failed = notUndone.map(({ step, error: { message } }) => ({ step, message }));
  return { ...error, undone: [...undone], ...(failed.length === 0 ? {} : { notUndone: failed }) };
}
