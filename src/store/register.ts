/**
 * The register of one shard: the runs that it lists. It is in an object of its own, of the class of runs, so that it survives
 * the loss of the shard. One row for each run, by id; a later run of the same id replaces the earlier one.
 */
import { migrate } from "./migration.ts";

/** A run's place in the directory. `createdAt` is that of its first incarnation, epoch ms. */
export type Enrolled = { readonly id: string; readonly createdAt: number };

/** Appended, never edited; see `migrate`. */
const migrations = [
  "CREATE TABLE IF NOT EXISTS register (id TEXT PRIMARY KEY, created_at INTEGER NOT NULL) WITHOUT ROWID, STRICT",
];

export class RegisterStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    migrate(sql, migrations);
  }

  enrol(runs: readonly Enrolled[]): void {
    this.#sql.exec(
      `INSERT INTO register SELECT value ->> 0, value ->> 1 FROM json_each(?) WHERE true
       ON CONFLICT DO UPDATE SET created_at = excluded.created_at WHERE excluded.created_at > created_at`,
      JSON.stringify(runs.map(({ id, createdAt }) => [id, createdAt])),
    );
  }

  /** Removes runs; a later run of the same id stays. */
  strike(runs: readonly Enrolled[]): void {
    // Goes through the list and looks each row up, not the reverse: thousands are removed at once.
    this.#sql.exec(
      `DELETE FROM register WHERE id IN (
         SELECT register.id FROM json_each(?) CROSS JOIN register ON register.id = value ->> 0
         WHERE value ->> 1 >= register.created_at)`,
      JSON.stringify(runs.map(({ id, createdAt }) => [id, createdAt])),
    );
  }

  /** By id, strictly after `after`. */
  page(after: string, limit: number): Enrolled[] {
    return this.#sql
      .exec<Enrolled>("SELECT id, created_at AS createdAt FROM register WHERE id > ? ORDER BY id LIMIT ?", after, limit)
      .toArray();
  }
}
