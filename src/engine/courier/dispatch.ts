/**
 * Owns: the calls of a courier to the run whose request it makes: reporting the answer, and asking for the request again.
 * Does not own: what the answer is to the handler (orders), reporting it until that succeeds (whoever makes the request).
 * Invariant 1: once a report is answered, it is on record, or no call will ever wait for it (guarantee 4).
 */
import { HoldfastError } from "../../core/error.ts";
import type { Order, OrderEnd, OrderId } from "../../core/courier/order.ts";
import { dispatchedCalls } from "../../core/state/dispatched.ts";
import { wasRemoved } from "../../core/state/state.ts";
import type { DispatchedCall } from "../../core/state/dispatched.ts";
import type { RunState } from "../../core/state/state.ts";
import type { Run } from "../run.ts";
import { wake } from "../wake.ts";

/** What came of the request of this attempt. */
export type OrderNews = OrderId & { readonly end: OrderEnd };

/**
 * Resolves once the answer is on record, or is seen to be wanted by no call.
 * @throws HoldfastError version_missing, step_kind_changed, not_waiting: it is to be reported again later
 */
export async function receiveAnswer(run: Run, { end, ...id }: OrderNews): Promise<void> {
  const call = callOf(run.state, id);
  if (call === null) return;
  const receipt = await wake(run, ({ work: { attempts } }) => attempts.orders.receive(call.id, id.seq, end));
  if (receipt === "later" && callOf(run.state, id) !== null) throw later(call);
}

/** The request, to be made once more; null where nobody waits for its answer. @throws HoldfastError as {@link receiveAnswer} */
export async function repeatOrder(run: Run, id: OrderId): Promise<Order | null> {
  const call = callOf(run.state, id);
  if (call === null) return null;
  return await wake(run, ({ work: { attempts } }) => {
    const order = attempts.orders.orderOf(call.key, id.seq);
    if (order !== null || callOf(run.state, id) === null || wasRemoved(run.state, call.key)) return order;
    throw later(call);
  });
}

function callOf(state: RunState, { createdAt, seq }: OrderId): DispatchedCall | null {
  if (state.created?.at !== createdAt || state.end !== null) return null;
  return dispatchedCalls(state).find(({ order }) => order.seq === seq) ?? null;
}

function later({ id }: DispatchedCall): HoldfastError {
  return new HoldfastError("not_waiting", `the run does not wait for the answer of ${id} yet`);
}
