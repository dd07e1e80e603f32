/** Owns: measuring deployments with 1, 2, 4 and 8 shards under thousands of runs, and one shard under repeated calls. */
import { share } from "../client.ts";
import { round } from "./figures.ts";
import type { Load, Probe } from "./figures.ts";
import { callsIn } from "./runtime.ts";
import type { Runtime, Tallies } from "./runtime.ts";

const clients = 50;
const steps = 2;
/** A shard without runs. */
const probe = "shard-900";

/** Starts that many runs as fast as possible, and returns the usage of each shard and register. */
export async function load(runtime: Runtime, shards: number, runs: number): Promise<Load> {
  // So that each object has created its tables before the count.
  const before = 20 * shards;
  await start(runtime, before);
  await runtime.settled();
  await start(runtime, runs);
  const tallies = await runtime.settled();
  const each = <Value>(of: (shard: number) => Value): Value[] =>
    Array.from({ length: shards }, (_, shard) => of(shard));
  return {
    shards,
    runs,
    clients,
    calls: each((shard) => callsOf(tallies, `DIRECTORY/shard-${shard}`)),
    rows: each((shard) => tallies[`DIRECTORY/shard-${shard}`]?.rowsWritten ?? 0),
    registerCalls: each((shard) => callsOf(tallies, `RUNS/.register-${shard}`)),
    registerRows: each((shard) => tallies[`RUNS/.register-${shard}`]?.rowsWritten ?? 0),
    listed: before + runs,
    asked: await ask(runtime, shards),
  };
}

async function start(runtime: Runtime, runs: number): Promise<void> {
  const path = "/v1/workflows/quick/runs?wait=60s";
  await share(runs, clients, () => runtime.fetch(path, { input: { count: steps } }));
}

/** The usage of shards for one request of each kind that goes to all of them, with empty memory. */
async function ask(runtime: Runtime, shards: number): Promise<Load["asked"]> {
  const requests: readonly (readonly [string, string, unknown?])[] = [
    ["a page of 50 runs", "/v1/runs?limit=50"],
    ["a page of 200 runs", "/v1/runs?limit=200"],
    ["a page that finds none", "/v1/runs?limit=50&status=failed"],
    ["the workflows, with their counts", "/v1/workflows"],
    ["counts in groups", "/v1/directory/counts?groupBy=workflow,status"],
    ["statistics of a day", "/v1/stats"],
    ["a scrape of /metrics", "/metrics"],
    ["a broadcast", "/v1/signals/nobody", {}],
  ];
  const asked: Load["asked"][number][] = [];
  for (const [what, path, body] of requests) {
    for (let shard = 0; shard < shards; shard++) await runtime.evict("DirectoryObject", `shard-${shard}`);
    const answer = await runtime.fetch(path, body);
    const tallies = await runtime.settled();
    const told = Object.entries(tallies).filter(([name]) => name.startsWith("DIRECTORY/"));
    asked.push({
      what,
      calls: told.reduce((sum, [, tally]) => sum + callsIn(tally), 0),
      rowsRead: told.reduce((sum, [, { rowsRead }]) => sum + rowsRead, 0),
      bytes: JSON.stringify(answer).length,
    });
  }
  return asked;
}

function callsOf(tallies: Tallies, name: string): number {
  return callsIn(tallies[name] ?? { calls: {} });
}

/** Reports that many runs to one shard, and then makes requests that read all of its rows. */
export async function askOneShard(runtime: Runtime, reports: number): Promise<Probe> {
  const warm = Math.ceil(reports / 10);
  // The reports are copies of the summary of this run.
  await start(runtime, 1);
  await runtime.settled();
  await runtime.fetch(`/report/${probe}/0/${warm}`);
  await runtime.fetch(`/knock/${probe}/${warm}`);
  const [shardBefore, registerBefore] = [await sizeOf(runtime, shardOf), await sizeOf(runtime, registerOf)];
  const reportCpuMs = (await cpu(runtime, () => runtime.fetch(`/report/${probe}/${warm}/${reports}`))) / reports;
  const emptyCallCpuMs = (await cpu(runtime, () => runtime.fetch(`/knock/${probe}/${reports}`))) / reports;
  const rows = reports + warm;
  const looks: Probe["looks"][number][] = [];
  for (const [what, method, args] of looksAtAll) {
    const times = 5;
    const spent = await cpu(runtime, async () => {
      for (let time = 0; time < times; time++) await runtime.fetch(`/look/${probe}/${method}`, args);
    });
    looks.push({ what, cpuUsPerRow: round((spent * 1000) / rows / times) });
  }
  return {
    reports,
    reportCpuMs: round(reportCpuMs),
    emptyCallCpuMs: round(emptyCallCpuMs),
    shardBytesPerRun: Math.round(((await sizeOf(runtime, shardOf)) - shardBefore) / reports),
    registerBytesPerRun: Math.round(((await sizeOf(runtime, registerOf)) - registerBefore) / reports),
    looks,
  };
}

const shardOf = `DIRECTORY/${probe}`;
const registerOf = "RUNS/.register-900";

/** Requests for which a shard reads each of its rows. */
const looksAtAll: readonly (readonly [string, string, readonly unknown[]])[] = [
  ["a page that finds none", "list", [{ limit: 50, status: ["failed"] }, null]],
  ["a count by a label", "count", [{ labels: { customer: "none" } }, ""]],
  ["counts in groups", "groups", [{}, ["workflow", "status"]]],
  ["who waits for a broadcast", "waiters", ["nobody"]],
];

async function cpu(runtime: Runtime, work: () => Promise<unknown>): Promise<number> {
  const before = runtime.cpuMs();
  await work();
  return runtime.cpuMs() - before;
}

async function sizeOf(runtime: Runtime, object: string): Promise<number> {
  return Number(await runtime.fetch(`/size/${object}`));
}
