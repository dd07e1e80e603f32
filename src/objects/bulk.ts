/**
 * Owns: the workflow that does one action to many runs, which every deployment has: selecting them,
 * acting on each, counting what became of it.
 * Does not own: what an action does to a run, or who may ask for it.
 *
 * Invariants
 * 1. The runs are selected before the first of them is acted on: an action that changes what the
 *    filter asks for changes nothing about who is meant.
 * 2. An action is taken once by each run, whatever dies: the key of its step says so. One that was deleted is gone,
 *    and so is one whose id another run has by now.
 * 3. It acts neither on itself nor on others like it.
 */
import { authorOf } from "../core/author.ts";
import type { Author } from "../core/author.ts";
import { toInstant } from "../core/duration.ts";
import type { RunFilter } from "../core/directory.ts";
import { defined } from "../core/record.ts";
import type { BulkRequest, RunAction, StartRequest } from "../core/service.ts";
import type { Step } from "../core/step.ts";
import { encode } from "../core/value.ts";
import { runObject } from "./address.ts";
import { actOnEach, builtIn, retries } from "./builtin.ts";
import { listRuns } from "./listing.ts";
import { within } from "./patience.ts";

/** What the run is given: instants are RFC 3339 text. */
type Order = {
  readonly action: RunAction["kind"];
  readonly filter: Omit<RunFilter, "createdAfter" | "createdBefore"> & {
    readonly createdAfter?: string;
    readonly createdBefore?: string;
  };
  readonly reason: string | null;
};

/** Published as progress, and the beginning of the output. */
type Tally = { total: number; done: number; succeeded: number; skipped: number; failed: number };

/** A run that did not take the action: `skipped` where it refused, `failed` where it could not be asked. */
type Refused = {
  readonly run: string;
  readonly outcome: "skipped" | "failed";
  readonly code: string;
  readonly message: string;
};

/** How late the directory may be: a run that was started right before is meant as well. */
const settleMs = 1000;
const pageLimit = 200;
/** Runs of one step. */
const stepRuns = 100;
const maxRefusals = 100;
/** Longer than any healthy run takes to answer. */
const callLimitMs = 30_000;

export const bulk = builtIn("holdfast.bulk", handle);

/** What starts the run for a request. */
export function bulkStart({
  action,
  filter,
  reason,
  key,
  ...author
}: BulkRequest): Pick<StartRequest, "input" | "by" | "role" | "key"> {
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
  return { input: encode(order, "the bulk action"), ...authorOf(author), ...defined({ key }) };
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

/** What is deleted needs none, and would keep it for a day. */
function keyOf(kind: RunAction["kind"], key: string): Pick<RunAction, "key"> {
  return kind === "delete" ? {} : { key };
}

/** Each run sees who is behind it: a person, where the token is not all there is to say. */
function reasonOf(reason: string | null, { by, role }: Author): string | null {
  if (role === undefined) return reason;
  return reason === null ? `asked for by ${by}` : `${reason} (asked for by ${by})`;
}

/** What was created from then on is not meant. */
function beforeOf({ info }: Step): number {
  return info.startedAt + 1;
}

/** The runs that fit and were there when this one began, newest first. */
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
 * Acts on each run; those that have taken the action before know its key.
 * @param isLast no attempt is left: runs that cannot be asked are counted, and stop nobody
 * @param stop somebody cancels this run, or the attempt took too long
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
