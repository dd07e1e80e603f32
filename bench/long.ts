/** Owns: runs of 10,000 steps: what the whole takes, and whether a step late in it costs more than an early one. */
import { time } from "./client.ts";
import { median } from "./sample.ts";
import type { Samples } from "./sample.ts";
import { complete, interleave } from "./system.ts";
import type { Effort, RunView, System } from "./system.ts";

export const longest = 10_000;
const block = 250;
const starts = [10, 260, 510, 760, 9000, 9250, 9500, 9750];
const marks = [...new Set(starts.flatMap((start) => [start, start + block]))].toSorted((one, other) => one - other);

export type Long = {
  /** Milliseconds from the start to the end. */
  readonly took: Samples;
  /** By how much steps 9,000 to 10,000 took longer than the first 1,000, by blocks of 250; Holdfast only. */
  readonly grown: Samples;
};

export async function longRuns(systems: readonly System[], effort: Effort): Promise<Long> {
  const grown: number[] = [];
  const took = await interleave(systems, effort, async (system) => {
    const input = system.name === "holdfast" ? { count: longest, marks } : { count: longest };
    let run: RunView | null = null;
    const tookMs = await time(async () => (run = await complete(system, "steps", input)));
    if (system.name === "holdfast") grown.push(growth((run as RunView | null)?.output as number[]));
    return tookMs;
  });
  return { took, grown: { holdfast: grown } };
}

/** @param instants at which each of the marks was passed, by the workflow's own clock */
function growth(instants: readonly number[]): number {
  const at = new Map(instants.map((instant, index) => [marks[index] ?? 0, instant]));
  const took = starts.map((start) => (at.get(start + block) ?? NaN) - (at.get(start) ?? NaN));
  return median(took.slice(4)) / median(took.slice(0, 4));
}
