/** Owns: counting what a run writes and whom it calls, on a Worker whose objects count (workers/counted.ts). */
import { setTimeout as pause } from "node:timers/promises";
import { commitsOf } from "./commit.ts";
import type { Server } from "./server.ts";
import type { RunView } from "./system.ts";
import type { Writes } from "./workers/count.ts";

/** What one object, or several, did; `commits` is read from the log of their databases. */
export type Work = Pick<Writes, "rows" | "untold" | "statements"> & { readonly commits: number };
export type Cost = { readonly perStep: number; readonly perRun: number };
export type Costs = Readonly<Record<keyof Work, Cost>>;

export type Counted = {
  readonly own: Costs;
  /** The shard of the directory, and its register. */
  readonly directory: Costs;
  readonly floor: Costs;
  /** Of the database; the pages of a long run are counted, as one page holds many steps. */
  readonly bytes: Cost;
  readonly floorBytes: Cost;
  /** From the Worker and from objects to objects; the call that starts the run is one. */
  readonly calls: Cost;
};

const few = 1;
const many = 41;
const long = 1001;
const runs = 5;

/** From runs of 1 and of 41 steps: what each further step adds, and what is left without steps. */
export async function countRuns(server: Server): Promise<Counted> {
  // The directory makes its tables once; they belong to no run.
  await start(server, few);
  await directoryWork(server);
  const short = await measure(server, few);
  const longer = await measure(server, many);
  const floor = [await floorWork(server, few), await floorWork(server, many)] as const;
  const longest = await writesOf(server, `RUNS/${await start(server, long)}`);
  return {
    own: costs(short.own, longer.own),
    directory: costs(short.directory, longer.directory),
    floor: costs(floor[0], floor[1]),
    bytes: cost(short.bytes, longest.bytes, long),
    floorBytes: cost(floor[0].bytes, (await floorWork(server, long)).bytes, long),
    calls: cost(short.calls, longer.calls),
  };
}

/** What `of` says of each kind of work. */
function ofEach<Value>(of: (name: keyof Work) => Value): Readonly<Record<keyof Work, Value>> {
  return { rows: of("rows"), untold: of("untold"), statements: of("statements"), commits: of("commits") };
}

function costs(short: Work, longer: Work): Costs {
  return ofEach((name) => cost(short[name], longer[name]));
}

function cost(short: number, longer: number, steps = many): Cost {
  const perStep = (longer - short) / (steps - few);
  return { perStep, perRun: short - perStep * few };
}

type Measured = { readonly own: Work; readonly bytes: number; readonly directory: Work; readonly calls: number };

async function measure(server: Server, steps: number): Promise<Measured> {
  const before = { directory: await directoryWork(server), calls: await callsMade(server) };
  const ids: string[] = [];
  for (let run = 0; run < runs; run++) ids.push(await start(server, steps));
  const directory = await directoryWork(server);
  const calls = await callsMade(server);
  const own: (Work & { readonly bytes: number })[] = [];
  for (const id of ids) own.push(await writesOf(server, `RUNS/${id}`));
  return {
    own: ofEach((name) => sum(own.map((work) => work[name])) / runs),
    bytes: sum(own.map(({ bytes }) => bytes)) / runs,
    directory: ofEach((name) => (directory[name] - before.directory[name]) / runs),
    calls: (calls - before.calls) / runs,
  };
}

async function start(server: Server, count: number): Promise<string> {
  const run = (await server.fetch("/v1/workflows/steps/runs?wait=60s", { input: { count } })) as RunView;
  return run.id;
}

async function floorWork(server: Server, count: number): Promise<Work & { readonly bytes: number }> {
  await server.fetch(`/floor/steps-${count}`, { count });
  return writesOf(server, `FLOOR/steps-${count}`);
}

/** What the directory has done once nothing more comes. */
async function directoryWork(server: Server): Promise<Work> {
  let before = -1;
  for (;;) {
    const [shard, register] = [await writesOf(server, "DIRECTORY/shard-0"), await writesOf(server, "RUNS/.register-0")];
    const both = ofEach((name) => shard[name] + register[name]);
    if (both.rows === before) return both;
    before = both.rows;
    await pause(700);
  }
}

async function writesOf(server: Server, object: string): Promise<Work & { readonly bytes: number }> {
  const writes = (await server.fetch(`/writes/${object}`)) as Writes;
  return { ...writes, commits: commitsOf(server.databaseOf(writes.id)) };
}

async function callsMade(server: Server): Promise<number> {
  return sum(Object.values((await server.fetch("/calls")) as Record<string, number>));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
