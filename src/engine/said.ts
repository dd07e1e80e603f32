/**
 * Owns: telling what a handler says anew (log lines, progress) from what it said in an earlier life.
 * Does not own: writing it down (step).
 * Invariant 1: what was said before the last outcome on record is never repeated; what was said after
 * it is on record or is news. Steps may speak too, and do not speak again in replay, so lines are
 * compared and not counted.
 */
import type { RunState } from "../core/state.ts";

export class Said {
  /** How many outcomes on record the handler has still to be given; 0 at the end of the replay. */
  left = 0;
  /** Nothing is ever news: what is said is not to be put on record. */
  muted = false;
  #known: string[] = [];

  /** The replay of this many outcomes begins. */
  begin(outcomes: number, state: RunState): void {
    this.left = outcomes;
    this.#known = [...state.said];
  }

  /** The replay is over: whatever is said from now on is news. */
  end(): void {
    this.left = 0;
    this.#known = [];
  }

  isNews(line: string): boolean {
    if (this.left > 0 || this.muted) return false;
    const index = this.#known.indexOf(line);
    if (index >= 0) this.#known.splice(index, 1);
    return index < 0;
  }
}
