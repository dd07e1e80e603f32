/** Where the names of lanes in use are kept, and the overrides that many of them follow. */
import type { Followed } from "../core/slot.ts";
import { migrate } from "./migration.ts";

/** Appended, never edited; see `migrate`. */
const migrations = [
  `CREATE TABLE IF NOT EXISTS lanes (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID, STRICT;
   CREATE TABLE IF NOT EXISTS overrides (
     base TEXT PRIMARY KEY, "limit" INTEGER, version INTEGER NOT NULL, settled INTEGER NOT NULL
   ) WITHOUT ROWID, STRICT`,
];

export class RollStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    migrate(sql, migrations);
  }

  /** The lane is on the roll, and knows of the version of its base's override. */
  add(name: string, version: number): void {
    this.#sql.exec("INSERT OR REPLACE INTO lanes VALUES (?, ?)", name, version);
  }

  remove(name: string): void {
    this.#sql.exec("DELETE FROM lanes WHERE name = ?", name);
  }

  names(after: string, limit: number): string[] {
    const rows = this.#sql.exec<{ name: string }>(
      "SELECT name FROM lanes WHERE name > ? ORDER BY name LIMIT ?",
      after,
      limit,
    );
    return Array.from(rows, ({ name }) => name);
  }

  override(base: string): Followed {
    const rows = this.#sql.exec<Followed>(`SELECT "limit", version FROM overrides WHERE base = ?`, base).toArray();
    return rows[0] ?? { limit: null, version: 0 };
  }

  setOverride(base: string, { limit, version }: Followed): void {
    this.#sql.exec("INSERT OR REPLACE INTO overrides VALUES (?, ?, ?, 0)", base, limit, version);
  }

  /** Bases whose keys may not all know of the override. */
  unsettled(): string[] {
    return Array.from(
      this.#sql.exec<{ base: string }>("SELECT base FROM overrides WHERE settled = 0"),
      ({ base }) => base,
    );
  }

  settle(base: string, version: number): void {
    this.#sql.exec("UPDATE overrides SET settled = 1 WHERE base = ? AND version = ?", base, version);
  }

  /** Keyed lanes of the base that know only of an older version, strictly after `after`. */
  behind(base: string, version: number, after: string, limit: number): string[] {
    // All that begin with the base and a colon: a semicolon is the next character.
    const rows = this.#sql.exec<{ name: string }>(
      "SELECT name FROM lanes WHERE name > ? AND name >= ? AND name < ? AND version < ? ORDER BY name LIMIT ?",
      after,
      `${base}:`,
      `${base};`,
      version,
      limit,
    );
    return Array.from(rows, ({ name }) => name);
  }

  /** The lane knows of this version; nothing if it has left the roll. */
  keepUp(name: string, version: number): void {
    this.#sql.exec("UPDATE lanes SET version = ? WHERE name = ? AND version < ?", version, name, version);
  }
}
