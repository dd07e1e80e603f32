/**
 * Owns: which branch of which race a call belongs to.
 * Does not own: settling the race (race).
 *
 * What a handler does between two outcomes, it does because of the first of them: a call made there
 * belongs to the branch whose call that outcome settled.
 */
export type Scope = {
  readonly parent: Scope | null;
  /** The race was settled by another branch: what is called in here waits for nothing. */
  withdrawn: boolean;
};

export function openScope(parent: Scope | null): Scope {
  return { parent, withdrawn: false };
}

/** It, or one it is in, was withdrawn. */
export function isWithdrawn(scope: Scope): boolean {
  for (let each: Scope | null = scope; each !== null; each = each.parent) if (each.withdrawn) return true;
  return false;
}
