/**
 * Owns: ending a run from outside, by a cancellation or a timeout: telling the handler, waiting for its replay, and giving up
 * a handler that does not end.
 * Does not own: what follows (closing), when the run's time is up (drive).
 * Invariant 1: of a cancellation and a timeout, the one that came first counts, also while it waits for the replay.
 */
import { authorOf } from "../../core/author.ts";
import type { EntryOf } from "../../core/history/entry.ts";
import type { Attempts } from "../attempt/attempts.ts";
import type { Calls } from "../call/calls.ts";
import { Bell } from "../turn/bell.ts";
import type { Course } from "../turn/course.ts";
import type { Closing } from "./closing.ts";
import type { End } from "./ending.ts";

type Cancellation = Omit<EntryOf<"run.cancel_requested">, "seq" | "at" | "told">;

/** How long the handler of a run that is to end is waited for while it has no call open. */
const graceMs = 10_000;

export class Intervention {
  readonly #course: Course;
  readonly #calls: Calls;
  readonly #attempts: Attempts;
  readonly #closing: Closing;
  /** A cancellation that waits for the replay, until that has stood still for too long. */
  #early: Cancellation | null = null;
  /** Rings once that is on record, or will never be. */
  readonly #recorded = new Bell();
  /** When a handler that has no call open though its run is to end is given up. */
  #givenUpAt: number | null = null;

  constructor(course: Course, calls: Calls, attempts: Attempts, closing: Closing) {
    this.#course = course;
    this.#calls = calls;
    this.#attempts = attempts;
    this.#closing = closing;
  }

  /** A cancellation waits for the replay: a timeout from now on comes too late. */
  get isCancelled(): boolean {
    return this.#early !== null;
  }

  /**
   * Tells the handler of the cancellation through its open calls. Resolves to true once that is on record, and to false
   * where the run is on its way to its end already, or the key was used meanwhile.
   */
  async cancel(request: Cancellation): Promise<boolean> {
    const { state, rested } = this.#course;
    const requested = await this.#course.turn(() => {
      // A run on its way to another end stays on it: a replay could not tell which of the two came first.
      if (state.cancelling !== null || state.ending !== null || this.#closing.isAwaiting || state.end !== null)
        return false;
      if (this.#isRepeated(request)) return false;
      const awaited = this.#attempts.stop(new Error(request.error.message));
      this.#course.record({ ...request, awaited, told: true });
      // The handler may be over already, with its end in line behind this.
      if (!this.#closing.finished) rested.ring();
      return true;
    });
    if (this.#course.failure !== null) throw this.#course.failure;
    return requested === true;
  }

  /**
   * Gives the handler up where its replay stands still for too long, and resolves once a cancellation is on record for that,
   * or its key was used meanwhile; never otherwise: what a death cut off that can be undone is known only once the replay
   * is over.
   */
  async cancelStalled(request: Cancellation): Promise<void> {
    if (!this.#course.live) {
      this.#early ??= request;
      this.drained();
    }
    await this.#recorded.rung();
  }

  /** Ends the run, whatever the handler makes of it. */
  timeOut(end: End): void {
    this.#closing.endFromOutside(end);
    if (!this.#course.live) this.drained();
  }

  /** The handler has reacted to the last event, and awaits something: of its own, where its replay goes no further. */
  drained(): void {
    if (!this.#isLost) this.#givenUpAt = null;
    else if (this.#givenUpAt === null) {
      this.#givenUpAt = this.#course.world.clock.now() + graceMs;
      this.#course.wakeBy(this.#givenUpAt);
      this.#course.stirred.ring();
    }
  }

  /** When a handler that does not end is given up; Infinity when none is. */
  get dueAt(): number {
    return this.#isLost ? (this.#givenUpAt ?? Infinity) : Infinity;
  }

  /** Gives up a handler that has had its time. */
  tick(now: number): void {
    if (!this.#isLost) this.#givenUpAt = null;
    if (this.dueAt > now) return;
    this.#givenUpAt = null;
    this.#recordEarly();
    if (!this.#isLost) return;
    const { cancelling } = this.#course.state;
    // How it ends was said before.
    if (cancelling === null) return this.#closing.conclude(null);
    const { error, reason } = cancelling;
    this.#closing.conclude({ kind: "run.cancelled", error, ...authorOf(cancelling), reason, givenUp: true });
  }

  /** The handler is not told: it is given up. */
  #recordEarly(): void {
    const { state, ledger } = this.#course;
    const request = this.#early;
    if (request === null || state.cancelling !== null || this.#closing.isDecided) return;
    this.#course.guard(() => {
      if (this.#isRepeated(request)) this.#early = null;
      else ledger.append(request);
      this.#recorded.ring();
    });
  }

  /** Another action with its key came first: whoever asked decides anew. */
  #isRepeated({ key }: Cancellation): boolean {
    return key !== undefined && this.#course.state.actionKeys.has(key);
  }

  /** The run is to end, but its handler, which has not ended, has no call open. */
  get #isLost(): boolean {
    const { state, live, over, replay } = this.#course;
    const { finished, isAwaiting, isDecided } = this.#closing;
    if (over || finished || state.ending !== null || isAwaiting || this.#calls.pending.size > 0) return false;
    if (live) return state.cancelling !== null;
    return replay.isStalled && (state.cancelling !== null || isDecided || this.isCancelled);
  }
}
