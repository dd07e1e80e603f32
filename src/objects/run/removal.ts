/**
 * Owns: removing a run, on request or after its retention: first its data in other objects (the directory, its lanes, its
 * key), then its own object.
 * Does not own: whether it may be removed (control), the retention (engine/drive), the storage (memory).
 * Invariant 1: a removal that failed can be repeated as a whole: until then the run exists, and is listed.
 * Invariant 2: an expired run is kept until the notices of its ends are over, and if it was retried meanwhile.
 * Invariant 3: during a removal nothing is accepted that would be deleted with the run: `underWay` is checked before.
 */
import type { EntryOf } from "../../core/history/entry.ts";
import { HoldfastError } from "../../core/error.ts";
import { objectName } from "../../core/run/key.ts";
import { firstCreatedAt } from "../../core/run/origin.ts";
import type { RunAction } from "../../core/service/service.ts";
import { directoryOf, laneObject, runObject } from "../address.ts";
import { housekeepingAt, watchdogMs } from "../alarm.ts";
import type { Alarm } from "../alarm.ts";
import { remainsOf, unlist } from "./damage.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { nameOfKey } from "../deployment/digest.ts";
import { logRemoval } from "../deployment/logline.ts";
import type { Memory } from "./memory.ts";
import { backoff, describe, within } from "../patience.ts";
import type { PackedRun } from "../rpc/run.ts";

const callLimitMs = 10_000;
/** The longest pause after a failed attempt to remove an expired run. */
const longestPauseMs = 60_000;
/** The longest pause before it is checked again whether its notices are over. */
const longestWaitMs = 3_600_000;

/** The host of the run. */
type Hosting = {
  /** The pending messages of the run in memory. */
  outbox(): Outbox;
  /** Resolves when the run is not being advanced any more. */
  idle(): Promise<void>;
  proceed(): void;
};

/** Stores what remains of the request. */
type Note = Parameters<Memory["clear"]>[0];

export class Removal {
  underWay = false;
  readonly #memory: Memory;
  readonly #alarm: Alarm;
  readonly #host: Hosting;
  /** How often in succession an expired run could not be removed. */
  #failures = 0;
  /** When to try again to remove an expired run, epoch ms. */
  expiryAt = 0;

  constructor(memory: Memory, alarm: Alarm, host: Hosting) {
    this.#memory = memory;
    this.#alarm = alarm;
    this.#host = host;
  }

  /** Removes the run completely; its id is free again. */
  async remove(by: Pick<RunAction, "by" | "role" | "reason">, note: Note): Promise<void> {
    this.underWay = true;
    try {
      this.#host.outbox().stop();
      // A report in progress must not list the run again after its removal.
      await this.#host.idle();
      await this.#host.outbox().settle();
      // If the process dies now, the run has to be listed again.
      this.#alarm.ensureWatchdog();
      await this.#erase(by, note);
    } catch (error) {
      this.underWay = false;
      // This memory does not know whether the shard still lists the run.
      this.#memory.forget();
      this.#wakeSoon();
      this.#host.proceed();
      throw error;
    }
  }

  /** Removes a run that cannot be read, on request; its id is free again. */
  async discard(id: string, damage: HoldfastError, note: Note): Promise<PackedRun> {
    if (this.underWay) throw new HoldfastError("run_not_found", "the run is being removed");
    try {
      return remainsOf(id, await this.#clear(() => unlist(id), note), damage.message);
    } catch (error) {
      this.#wakeSoon();
      throw error;
    }
  }

  /** After a failure: the note of the request may have set the alarm to its own end, a day away. */
  #wakeSoon(): void {
    void this.#alarm.rearm(housekeepingAt(Date.now() + watchdogMs));
  }

  /** Removes an expired run; false if that has to wait. Never rejects. */
  async expire(): Promise<boolean> {
    if (this.expiryAt > Date.now()) return false;
    // A housekeeping alarm has been handled by now, so there is no alarm.
    this.#alarm.ensureWatchdog();
    const { end, created } = this.#memory.run.state;
    try {
      const isSettled = await this.#host.outbox().settled();
      if (this.#memory.run.state.end !== end) return false;
      if (isSettled) {
        await this.#erase(null, () => Promise.resolve());
        return true;
      }
      this.#failures = 0;
      const now = Date.now();
      // With pauses that grow with time.
      this.expiryAt = now + Math.min(longestWaitMs, Math.max(watchdogMs, (now - (end?.at ?? now)) / 4));
    } catch (error) {
      this.expiryAt = Date.now() + backoff(++this.#failures, longestPauseMs);
      console.warn(`run ${created?.id} could not be removed; it will be: ${describe(error)}`);
    }
    return false;
  }

  async #erase(by: Parameters<typeof logRemoval>[2], note: Note): Promise<void> {
    const created = this.#memory.creation();
    await this.#clear(() => removeElsewhere(created), note);
    this.#memory.log.flush();
    logRemoval(created, Date.now(), by);
  }

  /** Deletes the run from storage and memory, after its data in other objects. */
  async #clear<Told>(takenOut: () => Promise<Told>, note: Note): Promise<Told> {
    this.underWay = true;
    try {
      const told = await takenOut();
      await this.#memory.clear(note);
      this.#alarm.gone();
      return told;
    } finally {
      this.underWay = false;
    }
  }
}

/** Removes the run's data in other objects. @throws if one of them was not reached */
async function removeElsewhere(created: EntryOf<"run.created">): Promise<void> {
  const { id, shards, claims, key } = created;
  // It is listed under the creation of its first incarnation.
  await within(directoryOf(id, shards).remove(id, firstCreatedAt(created)), callLimitMs);
  // Released explicitly, because a lane assumes that a run that it cannot find is about to be created.
  const own = objectName(id);
  for (const lane of claims ?? []) await within(laneObject(lane).release(own), callLimitMs);
  // If its key was given with an id, the binding is in the key's object.
  const name = key === undefined ? own : await nameOfKey(key);
  if (name !== own) await within(runObject(name).unbind(id), callLimitMs);
}
