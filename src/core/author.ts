/** The author of a request. If the caller gave the name `by` without proof, `role` is the role of the caller's token. */
export type Author = { readonly by: string; readonly role?: string };

/** What every request that changes something carries: its author, the given reason, and its `Idempotency-Key`. */
export type RequestMetadata = Author & { readonly reason: string | null; readonly key?: string };

export function authorOf({ by, role }: Author): Author {
  return role === undefined ? { by } : { by, role };
}
