/** Owns: what is measured side by side, and how often: the same here and at a deployment. */
import type { Effort, System } from "./system.ts";

/** `hosted` is the hosted product, or its emulator. */
export type Compared<Each extends System = System> = {
  readonly holdfast: Each;
  readonly floorA: Each;
  readonly floorB: Each;
  readonly hosted: Each;
};

/** @param sparing the hosted product takes part in every so many rounds only */
export type Pace = (rounds: number, seconds: number, sparing?: number) => Effort;

/** @param isQuick few samples: does it still run? */
export function paceOf(isQuick: boolean): Pace {
  return (rounds, seconds, sparing = 1) =>
    isQuick
      ? { rounds: Math.ceil(rounds / 6), withinMs: seconds * 150, sparing }
      : { rounds, withinMs: seconds * 1000, sparing };
}

export type Plan = {
  readonly isQuick: boolean;
  /** Through the network: a Worker's clock stands still while it computes, and a sync takes milliseconds. */
  readonly isDeployed: boolean;
  readonly pace: Pace;
  readonly say: (what: string) => void;
};
