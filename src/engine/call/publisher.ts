/**
 * Owns: putting on record what a handler publishes (log lines, progress), each once: distinguishing what is new from what
 * an earlier life published.
 * Does not own: what it publishes (step).
 * Invariant 1: what a replay publishes before the outcomes of the last commit is never put on record again. What it
 * publishes after the first of them is on record, or is new: that is found by comparing the lines. They cannot be counted,
 * because steps publish too, and do not run again in replay.
 */
import type { Publication } from "../../core/state/state.ts";
import { isAlike, undefinedValue } from "../../core/value/value.ts";
import type { Calls } from "./calls.ts";
import type { Course } from "../turn/course.ts";

export class Publisher {
  /** Outcomes of a later commit are yet to be delivered: whatever is published now was published before. */
  isPast = false;
  readonly #course: Course;
  readonly #calls: Calls;
  #known: Publication[] = [];

  constructor(course: Course, calls: Calls) {
    this.#course = course;
    this.#calls = calls;
  }

  /** A replay begins. @param isPast there are outcomes to be delivered */
  begin(isPast: boolean): void {
    this.isPast = isPast;
    this.#known = [...this.#course.state.published];
  }

  /** The replay is over: whatever is published from now on is new. */
  end(): void {
    this.isPast = false;
    this.#known = [];
  }

  /** Puts it on record unless an earlier life did. A handler that has ended publishes nothing; the undoing of its steps may. */
  publish(fact: Publication): void {
    if (this.#course.over || (this.#calls.frozen && this.#calls.inside === null)) return;
    if (this.#isNew(fact)) this.#course.record(fact);
  }

  #isNew(fact: Publication): boolean {
    // Nothing goes on a sealed record: this handler is only asked a query.
    if (this.isPast || this.#course.ledger.sealed || this.#calls.repeating) return false;
    const index = this.#known.findIndex((known) => isSame(known, fact));
    if (index >= 0) this.#known.splice(index, 1);
    return index < 0;
  }
}

/** But for the stacks of errors: they tell where the code stood, which each life and each deployment may change. */
function isSame(known: Publication, fact: Publication): boolean {
  if (known.kind === "progress.published") return known.kind === fact.kind && isAlike(known.value, fact.value);
  if (known.kind !== fact.kind || known.level !== fact.level || known.message !== fact.message) return false;
  return isAlike(known.data ?? undefinedValue, fact.data ?? undefinedValue);
}
