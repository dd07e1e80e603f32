/** Owns: runs of 10,000 steps: what the whole takes, and whether a step late in it costs more than an early one. */
import { time } from "./client.ts";
import { trimmedMean } from "./sample.ts";
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
  /** How many times as long steps 9,000 to 10,000 took as steps 10 to 1,010; one figure, Holdfast only. */
  readonly grown: Samples;
};

export async function longRuns(systems: readonly System[], effort: Effort): Promise<Long> {
  const blocks: number[][] = [];
  const took = await interleave(systems, effort, async (system) => {
    const input = system.name === "holdfast" ? { count: longest, marks } : { count: longest };
    let run: RunView | null = null;
    const tookMs = await time(async () => (run = await complete(system, "steps", input)));
    if (system.name === "holdfast") blocks.push(blocksOf((run as RunView | null)?.output as number[]));
    return tookMs;
  });
  return { took, grown: { holdfast: [growth(blocks)] } };
}

/** @param instants at which each of the marks was passed, by the workflow's own clock, which counts milliseconds */
function blocksOf(instants: readonly number[]): number[] {
  const at = new Map(instants.map((instant, index) => [marks[index] ?? 0, instant]));
  return starts.map((start) => (at.get(start + block) ?? NaN) - (at.get(start) ?? NaN));
}

/** Over the blocks of all runs: one takes only a few milliseconds, and the clock counts whole ones. */
function growth(blocks: readonly (readonly number[])[]): number {
  const mean = (from: number, to: number): number =>
    trimmedMean(
      blocks.flatMap((run) => run.slice(from, to)),
      0.1,
    );
  return mean(4, 8) / mean(0, 4);
}
