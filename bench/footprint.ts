/** Owns: what runs leave behind: bytes on disk, and memory while they are parked. Runtimes of its own. */
import { setTimeout as pause } from "node:timers/promises";
import { share } from "./client.ts";
import { median } from "./sample.ts";
import type { Samples, SystemName } from "./sample.ts";
import { complete, interleave, once, park } from "./system.ts";
import type { LocalSystem } from "./system.ts";

const finished = 20;
const parkers = 50;
/** By then, what follows the answer to a start is done. */
const settleMs = 500;
const restMs = 15_000;

/** KiB of each run's files after 5 steps: while its object is in memory. */
export function diskKib(systems: readonly LocalSystem[]): Promise<Samples> {
  return interleave(systems, once, async (system) => {
    for (let run = 0; run < finished; run++) await complete(system, "steps", { count: 5 });
    await pause(300);
    return fileKib(system);
  });
}

/**
 * `further`: KiB that each of the runs in the middle took: what the runtime allocates only once was there, and no object was
 * evicted yet. `seconds`: from the first start until the last had begun to wait.
 */
export type Parked = { readonly kib: Samples; readonly further: Samples; readonly seconds: Samples };

/**
 * KiB of memory that each parked run still holds 15 s after the last of its runtime was started. All wait at once,
 * as far as that takes less than the 10 s after which the runtime lets go of an object that rests.
 * @param systems each in a runtime of its own that did nothing yet: what one has taken of the machine it never gives back
 */
export async function parkedKib(systems: readonly LocalSystem[], runs: number): Promise<Parked> {
  const kib: Partial<Record<SystemName, number[]>> = {};
  const further: Partial<Record<SystemName, number[]>> = {};
  const seconds: Partial<Record<SystemName, number[]>> = {};
  const rests: Promise<void>[] = [];
  // The next is filled while this one rests.
  for (const system of systems) {
    // Right before the others, which would use the memory of these if they had been evicted.
    await parkMany(system, parkers);
    await pause(settleMs);
    const before = system.server.memoryBytes();
    const began = performance.now();
    await parkMany(system, runs * 0.3);
    const early = system.server.memoryBytes();
    await parkMany(system, runs * 0.4);
    (further[system.name] ??= []).push((system.server.memoryBytes() - early) / (runs * 0.4) / 1024);
    await parkMany(system, runs * 0.3);
    (seconds[system.name] ??= []).push((performance.now() - began) / 1000);
    rests.push(rest(system).then((bytes) => void (kib[system.name] ??= []).push((bytes - before) / runs / 1024)));
  }
  await Promise.all(rests);
  return { kib, further, seconds };
}

async function rest({ server }: LocalSystem): Promise<number> {
  await pause(restMs);
  return server.memoryBytes();
}

function parkMany(system: LocalSystem, runs: number): Promise<void> {
  return share(runs, parkers, () => park(system, 1));
}

/** The median, because a system may keep objects of its own beside those of the runs. */
function fileKib({ name, server }: LocalSystem): number {
  const folder = name === "emulator" ? "" : "RunObject";
  return median([...server.objectBytes(folder).values()]) / 1024;
}
