/**
 * Owns: what follows from a failed attempt, as facts: another attempt and when, the failure of the step, or a pause until a
 * person decides.
 * Does not own: putting them on record (attempts), what a failure is called (failure), retry arithmetic (core/definition/retry).
 */
import type { Fact } from "../../core/history/entry.ts";
import type { StoredError } from "../../core/error.ts";
import { createRandom } from "../../core/random.ts";
import { attemptLimit, nextDelayMs } from "../../core/definition/retry.ts";
import { callKey } from "../../core/state/state.ts";
import type { RunState } from "../../core/state/state.ts";
import type { Pending, RunPlan } from "../call/call.ts";
import { isWithdrawn } from "../call/scope.ts";
import { isTransient, stepError } from "./failure.ts";
import type { Ledger } from "../ledger.ts";
import { markOf } from "./record.ts";
import type { AttemptFailed, AttemptMade } from "./record.ts";

export type Verdict =
  | { readonly kind: "again"; readonly fact: Fact; readonly retryAt: number }
  | { readonly kind: "failed"; readonly fact: Fact }
  | { readonly kind: "paused"; readonly facts: readonly Fact[] };

/** What follows from a failed attempt. */
export function judgeFailure(ledger: Ledger, plan: RunPlan, thrown: unknown, made: AttemptMade): Verdict {
  const { error, delayMs } = classify(ledger.state, plan, thrown, made);
  if (delayMs === null) return failForGood(ledger.state, plan, { ...made, error });
  const retryAt = ledger.now() + delayMs;
  const kind = plan.kind === "undo" ? "undo.attempt_failed" : "step.attempt_failed";
  const about = { ...made, ...limitOf(ledger.state, plan, made.step), ...markOf(plan) };
  return { kind: "again", fact: { kind, ...about, error, retryAt }, retryAt };
}

/**
 * The plan by which a failure is judged. In a branch that lost its race nobody waits for the step: its failure does not pause
 * the run. Nor does that of one that was told to stop, which is not begun again.
 */
export function planNow({ scope, plan }: Pending<RunPlan>, stopped: boolean): RunPlan {
  if (stopped) return { ...plan, onExhausted: "fail", retry: { kind: "function", decide: () => null } };
  return isWithdrawn(scope) ? { ...plan, onExhausted: "fail" } : plan;
}

/** No attempt is left. */
export function failForGood(state: RunState, plan: RunPlan, failed: AttemptFailed): Verdict {
  const { step, attempt, error } = failed;
  if (plan.onExhausted === "fail") {
    const kind = plan.kind === "undo" ? "undo.failed" : "step.failed";
    return { kind: "failed", fact: { kind, ...failed, ...markOf(plan) } };
  }
  const reason = `step ${step} has no attempt left after ${attempt}: ${error.message}`;
  const last = {
    kind: "step.attempt_failed",
    ...failed,
    ...limitOf(state, plan, step),
    retryAt: null,
    ...markOf(plan),
  } as const;
  return { kind: "paused", facts: [last, { kind: "run.paused", by: "engine", reason, error }] };
}

/** What the failure is called, and when the next attempt begins; null when there is none. */
function classify(
  { creation, calls }: RunState,
  plan: RunPlan,
  thrown: unknown,
  { step, attempt }: AttemptMade,
): { error: StoredError; delayMs: number | null } {
  const error = stepError(thrown, step, attempt);
  if (!isTransient(error)) return { error, delayMs: null };
  const random = createRandom(`${creation.id}:${step}:${attempt}`);
  const counted = attempt - (calls.get(callKey(plan.kind, step))?.forgiven ?? 0);
  try {
    return { error, delayMs: nextDelayMs(plan.retry, thrown, counted, () => random.next()) };
  } catch (bad) {
    // The delay that the workflow asked for is no duration; its message says so, the cause is the failure.
    return { error: stepError(bad, step, attempt), delayMs: null };
  }
}

/** Attempts that were forgiven come on top of what the policy allows. */
function limitOf({ calls }: RunState, { kind, retry }: RunPlan, step: string): { readonly limit?: number } {
  const limit = attemptLimit(retry);
  if (limit === null) return {};
  return { limit: limit + (calls.get(callKey(kind, step))?.forgiven ?? 0) };
}
