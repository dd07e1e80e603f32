/** Owns: the workloads that are timed. Each answers samples; none knows a budget. */
import { setTimeout as pause } from "node:timers/promises";
import { share, time } from "./client.ts";
import { mapSamples } from "./sample.ts";
import type { Samples } from "./sample.ts";
import { complete, interleave, once, park, signalToEnd } from "./system.ts";
import type { Effort, LocalSystem, System } from "./system.ts";

/** Runs everything until the just-in-time compilers have done their work. */
export async function warmUp(systems: readonly System[], runs = 40): Promise<void> {
  await interleave(systems, once, async (system) => {
    for (let run = 0; run < runs; run++) await complete(system, "steps", { count: 3 });
    await complete(system, "steps", { count: 200 });
    await complete(system, "parallel", { count: 200 });
    for (let run = 0; run < 5; run++) await signalToEnd(system, await park(system, 3));
    return 0;
  });
}

/** Milliseconds from sending the start to its answer, which comes with the end of the run. */
export function startToDone(
  systems: readonly System[],
  count: number,
  effort: Effort,
  workflow = "steps",
): Promise<Samples> {
  return interleave(systems, effort, (system) => time(() => complete(system, workflow, { count })));
}

export function parallelSteps(systems: readonly System[], count: number, effort: Effort): Promise<Samples> {
  return startToDone(systems, count, effort, "parallel");
}

/** Runs a second when so many clients start one after the other and wait for each. */
export function throughput(
  systems: readonly System[],
  runs: number,
  clients: number,
  effort: Effort,
): Promise<Samples> {
  return interleave(systems, effort, async (system) => {
    const tookMs = await time(() => share(runs, clients, () => complete(system, "steps", { count: 5 })));
    return (runs / tookMs) * 1000;
  });
}

/** Milliseconds from a signal to the end of the run that waited for it. @param rouse what happens just before */
export function signalToDone<Each extends System>(
  systems: readonly Each[],
  effort: Effort,
  rouse?: (system: Each, id: string) => Promise<void>,
): Promise<Samples> {
  return interleave(systems, effort, async (system) => {
    const ids = [];
    for (let run = 0; run < 8; run++) ids.push(await park(system, 1));
    await pause(20);
    const samples = [];
    for (const id of ids) {
      await rouse?.(system, id);
      samples.push(await signalToEnd(system, id));
      await pause(4);
    }
    return samples;
  });
}

/** The object's memory ends; what it stored stays. */
export function evict({ server }: LocalSystem, id: string): Promise<void> {
  return server.evict("RunObject", id);
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

/**
 * Milliseconds from a signal to the end of an evicted run, by its number of steps. The runs take turns, so that whatever else
 * the machine does hits all alike.
 */
export async function coldResume(
  systems: readonly LocalSystem[],
  counts: readonly number[],
  effort: Effort,
): Promise<ReadonlyMap<number, Samples>> {
  const samples = await interleave(systems, effort, async (system) => {
    const took: number[] = [];
    for (const count of counts) {
      const id = await park(system, count);
      await pause(50);
      await evict(system, id);
      await pause(20);
      took.push(await signalToEnd(system, id));
    }
    return took;
  });
  const ofCount = (count: number) => (each: readonly number[]) =>
    each.filter((_ms, at) => counts[at % counts.length] === count);
  return new Map(counts.map((count) => [count, mapSamples(samples, ofCount(count))]));
}
