/**
 * Owns: the error of the testing kit.
 * Does not own: errors of runs.
 */

/** Says what is wrong with a rehearsal, or what a death made of it; never with the run itself. */
export class RehearsalError extends Error {
  override readonly name = "RehearsalError";
}
