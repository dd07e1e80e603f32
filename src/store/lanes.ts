/** The storage of a lane: a row for each ticket, and one for the rest. */
import { unsealed } from "../core/cipher/cipher.ts";
import type { Vault } from "../core/cipher/cipher.ts";
import type { KeyHolder } from "../core/lane/claim.ts";
import { HoldfastError } from "../core/error.ts";
import { defined } from "../core/record.ts";
import { noTerms } from "../core/lane/slot.ts";
import type { LaneBook, Setting, Slot, Terms } from "../core/lane/slot.ts";
import type { Ticket } from "../core/lane/ticket.ts";
import { hasTable, migrate } from "./migration.ts";
import type { Resealed } from "./reseal.ts";

const migrations = [
  `CREATE TABLE IF NOT EXISTS tickets (
     run TEXT NOT NULL,
     created_at INTEGER NOT NULL,
     step TEXT NOT NULL,
     turn INTEGER NOT NULL,
     priority REAL NOT NULL,
     hold INTEGER NOT NULL,
     enqueued_at INTEGER NOT NULL,
     granted_at INTEGER,
     told INTEGER NOT NULL,
     PRIMARY KEY (run, created_at, step)
   ) WITHOUT ROWID, STRICT;
   CREATE TABLE IF NOT EXISTS lane (one INTEGER PRIMARY KEY, state TEXT NOT NULL)`,
];

/** Requests with an Idempotency-Key that set the lane's limit; created on demand, because few lanes have any. */
const requestTable = `CREATE TABLE IF NOT EXISTS requests (
  key TEXT PRIMARY KEY, "limit" INTEGER, at INTEGER NOT NULL
) WITHOUT ROWID, STRICT`;

/** The state of a lane without its tickets and requests. */
export type LaneState = {
  readonly terms: Terms;
  readonly holder: KeyHolder | null;
  /** The lane is on the roll of lanes in use. */
  readonly registered: boolean;
  /** Requests with an Idempotency-Key, where an older version stored them here. */
  readonly requests?: readonly LimitRequest[];
};

export type LimitRequest = { readonly key: string; readonly limit: number | null; readonly at: number };

/** The stored form, in which the setting of the override may be sealed. */
type StoredState = Omit<LaneState, "terms"> & {
  readonly terms: Omit<Terms, "setting"> & { readonly setting?: Setting | string };
};

const settingPlace = "the setting of the lane";

const noState: LaneState = { terms: noTerms, holder: null, registered: false };

type TicketRow = {
  run: string;
  created_at: number;
  step: string;
  turn: number;
  priority: number;
  hold: number;
  enqueued_at: number;
  granted_at: number | null;
  told: number;
};

export class LaneStore implements LaneBook {
  readonly #sql: SqlStorage;
  readonly #vault: Vault;
  #state: LaneState = noState;
  #exists: boolean;
  /** A setting that could not be opened: what is shown instead, and the sealed text, which stays stored. */
  #closed: { readonly shown: Setting; readonly sealed: string } | null = null;

  /** Writes nothing, so that looking at a lane leaves nothing behind. @param vault seals who set a limit, and why */
  constructor(sql: SqlStorage, vault: Vault = unsealed) {
    this.#sql = sql;
    this.#vault = vault;
    this.#exists = hasTable(sql, "lane");
    const stored = this.#stored();
    if (stored !== undefined) this.#state = this.#opened(stored);
  }

  /** False until something was written. */
  get exists(): boolean {
    return this.#exists;
  }

  get state(): LaneState {
    return this.#state;
  }

  slots(): Slot[] {
    return this.#exists ? this.#sql.exec<TicketRow>("SELECT * FROM tickets").toArray().map(toSlot) : [];
  }

  put({ ticket, turn, priority, hold, enqueuedAt, grantedAt, told }: Slot): void {
    this.#open().exec(
      "INSERT OR REPLACE INTO tickets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      ...keyOf(ticket),
      turn,
      priority,
      Number(hold),
      enqueuedAt,
      grantedAt,
      Number(told),
    );
  }

  drop(ticket: Ticket): void {
    this.#open().exec("DELETE FROM tickets WHERE run = ? AND created_at = ? AND step = ?", ...keyOf(ticket));
  }

  putTerms(terms: Terms): void {
    this.save({ ...this.#state, terms });
  }

  save(state: LaneState): void {
    this.#open().exec("INSERT OR REPLACE INTO lane VALUES (1, ?)", JSON.stringify(this.#sealed(state)));
    this.#state = state;
  }

  /** The stored requests after `since`; of one key, or of any. */
  requests(since: number, key: string | null = null): LimitRequest[] {
    const old = this.#state.requests?.filter((request) => request.at > since && request.key === (key ?? request.key));
    if (!hasTable(this.#sql, "requests")) return old ?? [];
    const rows = this.#sql.exec<LimitRequest>(
      `SELECT key, "limit", at FROM requests WHERE at > ? AND key = ifnull(?, key)`,
      since,
      key,
    );
    return [...rows, ...(old ?? [])];
  }

  /** Stores a request, and forgets those up to `since`. */
  remember(request: LimitRequest, since: number): void {
    const sql = this.#open();
    sql.exec(requestTable);
    sql.exec("DELETE FROM requests WHERE at <= ?", since);
    const { requests = [], ...state } = this.#state;
    for (const { key, limit, at } of [...requests.filter(({ at }) => at > since), request])
      sql.exec("INSERT OR REPLACE INTO requests VALUES (?, ?, ?)", key, limit, at);
    if (requests.length > 0) this.save(state);
  }

  /** Seals the setting with the newest key; `failed`: it cannot be opened, and is not changed. */
  reseal(): Resealed & { readonly failed: number } {
    if (this.#closed !== null) return { rows: 1, sealed: 0, failed: 1 };
    const setting = this.#stored()?.terms.setting;
    if (setting === undefined) return { rows: 0, sealed: 0, failed: 0 };
    const isStale = this.#vault.isStale(typeof setting === "string" ? setting : "");
    if (isStale) this.save(this.#state);
    return { rows: 1, sealed: isStale ? 1 : 0, failed: 0 };
  }

  #stored(): StoredState | undefined {
    const row = this.#exists ? this.#sql.exec<{ state: string }>("SELECT state FROM lane").toArray()[0] : undefined;
    return row && (JSON.parse(row.state) as StoredState);
  }

  #sealed({ terms: { setting, ...terms }, ...state }: LaneState): StoredState {
    if (setting === undefined) return { ...state, terms };
    if (setting === this.#closed?.shown) return { ...state, terms: { ...terms, setting: this.#closed.sealed } };
    const text = JSON.stringify(setting);
    const sealed = this.#vault.seal(text, settingPlace);
    return { ...state, terms: { ...terms, setting: sealed === text ? setting : sealed } };
  }

  #opened({ terms: { setting, ...terms }, ...state }: StoredState): LaneState {
    if (typeof setting !== "string") return { ...state, terms: { ...terms, ...defined({ setting }) } };
    try {
      const opened = JSON.parse(this.#vault.open(setting, settingPlace)) as Setting;
      return { ...state, terms: { ...terms, setting: opened } };
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      // The limit itself still counts.
      const shown: Setting = { by: "unknown", at: 0, reason: `not to be read: ${error.message}` };
      this.#closed = { shown, sealed: setting };
      return { ...state, terms: { ...terms, setting: shown } };
    }
  }

  #open(): SqlStorage {
    if (!this.#exists) migrate(this.#sql, migrations);
    this.#exists = true;
    return this.#sql;
  }
}

/** The key of a ticket's row. An empty step stands for the run itself. */
function keyOf({ runId, createdAt, step }: Ticket): [string, number, string] {
  return [runId, createdAt, step ?? ""];
}

function toSlot(row: TicketRow): Slot {
  return {
    ticket: { runId: row.run, createdAt: row.created_at, step: row.step === "" ? null : row.step },
    turn: row.turn,
    priority: row.priority,
    hold: row.hold === 1,
    enqueuedAt: row.enqueued_at,
    grantedAt: row.granted_at,
    told: row.told === 1,
  };
}
