/**
 * Statistics of one shard of the directory about its runs of a window, in a form that can be added up over shards.
 */
import { isEnded } from "../run/run.ts";
import type { RunSummary } from "../run/run.ts";
import type { SliceCounts, StatsQuery } from "./stats.ts";
import { addTally, foremostTallies } from "../state/tally.ts";
import type { StepTally, Tallies } from "../state/tally.ts";
import { Sketcher } from "./sketch.ts";
import type { Sketch } from "./sketch.ts";

export type SampleQuery = StatsQuery & { readonly sliceMs: number };

/** The part of a run that is counted. Runs that an older version listed may have no tallies. */
export type SampledRun = Pick<RunSummary, "workflow" | "status" | "createdAt" | "finishedAt"> & {
  readonly tallies?: Readonly<Record<string, StepTally>>;
};

export type Sample = {
  readonly workflows: readonly WorkflowSample[];
  /** By the index of the slice, those in which a run completed or failed. */
  readonly durations: readonly (readonly [slice: number, durations: Sketch])[];
};

export type WorkflowSample = {
  readonly workflow: string;
  readonly durations: Sketch;
  /** By the index of the slice, those in which a run began. */
  readonly slices: readonly (readonly [slice: number, counts: SliceCounts])[];
  readonly steps: readonly (readonly [name: string, tally: StepTally])[];
};

/** How many step names of one workflow are counted apart. */
const maxNames = 500;

export type Counts = { -readonly [Key in keyof SliceCounts]: number };

export function noCounts(): Counts {
  return { completed: 0, failed: 0, cancelled: 0, open: 0 };
}

type Gathered = {
  readonly durations: Sketcher;
  readonly slices: Map<number, Counts>;
  readonly steps: Tallies;
};

export class Sampler {
  readonly #query: SampleQuery;
  readonly #workflows = new Map<string, Gathered>();
  readonly #durations = new Map<number, Sketcher>();

  constructor(query: SampleQuery) {
    this.#query = query;
  }

  /** A run that was created in the window. */
  add({ workflow, status, createdAt, finishedAt, tallies = {} }: SampledRun): void {
    const { from, sliceMs } = this.#query;
    const slice = sliceAt(createdAt, from, sliceMs);
    const known = this.#gathered(workflow);
    const counts = known.slices.get(slice) ?? noCounts();
    counts[isEnded(status) ? status : "open"]++;
    known.slices.set(slice, counts);
    for (const [name, tally] of Object.entries(tallies)) addTally(known.steps, name, tally, 2 * maxNames);
    if (finishedAt === null || (status !== "completed" && status !== "failed")) return;
    known.durations.add(finishedAt - createdAt);
    const durations = this.#durations.get(slice) ?? new Sketcher();
    durations.add(finishedAt - createdAt);
    this.#durations.set(slice, durations);
  }

  toSample(): Sample {
    return {
      workflows: Array.from(this.#workflows, ([workflow, { durations, slices, steps }]) => ({
        workflow,
        durations: durations.toSketch(),
        slices: [...slices],
        steps: foremostTallies(steps, maxNames),
      })),
      durations: Array.from(this.#durations, ([slice, durations]) => [slice, durations.toSketch()]),
    };
  }

  #gathered(workflow: string): Gathered {
    const known = this.#workflows.get(workflow);
    if (known !== undefined) return known;
    const made: Gathered = { durations: new Sketcher(), slices: new Map(), steps: new Map() };
    this.#workflows.set(workflow, made);
    return made;
  }
}

/** The index of the slice that an instant falls into, in a window that begins at `from`. */
function sliceAt(at: number, from: number, sliceMs: number): number {
  return Math.floor(at / sliceMs) - Math.floor(from / sliceMs);
}
