/** What every fold does alike: noting that a call is over, counting how it went, and what its promise settles with. */
import type { Entry } from "../entry.ts";
import type { Call, Outcome, RunState } from "../state.ts";
import { addTally } from "../tally.ts";
import type { StepTally } from "../tally.ts";
import { copiedUpTo } from "../transcript.ts";

export function outcome(entry: Entry, key: string, settle: Outcome["settle"]): Outcome {
  return { key, seq: entry.seq, at: entry.at, settle };
}

/** Something went well: deaths before it are no longer held against the run. */
export function progress(state: RunState): void {
  state.crashes = 0;
  state.interruptions = 0;
}

export function finish(state: RunState, call: Call, failed = false): void {
  progress(state);
  if (state.published.length > 0) state.published = [];
  call.done = true;
  state.open.delete(call);
  // What is so already is not written: most calls have nothing of their own but this.
  if (call.failed !== failed) call.failed = failed;
  if (failed) call.endedSeq = state.seq;
  if (call.withdrawn) call.withdrawn = false;
  if (call.retryAt !== null) call.retryAt = null;
  if (call.exhausted) call.exhausted = false;
  if (call.lastError !== null) call.lastError = null;
  if (call.order !== null) call.order = null;
  if (state.cleared.size > 0) state.cleared.delete(call.key);
}

/** Names that are told apart in one run: a run may make names of its data. */
const maxNames = 200;

/** Entries that were copied from another run, or from the life before, do not count: they were counted there. */
export function count(state: RunState, seq: number, name: string, part: Partial<StepTally>): void {
  if (state.created !== null && seq <= copiedUpTo(state.created)) return;
  addTally(state.tallies, name, part, maxNames);
}

/** Nobody brings the answer of a request any more; made again, the attempt is another request. */
export function recall(call: Call): void {
  if (call.order === null) return;
  call.order = null;
  call.until = null;
}

/** Children that nobody will wait for any more are to be stopped, unless their policy lets them be. */
export function orphan(state: RunState, { child, policy }: Pick<Call, "child" | "policy">): void {
  if (child !== null && policy !== "abandon") state.orphans.set(child.id, { child, policy });
}

export function unreachable(entry: never): never {
  throw new Error(`an entry of unknown kind: ${JSON.stringify(entry)}`);
}
