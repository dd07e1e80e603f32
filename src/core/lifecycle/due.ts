/** When a run has something to do by itself, as its record alone tells. All instants are epoch ms. */
import { nextLookAt } from "../courier/order.ts";
import type { EntryOf } from "../history/entry.ts";
import { openCalls } from "../state/state.ts";
import type { Call, RunState } from "../state/state.ts";
import { isForeign, nextAskAt } from "./child.ts";

/** Its start is put off: it may not begin yet. */
export function isDelayed({ created, startedAt }: RunState, now: number): boolean {
  return startedAt === null && (created?.startAt ?? 0) > now;
}

/** When a run that no lane holds begins, or is cancelled because it may not begin any more. */
export function decidedAt({ startAt, notAfter }: Pick<EntryOf<"run.created">, "startAt" | "notAfter">): number {
  return Math.min(startAt ?? 0, notAfter === null ? Infinity : notAfter + 1);
}

/**
 * A deadline has come, or nothing is left to wait for: the run has something to do by itself. When a child
 * is to be asked, its alarm knows: whoever merely looks at the run does not set it to work for that.
 */
export function isDue(state: RunState, now: number): boolean {
  const { created, end, paused } = state;
  if (created === null || end !== null || paused !== null) return false;
  return hasCome(state, now) || (state.startedAt !== null && openCalls(state).length === 0);
}

/** It waits for a slot, or is to begin, or a deadline has come. */
export function hasCome(state: RunState, now: number): boolean {
  const { created, startedAt, queued } = state;
  if (created !== null && startedAt === null) return decidedAt(created) <= now;
  return queued.size > 0 || openCalls(state).some((call) => deadlineOf(call) <= now);
}

/** When the wait of this open call ends, or its next attempt begins; Infinity for never. */
function deadlineOf({ retryAt, until }: Call): number {
  return retryAt ?? until ?? Infinity;
}

/**
 * When this open call next has something to do by itself, as a newly loaded run knows it from its journal; Infinity
 * for never.
 * @param openedAt when the newest entry was made before the run was loaded
 */
export function dueAt(state: RunState, call: Call, openedAt: number): number {
  const deadline = deadlineOf(call);
  if (call.order !== null) {
    return Math.min(deadline, nextLookAt(waitedSince(state, { since: call.order.startedAt }), openedAt));
  }
  if (call.kind !== "child" || call.child === null) return deadline;
  return Math.min(deadline, nextAskAt(waitedSince(state, call), openedAt, isForeign(state, call.id, call.child)));
}

/**
 * The instant from which the growing pauses count after which a run asks after a child or a request: when the call began, or
 * else the newest retry of the run, or end of a pause, during which nobody asks.
 */
export function waitedSince({ resumedAt }: RunState, { since }: Pick<Call, "since">): number {
  return Math.max(since, resumedAt);
}
