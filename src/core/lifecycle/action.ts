/** What a person's action does to a run: which fact it makes, and what follows; or why it may not. */
import { authorOf } from "../author.ts";
import type { Author } from "../author.ts";
import { endStatus } from "../history/end.ts";
import type { EndEntry } from "../history/end.ts";
import type { Fact, FactOf } from "../history/entry.ts";
import { HoldfastError } from "../error.ts";
import type { StoredError } from "../error.ts";
import { defined } from "../record.ts";
import type { RunAction } from "../service/service.ts";
import { callKey, openCalls } from "../state/state.ts";
import type { Call, RunState } from "../state/state.ts";

/** Everything but delete, which ends more than the run. */
export type Action = Omit<RunAction, "kind"> & { readonly kind: Exclude<RunAction["kind"], "delete"> };

export type Decision =
  /** To the handler: nothing; it stops; it begins what was held back; it starts anew from the journal. */
  | { readonly fact: Fact; readonly effect: "none" | "stop" | "begin" | "reopen" }
  /** It hears of the cancellation, and cleans up. */
  | { readonly fact: FactOf<"run.cancel_requested">; readonly effect: "unwind" };

/**
 * Null when the same action with the same key was taken, when a parent asks that did not start it, or not alone, or when
 * the run is already as the action wants it and nobody will look for that on record.
 * @throws HoldfastError run_ended, not_retryable, idempotency_conflict
 */
export function decide(state: RunState, action: Action, now: number): Decision | null {
  const { kind, key, parent } = action;
  if (parent !== undefined && (state.shared || state.created?.parent?.id !== parent)) return null;
  const before = key === undefined ? undefined : state.actionKeys.get(key);
  if (before !== undefined) {
    if (before.kind === kind && before.reason === action.reason) return null;
    const how = before.kind === kind ? " with another reason" : "";
    throw new HoldfastError("idempotency_conflict", `the key ${key} was used to ${before.kind}${how}`);
  }
  switch (kind) {
    case "cancel":
      return cancel(state, action);
    case "terminate":
      return { fact: cancelled(state, action, "Terminated", "terminated"), effect: "stop" };
    case "pause":
      return pause(state, action);
    case "resume":
      return resume(state, action, now);
    case "retry":
      return retry(state, action);
    default:
      return kind satisfies never;
  }
}

/** @throws HoldfastError run_ended */
export function refuseEnded({ end, created }: RunState, what: string): void {
  if (end === null) return;
  throw new HoldfastError("run_ended", `run ${created?.id} has ${endedOf(end)} and cannot ${what}`);
}

/** As it goes on behind "it has". */
function endedOf(end: EndEntry): string {
  return end.kind === "run.cancelled" ? "been cancelled" : endStatus(end);
}

/** @throws HoldfastError run_ended */
function cancelled(state: RunState, action: Action, name: string, code: "cancelled" | "terminated") {
  refuseEnded(state, `be ${code}`);
  const error = { name, message: action.reason ?? `the run was ${code}`, code };
  return { kind: "run.cancelled", error, ...signature(action) } as const;
}

/** A run that has not begun ends at once. One on its way to its end goes on with that. */
function cancel(state: RunState, action: Action): Decision | null {
  const fact = cancelled(state, action, "Cancelled", "cancelled");
  if (state.startedAt === null) return { fact, effect: "stop" };
  if (state.cancelling !== null || state.ending !== null) return unchanged(state, action, "cancel");
  return { fact: { ...fact, kind: "run.cancel_requested", awaited: [] }, effect: "unwind" };
}

function pause(state: RunState, action: Action): Decision | null {
  refuseEnded(state, "be paused");
  if (state.paused !== null) return unchanged(state, action, "pause");
  return { fact: { kind: "run.paused", ...signature(action) }, effect: "none" };
}

function resume(state: RunState, action: Action, now: number): Decision | null {
  refuseEnded(state, "be resumed");
  const { paused } = state;
  if (paused === null) return unchanged(state, action, "resume");
  const shiftMs = Math.max(0, now - paused.at);
  return { fact: { kind: "run.resumed", shiftMs, ...signature(action) }, effect: "begin" };
}

/**
 * It changes nothing. A key is on record all the same, so that the action, repeated when the run is no longer as it
 * was, is the same one (guarantee 5); and so is the first cancellation that comes too late (guarantee 8).
 */
export function noted(state: RunState, action: Action, kind: "cancel" | "pause" | "resume"): Fact[] {
  const isNews = kind === "cancel" && state.cancelling === null && !state.cancelNoted;
  if (action.key === undefined && !isNews) return [];
  return [{ kind: "run.action_noted", action: kind, ...signature(action) }];
}

function unchanged(state: RunState, action: Action, kind: "cancel" | "pause" | "resume"): Decision | null {
  const [fact] = noted(state, action, kind);
  return fact === undefined ? null : { fact, effect: "none" };
}

function retry(state: RunState, action: Action): Decision {
  const { end } = state;
  if (end !== null && end.kind !== "run.failed") {
    throw new HoldfastError("not_retryable", `the run cannot be retried: it has ${endedOf(end)}`);
  }
  if (state.omitted.size > 0) {
    const steps = [...state.omitted].join(", ");
    const why = `results of ${steps} stayed behind when it was exported`;
    throw new HoldfastError("not_retryable", `the run cannot be retried: ${why}`);
  }
  // A step that its handler has left behind is waited for no more, but may have paused the run.
  const exhausted = [...state.open].some((call) => call.exhausted);
  if (end === null && !exhausted && !openCalls(state).some((call) => call.retryAt !== null)) {
    const advice = state.paused === null ? "" : "; it is paused: resume it";
    throw new HoldfastError("not_retryable", `the run cannot be retried: it waits for no attempt${advice}`);
  }
  // What was undone is as if it had not been done.
  const cleared = end === null ? [] : [...new Set([...failedSteps(state, end.error), ...state.undone])];
  const effect = end !== null ? "reopen" : exhausted ? "begin" : "none";
  return { fact: { kind: "run.retried", cleared, ...signature(action) }, effect };
}

/**
 * Steps whose failure the error tells of, and those that failed behind the first of these: beside it, so that they would
 * fail the run once more. Where it tells of none and is the handler's own, the handler may have made it of any failure it
 * caught: every step that has failed runs again.
 */
function failedSteps(state: RunState, error: StoredError): string[] {
  const named = new Set(namedSteps(state, error));
  if (named.size === 0 && (error.code === "run_timeout" || error.code === "handler_crashed")) return [];
  const failed = failedCalls(state);
  const first = failed.reduce((seq, { id, endedSeq }) => (named.has(id) ? Math.min(seq, endedSeq) : seq), Infinity);
  const behind = failed.filter(({ endedSeq }) => named.size === 0 || endedSeq > first);
  return [...new Set([...named, ...behind.map(({ id }) => id)])];
}

function namedSteps(state: RunState, error: StoredError): string[] {
  const told = [error, ...(error.errors ?? [])];
  const own = told.flatMap(({ step, code }) => {
    // What was refused was never called: the error tells of no failure, though another kind of call may have that id.
    if (step === undefined || code === "limit_exceeded") return [];
    // What is stored of a map tells of the first of its items only.
    if (code === "map_failed") return failedCalls(state).flatMap(({ id, name }) => (name === step ? [id] : []));
    return hasFailed(state, "run", step) || hasFailed(state, "child", step) ? [step] : [];
  });
  // What a child failed of are the child's own steps.
  const deeper = told.flatMap(({ cause, code }) =>
    cause === undefined || code === "child_failed" ? [] : namedSteps(state, cause),
  );
  return [...new Set([...own, ...deeper])];
}

function failedCalls({ calls }: RunState): Call[] {
  return [...calls.values()].filter(({ kind, failed }) => failed && (kind === "run" || kind === "child"));
}

function hasFailed(state: RunState, kind: "run" | "child", step: string): boolean {
  return state.calls.get(callKey(kind, step))?.failed === true;
}

function signature(action: Action): Author & { reason: string | null; key?: string } {
  const { reason, key } = action;
  return { ...authorOf(action), reason, ...defined({ key }) };
}
