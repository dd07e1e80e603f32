/**
 * Counts what one object writes, as it is billed: what every SQL cursor says it wrote, one for each
 * key that is put, and one for each `setAlarm`; and how many statements that took. The object's own
 * methods are replaced by ones that count; cursors are asked at the end, because one that is still
 * open has not written everything yet.
 */

export type Writes = {
  readonly rows: number;
  /** Rows written by statements that were followed by another one in the same text, which no cursor reports. */
  readonly untold: number;
  readonly statements: number;
  /** The size of the database, as the platform reports it to the object. */
  readonly bytes: number;
  /** The object's id, which is the name of its file. */
  readonly id: string;
};

type Cursor = { readonly rowsWritten: number };

export function countWrites(ctx: DurableObjectState): () => Writes {
  const { storage } = ctx;
  const { sql, kv } = storage;
  const cursors: Cursor[] = [];
  const leading: Cursor[] = [];
  let [rows, statements] = [0, 0];
  const exec = sql.exec.bind(sql);
  Object.defineProperty(sql, "exec", {
    value: (query: string, ...bindings: unknown[]) => {
      // The local runtime stores the object's name in a table that does not exist in production.
      if (query.includes("__miniflare_")) return exec(query, ...bindings);
      // Executed one by one, so that each statement has a cursor. The bindings are for the last one.
      const texts = query.split(";").filter((text) => text.trim() !== "");
      const last = texts.pop() ?? query;
      for (const text of texts) leading.push(exec(text));
      const cursor = exec(last, ...bindings);
      statements++;
      cursors.push(cursor);
      return cursor;
    },
  });
  const put = kv.put.bind(kv);
  Object.defineProperty(kv, "put", {
    value: (key: string, value: unknown) => {
      rows++;
      statements++;
      put(key, value);
    },
  });
  const setAlarm = storage.setAlarm.bind(storage);
  Object.defineProperty(storage, "setAlarm", {
    value: (at: number | Date, options?: DurableObjectSetAlarmOptions) => {
      rows++;
      return setAlarm(at, options);
    },
  });
  return () => ({
    rows: rows + rowsOf(cursors),
    untold: rowsOf(leading),
    statements,
    bytes: sql.databaseSize,
    id: ctx.id.toString(),
  });
}

function rowsOf(cursors: readonly Cursor[]): number {
  return cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0);
}
