/**
 * Owns: statistics over all shards and lanes.
 * Does not own: anything yet.
 */
export function readStats(..._args: readonly unknown[]): never {
  throw new Error("not built yet");
}
