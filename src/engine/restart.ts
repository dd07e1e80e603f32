/**
 * Owns: what of its history a run keeps that somebody has begin once more from one of its steps.
 * Does not own: its new start (drive), what is on record with it (core/continuation), what goes along (core/restart).
 * Invariant 1: it is found out before anything is written whether there is such a step.
 */
import type { Kept } from "../core/continuation.ts";
import type { Entry } from "../core/entry.ts";
import type { Journal } from "../core/journal.ts";
import { planRestart } from "../core/restart.ts";
import type { StepRef } from "../core/restart.ts";
import { forkedFacts } from "../core/transcript.ts";
import type { Pending } from "./call.ts";
import type { Ledger } from "./ledger.ts";

/**
 * What is answered is to be asked once the run has ended, and its end is on record.
 * @param from null: its start
 * @param calls those that its handler has open
 * @throws HoldfastError fork_invalid
 */
export function keptUpTo(
  from: StepRef | null,
  journal: Journal,
  before: Ledger,
  calls: ReadonlyMap<string, Pending> = new Map(),
): (ledger: Ledger) => Kept {
  if (from === null) return () => ({ step: null, facts: [] });
  const plan = planRestart(() => historyWith(calls, journal, before), from);
  return (ledger) => {
    const facts = forkedFacts(journal.read(), plan, new Map(), ledger.now(), ledger.state.seq + 1);
    return { step: from.id, facts };
  };
}

/** With the steps that were begun: of one that never failed nothing is on record before it has ended. */
function* historyWith(calls: ReadonlyMap<string, Pending>, journal: Journal, ledger: Ledger): Iterable<Entry> {
  yield* journal.read();
  const { seq, at } = ledger.state;
  for (const { id, plan } of calls.values())
    if (plan.kind === "run") yield { kind: "step.attempt_started", step: id, attempt: 1, seq: seq + 1, at };
}
