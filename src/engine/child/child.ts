/**
 * Owns: what a call asks for to have its child started, and the facts that children make.
 * Does not own: when it is asked, and when the facts go on record (children).
 */
import { callOrigin, childFailure, childId, isForeign } from "../../core/lifecycle/child.ts";
import type { EntryOf, Fact, FactOf } from "../../core/history/entry.ts";
import type { ChildRun } from "../../core/run/origin.ts";
import { callKey } from "../../core/state/state.ts";
import type { RunState } from "../../core/state/state.ts";
import type { ChildPlan } from "../call/call.ts";
import { traceparent } from "../attempt/record.ts";
import type { ChildEnd, ChildStart, ChildStarted } from "../world.ts";

export type Start = FactOf<"child.started"> & Pick<Required<EntryOf<"child.started">>, "startedAt">;

/** The same call always asks for the same child. */
export function requestOf(state: RunState, step: string, plan: ChildPlan): ChildStart {
  const { formerChildren, orphans, episode } = state;
  const origin = callOrigin(state, step);
  const derived = childId({ ...origin, episode });
  // One that may have been started is that of the call.
  const known = state.calls.get(callKey("child", step))?.child;
  const former = formerChildren.get(step);
  const goesOn = former === undefined || former.stopped ? null : former.child;
  const isKept = goesOn !== null && (plan.policy === "abandon" || !orphans.has(goesOn.id));
  return {
    workflow: plan.workflow,
    input: plan.input,
    // Where one is started anew, a given id is that of the run before, which has ended.
    id: known?.id ?? (plan.id === null || former !== undefined ? derived : plan.id),
    labels: plan.labels,
    reply: plan.detached ? null : { createdAt: origin.createdAt, step },
    former: goesOn === null ? null : { child: goesOn, key: `retry:${derived}`, kept: isKept },
    trace: traceparent(state, { kind: "child", id: step, attempt: 0 }),
  };
}

/** A start that is still to be made. @param now when it is called for: the timeout counts from there */
export function startOf(step: string, plan: ChildPlan, { id, former }: ChildStart, now: number): Start {
  const until = plan.timeoutMs === null ? null : now + plan.timeoutMs;
  const child = former?.child ?? { id, workflow: plan.workflow };
  return { kind: "child.started", step, child, until, policy: plan.policy, startedAt: now };
}

/**
 * What was started goes on record. The child may have been created by an earlier life of this very call; or by
 * others, and then it is only waited for.
 */
export function startedAs(state: RunState, start: Start, { child, own, createdAt }: ChildStarted): Start {
  const isOfCall = createdAt !== null && !isForeign(state, start.step, child);
  const startedAt = isOfCall ? Math.min(start.startedAt, createdAt) : start.startedAt;
  return { ...start, child, startedAt, policy: own ? start.policy : "abandon" };
}

export function endOf(step: string, child: ChildRun, end: ChildEnd): Fact {
  if (end.kind === "completed") return { kind: "child.completed", step, child, output: end.output };
  return { kind: "child.failed", step, child, error: childFailure(step, child, end.kind, end.error) };
}
