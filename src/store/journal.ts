/**
 * The journal in a Durable Object's SQLite storage. One row is one commit: the JSON text of its
 * entries, cut into further rows where it is too long for one. Row numbers are
 * `seq of the first entry × 4096 + part`, so that the table's own key is the only index and a
 * commit costs one written row. `docs/journal.md` describes the format.
 *
 * Entries are checked as they are read: a journal that is damaged, or of a newer version, can be read up to the last sound
 * entry, and is never written to.
 */
import { isSealed, unsealed } from "../core/cipher/cipher.ts";
import type { Vault } from "../core/cipher/cipher.ts";
import { corrupt, readCommit } from "../core/history/commit.ts";
import type { Before } from "../core/history/commit.ts";
import type { Entry } from "../core/history/entry.ts";
import type { Journal } from "../core/history/journal.ts";
import { hasTable } from "./migration.ts";
import { cut } from "./part.ts";
import { resealedParts } from "./reseal.ts";
import type { Resealing } from "./reseal.ts";

const partsPerCommit = 4096;
const insert = "INSERT INTO journal (row, data) VALUES (?, ?)";
/** Both statements in one text, because only the last one is counted as written rows: docs/decisions/storage.md. */
const table = `journal (row INTEGER PRIMARY KEY, data TEXT NOT NULL); ${insert}`;
const createAndInsert = `CREATE TABLE ${table}`;
/** `IF NOT EXISTS`, because the table may be left from a first commit that failed. */
const ensureAndInsert = `CREATE TABLE IF NOT EXISTS ${table}`;
/** Bytes that it adds to the database. */
const newTable = 8192;
/** Characters after which a page ends early: the response to a call may have 32 MiB. */
const maxPage = 4_000_000;

/** The row numbers of a block. Rows are read in blocks, because handing over each row costs as much as reading its text. */
const span = 512 * partsPerCommit;
/** Bytes of the longest row that is joined with others: production makes no text of over 2 MB. */
const longestJoined = 2000;
/** Reads a block of rows as one; texts that are longer, or bytes, are left out. */
const block = `
  SELECT
    count(*) AS rows, total(row) AS sum, max(row & 4095) AS part,
    group_concat(CASE WHEN typeof(data) = 'text' AND octet_length(data) <= ${longestJoined} THEN data END, '\n') AS texts,
    (SELECT min(row) FROM journal WHERE row >= ?1 + ${span}) AS next
  FROM journal WHERE row >= ?1 AND row < ?1 + ${span}`;
const rowsOfBlock = `SELECT row, data FROM journal WHERE row >= ?1 AND row < ?1 + ${span} ORDER BY row`;
/** Lower than any row number. */
const lowest = -1e19;

type Block = {
  rows: number;
  /** The sum of the row numbers. */
  sum: number;
  /** The highest part: 0 where each row is a whole commit. */
  part: number | null;
  texts: string | null;
  /** The first row after the block. */
  next: number | null;
};

/** SQLite keeps bytes as they are in a column of text. */
type Row = { row: number; data: string | ArrayBuffer };

export class SqlJournal implements Journal {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #wrote: (rows: number, size: number) => void;
  readonly #vault: Vault;
  readonly #create: string;
  #exists: boolean;

  /**
   * @param wrote called with the rows that each statement wrote, as the storage counts them, and their characters
   * @param vault seals each row separately
   * @param expected false: there is no journal yet, and this is not checked; if there is one after all, the first commit
   * throws and writes nothing
   */
  constructor(
    storage: DurableObjectStorage,
    wrote: (rows: number, size: number) => void = () => {},
    vault: Vault = unsealed,
    expected = true,
  ) {
    this.#storage = storage;
    this.#wrote = wrote;
    this.#vault = vault;
    this.#sql = storage.sql;
    this.#create = expected ? ensureAndInsert : createAndInsert;
    // Looking up an id that no run has must not leave a table behind.
    this.#exists = expected && hasTable(this.#sql, "journal");
  }

  /** @throws HoldfastError while it is read: key_missing, journal_corrupt, journal_newer */
  read(): Iterable<Entry> {
    return this.#exists ? this.#entries() : [];
  }

  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    const parts = cut(JSON.stringify(entries), this.#vault);
    if (parts.length === 1) this.#insert(first.seq, parts);
    else this.#storage.transactionSync(() => this.#insert(first.seq, parts));
    this.#exists = true;
  }

  restart(entries: readonly Entry[]): void {
    this.#storage.transactionSync(() => {
      if (this.#exists) this.#write(0, "DELETE FROM journal");
      // A commit for each, so that no text holds them all: there may be many, and large ones.
      for (const entry of entries) this.append([entry]);
    });
  }

  /** Ends before damage if there are entries before it. @throws HoldfastError as `read` */
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
    try {
      for (const commit of this.#commits(rows)) {
        size += commit.size;
        // A large commit is a page of its own.
        if (page.length > 0 && size > maxPage) break;
        for (const entry of commit.entries) if (entry.seq > after && page.length < limit) page.push(entry);
        if (page.length === limit) break;
      }
    } catch (error) {
      if (page.length === 0) throw error;
    }
    return page;
  }

  *#entries(): Generator<Entry> {
    let before: Before | null = null;
    for (let at = this.#rowFrom(lowest); at !== null;) {
      const found: Block = this.#sql.exec<Block>(block, at).one();
      const read = readBlock(found, before === null ? at / partsPerCommit : before.seq + 1, before);
      if (read === null) {
        for (const { entries } of this.#commits(this.#sql.exec<Row>(rowsOfBlock, at), before)) {
          yield* entries;
          before = entries.at(-1) ?? before;
        }
      } else {
        // Each is handed on at once: `yield*` would ask a list for what is there already.
        for (let index = 0; index < read.length; index++) yield read[index] as Entry;
        before = read.at(-1) ?? before;
      }
      at = found.next;
    }
  }

  /** The rows as commits, each checked, also against the one before it. */
  *#commits(rows: Iterable<Row>, from: Before | null = null): Generator<Commit> {
    let before = from;
    let text = "";
    let next: number | null = null;
    const finish = (row: number): Commit => {
      const entries = readCommit(text, Math.floor(row / partsPerCommit), before);
      before = entries.at(-1) ?? null;
      return { entries, size: text.length };
    };
    for (const { row, data } of rows) {
      const isFirst = row % partsPerCommit === 0;
      const isStray = !isFirst && row !== next;
      if ((isFirst || isStray) && next !== null) yield finish(next - 1);
      if (isStray) throw corrupt(`row ${row} is there without the one before it`);
      const kept = textOf(row, data);
      // A text that is not sealed is used as it is.
      const part = isSealed(kept) ? this.#vault.open(kept, placeOf(row)) : kept;
      text = isFirst ? part : text + part;
      next = row + 1;
    }
    if (next !== null) yield finish(next - 1);
  }

  #insert(seq: number, parts: readonly string[]): void {
    const isPlain = this.#vault.newest === null;
    for (const [part, data] of parts.entries()) {
      const row = seq * partsPerCommit + part;
      const text = isPlain ? data : this.#vault.seal(data, placeOf(row));
      // The first row also creates the table, which takes pages of its own.
      if (this.#exists || part > 0) this.#write(text.length, insert, row, text);
      else this.#write(text.length + newTable, this.#create, row, text);
    }
  }

  /**
   * Seals up to `limit` of the rows from `from` on with the newest key; `next` is where to continue, null at the end.
   * @throws HoldfastError as `read`
   */
  reseal(from: number, limit: number): Resealing<number> {
    let [rows, sealed, size, at] = [0, 0, 0, this.#exists ? this.#rowFrom(from) : null];
    for (; at !== null && rows < limit && size < maxPage; at = this.#rowFrom(at + partsPerCommit)) {
      const first = at;
      const parts = this.#sql
        .exec<Row>(
          "SELECT row, data FROM journal WHERE row >= ? AND row < ? ORDER BY row",
          first,
          first + partsPerCommit,
        )
        .toArray();
      const isWhole = first % partsPerCommit === 0 && parts.every(({ row }, part) => row === first + part);
      if (!isWhole) throw corrupt(`a row of the commit at row ${first} is missing`);
      const texts = parts.map(({ row, data }) => textOf(row, data));
      const anew = resealedParts(this.#vault, texts, (part) => placeOf(first + part));
      rows += parts.length;
      size += texts.reduce((sum, text) => sum + text.length, 0);
      if (anew === null) continue;
      sealed += anew.length;
      this.#storage.transactionSync(() => {
        for (const [part, data] of anew.entries()) {
          this.#write(data.length, "INSERT OR REPLACE INTO journal (row, data) VALUES (?, ?)", first + part, data);
        }
      });
    }
    return { rows, sealed, next: at };
  }

  #rowFrom(from: number): number | null {
    return this.#sql.exec<{ row: number | null }>("SELECT min(row) AS row FROM journal WHERE row >= ?", from).one().row;
  }

  #write(size: number, statement: string, ...bindings: readonly unknown[]): void {
    this.#wrote(this.#sql.exec(statement, ...bindings).rowsWritten, size);
  }

  durable(): Promise<void> {
    return this.#storage.sync();
  }
}

/**
 * The entries of a block; null where its rows have to be read one by one, because one of them is long, sealed or damaged.
 * @param first the `seq` of the first entry
 */
function readBlock({ rows, sum, part, texts }: Block, first: number, before: Before | null): readonly Entry[] | null {
  // The JSON of a commit has no line ends, so there is one line for each row.
  const lines = texts === null || isSealed(texts) ? [] : texts.split("\n");
  if (lines.length !== rows || part !== 0) return null;
  const read: Entry[] = [];
  let last = before;
  let seq = first;
  let expected = 0;
  try {
    for (let at = 0; at < lines.length; at++) {
      expected += seq * partsPerCommit;
      read.push(...readCommit(lines[at] ?? "", seq, last));
      last = read.at(-1) ?? null;
      seq = first + read.length;
    }
  } catch {
    return null;
  }
  // A wrong row number shows in the sum. Two errors can cancel each other only between commits of several entries.
  return sum === expected && Number.isSafeInteger(sum) ? read : null;
}

type Commit = { readonly entries: readonly Entry[]; readonly size: number };

function textOf(row: number, data: Row["data"]): string {
  if (typeof data === "string") return data;
  throw corrupt(`row ${row} is no text`);
}

/** The place that a sealed row is bound to. */
function placeOf(row: number): string {
  return `row ${row} of the journal`;
}
