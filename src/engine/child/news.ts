/**
 * Owns: the call with which a child reports its end to its parent.
 * Does not own: reporting it until that succeeds (objects/outbox/relatives), what the end is to the handler (children).
 * Invariant 1: once a report is answered, it is on record, or no call will ever wait for it (guarantee 4).
 */
import type { EndEntry } from "../../core/history/end.ts";
import { HoldfastError } from "../../core/error.ts";
import { callKey } from "../../core/state/state.ts";
import type { RunState } from "../../core/state/state.ts";
import type { Run } from "../run.ts";
import { wake } from "../wake.ts";
import type { ChildEnd } from "../world.ts";

/** A child has ended that this call waits for. `createdAt` tells incarnations of the parent, and runs of its id, apart. */
export type ChildNews = {
  readonly createdAt: number;
  readonly step: string;
  /** The child's id. */
  readonly child: string;
  readonly end: ChildEnd;
};

/**
 * Resolves once the end is on record, or is seen to be wanted by no call.
 * @throws HoldfastError version_missing, step_kind_changed, not_waiting: it is to be reported again later
 */
export async function receiveNews(run: Run, news: ChildNews): Promise<void> {
  if (!concerns(run.state, news)) return;
  const receipt = await wake(run, ({ work }) => work.children.receive(news.step, news.child, news.end));
  if (receipt === "later" && concerns(run.state, news)) {
    throw new HoldfastError("not_waiting", `the run does not wait for its child ${news.child} yet`);
  }
}

/** The record does not rule out that the run waits for this child. */
function concerns({ created, end, calls }: RunState, { createdAt, step, child }: ChildNews): boolean {
  if (created?.at !== createdAt || end !== null) return false;
  const call = calls.get(callKey("child", step));
  // One without a child starts it anew, and has not heard of that yet.
  return call === undefined || (!call.done && (call.child?.id ?? child) === child);
}

/** How a run has ended, as it reports it to its parent. */
export function childEnd(end: EndEntry): ChildEnd {
  if (end.kind === "run.completed") return { kind: "completed", output: end.output };
  return { kind: end.kind === "run.failed" ? "failed" : "cancelled", error: end.error };
}
