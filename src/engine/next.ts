/**
 * Owns: the shape of what must happen next with a run, and for how long a parked run stays in memory.
 * Does not own: deciding it (drive, lanes), doing it (whoever hosts the run).
 */

/** A parked run stays in memory for at least this long: then it may be evicted. */
export const stayMs = 10_000;

/**
 * The longest pause before something of which nothing is on record is tried again. Had the run been evicted in the pause,
 * nothing would explain its alarm to the next life, which would take that for a death.
 */
export const longestUnrecordedPauseMs = 8_000;

/** What is to happen next: `wakeAt` is an instant, or null when only the world can move the run. */
export type Next = {
  /** Something is under way: keep this memory, and call `advance` again once the run `rested`, or at `wakeAt`. */
  readonly busy: boolean;
  readonly wakeAt: number | null;
  /** The run has ended and its retention is over: remove it. */
  readonly expired: boolean;
};
