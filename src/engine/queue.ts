/**
 * Owns: the one line in which everything that happens to a handler waits for its turn.
 * Does not own: what an event does, how long a turn is (pace); an event that throws is its maker's to catch.
 * Invariant 1: one outcome a turn, in the order in which they were posted (guarantee 3).
 * Invariant 2: what has ended beside each other goes on record together, and then to the handler one by one: what
 * the handler makes of the first comes behind the last, in the line as on record.
 */
import type { Fact } from "../core/entry.ts";
import type { Pace } from "./pace.ts";

/** Events taken off at once, so that a thousand cost a thousand times one. */
const piece = 1024;
/** Characters of results after which a commit takes no more: each may be large. */
const largestCommit = 400_000;

/** Something at work has ended well. */
export type Ending = {
  /** It waited for nothing, so it can have done nothing that the world could see. */
  readonly quick: boolean;
  /** Characters of what it has to put on record. */
  readonly size: number;
  /** What goes on record; null where nobody waits for it any more. */
  readonly conclude: () => Fact | null;
};

/** Whose line it is. */
export interface Lined {
  /** Something else goes on that will post. */
  readonly expecting: boolean;
  /** Puts on record what these have to say, as one commit; answers what delivers each outcome, in order. */
  recordAll(endings: readonly Ending[]): readonly (() => void)[];
  /** Resolves when what is on record survives the death of the process, or never will; never rejects. */
  durable(): Promise<void>;
  /** Nothing is left in line, and what the handler made of the last event has shown. */
  drained(): void;
}

export class Queue {
  readonly #pace: Pace;
  readonly #owner: Lined;
  #events: ((() => void) | Ending)[] = [];
  #next = 0;
  #pumping = false;
  /** Grows with every clearing: outcomes that were to be delivered then are not. */
  #cleared = 0;

  constructor(pace: Pace, owner: Lined) {
    this.#pace = pace;
    this.#owner = owner;
  }

  get busy(): boolean {
    return this.#pumping || this.#head !== undefined;
  }

  post(event: (() => void) | Ending): void {
    this.#events.push(event);
    if (!this.#pumping) void this.#pump();
  }

  clear(): void {
    this.#events = [];
    this.#next = 0;
    this.#cleared++;
  }

  get #head(): (() => void) | Ending | undefined {
    return this.#events[this.#next];
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    for (let head = this.#head; head !== undefined; head = this.#head) {
      await this.#pace.settle();
      if (typeof this.#head === "function") this.#pass(this.#head);
      else await this.#end();
      // What the handler makes of the last event shows a moment later.
      if (this.#head === undefined && !this.#owner.expecting) await this.#pace.settle();
    }
    this.#pumping = false;
    this.#owner.drained();
  }

  #pass(event: () => void): void {
    this.#advance();
    event();
  }

  #advance(): void {
    this.#next++;
    if (this.#next < this.#events.length && this.#next < piece) return;
    this.#events.splice(0, this.#next);
    this.#next = 0;
  }

  /** Those that have ended go on record together, and then to the handler one by one. */
  async #end(): Promise<void> {
    const endings = this.#takeEndings();
    const cleared = this.#cleared;
    const deliveries = this.#owner.recordAll(endings);
    // Whoever waited for something may have changed the world: it is durable before anything else begins.
    if (deliveries.length > 0 && endings.some(({ quick }) => !quick)) await this.#owner.durable();
    for (const [index, deliver] of deliveries.entries()) {
      if (index > 0) await this.#pace.settle();
      if (this.#cleared !== cleared) return;
      deliver();
    }
  }

  #takeEndings(): Ending[] {
    const endings: Ending[] = [];
    let size = 0;
    for (let head = this.#head; head !== undefined && typeof head !== "function"; head = this.#head) {
      size += head.size;
      if (endings.length > 0 && size > largestCommit) break;
      endings.push(head);
      this.#advance();
    }
    return endings;
  }
}
