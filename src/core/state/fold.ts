/**
 * The only place that defines what entries mean: `fold` applies one to the state of its run. Pure: the same entries make
 * the same state, on every machine and for ever.
 */
import { added, put } from "../empty.ts";
import type { Entry } from "../history/entry.ts";
import { unreachable } from "./outcome.ts";
import { foldRun } from "./run.ts";
import { foldStep } from "./step.ts";
import { foldUpdate } from "./update.ts";
import { foldChild, foldWait } from "./wait.ts";
import { publicationOf } from "./state.ts";
import type { Outcome, RunState } from "./state.ts";
import { laneKey } from "../lane/ticket.ts";

/** Applies one entry to the state; returns the outcome that it delivers to the handler, or null. */
export function fold(state: RunState, entry: Entry): Outcome | null {
  const outcome = apply(state, entry);
  // A replay is silent up to the newest outcome: only what is published behind it is compared.
  if (outcome !== null && state.published.length > 0) state.published = [];
  return outcome;
}

/** Long because every kind is listed here once, so that a missing one does not compile. */
function apply(state: RunState, entry: Entry): Outcome | null {
  state.seq = entry.seq;
  state.at = entry.at;
  if (entry.used !== undefined) state.used = entry.used;
  switch (entry.kind) {
    case "step.attempt_failed":
    case "step.attempt_started":
    case "step.dispatched":
    case "step.interrupted":
    case "step.abandoned":
    case "step.completed":
    case "step.failed":
    case "step.added":
    case "step.removed":
    case "undo.started":
    case "undo.attempt_failed":
    case "undo.attempt_started":
    case "undo.interrupted":
    case "undo.completed":
    case "undo.failed":
      return foldStep(state, entry);
    case "timer.set":
    case "timer.fired":
    case "wait.started":
    case "wait.withdrawn":
    case "wait.timed_out":
    case "signal.received":
    case "signal.consumed":
    case "listener.added":
    case "webhook.created":
    case "webhook.received":
    case "webhook.rejected":
    case "webhook.revoked":
      return foldWait(state, entry);
    case "child.started":
    case "child.completed":
    case "child.failed":
    case "child.stopped":
      return foldChild(state, entry);
    case "update.accepted":
    case "update.completed":
    case "update.failed":
      return foldUpdate(state, entry);
    case "patch.adopted":
      state.patches = added(state.patches, entry.patch);
      return null;
    case "lane.queued":
      state.queued = put(state.queued, laneKey(entry), entry);
      return null;
    case "lane.entered":
      state.queued.delete(laneKey(entry));
      return null;
    case "log.written":
      state.published.push(publicationOf(entry));
      return null;
    case "progress.published":
      state.published.push(publicationOf(entry));
      state.progress = entry.value;
      return null;
    case "run.created":
    case "run.debounced":
    case "run.started":
    case "run.recovered":
    case "run.interrupted":
    case "run.paused":
    case "run.resumed":
    case "run.retried":
    case "run.imported":
    case "notice.started":
    case "run.cancel_requested":
    case "run.action_noted":
    case "run.completed":
    case "run.failed":
    case "run.cancelled":
      return foldRun(state, entry);
    default:
      return unreachable(entry);
  }
}
