/**
 * Owns: making values and dates of a run's JSON.
 * Does not own: that JSON (http/view).
 */
import { reviveError } from "../core/error.ts";
import type { StoredError } from "../core/error.ts";
import type { RunView as OwnView } from "../core/definition/handle.ts";
import type { ActiveAttempt, Waiting } from "../core/run/run.ts";
import { received } from "./value.ts";

/** A run's usage of the platform so far, and its list price in US dollars. */
export type Cost = {
  readonly rowsWritten: number;
  readonly requests: number;
  readonly secondsAwake: number;
  readonly bytesStored: number;
  readonly usd: number;
};

/** What the API tells of an attempt in flight; `since` is epoch ms. */
type Active = Pick<ActiveAttempt, "step" | "attempt" | "since">;

/** A run as its client sees it: with plain values, and the run's own instants as dates. */
export type RunView<Output = unknown> = Omit<OwnView<Output>, "usage" | "schedule" | "active"> & {
  readonly cost: Cost;
  /** Attempts in flight, the oldest first, at most 20. */
  readonly active: readonly Active[];
};

/** A run as it is listed: without its values. */
export type ListedRun = Omit<RunView, "input" | "output" | "progress" | "active">;

/** An entry of a run's history as JSON: values as the API writes them, instants in RFC 3339. */
export type HistoryEntry = {
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  /** What happened, in a sentence. */
  readonly text: string;
  readonly [field: string]: unknown;
};

type Json<View> = { readonly [Field in keyof View]: unknown } & {
  readonly error: StoredError | null;
  readonly fork?: RunView["fork"];
  readonly waitingFor: readonly (Omit<Waiting, "since" | "until"> & { since: string; until: string | null })[];
} & Readonly<Record<"createdAt" | "updatedAt", string>> &
  Readonly<Record<"startedAt" | "finishedAt", string | null>>;

export type RunJson = Json<RunView> & {
  readonly active: readonly (Omit<Active, "since"> & { since: string })[];
};

export function viewRun<Output>(run: RunJson): RunView<Output> {
  return {
    ...viewListed(run),
    input: received(run.input),
    output: received(run.output) as Output | null,
    progress: received(run.progress),
    active: run.active.map((attempt) => ({ ...attempt, since: Date.parse(attempt.since) })),
  };
}

export function viewListed(run: Json<ListedRun>): ListedRun {
  const { error, fork = null, createdAt, startedAt, updatedAt, finishedAt, waitingFor } = run;
  return {
    ...(run as unknown as ListedRun),
    error: error === null ? null : reviveError(error),
    fork,
    createdAt: new Date(createdAt),
    startedAt: startedAt === null ? null : new Date(startedAt),
    updatedAt: new Date(updatedAt),
    finishedAt: finishedAt === null ? null : new Date(finishedAt),
    waitingFor: waitingFor.map((waiting) => ({
      ...waiting,
      since: Date.parse(waiting.since),
      until: waiting.until === null ? null : Date.parse(waiting.until),
    })),
  };
}
