/** What a person's action does to a run: which fact it makes, and what follows; or why it may not. */
import type { Fact } from "./entry.ts";
import { HoldfastError } from "./error.ts";
import type { StoredError } from "./error.ts";
import type { RunAction } from "./service.ts";
import { callKey } from "./state.ts";
import type { RunState } from "./state.ts";

/** Everything but delete, which ends more than the run. */
export type Action = Omit<RunAction, "kind"> & { readonly kind: Exclude<RunAction["kind"], "delete"> };

export type Decision = {
  readonly fact: Fact;
  /** To the handler: nothing; it stops; it begins what was held back; it starts anew from the journal. */
  readonly effect: "none" | "stop" | "begin" | "restart";
};

/**
 * Null when the run is already as the action wants it, or the same action with the same key was taken.
 * @throws HoldfastError run_ended, not_retryable, idempotency_conflict
 */
export function decide(state: RunState, action: Action, now: number): Decision | null {
  const { kind, key } = action;
  const before = key === undefined ? undefined : state.actionKeys.get(key);
  if (before !== undefined) {
    if (before.kind === kind && before.reason === action.reason) return null;
    const how = before.kind === kind ? " with another reason" : "";
    throw new HoldfastError("idempotency_conflict", `the key ${key} was used to ${before.kind}${how}`);
  }
  switch (kind) {
    case "cancel":
      return cancel(state, action, "Cancelled", "cancelled");
    case "terminate":
      return cancel(state, action, "Terminated", "terminated");
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
  const ended = end.kind.slice("run.".length);
  throw new HoldfastError("run_ended", `run ${created?.id} has ${ended} and cannot ${what}`);
}

function cancel(state: RunState, action: Action, name: string, code: "cancelled" | "terminated"): Decision {
  refuseEnded(state, "be cancelled");
  const error = { name, message: action.reason ?? `the run was ${code}`, code };
  return { fact: { kind: "run.cancelled", error, ...signature(action) }, effect: "stop" };
}

function pause(state: RunState, action: Action): Decision | null {
  refuseEnded(state, "be paused");
  return state.paused === null ? { fact: { kind: "run.paused", ...signature(action) }, effect: "none" } : null;
}

function resume(state: RunState, action: Action, now: number): Decision | null {
  refuseEnded(state, "be resumed");
  const { paused } = state;
  if (paused === null) return null;
  const shiftMs = Math.max(0, now - paused.at);
  return { fact: { kind: "run.resumed", shiftMs, ...signature(action) }, effect: "begin" };
}

function retry(state: RunState, action: Action): Decision {
  const { end, calls } = state;
  if (end !== null && end.kind !== "run.failed") {
    const ended = end.kind === "run.completed" ? "completed" : "been cancelled";
    throw new HoldfastError("not_retryable", `the run cannot be retried: it has ${ended}`);
  }
  if (end === null && ![...calls.values()].some((call) => !call.done && call.retryAt !== null)) {
    throw new HoldfastError("not_retryable", "the run cannot be retried: it waits for no attempt");
  }
  const cleared = end === null ? [] : failedSteps(state, end.error);
  return { fact: { kind: "run.retried", cleared, ...signature(action) }, effect: end === null ? "none" : "restart" };
}

/** Steps whose failure the error tells of. */
function failedSteps(state: RunState, error: StoredError): string[] {
  const told = [error, ...(error.errors ?? [])];
  const own = told.flatMap(({ step }) =>
    step !== undefined && state.calls.get(callKey("run", step))?.done === true ? [step] : [],
  );
  const deeper = told.flatMap(({ cause }) => (cause === undefined ? [] : failedSteps(state, cause)));
  return [...new Set([...own, ...deeper])];
}

function signature({ by, reason, key }: Action): { by: string; reason: string | null; key?: string } {
  return { by, reason, ...(key === undefined ? {} : { key }) };
}
