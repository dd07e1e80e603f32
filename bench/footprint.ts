/** Owns: what runs leave behind: bytes on disk, and memory while they are parked. Runtimes of its own. */
import { setTimeout as pause } from "node:timers/promises";
import { share } from "./client.ts";
import { median } from "./sample.ts";
import type { Samples } from "./sample.ts";
import { complete, interleave, once, park } from "./system.ts";
import type { LocalSystem } from "./system.ts";

const finished = 20;
const parkers = 50;
const restMs = 15_000;

/** KiB of each run's files after 5 steps: while its object is in memory. */
export function diskKib(systems: readonly LocalSystem[]): Promise<Samples> {
  return interleave(systems, once, async (system) => {
    for (let run = 0; run < finished; run++) await complete(system, "steps", { count: 5 });
    await pause(300);
    return fileKib(system);
  });
}

/** KiB of memory that each parked run still holds 15 s after the last of its system was started. All wait at once. */
export async function parkedKib(systems: readonly LocalSystem[], runs: number): Promise<Samples> {
  await interleave(systems, once, (system) => parkMany(system, parkers));
  const before = new Map(systems.map((system) => [system.name, system.server.memoryBytes()]));
  const rests: Promise<readonly [string, number[]]>[] = [];
  // The next is started while this one rests.
  for (const system of systems) {
    await parkMany(system, runs);
    rests.push(rest(system).then((bytes) => [system.name, [(bytes - (before.get(system.name) ?? NaN)) / runs / 1024]]));
  }
  return Object.fromEntries(await Promise.all(rests));
}

async function rest({ server }: LocalSystem): Promise<number> {
  await pause(restMs);
  return server.memoryBytes();
}

async function parkMany(system: LocalSystem, runs: number): Promise<number> {
  await share(runs, parkers, () => park(system, 1));
  return runs;
}

/** The median, because a system may keep objects of its own beside those of the runs. */
function fileKib({ name, server }: LocalSystem): number {
  const folder = name === "emulator" ? "" : "RunObject";
  return median([...server.objectBytes(folder).values()]) / 1024;
}
