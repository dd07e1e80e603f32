/** Counts rows written and read, as the storage itself reports them. */
export class Rows {
  /** The storage, with every statement counted. */
  readonly sql: SqlStorage;
  #cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];

  constructor(sql: SqlStorage) {
    this.sql = new Proxy(sql, {
      get: (target, property) => {
        if (property !== "exec") return Reflect.get(target, property) as unknown;
        return (query: string, ...bindings: unknown[]) => {
          const cursor = target.exec(query, ...bindings);
          this.#cursors.push(cursor);
          return cursor;
        };
      },
    });
  }

  get written(): number {
    return this.#cursors.reduce((sum, cursor) => sum + cursor.rowsWritten, 0);
  }

  get read(): number {
    return this.#cursors.reduce((sum, cursor) => sum + cursor.rowsRead, 0);
  }

  forget(): void {
    this.#cursors = [];
  }
}
