/** A naive reference implementation of the statistics, which reads all runs for each figure. */
import type { RunStatus } from "../../src/core/run/run.ts";
import type { SampledRun } from "../../src/core/stats/sample.ts";
import type { StepTally } from "../../src/core/state/tally.ts";
import { runStatuses } from "../../src/core/run/run.ts";
import { createPick } from "./sample.ts";
import type { Pick } from "./sample.ts";

/** The value that so large a share of the values does not exceed, by sorting them. */
export function quantileOf(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? Number.NaN;
}

/** Off by so much of the exact value, at most. */
const tolerance = 0.02;

export function isNear(value: number, exact: number): boolean {
  return Math.abs(value - exact) <= exact * tolerance;
}

export function durationsOf(runs: readonly SampledRun[]): number[] {
  return runs.flatMap(({ status, createdAt, finishedAt }) =>
    finishedAt !== null && (status === "completed" || status === "failed") ? [finishedAt - createdAt] : [],
  );
}

export function countsOf(runs: readonly SampledRun[]) {
  const having = (...statuses: RunStatus[]): number => runs.filter(({ status }) => statuses.includes(status)).length;
  return {
    completed: having("completed"),
    failed: having("failed"),
    cancelled: having("cancelled"),
    open: having("queued", "running", "waiting", "paused"),
  };
}

/** All tallies of one step added up. */
export function stepOf(runs: readonly SampledRun[], step: string): StepTally {
  const tallies = runs.flatMap(({ tallies = {} }) => (Object.hasOwn(tallies, step) ? [tallies[step]] : []));
  const sum = (field: keyof StepTally): number => tallies.reduce((total, tally) => total + (tally?.[field] ?? 0), 0);
  return {
    completed: sum("completed"),
    failed: sum("failed"),
    failedAttempts: sum("failedAttempts"),
    ms: sum("ms"),
  };
}

/** Runs of three workflows, created at random instants of the window. */
export function randomRuns(seed: string, count: number, from: number, until: number): SampledRun[] {
  const pick = createPick(seed);
  return Array.from({ length: count }, () => randomRun(pick, from, until));
}

const steps = ["charge", "ship", "tell #3", "__proto__", "é\n"];

function randomRun(pick: Pick, from: number, until: number): SampledRun {
  const createdAt = from + pick.below(until - from);
  const status = pick.of(runStatuses);
  const open = !["completed", "failed", "cancelled"].includes(status);
  const finishedAt = open ? null : createdAt + pick.below(10 ** (1 + pick.below(8)));
  const tallies = Object.fromEntries(
    steps.slice(pick.below(steps.length)).map((step): [string, StepTally] => {
      const [completed, failed] = [pick.below(4), pick.below(3)];
      return [step, { completed, failed, failedAttempts: failed + pick.below(3), ms: pick.below(5000) }];
    }),
  );
  return { workflow: pick.of(["order", "mail", "report"]), status, createdAt, finishedAt, tallies };
}
