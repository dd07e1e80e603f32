/** What the entries of steps and of their undoing mean. */
import { added } from "../empty.ts";
import type { Entry, EntryOf } from "../history/entry.ts";
import { nameOfCall } from "../name.ts";
import { callKey, endedOf, recordOf, undoKey } from "./state.ts";
import type { Call, Outcome, RunState } from "./state.ts";
import { count, finish, orphan, outcome, clearDeaths, recall, reopenCall } from "./outcome.ts";
import type { Folds } from "./outcome.ts";

type StepKind = Extract<Entry["kind"], `step.${string}` | `undo.${string}`>;

export const stepFolds: Folds<StepKind> = {
  "step.attempt_failed": failAttempt,
  "undo.attempt_failed": failAttempt,
  "step.attempt_started": startAttempt,
  "undo.attempt_started": startAttempt,
  "step.dispatched": dispatch,
  "step.interrupted": interrupt,
  "undo.interrupted": interrupt,
  // No outcome: after a retry, the step begins as if this attempt had not been made.
  "step.abandoned": (state, { step }) => {
    const call = state.calls.get(callKey("run", step));
    if (call !== undefined) recall(call);
  },
  "step.completed": complete,
  "step.failed": fail,
  "step.added": (state, { call, step }) => add(state, callKey(call, step)),
  "step.removed": (state, { kind, call, step }) => {
    state.marked = added(state.marked, `${kind}:${callKey(call, step)}`);
  },
  "undo.started": (state, entry) => {
    state.ending = entry;
    state.queued.clear();
    // The handler does not run any further, so its open children are not needed.
    for (const call of state.open) orphan(state, call);
    return outcome(entry, undoKey, { kind: "undo", steps: entry.steps });
  },
  "undo.completed": (state, entry) => {
    const call = callOf(state, entry);
    finish(state, call);
    state.undone.push(entry.step);
    return outcome(entry, call.key, { kind: "elapsed" });
  },
  "undo.failed": (state, entry) => {
    const call = callOf(state, entry);
    finish(state, call, true);
    state.notUndone.push({ step: entry.step, error: entry.error });
    return outcome(entry, call.key, { kind: "error", error: entry.error });
  },
};

/** By the record it may have been at work in a death, and no attempt has ended since. */
export function wasCutOff({ calls }: RunState, key: string): boolean {
  const { done = true, attempts = 0, begunAttempt = 0, interruptions = 0 } = calls.get(key) ?? {};
  return !done && (interruptions > 0 || begunAttempt > attempts);
}

/** The call of the step, or of undoing it. */
function callOf(state: RunState, { kind, step, at }: EntryOf<Exclude<StepKind, "undo.started">>): Call {
  return recordOf(state, kind.startsWith("undo.") ? "undo" : "run", step, nameOfCall(step), at);
}

/** The code makes this call: for the first time, or once more if it was marked as removed, or had lost a race. */
function add(state: RunState, key: string): void {
  state.marked.delete(`step.removed:${key}`);
  state.marked = added(state.marked, `step.added:${key}`);
  const call = state.calls.get(key);
  if (call === undefined || !call.withdrawn) return;
  // A deadline from before would be none of this wait.
  if (call.kind === "sleep" || call.kind === "wait") state.calls.delete(key);
  else reopenCall(state, call);
}

function failAttempt(state: RunState, entry: EntryOf<"step.attempt_failed" | "undo.attempt_failed">): void {
  const call = callOf(state, entry);
  clearDeaths(state);
  makeAgain(state, call);
  call.attempts = entry.attempt;
  call.limit = entry.limit ?? null;
  call.retryAt = entry.retryAt;
  call.exhausted = entry.retryAt === null;
  call.retryFrom = entry.at;
  call.lastError = entry.error;
  call.order = null;
  call.crashes = 0;
  call.interruptions = 0;
  // Of an undo, lines published by the failed attempt are dropped: the next attempt publishes its own. Those of a step stay.
  if (call.kind === "undo") return void (state.published = []);
  call.until = null;
  count(state, call.name, { failedAttempts: 1 });
}

function startAttempt(state: RunState, entry: EntryOf<"step.attempt_started" | "undo.attempt_started">): void {
  const call = callOf(state, entry);
  call.retryAt = null;
  call.begunAttempt = entry.attempt;
  call.markedSeq = entry.seq;
}

function interrupt(state: RunState, entry: EntryOf<"step.interrupted" | "undo.interrupted">): void {
  const call = callOf(state, entry);
  if (entry.held) call.crashes++;
  call.interruptions++;
  call.markedSeq = entry.seq;
  state.deployment = entry.deployment;
}

/** A cancellation ended it, and the handler that cleans up makes it once more: new code may. */
function makeAgain(state: RunState, call: Call): void {
  if (!call.done) return;
  call.done = false;
  state.open.add(call);
}

function complete(state: RunState, entry: EntryOf<"step.completed">): Outcome {
  const call = endedOf(state, "run", entry.step, nameOfCall(entry.step), entry.at);
  finish(state, call);
  state.steps.completed++;
  count(state, call.name, { completed: 1, ms: entry.at - entry.startedAt });
  if (entry.undo === true) {
    state.undoable = added(state.undoable, call.id);
    call.endedSeq = entry.seq;
  }
  if (entry.omitted === true) state.omitted = added(state.omitted, entry.step);
  return outcome(entry, call.key, { kind: "value", value: entry.result });
}

function fail(state: RunState, entry: EntryOf<"step.failed">): Outcome {
  const call = callOf(state, entry);
  finish(state, call, true);
  state.steps.failed++;
  count(state, call.name, { failed: 1, failedAttempts: 1, ms: entry.at - entry.startedAt });
  return outcome(entry, call.key, { kind: "error", error: entry.error });
}

function dispatch(state: RunState, entry: EntryOf<"step.dispatched">): void {
  const { seq, attempt, startedAt, until, courier } = entry;
  const call = callOf(state, entry);
  makeAgain(state, call);
  call.retryAt = null;
  call.order = { seq, attempt, startedAt, courier };
  call.until = until;
}
