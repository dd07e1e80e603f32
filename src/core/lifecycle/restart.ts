/**
 * What a run keeps of its history when it is restarted from a step: the same as a fork from there, but without signals that
 * were not consumed by then.
 */
import type { CallKind, Entry } from "../history/entry.ts";
import { HoldfastError } from "../error.ts";
import { planFork } from "./fork.ts";
import type { ForkPlan } from "./fork.ts";
import { callKey } from "../state/state.ts";
import type { RunState } from "../state/state.ts";
import { subjectOf } from "../history/subject.ts";

/** A step by its id in the code. Of several kinds of calls with that id, the first of `kinds` is meant. */
export type StepRef = { readonly id: string; readonly kinds: readonly [CallKind, ...CallKind[]] };

/**
 * @param read reads the history; called several times
 * @param before the step from which the run was restarted before; where it has not come there yet, it keeps all that it has
 * @throws HoldfastError fork_invalid: the history has no such step
 */
export function planRestart(read: () => Iterable<Entry>, { id, kinds }: StepRef, before: string | null): ForkPlan {
  const found = callsNamed(read(), id);
  const kind = kinds.find((each) => found.has(each)) ?? kinds[0];
  const from = found.get(kind);
  if (from === undefined && id !== before) {
    throw new HoldfastError("fork_invalid", `step ${JSON.stringify(id)} is not in the history of the run`);
  }
  const history = from === undefined ? endingWith(read(), kind, id) : read();
  const plan = planFork(history, { from: from ?? id, kind, given: [] });
  const waiting = unconsumed(read(), new Set(plan.copied));
  return { ...plan, copied: plan.copied.filter((seq) => !waiting.has(seq)) };
}

/** The history, as if the code made this call next. */
function* endingWith(entries: Iterable<Entry>, call: CallKind, step: string): Iterable<Entry> {
  yield* entries;
  yield { kind: "step.added", step, call, seq: Infinity, at: Infinity };
}

/**
 * The step that may have been undone although that is not on record: its undoing was under way when the run was stopped, or
 * is now. One whose attempt failed, and that waits for the next, has not been undone.
 */
export function halfUndone({ ending, calls, end }: RunState, now: number): string | null {
  const undoOf = (step: string) => calls.get(callKey("undo", step));
  const step = ending?.steps.find((each) => undoOf(each)?.done !== true) ?? null;
  const retryAt = step === null ? null : (undoOf(step)?.retryAt ?? null);
  return retryAt !== null && retryAt > (end?.at ?? now) ? null : step;
}

/** The `seq` of every signal `among` these entries that no entry among them consumed. */
function unconsumed(entries: Iterable<Entry>, among: ReadonlySet<number>): Set<number> {
  const waiting = new Set<number>();
  for (const entry of entries) {
    if (!among.has(entry.seq)) continue;
    if (entry.kind === "signal.received") waiting.add(entry.seq);
    else if (entry.kind === "signal.consumed") waiting.delete(entry.signal);
  }
  return waiting;
}

/** The call of each kind that has this id in the code. */
function callsNamed(entries: Iterable<Entry>, id: string): Map<CallKind, string> {
  const found = new Map<CallKind, string>();
  for (const entry of entries) {
    const call = subjectOf(entry);
    if (call === null || found.has(call.kind)) continue;
    const known = ("label" in entry ? entry.label : undefined) ?? call.id;
    if (known === id) found.set(call.kind, call.id);
  }
  return found;
}
