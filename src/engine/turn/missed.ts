/**
 * Owns: the shape of an event that the run missed while it was held: a signal came, or a deadline.
 * Does not own: finding such events (waits, handlers, deadlines), catching up with them in their order (work).
 */

/** `at` is when it came or fell due, epoch ms; `seq` is the signal's, Infinity for a deadline. */
export type MissedEvent = { readonly at: number; readonly seq: number; readonly handle: () => void };
