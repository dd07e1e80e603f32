/** What is waited for as a promise is, though it need be none: a call of another Worker answers such a thing. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (typeof value === "object" || typeof value === "function") && value !== null && "then" in value;
}
