/**
 * Owns: the world of a run, as the platform provides it.
 * Does not own: what each part of it does.
 */
import type { World } from "../engine/world.ts";
import { createChildren } from "./children.ts";
import type { Self, StartRun } from "./children.ts";
import { createCouriers } from "./couriers.ts";
import { deploymentId } from "./deployment.ts";
import { hookUrl } from "./token.ts";
import { longTurns } from "./turn.ts";

/** @param self asked anew each time: the object is there before its run is */
export function createWorld(self: () => Self, startRun: StartRun): World {
  return {
    clock: { now: () => Date.now(), turn: longTurns() },
    deployment: deploymentId(),
    hookUrl: (call) => hookUrl(self(), call),
    children: createChildren(self, startRun),
    couriers: createCouriers(),
  };
}
