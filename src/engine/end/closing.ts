/**
 * Owns: ending a run, once its handler has settled or somebody ends it from outside: waiting for steps in flight, undoing
 * steps, and recording the end.
 * Does not own: cancellations and timeouts (intervention), which end it is (ending), calls, attempts.
 *
 * Invariant 1: once the handler has settled, or the run was ended from outside, the handler can do nothing more, in replay
 * as when it was live.
 * Invariant 2: the end of every step in flight that can be undone is known before anything is undone.
 */
import type { Fact } from "../../core/history/entry.ts";
import type { Attempts } from "../attempt/attempts.ts";
import { canBeUndone } from "../call/call.ts";
import type { Pending } from "../call/call.ts";
import type { Calls } from "../call/calls.ts";
import type { Course } from "../turn/course.ts";
import { endOf, undoing } from "./ending.ts";
import type { End } from "./ending.ts";

export class Closing {
  /** The handler has returned or thrown, or its steps have been undone. */
  finished = false;
  /** The run is on its way to its end. */
  concluded = false;
  #isUndoing = false;
  readonly #course: Course;
  readonly #calls: Calls;
  readonly #attempts: Attempts;
  /** Facts that go on record with the end, whatever it is. */
  readonly #leftovers: () => readonly Fact[];
  #end: (() => void) | null = null;
  /** The end that waits for steps in flight that can be undone. */
  #awaited: Exclude<End, { kind: "run.completed" }> | null = null;

  constructor(course: Course, calls: Calls, attempts: Attempts, leftovers: () => readonly Fact[]) {
    this.#course = course;
    this.#calls = calls;
    this.#attempts = attempts;
    this.#leftovers = leftovers;
  }

  /** The replay is over. If it came to the handler's end, only steps begin again that were in flight and can be undone. */
  replayed(): void {
    if (this.#end !== null && this.#course.state.ending === null)
      this.#freeze((pending) => this.#course.resumed && this.#attempts.suspects.mayHaveBegun(pending));
  }

  /** If the replay came to the handler's end, the run ends in its turn. */
  goLive(): void {
    if (this.#end !== null) this.#course.post(this.#end);
  }

  /** How the run ends was said: it does once the replay is over, or in its turn. */
  get isDecided(): boolean {
    return this.#end !== null;
  }

  /** The run ends once steps in flight that can be undone have ended. */
  get isAwaiting(): boolean {
    return this.#awaited !== null;
  }

  /** Ends the run from outside, whatever the handler makes of it. */
  endFromOutside(end: End): void {
    if (this.#course.live) this.#course.post(() => this.conclude(end));
    else this.#end ??= () => this.conclude(end);
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
    this.#silence();
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
    this.#silence();
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

  /** The handler has reacted to the last event. */
  drained(): void {
    if (this.#awaited !== null && this.#attempts.running === 0) this.#course.post(() => this.#endAtRest());
  }

  /** What the handler does from here on does not count. */
  #silence(): void {
    this.concluded = true;
    this.#calls.frozen = true;
  }

  #finish(end: () => void): void {
    this.#silence();
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
   * @param mayBegin also keeps those of such steps that are yet to begin again after a death
   */
  #freeze(mayBegin: (pending: Pending) => boolean = () => !this.#course.live): void {
    this.#calls.freeze((pending) => {
      const { key, begun } = pending;
      if (!canBeUndone(pending)) return false;
      return mayBegin(pending) || (begun && !this.#isToBeRetried(key)) || this.#attempts.isCutOff(pending);
    });
  }

  /** Its attempt failed, and the next has not begun, which a person may have to ask for. */
  #isToBeRetried(key: string): boolean {
    const call = this.#course.state.calls.get(key);
    if (call === undefined || call.done || this.#attempts.isRunning(key)) return false;
    return call.retryAt !== null || call.exhausted;
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
}
