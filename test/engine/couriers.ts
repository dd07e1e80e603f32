/** Couriers in virtual time: they outlive processes of the runs, and may lose requests. */
import { HoldfastError } from "../../src/core/error.ts";
import { longestOrderMs } from "../../src/core/courier/order.ts";
import type { Order, OrderEnd, OrderId } from "../../src/core/courier/order.ts";
import { dispatchedCalls } from "../../src/core/state/dispatched.ts";
import { encode } from "../../src/core/value/value.ts";
import { receiveAnswer, repeatOrder } from "../../src/engine/courier/dispatch.ts";
import type { Couriers } from "../../src/engine/world.ts";
import { Host } from "./host.ts";
import type { HostOptions } from "./host.ts";
import type { Definition } from "../../src/core/definition/definition.ts";
import type { Handler } from "./memory.ts";

/** What a request comes to and how long that takes; `null`: it is never answered. */
export type Reply = (order: Order, nth: number) => { readonly end: OrderEnd; readonly ms: number } | null;

export function answered(body: unknown, status = 200): OrderEnd {
  return { kind: "answered", value: encode({ status, headers: {}, body }, "an answer") };
}

/** What they will tell of a request, or have told, and when. */
export type Known = { readonly id: OrderId; readonly end: OrderEnd; readonly at: number };

/** For so long they tell a run what it does not hear. */
const forgottenMs = 20 * 60_000;

export class FakeCouriers implements Couriers {
  /** All requests that were sent, in order. */
  readonly made: Order[] = [];
  readonly dropped: OrderId[] = [];
  readonly known: Known[] = [];
  /** Makes calls fail as by a network error. */
  fails: (what: "reserve" | "send") => boolean = () => false;
  host: Host;
  readonly #reply: Reply;
  readonly #carried = new Set<string>();
  readonly #over = new Set<string>();

  constructor(definition: Definition | Handler, reply: Reply, options: HostOptions = {}) {
    this.#reply = reply;
    this.host = new Host(definition, { ...options, couriers: this });
  }

  async reserve(): Promise<number> {
    await Promise.resolve();
    if (this.fails("reserve")) throw new Error("no courier has room");
    return 2;
  }

  async send(courier: number, order: Order): Promise<void> {
    await Promise.resolve();
    if (this.fails("send")) throw new Error("the network is down");
    if (courier !== 2) throw new Error("another courier has it");
    this.#carry(order);
  }

  async drop(_courier: number, id: OrderId): Promise<void> {
    await Promise.resolve();
    this.dropped.push(id);
    this.#carried.delete(String(id.seq));
    this.#over.add(String(id.seq));
  }

  /** They die, and know no more than what they were asked for: what they carry is made once more. */
  async revive(): Promise<void> {
    const { created } = this.host.run.state;
    const names = [...this.#carried];
    this.#carried.clear();
    for (const seq of names) {
      const order = await repeatOrder(this.host.run, {
        runId: created?.id ?? "",
        createdAt: created?.at ?? 0,
        seq: Number(seq),
      });
      if (order !== null) this.#carry(order);
    }
  }

  /** They were there before this process of the run, and tell of what it is still to hear. */
  outlive(known: readonly Known[]): void {
    const { created } = this.host.run.state;
    for (const { order } of dispatchedCalls(this.host.run.state)) {
      const told = known.findLast(({ id }) => id.seq === order.seq && id.createdAt === created?.at);
      if (told !== undefined) this.know(told.id, told.end, Math.max(0, told.at - this.host.clock.at));
    }
  }

  /** They lose what they carry, and nobody tells them. */
  forget(): void {
    this.#carried.clear();
  }

  /** The run's process ends, and another goes on from that many commits, later. */
  reopen(keep = this.host.journal.commits.length, cold = false): this {
    this.host = this.host.reopen({ keep, cold, couriers: this });
    return this;
  }

  async drive(until?: number): Promise<this> {
    await this.host.drive(until);
    return this;
  }

  #carry(order: Order): void {
    const name = String(order.id.seq);
    // What was dropped is over: it may have been handed over before that, and come late.
    if (this.#carried.has(name) || this.#over.has(name)) return;
    this.#carried.add(name);
    this.made.push(order);
    const reply = this.#reply(order, this.made.length);
    if (reply === null) return;
    if (reply.ms < longestOrderMs) this.know(order.id, reply.end, reply.ms);
    else this.know(order.id, { kind: "failed", message: "it took too long" }, longestOrderMs);
  }

  /** They carry it, and will tell that it came to this. */
  know(id: OrderId, end: OrderEnd, ms: number): void {
    const name = String(id.seq);
    const toldAt = this.host.clock.at + ms;
    this.#carried.add(name);
    this.known.push({ id, end, at: toldAt });
    const tell = (at: number): void => {
      this.host.plan(at, async (run) => {
        // Of what was dropped or forgotten nobody tells.
        if (!this.#carried.has(name)) return;
        try {
          await receiveAnswer(run, { ...id, end });
          this.#carried.delete(name);
        } catch (error) {
          if (!(error instanceof HoldfastError)) throw error;
          if (this.host.clock.at < toldAt + forgottenMs) tell(this.host.clock.at + 1000);
          else this.#carried.delete(name);
        }
      });
    };
    tell(toldAt);
  }
}
