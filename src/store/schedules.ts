/**
 * The storage of the scheduler: for each schedule a row with the state of its firings; for each one that was created by a
 * request a row with its rule, which seldom changes; and a row for each open backfill. Rows are read independently: one that
 * cannot be read is returned as the error, and stays.
 */
import type { Backfill } from "../core/schedule/backfill.ts";
import { unsealed } from "../core/cipher/cipher.ts";
import type { Vault } from "../core/cipher/cipher.ts";
import { HoldfastError } from "../core/error.ts";
import { unseen } from "../core/schedule/firing.ts";
import type { ScheduleState } from "../core/schedule/firing.ts";
import type { Plan } from "../core/schedule/plan.ts";
import { isRecord } from "../core/record.ts";
import { resealed } from "./reseal.ts";
import type { Resealed } from "./reseal.ts";

/** Appended, never edited; each has to be harmless when it is run again. */
const migrations = [
  "CREATE TABLE IF NOT EXISTS schedules (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID",
  "CREATE TABLE IF NOT EXISTS plans (id TEXT PRIMARY KEY, plan TEXT NOT NULL) WITHOUT ROWID",
  "CREATE TABLE IF NOT EXISTS backfills (number INTEGER PRIMARY KEY, backfill TEXT NOT NULL)",
  `CREATE TABLE IF NOT EXISTS keys (
     key TEXT PRIMARY KEY, digest TEXT NOT NULL, result TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID`,
];

/** A table, with its key and its sealed column. */
type Sealed = readonly [table: string, key: string, column: string];

const schedules: Sealed = ["schedules", "id", "state"];
const plans: Sealed = ["plans", "id", "plan"];
const backfills: Sealed = ["backfills", "number", "backfill"];
const keys: Sealed = ["keys", "key", "digest"];

/** The content of a row, or the error why it cannot be read: key_missing, journal_corrupt, journal_newer. */
export type Kept<Value> = Value | HoldfastError;

/** The result of a request with an Idempotency-Key. */
export type KeyedResult = { readonly digest: string; readonly result: unknown };

export class ScheduleStore {
  readonly #sql: SqlStorage;
  readonly #vault: Vault;

  /** @param vault seals everything about a schedule except for its id */
  constructor(sql: SqlStorage, vault: Vault = unsealed) {
    this.#sql = sql;
    this.#vault = vault;
    for (const migration of migrations) sql.exec(migration);
  }

  #write([table, key, column]: Sealed, of: string | number, value: unknown): void {
    this.#sql.exec(
      `INSERT INTO ${table} (${key}, ${column}) VALUES (?, ?) ON CONFLICT DO UPDATE SET ${column} = excluded.${column}`,
      of,
      this.#vault.seal(JSON.stringify(value), placeOf(table, of)),
    );
  }

  #delete([table, key]: Sealed, of: string | number): void {
    this.#sql.exec(`DELETE FROM ${table} WHERE ${key} = ?`, of);
  }

  /** All rows of a table, or the one of that key, in the order of their keys. @throws HoldfastError config_invalid */
  #read<Key extends string | number, Value>(
    [table, key, column]: Sealed,
    as: (value: unknown, key: Key) => Value | null,
    only: Key | undefined,
  ): Map<Key, Kept<Value>> {
    const rows = this.#sql.exec<{ key: Key; text: string }>(
      `SELECT ${key} AS key, ${column} AS text FROM ${table} ${only === undefined ? "" : `WHERE ${key} = ?`} ORDER BY 1`,
      ...(only === undefined ? [] : [only]),
    );
    return new Map(
      rows
        .toArray()
        .map((row) => [row.key, this.#kept(row.text, placeOf(table, row.key), (value) => as(value, row.key))]),
    );
  }

  #kept<Value>(text: string, place: string, as: (value: unknown) => Value | null): Kept<Value> {
    try {
      const value = as(JSON.parse(this.#vault.open(text, place)));
      if (value !== null) return value;
    } catch (error) {
      // Malformed encryption keys are not an error of the row.
      if (error instanceof HoldfastError && error.code !== "config_invalid") return error;
      if (!(error instanceof SyntaxError)) throw error;
    }
    return new HoldfastError("journal_corrupt", `${place} is damaged: its bytes are not those of such a row`);
  }

  /** Seals everything with the newest key. @throws HoldfastError of a row that does not open */
  reseal(): Resealed {
    let [rows, sealed] = [0, 0];
    let failure: HoldfastError | null = null;
    for (const [table, key, column] of [schedules, plans, backfills, keys]) {
      const found = this.#sql.exec<{ key: string | number; text: string }>(
        `SELECT ${key} AS key, ${column} AS text FROM ${table}`,
      );
      for (const row of found.toArray()) {
        rows++;
        try {
          const anew = resealed(this.#vault, row.text, placeOf(table, row.key));
          if (anew === null) continue;
          this.#sql.exec(`UPDATE ${table} SET ${column} = ? WHERE ${key} = ?`, anew, row.key);
          sealed++;
        } catch (error) {
          if (!(error instanceof HoldfastError)) throw error;
          failure ??= error;
        }
      }
    }
    if (failure !== null) throw failure;
    return { rows, sealed };
  }

  /** The states of all schedules, also of those that were removed recently; or of the one with that id. */
  all(only?: string): Map<string, Kept<ScheduleState>> {
    return this.#read(schedules, toState, only);
  }

  put(id: string, state: ScheduleState): void {
    this.#write(schedules, id, state);
  }

  remove(id: string): void {
    this.#delete(schedules, id);
  }

  /** The plans by id; or the one with that id. */
  plans(only?: string): Map<string, Kept<Plan>> {
    return this.#read(plans, toPlan, only);
  }

  putPlan(plan: Plan): void {
    this.#write(plans, plan.rule.id, plan);
  }

  removePlan(id: string): void {
    this.#delete(plans, id);
  }

  /** The backfills by number, in the order of their requests; or the one with that number. */
  backfills(only?: number): Map<number, Kept<Backfill>> {
    return this.#read(backfills, toBackfill, only);
  }

  putBackfill(number: number, backfill: Backfill): void {
    this.#write(backfills, number, backfill);
  }

  removeBackfill(number: number): void {
    this.#delete(backfills, number);
  }

  resultOf(key: string): KeyedResult | null {
    const row = this.#sql
      .exec<{ digest: string; result: string }>("SELECT digest, result FROM keys WHERE key = ?", key)
      .toArray()[0];
    if (row === undefined) return null;
    const digest = this.#vault.open(row.digest, placeOf("keys", key));
    return { digest, result: JSON.parse(row.result) as unknown };
  }

  /** Stores a result, and forgets those from before `keptFromAt`. */
  putResult(key: string, { digest, result }: KeyedResult, at: number, keptFromAt: number): void {
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

/** Null where the value is not a state. */
function toState(value: unknown): ScheduleState | null {
  if (!isRecord(value)) return null;
  const state = { ...unseen, ...value };
  return [state.queue, state.starting, state.running].every((list) => Array.isArray(list)) ? state : null;
}

function toPlan(value: unknown, id: string): Plan | null {
  const plan = value as Partial<Plan> | null;
  const rule = plan?.rule;
  if (plan?.madePaused === undefined || rule?.id !== id) return null;
  if (typeof rule.workflow !== "string" || typeof rule.cron !== "string") return null;
  // JSON omits undefined fields.
  return { madePaused: plan.madePaused, rule: { ...rule, input: rule.input } };
}

function toBackfill(value: unknown): Backfill | null {
  return isRecord(value) && typeof value["schedule"] === "string" ? (value as Backfill) : null;
}

function placeOf(table: string, key: string | number): string {
  return `the row ${key} of the scheduler's ${table}`;
}
