/**
 * Owns: putting the ports of a run together for the platform.
 * Does not own: their implementation.
 */
import type { World } from "../../engine/world.ts";
import { RunChildren } from "./children.ts";
import type { Self } from "./children.ts";
import type { StartRun } from "../start/preparation.ts";
import { couriers } from "../courier/couriers.ts";
import { deploymentId } from "../deployment/deployment.ts";
import { hookUrl } from "../webhook/token.ts";
import { longTurns } from "./turn.ts";

/** @param self called each time, because the object exists before its run */
export function createWorld(self: () => Self, startRun: StartRun): World {
  return {
    clock: { now: () => Date.now(), turn: longTurns() },
    deployment: deploymentId(),
    hookUrl: (call) => hookUrl(self(), call),
    children: new RunChildren(self, startRun),
    couriers,
  };
}
