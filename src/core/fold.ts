/**
 * The only place that gives entries a meaning: `fold` adds one to the state of its run. Pure: the
 * same entries make the same state, on every machine and for ever.
 */
import type { Entry, EntryOf } from "./entry.ts";
import { callKey, inboxOf, recordOf, spoken, takeSignal } from "./state.ts";
import type { Call, Outcome, RunState } from "./state.ts";

/** Adds one entry to the state; answers the outcome it delivers to the handler, if it does. */
export function fold(state: RunState, entry: Entry): Outcome | null {
  state.seq = entry.seq;
  state.at = entry.at;
  switch (entry.kind) {
    case "step.attempt_failed":
    case "step.attempt_started":
    case "step.interrupted":
    case "step.completed":
    case "step.failed":
    case "step.added":
    case "step.removed":
      return foldStep(state, entry);
    case "timer.set":
    case "timer.fired":
    case "wait.started":
    case "wait.timed_out":
    case "signal.received":
    case "signal.consumed":
    case "webhook.created":
    case "webhook.received":
    case "webhook.rejected":
      return foldWait(state, entry);
    case "log.written":
      state.said.push(spoken(entry));
      return null;
    case "progress.published":
      state.said.push(spoken(entry));
      state.progress = entry.value;
      return null;
    default:
      foldRun(state, entry);
      return null;
  }
}

type StepEntry = Extract<Entry, { kind: `step.${string}` }>;
type WaitEntry = Extract<
  Entry,
  { kind: `timer.${string}` | `wait.${string}` | `signal.${string}` | `webhook.${string}` }
>;
type RunEntry = Extract<Entry, { kind: `run.${string}` }>;

function foldStep(state: RunState, entry: StepEntry): Outcome | null {
  if (entry.kind === "step.added" || entry.kind === "step.removed") {
    state.marked.add(`${entry.kind}:${callKey(entry.call, entry.step)}`);
    return null;
  }
  const call = recordOf(state, "run", entry.step, nameOf(entry.step), entry.at);
  switch (entry.kind) {
    case "step.attempt_failed":
      progress(state);
      call.attempts = entry.attempt;
      call.retryAt = entry.retryAt;
      call.retryFrom = entry.at;
      call.lastError = entry.error;
      call.crashes = 0;
      call.interruptions = 0;
      return null;
    case "step.attempt_started":
      call.retryAt = null;
      return null;
    case "step.interrupted":
      if (entry.held) call.crashes++;
      call.interruptions++;
      state.deployment = entry.deployment;
      return null;
    case "step.completed":
      finish(state, call);
      state.steps.completed++;
      return outcome(entry, callKey("run", entry.step), { kind: "value", value: entry.result });
    case "step.failed":
      finish(state, call);
      state.steps.failed++;
      return outcome(entry, callKey("run", entry.step), { kind: "error", error: entry.error });
    default:
      return unreachable(entry);
  }
}

function foldWait(state: RunState, entry: WaitEntry): Outcome | null {
  switch (entry.kind) {
    case "timer.set":
      recordOf(state, "sleep", entry.call, entry.name, entry.at).until = entry.wakeAt;
      return null;
    case "timer.fired":
      finish(state, recordOf(state, "sleep", entry.call, entry.name, entry.at));
      return outcome(entry, callKey("sleep", entry.call), { kind: "elapsed" });
    case "wait.started":
      recordOf(state, "wait", entry.call, entry.name, entry.at).until = entry.until;
      return null;
    case "wait.timed_out": {
      const hook = entry.wait === "webhook";
      finish(state, recordOf(state, hook ? "webhook" : "wait", entry.call, entry.name, entry.at));
      return outcome(entry, callKey(hook ? "received" : "wait", entry.call), { kind: "timed_out" });
    }
    case "signal.received":
      inboxOf(state, entry.name).items.push({ seq: entry.seq, at: entry.at, payload: entry.payload });
      if (entry.key !== undefined) state.signalKeys.set(entry.key, { name: entry.name, payload: entry.payload });
      return null;
    case "signal.consumed": {
      finish(state, recordOf(state, "wait", entry.call, entry.name, entry.at));
      const value = takeSignal(inboxOf(state, entry.name)).payload;
      return outcome(entry, callKey("wait", entry.call), { kind: "value", value });
    }
    case "webhook.created": {
      const call = recordOf(state, "webhook", entry.call, entry.name, entry.at);
      call.until = entry.until;
      call.url = entry.url;
      return outcome(entry, callKey("webhook", entry.call), { kind: "elapsed" });
    }
    case "webhook.received":
      recordOf(state, "webhook", entry.call, entry.name, entry.at).received = true;
      finish(state, recordOf(state, "webhook", entry.call, entry.name, entry.at));
      return outcome(entry, callKey("received", entry.call), { kind: "value", value: entry.request });
    case "webhook.rejected":
      return null;
    default:
      return unreachable(entry);
  }
}

function foldRun(state: RunState, entry: RunEntry): void {
  switch (entry.kind) {
    case "run.created":
      state.created = entry;
      return;
    case "run.started":
      state.startedAt = entry.at;
      state.timedFrom = entry.at;
      state.deployment = entry.deployment;
      return;
    case "run.recovered":
      progress(state);
      return;
    case "run.interrupted":
      if (entry.held) state.deaths++;
      state.lives++;
      state.deployment = entry.deployment;
      return;
    case "run.paused":
      state.paused = entry;
      remember(state, entry, "pause");
      return;
    case "run.resumed":
      state.paused = null;
      shift(state, entry);
      remember(state, entry, "resume");
      return;
    case "run.retried":
      retry(state, entry);
      return;
    case "run.completed":
    case "run.failed":
      state.end = entry;
      return;
    case "run.cancelled":
      state.end = entry;
      remember(state, entry, entry.error.code === "terminated" ? "terminate" : "cancel");
      return;
    default:
      unreachable(entry);
  }
}

function retry(state: RunState, entry: EntryOf<"run.retried">): void {
  if (state.end !== null) {
    // The time between the failure and its repair is not held against the run's own timeout,
    // and a run that failed by it is given all of it again.
    if (state.end.kind === "run.failed" && state.end.error.code === "run_timeout") state.timedFrom = entry.at;
    else state.timedFrom += Math.max(0, entry.at - state.end.at);
  }
  state.end = null;
  state.retriedSeq = entry.seq;
  progress(state);
  for (const step of entry.cleared) {
    const key = callKey("run", step);
    if (state.calls.get(key)?.done === true) state.steps.failed--;
    state.calls.delete(key);
    state.cleared.add(key);
  }
  for (const call of state.calls.values()) {
    if (call.done || call.retryAt === null) continue;
    call.retryAt = entry.at;
    call.retryFrom = entry.at;
  }
  remember(state, entry, "retry");
}

/** What was fixed during the pause moves by the rest of it only. */
function shift(state: RunState, { at, shiftMs }: EntryOf<"run.resumed">): void {
  state.timedFrom += shiftMs;
  for (const call of state.calls.values()) {
    if (call.done) continue;
    if (call.until !== null) call.until += Math.min(shiftMs, at - call.since);
    if (call.retryAt !== null) call.retryAt += Math.min(shiftMs, at - call.retryFrom);
  }
}

function remember(
  state: RunState,
  { key, reason }: { readonly key?: string; readonly reason: string | null },
  kind: string,
): void {
  if (key !== undefined) state.actionKeys.set(key, { kind, reason });
}

function progress(state: RunState): void {
  state.deaths = 0;
  state.lives = 0;
}

function finish(state: RunState, call: Call): void {
  progress(state);
  if (state.said.length > 0) state.said = [];
  call.done = true;
  call.retryAt = null;
  call.lastError = null;
  if (state.cleared.size > 0) state.cleared.delete(callKey(call.kind, call.id));
}

function nameOf(step: string): string {
  return step.replace(/#\d+$/, "");
}

function outcome(entry: Entry, key: string, settle: Outcome["settle"]): Outcome {
  return { key, seq: entry.seq, at: entry.at, settle };
}

function unreachable(entry: never): never {
  throw new Error(`an entry of unknown kind: ${JSON.stringify(entry)}`);
}
