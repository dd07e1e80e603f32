/**
 * Owns: objects of the class of runs that are not runs: registers of the directory's shards, and couriers. Their names are
 * not valid run ids.
 * Does not own: the register (register), the courier (courier), which object is which (address).
 */
import { DurableObject } from "cloudflare:workers";
import type { Order, OrderId } from "../core/order.ts";
import { Courier } from "./courier.ts";
import { Register } from "./register.ts";
import type { CourierRpc } from "./rpc/courier.ts";
import type { Enrolled, RegisterRpc } from "./rpc/register.ts";

export class AuxiliaryObject extends DurableObject implements RegisterRpc, CourierRpc {
  readonly #register: Register;
  readonly #courier: Courier;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#register = new Register(ctx.storage);
    this.#courier = new Courier(ctx);
  }

  enrol(runs: readonly Enrolled[]): Promise<void> {
    return this.#register.enrol(runs);
  }

  strike(runs: readonly Enrolled[]): Promise<void> {
    return this.#register.strike(runs);
  }

  enrolled(after: string, limit: number): Promise<readonly Enrolled[]> {
    return this.#register.enrolled(after, limit);
  }

  reserveBerth(bytes: number): Promise<boolean> {
    return this.#courier.reserveBerth(bytes);
  }

  carryOrder(order: Order): Promise<void> {
    return this.#courier.carryOrder(order);
  }

  dropOrder(id: OrderId): Promise<void> {
    return this.#courier.dropOrder(id);
  }

  /** Only a courier sets an alarm. */
  override async alarm(_info?: AlarmInvocationInfo): Promise<void> {
    await this.#courier.alarm();
  }
}
