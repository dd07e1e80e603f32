/**
 * What one shard of the index of runs says of many of them. Rows are in the order of creation, so a window
 * reads its own rows and no others. The oldest run that is open is looked for in all rows once; from then
 * on only in those that come behind where it was last found.
 */
import { unsealed } from "../core/cipher/cipher.ts";
import type { Vault } from "../core/cipher/cipher.ts";
import { defined } from "../core/record.ts";
import { isEnded, runStatuses } from "../core/run/run.ts";
import type { RunStatus, RunSummary } from "../core/run/run.ts";
import { Sampler } from "../core/stats/sample.ts";
import type { Sample, SampledRun, SampleQuery } from "../core/stats/sample.ts";
import { readRest } from "./row.ts";
import type { RowKey } from "./row.ts";

export type OldestOpen = { readonly workflow: string; readonly createdAt: number };

const open = JSON.stringify(runStatuses.filter((status) => !isEnded(status)));
const isOpen = "status IN (SELECT value FROM json_each(?))";

export class StatisticsStore {
  readonly #sql: SqlStorage;
  readonly #vault: Vault;
  /** By workflow, an instant before which no open run of it was created; null until someone asks. */
  #openFrom: Map<string, number> | null = null;

  constructor(sql: SqlStorage, vault: Vault = unsealed) {
    this.#sql = sql;
    this.#vault = vault;
  }

  /** To be told of every summary that the shard takes. */
  note({ workflow, status, createdAt }: RunSummary): void {
    if (this.#openFrom === null || isEnded(status)) return;
    this.#openFrom.set(workflow, Math.min(createdAt, this.#openFrom.get(workflow) ?? Infinity));
  }

  /** Of the runs of the window; reads a row for each run that was created in it, of whatever workflow. */
  sample(query: SampleQuery): Sample {
    const { from, until, workflow } = query;
    const sampler = new Sampler(query);
    const one = workflow === undefined ? [] : [workflow];
    const rows = this.#sql.exec<RowKey & { workflow: string; status: RunStatus; rest: string }>(
      `SELECT created_at, id, workflow, status, rest FROM runs
       WHERE created_at >= ? AND created_at < ? ${one.length === 0 ? "" : "AND workflow = ?"}`,
      ...[from, until, ...one],
    );
    for (const row of rows) {
      const { created_at: createdAt, workflow, status } = row;
      const rest: Pick<SampledRun, "finishedAt" | "tallies"> | null = readRest(this.#vault, row.rest, row);
      if (rest === null) continue;
      const { finishedAt, tallies } = rest;
      sampler.add({ workflow, status, createdAt, finishedAt, ...defined({ tallies }) });
    }
    return sampler.toSample();
  }

  /** The oldest run of each workflow that has not ended. */
  oldestOpen(): OldestOpen[] {
    this.#openFrom = this.#openFrom === null ? this.#findAll() : this.#findNext(this.#openFrom);
    return Array.from(this.#openFrom, ([workflow, createdAt]) => ({ workflow, createdAt }));
  }

  #findAll(): Map<string, number> {
    const rows = this.#sql.exec<{ workflow: string; createdAt: number }>(
      `SELECT workflow, min(created_at) AS createdAt FROM runs WHERE ${isOpen} GROUP BY workflow`,
      open,
    );
    return new Map(Array.from(rows, ({ workflow, createdAt }) => [workflow, createdAt]));
  }

  #findNext(openFrom: ReadonlyMap<string, number>): Map<string, number> {
    const found = new Map<string, number>();
    for (const [workflow, from] of openFrom) {
      const [first] = this.#sql
        .exec<{ createdAt: number }>(
          `SELECT created_at AS createdAt FROM runs WHERE created_at >= ? AND workflow = ? AND ${isOpen}
           ORDER BY created_at, id LIMIT 1`,
          ...[from, workflow, open],
        )
        .toArray();
      if (first !== undefined) found.set(workflow, first.createdAt);
    }
    return found;
  }
}
