/** Where a lane is kept: one row a ticket, and one for the rest. */
import type { KeyHolder } from "../core/claim.ts";
import { noTerms } from "../core/slot.ts";
import type { LaneBook, Slot, Terms } from "../core/slot.ts";
import type { Ticket } from "../core/ticket.ts";
import { migrate } from "./migration.ts";

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

/** All of a lane but its tickets. */
export type LaneState = {
  readonly terms: Terms;
  readonly holder: KeyHolder | null;
  /** The roll has its name. */
  readonly registered: boolean;
};

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
  #state: LaneState = noState;
  #exists: boolean;

  /** Writes nothing: a lane that is only looked at leaves nothing behind. */
  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#exists = hasTable(sql, "lane");
    const row = this.#exists ? sql.exec<{ state: string }>("SELECT state FROM lane").toArray()[0] : undefined;
    if (row !== undefined) this.#state = JSON.parse(row.state) as LaneState;
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

  agree(terms: Terms): void {
    this.save({ ...this.#state, terms });
  }

  save(state: LaneState): void {
    this.#open().exec("INSERT OR REPLACE INTO lane VALUES (1, ?)", JSON.stringify(state));
    this.#state = state;
  }

  #open(): SqlStorage {
    if (!this.#exists) migrate(this.#sql, migrations);
    this.#exists = true;
    return this.#sql;
  }
}

/** No step has an empty name: one stands for the run itself. */
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

function hasTable(sql: SqlStorage, name: string): boolean {
  return sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name).toArray().length > 0;
}
