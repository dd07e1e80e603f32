/**
 * Owns: `step.patched`: which side of a change of the code a run takes.
 * Does not own: adopting steps that come and go without it (adoption).
 * Invariant 1: a run that passed the call once takes the same side for ever: the new one if that is on record, else the old
 * one (guarantee 7).
 */
import { added, emptySet } from "../../core/empty.ts";
import { checkName } from "../../core/name.ts";
import type { Calls } from "./calls.ts";
import type { Course } from "../turn/course.ts";
import type { Publisher } from "./publisher.ts";
import { onlyDeployment } from "../world.ts";

export class Patches {
  readonly #course: Course;
  readonly #calls: Calls;
  readonly #publisher: Publisher;
  /** Changes whose place an earlier life, with older code, passed. */
  #passed: Set<string> = emptySet;

  constructor(course: Course, calls: Calls, publisher: Publisher) {
    this.#course = course;
    this.#calls = calls;
    this.#publisher = publisher;
  }

  /** @throws HoldfastError name_invalid */
  has(id: unknown): boolean {
    const patch = checkName(id, "patch");
    const { state, over } = this.#course;
    if (state.patches.has(patch)) return true;
    if (over || this.#passed.has(patch)) return false;
    const ahead = this.#isAhead;
    if (ahead) this.#course.record({ kind: "patch.adopted", patch });
    else this.#passed = added(this.#passed, patch);
    return ahead;
  }

  /** No earlier life came as far as the handler is now, or only with this very code, whose mark was lost in a death. */
  get #isAhead(): boolean {
    const { live, noneCameFurther, world } = this.#course;
    const isFirst = noneCameFurther && !this.#publisher.isPast;
    const isNew = (live && !this.#cameFurther) || isFirst || world.deployment === onlyDeployment;
    return isNew && !this.#calls.frozen;
  }

  /** It does again what a retry cleared, and has on record, from before and by code that may be older, what comes behind. */
  get #cameFurther(): boolean {
    const { replay, state, world } = this.#course;
    if (state.retriedSeq === 0 || state.startedUnder === world.deployment) return false;
    return [...replay.unclaimed.values()].some(({ seq }) => seq < state.retriedSeq);
  }
}
