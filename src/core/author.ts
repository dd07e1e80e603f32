/**
 * Who asked for something. `by` names them. `role` is there only where that name was given by the caller and not proved:
 * it is the role of the token that the request came with.
 */
export type Author = { readonly by: string; readonly role?: string };

/** Who asks and why; `key` is the request's `Idempotency-Key`. */
export type Asked = Author & { readonly reason: string | null; readonly key?: string };

export function authorOf({ by, role }: Author): Author {
  return role === undefined ? { by } : { by, role };
}
