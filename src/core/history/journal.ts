/** The port to the storage of one run's entries. */
import type { Entry } from "./entry.ts";

/**
 * It has one writer. Implementations: memory (`rehearsal/journal.ts`), Durable Object SQL (`store/journal.ts`). One test suite
 * runs against all of them.
 */
export interface Journal {
  /** Every entry, oldest first. */
  read(): Iterable<Entry>;
  /** Adds entries as one commit, all or none, in memory order; durable once `durable()` has resolved. */
  append(entries: readonly Entry[]): void;
  /**
   * Replaces all entries by these, whose `seq` continues from the newest; all or nothing, and durable like appended
   * ones.
   */
  restart(entries: readonly Entry[]): void;
  /**
   * Up to `limit` entries with `seq` above `after`, oldest first; fewer where they are large, but at least one if there is
   * one.
   */
  page(after: number, limit: number): Entry[];
  /** Resolves when everything appended survives the death of the process. */
  durable(): Promise<void>;
}
