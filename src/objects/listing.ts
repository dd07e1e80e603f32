/**
 * Owns: one view over all shards of the directory.
 * Does not own: what a shard holds, or which run belongs to which shard.
 *
 * An answer is whole or it is an error: a shard that cannot be asked is never left out.
 */
import { byNewest, fromCursor, toCursor } from "../core/cursor.ts";
import { runStatuses } from "../core/run.ts";
import type { RunStatus, RunSummary } from "../core/run.ts";
import type { RunFilter, RunQuery } from "../core/service.ts";
import { directoryShards } from "./address.ts";

/** One page, newest first; `cursor` is null on the last. @throws HoldfastError cursor_invalid */
export async function listRuns(
  query: RunQuery,
): Promise<{ readonly runs: readonly RunSummary[]; readonly cursor: string | null }> {
  const { cursor, ...filter } = query;
  const before = cursor === undefined ? null : fromCursor(cursor, filter);
  // One more than the page, from each: whichever shard they come from, it shows whether more follow.
  const wanted = { ...filter, limit: query.limit + 1 };
  const parts = await Promise.all(directoryShards().map((shard) => shard.list(wanted, before)));
  const runs = parts.flat().toSorted(byNewest);
  const page = runs.slice(0, query.limit);
  const last = page.at(-1);
  return { runs: page, cursor: last === undefined || runs.length <= page.length ? null : toCursor(last, filter) };
}

/** How many runs fit, those of the workflow `except` aside. */
export async function countMatching(filter: RunFilter, except: string): Promise<number> {
  const counts = await Promise.all(directoryShards().map((shard) => shard.count(filter, except)));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Workflow → status → number of runs; every status is there, workflows without a run are not. */
export async function countRuns(): Promise<ReadonlyMap<string, Readonly<Record<RunStatus, number>>>> {
  const parts = await Promise.all(directoryShards().map((shard) => shard.counts()));
  const counts = new Map<string, Record<RunStatus, number>>();
  for (const { workflow, status, count } of parts.flat()) {
    const known = counts.get(workflow) ?? noRuns();
    known[status] += count;
    counts.set(workflow, known);
  }
  return counts;
}

function noRuns(): Record<RunStatus, number> {
  return Object.fromEntries(runStatuses.map((status) => [status, 0])) as Record<RunStatus, number>;
}

export function countGroups(..._args: readonly unknown[]): never {
  throw new Error("not built yet");
}

export function listCauses(..._args: readonly unknown[]): never {
  throw new Error("not built yet");
}
