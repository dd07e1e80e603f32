/**
 * Owns: carrying out a handler's open calls: which part does it, when it begins, and when something is due for it.
 * Does not own: the calls and their outcomes (calls, course); carrying out steps (attempts), sleeps, waits for signals and
 * webhooks (waits), and child runs (children).
 * Invariant 1: nothing begins before the replay is over, nor while the run is paused or held by its lanes.
 */
import type { Adoption } from "../adoption.ts";
import type { MessageHandlers } from "../ask/handlers.ts";
import { Attempts } from "../attempt/attempts.ts";
import { isAttempted, isChild } from "./call.ts";
import type { Pending } from "./call.ts";
import type { Calls } from "./calls.ts";
import { Children } from "../child/children.ts";
import type { Course } from "../turn/course.ts";
import { Deadlines } from "./deadlines.ts";
import type { MissedEvent } from "../turn/missed.ts";
import { isDispatched } from "../../core/state/dispatched.ts";
import { captureAsyncContext } from "./scope.ts";
import { Waits } from "../wait/waits.ts";
import { Withdrawals } from "../wait/withdrawal.ts";

export class Work {
  readonly attempts: Attempts;
  readonly children: Children;
  readonly waits: Waits;
  readonly withdrawals: Withdrawals;
  readonly #course: Course;
  readonly #pending: ReadonlyMap<string, Pending>;
  readonly #messageHandlers: MessageHandlers;
  readonly #adoption: Adoption;
  readonly #deadlines: Deadlines;
  /** The missed events that the run is catching up with; deadlines wait until that is done. */
  #missed: readonly MissedEvent[] | null = null;

  constructor(course: Course, calls: Calls, messageHandlers: MessageHandlers, adoption: Adoption) {
    this.#course = course;
    this.#pending = calls.pending;
    this.#messageHandlers = messageHandlers;
    this.#adoption = adoption;
    this.withdrawals = new Withdrawals(course);
    this.waits = new Waits(course, calls, messageHandlers, this.withdrawals);
    this.children = new Children(course, calls.pending);
    this.attempts = new Attempts(course, calls.pending);
    course.ledger.beforeStop = (stopping) => [
      ...this.children.underWay(),
      ...this.attempts.abandonments.take(stopping, this.attempts.inFlight, course.state),
    ];
    this.#deadlines = new Deadlines(course, calls.pending, this);
  }

  /** Something is at work that will post another event. */
  get goesOn(): boolean {
    return (
      this.attempts.running > 0 ||
      this.#course.validations.count > 0 ||
      this.waits.running > 0 ||
      this.children.starting > 0
    );
  }

  /**
   * Begins the call, unless the run is held. A request that a courier has is under way all the same: its answer is taken.
   * @param held it was, until now
   */
  begin(pending: Pending, held = false): void {
    if (this.#course.over || (this.#course.held && !this.#isDispatched(pending))) return;
    const changed = this.#adoption.changedKind(pending);
    if (changed !== null) return this.#course.halt(changed);
    pending.begun = true;
    this.#adoption.noteAddition(pending);
    if (isChild(pending)) return this.children.begin(pending);
    if (!isAttempted(pending)) return this.waits.begin(pending, held);
    const call = this.#course.state.calls.get(pending.key);
    if (call !== undefined && call.retryAt !== null) return this.#course.wakeBy(call.retryAt);
    if (call?.exhausted !== true) this.attempts.begin(pending);
  }

  /** A call was made: begins it if it may begin. A step that begins or is undone later keeps the async context of its call. */
  opened(pending: Pending, fresh: boolean): void {
    if (fresh && this.#course.live) this.#course.guard(() => this.begin(pending));
    const { key, plan } = pending;
    if (plan.kind !== "run" || plan.request !== undefined) return;
    // One in flight has just begun, in that very context; one that is done on record does not begin.
    const beginsLater = !this.attempts.inFlight.has(key) && this.#course.state.calls.get(key)?.done !== true;
    if (plan.undo !== null || beginsLater) pending.asyncContext = captureAsyncContext();
  }

  /** Begins what a replay or a pause held back. */
  beginHeld(): void {
    for (const pending of [...this.#pending.values()]) if (!pending.begun) this.begin(pending, true);
    if (this.#course.held) return;
    this.children.resume();
    this.#catchUp();
    this.attempts.resume();
  }

  /** Handles the signals and deadlines that came while the run was held, in their order. */
  #catchUp(): void {
    const due = this.#deadlines.due(this.#course.world.clock.now()).map((pending): MissedEvent => {
      const handle = (): void => this.#fire(pending);
      return { at: this.#deadlines.of(pending), seq: Infinity, handle };
    });
    const missed = [...this.waits.missed(), ...this.#messageHandlers.missed(), ...due];
    // A signal that came at the very instant of a deadline came in time.
    missed.sort((one, other) => one.at - other.at || one.seq - other.seq);
    if (missed.length === 0) return;
    this.#missed = missed;
    this.#catchUpFrom(missed, 0, -1);
  }

  /**
   * One after the other: once it has one signal, the handler may wait for the next, which came in time as well.
   * @param seen the newest entry when a deadline was last put behind signals that came before it; -1 if none was
   */
  #catchUpFrom(missed: readonly MissedEvent[], index: number, seen: number): void {
    this.#course.post(() => {
      if (this.#missed !== missed) return;
      const next = missed[index];
      const { seq } = this.#course.state;
      if (next === undefined || this.#course.held) {
        this.#missed = null;
        this.#course.wakeBy(-Infinity);
        return this.tick(this.#course.world.clock.now());
      }
      // A signal that came before it is still being validated.
      const validated = next.at === Infinity ? null : this.waits.validationBy(next.at);
      if (validated !== null) return void validated.then(() => this.#catchUpFrom(missed, index, -1));
      if (next.seq === Infinity && seq !== seen && this.waits.isDue(next.at)) {
        return this.#catchUpFrom(missed, index, seq);
      }
      next.handle();
      this.#catchUpFrom(missed, index + 1, -1);
    });
  }

  /** Nobody waits for the call any more. */
  closed(pending: Pending): void {
    this.waits.closed(pending);
    if (pending.plan.kind === "run") this.attempts.queued.leave(pending);
    if (!this.#course.live) this.children.closed(pending);
  }

  /** The step has the slot that it waited for. */
  admitted(step: string): void {
    this.#course.post(() => this.attempts.queued.admitted(step));
  }

  /** A signal of this name is on record. */
  signalled(name: string): void {
    if (!this.#course.live || this.#course.held) return;
    if (this.#messageHandlers.listensTo(name)) this.#messageHandlers.match(name);
    else this.waits.match(name);
  }

  /** No deadline may fire now. */
  get #deadlinesWait(): boolean {
    return this.#missed !== null || this.#course.awaitsSchema;
  }

  /** Whether something could begin or fire if the run were not held. */
  isDue(now: number): boolean {
    for (const pending of this.#pending.values()) {
      if (pending.begun) continue;
      if (this.#deadlines.restingCall(pending) === undefined || this.waits.hasSignal(pending)) return true;
    }
    if (this.attempts.isReady || this.#deadlines.due(now).length > 0) return true;
    return this.waits.isDue(now) || this.#messageHandlers.missed().length > 0;
  }

  /** When the next deadline is; Infinity when nothing but the world can move the run. @param all as for `Execution.soonest` */
  soonest(all: boolean): number {
    return this.#deadlines.soonest(all && !this.#deadlinesWait);
  }

  /** Ends attempts and validations whose time is up, also while the run is held. */
  expire(now: number): void {
    this.attempts.expire(now);
    this.#course.validations.expire(now);
  }

  /** Fires the deadlines that have come. */
  tick(now: number): void {
    if (!this.#course.live || this.#course.held || this.#deadlinesWait) return;
    for (const pending of this.#deadlines.due(now)) this.#course.post(() => this.#fire(pending));
  }

  /** A courier has its request. Code that makes it a step of its own would begin that. */
  #isDispatched(pending: Pending): boolean {
    return isAttempted(pending) && pending.plan.request !== undefined && isDispatched(this.#course.state, pending.key);
  }

  #fire(pending: Pending): void {
    // A pause may have come before this turn: the deadline fires once that is over.
    if (this.#course.held) return;
    if (this.#pending.get(pending.key) !== pending || this.#deadlines.of(pending) > this.#course.world.clock.now())
      return;
    if (isAttempted(pending)) this.attempts.begin(pending);
    else if (isChild(pending)) this.children.fire(pending);
    else this.waits.fire(pending);
  }
}
