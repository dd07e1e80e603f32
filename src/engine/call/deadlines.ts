/**
 * Owns: when something is due for a handler's open calls.
 * Does not own: waiting for it; whoever drives the run does.
 */
import { dueAt } from "../../core/lifecycle/due.ts";
import { wasRemoved } from "../../core/state/state.ts";
import type { Call } from "../../core/state/state.ts";
import type { Attempts } from "../attempt/attempts.ts";
import { isAttempted, recordedCall } from "./call.ts";
import type { Pending } from "./call.ts";
import type { Children } from "../child/children.ts";
import type { Course } from "../turn/course.ts";
import type { Waits } from "../wait/waits.ts";

/** Who carries the calls out. */
export interface Workers {
  readonly attempts: Attempts;
  readonly children: Children;
  readonly waits: Waits;
}

export class Deadlines {
  readonly #course: Course;
  readonly #pending: ReadonlyMap<string, Pending>;
  readonly #work: Workers;

  constructor(course: Course, pending: ReadonlyMap<string, Pending>, work: Workers) {
    this.#course = course;
    this.#pending = pending;
    this.#work = work;
  }

  /** The next one; Infinity when nothing but the world can move the run. @param all also those of calls, which may be held */
  soonest(all: boolean): number {
    let soonest = Math.min(this.#work.attempts.timeoutAt, this.#course.validations.timeoutAt);
    if (all && this.#course.state.paused === null) {
      for (const pending of this.#pending.values()) soonest = Math.min(soonest, this.of(pending));
    }
    this.#course.announcedDueAt = soonest;
    return soonest;
  }

  /** The calls whose time has come, the earliest first. */
  due(now: number): Pending[] {
    const due = [...this.#pending.values()].filter((pending) => this.of(pending) <= now);
    return due.sort((one, other) => this.of(one) - this.of(other));
  }

  of(pending: Pending): number {
    if (!pending.begun) return this.#ofHeld(pending);
    if (pending.plan.kind === "webhook") return Infinity;
    if (this.#work.attempts.isRunning(pending.key)) return this.#work.attempts.orders.dueAt(pending.key);
    if (pending.plan.kind === "child") return this.#work.children.dueAt(pending);
    // A signal that came in time is being validated for it.
    if (this.#work.waits.isValidating(pending)) return Infinity;
    const call = recordedCall(this.#course.state, pending);
    // One that is over is about to be settled.
    if (call === undefined || call.done) return Infinity;
    return (isAttempted(pending) ? call.retryAt : call.until) ?? Infinity;
  }

  /** A call that was parked in an earlier life goes on waiting while a lane holds the run. */
  #ofHeld(pending: Pending): number {
    const { live, limiter, state, ledger } = this.#course;
    const call = live && !limiter.isOpen ? this.restingCall(pending) : undefined;
    return call === undefined ? Infinity : dueAt(state, call, ledger.openedAt);
  }

  /** The record of a call that has not begun in this life, and has nothing to do but wait. */
  restingCall(pending: Pending): Call | undefined {
    const call = recordedCall(this.#course.state, pending);
    const { plan } = pending;
    if (call === undefined || call.done || wasRemoved(this.#course.state, call.key)) return undefined;
    if (plan.kind === "webhook" || (isAttempted(pending) && call.retryAt === null)) return undefined;
    return plan.kind === "child" && (call.child === null || plan.detached) ? undefined : call;
  }
}
