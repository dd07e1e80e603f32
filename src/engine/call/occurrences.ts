/**
 * Owns: counting a handler's calls: which occurrence of its name one is, and whether it is too many.
 * Does not own: the limits (the definition's).
 */
import type { Definition } from "../../core/definition/definition.ts";
import { HoldfastError } from "../../core/error.ts";
import { toCallId } from "../../core/name.ts";

export class Occurrences {
  /** Calls made so far. */
  made = 0;
  readonly #limits: Definition["limits"];
  /** By kind, then by name. */
  readonly #counts = new Map<string, Map<string, number>>();

  constructor(limits: Definition["limits"]) {
    this.#limits = limits;
  }

  /** Counts one more call. @throws HoldfastError limit_exceeded */
  count(kind: string, name: string): number {
    const counts = this.#counts.get(kind) ?? new Map<string, number>();
    this.#counts.set(kind, counts);
    const occurrence = (counts.get(name) ?? 0) + 1;
    counts.set(name, occurrence);
    this.made++;
    const { steps, perStep } = this.#limits;
    const allowed = Object.hasOwn(perStep, name) ? (perStep[name] ?? Infinity) : Infinity;
    if (this.made <= steps && occurrence <= allowed) return occurrence;
    const limit = this.made > steps ? `${steps} calls of step` : `${allowed} calls of ${name}`;
    const error = new HoldfastError("limit_exceeded", `the run has made more than its limit of ${limit}`);
    throw Object.assign(error, { step: toCallId(name, occurrence), attempts: 0 });
  }
}
