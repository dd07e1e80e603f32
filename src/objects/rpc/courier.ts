/**
 * Owns: what can be asked of a courier.
 * Does not own: what it does about it (courier).
 */
import type { Order, OrderId } from "../../core/order.ts";

/** Whoever makes requests for runs while they rest: an object beside the runs, `courierObject(index)`. */
export interface CourierRpc {
  /** Whether it has room for a request with so large a body; the place is kept for ten seconds. */
  reserveBerth(bytes: number): Promise<boolean>;
  /** Makes the request, unless it does so already, and tells the run what came of it. Answered once that is certain. */
  carryOrder(order: Order): Promise<void>;
  /** Nobody waits for the answer any more. */
  dropOrder(id: OrderId): Promise<void>;
}
