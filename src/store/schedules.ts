/**
 * Where the scheduler keeps what it knows: for each schedule one row that changes with its firings, for
 * each one made by a request a row with its rule, which seldom changes, and one for each open backfill.
 */
import type { Backfill } from "../core/backfill.ts";
import { unsealed } from "../core/cipher.ts";
import type { Vault } from "../core/cipher.ts";
import { unseen } from "../core/firing.ts";
import type { ScheduleState } from "../core/firing.ts";
import type { Plan } from "../core/plan.ts";
import { resealed } from "./reseal.ts";
import type { Resealed } from "./reseal.ts";

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
  readonly #vault: Vault;

  /** @param vault seals all that is kept of a schedule but its id */
  constructor(sql: SqlStorage, vault: Vault = unsealed) {
    this.#sql = sql;
    this.#vault = vault;
    for (const migration of migrations) sql.exec(migration);
  }

  #seal(value: unknown, table: string, key: string | number): string {
    return this.#vault.seal(JSON.stringify(value), placeOf(table, key));
  }

  /** @throws HoldfastError key_missing, journal_corrupt, journal_newer: so does whatever reads */
  #open(text: string, table: string, key: string | number): unknown {
    return JSON.parse(this.#vault.open(text, placeOf(table, key)));
  }

  /** Seals everything anew, with the newest key. @throws HoldfastError as whatever reads; what came before is written */
  reseal(): Resealed {
    let [rows, sealed] = [0, 0];
    for (const [table, key, column] of sealedColumns) {
      const found = this.#sql.exec<{ key: string | number; text: string }>(
        `SELECT ${key} AS key, ${column} AS text FROM ${table}`,
      );
      for (const row of found.toArray()) {
        rows++;
        const anew = resealed(this.#vault, row.text, placeOf(table, row.key));
        if (anew === null) continue;
        this.#sql.exec(`UPDATE ${table} SET ${column} = ? WHERE ${key} = ?`, anew, row.key);
        sealed++;
      }
    }
    return { rows, sealed };
  }

  /** Every schedule ever seen, but for those removed long ago. */
  all(): Map<string, ScheduleState> {
    const rows = this.#sql.exec<{ id: string; state: string }>("SELECT id, state FROM schedules").toArray();
    return new Map(
      rows.map((row) => [row.id, { ...unseen, ...(this.#open(row.state, "schedules", row.id) as ScheduleState) }]),
    );
  }

  put(id: string, state: ScheduleState): void {
    this.#sql.exec(
      "INSERT INTO schedules (id, state) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state",
      id,
      this.#seal(state, "schedules", id),
    );
  }

  remove(id: string): void {
    this.#sql.exec("DELETE FROM schedules WHERE id = ?", id);
  }

  /** By id. */
  plans(): Plan[] {
    const rows = this.#sql.exec<{ id: string; plan: string }>("SELECT id, plan FROM plans ORDER BY id").toArray();
    return rows.map((row) => {
      const plan = this.#open(row.plan, "plans", row.id) as Plan;
      // JSON leaves out what is undefined.
      return { ...plan, rule: { ...plan.rule, input: plan.rule.input } };
    });
  }

  putPlan(plan: Plan): void {
    this.#sql.exec(
      "INSERT INTO plans (id, plan) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET plan = excluded.plan",
      plan.rule.id,
      this.#seal(plan, "plans", plan.rule.id),
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
    return new Map(rows.map((row) => [row.number, this.#open(row.backfill, "backfills", row.number) as Backfill]));
  }

  putBackfill(number: number, backfill: Backfill): void {
    this.#sql.exec(
      "INSERT INTO backfills (number, backfill) VALUES (?, ?) ON CONFLICT DO UPDATE SET backfill = excluded.backfill",
      number,
      this.#seal(backfill, "backfills", number),
    );
  }

  removeBackfill(number: number): void {
    this.#sql.exec("DELETE FROM backfills WHERE number = ?", number);
  }

  deed(key: string): Deed | null {
    const row = this.#sql
      .exec<{ digest: string; result: string }>("SELECT digest, result FROM keys WHERE key = ?", key)
      .toArray()[0];
    if (row === undefined) return null;
    const digest = this.#vault.open(row.digest, placeOf("keys", key));
    return { digest, result: JSON.parse(row.result) as unknown };
  }

  /** Also forgets the keys of before `keptFromAt`. */
  putDeed(key: string, { digest, result }: Deed, at: number, keptFromAt: number): void {
    this.#sql.exec("DELETE FROM keys WHERE at < ?", keptFromAt);
    this.#sql.exec(
      "INSERT INTO keys (key, digest, result, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
      key,
      this.#vault.seal(digest, placeOf("keys", key)),
      JSON.stringify(result),
      at,
    );
  }
}

/** Table, its key, and what is sealed of it. */
const sealedColumns = [
  ["schedules", "id", "state"],
  ["plans", "id", "plan"],
  ["backfills", "number", "backfill"],
  ["keys", "key", "digest"],
] as const;

function placeOf(table: string, key: string | number): string {
  return `the row ${key} of the scheduler's ${table}`;
}
