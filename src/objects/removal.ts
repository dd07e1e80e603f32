/**
 * Owns: removing a run: whoever asks for it, or its retention being over; what others keep of it first (the listing,
 * its lanes, its key), then its own object.
 * Does not own: whether it may be removed (control), when an expired one may go (expiry), what is stored (memory).
 * Invariant 1: a removal that failed half-way can be made again, as a whole: until then the run is there, and listed.
 * Invariant 2: while a removal is under way nothing is accepted that would go with the run: who accepts asks `underWay`.
 */
import type { EntryOf } from "../core/entry.ts";
import { HoldfastError } from "../core/error.ts";
import { objectName } from "../core/key.ts";
import { bornAt } from "../core/origin.ts";
import type { RunAction } from "../core/service.ts";
import { directoryOf, laneObject, runObject } from "./address.ts";
import type { Alarm } from "./alarm.ts";
import { remainsOf, unlist } from "./damage.ts";
import type { Debts } from "./debts.ts";
import { nameOfKey } from "./digest.ts";
import { Expiry } from "./expiry.ts";
import { logRemoval } from "./logline.ts";
import type { Memory } from "./memory.ts";
import { within } from "./patience.ts";
import type { Parcel } from "./rpc/run.ts";

const callLimitMs = 10_000;

/** Whoever hosts the run. */
type Hosting = {
  /** Those of the run that is in memory. */
  debts(): Debts;
  /** Resolves once nothing looks at the run any more. */
  idle(): Promise<void>;
  proceed(): void;
};

export class Removal {
  underWay = false;
  readonly #memory: Memory;
  readonly #alarm: Alarm;
  readonly #host: Hosting;
  readonly #expiry = new Expiry();

  constructor(memory: Memory, alarm: Alarm, host: Hosting) {
    this.#memory = memory;
    this.#alarm = alarm;
    this.#host = host;
  }

  /** Removes everything that is kept of the run; its id is free again. */
  async remove(by: Pick<RunAction, "by" | "role" | "reason">): Promise<void> {
    this.underWay = true;
    try {
      this.#host.debts().stop();
      // A report under way must not list the run again after its removal.
      await this.#host.idle();
      // Should the process die half-way, the run is listed again.
      this.#alarm.ensureWatchdog();
      await this.#erase(by);
    } catch (error) {
      this.underWay = false;
      // Nor does this memory know what the shard made of it.
      this.#memory.forget();
      this.#host.proceed();
      throw error;
    }
  }

  /** Removes a run that cannot be read, for whoever asked; its id is free again. */
  async discard(id: string, damage: HoldfastError): Promise<Parcel> {
    if (this.underWay) throw new HoldfastError("run_not_found", "the run is being removed");
    return remainsOf(id, await this.#clear(() => unlist(id)), damage.message);
  }

  /** When to try again to remove a run that is not kept any longer, epoch ms. */
  get expiryAt(): number {
    return this.#expiry.dueAt;
  }

  /** Removes a run that is not kept any longer; false where that has to wait. */
  async expire(debts: Debts): Promise<boolean> {
    if (this.#expiry.dueAt > Date.now()) return false;
    // An alarm that came for housekeeping is over by now.
    this.#alarm.ensureWatchdog();
    return await this.#expiry.attempt({
      state: () => this.#memory.run.state,
      settled: () => debts.settled(),
      erase: () => this.#erase(null),
    });
  }

  async #erase(by: Parameters<typeof logRemoval>[2]): Promise<void> {
    const { created } = this.#memory.run.state;
    await this.#clear(async () => {
      if (created !== null) await takeOut(created);
    });
    this.#memory.log.flush();
    if (created !== null) logRemoval(created, Date.now(), by);
  }

  /** Nothing is left of the run, neither stored nor in memory, once others have let go of it. */
  async #clear<Told>(takenOut: () => Promise<Told>): Promise<Told> {
    this.underWay = true;
    try {
      const told = await takenOut();
      await this.#memory.clear();
      this.#alarm.gone();
      return told;
    } finally {
      this.underWay = false;
    }
  }
}

/** Has others let go of the run. @throws where one of them was not reached */
async function takeOut(created: EntryOf<"run.created">): Promise<void> {
  const { id, shards, claims, key } = created;
  // It is listed under the creation of its first life.
  await within(directoryOf(id, shards).remove(id, bornAt(created)), callLimitMs);
  // A lane would take a run that it cannot find for one that is on its way.
  const own = objectName(id);
  for (const lane of claims ?? []) await within(laneObject(lane).release(own), callLimitMs);
  // Where its key came with an id, another object knows which.
  const name = key === undefined ? own : await nameOfKey(key);
  if (name !== own) await within(runObject(name).unbind(id), callLimitMs);
}
