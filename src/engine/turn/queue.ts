/**
 * Owns: the one queue in which everything that happens to a handler waits for its turn.
 * Does not own: what an event does, how long a turn is (pace); whoever posts an event sees to it that it does not throw.
 * Invariant 1: one outcome a turn, in the order in which they went on record (guarantee 3).
 * Invariant 2: all outcomes on record are delivered before the next event: steps that ended beside each other go on
 * record together, and what the handler does after the first of them comes behind the last, here as on record.
 * Invariant 3: an outcome that replay passed over, for want of its call, is delivered as soon as that call is made, before
 * anything that is on record later: so does the next replay.
 */
import type { Fact } from "../../core/history/entry.ts";
import type { Pace } from "./pace.ts";

/** How many past events are dropped from the front together: dropping them one by one would cost the square of their number. */
const dropSize = 1024;
/** Characters of results after which a commit takes no more results. */
const largestCommit = 400_000;

/** An attempt has succeeded. Completions that follow each other in the queue go on record as one commit. */
export type Completion = {
  /** It waited for nothing, so it can have done nothing that the world could see. */
  readonly quick: boolean;
  /** Characters of what it has to put on record. */
  readonly size: number;
  /** What goes on record; null where nobody waits for it any more. */
  readonly conclude: () => Fact | null;
};

/** The course whose queue it is. */
export interface QueueOwner {
  /** Something is at work that will post another event. */
  readonly moreToCome: boolean;
  /** After a death each outcome is durable before the next begins, so that what kills the process is found. */
  readonly careful: boolean;
  /** Puts on record what these conclude, as one commit, and hands the outcomes to `deliver`. */
  recordAll(completions: readonly Completion[]): void;
  /** Resolves when what is on record survives the death of the process, or never will; never rejects. */
  durable(): Promise<void>;
  /** No event is left, and the handler has reacted to the last one. */
  drained(): void;
}

export class Queue {
  readonly #pace: Pace;
  readonly #owner: QueueOwner;
  #events: ((() => void) | Completion)[] = [];
  #next = 0;
  /** Outcomes that are on record and have not been delivered, in order. */
  #outcomes: (() => void)[] = [];
  #delivered = 0;
  /** Outcomes that were passed over in replay, in the order in which their calls were made. */
  #claims: (() => void)[] = [];
  #pumping = false;
  /** The handler has had its time to react to the last outcome. */
  #settled = false;
  /** What is on record must be durable before the next outcome is delivered. */
  #mustBeDurable = false;

  constructor(pace: Pace, owner: QueueOwner) {
    this.#pace = pace;
    this.#owner = owner;
  }

  get busy(): boolean {
    return this.#pumping || !this.#isEmpty;
  }

  post(event: (() => void) | Completion): void {
    this.#events.push(event);
    if (!this.#pumping) void this.#pump();
  }

  /** Delivers an outcome that is on record, behind those that are before it and before any other event. */
  deliver(outcome: () => void): void {
    this.#outcomes.push(outcome);
    if (!this.#pumping) void this.#pump();
  }

  /** Delivers an outcome that replay had passed over. */
  redeliver(outcome: () => void): void {
    this.#claims.push(outcome);
    if (!this.#pumping) void this.#pump();
  }

  clear(): void {
    this.#claims = [];
    this.#events = [];
    this.#next = 0;
    this.#outcomes = [];
    this.#delivered = 0;
  }

  get #isEmpty(): boolean {
    return !this.#hasPending && this.#next === this.#events.length;
  }

  get #hasPending(): boolean {
    return this.#claims.length > 0 || this.#delivered < this.#outcomes.length;
  }

  async #pump(): Promise<void> {
    this.#pumping = true;
    while (!this.#isEmpty) {
      if (!this.#settled) await this.#settle();
      if (this.#hasPending) await this.#deliverNext();
      else this.#runNext();
      // The handler reacts to the last event a moment later: only then is a burst over.
      if (this.#isEmpty && !(this.#owner.moreToCome && this.#pace.needsFullTurn())) await this.#settle();
    }
    this.#pumping = false;
    this.#settled = false;
    this.#owner.drained();
  }

  async #settle(): Promise<void> {
    await this.#pace.settle();
    this.#settled = true;
  }

  async #deliverNext(): Promise<void> {
    if (this.#mustBeDurable || this.#owner.careful) await this.#owner.durable();
    this.#mustBeDurable = false;
    const deliver = this.#claims.shift() ?? this.#nextOutcome();
    // None where the queue was cleared meanwhile.
    if (deliver === undefined) return;
    this.#settled = false;
    deliver();
  }

  #nextOutcome(): (() => void) | undefined {
    const outcome = this.#outcomes[this.#delivered++];
    if (this.#delivered >= this.#outcomes.length) {
      this.#outcomes = [];
      this.#delivered = 0;
    }
    return outcome;
  }

  #runNext(): void {
    const head = this.#events[this.#next];
    if (typeof head === "object") return this.#recordCompletions();
    this.#advance();
    head?.();
    // An event that put nothing on record may have called the handler itself, which then needs its time.
    if (!this.#hasPending) this.#settled = false;
  }

  /** Puts the completions at the front of the queue on record, as one commit. */
  #recordCompletions(): void {
    const completions: Completion[] = [];
    let size = 0;
    for (let head = this.#events[this.#next]; typeof head === "object"; head = this.#events[this.#next]) {
      size += head.size;
      if (completions.length > 0 && size > largestCommit) break;
      completions.push(head);
      this.#advance();
    }
    // A step that waited for anything may have changed the world: nothing begins before its result is durable.
    this.#mustBeDurable ||= completions.some(({ quick }) => !quick);
    this.#owner.recordAll(completions);
  }

  #advance(): void {
    this.#next++;
    if (this.#next < this.#events.length && this.#next < dropSize) return;
    this.#events.splice(0, this.#next);
    this.#next = 0;
  }
}
