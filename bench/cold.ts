/** Owns: runs whose object is no longer in memory when they are called. */
import { figure, limit } from "./budget.ts";
import type { Figure } from "./budget.ts";
import type { Compared, Plan } from "./comparison.ts";
import { trimmedMean } from "./sample.ts";
import type { Samples } from "./sample.ts";
import type { LocalSystem } from "./system.ts";
import { coldResume, evict, signalToDone } from "./workload.ts";

/**
 * What a step costs is computed from the differences between 100, 1,000 and 5,000 steps, so these are measured in turn, and
 * the short ones, whose times are mostly noise, several times.
 */
const plan = [
  { counts: [10], rounds: 12, seconds: 3 },
  { counts: [100, 1000, 5000, 1000, 100, 1000, 100], rounds: 14, seconds: 30 },
  { counts: [10_000], rounds: 4, seconds: 8 },
] as const;

export async function timeCold({ holdfast, floorA }: Compared<LocalSystem>, { pace, say }: Plan): Promise<Figure[]> {
  const both = [holdfast, floorA];
  say("cold resume");
  const signal = await signalToDone(both, pace(6, 5), evict);
  const resumed: [number, Samples][] = [];
  for (const { counts, rounds, seconds } of plan) {
    resumed.push(...(await coldResume(both, counts, pace(rounds, seconds))));
  }
  return [
    figure("signal → done after an eviction", "ms", signal),
    ...resumed.map(([count, samples]) =>
      figure(
        `cold resume after ${count.toLocaleString("en")} steps`,
        "ms",
        samples,
        count === 5000 ? [limit(60, "ms")] : [],
      ),
    ),
    // "Linear": a step costs as much between 1,000 and 5,000 as before, with room for noise.
    figure("cold resume, a step after 1,000 against one before", "×", bend(new Map(resumed)), [limit(1.5, "")]),
  ];
}

/** Of means: now and then the garbage collector takes some milliseconds, of which a median has all or nothing. */
function bend(resumed: ReadonlyMap<number, Samples>): Samples {
  const at = (count: number): number => trimmedMean(resumed.get(count)?.holdfast ?? [], 0.1);
  return { holdfast: [(at(5000) - at(1000)) / 4000 / ((at(1000) - at(100)) / 900)] };
}
