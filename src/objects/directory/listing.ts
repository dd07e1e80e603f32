/**
 * Owns: reading the directory across all of its shards.
 * Does not own: the content of a shard, and which run belongs to which shard.
 *
 * An answer is complete or an error: a shard that cannot be reached is never left out.
 */
import { Causes } from "../../core/listing/cause.ts";
import { byNewest, fromCursor, toCursor } from "../../core/listing/cursor.ts";
import type { Position } from "../../core/listing/cursor.ts";
import type { RunStatus, RunSummary } from "../../core/run/run.ts";
import type { Cause, Counts, GroupField, RunFilter, RunQuery } from "../../core/service/directory.ts";
import { noRuns } from "../../core/run/run.ts";
import type { RunCount } from "../../store/directory.ts";
import { listingShards } from "./lag.ts";
import type { DirectoryRpc } from "../rpc/directory.ts";

const maxGroups = 1000;
const maxCauses = 100;
/** Added to twice the even share of a shard, because runs are not distributed evenly. */
const spare = 3;

/** What each shard answers. */
export async function askShards<Told>(ask: (shard: DirectoryRpc) => Promise<Told>): Promise<Told[]> {
  return await Promise.all((await listingShards()).map(ask));
}

/** One page, newest first; `cursor` is null on the last. @throws HoldfastError cursor_invalid */
export async function listRuns(
  query: RunQuery,
): Promise<{ readonly runs: readonly RunSummary[]; readonly cursor: string | null }> {
  const { cursor, ...filter } = query;
  const before = cursor === undefined ? null : fromCursor(cursor, filter);
  // One more than a page, to know whether more follow.
  const runs = await newest(filter, query.limit + 1, before);
  const page = runs.slice(0, query.limit);
  const last = page.at(-1);
  return { runs: page, cursor: last === undefined || runs.length <= page.length ? null : toCursor(last, filter) };
}

/** The newest matching runs of one shard, as far as they were read. */
type Part = { readonly shard: DirectoryRpc; readonly runs: RunSummary[]; isWhole: boolean };

/**
 * The newest `count` runs of all shards, or all runs. Each shard first returns twice its even share, so that many shards do
 * not send many more runs than few. Then shards that may have more of the newest ones return all that may be missing.
 */
async function newest(filter: Omit<RunQuery, "cursor">, count: number, before: Position | null): Promise<RunSummary[]> {
  const parts: Part[] = (await listingShards()).map((shard) => ({ shard, runs: [], isWhole: false }));
  const share = Math.min(count, 2 * Math.ceil(count / parts.length) + spare);
  await Promise.all(parts.map((part) => readOn(part, filter, share, before)));
  const found = merged(parts).at(count - 1);
  const behind = parts.filter(({ runs, isWhole }) => {
    const last = runs.at(-1);
    return !isWhole && last !== undefined && (found === undefined || byNewest(last, found) < 0);
  });
  if (behind.length === 0) return merged(parts);
  await Promise.all(behind.map((part) => readOn(part, filter, count - part.runs.length, part.runs.at(-1) ?? before)));
  return merged(parts);
}

async function readOn(
  part: Part,
  filter: Omit<RunQuery, "cursor">,
  limit: number,
  before: Position | null,
): Promise<void> {
  if (limit < 1) return;
  const more = await part.shard.list({ ...filter, limit }, before);
  part.runs.push(...more);
  part.isWhole = more.length < limit;
}

function merged(parts: readonly Part[]): RunSummary[] {
  return once(parts.flatMap(({ runs }) => runs).toSorted(byNewest));
}

/** Removes duplicates, which are possible during a deployment: of a run in two shards the newer report counts. */
function once(runs: readonly RunSummary[]): RunSummary[] {
  const found: RunSummary[] = [];
  for (const run of runs) {
    const last = found.at(-1);
    if (last === undefined || last.id !== run.id || last.createdAt !== run.createdAt) found.push(run);
    else if (run.seq > last.seq) found[found.length - 1] = run;
  }
  return found;
}

/** The number of matching runs, without those of the workflow `except`. */
export async function countMatching(filter: RunFilter, except: string): Promise<number> {
  const counts = await askShards((shard) => shard.count(filter, except));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Workflow → status → number of runs, with all statuses, but without workflows that have no runs. */
export async function countRuns(): Promise<ReadonlyMap<string, Readonly<Record<RunStatus, number>>>> {
  const parts = await askShards((shard) => shard.counts());
  return byWorkflow(parts.flat());
}

/** What shards have counted, added up as {@link countRuns} answers it. */
export function byWorkflow(counts: readonly RunCount[]): ReadonlyMap<string, Readonly<Record<RunStatus, number>>> {
  const sums = new Map<string, Record<RunStatus, number>>();
  for (const { workflow, status, count } of counts) {
    const known = sums.get(workflow) ?? noRuns();
    known[status] += count;
    sums.set(workflow, known);
  }
  return sums;
}

/** The matching runs grouped by the fields, the largest group first; without fields only their number. */
export async function countGroups(filter: RunFilter, groupBy: readonly GroupField[]): Promise<Counts> {
  const parts = await askShards((shard) => shard.groups(filter, groupBy));
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

/** The causes of matching failed runs, the most frequent first. */
export async function listCauses(filter: RunFilter): Promise<readonly Cause[]> {
  const parts = await askShards((shard) => shard.causes(filter));
  const causes = new Causes(Infinity);
  for (const cause of parts.flat()) causes.merge(cause);
  return causes.top(maxCauses);
}
