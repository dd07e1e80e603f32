/** What all folds share: ending a call, counting it, and making the outcome that its promise settles with. */
import { put } from "../empty.ts";
import type { Entry, EntryOf } from "../history/entry.ts";
import type { Call, Outcome, RunState } from "./state.ts";
import { addTally } from "./tally.ts";
import type { StepTally } from "./tally.ts";
import { copiedUpTo } from "../run/origin.ts";

/** What the entries of these kinds do to the state, and the outcomes that they deliver. */
export type Folds<Kind extends Entry["kind"]> = {
  readonly [Each in Kind]: (state: RunState, entry: EntryOf<Each>) => Outcome | void;
};

export function outcome(entry: Entry, key: string, settle: Outcome["settle"]): Outcome {
  return { key, seq: entry.seq, at: entry.at, settle };
}

/** The run has made progress: deaths before this no longer count against it. */
export function clearDeaths(state: RunState): void {
  state.crashes = 0;
  state.interruptions = 0;
}

export function finish(state: RunState, call: Call, failed = false): void {
  clearDeaths(state);
  call.done = true;
  state.open.delete(call);
  // A field is written only if it changes: most calls then never have it as their own (see `Call`).
  if (call.failed !== failed) call.failed = failed;
  if (failed) call.endedSeq = state.seq;
  if (call.withdrawn) call.withdrawn = false;
  if (call.retryAt !== null) call.retryAt = null;
  if (call.exhausted) call.exhausted = false;
  if (call.lastError !== null) call.lastError = null;
  if (call.order !== null) call.order = null;
  if (state.cleared.size > 0) state.cleared.delete(call.key);
}

/** How many names of one run are counted apart; a run may make names from its data. */
const maxNames = 200;

/** Copied entries do not count: they were counted in the run, or the incarnation, that they come from. */
export function count(state: RunState, name: string, part: Partial<StepTally>): void {
  if (state.created !== null && state.seq <= copiedUpTo(state.created)) return;
  addTally(state.tallies, name, part, maxNames);
}

/** A call that had lost a race is waited for again. */
export function reopenCall(state: RunState, call: Call): void {
  call.withdrawn = false;
  call.done = false;
  state.open.add(call);
  // A child that was stopped has no result: it is started anew.
  if (call.kind === "child" && call.policy !== "abandon") restart(state, call);
}

/** The child of this call is to be started anew, under another id. */
export function restart(state: RunState, call: Call): void {
  if (call.child !== null)
    state.formerChildren = put(state.formerChildren, call.id, { child: call.child, stopped: true });
  call.child = null;
  call.until = null;
}

/** The answer of the courier's request is not expected any more; a new attempt makes another request. */
export function recall(call: Call): void {
  if (call.order === null) return;
  call.order = null;
  call.until = null;
}

/** Marks a child that nobody waits for any more as one to be stopped, unless its policy is to leave it alone. */
export function orphan(state: RunState, { child, policy }: Pick<Call, "child" | "policy">): void {
  if (child !== null && policy !== "abandon")
    state.orphans = put(state.orphans, child.id, { child, policy, since: state.at });
}
