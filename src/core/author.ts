/**
 * Who asked for something. `by` names them; `role` is what let them in, where the name is only their
 * word for it: a person behind a token, in contrast to the token's own role or the engine.
 */
export type Author = { readonly by: string; readonly role?: string };

/** Who asks and why, and how a repetition of the same request is known. */
export type Asked = Author & { readonly reason: string | null; readonly key?: string };

export function authorOf({ by, role }: Author): Author {
  return role === undefined ? { by } : { by, role };
}
