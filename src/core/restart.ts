/**
 * What a run keeps of its history when it is restarted from a step: the same as a fork from there, but without signals that
 * were not consumed by then.
 */
import type { CallKind, Entry } from "./entry.ts";
import { HoldfastError } from "./error.ts";
import { planFork } from "./fork.ts";
import type { ForkPlan } from "./fork.ts";
import { subjectOf } from "./subject.ts";

/** A step by its id in the code. Of several kinds of calls with that id, the first of `kinds` is meant. */
export type StepRef = { readonly id: string; readonly kinds: readonly CallKind[] };

/** @param read reads the history; called several times @throws HoldfastError fork_invalid: the history has no such step */
export function planRestart(read: () => Iterable<Entry>, { id, kinds }: StepRef): ForkPlan {
  const found = callsNamed(read(), id);
  const kind = kinds.find((each) => found.has(each));
  const from = kind === undefined ? undefined : found.get(kind);
  if (kind === undefined || from === undefined) {
    throw new HoldfastError("fork_invalid", `step ${JSON.stringify(id)} is not in the history of the run`);
  }
  const plan = planFork(read(), { from, kind, given: [] });
  const waiting = unconsumed(read(), new Set(plan.copied));
  return { ...plan, copied: plan.copied.filter((seq) => !waiting.has(seq)) };
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
