/**
 * Owns: the error under which the failure of a step goes on record, and its code.
 * Does not own: whether another attempt is made (attempts).
 */
import { HoldfastError, isA, isNonRetryable, storeError } from "../../core/error.ts";
import type { StoredError } from "../../core/error.ts";

/** The codes that our own errors bring with them into a step's failure. */
const ownCodes: ReadonlySet<string> = new Set([
  "step_timeout",
  "value_uncloneable",
  "value_too_large",
  "duration_invalid",
  "undo_missing",
  "step_nested",
  // Refusals of a signal sent to another run.
  "run_not_found",
  "run_ended",
  "signal_invalid",
  "id_invalid",
]);

export function stepError(thrown: unknown, step: string, attempts: number): StoredError {
  const own = isA(thrown, HoldfastError) && ownCodes.has(thrown.code) ? thrown.code : null;
  const code = own ?? (isNonRetryable(thrown) ? "non_retryable" : "step_failed");
  return { ...storeError(thrown), code, step, attempts };
}

/** Whether another attempt may succeed. */
export function isTransient({ code }: StoredError): boolean {
  return code === "step_failed" || code === "step_timeout";
}

export function crashError(step: string, attempts: number): StoredError {
  const message = `step ${step} was at work in each of the last ${attempts} deaths of its process`;
  return { ...storeError(new HoldfastError("step_crashed", message)), step, attempts };
}

export function interruptionError(step: string, attempts: number): StoredError {
  const by = "the death of its process or the end of the run";
  const message = `step ${step}, which runs at most once, was cut off at work by ${by}; whether it took effect is not known`;
  return { ...storeError(new HoldfastError("step_interrupted", message)), step, attempts };
}
