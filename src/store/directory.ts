/**
 * One shard of the index of runs. The key is the order of the listing and the only index, so a
 * report writes one row. What follows from that: `waiters` and the first `counts` read the whole
 * shard, about 0.1 and 0.4 seconds for 250,000 runs; counts are kept in memory from then on.
 */
import { runStatuses } from "../core/run.ts";
import type { RunStatus, RunSummary } from "../core/run.ts";
import type { Position } from "../core/cursor.ts";
import type { RunFilter, RunQuery } from "../core/service.ts";
import { SignalBuffer, bufferTables } from "./buffer.ts";
import { migrate } from "./migration.ts";

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
];

/** A page of 201 summaries must fit into one answer of 32 MiB, so one summary has this many UTF-16 units. */
const maxRest = 40_000;
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
export type RunCount = { readonly workflow: string; readonly status: RunStatus; readonly count: number };
type Rest = Omit<RunSummary, "createdAt" | "id" | "workflow" | "status" | "seq" | "labels">;

export function openDirectory(sql: SqlStorage): { readonly runs: Directory; readonly signals: SignalBuffer } {
  migrate(sql, migrations);
  return { runs: new Directory(sql), signals: new SignalBuffer(sql) };
}

export class Directory {
  readonly #sql: SqlStorage;
  /** Workflow → status → number of runs; null until someone asks. */
  #counts: Map<string, Map<RunStatus, number>> | null = null;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /**
   * Takes the summary, unless what is held has a higher `seq`: then false. One of the same `seq` is
   * taken where it differs, because a run may change its status without an entry (an attempt begins).
   */
  report(summary: RunSummary): boolean {
    const { createdAt, id, workflow, status, seq, labels } = summary;
    const rest = restOf(summary);
    const held = this.#sql
      .exec<{ seq: number; workflow: string; status: RunStatus; rest: string }>(
        "SELECT seq, workflow, status, rest FROM runs WHERE created_at = ? AND id = ?",
        createdAt,
        id,
      )
      .toArray()[0];
    if (held !== undefined) {
      if (held.seq > seq) return false;
      if (held.seq === seq && held.status === status && held.rest === rest) return true;
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
      waitsOf(summary),
      quoted(Object.entries(labels)),
      rest,
    );
    if (held !== undefined) this.#count(held.workflow, held.status, -1);
    this.#count(workflow, status, 1);
    return true;
  }

  remove(id: string, createdAt: number): void {
    const removed = this.#sql
      .exec<{ workflow: string; status: RunStatus }>(
        "DELETE FROM runs WHERE created_at = ? AND id = ? RETURNING workflow, status",
        createdAt,
        id,
      )
      .toArray()[0];
    if (removed !== undefined) this.#count(removed.workflow, removed.status, -1);
  }

  /** Up to `query.limit` runs that fit, newest first, strictly after `before`. */
  list(query: Omit<RunQuery, "cursor">, before: Position | null): RunSummary[] {
    const { clauses, values } = conditionsOf(query, before);
    const rows = this.#sql.exec<Row>(
      `SELECT created_at, id, workflow, status, seq, labels, rest FROM runs WHERE ${clauses.join(" AND ")}
       ORDER BY created_at DESC, id DESC LIMIT ?`,
      ...values,
      query.limit,
    );
    return Array.from(rows, toSummary);
  }

  /** How many runs fit, those of the workflow `except` aside. Reads the whole shard. */
  count(filter: RunFilter, except: string): number {
    const { clauses, values } = conditionsOf(filter, null);
    const { count } = this.#sql
      .exec<{ count: number }>(
        `SELECT count(*) AS count FROM runs WHERE ${clauses.join(" AND ")} AND workflow <> ?`,
        ...values,
        except,
      )
      .one();
    return count;
  }

  counts(): RunCount[] {
    this.#counts ??= this.#readCounts();
    const counts: RunCount[] = [];
    for (const [workflow, statuses] of this.#counts) {
      for (const [status, count] of statuses) if (count > 0) counts.push({ workflow, status, count });
    }
    return counts;
  }

  /** Ids of runs that wait for a signal of this name, and of those that wait for too many names to list. */
  waiters(name: string): string[] {
    const rows = this.#sql.exec<{ id: string }>(
      `SELECT id FROM runs WHERE waits IS NOT '[]'
         AND (waits IS NULL OR EXISTS (SELECT 1 FROM json_each(runs.waits) WHERE value = ?))`,
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
  const known = counts.get(workflow);
  if (known !== undefined) return known;
  const statuses = new Map<RunStatus, number>(runStatuses.map((status) => [status, 0]));
  counts.set(workflow, statuses);
  return statuses;
}

type Conditions = { readonly clauses: readonly string[]; readonly values: readonly (string | number)[] };

function conditionsOf(query: RunFilter, before: Position | null): Conditions {
  const bound = upperBound(query.createdBefore, before);
  const clauses = ["(created_at, id) < (?, ?)"];
  const values: (string | number)[] = [bound.createdAt, bound.id];
  const filter = (clause: string, value: string | number): void => {
    clauses.push(clause);
    values.push(value);
  };
  if (query.createdAfter !== undefined) filter("created_at >= ?", query.createdAfter);
  if (query.workflow !== undefined) filter("workflow = ?", query.workflow);
  if (query.status !== undefined && query.status.length > 0) {
    filter("status IN (SELECT value FROM json_each(?))", JSON.stringify(query.status));
  }
  const labels = Object.entries(query.labels ?? {});
  if (labels.length > 0) {
    filter(
      `NOT EXISTS (SELECT 1 FROM json_each(?) AS wanted
         WHERE wanted.value NOT IN (SELECT value FROM json_each(runs.labels)))`,
      quoted(labels),
    );
  }
  return { clauses, values };
}

/** Both upper bounds are exclusive, so the lower one says it all. */
function upperBound(createdBefore: number | undefined, before: Position | null): Position {
  const instant = { createdAt: createdBefore ?? Number.MAX_SAFE_INTEGER, id: "" };
  if (before === null) return instant;
  return before.createdAt < instant.createdAt ? before : instant;
}

/** The names of the open signal waits; null where they are too many for a row. */
function waitsOf(summary: RunSummary): string | null {
  const names = new Set<string>();
  for (const wait of summary.waitingFor) if (wait.kind === "signal") names.add(wait.name);
  const text = quoted([...names]);
  return text.length > maxWaits ? null : text;
}

/**
 * A JSON list of JSON texts. Whatever a name or a label holds, its quoted form is plain text, so
 * SQLite's own reading of JSON (escapes, zero bytes, dots in keys) has nothing to get wrong.
 */
function quoted(values: readonly unknown[]): string {
  return JSON.stringify(values.map((value) => JSON.stringify(value)));
}

function restOf(summary: RunSummary): string {
  const {
    createdAt: _createdAt,
    id: _id,
    workflow: _workflow,
    status: _status,
    seq: _seq,
    labels: _labels,
    ...rest
  } = summary;
  const text = JSON.stringify(rest satisfies Rest);
  return text.length > maxRest ? JSON.stringify(shortened(rest)) : text;
}

/** What a list can do without; the run itself still has all of it. */
function shortened(rest: Rest): Rest {
  const cut = (text: string): string => (text.length > 1000 ? `${text.slice(0, 1000)}…` : text);
  const waitingFor = rest.waitingFor.slice(0, 10);
  const reason = rest.reason === null ? null : cut(rest.reason);
  if (rest.error === null) return { ...rest, waitingFor, reason };
  const { name, message, code, step, attempts } = rest.error;
  const error = {
    name: cut(name),
    message: cut(message),
    ...(code === undefined ? {} : { code }),
    ...(step === undefined ? {} : { step }),
    ...(attempts === undefined ? {} : { attempts }),
  };
  return { ...rest, waitingFor, reason, error };
}

function toSummary(row: Row): RunSummary {
  const labels = (JSON.parse(row.labels) as string[]).map((pair) => JSON.parse(pair) as [string, string]);
  return {
    ...(JSON.parse(row.rest) as Rest),
    createdAt: row.created_at,
    id: row.id,
    workflow: row.workflow,
    status: row.status,
    seq: row.seq,
    labels: Object.fromEntries(labels),
  };
}
