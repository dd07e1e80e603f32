/** What the entries of steps and of their undoing mean. */
import { added } from "../empty.ts";
import type { Entry, EntryOf } from "../history/entry.ts";
import { nameOfCall } from "../name.ts";
import { callKey, endedOf, recordOf, undoKey } from "./state.ts";
import type { Call, Outcome, RunState } from "./state.ts";
import { count, finish, orphan, outcome, progress, recall, reopenCall, unreachable } from "./outcome.ts";

type StepEntry = Extract<Entry, { kind: `step.${string}` | `undo.${string}` }>;

export function foldStep(state: RunState, entry: StepEntry): Outcome | null {
  switch (entry.kind) {
    // No outcome: after a retry, the step begins as if this attempt had not been made.
    case "step.abandoned": {
      const call = state.calls.get(callKey("run", entry.step));
      if (call !== undefined) recall(call);
      return null;
    }
    case "step.added":
      add(state, callKey(entry.call, entry.step));
      return null;
    case "step.removed":
      state.marked = added(state.marked, `${entry.kind}:${callKey(entry.call, entry.step)}`);
      return null;
    case "undo.started":
      state.ending = entry;
      state.queued.clear();
      // The handler does not run any further, so its open children are not needed.
      for (const call of state.calls.values()) if (!call.done) orphan(state, call);
      return outcome(entry, undoKey, { kind: "undo", steps: entry.steps });
    default:
      return foldAttempt(state, entry);
  }
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

type AttemptEntry = Exclude<StepEntry, { kind: "step.added" | "step.removed" | "step.abandoned" | "undo.started" }>;

function foldAttempt(state: RunState, entry: AttemptEntry): Outcome | null {
  const kind = entry.kind.startsWith("undo.") ? "undo" : "run";
  const place = entry.kind === "step.completed" ? endedOf : recordOf;
  const call = place(state, kind, entry.step, nameOfCall(entry.step), entry.at);
  const { key } = call;
  switch (entry.kind) {
    case "step.attempt_failed":
    case "undo.attempt_failed":
      failAttempt(state, call, entry);
      return null;
    case "step.attempt_started":
    case "undo.attempt_started":
      call.retryAt = null;
      call.begunAttempt = entry.attempt;
      return null;
    case "step.dispatched":
      makeAgain(state, call);
      dispatch(call, entry);
      return null;
    case "step.interrupted":
    case "undo.interrupted":
      if (entry.held) call.crashes++;
      call.interruptions++;
      state.deployment = entry.deployment;
      return null;
    case "step.completed":
      complete(state, call, entry);
      return outcome(entry, key, { kind: "value", value: entry.result });
    case "step.failed":
      fail(state, call, entry);
      return outcome(entry, key, { kind: "error", error: entry.error });
    case "undo.completed":
      finish(state, call);
      state.undone.push(entry.step);
      return outcome(entry, key, { kind: "elapsed" });
    case "undo.failed":
      finish(state, call, true);
      state.notUndone.push({ step: entry.step, error: entry.error });
      return outcome(entry, key, { kind: "error", error: entry.error });
    default:
      return unreachable(entry);
  }
}

function failAttempt(state: RunState, call: Call, entry: EntryOf<"step.attempt_failed" | "undo.attempt_failed">): void {
  progress(state);
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
  count(state, entry.seq, call.name, { failedAttempts: 1 });
}

/** A cancellation ended it, and the handler that cleans up makes it once more: new code may. */
function makeAgain(state: RunState, call: Call): void {
  if (!call.done) return;
  call.done = false;
  state.open.add(call);
}

function complete(state: RunState, call: Call, entry: EntryOf<"step.completed">): void {
  finish(state, call);
  state.steps.completed++;
  count(state, entry.seq, call.name, { completed: 1, ms: entry.at - entry.startedAt });
  if (entry.undo === true) undoable(state, call);
  if (entry.omitted === true) state.omitted = added(state.omitted, entry.step);
}

function undoable(state: RunState, call: Call): void {
  state.undoable = added(state.undoable, call.id);
  call.endedSeq = state.seq;
}

function fail(state: RunState, call: Call, { seq, at, startedAt }: EntryOf<"step.failed">): void {
  finish(state, call, true);
  state.steps.failed++;
  count(state, seq, call.name, { failed: 1, failedAttempts: 1, ms: at - startedAt });
}

function dispatch(call: Call, { seq, attempt, startedAt, until, courier }: EntryOf<"step.dispatched">): void {
  call.retryAt = null;
  call.order = { seq, attempt, startedAt, courier };
  call.until = until;
}
