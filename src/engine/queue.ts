/**
 * Owns: the one line in which everything that happens to a handler waits for its turn.
 * Does not own: what an event does; an event that throws is its maker's to catch.
 * Invariant 1: one event a turn, in the order in which they were posted (guarantee 3).
 */
import type { Clock } from "./clock.ts";

/** Events taken off at once, so that a thousand cost a thousand times one. */
const piece = 1024;

export class Queue {
  readonly #clock: Clock;
  /** Nothing is left in line, and what the handler made of the last event has shown. */
  readonly #drained: () => void;
  /** Something else goes on that will post. */
  readonly #working: () => boolean;
  #events: (() => void)[] = [];
  #pumping = false;

  constructor(clock: Clock, working: () => boolean, drained: () => void) {
    this.#clock = clock;
    this.#working = working;
    this.#drained = drained;
  }

  get busy(): boolean {
    return this.#pumping || this.#events.length > 0;
  }

  post(event: () => void): void {
    this.#events.push(event);
    if (!this.#pumping) void this.#pump();
  }

  clear(): void {
    this.#events = [];
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    for (let next = 0; next < this.#events.length;) {
      await this.#clock.turn();
      this.#events[next++]?.();
      if (next === piece) next -= this.#events.splice(0, piece).length;
      if (next !== this.#events.length) continue;
      this.#events = [];
      next = 0;
      // What the handler makes of the last event shows a turn later.
      if (!this.#working()) await this.#clock.turn();
    }
    this.#pumping = false;
    this.#drained();
  }
}
