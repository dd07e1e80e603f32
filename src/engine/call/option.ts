/**
 * Owns: refusing options of `step` that are not there, or are not what they should be.
 * Does not own: what the options mean (step, invocation, map).
 */
import { HoldfastError } from "../../core/error.ts";

/** Refuses what would otherwise be passed over in silence. @throws HoldfastError options_invalid */
export function checkOptions(options: object, known: readonly string[], what: string): void {
  if (typeof options !== "object" || options === null) {
    throw new HoldfastError("options_invalid", `the options of ${what} must be an object`);
  }
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    throw new HoldfastError("options_invalid", `${what} has no option "${option}"; it takes ${known.join(", ")}`);
  }
}

/** The refusal of one option, to be thrown. */
export function refused(what: string, option: string, why: string): HoldfastError {
  return new HoldfastError("options_invalid", `${what}: ${option} ${why}`);
}
