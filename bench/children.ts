/** Owns: runs that begin a child and wait for it. */
import { time } from "./client.ts";
import { mapSamples, median, part } from "./sample.ts";
import type { Samples } from "./sample.ts";
import { complete, interleave } from "./system.ts";
import type { Effort, System } from "./system.ts";

export type ChildTimes = {
  /** Milliseconds from the start of a parent to its end; all it does is to wait for a child of one step. */
  readonly took: Samples;
  /** The same by twice what a run of one step takes by itself, measured in turn. */
  readonly against: Samples;
};

export async function childToDone(systems: readonly System[], effort: Effort): Promise<ChildTimes> {
  const both = await interleave(systems, effort, async (system) => [
    await time(() => complete(system, "family", {})),
    await time(() => complete(system, "steps", { count: 1 })),
  ]);
  const [took, single] = [part(both, 0, 2), part(both, 1, 2)];
  return { took, against: mapSamples(took, (each, name) => [median(each) / (2 * median(single[name] ?? []))]) };
}
