/**
 * Owns: what never ends.
 * Does not own: what comes of it.
 */

/** A step that never ends: it comes to its timeout, or is told to stop. To be given in the place of a step or a child. */
export function hang(): Promise<never> {
  return new Promise(() => {});
}
