/** What the entries of sleeps, signals, webhooks and children mean. */
import { added, put } from "../empty.ts";
import type { Entry, EntryOf } from "../history/entry.ts";
import { maxLabelLength, nameOfCall } from "../name.ts";
import { isLonger } from "../size.ts";
import { Inbox } from "./inbox.ts";
import { callKey, handlerKey, recordOf, revocationOf } from "./state.ts";
import type { Outcome, RunState } from "./state.ts";
import { count, finish, orphan, outcome, progress, unreachable } from "./outcome.ts";

type WaitEntry = Extract<
  Entry,
  { kind: `timer.${string}` | `wait.${string}` | `signal.${string}` | `webhook.${string}` | "listener.added" }
>;
type ChildEntry = Extract<Entry, { kind: `child.${string}` }>;

export function foldWait(state: RunState, entry: WaitEntry): Outcome | null {
  switch (entry.kind) {
    case "timer.set":
      recordOf(state, "sleep", entry.call, entry.name, entry.at).until = entry.wakeAt;
      return null;
    case "timer.fired":
      finish(state, recordOf(state, "sleep", entry.call, entry.name, entry.at));
      return outcome(entry, callKey("sleep", entry.call), { kind: "elapsed" });
    case "wait.started":
      keepLabel(state, entry);
      recordOf(state, "wait", entry.call, entry.name, entry.at).until = entry.until;
      return null;
    case "wait.withdrawn":
      withdraw(state, entry);
      return null;
    case "wait.timed_out": {
      const hook = entry.wait === "webhook";
      keepLabel(state, entry);
      finish(state, recordOf(state, hook ? "webhook" : "wait", entry.call, entry.name, entry.at));
      return outcome(entry, callKey(hook ? "received" : "wait", entry.call), { kind: "timed_out" });
    }
    case "signal.received":
      inboxOf(state, entry.name).put(entry);
      keep(state, entry);
      return null;
    case "signal.consumed":
      return consume(state, entry);
    case "listener.added":
      state.listeners = added(state.listeners, entry.name);
      return null;
    case "webhook.created":
    case "webhook.received":
    case "webhook.rejected":
    case "webhook.revoked":
      return foldHook(state, entry);
    default:
      return unreachable(entry);
  }
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
    progress(state);
    return outcome(entry, handlerKey("listener", entry.name), { kind: "signal", payload });
  }
  const { call, name, at, value, error } = entry;
  finish(state, recordOf(state, "wait", call, name, at));
  const key = callKey("wait", call);
  if (error !== undefined) return outcome(entry, key, { kind: "error", error });
  return outcome(entry, key, value === undefined ? { kind: "payload", payload } : { kind: "value", value });
}

function keep(state: RunState, { key, name, payload, sent = payload }: EntryOf<"signal.received">): void {
  if (key !== undefined) state.signalKeys = put(state.signalKeys, key, { name, payload: sent });
}

function foldHook(state: RunState, entry: Extract<WaitEntry, { kind: `webhook.${string}` }>): Outcome | null {
  if (entry.kind === "webhook.rejected") {
    const call = state.calls.get(callKey("webhook", entry.call));
    if (call !== undefined) call.rejections++;
    return null;
  }
  const call = recordOf(state, "webhook", entry.call, entry.name, entry.at);
  switch (entry.kind) {
    case "webhook.created":
      call.until = entry.until;
      call.url = entry.url;
      call.address = entry.url;
      return outcome(entry, callKey("webhook", entry.call), { kind: "elapsed" });
    case "webhook.received":
      call.received = true;
      finish(state, call);
      return outcome(entry, callKey("received", entry.call), { kind: "value", value: entry.request });
    case "webhook.revoked": {
      const { key, reason, url } = entry;
      call.address = url;
      call.generation = entry.generation;
      if (key !== undefined)
        state.actionKeys = put(state.actionKeys, key, { kind: revocationOf(entry.call), reason, url });
      return null;
    }
    default:
      return unreachable(entry);
  }
}

export function foldChild(state: RunState, entry: ChildEntry): Outcome | null {
  if (entry.kind === "child.stopped") {
    state.orphans.delete(entry.child.id);
    return null;
  }
  const call = recordOf(state, "child", entry.step, nameOfCall(entry.step), entry.at);
  const { key } = call;
  switch (entry.kind) {
    case "child.started":
      call.child = entry.child;
      call.policy = entry.policy;
      call.until = entry.until;
      call.detached = entry.detached === true;
      state.formerChildren.delete(entry.step);
      state.restarted.delete(entry.step);
      if (entry.detached !== true) {
        // It was given up before, and is waited for again.
        state.orphans.delete(entry.child.id);
        return null;
      }
      finish(state, call);
      return outcome(entry, key, { kind: "child", child: entry.child });
    case "child.completed":
      count(state, entry.seq, call.name, { completed: 1, ms: entry.at - call.since });
      finish(state, call);
      return outcome(entry, key, { kind: "value", value: entry.output });
    case "child.failed":
      if (entry.left === true) orphan(state, call);
      count(state, entry.seq, call.name, { failed: 1, failedAttempts: 1, ms: entry.at - call.since });
      finish(state, call, true);
      return outcome(entry, key, { kind: "error", error: entry.error });
    default:
      return unreachable(entry);
  }
}

function inboxOf(state: RunState, name: string): Inbox {
  const known = state.inboxes.get(name);
  if (known !== undefined) return known;
  const inbox = new Inbox();
  state.inboxes = put(state.inboxes, name, inbox);
  return inbox;
}
