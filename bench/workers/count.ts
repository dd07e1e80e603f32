/**
 * Counts the rows one object writes, as they are billed: what every SQL cursor says it wrote, and
 * one for each `setAlarm`. The object's own `exec` and `setAlarm` are replaced by ones that count;
 * cursors are asked at the end, because one that is still open has not written everything yet.
 */
export function countRows(ctx: DurableObjectState): () => number {
  const { storage } = ctx;
  const { sql } = storage;
  const cursors: { readonly rowsWritten: number }[] = [];
  let alarms = 0;
  const exec = sql.exec.bind(sql);
  const setAlarm = storage.setAlarm.bind(storage);
  Object.defineProperty(sql, "exec", {
    value: (query: string, ...bindings: unknown[]) => {
      const cursor = exec(query, ...bindings);
      // The local runtime notes the object's name in a table of its own, which exists only here.
      if (!query.includes("__miniflare_")) cursors.push(cursor);
      return cursor;
    },
  });
  Object.defineProperty(storage, "setAlarm", {
    value: (at: number | Date, options?: DurableObjectSetAlarmOptions) => {
      alarms++;
      return setAlarm(at, options);
    },
  });
  return () => cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, alarms);
}
