/**
 * Owns: how long a handler is given for what it makes of one outcome, before it is given the next.
 * Does not own: which outcome is next (queue); replay, which writes nothing, takes full turns.
 *
 * A full turn of the event loop is exact, and costs a commit of the storage. A handler that has never had two
 * calls open at once has nothing that could overtake anything, and is given a thousand microtasks instead;
 * a turn every now and then lets the rest of the world in, and makes what is on record durable.
 */
import type { Clock } from "./clock.ts";

const microtasks = 1000;
const turnEvery = 64;

export class Pace {
  readonly #clock: Clock;
  /** The handler may do several things at once. */
  readonly #crowded: () => boolean;
  #count = 0;

  constructor(clock: Clock, crowded: () => boolean) {
    this.#clock = clock;
    this.#crowded = crowded;
  }

  async settle(): Promise<void> {
    this.#count++;
    if (this.#crowded() || this.#count % turnEvery === 0) return await this.#clock.turn();
    for (let passed = 0; passed < microtasks; passed++) await undefined;
  }
}
