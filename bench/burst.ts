/** Owns: many runs begun at once, by clients that do not wait for their end. */
import { share } from "./client.ts";
import { part } from "./sample.ts";
import type { Samples } from "./sample.ts";
import { begin, ended, interleave } from "./system.ts";
import type { Effort, System } from "./system.ts";

export type Burst = {
  /** Starts that were answered, a second. */
  readonly accepted: Samples;
  /** Runs a second, from the first start to the end of the last run. */
  readonly done: Samples;
};

/** Once all are accepted, each is asked for its end, by as many clients. */
export async function startMany(
  systems: readonly System[],
  runs: number,
  clients: number,
  effort: Effort,
): Promise<Burst> {
  const both = await interleave(systems, effort, async (system) => {
    const ids: string[] = [];
    const before = performance.now();
    const perSecond = (): number => (runs / (performance.now() - before)) * 1000;
    await share(runs, clients, async () => ids.push(await begin(system, "steps", { count: 1 })));
    const accepted = perSecond();
    await share(runs, clients, (index) => ended(system, ids[index] ?? ""));
    return [accepted, perSecond()];
  });
  return { accepted: part(both, 0, 2), done: part(both, 1, 2) };
}
