/**
 * Owns: the RPC methods of a courier.
 * Does not own: their implementation (courier).
 */
import type { Order, OrderId } from "../../core/courier/order.ts";

/** An object that sends requests for idle runs: `courierObject(index)`. */
export interface CourierRpc {
  /** Whether it has room for a request with a body of that size; the room is reserved for ten seconds. */
  reserveBerth(bytes: number): Promise<boolean>;
  /** Sends the request, unless it is in progress, and delivers the result to the run. Resolves when that is guaranteed. */
  carryOrder(order: Order): Promise<void>;
  /** Cancels the request. */
  dropOrder(id: OrderId): Promise<void>;
}
