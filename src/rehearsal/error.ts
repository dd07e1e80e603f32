/**
 * Owns: the error of the testing kit, and refusing unknown options.
 * Does not own: errors of runs.
 */

/** A mistake in the rehearsal itself, or a difference that a death made; never an error of the run. */
export class RehearsalError extends Error {
  override readonly name = "RehearsalError";
}

/** @throws RehearsalError for an unknown option, which would have no effect */
export function checkKnown(options: object, known: readonly string[], where = ""): void {
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    throw new RehearsalError(`${where}"${option}" is no option; there are ${known.join(", ")}`);
  }
}
