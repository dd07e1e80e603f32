/**
 * Owns: objects of the class of runs that are not runs: registers of the directory's shards, and couriers. Their names are
 * not valid run ids.
 * Does not own: the register (store/register), the courier (courier), which object is which (address).
 */
import { DurableObject } from "cloudflare:workers";
import type { Order, OrderId } from "../../core/courier/order.ts";
import { RegisterStore } from "../../store/register.ts";
import type { Enrolled } from "../../store/register.ts";
import { Courier } from "../courier/courier.ts";
import type { CourierRpc } from "../rpc/courier.ts";
import type { RegisterRpc } from "../rpc/register.ts";

export class AuxiliaryObject extends DurableObject implements RegisterRpc, CourierRpc {
  /** Both are made by the first who asks: the object of a run has neither. */
  #opened: RegisterStore | null = null;
  #made: Courier | null = null;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
  }

  get #register(): RegisterStore {
    return (this.#opened ??= new RegisterStore(this.ctx.storage.sql));
  }

  get #courier(): Courier {
    return (this.#made ??= new Courier(this.ctx));
  }

  async enrol(runs: readonly Enrolled[]): Promise<void> {
    this.#register.enrol(runs);
  }

  async strike(runs: readonly Enrolled[]): Promise<void> {
    this.#register.strike(runs);
  }

  async enrolled(after: string, limit: number): Promise<readonly Enrolled[]> {
    return this.#register.page(after, limit);
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
