/** Owns: what is measured on this machine, one part after the other, each in runtimes of its own. */
import { atMost, figure } from "./budget.ts";
import type { Figure } from "./budget.ts";
import { timeCold } from "./cold.ts";
import { countCosts } from "./cost.ts";
import { timeDeath } from "./crash.ts";
import type { Compared, Plan } from "./comparison.ts";
import { diskKib, parkedKib } from "./footprint.ts";
import { fill, listedFilter, pageMs } from "./listing.ts";
import { serve } from "./server.ts";
import type { Server } from "./server.ts";
import type { LocalSystem } from "./system.ts";
import { timeBursts, timeSteps, timeWaits } from "./timing.ts";
import { measureUpload } from "./upload.ts";
import { warmUp } from "./workload.ts";

export async function measure(plan: Plan): Promise<Figure[]> {
  const timed = await withCompared(plan, (field) => measureTimes(field, plan));
  const listed = await measureListing(plan);
  plan.say("rows, statements, commits, calls");
  const counted = await withServers(["counted"], ([server]) => countCosts(server));
  const sized = await withCompared(plan, (field) => measureDisk(field, plan));
  const held = plan.isQuick ? [] : await measureMemory(plan);
  plan.say("start-up and bundle");
  const uploaded = await measureUpload(plan.pace(12, 8));
  return [...counted, ...timed, ...listed, ...held, ...sized, ...uploaded];
}

async function measureTimes(field: Compared<LocalSystem>, plan: Plan): Promise<Figure[]> {
  const { holdfast, floorA, floorB, hosted } = field;
  plan.say("warming up");
  await warmUp([holdfast, floorA, floorB, hosted]);
  const steps = await timeSteps(field, plan);
  const crowds = await timeBursts(field, plan);
  const waits = await timeWaits(field, plan);
  const cold = await timeCold(field, plan);
  plan.say("a killed process");
  const death = await timeDeath(holdfast);
  return [...steps, ...crowds, ...waits, ...cold, ...death];
}

async function measureListing({ isQuick, pace, say }: Plan): Promise<Figure[]> {
  const runs = isQuick ? 4000 : 20_000;
  say("listing");
  return withServers(["listed", "floor"], async ([listed, floor]) => {
    const holdfast: LocalSystem = { name: "holdfast", server: listed, input: {} };
    const list: LocalSystem = { name: "floorA", server: floor, input: {} };
    await fill(holdfast, list, runs);
    const pages = await pageMs([holdfast, list], pace(100, 5), listedFilter);
    return [figure(`a page of 50 by workflow and status, of ${runs.toLocaleString("en")} runs`, "ms", pages)];
  });
}

async function measureDisk({ holdfast, floorA, hosted }: Compared<LocalSystem>, { say }: Plan): Promise<Figure[]> {
  say("bytes on disk");
  const disk = await diskKib([holdfast, floorA, hosted]);
  return [figure("bytes on disk of a 5-step run", "KiB", disk, [atMost(1.25, "floorA")])];
}

/** In turn, in runtimes that are all there from the beginning. */
async function measureMemory({ say }: Plan): Promise<Figure[]> {
  say("memory of parked runs");
  const configs = ["floor", "holdfast", "emulator", "holdfast", "floor", "floor", "holdfast"] as const;
  const names = { holdfast: "holdfast", floor: "floorA", emulator: "emulator" } as const;
  return withServers(configs, async (servers) => {
    const systems = configs.map((config, index): LocalSystem => {
      const server = servers[index];
      if (server === undefined) throw new Error(`there is no runtime of ${config}`);
      return { name: names[config], server, input: {} };
    });
    const { kib, further, seconds } = await parkedKib(systems, 1000);
    return [
      figure("memory of a parked run after 15 s, of 1,000", "KiB", kib, [atMost(1.1, "floorA")]),
      figure("what each from the 301st to the 700th of them took", "KiB", further),
      figure("until those 1,000 waited", "s", seconds),
    ];
  });
}

/** The four, each in a process of its own, new for every use. */
function withCompared(plan: Plan, use: (field: Compared<LocalSystem>) => Promise<Figure[]>): Promise<Figure[]> {
  plan.say("starting the runtimes");
  return withServers(["holdfast", "floor", "emulator"], ([holdfast, floor, emulator]) =>
    use({
      holdfast: { name: "holdfast", server: holdfast, input: {} },
      floorA: { name: "floorA", server: floor, input: {} },
      floorB: { name: "floorB", server: floor, input: { sync: true } },
      hosted: { name: "emulator", server: emulator, input: {} },
    }),
  );
}

type Servers<Configs extends readonly string[]> = { readonly [Index in keyof Configs]: Server };

async function withServers<const Configs extends readonly string[]>(
  configs: Configs,
  use: (servers: Servers<Configs>) => Promise<Figure[]>,
): Promise<Figure[]> {
  const servers: Server[] = [];
  try {
    for (const config of configs) servers.push(await serve(config));
    return await use(servers as unknown as Servers<Configs>);
  } finally {
    for (const server of servers) await server.close();
  }
}
