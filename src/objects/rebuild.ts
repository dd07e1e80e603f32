/**
 * Owns: having runs listed anew.
 * Does not own: anything yet.
 */
export function startRebuild(..._args: readonly unknown[]): never {
  throw new Error("not built yet");
}
