/** Owns: counting the rows a run writes, on a Worker whose objects count (workers/count.ts). */
import { setTimeout as pause } from "node:timers/promises";
import type { Server } from "./server.ts";
import type { RunView } from "./system.ts";

export type Rows = { readonly perStep: number; readonly perRun: number };
export type RowCounts = {
  readonly holdfast: Rows;
  readonly directory: Rows;
  readonly floor: Rows;
};

const few = 1;
const many = 41;
const runs = 5;

/** From runs of 1 and of 41 steps: what each further step adds, and what is left without steps. */
export async function countRows(server: Server): Promise<RowCounts> {
  // The directory makes its tables once; they belong to no run.
  await start(server, few);
  await settled(server);
  const short = await measure(server, few);
  const long = await measure(server, many);
  return {
    holdfast: split(short.own, long.own),
    directory: split(short.directory, long.directory),
    floor: split(await floorRows(server, few), await floorRows(server, many)),
  };
}

function split(short: number, long: number): Rows {
  const perStep = (long - short) / (many - few);
  return { perStep, perRun: short - perStep * few };
}

async function measure(server: Server, count: number): Promise<{ own: number; directory: number }> {
  const before = await settled(server);
  let own = 0;
  const ids: string[] = [];
  for (let run = 0; run < runs; run++) ids.push(await start(server, count));
  const after = await settled(server);
  for (const id of ids) own += Number(await server.fetch(`/rows/RUNS/${id}`));
  return { own: own / runs, directory: (after - before) / runs };
}

async function start(server: Server, count: number): Promise<string> {
  const run = (await server.fetch("/v1/workflows/steps/runs?wait=60s", { input: { count } })) as RunView;
  return run.id;
}

async function floorRows(server: Server, count: number): Promise<number> {
  await server.fetch(`/floor/rows-${count}`, { count });
  return Number(await server.fetch(`/rows/FLOOR/rows-${count}`));
}

/** What the directory has written once nothing more comes. */
async function settled(server: Server): Promise<number> {
  let before = -1;
  for (;;) {
    const rows = Number(await server.fetch("/rows/DIRECTORY/shard-0"));
    if (rows === before) return rows;
    before = rows;
    await pause(700);
  }
}
