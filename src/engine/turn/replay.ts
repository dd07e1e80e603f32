/**
 * Owns: giving a restarted handler the outcomes on record, in the order in which they first happened, and noticing where
 * its code no longer matches the record.
 * Does not own: what is done about a mismatch.
 * Invariant 1: outcomes are delivered in recorded order, one a turn (guarantee 3).
 * Invariant 2: an outcome whose call the code does not make is kept, and given to that call should
 * it come later: a completed step never runs again (guarantee 2), also under new code (guarantee 7).
 */
import { added, emptyMap, emptySet, put } from "../../core/empty.ts";
import type { Outcome, RunState } from "../../core/state/state.ts";
import type { Bell } from "./bell.ts";
import type { Pace } from "./pace.ts";

/**
 * Outcomes in a row, at most, that get no full turn, where the pace allows for that: some 50 ms. Nothing is written
 * meanwhile, and what woke the run is committed with what comes of it.
 */
const longestBurst = 8191;
/** How many turns a handler with open calls is given to make the call whose outcome is next on record. */
const patience = 64;
/**
 * The same for a handler that has none open: it may wait for updates or signals, or for something of its own that is ready
 * in a moment; which of the two cannot be known.
 */
const longPatience = 4096;

/** The execution that is replayed. */
export interface ReplayTarget {
  readonly calls: {
    /** Those that are open, by key. */
    readonly pending: ReadonlyMap<string, unknown>;
    /** Keys of those that nobody awaits: they were open when the handler ended, their branch lost, or the run was cancelled. */
    readonly left: ReadonlySet<string>;
    /** How many were made so far. */
    readonly made: number;
  };
  /** It can be given the outcome with this key now. */
  expects(key: string): boolean;
  /** An update or a signal may set it going though it has no call open. */
  readonly listening: boolean;
  readonly finished: boolean;
  readonly publisher: { isPast: boolean };
  /** The outcome is on record, and its turn has come. */
  deliver(outcome: Outcome): void;
  /** It has reacted to the last outcome or event, and awaits something: of its own where the replay goes no further. */
  drained(): void;
}

/** The course that the replay is part of. */
export interface ReplayOwner {
  readonly state: Pick<RunState, "retriedSeq">;
  readonly over: boolean;
  /** Rings when the handler makes a call or ends. */
  readonly stirred: Bell;
}

export class Replay {
  /** Outcomes whose calls have not been made. */
  unclaimed: Map<string, Outcome> = emptyMap;
  /** Keys of calls that were open when an outcome was passed over: new code may have added them, so that the handler is stuck at them. */
  blocking: Set<string> = emptySet;
  /** It goes no further before the handler does, which awaits something of its own. */
  isStalled = false;
  readonly #claims: Outcome[] = [];
  readonly #pace: Pace;
  readonly #course: ReplayOwner;
  readonly #handler: ReplayTarget;
  #impatientAt = -1;
  #blockedAt = -1;

  constructor(pace: Pace, course: ReplayOwner, handler: ReplayTarget) {
    this.#pace = pace;
    this.#course = course;
    this.#handler = handler;
  }

  async play(outcomes: readonly Outcome[]): Promise<void> {
    const newest = newestFrom(outcomes);
    for (const outcome of outcomes) {
      await this.#pace.settle(longestBurst);
      if (this.#claims.length > 0) await this.#playClaims();
      // Nobody awaits an outcome that was recorded together with, or behind, the one upon which the handler ended or the branch lost.
      const isLeft = this.#handler.calls.left.has(outcome.key);
      if (!isLeft && !this.#handler.expects(outcome.key)) await this.#await(outcome.key);
      this.#handler.publisher.isPast = outcome.seq < newest;
      if (isLeft) continue;
      if (this.#handler.expects(outcome.key) || isForRegistered(outcome)) this.#handler.deliver(outcome);
      else this.#passOver(outcome);
    }
    await this.#pace.settle(longestBurst);
    await this.#playClaims();
  }

  #passOver(outcome: Outcome): void {
    this.unclaimed = put(this.unclaimed, outcome.key, outcome);
    // Before a retry the handler may have gone another way: that tells of no added calls.
    if (outcome.seq <= this.#course.state.retriedSeq) return;
    // Nothing has changed since the last time unless a call was made.
    if (this.#blockedAt === this.#handler.calls.made) return;
    this.#blockedAt = this.#handler.calls.made;
    for (const open of this.#handler.calls.pending.keys()) this.blocking = added(this.blocking, open);
  }

  /** Gives the handler time to make the calls with these keys, which are on record without an outcome. */
  async seek(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      if (!this.#handler.calls.pending.has(key)) await this.#await(key);
      await this.#playClaims();
    }
    await this.#stir();
  }

  /** Gives a handler that awaits something of its own some turns to go on, and no more. */
  async linger(): Promise<void> {
    for (let turns = 0; turns < longPatience && this.#handler.calls.pending.size === 0; turns++) {
      if (this.#handler.listening || this.#isDone) return;
      await this.#pace.turn();
      await this.#playClaims();
    }
  }

  /** Takes the outcome of the call that is being made, if replay passed it over. */
  claim(key: string): Outcome | undefined {
    const outcome = this.unclaimed.get(key);
    if (outcome !== undefined) this.unclaimed.delete(key);
    return outcome;
  }

  /** Has a claimed outcome delivered in the course of the replay. */
  defer(outcome: Outcome): void {
    this.#claims.push(outcome);
  }

  /** Claimed outcomes that are yet to be delivered; handed out once. */
  takeDeferred(): Outcome[] {
    return this.#claims.splice(0);
  }

  async #playClaims(): Promise<void> {
    for (let claim = this.#claims.shift(); claim !== undefined; claim = this.#claims.shift()) {
      this.#handler.deliver(claim);
      await this.#pace.turn();
    }
  }

  async #await(key: string): Promise<void> {
    // Once it was waited for in vain, waiting is useless until the handler has made another call.
    if (this.#impatientAt === this.#handler.calls.made) return;
    const limit = (): number =>
      this.#handler.listening && this.#handler.calls.pending.size === 0 ? longPatience : patience;
    for (let turns = 0; turns < limit() && !this.#handler.expects(key) && !this.#isDone; turns++) {
      await this.#pace.turn();
    }
    await this.#stir();
    if (!this.#handler.expects(key)) this.#impatientAt = this.#handler.calls.made;
  }

  /** A handler without an open call awaits something of its own: waits until it goes on. */
  async #stir(): Promise<void> {
    while (this.#handler.calls.pending.size === 0 && !this.#handler.listening && !this.#isDone) {
      this.isStalled = true;
      this.#handler.drained();
      await this.#pace.away(() => this.#course.stirred.rung());
      this.isStalled = false;
      await this.#pace.turn();
      await this.#playClaims();
    }
  }

  get #isDone(): boolean {
    return this.#handler.finished || this.#course.over;
  }
}

/** The `seq` of the first outcome of the last commit, as far as the entries tell which those are: one instant, and no gap. */
function newestFrom(outcomes: readonly Outcome[]): number {
  let index = outcomes.length - 1;
  for (; index > 0; index--) {
    const [before, after] = [outcomes[index - 1], outcomes[index]];
    if (before?.at !== after?.at || (before?.seq ?? 0) + 1 !== after?.seq) break;
  }
  return outcomes[index]?.seq ?? 0;
}

/** Updates and signals to listeners settle no call; they wait until their function is registered. */
function isForRegistered({ settle }: Outcome): boolean {
  return settle.kind === "update" || settle.kind === "signal";
}
