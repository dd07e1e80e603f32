/**
 * Numbered migrations of one database. A step, once released, is never edited; a change is a new
 * step at the end.
 *
 * The first step is the exception that makes new objects cheap: it holds only `CREATE … IF NOT
 * EXISTS`, runs at every opening and writes nothing where its tables exist. So a database that has
 * never seen a second step needs no version, and none is kept. Creating costs two written rows for
 * each table or index, as workerd counts them; from the second step on the version costs two for
 * its table and one for its row, once, and one when it changes. A database that is up to date is
 * not written to.
 *
 * Steps add and fill, they never take away, but for an index that others take the place of: a database
 * that a newer deployment has already moved on is left as it is, so that a rollback finds its tables.
 */
export function migrate(sql: SqlStorage, steps: readonly string[]): void {
  const [first, ...later] = steps;
  if (first === undefined) return;
  const exists = later.length > 0 && hasTable(sql, "schema_version");
  const version = exists ? readVersion(sql) : 0;
  if (version === 0) sql.exec(first);
  if (later.length === 0) return;
  let reached = Math.max(version, 1);
  try {
    for (const step of later.slice(reached - 1)) {
      sql.exec(step);
      reached++;
    }
  } finally {
    // Also when a step throws: those before it are done, and may not be safe to repeat.
    if (reached !== version) writeVersion(sql, reached, exists);
  }
}

export function hasTable(sql: SqlStorage, name: string): boolean {
  return sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name).toArray().length > 0;
}

function readVersion(sql: SqlStorage): number {
  const row = sql.exec<{ version: number }>("SELECT version FROM schema_version WHERE one = 1").toArray()[0];
  return row?.version ?? 0;
}

function writeVersion(sql: SqlStorage, version: number, exists: boolean): void {
  if (!exists) sql.exec("CREATE TABLE schema_version (one INTEGER PRIMARY KEY, version INTEGER NOT NULL)");
  sql.exec("INSERT INTO schema_version VALUES (1, ?) ON CONFLICT DO UPDATE SET version = excluded.version", version);
}
