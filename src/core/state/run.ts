/** What the entries of the run itself mean. */
import { added, put } from "../empty.ts";
import type { EndEntry } from "../history/end.ts";
import type { Entry, EntryOf } from "../history/entry.ts";
import { defined } from "../record.ts";
import { callKey, cancelKey } from "./state.ts";
import type { Outcome, RunState } from "./state.ts";
import { finish, orphan, outcome, clearDeaths, recall, reopenCall, restart } from "./outcome.ts";
import type { Folds } from "./outcome.ts";

type RunKind = Extract<Entry["kind"], `run.${string}` | "notice.started">;

export const runFolds: Folds<RunKind> = {
  "run.created": create,
  "run.debounced": debounce,
  "run.started": start,
  "run.recovered": (state, { seq }) => {
    clearDeaths(state);
    state.recoveredSeq = seq;
  },
  "run.interrupted": interrupt,
  "run.paused": (state, entry) => {
    // A run that is paused twice counts as paused from the first time: deadlines move by the whole pause.
    const { at, seq } = state.paused ?? entry;
    state.paused = { ...entry, at, seq };
    remember(state, entry, "pause");
  },
  "run.resumed": (state, entry) => {
    state.paused = null;
    state.resumedAt = entry.at;
    shift(state, entry);
    release(state, entry.at);
    remember(state, entry, "resume");
  },
  "run.retried": retry,
  "notice.started": noteNotice,
  "run.imported": importRun,
  "run.cancel_requested": cancel,
  "run.action_noted": (state, entry) => {
    if (entry.action === "cancel") state.cancelNoted = true;
    remember(state, entry, entry.action);
  },
  "run.completed": end,
  "run.failed": end,
  "run.cancelled": end,
};

function create(state: RunState, entry: EntryOf<"run.created">): void {
  const { continuation } = entry;
  state.created = entry;
  state.delayedAt = entry.at;
  state.sent = entry.sent ?? entry.input;
  state.tallies = new Map(continuation?.tallies);
  for (const { key, name, payload } of continuation?.keys ?? [])
    state.signalKeys = put(state.signalKeys, key, { name, payload });
  for (const { key, ...action } of continuation?.actions ?? []) state.actionKeys = put(state.actionKeys, key, action);
  for (const key of continuation?.debounced ?? []) state.debounceKeys = added(state.debounceKeys, key);
  for (const { key, ...update } of continuation?.updates ?? []) {
    state.updates = put(state.updates, update.id, update);
    state.updateKeys = put(state.updateKeys, key, update.id);
  }
}

function start(state: RunState, { at, deployment }: EntryOf<"run.started">): void {
  state.startedAt = at;
  state.timedFrom = at;
  state.deployment = deployment;
  state.startedUnder = deployment;
}

function interrupt(state: RunState, { held, deployment }: EntryOf<"run.interrupted">): void {
  if (held) state.crashes++;
  state.interruptions++;
  state.deployment = deployment;
  if (state.startedUnder !== deployment) state.startedUnder = null;
}

function noteNotice({ pendingNotices: untold, notices }: RunState, { of, url, run }: EntryOf<"notice.started">): void {
  notices.push(run);
  const urls = untold.get(of);
  urls?.delete(url);
  if (urls?.size === 0) untold.delete(of);
}

/** The run becomes what it would be had this start created it, except for its id and its creation time. */
function debounce(state: RunState, entry: EntryOf<"run.debounced">): void {
  if (state.created === null) return;
  state.delayedAt = entry.at;
  if (entry.by !== `parent ${state.created.parent?.id}`) state.shared = true;
  const { version, input, sent, labels, lanes, notify, retention, startAt, notAfter = null, key } = entry;
  const { sent: _sent, lanes: _lanes, notify: _notify, retention: _retention, ...created } = state.created;
  state.created = {
    ...created,
    version,
    input,
    labels,
    startAt,
    notAfter,
    ...defined({ sent, lanes, notify, retention }),
  };
  if (key !== undefined) state.debounceKeys = added(state.debounceKeys, key);
}

function end(state: RunState, entry: EndEntry): void {
  state.end = entry;
  if (entry.kind === "run.cancelled")
    remember(state, entry, entry.error.code === "terminated" ? "terminate" : "cancel");
  const { notify = [] } = state.created ?? {};
  if (notify.length > 0) state.pendingNotices = put(state.pendingNotices, entry.seq, new Set(notify));
  state.queued.clear();
  for (const call of state.calls.values()) if (!call.done || call.detached) orphan(state, call);
}

/** Children of an imported run were runs of another deployment: runs here that have the same ids are others. */
function importRun(state: RunState, entry: EntryOf<"run.imported">): void {
  state.imported = entry;
  // Notices that it owed are sent by the deployment that it came from.
  state.pendingNotices.clear();
  state.notices.length = 0;
  state.orphans.clear();
  state.formerChildren.clear();
  for (const call of state.calls.values()) {
    recall(call);
    if (call.kind !== "child") continue;
    call.policy = "abandon";
    call.child = null;
  }
}

/** Ends every open call, except for those whose own end is awaited. */
function cancel(state: RunState, entry: EntryOf<"run.cancel_requested">): Outcome {
  const { error, awaited, told = false } = entry;
  state.cancelling = entry;
  state.paused = null;
  // A run that is ending waits for no slot.
  state.queued.clear();
  for (const call of state.open) {
    if (call.kind === "run" && awaited.includes(call.id)) continue;
    orphan(state, call);
    finish(state, call);
  }
  remember(state, entry, "cancel");
  return outcome(entry, cancelKey, { kind: "cancelled", error, awaited, told });
}

function retry(state: RunState, entry: EntryOf<"run.retried">): void {
  const undone = new Set(state.undone);
  if (state.end !== null) {
    state.episode = entry.seq;
    // The time between the failure and its repair is not held against the run's own timeout,
    // and a run that failed by it is given all of it again. The end of a pause tells of both.
    if (state.end.kind === "run.failed" && state.end.error.code === "run_timeout") state.timedFrom = entry.at;
    else if (state.paused === null) state.timedFrom += Math.max(0, entry.at - state.end.at);
    reopen(state);
    contest(state, entry.cleared);
    state.openAtRetry = new Set(state.open);
    state.resumedAt = entry.at;
  }
  if (state.paused !== null && [...state.open].some((call) => call.exhausted)) {
    // The run was paused for this decision, which ends the pause.
    shift(state, { at: entry.at, shiftMs: Math.max(0, entry.at - state.paused.at) });
    state.paused = null;
    state.resumedAt = entry.at;
  }
  state.end = null;
  clearDeaths(state);
  for (const step of entry.cleared) clear(state, step, undone.has(step));
  release(state, entry.at);
  for (const call of state.open) {
    if (call.retryAt === null) continue;
    call.retryAt = entry.at;
    call.retryFrom = entry.at;
  }
  remember(state, entry, "retry");
}

/** The run had ended: what its end set going is over. */
function reopen(state: RunState): void {
  state.ending = null;
  state.cancelNoted = false;
  state.undone = [];
  state.notUndone = [];
  for (const [key, call] of state.calls) {
    recall(call);
    // What it was in flight in, the run has come out of, and somebody has looked at it since.
    if (call.crashes > 0) call.crashes = 0;
    if (call.interruptions > 0) call.interruptions = 0;
    // A child that was stopped with the run has no result any more; it is started anew.
    const stopped = call.kind === "child" && !call.done && call.policy !== "abandon";
    if (call.kind !== "undo" && !stopped) continue;
    if (stopped) restart(state, call);
    state.calls.delete(key);
    state.open.delete(call);
  }
}

/**
 * Reopens races that these steps may have decided, and the waits of their losers. If the same branch wins once more, replay
 * withdraws them as before.
 */
function contest(state: RunState, cleared: readonly string[]): void {
  let decidedSeq = Infinity;
  for (const step of cleared) {
    for (const kind of ["run", "child"] as const) {
      const { endedSeq = 0 } = state.calls.get(callKey(kind, step)) ?? {};
      if (endedSeq > 0) decidedSeq = Math.min(decidedSeq, endedSeq);
    }
  }
  for (const call of state.calls.values()) {
    if (!call.withdrawn || call.endedSeq < decidedSeq) continue;
    reopenCall(state, call);
  }
}

/** The step is to run again: its outcome no longer counts. */
function clear(state: RunState, step: string, undone: boolean): void {
  for (const kind of ["run", "child"] as const) {
    const key = callKey(kind, step);
    const call = state.calls.get(key);
    // A step and a child may share an id: one that succeeded keeps its result, unless it was undone.
    if (call?.done !== true || !(call.failed || (undone && kind === "run"))) continue;
    if (kind === "run") state.undoable.delete(step);
    if (kind === "run" && call.failed) state.steps.failed--;
    if (kind === "run" && !call.failed) {
      state.steps.completed--;
      state.renewed = put(state.renewed, step, (state.renewed.get(step) ?? 0) + 1);
    }
    if (call.child !== null)
      state.formerChildren = put(state.formerChildren, step, { child: call.child, stopped: false });
    state.calls.delete(key);
    state.cleared = added(state.cleared, key);
  }
}

/** Steps that had no attempt left get all their attempts again, the first of them now. */
function release(state: RunState, at: number): void {
  for (const call of state.open) {
    if (!call.exhausted) continue;
    call.exhausted = false;
    if (call.limit !== null) call.limit += call.attempts - call.forgiven;
    call.forgiven = call.attempts;
    call.retryAt = at;
    call.retryFrom = at;
  }
}

/** The last instant that a Date can hold. A sleep may be until then, and is shown. */
const lastAt = 8.64e15;

/** Moves open deadlines by the length of the pause; those that were fixed during it, by the rest of it. */
function shift(state: RunState, { at, shiftMs }: Pick<EntryOf<"run.resumed">, "at" | "shiftMs">): void {
  const { created, delayedAt } = state;
  const later = (until: number, since: number): number => Math.min(lastAt, until + Math.min(shiftMs, at - since));
  state.timedFrom += shiftMs;
  if (created !== null && created.startAt !== null) {
    state.created = { ...created, startAt: later(created.startAt, delayedAt) };
  }
  for (const call of state.open) {
    if (call.until !== null) call.until = later(call.until, call.since);
    if (call.retryAt !== null) call.retryAt += Math.min(shiftMs, at - call.retryFrom);
  }
}

function remember(
  state: RunState,
  { key, reason }: { readonly key?: string; readonly reason: string | null },
  kind: string,
): void {
  if (key !== undefined) state.actionKeys = put(state.actionKeys, key, { kind, reason });
}
