/**
 * Owns: the error of the testing kit, and refusing unknown options.
 * Does not own: errors of runs.
 */

import { messageOf } from "../core/error.ts";
import { checkOptions } from "../core/option.ts";

/** A mistake in the rehearsal itself, or a difference that a death made; never an error of the run. */
export class RehearsalError extends Error {
  override readonly name = "RehearsalError";
}

/** As `checkOptions` of core, for what is an option of a rehearsal. @throws RehearsalError */
export function checkKnown(options: unknown, known: readonly string[], what: string): void {
  try {
    checkOptions(options, known, what);
  } catch (error) {
    throw new RehearsalError(messageOf(error));
  }
}
