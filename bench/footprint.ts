/** Owns: what runs leave behind: bytes on disk, and memory while they are parked. Runtimes of its own. */
import { setTimeout as pause } from "node:timers/promises";
import { median } from "./sample.ts";
import type { Samples } from "./sample.ts";
import { complete, interleave, once, park } from "./system.ts";
import type { System } from "./system.ts";

const finished = 20;

/** KiB of each run's files after 5 steps: while its object is in memory. */
export function diskKib(systems: readonly System[]): Promise<Samples> {
  return interleave(systems, once, async (system) => {
    for (let run = 0; run < finished; run++) await complete(system, "steps", { count: 5 });
    await pause(300);
    return fileKib(system);
  });
}

/** KiB of memory that each parked run still holds after 15 s. All wait at once. */
export async function parkedKib(systems: readonly System[], runs: number): Promise<Samples> {
  await interleave(systems, once, (system) => parkMany(system, 20));
  const before = new Map(systems.map((system) => [system.name, system.server.memoryBytes()]));
  await interleave(systems, once, (system) => parkMany(system, runs));
  await pause(15_000);
  return Object.fromEntries(
    systems.map(({ name, server }) => [name, [(server.memoryBytes() - (before.get(name) ?? NaN)) / runs / 1024]]),
  );
}

async function parkMany(system: System, runs: number): Promise<number> {
  for (let left = runs; left > 0; left -= 10) {
    await Promise.all(Array.from({ length: Math.min(left, 10) }, () => park(system, 1)));
  }
  return runs;
}

/** The median, because a system may keep objects of its own beside those of the runs. */
function fileKib({ name, server }: System): number {
  const folder = name === "emulator" ? "" : "RunObject";
  return median([...server.objectBytes(folder).values()]) / 1024;
}
