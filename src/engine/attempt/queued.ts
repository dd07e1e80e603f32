/**
 * Owns: steps whose next attempt waits for slots of lanes.
 * Does not own: which slots they have (limiter), attempts.
 */
import { emptyMap, put } from "../../core/empty.ts";
import { callKey } from "../../core/state/state.ts";
import type { Pending, RunPlan } from "../call/call.ts";
import type { Course } from "../turn/course.ts";

export class Queued {
  readonly #course: Course;
  readonly #begin: (pending: Pending<RunPlan>) => void;
  #waiting: Map<string, Pending<RunPlan>> = emptyMap;

  constructor(course: Course, begin: (pending: Pending<RunPlan>) => void) {
    this.#course = course;
    this.#begin = begin;
  }

  has(key: string): boolean {
    return this.#waiting.has(key);
  }

  /** One has its slot by now. */
  get isReady(): boolean {
    for (const { id } of this.#waiting.values()) if (this.#course.limiter.admit(id)) return true;
    return false;
  }

  /** Whether its next attempt may begin now. If not, it waits here. */
  admit(pending: Pending<RunPlan>): boolean {
    if (this.#course.limiter.admit(pending.id)) {
      this.#waiting.delete(pending.key);
      return true;
    }
    this.#waiting = put(this.#waiting, pending.key, pending);
    this.#course.wakeBy(-Infinity);
    return false;
  }

  /** The step may have its slot now. */
  admitted(step: string): void {
    const pending = this.#waiting.get(callKey("run", step));
    if (pending !== undefined && !this.#course.held) this.#begin(pending);
  }

  /** A pause, or a lane, holds the run back no longer. */
  resume(): void {
    for (const { id } of [...this.#waiting.values()]) this.admitted(id);
  }

  /** The attempt has ended, or will not be made. */
  leave({ key, id }: Pending): void {
    this.#waiting.delete(key);
    this.#course.limiter.leave(id);
  }

  /** It begins whether it has its slots or not: as it ends it gives back also those that an earlier life left it. */
  pass(pending: Pending): void {
    pending.begun = true;
    this.#course.limiter.admit(pending.id);
    this.#waiting.delete(pending.key);
  }

  clear(): void {
    this.#waiting.clear();
    this.#course.limiter.leaveAll();
  }
}
