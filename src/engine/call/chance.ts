/**
 * Owns: from which sequence `step.random` and `step.uuid` draw.
 * Does not own: the sequences (core/random), where code runs (scope).
 * Invariant 1: what the handler draws is the same in every replay, whatever is drawn elsewhere.
 */
import { createRandom } from "../../core/random.ts";
import type { Random } from "../../core/random.ts";
import { insideOf } from "./scope.ts";
import type { Scope } from "./scope.ts";

/**
 * The sequence of whoever draws in a scope. A step's function, which a replay does not call, has one of its own, the same in
 * each attempt; so has a schema.
 */
export function createChance(seed: string): (scope: Scope) => Random {
  const handler = createRandom(seed);
  let others: WeakMap<Scope, Random> | null = null;
  return (scope) => {
    const inside = insideOf(scope);
    if (inside === null) return handler;
    others ??= new WeakMap();
    const random = others.get(scope) ?? createRandom(`${seed} ${inside}`);
    others.set(scope, random);
    return random;
  };
}
