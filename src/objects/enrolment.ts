/**
 * Owns: having every run on the register of its shard before the shard lists it, and off it afterwards.
 * Does not own: the register (register), the listing (store/directory).
 *
 * Invariants
 * 1. What is listed is enrolled: a shard that is lost can be told what it listed.
 * 2. A run that was removed is not listed again by a report that was on its way: its object waits for its
 *    reports, and what comes later all the same, within ten minutes, is refused.
 */
import type { Directory } from "../store/directory.ts";
import { Batch } from "./batch.ts";
import { registerObject } from "./address.ts";
import { describe, within } from "./patience.ts";
import type { Enrolled } from "./rpc/register.ts";

const callLimitMs = 10_000;
/** Runs that one call names. */
const callRuns = 5000;
const removedMs = 10 * 60_000;
const maxRemoved = 100_000;
/** Set in the shard's storage once everything that it listed before there were registers is enrolled. */
const sweptMark = "register-swept";

export class Enrolment {
  readonly #storage: DurableObjectStorage;
  readonly #runs: Directory;
  readonly #shard: string;
  readonly #arrivals = new Batch<Enrolled>((runs) => this.#enrol(runs));
  readonly #departures = new Batch<Enrolled>((runs) => this.#strike(runs));
  /** Runs that were removed, until when that is remembered; the oldest first. */
  readonly #removed = new Map<string, number>();
  #swept: Promise<void> | null = null;

  /** @param shard the name of the shard's object */
  constructor(storage: DurableObjectStorage, runs: Directory, shard: string) {
    this.#storage = storage;
    this.#runs = runs;
    this.#shard = shard;
  }

  /** Whether the run may be listed: then the register has it. @throws when the register was not reached */
  async admit({ id, createdAt }: Enrolled): Promise<"known" | "new" | "removed"> {
    const run = { id, createdAt };
    if (this.#isRemoved(run)) return "removed";
    if (this.#runs.holds(run)) return "known";
    await this.#arrivals.add(run);
    if (!this.#isRemoved(run)) return "new";
    await this.#leave(run);
    return "removed";
  }

  /** The run is gone. Resolves once it is off the register, or nobody could be told. */
  async remove(run: Enrolled, wasListed: boolean): Promise<void> {
    const now = Date.now();
    for (const [key, until] of this.#removed) {
      if (until > now && this.#removed.size < maxRemoved) break;
      this.#removed.delete(key);
    }
    this.#removed.set(keyOf(run), now + removedMs);
    if (wasListed) await this.#leave(run);
  }

  /** A row that stays behind is found, and struck, when the shard is listed anew. */
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

  /** A shard that is older than its register enrols what it lists, once. */
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
