/** What the entries of sleeps, signals, webhooks and children mean. */
import { added, put } from "../empty.ts";
import type { Entry, EntryOf } from "../history/entry.ts";
import { maxLabelLength, nameOfCall } from "../name.ts";
import { isLonger } from "../size.ts";
import { Inbox } from "./inbox.ts";
import { callKey, handlerKey, recordOf } from "./state.ts";
import type { Call, Outcome, RunState } from "./state.ts";
import { count, finish, orphan, outcome, clearDeaths } from "./outcome.ts";
import type { Folds } from "./outcome.ts";

type WaitKind = Extract<
  Entry["kind"],
  `timer.${string}` | `wait.${string}` | `signal.${string}` | `webhook.${string}` | "listener.added"
>;

export const waitFolds: Folds<WaitKind> = {
  "timer.set": (state, { call, name, at, wakeAt }) => {
    recordOf(state, "sleep", call, name, at).until = wakeAt;
  },
  "timer.fired": (state, entry) => {
    finish(state, recordOf(state, "sleep", entry.call, entry.name, entry.at));
    return outcome(entry, callKey("sleep", entry.call), { kind: "elapsed" });
  },
  "wait.started": (state, entry) => {
    keepLabel(state, entry);
    recordOf(state, "wait", entry.call, entry.name, entry.at).until = entry.until;
  },
  "wait.withdrawn": withdraw,
  "wait.timed_out": (state, entry) => {
    const hook = entry.wait === "webhook";
    keepLabel(state, entry);
    finish(state, recordOf(state, hook ? "webhook" : "wait", entry.call, entry.name, entry.at));
    return outcome(entry, callKey(hook ? "received" : "wait", entry.call), { kind: "timed_out" });
  },
  "signal.received": receive,
  "signal.consumed": consume,
  "listener.added": (state, { name }) => {
    state.listeners = added(state.listeners, name);
  },
  "webhook.created": (state, entry) => {
    const call = hookOf(state, entry);
    call.until = entry.until;
    call.url = entry.url;
    call.address = entry.url;
    return outcome(entry, callKey("webhook", entry.call), { kind: "elapsed" });
  },
  "webhook.received": (state, entry) => {
    const call = hookOf(state, entry);
    call.received = true;
    finish(state, call);
    return outcome(entry, callKey("received", entry.call), { kind: "value", value: entry.request });
  },
  "webhook.rejected": (state, entry) => {
    const call = state.calls.get(callKey("webhook", entry.call));
    if (call !== undefined) call.rejections++;
  },
  "webhook.revoked": (state, entry) => {
    const { key, reason, url } = entry;
    const call = hookOf(state, entry);
    call.address = url;
    call.generation = entry.generation;
    if (key !== undefined)
      state.actionKeys = put(state.actionKeys, key, { kind: revocationOf(entry.call), reason, url });
  },
};

/** The kind of action under which a revocation of this webhook's address is stored. */
export function revocationOf(id: string): string {
  return `revoke the address of webhook ${id}`;
}

function hookOf(state: RunState, { call, name, at }: EntryOf<`webhook.${"created" | "received" | "revoked"}`>): Call {
  return recordOf(state, "webhook", call, name, at);
}

/** No outcome: replay does not stop here, so lines published since the last one are still to be compared. */
function withdraw(state: RunState, { calls, seq }: EntryOf<"wait.withdrawn">): void {
  for (const { call, id } of calls) {
    const known = state.calls.get(callKey(call, id));
    if (known === undefined) continue;
    orphan(state, known);
    known.done = true;
    known.withdrawn = true;
    known.endedSeq = seq;
    state.open.delete(known);
  }
}

/** The handler gives it again in every replay, and what is on record is refused by no limit that is newer. */
function keepLabel(state: RunState, { label = "" }: { readonly label?: string }): void {
  if (isLonger(label, maxLabelLength)) state.longLabels = added(state.longLabels, label);
}

function consume(state: RunState, entry: EntryOf<"signal.consumed">): Outcome {
  keepLabel(state, entry);
  const { payload } = inboxOf(state, entry.name).take();
  if (entry.listener === true) {
    clearDeaths(state);
    return outcome(entry, handlerKey("listener", entry.name), { kind: "signal", payload });
  }
  const { call, name, at, value, error } = entry;
  finish(state, recordOf(state, "wait", call, name, at));
  const key = callKey("wait", call);
  if (error !== undefined) return outcome(entry, key, { kind: "error", error });
  return outcome(entry, key, value === undefined ? { kind: "payload", payload } : { kind: "value", value });
}

function receive(state: RunState, entry: EntryOf<"signal.received">): void {
  const { key, name, payload, sent = payload } = entry;
  inboxOf(state, name).put(entry);
  if (key !== undefined) state.signalKeys = put(state.signalKeys, key, { name, payload: sent });
}

export const childFolds: Folds<Extract<Entry["kind"], `child.${string}`>> = {
  "child.started": (state, entry) => {
    const call = childOf(state, entry);
    call.child = entry.child;
    call.policy = entry.policy;
    call.until = entry.until;
    call.detached = entry.detached === true;
    state.formerChildren.delete(entry.step);
    // It was given up before, and is waited for again.
    if (entry.detached !== true) return void state.orphans.delete(entry.child.id);
    finish(state, call);
    return outcome(entry, call.key, { kind: "child", child: entry.child });
  },
  "child.completed": (state, entry) => {
    const call = childOf(state, entry);
    // Another call may have given it up.
    state.orphans.delete(entry.child.id);
    count(state, call.name, { completed: 1, ms: entry.at - call.since });
    finish(state, call);
    return outcome(entry, call.key, { kind: "value", value: entry.output });
  },
  "child.failed": (state, entry) => {
    const call = childOf(state, entry);
    if (entry.left === true) orphan(state, call);
    else if (call.child !== null) state.orphans.delete(call.child.id);
    count(state, call.name, { failed: 1, failedAttempts: 1, ms: entry.at - call.since });
    finish(state, call, true);
    return outcome(entry, call.key, { kind: "error", error: entry.error });
  },
  "child.stopped": (state, { child }) => {
    state.orphans.delete(child.id);
  },
};

function childOf(state: RunState, { step, at }: EntryOf<`child.${"started" | "completed" | "failed"}`>): Call {
  return recordOf(state, "child", step, nameOfCall(step), at);
}

function inboxOf(state: RunState, name: string): Inbox {
  const known = state.inboxes.get(name);
  if (known !== undefined) return known;
  const inbox = new Inbox();
  state.inboxes = put(state.inboxes, name, inbox);
  return inbox;
}
