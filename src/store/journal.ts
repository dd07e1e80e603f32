/**
 * The journal in a Durable Object's SQLite storage. One row is one commit: the JSON text of its
 * entries, cut into further rows where it is too long for one. Row numbers are
 * `seq of the first entry × 4096 + part`, so that the table's own key is the only index and a
 * commit costs one written row. `docs/journal.md` describes the format.
 */
import type { Entry } from "../core/entry.ts";
import type { Journal } from "../core/journal.ts";
import { cut } from "./part.ts";

const partsPerCommit = 4096;
/** Characters after which a page ends early: the answer to one call may hold 32 MiB. */
const maxPage = 4_000_000;

type Row = { row: number; data: string };

export class SqlJournal implements Journal {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #wrote: (rows: number) => void;
  #exists: boolean;

  /** @param wrote told how many rows each statement wrote, as the storage counts them */
  constructor(storage: DurableObjectStorage, wrote: (rows: number) => void = () => {}) {
    this.#storage = storage;
    this.#wrote = wrote;
    this.#sql = storage.sql;
    // Looking up an id that no run has must not leave a table behind.
    this.#exists = this.#sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'journal'").toArray().length > 0;
  }

  read(): Iterable<Entry> {
    return this.#exists ? this.#entries() : [];
  }

  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    if (!this.#exists) {
      this.#write("CREATE TABLE journal (row INTEGER PRIMARY KEY, data TEXT NOT NULL)");
      this.#exists = true;
    }
    const parts = cut(JSON.stringify(entries));
    if (parts.length === 1) return this.#insert(first.seq, parts);
    this.#storage.transactionSync(() => this.#insert(first.seq, parts));
  }

  restart(entries: readonly Entry[]): void {
    this.#storage.transactionSync(() => {
      if (this.#exists) this.#write("DELETE FROM journal");
      // A commit for each, so that no text holds them all: there may be many, and large ones.
      for (const entry of entries) this.append([entry]);
    });
  }

  page(after: number, limit: number): Entry[] {
    if (!this.#exists) return [];
    const bound = (after + 2) * partsPerCommit;
    const { row } = this.#sql
      .exec<{ row: number | null }>("SELECT max(row) AS row FROM journal WHERE row < ?", bound)
      .one();
    const start = Math.floor((row ?? 0) / partsPerCommit) * partsPerCommit;
    const rows = this.#sql.exec<Row>("SELECT row, data FROM journal WHERE row >= ? ORDER BY row", start);
    const page: Entry[] = [];
    let size = 0;
    for (const commit of commits(rows)) {
      size += commit.size;
      for (const entry of commit.entries) if (entry.seq > after && page.length < limit) page.push(entry);
      if (page.length === limit || (page.length > 0 && size > maxPage)) break;
    }
    return page;
  }

  *#entries(): Generator<Entry> {
    const rows = this.#sql.exec<Row>("SELECT row, data FROM journal ORDER BY row");
    for (const { entries } of commits(rows)) yield* entries;
  }

  #insert(seq: number, parts: readonly string[]): void {
    for (const [part, data] of parts.entries()) {
      this.#write("INSERT INTO journal (row, data) VALUES (?, ?)", seq * partsPerCommit + part, data);
    }
  }

  #write(statement: string, ...bindings: readonly unknown[]): void {
    this.#wrote(this.#sql.exec(statement, ...bindings).rowsWritten);
  }

  durable(): Promise<void> {
    return this.#storage.sync();
  }
}

type Commit = { readonly entries: readonly Entry[]; readonly size: number };

function* commits(rows: Iterable<Row>): Generator<Commit> {
  let text = "";
  for (const { row, data } of rows) {
    if (row % partsPerCommit === 0 && text !== "") {
      yield parse(text);
      text = "";
    }
    text += data;
  }
  if (text !== "") yield parse(text);
}

function parse(text: string): Commit {
  return { entries: JSON.parse(text) as Entry[], size: text.length };
}
