/**
 * Broadcasts that are buffered until a run waits for them. `offers` is in every shard: the names of buffered signals, so that
 * a run that reports a wait makes a further call only if there is something. `broadcasts` and `payloads` are used in the
 * first shard only: the buffered signals in order of arrival, who has claimed them, and the keys of delivered ones.
 *
 * A broadcast is first open (free, or claimed by one run) and then settled. It is `finished` once its sender has asked every
 * run that waited: one that failed before and is sent again goes to them also where a run has settled its claim meanwhile.
 * A claim lasts until the claimer settles or releases it; it never passes to another run by itself, because a second run
 * would consume the signal a second time. `checkAt` is when a claim that was not settled, or a signal that was given back,
 * has to be checked. Sealed columns are written and read by `signal`.
 */
import { unsealed } from "../core/cipher/cipher.ts";
import type { Vault } from "../core/cipher/cipher.ts";
import { HoldfastError } from "../core/error.ts";
import type { BroadcastOutcome, SignalRequest } from "../core/service/service.ts";
import type { Resealing } from "./reseal.ts";
import { Signals } from "./signal.ts";
import type { Held, SignalRow, Unreadable } from "./signal.ts";

export const bufferTables = `
  CREATE TABLE IF NOT EXISTS offers (
    name TEXT NOT NULL, id TEXT NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (name, id)
  ) WITHOUT ROWID, STRICT;
  CREATE TABLE IF NOT EXISTS broadcasts (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    sender TEXT NOT NULL,
    digest TEXT,
    delivered INTEGER,
    claimed_by TEXT,
    check_at INTEGER,
    expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS broadcasts_open ON broadcasts (name, number) WHERE delivered IS NULL;
  CREATE TABLE IF NOT EXISTS payloads (
    number INTEGER NOT NULL, part INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (number, part)
  ) WITHOUT ROWID, STRICT;`;

/**
 * Indexes for the frequent queries, so that their cost does not grow with the buffer: the free signals of a name, the claims
 * of a run, what has to be checked, what has expired. The index that is dropped covered both of the first two.
 */
export const bufferIndexes = `
  DROP INDEX IF EXISTS broadcasts_open;
  CREATE INDEX IF NOT EXISTS broadcasts_free ON broadcasts (name, number) WHERE delivered IS NULL AND claimed_by IS NULL;
  CREATE INDEX IF NOT EXISTS broadcasts_claimed ON broadcasts (claimed_by) WHERE claimed_by IS NOT NULL;
  CREATE INDEX IF NOT EXISTS broadcasts_checked ON broadcasts (check_at) WHERE check_at IS NOT NULL;
  CREATE INDEX IF NOT EXISTS broadcasts_expiry ON broadcasts (expires_at);
  CREATE INDEX IF NOT EXISTS offers_expiry ON offers (expires_at);`;

/** How long a claimer has before its claim is checked. */
export const claimMs = 60_000;

/** What `hold` finds: not delivered yet, to a claimer only while its sender has not finished, delivered, another signal. */
export type Hold =
  | { readonly kind: "open" }
  | { readonly kind: "taken" }
  | { readonly kind: "settled"; readonly delivered: number }
  | { readonly kind: "conflict" }
  | Unreadable;

/** Names in one statement: a text in it may have 2 MB. */
const namesAtOnce = 1000;

/** A signal that waits for a waiter; `number` is its place in the order of arrival. */
export type BufferedSignal = {
  readonly number: number;
  readonly id: string;
  readonly name: string;
  readonly expiresAt: number;
};

export class SignalBuffer {
  readonly #sql: SqlStorage;
  readonly #signals: Signals;

  /** @param vault seals payloads, senders and digests */
  constructor(sql: SqlStorage, vault: Vault = unsealed) {
    this.#sql = sql;
    this.#signals = new Signals(sql, vault);
  }

  offer(id: string, name: string, expiresAt: number): void {
    this.#sql.exec(
      "INSERT INTO offers (name, id, expires_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
      JSON.stringify(name),
      id,
      expiresAt,
    );
  }

  withdraw(id: string, name: string): void {
    this.#sql.exec("DELETE FROM offers WHERE name = ? AND id = ?", JSON.stringify(name), id);
  }

  /** Buffered signals that any run may claim, in order of arrival, strictly after the one of that number. */
  open(now: number, after: number, limit: number): BufferedSignal[] {
    return this.#sql
      .exec<BufferedSignal>(
        `SELECT number, id, name, expires_at AS expiresAt FROM broadcasts
         WHERE number > ? AND delivered IS NULL AND expires_at > ? ORDER BY number LIMIT ?`,
        after,
        now,
        limit,
      )
      .toArray();
  }

  /** The names for which something is buffered; a name that is given twice is returned twice. */
  offered(names: readonly string[], now: number): string[] {
    const wanted = [...new Set(names)].map((name) => JSON.stringify(name));
    const found = new Set<string>();
    for (let from = 0; from < wanted.length; from += namesAtOnce) {
      const rows = this.#sql.exec<{ name: string }>(
        `SELECT value AS name FROM json_each(?)
         WHERE EXISTS (SELECT 1 FROM offers WHERE name = value AND expires_at > ?)`,
        JSON.stringify(wanted.slice(from, from + namesAtOnce)),
        now,
      );
      for (const row of rows) found.add(JSON.parse(row.name) as string);
    }
    return names.filter((name) => found.has(name));
  }

  /**
   * Buffers a signal for the next waiter. `digest` is given if the sender chose the id: a repeated signal is compared by it,
   * and the id is remembered after delivery.
   */
  hold(id: string, signal: SignalRequest, digest: string | null, expiresAt: number, now: number): Hold {
    this.purge(now);
    const known = this.#sql
      .exec<{ name: string; digest: string | null; delivered: number | null; finished: number }>(
        "SELECT name, digest, delivered, finished FROM broadcasts WHERE id = ?",
        id,
      )
      .toArray()[0];
    if (known !== undefined) {
      const same = known.name === signal.name ? this.#signals.isSame(id, known.digest, digest) : false;
      if (same !== true) return same === false ? { kind: "conflict" } : same;
      if (known.delivered === null) return { kind: "open" };
      return known.finished === 0 ? { kind: "taken" } : { kind: "settled", delivered: known.delivered };
    }
    this.#signals.insert(id, signal, digest, expiresAt);
    return { kind: "open" };
  }

  /**
   * Claims the oldest open signal of the name for this run; one that it has claimed before comes first. Ids in `except` are
   * skipped. One that cannot be opened stays, to be checked again later, and blocks those behind it.
   * @throws HoldfastError key_missing, journal_corrupt, journal_newer
   */
  claim(name: string, runId: string, except: readonly string[], now: number): Held | null {
    for (const row of this.#open(name, runId, now)) {
      if (except.includes(row.id)) continue;
      const held = this.#opened(row, now + claimMs);
      return this.take(row.id, runId, now) ? held : null;
    }
    return null;
  }

  /** Signals of the name that the run has claimed, then free ones; read lazily. */
  *#open(name: string, runId: string, now: number): Generator<SignalRow> {
    const open = `SELECT number, id, name, sender FROM broadcasts
      WHERE name = ? AND delivered IS NULL AND expires_at > ?`;
    yield* this.#sql.exec<SignalRow>(`${open} AND claimed_by = ? ORDER BY number`, name, now, runId);
    yield* this.#sql.exec<SignalRow>(`${open} AND claimed_by IS NULL ORDER BY number`, name, now);
  }

  /** Claims this signal; false where it is gone or claimed by another run. */
  take(id: string, runId: string, now: number): boolean {
    const { rowsWritten } = this.#sql.exec(
      `UPDATE broadcasts SET claimed_by = ?, check_at = ?
       WHERE id = ? AND delivered IS NULL AND (claimed_by IS NULL OR claimed_by = ?)`,
      runId,
      now + claimMs,
      id,
      runId,
    );
    return rowsWritten > 0;
  }

  /** The run did not consume what it claimed. @param checkAt when to check it; null: when a new waiter comes */
  release(id: string, runId: string, checkAt: number | null): void {
    this.#sql.exec(
      "UPDATE broadcasts SET claimed_by = NULL, check_at = ? WHERE id = ? AND claimed_by = ? AND delivered IS NULL",
      checkAt,
      id,
      runId,
    );
  }

  /** The signal was delivered to that many runs. @param finished false where a claimer says so, and not the sender */
  settle(id: string, delivered: number, finished: boolean): void {
    this.#sql.exec("DELETE FROM payloads WHERE number = (SELECT number FROM broadcasts WHERE id = ?)", id);
    this.#sql.exec("DELETE FROM broadcasts WHERE id = ? AND digest IS NULL", id);
    this.#sql.exec(
      `UPDATE broadcasts SET delivered = max(ifnull(delivered, 0), ?), finished = max(finished, ?), claimed_by = NULL,
         check_at = NULL WHERE id = ?`,
      ...[delivered, Number(finished), id],
    );
  }

  /** Ends a broadcast that its sender could deliver to nobody; one that is no longer known was consumed by a waiter. */
  finish(id: string): BroadcastOutcome {
    this.#sql.exec("UPDATE broadcasts SET finished = 1 WHERE id = ? AND finished = 0", id);
    const row = this.#sql
      .exec<{ delivered: number | null; claimed_by: string | null }>(
        "SELECT delivered, claimed_by FROM broadcasts WHERE id = ?",
        id,
      )
      .toArray()[0];
    if (row !== undefined && row.delivered === null && row.claimed_by === null) return { delivered: 0, buffered: true };
    return { delivered: row?.delivered ?? 1, buffered: false };
  }

  /** Signals that have to be checked now, oldest first, with the run that claimed them. */
  unattended(now: number): { readonly id: string; readonly claimedBy: string | null }[] {
    // The unary plus keeps SQLite from scanning all rows in the order of the key.
    const rows = this.#sql.exec<{ id: string; claimed_by: string | null }>(
      "SELECT id, claimed_by FROM broadcasts WHERE delivered IS NULL AND check_at <= ? ORDER BY +number",
      now,
    );
    return Array.from(rows, (row) => ({ id: row.id, claimedBy: row.claimed_by }));
  }

  find(id: string): Held | null {
    const row = this.#sql
      .exec<SignalRow>("SELECT number, id, name, sender FROM broadcasts WHERE id = ? AND delivered IS NULL", id)
      .toArray()[0];
    return row === undefined ? null : this.#signals.open(row);
  }

  /** Sets when the signal is checked next. */
  checkAt(id: string, at: number): void {
    this.#sql.exec("UPDATE broadcasts SET check_at = ? WHERE id = ? AND delivered IS NULL", at, id);
  }

  /** No waiting run consumes it: it stays for the next run that begins to wait. */
  rest(id: string): void {
    this.#sql.exec("UPDATE broadcasts SET check_at = NULL WHERE id = ? AND claimed_by IS NULL", id);
  }

  /** Forgets what has expired. */
  purge(now: number): void {
    this.#sql.exec("DELETE FROM offers WHERE expires_at <= ?", now);
    this.#sql.exec("DELETE FROM payloads WHERE number IN (SELECT number FROM broadcasts WHERE expires_at <= ?)", now);
    this.#sql.exec("DELETE FROM broadcasts WHERE expires_at <= ?", now);
  }

  /** When something expires or has to be checked next; null for never. */
  dueAt(): number | null {
    return this.#sql
      .exec<{ at: number | null }>(
        `SELECT min(at) AS at FROM (
           SELECT min(expires_at) AS at FROM offers
           UNION ALL SELECT min(expires_at) FROM broadcasts
           UNION ALL SELECT min(check_at) FROM broadcasts WHERE delivered IS NULL AND check_at IS NOT NULL)`,
      )
      .one().at;
  }

  /** @param checkAt when to check it if it cannot be opened */
  #opened(row: SignalRow, checkAt: number): Held {
    try {
      return this.#signals.open(row);
    } catch (error) {
      this.checkAt(row.id, checkAt);
      throw error;
    }
  }

  /**
   * Seals up to `limit` of the signals after `after` with the newest key; `next` is where to continue, null at the end. One
   * that cannot be opened is counted, and not changed.
   */
  reseal(after: number, limit: number): Resealing<number> & { readonly failed: number } {
    const rows = this.#sql
      .exec<SignalRow & { digest: string | null }>(
        "SELECT number, id, name, sender, digest FROM broadcasts WHERE number > ? ORDER BY number LIMIT ?",
        after,
        limit,
      )
      .toArray();
    const total = { rows: 0, sealed: 0, failed: 0 };
    for (const row of rows) {
      try {
        const one = this.#signals.reseal(row);
        total.rows += one.rows;
        total.sealed += one.sealed;
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        total.failed++;
      }
    }
    return { ...total, next: rows.length < limit ? null : (rows.at(-1)?.number ?? null) };
  }
}
