/** Owns: which workload is measured how often, and against which budget. */
import { atLeast, atMost, figure, limit, perStep } from "./budget.ts";
import type { Figure } from "./budget.ts";
import { diskKib, parkedKib } from "./footprint.ts";
import { countRows } from "./rows.ts";
import { median } from "./sample.ts";
import type { Samples } from "./sample.ts";
import { serve } from "./server.ts";
import type { Server } from "./server.ts";
import type { Effort, System } from "./system.ts";
import {
  coldResume,
  growth,
  parallelSteps,
  signalToDone,
  sleepLateness,
  startToDone,
  throughput,
  warmUp,
} from "./workload.ts";

export type Plan = { readonly isQuick: boolean; readonly say: (what: string) => void };

type Systems = {
  readonly holdfast: System;
  readonly floorA: System;
  readonly floorB: System;
  readonly emulator: System;
};

export async function measure(plan: Plan): Promise<Figure[]> {
  const timed = await withSystems(plan, (systems) => measureTimes(systems, plan));
  const counted = await measureRows(plan);
  const sized = await withSystems(plan, (systems) => measureFootprint(systems, plan));
  return [...counted, ...timed, ...sized];
}

async function measureTimes(systems: Systems, { isQuick, say }: Plan): Promise<Figure[]> {
  const { holdfast, floorA, floorB, emulator } = systems;
  const all = [holdfast, floorA, floorB, emulator];
  /** Without what sets the floors apart: there is no step in the part that is timed. */
  const three = [holdfast, floorA, emulator];
  const effort = (rounds: number, seconds: number): Effort => {
    return isQuick ? { rounds: Math.ceil(rounds / 6), withinMs: seconds * 150 } : { rounds, withinMs: seconds * 1000 };
  };
  say("warming up");
  await warmUp(all);
  say("start to done");
  const one = await startToDone(all, 1, effort(150, 12));
  const eight = await startToDone(all, 8, effort(80, 12));
  say("sequential and parallel steps");
  const thousand = await startToDone(all, 1000, effort(9, 25));
  const parallel = await parallelSteps(all, 1000, effort(9, 25));
  const grown = await growth(holdfast, effort(7, 15));
  say("many clients");
  const many = await throughput(all, isQuick ? 100 : 500, 50, effort(4, 30));
  say("signals and sleeps");
  const warm = await signalToDone(three, effort(10, 12), { evict: false });
  const evicted = await signalToDone([holdfast, floorA], effort(8, 10), { evict: true });
  const late = await sleepLateness(three, effort(5, 20));
  say("cold resume");
  const cold = await measureCold([holdfast, floorA], effort(7, 8));
  return [
    figure("start → done, 1 step", "ms", one, [atMost(1.25, "floorA")]),
    figure("start → done, 8 steps", "ms", eight, []),
    figure("sequential no-op steps, each of 1,000", "ms", perStep(thousand, one, 1000), [
      atMost(1.2, "floorB"),
      atMost(1 / 8, "emulator"),
    ]),
    figure("step 10,000 against step 10", "×", grown, [limit(1.2, "")]),
    figure("1,000 parallel steps", "ms", parallel, [atMost(3, "floorB")]),
    figure(`${isQuick ? 100 : 500} runs of 5 steps, 50 clients`, "runs/s", many, [atLeast(0.8, "floorA")]),
    figure("signal → done", "ms", warm, [atMost(1.5, "floorA")]),
    figure("signal → done after an eviction", "ms", evicted, []),
    figure("lateness of a 500 ms sleep, p95", "ms", late, [atMost(1.3, "floorA")], 0.95),
    ...cold,
  ];
}

async function measureCold(systems: readonly System[], effort: Effort): Promise<Figure[]> {
  const hundred = await coldResume(systems, 100, effort);
  const thousand = await coldResume(systems, 1000, effort);
  const most = await coldResume(systems, 5000, effort);
  return [
    figure("cold resume after 100 steps", "ms", hundred, []),
    figure("cold resume after 1,000 steps", "ms", thousand, []),
    figure("cold resume after 5,000 steps", "ms", most, [limit(60, "ms")]),
    // "Linear": a step costs as much between 1,000 and 5,000 as before, with room for noise.
    figure("cold resume, a step after 1,000 against one before", "×", bend(hundred, thousand, most), [limit(1.5, "")]),
  ];
}

function bend(hundred: Samples, thousand: Samples, most: Samples): Samples {
  const [low, middle, high] = [hundred, thousand, most].map(({ holdfast = [] }) => median(holdfast));
  const early = ((middle ?? NaN) - (low ?? NaN)) / 900;
  return { holdfast: [((high ?? NaN) - (middle ?? NaN)) / 4000 / early] };
}

async function measureRows({ say }: Plan): Promise<Figure[]> {
  say("rows");
  const server = await serve("counted");
  try {
    const { holdfast, directory, floor } = await countRows(server);
    const rows = (what: string, own: number, floorA: number[], most: number) =>
      figure(what, "rows", { holdfast: [own], ...(floorA.length === 0 ? {} : { floorA }) }, [limit(most, "")]);
    return [
      rows("written per step", holdfast.perStep + directory.perStep, [floor.perStep], 1),
      rows("written per run besides its steps, own object", holdfast.perRun, [floor.perRun], 4),
      rows("written per run besides its steps, directory", directory.perRun, [], 4),
    ];
  } finally {
    await server.close();
  }
}

async function measureFootprint(systems: Systems, { isQuick, say }: Plan): Promise<Figure[]> {
  const { holdfast, floorA, emulator } = systems;
  const three = [holdfast, floorA, emulator];
  say("footprint");
  const disk = await diskKib(three);
  const figures = [figure("bytes on disk of a 5-step run", "KiB", disk, [atMost(1.25, "floorA")])];
  if (isQuick) return figures;
  const memory = await parkedKib(three, 200);
  return [figure("memory of a parked run after 15 s", "KiB", memory, [atMost(1.1, "floorA")]), ...figures];
}

/** Each in a process of its own, new for every use. */
async function withSystems(plan: Plan, use: (systems: Systems) => Promise<Figure[]>): Promise<Figure[]> {
  plan.say("starting the runtimes");
  const servers: Server[] = [];
  const open = async (config: string) => {
    const server = await serve(config);
    servers.push(server);
    return server;
  };
  try {
    const holdfast = await open("holdfast");
    const floor = await open("floor");
    const emulator = await open("emulator");
    return await use({
      holdfast: { name: "holdfast", server: holdfast, input: {} },
      floorA: { name: "floorA", server: floor, input: {} },
      floorB: { name: "floorB", server: floor, input: { sync: true } },
      emulator: { name: "emulator", server: emulator, input: {} },
    });
  } finally {
    for (const server of servers) await server.close();
  }
}
