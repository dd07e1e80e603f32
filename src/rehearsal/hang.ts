/**
 * Owns: `hang`, a stand-in that never ends.
 * Does not own: its timeout (engine).
 */

/** A stand-in for a step or a child that never ends by itself: it times out, or is cancelled. */
export function hang(): Promise<never> {
  return new Promise(() => {});
}
