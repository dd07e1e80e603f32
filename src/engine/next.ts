/**
 * Owns: the shape of what must happen next with a run.
 * Does not own: deciding it (drive, lanes), doing it (whoever hosts the run).
 */

/** What is to happen next: `wakeAt` is an instant, or null when only the world can move the run. */
export type Next = {
  /** Something is under way: keep this memory, and call `advance` again once the run `rested`, or at `wakeAt`. */
  readonly busy: boolean;
  readonly wakeAt: number | null;
  /** The run has ended and its retention is over: remove it. */
  readonly expired: boolean;
};
