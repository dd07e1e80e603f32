/**
 * Owns: one view over all shards of the directory.
 * Does not own: what a shard holds, or which run belongs to which shard.
 *
 * An answer is whole or it is an error: a shard that cannot be asked is never left out.
 */
import { Causes } from "../core/cause.ts";
import { byNewest, fromCursor, toCursor } from "../core/cursor.ts";
import { runStatuses } from "../core/run.ts";
import type { RunStatus, RunSummary } from "../core/run.ts";
import type { Cause, Counts, GroupField, RunFilter, RunQuery } from "../core/service.ts";
import { directoryShards } from "./address.ts";

const maxGroups = 1000;
const maxCauses = 100;

/** One page, newest first; `cursor` is null on the last. @throws HoldfastError cursor_invalid */
export async function listRuns(
  query: RunQuery,
): Promise<{ readonly runs: readonly RunSummary[]; readonly cursor: string | null }> {
  const { cursor, ...filter } = query;
  const before = cursor === undefined ? null : fromCursor(cursor, filter);
  // One more than the page, from each: whichever shard they come from, it shows whether more follow.
  const wanted = { ...filter, limit: query.limit + 1 };
  const parts = await Promise.all(directoryShards().map((shard) => shard.list(wanted, before)));
  const runs = once(parts.flat().toSorted(byNewest));
  const page = runs.slice(0, query.limit);
  const last = page.at(-1);
  return { runs: page, cursor: last === undefined || runs.length <= page.length ? null : toCursor(last, filter) };
}

/** A run that two shards list, as it may be while deployments take turns, is what the newer of them says. */
function once(runs: readonly RunSummary[]): RunSummary[] {
  const found: RunSummary[] = [];
  for (const run of runs) {
    const last = found.at(-1);
    if (last === undefined || last.id !== run.id || last.createdAt !== run.createdAt) found.push(run);
    else if (run.seq > last.seq) found[found.length - 1] = run;
  }
  return found;
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

/** Runs that fit in groups by the fields, the largest group first; without fields only how many there are. */
export async function countGroups(filter: RunFilter, groupBy: readonly GroupField[]): Promise<Counts> {
  const parts = await Promise.all(directoryShards().map((shard) => shard.groups(filter, groupBy)));
  const counts = new Map<string, { readonly key: Counts["groups"][number]["key"]; count: number }>();
  for (const { key: values, count } of parts.flatMap(({ groups }) => groups)) {
    const name = JSON.stringify(values);
    const known = counts.get(name);
    if (known !== undefined) known.count += count;
    else counts.set(name, { key: Object.fromEntries(groupBy.map((field, at) => [field, values[at] ?? null])), count });
  }
  const groups = [...counts].toSorted(
    ([left, one], [right, other]) => other.count - one.count || (left < right ? -1 : Number(left > right)),
  );
  return {
    total: parts.reduce((sum, { total }) => sum + total, 0),
    groups: groups.slice(0, maxGroups).map(([, group]) => group),
  };
}

/** Failed runs that fit by their cause, the most frequent first. */
export async function listCauses(filter: RunFilter): Promise<readonly Cause[]> {
  const parts = await Promise.all(directoryShards().map((shard) => shard.causes(filter)));
  const causes = new Causes(Infinity);
  for (const cause of parts.flat()) causes.merge(cause);
  return causes.top(maxCauses);
}

function noRuns(): Record<RunStatus, number> {
  return Object.fromEntries(runStatuses.map((status) => [status, 0])) as Record<RunStatus, number>;
}
