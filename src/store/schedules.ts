/** Where the scheduler keeps what it knows of each schedule: one row each. */
import type { ScheduleState } from "../core/firing.ts";

/** Appended, never edited; each must be harmless when it is run again. */
const migrations = ["CREATE TABLE IF NOT EXISTS schedules (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID"];

export class ScheduleStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const migration of migrations) sql.exec(migration);
  }

  /** Every schedule ever seen, but for those removed long ago. */
  all(): Map<string, ScheduleState> {
    const rows = this.#sql.exec<{ id: string; state: string }>("SELECT id, state FROM schedules").toArray();
    return new Map(rows.map((row) => [row.id, JSON.parse(row.state) as ScheduleState]));
  }

  put(id: string, state: ScheduleState): void {
    this.#sql.exec(
      "INSERT INTO schedules (id, state) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state",
      id,
      JSON.stringify(state),
    );
  }

  remove(id: string): void {
    this.#sql.exec("DELETE FROM schedules WHERE id = ?", id);
  }
}
