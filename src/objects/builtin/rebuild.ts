/**
 * Owns: the built-in workflow that rebuilds the directory: it goes through the registers of the shards, makes each run report
 * itself, and removes those that do not exist any more.
 * Does not own: the registers (store/register), the reports (reporter).
 *
 * Invariants
 * 1. It works while the system is in use: the reports are those that runs make anyway, and newer ones are kept.
 * 2. A run is removed only if its own object answers that it does not exist.
 */
import { HoldfastError } from "../../core/error.ts";
import type { RebuildRequest } from "../../core/service/directory.ts";
import type { Step } from "../../core/definition/step.ts";
import { directoryShard, registerObject, runObject, shardCount } from "../address.ts";
import { actOnEach, builtIn, retries, startOf } from "./builtin.ts";
import type { BuiltInStart } from "./builtin.ts";
import { describe, within } from "../patience.ts";
import type { Enrolled } from "../../store/register.ts";

/** The input of the run; null means all shards at its beginning. */
type Order = { readonly shard: number | null };

/** Published as progress, and part of the output. */
type Tally = { asked: number; listed: number; gone: number };

/** A run that could not be reached: its entries in the register and in the list are kept. */
type Failure = { readonly run: string; readonly message: string };

/** The result for one page of a register; `next` is where the next page begins, null at the end. */
type Page = Tally & { readonly next: string | null; readonly failures: readonly Failure[] };

const pageRuns = 200;
/** Allows for an object that has to load its journal and call its shard. */
const patienceMs = 30_000;
const maxFailures = 100;

export const rebuild = builtIn("holdfast.rebuild", handle);

/** The start of the run for a request. @throws HoldfastError shard_invalid */
export function rebuildStart({ shard, ...request }: RebuildRequest): BuiltInStart {
  const count = shardCount();
  if (shard !== undefined && !(Number.isInteger(shard) && shard >= 0 && shard < count)) {
    throw new HoldfastError("shard_invalid", `there is no shard ${shard}: they are 0 to ${count - 1}`);
  }
  const order: Order = { shard: shard ?? null };
  return startOf(order, "the rebuild", request);
}

async function handle({ shard }: Order, step: Step): Promise<unknown> {
  const count = await step.run("count shards", () => shardCount());
  const shards = shard === null ? Array.from({ length: count }, (_, index) => index) : [shard];
  const tally: Tally = { asked: 0, listed: 0, gone: 0 };
  const failures: Failure[] = [];
  step.progress({ ...tally });
  for (const each of shards) {
    for (let next: string | null = ""; next !== null;) {
      const after: string = next;
      const page: Page = await step.run(`ask the runs of shard ${each}`, ({ attempt }) =>
        reportPage(each, after, attempt > retries),
      );
      tally.asked += page.asked;
      tally.listed += page.listed;
      tally.gone += page.gone;
      failures.push(...page.failures.slice(0, maxFailures - failures.length));
      step.progress({ ...tally });
      next = page.next;
    }
  }
  return { ...tally, failures };
}

/** @param isLast no attempt is left, so runs that cannot be reached are counted instead of failing the step */
async function reportPage(shard: number, after: string, isLast: boolean): Promise<Page> {
  const runs = await within(registerObject(shard).enrolled(after, pageRuns), patienceMs);
  const gone: Enrolled[] = [];
  const failures: Failure[] = [];
  await actOnEach(runs, async (run) => {
    try {
      const answer = await within(runObject(run.id).relist(), patienceMs);
      if (answer.ok) return;
      if (answer.refusal.code === "run_not_found") gone.push(run);
      else failures.push({ run: run.id, message: answer.refusal.message });
    } catch (error) {
      if (!isLast) throw error;
      failures.push({ run: run.id, message: describe(error) });
    }
  });
  await forget(shard, gone);
  return {
    asked: runs.length,
    listed: runs.length - gone.length - failures.length,
    gone: gone.length,
    next: runs.length < pageRuns ? null : (runs.at(-1)?.id ?? null),
    failures,
  };
}

async function forget(shard: number, gone: readonly Enrolled[]): Promise<void> {
  if (gone.length === 0) return;
  for (const { id, createdAt } of gone) await within(directoryShard(shard).remove(id, createdAt), patienceMs);
  await within(registerObject(shard).strike(gone), patienceMs);
}
