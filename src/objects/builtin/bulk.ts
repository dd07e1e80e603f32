/**
 * Owns: the built-in workflow that applies one action to many runs: selecting them, acting on each, counting the results.
 * Does not own: the effect of an action on a run, authorization.
 *
 * Invariants
 * 1. All runs are selected before the first action, so that actions that change what the filter matches do not change the
 *    selection.
 * 2. Each run gets the action once, despite deaths of the process, because of the key of its step. Runs that were deleted are
 *    skipped, also if another run has the id by now.
 * 3. Runs of this workflow are not selected.
 */
import type { Author } from "../../core/author.ts";
import { toInstant } from "../../core/duration.ts";
import type { RunFilter } from "../../core/service/directory.ts";
import { defined } from "../../core/record.ts";
import type { BulkRequest, RunAction } from "../../core/service/service.ts";
import type { Step } from "../../core/definition/step.ts";
import { runObject } from "../address.ts";
import { actOnEach, builtIn, retries, startOf } from "./builtin.ts";
import type { BuiltInStart } from "./builtin.ts";
import { listRuns } from "../directory/listing.ts";
import { within } from "../patience.ts";

/** The input of the run; instants are RFC 3339 text. */
type Order = {
  readonly action: RunAction["kind"];
  readonly filter: Omit<RunFilter, "createdAfter" | "createdBefore"> & {
    readonly createdAfter?: string;
    readonly createdBefore?: string;
  };
  readonly reason: string | null;
};

/** Published as progress, and part of the output. */
type Tally = { total: number; done: number; succeeded: number; skipped: number; failed: number };

/** A run without the action: `skipped` if it refused, `failed` if it could not be reached. */
type Refused = {
  readonly run: string;
  readonly outcome: "skipped" | "failed";
  readonly code: string;
  readonly message: string;
};

/** Waited before the selection, because the directory may be late, and runs that were just started have to be included. */
const settleMs = 1000;
const pageLimit = 200;
/** The number of runs for one step. */
const stepRuns = 100;
const maxRefusals = 100;
/** The limit for a call of a run, longer than any healthy one. */
const callLimitMs = 30_000;

export const bulk = builtIn("holdfast.bulk", handle);

/** The start of the run for a request. */
export function bulkStart({ action, filter, reason, ...request }: BulkRequest): BuiltInStart {
  const { createdAfter, createdBefore, ...rest } = filter;
  const order: Order = {
    action,
    filter: {
      ...rest,
      ...(createdAfter === undefined ? {} : { createdAfter: new Date(createdAfter).toISOString() }),
      ...(createdBefore === undefined ? {} : { createdBefore: new Date(createdBefore).toISOString() }),
    },
    reason,
  };
  return startOf(order, "the bulk action", request);
}

async function handle({ action: kind, filter, reason }: Order, step: Step): Promise<unknown> {
  const why = reasonOf(reason, step.info.author);
  const action = { kind, by: `bulk ${step.info.id}`, reason: why, createdBefore: beforeOf(step) };
  await step.sleep("settle", settleMs);
  const runs = await select(filter, step);
  const tally: Tally = { total: runs.length, done: 0, succeeded: 0, skipped: 0, failed: 0 };
  const refusals: Refused[] = [];
  step.progress({ ...tally });
  for (let from = 0; from < runs.length; from += stepRuns) {
    const part = runs.slice(from, from + stepRuns);
    const refused = await step.run("act", ({ attempt, idempotencyKey: key, signal }) =>
      act(part, { ...action, ...keyOf(kind, key) }, attempt > retries, signal),
    );
    const failed = refused.filter(({ outcome }) => outcome === "failed").length;
    tally.done += part.length;
    tally.failed += failed;
    tally.skipped += refused.length - failed;
    tally.succeeded += part.length - refused.length;
    refusals.push(...refused.slice(0, maxRefusals - refusals.length));
    step.progress({ ...tally });
  }
  return { ...tally, refusals };
}

/** A deletion needs no key, and its object would have to keep the key for a day. */
function keyOf(kind: RunAction["kind"], key: string): Pick<RunAction, "key"> {
  return kind === "delete" ? {} : { key };
}

/** The reason that each run records; it names the author if that is a person and not only a token. */
function reasonOf(reason: string | null, { by, role }: Author): string | null {
  if (role === undefined) return reason;
  return reason === null ? `asked for by ${by}` : `${reason} (asked for by ${by})`;
}

/** Excludes runs that were created later. */
function beforeOf({ info }: Step): number {
  return info.startedAt + 1;
}

/** The matching runs that existed when this one began, newest first. */
async function select({ createdAfter, createdBefore, ...rest }: Order["filter"], step: Step): Promise<string[]> {
  const filter: RunFilter = {
    ...rest,
    ...(createdAfter === undefined ? {} : { createdAfter: toInstant(createdAfter) }),
    createdBefore: Math.min(createdBefore === undefined ? Infinity : toInstant(createdBefore), beforeOf(step)),
  };
  const selected: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const from = cursor;
    const page = await step.run("select", () => selectPage(filter, from));
    selected.push(...page.runs);
    cursor = page.cursor;
  }
  return selected;
}

async function selectPage(filter: RunFilter, cursor: string | undefined) {
  const page = await listRuns({ ...filter, limit: pageLimit, ...defined({ cursor }) });
  const runs = page.runs.filter(({ workflow }) => workflow !== bulk.name).map(({ id }) => id);
  return { runs, cursor: page.cursor };
}

/**
 * Acts on each run; runs that got the action before recognize its key.
 * @param isLast no attempt is left, so runs that cannot be reached are counted instead of failing the step
 * @param stop aborts when this run is cancelled or the attempt times out
 */
async function act(runs: readonly string[], action: RunAction, isLast: boolean, stop: AbortSignal): Promise<Refused[]> {
  const refused: Refused[] = [];
  const actOn = async (run: string): Promise<void> => {
    try {
      const answer = await within(runObject(run).act(action), callLimitMs);
      if (answer.ok) return;
      const { code, message } = answer.refusal;
      const isGone = action.kind === "delete" && code === "run_not_found";
      if (!isGone) refused.push({ run, outcome: "skipped", code, message });
    } catch (error) {
      if (!isLast) throw error;
      refused.push({ run, outcome: "failed", code: "unavailable", message: String(error) });
    }
  };
  await actOnEach(runs, actOn, stop);
  return refused.toSorted((one, other) => runs.indexOf(one.run) - runs.indexOf(other.run));
}
