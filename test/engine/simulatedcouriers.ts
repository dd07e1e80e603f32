/** Couriers of many runs in virtual time: calls between them and the runs take time and may be lost, and they outlive a run's process. */
import { longestOrderMs } from "../../src/core/courier/order.ts";
import type { Order, OrderEnd, OrderId } from "../../src/core/courier/order.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { receiveAnswer } from "../../src/engine/courier/dispatch.ts";
import type { Run } from "../../src/engine/run.ts";
import type { Couriers } from "../../src/engine/world.ts";
import { hang } from "../../src/rehearsal/hang.ts";
import type { ManualClock } from "./memory.ts";

/** What lies between them and the runs. */
export interface Network {
  readonly clock: ManualClock;
  latency(): Promise<void>;
  /** Whether the next message is lost. */
  readonly loses: (what: string, to: string) => boolean;
  /** Has it done to the run; never resolves where its process dies over it. */
  reach(id: string, act: (run: Run) => unknown): unknown;
}

/** What a request of the run `id` comes to, and how long that takes. */
export type ReplyTo = (id: string, order: Order) => { readonly end: OrderEnd; readonly ms: number };

/** A run that does not answer for so long is called once more. */
const patienceMs = 60_000;

export class SimulatedCouriers {
  readonly #network: Network;
  readonly #reply: ReplyTo;
  readonly #carried = new Set<string>();
  readonly #over = new Set<string>();

  constructor(network: Network, reply: ReplyTo) {
    this.#network = network;
    this.#reply = reply;
  }

  /** As a process of the run `id` calls them. */
  of(id: string, isDead: () => boolean): Couriers {
    return {
      reserve: async () => {
        await this.#reach("reserve", isDead);
        return 1;
      },
      send: async (_courier, order) => {
        await this.#reach("send", isDead);
        const name = nameOf(order.id);
        if (this.#carried.has(name) || this.#over.has(name)) return;
        this.#carried.add(name);
        void this.#carry(id, order, name);
      },
      drop: async (_courier, order) => {
        await this.#reach("drop", isDead);
        this.#over.add(nameOf(order));
      },
    };
  }

  async #reach(what: string, isDead: () => boolean): Promise<void> {
    if (isDead()) await hang();
    await this.#network.latency();
    if (this.#network.loses(what, "courier")) throw new Error("the network is down");
  }

  async #carry(id: string, order: Order, name: string): Promise<void> {
    const { clock } = this.#network;
    const { end, ms } = this.#reply(id, order);
    await clock.after(Math.min(ms, longestOrderMs));
    const news: OrderEnd = ms < longestOrderMs ? end : { kind: "failed", message: "it took too long" };
    for (let pauseMs = 500; !this.#over.has(name); pauseMs = Math.min(2 * pauseMs, 30_000)) {
      await this.#network.latency();
      if (await this.#tell(id, order.id, news)) this.#over.add(name);
      else await clock.after(pauseMs);
    }
  }

  /** False where the run did not hear it, or its process died of something. */
  async #tell(id: string, order: OrderId, end: OrderEnd): Promise<boolean> {
    const { clock } = this.#network;
    const heard = Promise.resolve(this.#network.reach(id, (run) => receiveAnswer(run, { ...order, end })));
    const told = heard.then(
      () => true,
      (error: unknown) => {
        if (error instanceof HoldfastError) return false;
        throw error;
      },
    );
    return await Promise.race([told, clock.after(patienceMs).then(() => false)]);
  }
}

function nameOf({ runId, createdAt, seq }: OrderId): string {
  return `${runId} ${createdAt} ${seq}`;
}
