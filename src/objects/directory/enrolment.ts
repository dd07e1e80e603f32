/**
 * Owns: adding every run to the register of its shard before the shard lists it, and removing it afterwards.
 * Does not own: the register (store/register), the list (store/directory).
 *
 * Invariants
 * 1. Every listed run is on the register, from which a lost shard can be rebuilt.
 * 2. A late report does not list a removed run again: the run's object waits for its reports, and reports that still come
 *    within ten minutes are refused.
 */
import type { DirectoryStore } from "../../store/directory.ts";
import { Batch } from "../batch.ts";
import { registerObject } from "../address.ts";
import { describe, within } from "../patience.ts";
import type { Enrolled } from "../../store/register.ts";

const callLimitMs = 10_000;
/** The limit of runs in one call. */
const callRuns = 5000;
const removedMs = 10 * 60_000;
const maxRemoved = 100_000;
/** Stored when all runs that the shard listed before there were registers are on its register. */
const sweptMark = "register-swept";

export class Enrolment {
  readonly #storage: DurableObjectStorage;
  readonly #runs: DirectoryStore;
  readonly #shard: string;
  readonly #arrivals = new Batch<Enrolled>((runs) => this.#enrol(runs));
  readonly #departures = new Batch<Enrolled>((runs) => this.#strike(runs));
  /** Removed runs, with the time until which they are remembered; oldest first. */
  readonly #removed = new Map<string, number>();
  #swept: Promise<void> | null = null;

  /** @param shard the name of the shard's object */
  constructor(storage: DurableObjectStorage, runs: DirectoryStore, shard: string) {
    this.#storage = storage;
    this.#runs = runs;
    this.#shard = shard;
  }

  /** Adds the run to the register, unless it was removed. @throws if the register was not reached */
  async admit({ id, createdAt }: Enrolled): Promise<"known" | "new" | "removed"> {
    const run = { id, createdAt };
    if (this.#isRemoved(run)) return "removed";
    if (this.#runs.holds(run)) return "known";
    await this.#arrivals.add(run);
    if (!this.#isRemoved(run)) return "new";
    await this.#leave(run);
    return "removed";
  }

  /** Called when the run was removed. Resolves when it is off the register, or the register could not be reached. */
  async remove(run: Enrolled, wasListed: boolean): Promise<void> {
    const now = Date.now();
    for (const [key, until] of this.#removed) {
      if (until > now && this.#removed.size < maxRemoved) break;
      this.#removed.delete(key);
    }
    this.#removed.set(keyOf(run), now + removedMs);
    if (wasListed) await this.#leave(run);
  }

  /** A row that remains after an error is found and deleted when the shard is rebuilt. */
  async #leave(run: Enrolled): Promise<void> {
    try {
      await this.#departures.add(run);
    } catch (error) {
      console.warn(`run ${run.id} is gone and still on the register of ${this.#shard}: ${describe(error)}`);
    }
  }

  #isRemoved(run: Enrolled): boolean {
    return (this.#removed.get(keyOf(run)) ?? 0) > Date.now();
  }

  async #enrol(runs: readonly Enrolled[]): Promise<void> {
    this.#swept ??= this.#sweep();
    await this.#swept.catch((error: unknown) => {
      this.#swept = null;
      throw error;
    });
    await this.#call(runs, (part) => registerObject(this.#shard).enrol(part));
  }

  async #strike(runs: readonly Enrolled[]): Promise<void> {
    await this.#call(runs, (part) => registerObject(this.#shard).strike(part));
  }

  async #call(runs: readonly Enrolled[], call: (part: readonly Enrolled[]) => Promise<void>): Promise<void> {
    for (let from = 0; from < runs.length; from += callRuns) {
      await within(call(runs.slice(from, from + callRuns)), callLimitMs);
    }
  }

  /** Registers once all runs of a shard that is older than its register. */
  async #sweep(): Promise<void> {
    if (this.#storage.kv.get(sweptMark) !== undefined) return;
    let after: Enrolled = { createdAt: -1, id: "" };
    for (;;) {
      const page = this.#runs.positions(after, callRuns);
      const last = page.at(-1);
      if (last === undefined) break;
      await this.#call(page, (part) => registerObject(this.#shard).enrol(part));
      after = last;
    }
    this.#storage.kv.put(sweptMark, true);
  }
}

function keyOf({ id, createdAt }: Enrolled): string {
  return `${createdAt} ${id}`;
}
