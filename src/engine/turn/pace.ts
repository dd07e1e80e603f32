/**
 * Owns: how long a handler is given to react to one outcome before it is given the next, and whether it goes on by
 * microtasks alone.
 * Does not own: which outcome is next (queue, replay).
 *
 * After a full turn of the event loop the handler has certainly reacted, and the storage may commit. In a handler that has
 * never had two calls open at once (those of one map count as one) nothing can overtake anything. It is given some
 * microtasks instead, live and in replay alike: so a burst of steps that wait for nothing is one commit, together with what
 * set it going and the replay before it. Now and then it gets a turn all the same, so that no burst is long.
 *
 * Invariant 1: whatever may do several things at once gets full turns (guarantee 3).
 * Invariant 2: so does a handler whose process has died lately: what sets it going is on record, with the alarm that
 * guards it, before any step can kill the process again (guarantee 4).
 */
import { added, emptySet } from "../../core/empty.ts";
import type { Clock } from "../clock.ts";
import { pass } from "./microtask.ts";

/** Longer than most chains of promises that wait for nothing; takes a few microseconds. */
const microtasks = 24;
/** How many outcomes in a row, at most, get microtasks instead of a full turn. */
const longestBurst = 63;

/** The course whose pace it is. */
export interface PaceOwner {
  /** The handler may do several things at once, or its process died lately. */
  readonly needsFullTurns: boolean;
  /** From here on something slower than microtasks is awaited, so that what was written is committed. */
  yields(): void;
}

export class Pace {
  readonly #clock: Clock;
  readonly #owner: PaceOwner;
  /** How many full turns in a row were spared. */
  #spared = 0;
  /** How many such waits are under way. */
  #waits = 0;
  /** Schemas that the handler waits for. */
  #schemas: Set<Promise<unknown>> = emptySet;

  constructor(clock: Clock, owner: PaceOwner) {
    this.#clock = clock;
    this.#owner = owner;
  }

  /** Whether the next outcome is given a full turn. @param longest as for {@link settle} */
  needsFullTurn(longest = longestBurst): boolean {
    return this.#owner.needsFullTurns || this.awaitsSchema || this.#spared >= longest;
  }

  /** Something slower than microtasks is awaited: what was written is committed meanwhile. */
  get isAway(): boolean {
    return this.#waits > 0;
  }

  /** A schema keeps the handler waiting. */
  get awaitsSchema(): boolean {
    return this.#schemas.size > 0;
  }

  /** Begins to count anew: what was spared so far was replay, of which nothing has to be committed. */
  renew(): void {
    this.#spared = 0;
  }

  /** The handler is given nothing more before this schema has settled. */
  awaitSchema(made: Promise<unknown>): void {
    const free = (): void => void this.#schemas.delete(made);
    this.#schemas = added(this.#schemas, made);
    made.then(free, free);
  }

  /** A full turn, which lets everything else go on and the storage commit; not over before the schemas that the handler waits for. */
  async turn(): Promise<void> {
    this.#spared = 0;
    do {
      if (this.awaitsSchema) await this.away(async () => void (await Promise.allSettled(this.#schemas)));
      await this.away(() => this.#clock.turn());
    } while (this.awaitsSchema);
  }

  /** Awaits something slower than microtasks. @throws what `wait` throws */
  async away(wait: () => Promise<void>): Promise<void> {
    this.#waits++;
    this.#owner.yields();
    try {
      await wait();
    } finally {
      this.#waits--;
    }
  }

  /** Gives the handler its time to react to an outcome. @param longest how many turns in a row may be spared */
  async settle(longest = longestBurst): Promise<void> {
    if (this.needsFullTurn(longest)) return await this.turn();
    this.#spared++;
    await pass(microtasks);
    // It may do several things at once by now, and its reaction may then take longer than some microtasks.
    if (this.awaitsSchema || this.#owner.needsFullTurns) await this.turn();
  }
}
