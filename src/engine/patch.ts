/**
 * Owns: `step.patched`: which side of a change of the code a run takes.
 * Does not own: adopting steps that come and go without it (adoption).
 * Invariant 1: a run that came here once takes the same side for ever: the new one where that is on record,
 * else the old one (guarantee 7).
 */
import type { Fact } from "../core/entry.ts";
import { checkName } from "../core/name.ts";
import type { RunState } from "../core/state.ts";

/** What patches need of the execution they are part of. */
export interface Patched {
  readonly state: RunState;
  readonly over: boolean;
  /** No earlier life can have come to where the handler is. */
  readonly ahead: boolean;
  record(fact: Fact): void;
}

export class Patches {
  readonly #execution: Patched;
  /** Those that an earlier life passed without them. */
  readonly #passed = new Set<string>();

  constructor(execution: Patched) {
    this.#execution = execution;
  }

  /** @throws HoldfastError name_invalid */
  has(id: unknown): boolean {
    const patch = checkName(id, "patch");
    const { state, over, ahead } = this.#execution;
    if (state.patches.has(patch)) return true;
    if (over || this.#passed.has(patch)) return false;
    if (ahead) this.#execution.record({ kind: "patch.adopted", patch });
    else this.#passed.add(patch);
    return ahead;
  }
}
