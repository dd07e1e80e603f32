/**
 * Owns: the RPC methods of the register of a shard.
 * Does not own: their implementation (auxiliary).
 */
import type { Enrolled } from "../../store/register.ts";

/** The register of the runs that a shard of the directory lists: `registerObject(shard)`. */
export interface RegisterRpc {
  /** Adds runs, before they are listed. */
  enrol(runs: readonly Enrolled[]): Promise<void>;
  /** Deletes removed runs, but not later runs with the same id. */
  strike(runs: readonly Enrolled[]): Promise<void>;
  /** A page of runs by id, strictly after `after`. */
  enrolled(after: string, limit: number): Promise<readonly Enrolled[]>;
}
