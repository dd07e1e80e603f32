/**
 * Owns: putting on record what a handler says (log lines, progress), each once: telling what is news from what it said
 * in an earlier life.
 * Does not own: what it says (step).
 * Invariant 1: what was said before the last outcomes on record is never repeated; what is said after the first of
 * them, which may have gone on record together, is on record or is news. Steps may speak too, and do not speak again
 * in replay, so lines are compared and not counted.
 */
import { spoken } from "../core/state.ts";
import type { Calls } from "./calls.ts";
import type { Course } from "./course.ts";

export class Said {
  /** Outcomes of a later commit are still to be given: whatever is said was said before. */
  isPast = false;
  /** Nothing is ever news: what is said is not to be put on record. */
  muted = false;
  readonly #course: Course;
  readonly #calls: Calls;
  #known: string[] = [];

  constructor(course: Course, calls: Calls) {
    this.#course = course;
    this.#calls = calls;
  }

  /** A replay begins. @param isPast there are outcomes to be given */
  begin(isPast: boolean): void {
    this.isPast = isPast;
    this.#known = [...this.#course.state.said];
  }

  /** The replay is over: whatever is said from now on is news. */
  end(): void {
    this.isPast = false;
    this.#known = [];
  }

  /** Unless an earlier life said it. A handler that has no more say is silent; the undoing of its steps is not. */
  say(fact: Parameters<typeof spoken>[0]): void {
    if (this.#course.over || (this.#calls.frozen && this.#calls.inside === null)) return;
    if (this.#isNews(spoken(fact))) this.#course.record(fact);
  }

  #isNews(line: string): boolean {
    if (this.isPast || this.muted) return false;
    const index = this.#known.indexOf(line);
    if (index >= 0) this.#known.splice(index, 1);
    return index < 0;
  }
}
