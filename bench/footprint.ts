/** Owns: what runs leave behind: bytes on disk, and memory while they are parked. Runtimes of its own. */
import { setTimeout as pause } from "node:timers/promises";
import { median } from "./sample.ts";
import type { Samples } from "./sample.ts";
import { complete, interleave, park } from "./system.ts";
import type { System } from "./system.ts";

const finished = 20;

/** KiB of each run's files after 5 steps: while its object is in memory. */
export function diskKib(systems: readonly System[]): Promise<Samples> {
  return interleave(systems, 1, async (system) => {
    for (let run = 0; run < finished; run++) await complete(system, "steps", { count: 5 });
    await pause(300);
    return fileKib(system);
  });
}

/** KiB of memory that each parked run still holds after 15 s. All wait at once. */
export async function parkedKib(systems: readonly System[], runs: number): Promise<Samples> {
  for (const system of systems) for (let run = 0; run < 20; run++) await park(system, 1);
  const before = new Map(systems.map((system) => [system.name, system.server.memoryBytes()]));
  for (const system of systems) for (let run = 0; run < runs; run++) await park(system, 1);
  await pause(15_000);
  return Object.fromEntries(
    systems.map(({ name, server }) => [name, [(server.memoryBytes() - (before.get(name) ?? NaN)) / runs / 1024]]),
  );
}

/** The median, because a system may keep objects of its own beside those of the runs. */
function fileKib({ name, server }: System): number {
  const folder = name === "emulator" ? "" : "RunObject";
  return median([...server.objectBytes(folder).values()]) / 1024;
}
