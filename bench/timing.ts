/** Owns: the times that can be taken through HTTP alone, each against its budget. */
import { atLeast, atMost, figure, limit, perStep } from "./budget.ts";
import type { Figure } from "./budget.ts";
import { startMany } from "./burst.ts";
import { childToDone } from "./children.ts";
import type { Compared, Plan } from "./comparison.ts";
import { webhookToDone } from "./hook.ts";
import { longRuns, longest } from "./long.ts";
import { parallelSteps, signalToDone, sleepLateness, startToDone, throughput } from "./workload.ts";

export async function timeSteps({ holdfast, floorA, floorB, hosted }: Compared, plan: Plan): Promise<Figure[]> {
  const { isDeployed, pace, say } = plan;
  const all = [holdfast, floorA, floorB, hosted];
  say("start to done");
  const one = await startToDone(all, 1, pace(140, 8));
  const eight = await startToDone(all, 8, pace(70, 6));
  say("sequential steps");
  const thousand = await startToDone(all, 1000, pace(9, 10, 3));
  const long = await longRuns(isDeployed ? [holdfast, floorA] : [holdfast, floorA, floorB], pace(5, 12));
  say("parallel steps, map, child");
  const hundred = await parallelSteps(all, 100, pace(24, 6, 4));
  const parallel = await parallelSteps(all, 1000, pace(9, 10, 3));
  const spread = await startToDone([holdfast, floorA, floorB], 1000, pace(9, 6), "spread");
  const { took, against } = await childToDone([holdfast, floorA, floorB], pace(50, 5));
  return [
    figure("start → done, 1 step", "ms", one, [atMost(1.25, "floorA")]),
    figure("start → done, 8 steps", "ms", eight),
    figure("sequential no-op steps, each of 1,000", "ms", perStep(thousand, one, 1000), [
      atMost(1.2, "floorB"),
      atMost(1 / 8, hosted.name),
    ]),
    figure("sequential no-op steps, each of 10,000", "ms", perStep(long.took, one, longest)),
    ...(isDeployed ? [] : [figure("step 10,000 against step 10", "×", long.grown, [limit(1.2, "")])]),
    figure("100 parallel steps", "ms", hundred),
    figure("1,000 parallel steps", "ms", parallel, [atMost(3, "floorB")]),
    figure("map of 1,000", "ms", spread),
    figure("start → done of a parent with one child of 1 step", "ms", took),
    figure("that by twice a run of 1 step", "×", against),
  ];
}

export async function timeBursts({ holdfast, floorA, floorB, hosted }: Compared, plan: Plan): Promise<Figure[]> {
  const { isQuick, pace, say } = plan;
  say("many clients");
  const [runs, starts] = isQuick ? [100, 200] : [500, 1000];
  const many = await throughput([holdfast, floorA, floorB, hosted], runs, 50, pace(3, 20, 3));
  say("many starts");
  const { accepted, done } = await startMany([holdfast, floorA, hosted], starts, 100, pace(2, 20, 2));
  const begun = `${starts.toLocaleString("en")} runs of 1 step begun at once`;
  return [
    figure(`${runs} runs of 5 steps, 50 clients`, "runs/s", many, [atLeast(0.8, "floorA")]),
    figure(`${begun}, accepted`, "runs/s", accepted),
    figure(`${begun}, until the last has ended`, "runs/s", done),
  ];
}

export async function timeWaits({ holdfast, floorA, hosted }: Compared, { pace, say }: Plan): Promise<Figure[]> {
  say("signals, webhooks and sleeps");
  const signal = await signalToDone([holdfast, floorA, hosted], pace(8, 6));
  const webhook = await webhookToDone([holdfast, floorA], pace(8, 5));
  const late = await sleepLateness([holdfast, floorA, hosted], pace(4, 10));
  return [
    figure("signal → done", "ms", signal, [atMost(1.5, "floorA")]),
    figure("webhook → done", "ms", webhook),
    figure("lateness of a 500 ms sleep, p95", "ms", late, [atMost(1.3, "floorA")], 0.95),
  ];
}
