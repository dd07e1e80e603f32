/**
 * Owns: the shape of what came, or fell due, while the run was held: a signal, or a deadline.
 * Does not own: finding it (waits, asks, deadlines), its order (work).
 */

/** `at` is when it came or fell due, epoch ms; `seq` tells two of one instant apart, Infinity for a deadline. */
export type Happening = { readonly at: number; readonly seq: number; readonly happen: () => void };
