/**
 * Owns: statistics over all shards of the directory and all lanes.
 * Does not own: the counts of a shard (store/statistics), the arithmetic (core/stats).
 *
 * An answer is complete or an error: a shard that cannot be reached is never left out.
 */
import { HoldfastError } from "../../core/error.ts";
import type { LaneInfo, Lanes } from "../../core/service/lanes.ts";
import { noRuns } from "../../core/run/run.ts";
import type { Statistics } from "../../core/service/service.ts";
import type { Census, Stats, StatsQuery } from "../../core/stats/stats.ts";
import { sliceLength, sumUp } from "../../core/stats/summation.ts";
import type { Catalog } from "../deployment/catalog.ts";
import { askShards, byWorkflow, countRuns } from "./listing.ts";

/** Limited, because each lane is an object that has to be called. */
const maxLanes = 500;
const lanesAPage = 100;

export function createStatistics(catalog: Catalog, lanes: Lanes): Statistics {
  return {
    read: (query) => readStats(query, catalog, lanes),
    census: () => takeCensus(catalog),
  };
}

/** @throws HoldfastError workflow_not_found: it is not in the deployment, and has no runs */
async function readStats(query: StatsQuery, catalog: Catalog, lanes: Lanes): Promise<Stats> {
  const { workflow } = query;
  if (workflow !== undefined && !catalog.names().includes(workflow)) await checkKnown(workflow);
  const sampling = { ...query, sliceMs: sliceLength(query) };
  const [samples, listed] = await Promise.all([askShards((shard) => shard.sample(sampling)), listLanes(lanes)]);
  const names = workflow === undefined ? catalog.names() : [workflow];
  return { ...sumUp(sampling, samples, names), ...listed };
}

/** A workflow that was removed from the code may still have runs. */
async function checkKnown(workflow: string): Promise<void> {
  if ((await countRuns()).has(workflow)) return;
  const shown = JSON.stringify(workflow);
  throw new HoldfastError("workflow_not_found", `no workflow is called ${shown}, in this deployment or among its runs`);
}

async function listLanes(lanes: Lanes): Promise<Pick<Stats, "lanes" | "moreLanes">> {
  const listed: LaneInfo[] = [];
  let next: { readonly cursor?: string } | null = {};
  while (next !== null && listed.length < maxLanes) {
    const page: Awaited<ReturnType<Lanes["list"]>> = await lanes.list({ limit: lanesAPage, ...next });
    listed.push(...page.lanes);
    next = page.cursor === null ? null : { cursor: page.cursor };
  }
  return {
    lanes: listed.map(({ name, limit, used, waiting, queue }) => {
      return { name, limit, used, waiting, nextSinceAt: queue[0]?.sinceAt ?? null };
    }),
    moreLanes: next !== null,
  };
}

async function takeCensus(catalog: Catalog): Promise<Census> {
  const shards = await askShards((shard) => shard.census());
  const counts = byWorkflow(shards.flatMap((shard) => shard.counts));
  const oldest = new Map<string, number>();
  for (const { workflow, createdAt } of shards.flatMap(({ oldestOpen }) => oldestOpen)) {
    oldest.set(workflow, Math.min(createdAt, oldest.get(workflow) ?? Infinity));
  }
  const names = [...new Set([...catalog.names(), ...counts.keys()])].toSorted();
  const workflows = names.map((workflow) => {
    return { workflow, counts: counts.get(workflow) ?? noRuns(), oldestOpenAt: oldest.get(workflow) ?? null };
  });
  return { workflows, shards: shards.length };
}
