/** The part of `Service` about all runs together. */
import type { Author } from "../author.ts";
import type { RunSnapshot, RunStatus, RunSummary } from "../run/run.ts";

/** The index of runs as a whole. */
export interface Directory {
  /** How many runs match the filter, in groups; the largest first, at most 1,000 groups. */
  count(filter: RunFilter, groupBy: readonly GroupField[]): Promise<Counts>;
  /** Failed runs of the filter by cause: the most frequent first, at most 100. */
  causes(filter: RunFilter): Promise<readonly Cause[]>;
  /**
   * Runs of the filter whenever their listing changes, newest state only, in batches. `ready` comes first, and again
   * after changes that may have been missed: then the list has to be read again. Cancelling the stream ends the
   * subscription.
   */
  follow(filter: RunFilter): Promise<ReadableStream<readonly DirectoryChange[]>>;
  /** Starts the run that asks every run of a shard, or of all of them, to be listed anew. @throws shard_invalid */
  rebuild(request: RebuildRequest): Promise<RunSnapshot>;
  /** Starts the run that has everything sealed anew with the newest key. @throws config_invalid: there is none */
  rekey(request: RekeyRequest): Promise<RunSnapshot>;
}

export type RunQuery = {
  readonly workflow?: string;
  readonly status?: readonly RunStatus[];
  readonly labels?: Readonly<Record<string, string>>;
  /** Inclusive. */
  readonly createdAfter?: number;
  /** Exclusive. */
  readonly createdBefore?: number;
  /** The beginning of the ids. */
  readonly idPrefix?: string;
  /** The code of the run's error. */
  readonly errorCode?: string;
  /** The id of a cause: only runs that failed for it. */
  readonly cause?: string;
  readonly limit: number;
  readonly cursor?: string;
};

export type RunFilter = Omit<RunQuery, "limit" | "cursor">;

/** `label.KEY` for a label. */
export type GroupField = "workflow" | "status" | "errorCode" | `label.${string}`;

export type Counts = {
  readonly total: number;
  /** `key` has the fields that were asked for; null where a run has none. */
  readonly groups: readonly { readonly key: Readonly<Record<string, string | null>>; readonly count: number }[];
};

export type Cause = {
  /** Letters and digits; stable until the way causes are made changes. */
  readonly id: string;
  readonly workflow: string;
  readonly code: string | null;
  /** The step that failed, by name. */
  readonly step: string | null;
  /** That of the newest run. Messages that differ only in their numbers are one cause. */
  readonly message: string;
  readonly count: number;
  /** Ends of the first and the newest of them. */
  readonly firstAt: number;
  readonly lastAt: number;
  /** The newest of them. */
  readonly run: string;
  /** Letters and digits: the same for the failure of a child and for those of the runs that failed of it. */
  readonly root: string;
  /** How many runs it was passed on by: 0 where it happened. */
  readonly depth: number;
};

/** `removed`: the run is gone, or does not match the filter (any more). */
export type DirectoryChange =
  | { readonly kind: "ready" }
  | { readonly kind: "listed"; readonly run: RunSummary }
  | { readonly kind: "removed"; readonly id: string };

export type RekeyRequest = Author & { readonly key?: string; readonly reason?: string };

/** Which shard is rebuilt; all of them where none is named. */
export type RebuildRequest = RekeyRequest & { readonly shard?: number };
