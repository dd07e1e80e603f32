/**
 * What a run that begins once more from one of its steps keeps of its history: what a fork from there takes along, but
 * for signals that nobody had consumed by then. They came to the life that ended, as to a run that begins from its start.
 */
import type { CallKind, Entry } from "./entry.ts";
import { HoldfastError } from "./error.ts";
import { planFork } from "./fork.ts";
import type { ForkPlan } from "./fork.ts";
import { subjectOf } from "./subject.ts";

/** A step as those name it who know the code: its id there, and the kinds that it may be of, the likeliest first. */
export type StepRef = { readonly id: string; readonly kinds: readonly CallKind[] };

/** @param read the history; read more than once @throws HoldfastError fork_invalid: there is no such step in it */
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

/** The `seq` of each signal among those that none of them consumed. */
function unconsumed(entries: Iterable<Entry>, among: ReadonlySet<number>): Set<number> {
  const waiting = new Set<number>();
  for (const entry of entries) {
    if (!among.has(entry.seq)) continue;
    if (entry.kind === "signal.received") waiting.add(entry.seq);
    else if (entry.kind === "signal.consumed") waiting.delete(entry.signal);
  }
  return waiting;
}

/** Of each kind, the call that the code knows by this id. */
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
