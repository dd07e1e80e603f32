/** Owns: runs that wait for a call of their address. */
import { setTimeout as pause } from "node:timers/promises";
import type { Samples } from "./sample.ts";
import { callToEnd, interleave, parkRun } from "./system.ts";
import type { Effort, System } from "./system.ts";

/** Milliseconds from the call of a webhook's address to the end of the run that waited for it. */
export function webhookToDone(systems: readonly System[], effort: Effort): Promise<Samples> {
  return interleave(systems, effort, async (system) => {
    const runs = [];
    for (let run = 0; run < 8; run++) runs.push(await parkRun(system, "hook", {}));
    await pause(20);
    const samples = [];
    for (const { id, waitingFor = [] } of runs) {
      samples.push(await callToEnd(system, id, new URL(waitingFor[0]?.url ?? "").pathname));
      await pause(4);
    }
    return samples;
  });
}
