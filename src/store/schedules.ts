/**
 * Where the scheduler keeps what it knows: for each schedule one row that changes with its firings, for
 * each one made by a request a row with its rule, which seldom changes, and one for each open backfill.
 */
import type { Backfill } from "../core/backfill.ts";
import { unseen } from "../core/firing.ts";
import type { ScheduleState } from "../core/firing.ts";
import type { Plan } from "../core/plan.ts";

/** Appended, never edited; each must be harmless when it is run again. */
const migrations = [
  "CREATE TABLE IF NOT EXISTS schedules (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID",
  "CREATE TABLE IF NOT EXISTS plans (id TEXT PRIMARY KEY, plan TEXT NOT NULL) WITHOUT ROWID",
  "CREATE TABLE IF NOT EXISTS backfills (number INTEGER PRIMARY KEY, backfill TEXT NOT NULL)",
  `CREATE TABLE IF NOT EXISTS keys (
     key TEXT PRIMARY KEY, digest TEXT NOT NULL, result TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID`,
];

/** What a request with an Idempotency-Key did. */
export type Deed = { readonly digest: string; readonly result: unknown };

export class ScheduleStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const migration of migrations) sql.exec(migration);
  }

  /** Every schedule ever seen, but for those removed long ago. */
  all(): Map<string, ScheduleState> {
    const rows = this.#sql.exec<{ id: string; state: string }>("SELECT id, state FROM schedules").toArray();
    return new Map(rows.map((row) => [row.id, { ...unseen, ...(JSON.parse(row.state) as ScheduleState) }]));
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

  /** By id. */
  plans(): Plan[] {
    const rows = this.#sql.exec<{ plan: string }>("SELECT plan FROM plans ORDER BY id").toArray();
    return rows.map((row) => {
      const plan = JSON.parse(row.plan) as Plan;
      // JSON leaves out what is undefined.
      return { ...plan, rule: { ...plan.rule, input: plan.rule.input } };
    });
  }

  putPlan(plan: Plan): void {
    this.#sql.exec(
      "INSERT INTO plans (id, plan) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET plan = excluded.plan",
      plan.rule.id,
      JSON.stringify(plan),
    );
  }

  removePlan(id: string): void {
    this.#sql.exec("DELETE FROM plans WHERE id = ?", id);
  }

  /** By number, which is the order in which they were asked for. */
  backfills(): Map<number, Backfill> {
    const rows = this.#sql
      .exec<{ number: number; backfill: string }>("SELECT number, backfill FROM backfills ORDER BY number")
      .toArray();
    return new Map(rows.map((row) => [row.number, JSON.parse(row.backfill) as Backfill]));
  }

  putBackfill(number: number, backfill: Backfill): void {
    this.#sql.exec(
      "INSERT INTO backfills (number, backfill) VALUES (?, ?) ON CONFLICT DO UPDATE SET backfill = excluded.backfill",
      number,
      JSON.stringify(backfill),
    );
  }

  removeBackfill(number: number): void {
    this.#sql.exec("DELETE FROM backfills WHERE number = ?", number);
  }

  deed(key: string): Deed | null {
    const row = this.#sql
      .exec<{ digest: string; result: string }>("SELECT digest, result FROM keys WHERE key = ?", key)
      .toArray()[0];
    return row === undefined ? null : { digest: row.digest, result: JSON.parse(row.result) as unknown };
  }

  /** Also forgets the keys of before `keptFromAt`. */
  putDeed(key: string, { digest, result }: Deed, at: number, keptFromAt: number): void {
    this.#sql.exec("DELETE FROM keys WHERE at < ?", keptFromAt);
    this.#sql.exec(
      "INSERT INTO keys (key, digest, result, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
      key,
      digest,
      JSON.stringify(result),
      at,
    );
  }
}
