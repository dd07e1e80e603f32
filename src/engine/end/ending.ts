/**
 * Owns: how a run ends, as facts: how it ends instead of as its handler wanted, if it was cancelled, and what is undone
 * before.
 * Does not own: undoing (closing, calls).
 */
import { authorOf } from "../../core/author.ts";
import type { Fact, FactOf } from "../../core/history/entry.ts";
import type { StoredError } from "../../core/error.ts";
import { callOf, list } from "../../core/sentence/phrase.ts";
import type { RunState } from "../../core/state/state.ts";
import { wasCutOff } from "../../core/state/step.ts";

export type End = FactOf<"run.completed" | "run.failed" | "run.cancelled">;

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

/** The error of a run that ends without its handler: what is not undone, and of which steps it is not known how they ended. */
export function withoutHandler(error: StoredError, state: RunState): StoredError {
  const { undoable, undone, open } = state;
  const tried = failedToUndo(state);
  const over = new Set([...undone, ...tried.map(({ step }) => step)]);
  const message = "the run ended before it could be undone";
  const left = [...undoable].toReversed().filter((step) => !over.has(step));
  const notUndone = [...tried, ...left.map((step) => ({ step, message }))];
  const unknown = [...open].filter(({ key }) => wasCutOff(state, key)).map(({ kind, id }) => callOf(kind, id));
  return {
    ...error,
    ...(unknown.length === 0 ? {} : { message: `${error.message}; it is not known how ${list(unknown)} ended` }),
    ...(undone.length === 0 ? {} : { undone: [...undone] }),
    ...(notUndone.length === 0 ? {} : { notUndone }),
  };
}

function withUndone(error: StoredError, state: RunState): StoredError {
  const notUndone = failedToUndo(state);
  return { ...error, undone: [...state.undone], ...(notUndone.length === 0 ? {} : { notUndone }) };
}

function failedToUndo({ notUndone }: RunState): NonNullable<StoredError["notUndone"]> {
  return notUndone.map(({ step, error: { message } }) => ({ step, message }));
}
