/** Counting how the steps of a run went, as their entries come. */
import type { RunState } from "../state.ts";
import { addTally } from "../tally.ts";
import type { StepTally } from "../tally.ts";

/** Names that are told apart in one run: a run may make names of its data. */
const maxNames = 200;

/** Of a fork, what was copied is left out: it went so in the run it comes from, and counts there. */
export function count(state: RunState, seq: number, name: string, part: Partial<StepTally>): void {
  if (seq <= (state.created?.fork?.upTo ?? 0)) return;
  addTally(state.tallies, name, part, maxNames);
}
