/**
 * Owns: ending a run, by the handler's own end, a cancellation or a timeout: waiting for steps in flight, undoing steps, and
 * recording the end.
 * Does not own: which end it is (ending), calls, attempts.
 *
 * Invariant 1: once the handler has settled, or the run was ended from outside, the handler can do nothing more, in replay
 * as when it was live.
 * Invariant 2: the end of every step in flight that can be undone is known before anything is undone.
 */
import { authorOf } from "../../core/author.ts";
import type { EntryOf, Fact } from "../../core/history/entry.ts";
import type { Attempts } from "../attempt/attempts.ts";
import { canBeUndone } from "../call/call.ts";
import type { Calls } from "../call/calls.ts";
import { Bell } from "../turn/bell.ts";
import type { Course } from "../turn/course.ts";
import { endOf, undoing } from "./ending.ts";
import type { End } from "./ending.ts";

type Cancellation = Omit<EntryOf<"run.cancel_requested">, "seq" | "at" | "told">;

/** How long the handler of a run that is to end is waited for while it has no call open. */
const graceMs = 10_000;

export class Closing {
  /** The handler has returned or thrown, or its steps have been undone. */
  finished = false;
  #isUndoing = false;
  readonly #course: Course;
  readonly #calls: Calls;
  readonly #attempts: Attempts;
  /** Facts that go on record with the end, whatever it is. */
  readonly #leftovers: () => readonly Fact[];
  #end: (() => void) | null = null;
  /** The end that waits for steps in flight that can be undone. */
  #awaited: Exclude<End, { kind: "run.completed" }> | null = null;
  /** A cancellation that waits for the replay, until that has stood still for too long. */
  #early: Cancellation | null = null;
  /** Rings once that is on record. */
  readonly #recorded = new Bell();
  /** When a handler that has no call open though its run is to end is given up. */
  #givenUpAt: number | null = null;

  constructor(course: Course, calls: Calls, attempts: Attempts, leftovers: () => readonly Fact[]) {
    this.#course = course;
    this.#calls = calls;
    this.#attempts = attempts;
    this.#leftovers = leftovers;
  }

  /** The replay is over. If it came to the handler's end, only steps begin again that were in flight and can be undone. */
  replayed(): void {
    if (this.#end !== null && this.#course.state.ending === null) this.#freeze(this.#course.resumed);
  }

  /** If the replay came to the handler's end, the run ends in its turn. */
  goLive(): void {
    if (this.#end !== null) this.#course.post(this.#end);
  }

  /**
   * Tells the handler of the cancellation through its open calls. Resolves to true once that is on record, and to false
   * where the run is on its way to its end already.
   */
  async cancel(request: Cancellation): Promise<boolean> {
    const { state, rested } = this.#course;
    const requested = await this.#course.turn(() => {
      // A run on its way to another end stays on it: a replay could not tell which of the two came first.
      if (state.cancelling !== null || state.ending !== null || this.#awaited !== null || state.end !== null)
        return false;
      const awaited = this.#attempts.stop(new Error(request.error.message));
      this.#course.record({ ...request, awaited, told: true });
      // The handler may be over already, with its end in line behind this.
      if (!this.finished) rested.ring();
      return true;
    });
    if (this.#course.failure !== null) throw this.#course.failure;
    return requested === true;
  }

  /**
   * Gives the handler up where its replay stands still for too long, and resolves once a cancellation is on record for that;
   * never otherwise: what a death cut off that can be undone is known only once the replay is over.
   */
  async cancelStalled(request: Cancellation): Promise<void> {
    if (!this.#course.live) {
      this.#early ??= request;
      this.drained();
    }
    await this.#recorded.rung();
  }

  /** A cancellation waits for the replay: what would end the run from now on comes too late. */
  get isCancelled(): boolean {
    return this.#early !== null;
  }

  /** Ends the run from outside, whatever the handler makes of it. */
  endFromOutside(end: End): void {
    if (this.#course.live) this.#course.post(() => this.conclude(end));
    else {
      this.#end ??= () => this.conclude(end);
      this.drained();
    }
  }

  /** The handler has settled. */
  handlerSettled(end: End): void {
    this.#finish(() => this.conclude(end));
  }

  /** The handler ends the run itself, by bail or fail; code of it that still runs after it has settled cannot. */
  leave(end: End): void {
    if (!this.finished) this.conclude(end);
  }

  /**
   * Ends the run like this, and the handler with it; first of all what can be undone is undone.
   * @param wanted null where a cancellation on record says how it ends
   */
  conclude(wanted: End | null): void {
    const { over, state, live } = this.#course;
    this.#calls.frozen = true;
    if (over || (live && state.ending !== null) || this.#awaited !== null) return;
    this.#freeze();
    if (!live) return this.#finish(() => this.conclude(wanted));
    const end = endOf(wanted, state);
    if (end.kind === "run.completed") return this.#endRun(end);
    this.#awaited = end;
    this.#attempts.stop(new Error("the run is ending"));
    if (this.#attempts.running > 0) this.#noteAbandoned();
    // Steps that were told to stop time out sooner than they would have.
    this.#course.wakeBy(this.#attempts.timeoutAt);
    this.#endAtRest();
  }

  /** The handler is over; its steps are undone, one after the other, by calls like its own. */
  undo(steps: readonly string[]): void {
    this.#calls.freeze(() => false);
    this.#attempts.abandon(() => new Error("the run is being undone"));
    this.#isUndoing = true;
    this.finished = false;
    this.#end = null;
    const undo = async (): Promise<void> => {
      // One that fails for good is on record and does not stop the rest.
      for (const step of steps) await this.#calls.undo(step).catch(() => {});
    };
    void undo().then(() => {
      this.finished = true;
      this.#end = () => this.#endRun(endOf(null, this.#course.state));
      if (this.#course.live) this.#course.post(this.#end);
      this.#course.stirred.ring();
    });
  }

  /** The handler has reacted to the last event, and awaits something: of its own, where its replay goes no further. */
  drained(): void {
    if (this.#awaited !== null && this.#attempts.running === 0) this.#course.post(() => this.#endAtRest());
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
    const { cancelling } = this.#course.state;
    // How it ends was said from outside.
    if (cancelling === null) return this.conclude(null);
    const { error, reason } = cancelling;
    this.conclude({ kind: "run.cancelled", error, ...authorOf(cancelling), reason, givenUp: true });
  }

  /** The handler is not told: it is given up. */
  #recordEarly(): void {
    const { state, ledger } = this.#course;
    const request = this.#early;
    if (request === null || state.cancelling !== null || this.#end !== null) return;
    this.#course.guard(() => {
      ledger.append(request);
      this.#recorded.ring();
    });
  }

  #finish(end: () => void): void {
    this.#calls.frozen = true;
    // Once its steps are being undone, they say when it has finished.
    if (!this.#isUndoing) this.finished = true;
    this.#course.stirred.ring();
    // The end is on record already: the handler came here in an earlier life.
    if (this.#course.state.ending !== null || this.#end !== null) return;
    this.#end = end;
    if (this.#course.live) this.#course.post(end);
  }

  /** Puts on record at once which attempts are abandoned: nobody would know if the process died while others are waited for. */
  #noteAbandoned(): void {
    const left = this.#attempts.abandonments.takeNoted();
    if (left.length > 0) this.#course.guard(() => this.#course.ledger.append(...left));
  }

  /**
   * Closes all open calls but steps in flight that can be undone; one that waits for its next attempt has ended.
   * @param unbegun also keeps such steps that are yet to begin again after a death
   */
  #freeze(unbegun = !this.#course.live): void {
    this.#calls.freeze((pending) => {
      const { key, begun } = pending;
      if (!canBeUndone(pending)) return false;
      return unbegun || (begun && !this.#isToBeRetried(key)) || this.#attempts.isCutOff(pending);
    });
  }

  /** Its attempt failed, and the next has not begun. */
  #isToBeRetried(key: string): boolean {
    const call = this.#course.state.calls.get(key);
    return call !== undefined && !call.done && call.retryAt !== null && !this.#attempts.isRunning(key);
  }

  /** Once no step is in flight that may have to be undone. */
  #endAtRest(): void {
    const end = this.#awaited;
    if (end === null || this.#attempts.running > 0) return;
    this.#awaited = null;
    const begun = undoing(end, this.#course.state);
    if (begun === null) this.#endRun(end);
    else this.#course.record(begun);
  }

  /** Puts the end on record, with the facts that go with it. */
  #endRun(end: End): void {
    const { over, live, ledger } = this.#course;
    if (over) return;
    const left = live ? this.#leftovers() : [];
    this.#course.guard(() => ledger.append(...left, end));
    this.#course.stop(() => new Error("the run has ended"));
  }

  /** The run is to end, but its handler, which has not ended, has no call open. */
  get #isLost(): boolean {
    const { state, live, over, replay } = this.#course;
    if (over || this.finished || state.ending !== null || this.#awaited !== null) return false;
    if (this.#calls.pending.size > 0) return false;
    if (live) return state.cancelling !== null;
    return replay.isStalled && (state.cancelling !== null || this.#end !== null || this.#early !== null);
  }
}
