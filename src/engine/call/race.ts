/**
 * Owns: `step.race`: calling the branches, each in a scope of its own, and settling as the first of them does.
 * Does not own: what becomes of the calls of those that lost (calls).
 * Invariant 1: the race settles in the very turn in which its winner does, so that replay settles it alike.
 */
import { HoldfastError } from "../../core/error.ts";
import { openScope, within } from "./scope.ts";
import type { Scope } from "./scope.ts";

/** What a race needs of the execution it is part of. */
export interface RaceOwner {
  readonly calls: {
    /** The branch that the handler is in. */
    readonly scope: Scope;
  };
  /** Scopes were withdrawn: lets go of what is still waited for in them. */
  withdraw(): void;
}

type Branch = readonly [key: string, act: () => unknown];

/** Resolves with `{ key, value }` of the first branch to settle, or rejects as it did. @throws HoldfastError options_invalid */
export function race(owner: RaceOwner, branches: unknown): Promise<unknown> {
  const called = checkBranches(branches);
  return new Promise((resolve, reject) => {
    const parent = owner.calls.scope;
    const scopes = called.map(() => openScope(parent));
    let settled = false;
    const settle = (winner: number, tell: () => void): void => {
      if (settled) return;
      settled = true;
      for (const [i, scope] of scopes.entries()) scope.withdrawn = i !== winner;
      owner.withdraw();
      tell();
    };
    for (const [i, [key, act]] of called.entries()) {
      within(scopes[i] ?? parent, () => begin(act)).then(
        (value) => settle(i, () => resolve({ key, value })),
        (error: unknown) => settle(i, () => reject(error)),
      );
    }
  });
}

/** @throws HoldfastError options_invalid */
function checkBranches(branches: unknown): Branch[] {
  const given = typeof branches === "object" && branches !== null ? Object.entries(branches) : [];
  if (given.length === 0) {
    throw new HoldfastError("options_invalid", "a race needs an object of one branch or more, each a function");
  }
  return given.map(([key, act]): Branch => {
    if (typeof act === "function") return [key, act as () => unknown];
    throw new HoldfastError("options_invalid", `branch "${key}" of a race must be a function, not ${describe(act)}`);
  });
}

function describe(branch: unknown): string {
  return branch instanceof Promise ? "a promise, which has begun already" : typeof branch;
}

/** A branch that throws has settled like one that rejects. */
function begin(act: () => unknown): Promise<unknown> {
  try {
    return Promise.resolve(act());
  } catch (error) {
    return Promise.reject(error);
  }
}
