/**
 * Owns: what happens to a run, or to the listing, as it happens.
 * Does not own: anything yet.
 */
export function followRun(..._args: readonly unknown[]): never {
  throw new Error("not built yet");
}
export function followDirectory(..._args: readonly unknown[]): never {
  throw new Error("not built yet");
}
