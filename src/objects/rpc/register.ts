/**
 * Owns: what can be asked of the register of a shard.
 * Does not own: what it does about it (register).
 */

/** Which runs a shard of the directory lists: an object beside the runs, `registerObject(shard)`. */
export interface RegisterRpc {
  /** Before they are listed. */
  enrol(runs: readonly Enrolled[]): Promise<void>;
  /** They are gone. A later run of the same id stays. */
  strike(runs: readonly Enrolled[]): Promise<void>;
  /** By id, strictly after `after`. */
  enrolled(after: string, limit: number): Promise<readonly Enrolled[]>;
}

/** A run's place in the directory: `createdAt` is that of its first life. */
export type Enrolled = { readonly id: string; readonly createdAt: number };
