/**
 * Owns: telling what a handler says anew (log lines, progress) from what it said in an earlier life.
 * Does not own: writing it down (step).
 * Invariant 1: what was said before the last outcomes on record is never repeated; what is said after the first of
 * them, which may have gone on record together, is on record or is news. Steps may speak too, and do not speak again
 * in replay, so lines are compared and not counted.
 */
import type { RunState } from "../core/state.ts";

export class Said {
  /** Outcomes of a later commit are still to be given: whatever is said was said before. */
  isPast = false;
  /** Nothing is ever news: what is said is not to be put on record. */
  muted = false;
  #known: string[] = [];

  /** A replay begins. @param isPast there are outcomes to be given */
  begin(isPast: boolean, state: RunState): void {
    this.isPast = isPast;
    this.#known = [...state.said];
  }

  /** The replay is over: whatever is said from now on is news. */
  end(): void {
    this.isPast = false;
    this.#known = [];
  }

  isNews(line: string): boolean {
    if (this.isPast || this.muted) return false;
    const index = this.#known.indexOf(line);
    if (index >= 0) this.#known.splice(index, 1);
    return index < 0;
  }
}
