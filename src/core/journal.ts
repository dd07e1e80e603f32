/** Where the entries of one run are kept. */
import type { Entry } from "./entry.ts";

/**
 * One writer, who appends, or begins anew. Implementations: memory (`rehearsal/journal.ts`), Durable Object SQL
 * (`store/journal.ts`). One suite holds them all to the same behaviour.
 */
export interface Journal {
  /** Every entry, oldest first. */
  read(): Iterable<Entry>;
  /** Adds entries as one commit, all or none, in memory order; durable once `durable()` has resolved. */
  append(entries: readonly Entry[]): void;
  /**
   * Puts these entries, whose `seq` goes on from the newest, in the place of all there are; all or nothing,
   * and durable as what is appended.
   */
  restart(entries: readonly Entry[]): void;
  /**
   * Up to `limit` entries with `seq` above `after`, oldest first; fewer where they are large, but
   * always one if there is one.
   */
  page(after: number, limit: number): Entry[];
  /** Resolves when everything appended survives the death of the process. */
  durable(): Promise<void>;
}
