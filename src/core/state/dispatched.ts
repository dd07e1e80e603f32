/** Calls whose requests couriers are making. */
import type { Dispatch } from "../courier/order.ts";
import type { Call, RunState } from "./state.ts";

/** A step with a request that a courier is making as its attempt. */
export type DispatchedCall = Call & { readonly order: Dispatch };

/** Whether a courier is making the request of the call with this key. */
export function isDispatched({ calls }: Pick<RunState, "calls">, key: string): boolean {
  return (calls.get(key)?.order ?? null) !== null;
}

export function dispatchedCalls({ open }: Pick<RunState, "open">): DispatchedCall[] {
  return [...open].filter((call): call is DispatchedCall => call.order !== null);
}
