/** Adds up the statistics of all shards. */
import type { Durations, SliceCounts, Stats, StatsQuery, StepStats, WorkflowStats } from "./stats.ts";
import { dayMs, hourMs, minuteMs, secondMs } from "../duration.ts";
import { addTally, byFailures } from "../state/tally.ts";
import type { StepTally, Tallies } from "../state/tally.ts";
import { noCounts } from "./sample.ts";
import type { Counts, Sample, SampleQuery } from "./sample.ts";
import { Sketcher } from "./sketch.ts";

const maxSlices = 60;
const maxSteps = 20;

/** Round lengths of slices, each at most two and a half times the one before, so that 24 to 60 slices always fit. */
const roundMs: readonly number[] = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 5, 10, 15, 30].map((seconds) => seconds * secondMs),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * minuteMs),
  ...[1, 2, 3, 6, 12].map((hours) => hours * hourMs),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].map((days) => days * dayMs),
];

/** The least round length with which 60 slices cover a window of this length, wherever it begins. */
export function sliceLength({ from, until }: Pick<StatsQuery, "from" | "until">): number {
  const fitting = roundMs.find((ms) => (until - from) / ms <= maxSlices - 1);
  return fitting ?? Math.ceil((until - from) / (maxSlices - 1));
}

function countSlices(from: number, until: number, sliceMs: number): number {
  return Math.ceil(until / sliceMs) - Math.floor(from / sliceMs);
}

type Sum = { readonly durations: Sketcher; readonly slices: Counts[]; readonly steps: Tallies };

/**
 * @param names workflows that are listed even if they have no run in the window
 */
export function sumUp(
  { from, until, sliceMs }: SampleQuery,
  samples: readonly Sample[],
  names: readonly string[],
): Omit<Stats, "lanes" | "moreLanes"> {
  const length = countSlices(from, until, sliceMs);
  const sums = new Map<string, Sum>(names.map((name) => [name, noSum(length)]));
  const durations = noSlices(length, () => new Sketcher());
  for (const sample of samples) {
    for (const { workflow, ...part } of sample.workflows) {
      const sum = sums.get(workflow) ?? noSum(length);
      sums.set(workflow, sum);
      sum.durations.merge(part.durations);
      for (const [slice, counts] of part.slices) addCounts(sum.slices[slice], counts);
      for (const [name, tally] of part.steps) addTally(sum.steps, name, tally, Infinity);
    }
    for (const [slice, sketch] of sample.durations) durations[slice]?.merge(sketch);
  }
  const workflows = [...sums].toSorted(([one], [other]) => (one < other ? -1 : 1));
  const totals = noSlices(length, noCounts);
  for (const [index, total] of totals.entries())
    for (const [, { slices }] of workflows) addCounts(total, slices[index]);
  const all = new Sketcher();
  for (const sketch of durations) all.merge(sketch.toSketch());
  return {
    from,
    until,
    total: summed(totals, all),
    workflows: workflows.map(([workflow, sum]) => workflowStats(workflow, sum)),
    slices: totals.map((counts, index) => ({
      at: (Math.floor(from / sliceMs) + index) * sliceMs,
      ...counts,
      durations: spread(durations[index]),
    })),
    sliceMs,
  };
}

function workflowStats(workflow: string, { durations, slices, steps }: Sum): WorkflowStats {
  const foremost = [...steps].toSorted(byFailures).slice(0, maxSteps);
  return {
    workflow,
    ...summed(slices, durations),
    steps: foremost.map(([step, tally]) => stepStats(step, tally)),
    slices,
  };
}

function summed(slices: readonly SliceCounts[], durations: Sketcher): Stats["total"] {
  const counts = noCounts();
  for (const slice of slices) addCounts(counts, slice);
  const { completed, failed } = counts;
  return { ...counts, successRate: share(completed, completed + failed), durations: spread(durations) };
}

function stepStats(step: string, tally: StepTally): StepStats {
  const ended = tally.completed + tally.failed;
  const meanMs = ended === 0 ? null : Math.round(tally.ms / ended);
  return { step, ...tally, failureRate: share(tally.failed, ended), meanMs };
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

function spread(sketcher: Sketcher | undefined): Durations | null {
  const p50 = sketcher?.quantile(0.5) ?? null;
  const p95 = sketcher?.quantile(0.95) ?? null;
  return sketcher === undefined || p50 === null || p95 === null ? null : { p50, p95, max: sketcher.max };
}

function addCounts(sum: Counts | undefined, { completed, failed, cancelled, open }: SliceCounts = noCounts()): void {
  if (sum === undefined) return;
  sum.completed += completed;
  sum.failed += failed;
  sum.cancelled += cancelled;
  sum.open += open;
}

function noSum(length: number): Sum {
  return { durations: new Sketcher(), slices: noSlices(length, noCounts), steps: new Map() };
}

function noSlices<Each>(length: number, make: () => Each): Each[] {
  return Array.from({ length }, make);
}
