/**
 * Owns: telling errors of ours from the handler's own, when one of them ends the run.
 * Does not own: their stored form (core/error).
 */
import { HoldfastError, isA, storeError } from "../core/error.ts";
import type { StoredError } from "../core/error.ts";

/** What bail and fail throw to leave the handler; by then the run's end is on record. */
export const handlerLeft = new Error("the run has ended");

export class Errors {
  /** Those the handler was given: when it lets one through, its code stays. */
  readonly #given = new WeakSet<object>();

  give<Thrown>(error: Thrown): Thrown {
    if (typeof error === "object" && error !== null) this.#given.add(error);
    return error;
  }

  /** The run's error as it is stored: errors of ours keep their code, others are the handler's own. */
  toRunError(thrown: unknown): StoredError {
    const given = typeof thrown === "object" && thrown !== null && this.#given.has(thrown);
    const error = storeError(thrown);
    return (given || isA(thrown, HoldfastError)) && error.code !== undefined
      ? error
      : { ...error, code: "handler_failed" };
  }
}
