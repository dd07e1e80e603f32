/**
 * Owns: the built-in workflow that encrypts everything again with the newest key: all runs, by the registers of the shards,
 * then the shards, the scheduler and the lanes.
 * Does not own: the keys (keys), what is encrypted and how (store), the registers (store/register).
 *
 * Invariants
 * 1. It works while the system is in use: new data is encrypted with the newest key anyway.
 * 2. Data that cannot be decrypted is not changed, and named in the output: a key can be removed only if `failed` is 0.
 */
import type { RekeyRequest } from "../../core/service/directory.ts";
import type { Step } from "../../core/definition/step.ts";
import {
  directoryShard,
  laneObject,
  laneRoll,
  registerObject,
  runObject,
  schedulerObject,
  shardCount,
} from "../address.ts";
import { actOnEach, builtIn, retries, startOf } from "./builtin.ts";
import type { BuiltInStart } from "./builtin.ts";
import { newestKey } from "../deployment/keys.ts";
import { describe, within } from "../patience.ts";
import type { Resealed, Resealing } from "../../store/reseal.ts";
import type { Answer } from "../answer.ts";
import type { ShardMark } from "../rpc/directory.ts";

/** The counts for one kind of objects: objects, rows that they read, and rows that they encrypted again. */
type Count = Resealed & { readonly objects: number };

/** Published as progress, and part of the output; `gone` are runs that were removed meanwhile. */
type Tally = Record<Part, Count> & { gone: number; failed: number };
type Part = "runs" | "shards" | "scheduler" | "lanes";

/** An object, or rows of it, that could not be encrypted again. */
type Failure = { readonly object: string; readonly message: string };

/** The result for one page of objects; `next` is where the next page begins, null at the end. */
type Page<Mark> = Count & {
  readonly gone: number;
  readonly failed: number;
  readonly failures: readonly Failure[];
  readonly next: Mark | null;
};

const pageObjects = 100;
const patienceMs = 30_000;
const maxFailures = 100;
/** After this time, runs that have begun or ended are on the register. */
const listedWithinMs = 1000;

export const rekey = builtIn("holdfast.rekey", handle);

/** The start of the run for a request. @throws HoldfastError config_invalid: there is no key */
export function rekeyStart(request: RekeyRequest): BuiltInStart {
  // Part of the input, so that the same request with another newest key is a new one.
  return startOf({ key: newestKey() }, "the rekeying", request);
}

async function handle(order: { readonly key: string }, step: Step): Promise<unknown> {
  const tally: Tally = { runs: none, shards: none, scheduler: none, lanes: none, gone: 0, failed: 0 };
  const failures: Failure[] = [];
  const add = <Mark>(part: Part, page: Page<Mark>): Mark | null => {
    const { objects, rows, sealed } = tally[part];
    tally[part] = { objects: objects + page.objects, rows: rows + page.rows, sealed: sealed + page.sealed };
    tally.gone += page.gone;
    tally.failed += page.failed;
    failures.push(...page.failures.slice(0, maxFailures - failures.length));
    step.progress({ ...tally });
    return page.next;
  };
  await step.sleep("until what was under way is listed", listedWithinMs);
  const count = await step.run("count shards", () => shardCount());
  for (let shard = 0; shard < count; shard++) {
    for (let after: string | null = ""; after !== null;) {
      const from: string = after;
      after = add(
        "runs",
        await step.run(`seal the runs of shard ${shard}`, ({ attempt }) => sealRuns(shard, from, attempt > retries)),
      );
    }
    for (let mark: ShardMark | null = firstMark; mark !== null;) {
      const from: ShardMark = mark;
      mark = add("shards", await step.run(`seal shard ${shard}`, () => sealShard(shard, from)));
    }
  }
  add("scheduler", await step.run("seal the schedules", sealSchedules));
  for (let after: string | null = ""; after !== null;) {
    const from: string = after;
    after = add("lanes", await step.run("seal the lanes", () => sealLanes(from)));
  }
  return { ...order, ...tally, failures };
}

const none: Count = { objects: 0, rows: 0, sealed: 0 };
const firstMark: ShardMark = { kind: "runs", after: { createdAt: -1, id: "" } };

/** @param isLast no attempt is left, so runs that cannot be reached are counted instead of failing the step */
async function sealRuns(shard: number, after: string, isLast: boolean): Promise<Page<string>> {
  const runs = await within(registerObject(shard).enrolled(after, pageObjects), patienceMs);
  let [rows, sealed, gone] = [0, 0, 0];
  const failures: Failure[] = [];
  await actOnEach(runs, async ({ id }) => {
    try {
      for (let from: number | null = 0; from !== null;) {
        const part: Answer<Resealing<number>> = await within(runObject(id).rekey(from), patienceMs);
        if (!part.ok) return void failures.push({ object: `run ${id}`, message: part.refusal.message });
        rows += part.value.rows;
        sealed += part.value.sealed;
        if (from === 0 && part.value.rows === 0) gone++;
        from = part.value.next;
      }
    } catch (error) {
      if (!isLast) throw error;
      failures.push({ object: `run ${id}`, message: describe(error) });
    }
  });
  const next = runs.length < pageObjects ? null : (runs.at(-1)?.id ?? null);
  return { objects: runs.length, rows, sealed, gone, failed: failures.length, failures, next };
}

async function sealShard(shard: number, from: ShardMark): Promise<Page<ShardMark>> {
  const { rows, sealed, failed, next } = await within(directoryShard(shard).rekey(from), patienceMs);
  const message = `${failed} rows cannot be opened`;
  const failures = failed === 0 ? [] : [{ object: `shard ${shard} of the directory`, message }];
  return { objects: next === null ? 1 : 0, rows, sealed, gone: 0, failed, failures, next };
}

async function sealSchedules(): Promise<Page<never>> {
  const answer = await within(schedulerObject().rekey(), patienceMs);
  const counts = answer.ok ? answer.value : { rows: 0, sealed: 0 };
  const failures = answer.ok ? [] : [{ object: "the scheduler", message: answer.refusal.message }];
  return { objects: 1, ...counts, gone: 0, failed: failures.length, failures, next: null };
}

async function sealLanes(after: string): Promise<Page<string>> {
  const names = await laneRoll().names(after, pageObjects);
  let [rows, sealed] = [0, 0];
  const failures: Failure[] = [];
  await actOnEach(names, async (name) => {
    const counts = await laneObject(name).rekey();
    rows += counts.rows;
    sealed += counts.sealed;
    if (counts.failed > 0) failures.push({ object: `lane ${name}`, message: "who set its limit cannot be opened" });
  });
  const next = names.length < pageObjects ? null : (names.at(-1) ?? null);
  return { objects: names.length, rows, sealed, gone: 0, failed: failures.length, failures, next };
}
