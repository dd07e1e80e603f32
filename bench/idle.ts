/** Owns: runs that nobody has called for long enough that the platform may let their objects go. */
import { setTimeout as pause } from "node:timers/promises";
import { figure } from "./budget.ts";
import type { Figure } from "./budget.ts";
import type { Compared, Plan } from "./comparison.ts";
import { part } from "./sample.ts";
import { interleave, once, park, signalToEnd } from "./system.ts";

const restMs = 20_000;
const counts = [1, 100, 1000, 5000] as const;

/** All are parked first and rest together; then one after the other gets its signal. */
export async function timeIdle({ holdfast, floorA }: Compared, { isQuick, say }: Plan): Promise<Figure[]> {
  say("rest");
  const rounds = isQuick ? 1 : 5;
  const both = [holdfast, floorA];
  const parked = new Map(both.map(({ name }) => [name, [] as string[]]));
  await interleave(both, { ...once, rounds }, async (system) => {
    for (const count of counts) parked.get(system.name)?.push(await park(system, count));
    return 0;
  });
  await pause(restMs);
  const samples = await interleave(both, { ...once, rounds: rounds * counts.length }, (system) =>
    signalToEnd(system, parked.get(system.name)?.shift() ?? ""),
  );
  return counts.map((count, index) =>
    figure(
      `signal → done after 20 s of rest, ${count.toLocaleString("en")} ${count === 1 ? "step" : "steps"}`,
      "ms",
      part(samples, index, counts.length),
    ),
  );
}
