/** The storage of the roll: the names of lanes in use, and the overrides that keyed lanes follow. */
import type { Followed } from "../core/lane/slot.ts";
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

  /** Adds the lane, with the version of its base's override that it knows. */
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

  /** Bases whose keyed lanes may not all know the newest override. */
  unsettled(): string[] {
    return Array.from(
      this.#sql.exec<{ base: string }>("SELECT base FROM overrides WHERE settled = 0"),
      ({ base }) => base,
    );
  }

  settle(base: string, version: number): void {
    this.#sql.exec("UPDATE overrides SET settled = 1 WHERE base = ? AND version = ?", base, version);
  }

  /** Keyed lanes of the base that know only an older version, strictly after `after`. */
  behind(base: string, version: number, after: string, limit: number): string[] {
    // A range of all names that begin with the base and a colon: the semicolon is the next character.
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

  /** Notes that the lane knows this version; no effect if it has left the roll. */
  keepUp(name: string, version: number): void {
    this.#sql.exec("UPDATE lanes SET version = ? WHERE name = ? AND version < ?", version, name, version);
  }
}
