/**
 * Owns: when something is due for a handler's open calls.
 * Does not own: waiting for it; whoever drives the run does.
 */
import { callKey } from "../../core/state/state.ts";
import type { Attempts } from "../attempt/attempts.ts";
import { isAttempted, recordKind } from "./call.ts";
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
    if (!pending.begun || pending.plan.kind === "webhook") return Infinity;
    if (this.#work.attempts.isRunning(pending.key)) return this.#work.attempts.dueAt(pending.key);
    if (pending.plan.kind === "child") return this.#work.children.dueAt(pending);
    // A signal that came in time is being validated for it.
    if (this.#work.waits.isValidating(pending)) return Infinity;
    const call = this.#course.state.calls.get(callKey(recordKind(pending.plan), pending.id));
    // One that is over is about to be settled.
    if (call === undefined || call.done) return Infinity;
    return (isAttempted(pending.plan) ? call.retryAt : call.until) ?? Infinity;
  }
}
