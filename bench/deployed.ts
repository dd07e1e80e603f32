/** Owns: what is measured of a deployment of workers/deployed.ts: whatever HTTP alone can say. */
import { figure } from "./budget.ts";
import type { Figure } from "./budget.ts";
import { time } from "./client.ts";
import type { Compared, Plan } from "./comparison.ts";
import { pageMs } from "./listing.ts";
import { readMeter } from "./meter.ts";
import { knock, reach } from "./remote.ts";
import type { Deployment } from "./remote.ts";
import { timeIdle } from "./idle.ts";
import { interleave } from "./system.ts";
import { timeBursts, timeSteps, timeWaits } from "./timing.ts";
import { warmUp } from "./workload.ts";

export async function measureDeployed(deployment: Deployment, plan: Plan): Promise<Figure[]> {
  const { pace, say } = plan;
  say(`knocking at ${deployment.url.origin}`);
  for (const prefix of ["", "/floor", "/hosted"]) await knock(deployment, `${prefix}/v1/workflows/steps/runs?wait=60s`);
  const field: Compared = {
    holdfast: { name: "holdfast", server: reach(deployment, ""), input: {} },
    floorA: { name: "floorA", server: reach(deployment, "/floor"), input: {} },
    floorB: { name: "floorB", server: reach(deployment, "/floor"), input: { sync: true } },
    hosted: { name: "hosted", server: reach(deployment, "/hosted"), input: {} },
  };
  say("warming up");
  await warmUp(Object.values(field), 5);
  say("round trips");
  const trips = await interleave([field.holdfast, field.floorA], pace(50, 5), ({ server }) =>
    time(() => server.fetch("/health")),
  );
  const figures = [
    figure("round trip of a call that does nothing", "ms", trips),
    ...(await timeSteps(field, plan)),
    ...(await timeBursts(field, plan)),
    ...(await timeWaits(field, plan)),
    ...(await timeIdle(field, plan)),
  ];
  say("listing and meter");
  const pages = await pageMs([field.holdfast], pace(50, 5), "workflow=steps&status=completed");
  return [
    ...figures,
    figure("a page of 50 by workflow and status, of the runs that are there", "ms", pages),
    ...(await readMeter(field.holdfast)),
  ];
}
