/** Statistics over the runs that are kept. Rates are from 0 to 1; null where nothing was counted. */
import type { RunStatus } from "../run/run.ts";
import type { StepTally } from "../state/tally.ts";

/** Runs that were created from `from` on and before `until`, epoch ms. */
export type StatsQuery = { readonly workflow?: string; readonly from: number; readonly until: number };

export type StepStats = StepTally & {
  readonly step: string;
  /** Failed calls among all that ended. */
  readonly failureRate: number | null;
  readonly meanMs: number | null;
};

/** From creation to end, in ms, of completed and failed runs. */
export type Durations = { readonly p50: number; readonly p95: number; readonly max: number };

/** The counts are of its runs in the whole window. */
export type WorkflowStats = SliceCounts & {
  readonly workflow: string;
  /** Completed among completed and failed. */
  readonly successRate: number | null;
  readonly durations: Durations | null;
  /** Those that fail most first; at most 20. */
  readonly steps: readonly StepStats[];
  /** Its runs in each slice of the window: as many as `Stats.slices`, at the same instants. */
  readonly slices: readonly SliceCounts[];
};

/** Runs created in a span of time, by their status now. */
export type SliceCounts = {
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly open: number;
};

/** A slice of the window. */
export type StatsSlice = SliceCounts & { readonly at: number; readonly durations: Durations | null };

export type Stats = {
  readonly from: number;
  readonly until: number;
  readonly total: Omit<WorkflowStats, "workflow" | "steps" | "slices">;
  /** By name. */
  readonly workflows: readonly WorkflowStats[];
  /** Slices of equal length, oldest first, including empty ones. */
  readonly slices: readonly StatsSlice[];
  readonly sliceMs: number;
  /** By name, at most 500. */
  readonly lanes: readonly {
    readonly name: string;
    readonly limit: number | null;
    readonly used: number;
    readonly waiting: number;
    /** Since when the next in the queue has waited, epoch ms; null where the queue is empty. */
    readonly nextSinceAt: number | null;
  }[];
  /** There are more lanes than these. */
  readonly moreLanes: boolean;
};

/** Counts of all runs now, whenever they were created. */
export type Census = {
  /** By name: workflows of the deployment, and those that have runs. */
  readonly workflows: readonly {
    readonly workflow: string;
    readonly counts: Readonly<Record<RunStatus, number>>;
    /** When the oldest run that has not ended was created, epoch ms. */
    readonly oldestOpenAt: number | null;
  }[];
  /** Shards of the directory, all of which have answered. */
  readonly shards: number;
};
