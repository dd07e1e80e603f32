/** Owns: the workloads that are timed. Each answers samples; none knows a budget. */
import { setTimeout as pause } from "node:timers/promises";
import { median } from "./sample.ts";
import type { Samples } from "./sample.ts";
import { complete, interleave, once, park, signalToEnd } from "./system.ts";
import type { Effort, System } from "./system.ts";

/** Brings the compilers of all to where they stay. */
export async function warmUp(systems: readonly System[]): Promise<void> {
  await interleave(systems, once, async (system) => {
    for (let run = 0; run < 40; run++) await complete(system, "steps", { count: 3 });
    await complete(system, "steps", { count: 200 });
    await complete(system, "parallel", { count: 200 });
    for (let run = 0; run < 5; run++) await signalToEnd(system, await park(system, 3));
    return 0;
  });
}

/** Milliseconds from the start's request to its answer, with the end of the run in it. */
export function startToDone(systems: readonly System[], count: number, effort: Effort): Promise<Samples> {
  return interleave(systems, effort, (system) => time(() => complete(system, "steps", { count })));
}

export function parallelSteps(systems: readonly System[], count: number, effort: Effort): Promise<Samples> {
  return interleave(systems, effort, (system) => time(() => complete(system, "parallel", { count })));
}

/** Runs a second when so many clients start one after the other and wait for each. */
export function throughput(
  systems: readonly System[],
  runs: number,
  clients: number,
  effort: Effort,
): Promise<Samples> {
  return interleave(systems, effort, async (system) => {
    let left = runs;
    const client = async () => {
      while (left-- > 0) await complete(system, "steps", { count: 5 });
    };
    const tookMs = await time(() => Promise.all(Array.from({ length: clients }, client)));
    return (runs / tookMs) * 1000;
  });
}

/** Milliseconds from a signal to the end of the run that waited for it. */
export function signalToDone(
  systems: readonly System[],
  effort: Effort,
  options: { evict: boolean },
): Promise<Samples> {
  return interleave(systems, effort, async (system) => {
    const ids = [];
    for (let run = 0; run < 8; run++) ids.push(await park(system, 1));
    await pause(20);
    const samples = [];
    for (const id of ids) {
      if (options.evict) await system.server.evict("RunObject", id);
      samples.push(await signalToEnd(system, id));
      await pause(4);
    }
    return samples;
  });
}

/** Milliseconds by which a sleep of 500 ms was too long, by the clock of the workflow itself. */
export function sleepLateness(systems: readonly System[], effort: Effort): Promise<Samples> {
  return interleave(systems, effort, async (system) => {
    const naps = [];
    for (let run = 0; run < 25; run++) {
      naps.push(complete(system, "nap", { ms: 500 }));
      await pause(20);
    }
    return (await Promise.all(naps)).map(({ output }) => Number(output));
  });
}

/** Milliseconds from a signal to the end of a run with so many steps whose memory is gone. */
export function coldResume(systems: readonly System[], count: number, effort: Effort): Promise<Samples> {
  return interleave(systems, effort, async (system) => {
    const id = await park(system, count);
    await pause(50);
    await system.server.evict("RunObject", id);
    await pause(20);
    return await signalToEnd(system, id);
  });
}

const block = 250;

/** How much longer step 10,000 takes than step 10: the last 1,000 of a run by its first, by blocks of 250. */
export function growth(holdfast: System, effort: Effort): Promise<Samples> {
  const starts = [10, 260, 510, 760, 9000, 9250, 9500, 9750];
  const marks = [...new Set(starts.flatMap((start) => [start, start + block]))].toSorted((one, other) => one - other);
  return interleave([holdfast], effort, async (system) => {
    const { output } = await complete(system, "steps", { count: 10_000, marks });
    const at = new Map((output as number[]).map((instant, index) => [marks[index] ?? 0, instant]));
    const took = starts.map((start) => (at.get(start + block) ?? NaN) - (at.get(start) ?? NaN));
    return median(took.slice(4)) / median(took.slice(0, 4));
  });
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const before = performance.now();
  await work();
  return performance.now() - before;
}
