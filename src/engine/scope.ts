/**
 * Owns: where the code is that calls: in which branch of which race, or inside of which step.
 * Does not own: settling the race (race), refusing what is called inside of a step (calls).
 *
 * What a branch calls belongs to it, also after it has awaited something, of ours or not: the runtime carries
 * the scope along with the code, as the proposal AsyncContext of TC39 describes it.
 */
import { AsyncVariable } from "./variable.js";

export type Scope = {
  readonly parent: Scope | null;
  /** The step whose function this is, which makes no calls of its own. */
  readonly step: string | null;
  /** The race was settled by another branch: what is called in here waits for nothing. */
  withdrawn: boolean;
};

const carried = new AsyncVariable<Scope>();
/** Nowhere here was a scope opened in another: looking it up would be in vain, and takes longer than all else about a call. */
let nested = false;

/** @param step where this is its function */
export function openScope(parent: Scope | null, step: string | null = null): Scope {
  nested ||= parent !== null;
  return { parent, step, withdrawn: false };
}

/** Calls the function, and whatever it leads to, in this scope. */
export function within<Result>(scope: Scope, act: () => Result): Result {
  return carried.run(scope, act);
}

/** The scope of the code that asks; undefined outside of every handler. */
export function currentScope(): Scope | undefined {
  return nested ? carried.getStore() : undefined;
}

/** The step inside of whose function this is; null outside of all. */
export function stepAround(scope: Scope): string | null {
  for (let each: Scope | null = scope; each !== null; each = each.parent) if (each.step !== null) return each.step;
  return null;
}

/** The handler that it is in, by its outermost scope. */
export function rootOf(scope: Scope): Scope {
  let root = scope;
  while (root.parent !== null) root = root.parent;
  return root;
}

/** It, or one it is in, was withdrawn. */
export function isWithdrawn(scope: Scope): boolean {
  for (let each: Scope | null = scope; each !== null; each = each.parent) if (each.withdrawn) return true;
  return false;
}
