/**
 * The only place that defines what entries mean: `fold` applies one to the state of its run. Pure: the same entries make
 * the same state, on every machine and for ever.
 */
import { added, put } from "../empty.ts";
import type { Entry, EntryOf } from "../history/entry.ts";
import { laneKey } from "../lane/ticket.ts";
import type { Folds } from "./outcome.ts";
import { runFolds } from "./run.ts";
import type { Outcome, RunState } from "./state.ts";
import { stepFolds } from "./step.ts";
import { updateFolds } from "./update.ts";
import { childFolds, waitFolds } from "./wait.ts";

/** Applies one entry to the state; returns the outcome that it delivers to the handler, or null. */
export function fold(state: RunState, entry: Entry): Outcome | null {
  state.seq = entry.seq;
  state.at = entry.at;
  if (entry.used !== undefined) state.used = entry.used;
  const outcome = apply(entry.kind, state, entry);
  // A replay is silent up to the newest outcome: only what is published behind it is compared.
  if (outcome !== null && state.published.length > 0) state.published = [];
  return outcome;
}

function apply<Kind extends Entry["kind"]>(kind: Kind, state: RunState, entry: EntryOf<Kind>): Outcome | null {
  return folds[kind](state, entry) ?? null;
}

/** A kind that is not here does not compile. */
const folds: Folds<Entry["kind"]> = {
  ...runFolds,
  ...stepFolds,
  ...waitFolds,
  ...childFolds,
  ...updateFolds,
  "patch.adopted": (state, { patch }) => {
    state.patches = added(state.patches, patch);
  },
  "lane.queued": (state, entry) => {
    state.queued = put(state.queued, laneKey(entry), entry);
  },
  "lane.entered": (state, entry) => {
    state.queued.delete(laneKey(entry));
  },
  "log.written": (state, entry) => {
    state.published.push(entry);
  },
  "progress.published": (state, entry) => {
    state.published.push(entry);
    state.progress = entry.value;
  },
};
