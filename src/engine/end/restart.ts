/**
 * Owns: which part of its history a run keeps when it is restarted from one of its steps.
 * Does not own: which entries these are (core/lifecycle/restart), the new journal (core/lifecycle/continuation), the new start (drive).
 * Invariant 1: a step that is not in the history is refused before anything is written.
 */
import type { Kept } from "../../core/lifecycle/continuation.ts";
import type { Entry } from "../../core/history/entry.ts";
import type { Journal } from "../../core/history/journal.ts";
import { halfUndone, planRestart } from "../../core/lifecycle/restart.ts";
import type { StepRef } from "../../core/lifecycle/restart.ts";
import { forkedFacts } from "../../core/history/transcript.ts";
import type { Pending } from "../call/call.ts";
import type { Ledger } from "../ledger.ts";

/**
 * Returns a function that reads it, to be called once the run has ended.
 * @param from null: the start, with nothing kept
 * @param calls the open calls of its handler
 * @throws HoldfastError fork_invalid
 */
export function keptUpTo(
  from: StepRef | null,
  journal: Journal,
  before: Ledger,
  calls: ReadonlyMap<string, Pending> = new Map(),
): (ledger: Ledger) => Kept {
  if (from === null) return () => ({ step: null, facts: [] });
  const { created } = before.state;
  const plan = planRestart(
    () => historyWith(calls, journal, before),
    from,
    created?.continuation?.restarted?.step ?? null,
  );
  return (ledger) => {
    const facts = forkedFacts(journal.read(), plan, new Map(), ledger.now(), ledger.state.seq + 1);
    return { step: from.id, facts };
  };
}

/**
 * The history, and an entry for each step in flight, whose first attempt is only recorded when it has ended. A step whose
 * undoing is under way counts as undone: made again it may be made twice, but kept it might not be made at all.
 */
function* historyWith(calls: ReadonlyMap<string, Pending>, journal: Journal, ledger: Ledger): Iterable<Entry> {
  yield* journal.read();
  const { seq, at } = ledger.state;
  for (const { id, plan } of calls.values())
    if (plan.kind === "run") yield { kind: "step.attempt_started", step: id, attempt: 1, seq: seq + 1, at };
  const step = halfUndone(ledger.state, ledger.now());
  if (step !== null) yield { kind: "undo.completed", step, attempt: 1, startedAt: at, seq: seq + 1, at };
}
