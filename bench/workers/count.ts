/**
 * Counts the rows one object writes, as they are billed: what every SQL cursor says it wrote, and
 * one for each `setAlarm`. The object's own `exec` and `setAlarm` are replaced by ones that count;
 * cursors are asked at the end, because one that is still open has not written everything yet.
 */
export function countRows(ctx: DurableObjectState): () => number {
  const { storage } = ctx;
  const { sql } = storage;
  const cursors: { readonly rowsWritten: number }[] = [];
  let alarms = 0; const log: any[] = [];
  const exec = sql.exec.bind(sql);
  const setAlarm = storage.setAlarm.bind(storage);
  Object.defineProperty(sql, "exec", {
    value: (query: string, ...bindings: unknown[]) => {
      const cursor = exec(query, ...bindings);
      cursors.push(cursor); log.push([query,cursor]);
      return cursor;
    },
  });
  Object.defineProperty(storage, "setAlarm", {
    value: (at: number | Date, options?: DurableObjectSetAlarmOptions) => {
      alarms++;
      return setAlarm(at, options);
    },
  });
  return () => (console.error(JSON.stringify(log.map(([q,c]) => [q,c.rowsWritten])), alarms), 0) || cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, alarms);
}
