/** Owns: the order of all counts, and combining them into one set of figures. */
import { cpus, type } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { round, takenOf } from "./figures.ts";
import type { Figures, Kind, Taken, TakenByKind } from "./figures.ts";
import { askOneShard, load } from "./load.ts";
import { callsIn, start } from "./runtime.ts";
import type { Runtime } from "./runtime.ts";
import { countShapes, takenBy } from "./shape.ts";
import type { Tally } from "./tally.ts";

export type Plan = { readonly isQuick: boolean; readonly say: (what: string) => void };

const shardCounts = [1, 2, 4, 8];

export async function count({ isQuick, say }: Plan): Promise<Figures> {
  const one = await withRuntime(1, async (runtime) => ({
    shapes: await countShapes(runtime, say),
    removal: await countRemoval(runtime),
    tick: await countTick(runtime),
    cpuMsPerRun: await cpuOfRuns(runtime, isQuick ? 100 : 300),
    rebuild: await countRebuild(runtime),
  }));
  say("one shard, asked over and over");
  const probe = await withRuntime(1, (runtime) => askOneShard(runtime, isQuick ? 2000 : 20_000));
  const loads: Figures["loads"][number][] = [];
  for (const shards of shardCounts) {
    say(`${shards} shard${shards === 1 ? "" : "s"} under load`);
    loads.push(await withRuntime(shards, (runtime) => load(runtime, shards, isQuick ? 200 : 2000)));
  }
  return { at: new Date().toISOString(), command: "npm run scale", machine: machine(), ...one, probe, loads };
}

async function withRuntime<Value>(shards: number, use: (runtime: Runtime) => Promise<Value>): Promise<Value> {
  const runtime = await start(shards);
  try {
    return await use(runtime);
  } finally {
    await runtime.close();
  }
}

/** The usage of a removal: of runs that are removed, without that of runs that are kept. */
async function countRemoval(runtime: Runtime): Promise<TakenByKind> {
  const kept = await countEnds(runtime, "quick");
  const removed = await countEnds(runtime, "brief");
  const kindsOfBoth = Object.keys(removed) as Kind[];
  return Object.fromEntries(kindsOfBoth.map((kind) => [kind, less(removed[kind], kept[kind])]));
}

async function countEnds(runtime: Runtime, workflow: string): Promise<TakenByKind> {
  const runs = 20;
  const ids: string[] = [];
  for (let made = 0; made < runs; made++) {
    const path = `/v1/workflows/${workflow}/runs?wait=60s`;
    ids.push(((await runtime.fetch(path, { input: { count: 1 } })) as { id: string }).id);
  }
  // Longer than the retention of `brief`.
  await pause(4000);
  return takenBy(await runtime.settled(), ids);
}

function less(one: Taken | undefined, other: Taken | undefined): Taken {
  return takenOf((field) => Math.max(0, round((one?.[field] ?? 0) - (other?.[field] ?? 0))));
}

async function countTick(runtime: Runtime): Promise<TakenByKind> {
  await runtime.tick();
  await runtime.settled();
  await runtime.evict("SchedulerObject", "scheduler");
  await runtime.tick();
  return takenBy(await runtime.settled(), ["the only one"]);
}

async function cpuOfRuns(runtime: Runtime, runs: number): Promise<number> {
  const before = runtime.cpuMs();
  for (let made = 0; made < runs; made++) {
    await runtime.fetch("/v1/workflows/quick/runs?wait=60s", { input: { count: 5 } });
  }
  return Math.round(((runtime.cpuMs() - before) / runs) * 100) / 100;
}

async function countRebuild(runtime: Runtime): Promise<Figures["rebuild"]> {
  await runtime.settled();
  const { total: runs } = (await runtime.fetch("/v1/directory/counts")) as { total: number };
  await runtime.settled();
  await runtime.fetch("/v1/directory/rebuild", {});
  const tallies = Object.values(await runtime.settled());
  const sum = (of: (tally: Tally) => number): number => tallies.reduce((all, tally) => all + of(tally), 0);
  return {
    runs,
    calls: sum(callsIn),
    rowsWritten: sum(({ rowsWritten }) => rowsWritten),
    rowsRead: sum(({ rowsRead }) => rowsRead),
  };
}

function machine(): string {
  const cores = cpus();
  return `${cores.length} × ${cores[0]?.model.trim() ?? "unknown"}, ${type()}, Node ${process.version}`;
}
