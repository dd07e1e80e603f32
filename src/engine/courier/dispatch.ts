/**
 * Owns: what a courier asks a run and tells it of a request that was dispatched: the request once more, and what came
 * of it.
 * Does not own: what that is to the handler (orders), telling it until it was heard (whoever makes the request).
 * Invariant 1: what is answered is on record, or nobody will ever ask for it (guarantee 4).
 */
import { HoldfastError } from "../../core/error.ts";
import type { Order, OrderEnd, OrderId } from "../../core/courier/order.ts";
import { callKey, callsOut, wasRemoved } from "../../core/state/state.ts";
import type { CallOut, RunState } from "../../core/state/state.ts";
import type { Run } from "../run.ts";
import { wake } from "../wake.ts";

/** What came of the request of this attempt. */
export type OrderNews = OrderId & { readonly end: OrderEnd };

/**
 * Resolves once it has been heard: it is on record, or of no interest to anybody.
 * @throws HoldfastError version_missing, step_kind_changed, not_waiting: it is to be told again later
 */
export async function receiveAnswer(run: Run, { end, ...id }: OrderNews): Promise<void> {
  const call = callOf(run.state, id);
  if (call === null) return;
  await wake(run, async ({ work: { attempts } }) => {
    const heard = await attempts.orders.hear(call.id, id.seq, end);
    if (heard === "later" && callOf(run.state, id) !== null) throw later(call);
  });
}

/** The request, to be made once more; null where nobody waits for its answer. @throws HoldfastError as {@link receiveAnswer} */
export async function repeatOrder(run: Run, id: OrderId): Promise<Order | null> {
  const call = callOf(run.state, id);
  if (call === null) return null;
  const key = callKey(call.kind, call.id);
  return await wake(run, ({ work: { attempts } }) => {
    const order = attempts.orders.orderOf(key, id.seq);
    if (order !== null || callOf(run.state, id) === null || wasRemoved(run.state, key)) return order;
    throw later(call);
  });
}

function callOf(state: RunState, { createdAt, seq }: OrderId): CallOut | null {
  if (state.created?.at !== createdAt || state.end !== null) return null;
  return callsOut(state).find(({ order }) => order.seq === seq) ?? null;
}

function later({ id }: CallOut): HoldfastError {
  return new HoldfastError("not_waiting", `the run does not wait for the answer of ${id} yet`);
}
