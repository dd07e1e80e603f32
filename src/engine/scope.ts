/**
 * Owns: which branch of which race a call belongs to.
 * Does not own: settling the race (race).
 *
 * What a branch calls belongs to it, also after it has awaited something, of ours or not: the runtime carries
 * the scope along with the code, as the proposal AsyncContext of TC39 describes it.
 */
import { Carrier } from "./carrier.js";

export type Scope = {
  readonly parent: Scope | null;
  /** The race was settled by another branch: what is called in here waits for nothing. */
  withdrawn: boolean;
};

const carried = new Carrier<Scope>();
/** Nowhere here has anything raced: looking it up would be in vain, and takes longer than all else about a call. */
let raced = false;

export function openScope(parent: Scope | null): Scope {
  raced ||= parent !== null;
  return { parent, withdrawn: false };
}

/** Calls the function, and whatever it leads to, in this scope. */
export function within<Result>(scope: Scope, act: () => Result): Result {
  return carried.run(scope, act);
}

/** The scope of the code that asks; undefined outside of every handler. */
export function currentScope(): Scope | undefined {
  return raced ? carried.getStore() : undefined;
}

/** It, or one it is in, was withdrawn. */
export function isWithdrawn(scope: Scope): boolean {
  for (let each: Scope | null = scope; each !== null; each = each.parent) if (each.withdrawn) return true;
  return false;
}
