/**
 * Owns: the error of the testing kit, and options that there are not.
 * Does not own: errors of runs.
 */

/** Says what is wrong with a rehearsal, or what a death made of it; never with the run itself. */
export class RehearsalError extends Error {
  override readonly name = "RehearsalError";
}

/** @throws RehearsalError for an option that there is not: it is mistyped, and would do nothing */
export function checkKnown(options: object, known: readonly string[], where = ""): void {
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    throw new RehearsalError(`${where}"${option}" is no option; there are ${known.join(", ")}`);
  }
}
