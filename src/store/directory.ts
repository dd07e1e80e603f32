/**
 * One shard of the directory. The primary key is the order of the listing and the only index, so a report writes one row. In
 * return, `waiters` and the first `counts` read the whole shard, about 0.1 and 0.4 seconds for 250,000 runs; counts are
 * cached in memory from then on.
 */
import { unsealed } from "../core/cipher/cipher.ts";
import type { Vault } from "../core/cipher/cipher.ts";
import { HoldfastError } from "../core/error.ts";
import type { RunStatus, RunSummary } from "../core/run/run.ts";
import type { Position } from "../core/listing/cursor.ts";
import type { Cause, GroupField, RunFilter, RunQuery } from "../core/service/directory.ts";
import { SignalBuffer, bufferIndexes, bufferTables } from "./buffer.ts";
import { countGroups, countRuns, listCauses } from "./census.ts";
import type { Groups } from "./census.ts";
import { conditionOf, quoted } from "./condition.ts";
import { migrate } from "./migration.ts";
import type { Resealing } from "./reseal.ts";
import { openRest, readRest, resealRest, restOf, saysTheSame, sealRest } from "./row.ts";
import type { RowKey } from "./row.ts";
import { listOf } from "./cause.ts";
import type { Source } from "./cause.ts";

const migrations: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS runs (
     created_at INTEGER NOT NULL,
     id TEXT NOT NULL,
     workflow TEXT NOT NULL,
     status TEXT NOT NULL,
     seq INTEGER NOT NULL,
     waits TEXT,
     labels TEXT NOT NULL,
     rest TEXT NOT NULL,
     PRIMARY KEY (created_at, id)
   ) WITHOUT ROWID, STRICT;
   ${bufferTables}`,
  // Virtual, so computed when it is read: the quoted code of the error, null where there is none.
  "ALTER TABLE runs ADD COLUMN code TEXT GENERATED ALWAYS AS (rest -> '$.error.code') VIRTUAL",
  bufferIndexes,
  // What older versions write counts as finished.
  "ALTER TABLE broadcasts ADD COLUMN finished INTEGER NOT NULL DEFAULT 1",
];

const maxWaits = 300_000;

type Row = {
  created_at: number;
  id: string;
  workflow: string;
  status: RunStatus;
  seq: number;
  labels: string;
  rest: string;
};
/** The result of a report: `listed`; or the row is the `same` already, or the report is `older` than it. */
export type Reported = "listed" | "same" | "older";
export type RunCount = { readonly workflow: string; readonly status: RunStatus; readonly count: number };

/** @param vault seals the rest of each row, and buffered signals */
export function openDirectory(
  sql: SqlStorage,
  vault: Vault = unsealed,
): { readonly runs: DirectoryStore; readonly signals: SignalBuffer } {
  migrate(sql, migrations);
  return { runs: new DirectoryStore(sql, vault), signals: new SignalBuffer(sql, vault) };
}

export class DirectoryStore {
  readonly #sql: SqlStorage;
  readonly #vault: Vault;
  /** Workflow → status → number of runs; null until someone asks. */
  #counts: Map<string, Map<RunStatus, number>> | null = null;

  constructor(sql: SqlStorage, vault: Vault = unsealed) {
    this.#sql = sql;
    this.#vault = vault;
  }

  /** Whether the run is listed. */
  holds({ createdAt, id }: Position): boolean {
    return this.#sql.exec("SELECT 1 FROM runs WHERE created_at = ? AND id = ?", createdAt, id).toArray().length > 0;
  }

  /** The positions of listed runs, oldest first, strictly after `after`. */
  positions(after: Position, limit: number): Position[] {
    const rows = this.#sql.exec<Position>(
      `SELECT created_at AS createdAt, id FROM runs WHERE (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?`,
      ...[after.createdAt, after.id, limit],
    );
    return rows.toArray();
  }

  /**
   * Stores the summary, unless the row has a higher `seq`. One of the same `seq` is stored if it differs: a run may change its
   * status without an entry (an attempt begins), or the row may be damaged.
   */
  report(summary: RunSummary): Reported {
    const { createdAt, id, workflow, status, seq, labels } = summary;
    const key: RowKey = { created_at: createdAt, id };
    const { text, rest } = restOf(summary);
    const [waits, pairs] = [waitsOf(summary), quoted(Object.entries(labels))];
    const held = this.#sql
      .exec<{ seq: number; workflow: string; status: RunStatus; waits: string | null; labels: string; rest: string }>(
        "SELECT seq, workflow, status, waits, labels, rest FROM runs WHERE created_at = ? AND id = ?",
        createdAt,
        id,
      )
      .toArray()[0];
    if (held !== undefined) {
      if (held.seq > seq) return "older";
      const alike = held.seq === seq && held.status === status && held.waits === waits && held.labels === pairs;
      if (alike && this.#saysTheSame(held.rest, text, key)) return "same";
    }
    this.#sql.exec(
      `INSERT INTO runs (created_at, id, workflow, status, seq, waits, labels, rest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET workflow = excluded.workflow, status = excluded.status, seq = excluded.seq,
         waits = excluded.waits, labels = excluded.labels, rest = excluded.rest`,
      createdAt,
      id,
      workflow,
      status,
      seq,
      waits,
      pairs,
      sealRest(this.#vault, text, rest, key),
    );
    if (held !== undefined) this.#count(held.workflow, held.status, -1);
    this.#count(workflow, status, 1);
    return "listed";
  }

  /** Whether it was listed. */
  remove(id: string, createdAt: number): boolean {
    const removed = this.#sql
      .exec<{ workflow: string; status: RunStatus }>(
        "DELETE FROM runs WHERE created_at = ? AND id = ? RETURNING workflow, status",
        createdAt,
        id,
      )
      .toArray()[0];
    if (removed !== undefined) this.#count(removed.workflow, removed.status, -1);
    return removed !== undefined;
  }

  /** Up to `query.limit` matching runs, newest first, strictly after `before`. */
  list(query: Omit<RunQuery, "cursor">, before: Position | null): RunSummary[] {
    const read = (limit: number, from: Position | null): RunSummary[] => this.#read(query, limit, from);
    return query.cause === undefined ? read(query.limit, before) : listOf(query.cause, query.limit, before, read);
  }

  /** Skips damaged rows and reads on, because a page that is not full means that there are no more. */
  #read(query: RunFilter, limit: number, from: Position | null): RunSummary[] {
    const found: RunSummary[] = [];
    for (let at = from; found.length < limit;) {
      const { where, values } = conditionOf(query, at);
      const rows = this.#sql
        .exec<Row>(
          `SELECT created_at, id, workflow, status, seq, labels, rest FROM runs WHERE ${where}
           ORDER BY created_at DESC, id DESC LIMIT ?`,
          ...values,
          limit,
        )
        .toArray();
      for (const row of rows) found.push(...toSummary(this.#vault, row));
      const last = rows.at(-1);
      if (last === undefined || rows.length < limit) break;
      at = { createdAt: last.created_at, id: last.id };
    }
    return found.slice(0, limit);
  }

  /** How many runs match, without those of the workflow `except`. Reads the whole shard. */
  count(filter: RunFilter, except: string): number {
    return countRuns(this.#source, filter, except);
  }

  groups(filter: RunFilter, groupBy: readonly GroupField[]): Groups {
    return countGroups(this.#source, filter, groupBy);
  }

  causes(filter: RunFilter): Cause[] {
    return listCauses(this.#source, filter);
  }

  get #source(): Source {
    return { sql: this.#sql, vault: this.#vault };
  }

  /** False for a row that cannot be opened or read, so that it is overwritten. */
  #saysTheSame(held: string, told: string, key: RowKey): boolean {
    try {
      return saysTheSame(openRest(this.#vault, held, key), told);
    } catch {
      return false;
    }
  }

  /** Seals up to `limit` rows after `after` with the newest key; a row that cannot be opened is counted. */
  reseal(after: Position, limit: number): Resealing<Position> & { readonly failed: number } {
    const rows = this.#sql
      .exec<RowKey & { rest: string }>(
        "SELECT created_at, id, rest FROM runs WHERE (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?",
        ...[after.createdAt, after.id, limit],
      )
      .toArray();
    let [sealed, failed] = [0, 0];
    for (const { rest, ...key } of rows) {
      try {
        const anew = resealRest(this.#vault, rest, key);
        if (anew === null) continue;
        this.#sql.exec("UPDATE runs SET rest = ? WHERE created_at = ? AND id = ?", anew, key.created_at, key.id);
        sealed++;
      } catch (error) {
        if (!(error instanceof HoldfastError) && !(error instanceof SyntaxError)) throw error;
        failed++;
      }
    }
    const last = rows.length < limit ? undefined : rows.at(-1);
    return {
      rows: rows.length,
      sealed,
      failed,
      next: last === undefined ? null : { createdAt: last.created_at, id: last.id },
    };
  }

  counts(): RunCount[] {
    this.#counts ??= this.#readCounts();
    const counts: RunCount[] = [];
    for (const [workflow, statuses] of this.#counts) {
      for (const [status, count] of statuses) if (count > 0) counts.push({ workflow, status, count });
    }
    return counts;
  }

  /** Ids of runs that wait for a signal of this name, or may: those that wait for too many names to list, or are damaged. */
  waiters(name: string): string[] {
    const rows = this.#sql.exec<{ id: string }>(
      `SELECT id FROM runs WHERE waits IS NOT '[]'
         AND (NOT ifnull(json_valid(waits), 0)
           OR EXISTS (SELECT 1 FROM json_each(iif(json_valid(waits), waits, '[]')) WHERE value = ?))`,
      JSON.stringify(name),
    );
    return Array.from(rows, (row) => row.id);
  }

  #readCounts(): Map<string, Map<RunStatus, number>> {
    const counts = new Map<string, Map<RunStatus, number>>();
    const rows = this.#sql.exec<RunCount>(
      "SELECT workflow, status, count(*) AS count FROM runs GROUP BY workflow, status",
    );
    for (const { workflow, status, count } of rows) statusesOf(counts, workflow).set(status, count);
    return counts;
  }

  #count(workflow: string, status: RunStatus, change: 1 | -1): void {
    if (this.#counts === null) return;
    const statuses = statusesOf(this.#counts, workflow);
    statuses.set(status, (statuses.get(status) ?? 0) + change);
  }
}

function statusesOf(counts: Map<string, Map<RunStatus, number>>, workflow: string): Map<RunStatus, number> {
  const statuses = counts.get(workflow) ?? new Map<RunStatus, number>();
  counts.set(workflow, statuses);
  return statuses;
}

/** The names of the open waits for signals; null where they are too many for a row. */
function waitsOf(summary: RunSummary): string | null {
  const names = new Set<string>();
  for (const wait of summary.waitingFor) if (wait.kind === "signal") names.add(wait.name);
  const text = quoted([...names]);
  return text.length > maxWaits ? null : text;
}

/** The summary of a row, or nothing where it is damaged. */
function toSummary(vault: Vault, row: Row): [] | [RunSummary] {
  const rest = readRest(vault, row.rest, row);
  const labels = labelsOf(row.labels);
  if (rest === null || labels === null) return [];
  const { created_at: createdAt, id, workflow, status, seq } = row;
  return [{ ...rest, createdAt, id, workflow, status, seq, labels }];
}

function labelsOf(text: string): Readonly<Record<string, string>> | null {
  try {
    return Object.fromEntries((JSON.parse(text) as string[]).map((pair) => JSON.parse(pair) as [string, string]));
  } catch {
    return null;
  }
}
