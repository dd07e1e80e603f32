/**
 * Owns: the workflow that has everything sealed anew with the newest key, which every deployment has: going
 * through the registers of the shards and asking each run, then the shards themselves, the scheduler and the lanes.
 * Does not own: the keys (keys), what is sealed and how (store), the registers (register).
 *
 * Invariants
 * 1. It works while the system is in use: what is written meanwhile is sealed with the newest key anyway.
 * 2. What cannot be opened is left as it is, and named in the output: a key is not needed any more only where
 *    `failed` is 0.
 */
import { authorOf } from "../core/author.ts";
import type { RekeyRequest } from "../core/directory.ts";
import { defined } from "../core/record.ts";
import type { StartRequest } from "../core/service.ts";
import type { Step } from "../core/step.ts";
import { encode } from "../core/value.ts";
import {
  directoryShard,
  laneObject,
  laneRoll,
  registerObject,
  runObject,
  schedulerObject,
  shardCount,
} from "./address.ts";
import { actOnEach, builtIn, retries } from "./builtin.ts";
import { newestKey } from "./keys.ts";
import { describe, within } from "./patience.ts";
import type { Answer } from "./answer.ts";
import type { ShardMark } from "./rpc/directory.ts";

/** Of one kind of objects: how many were asked, the rows they have looked at, and those they have sealed anew. */
type Count = { readonly objects: number; readonly rows: number; readonly sealed: number };

/** Published as progress, and the beginning of the output; `gone` are runs that were removed meanwhile. */
type Tally = Record<Part, Count> & { gone: number; failed: number };
type Part = "runs" | "shards" | "scheduler" | "lanes";

/** An object, or rows of it, that could not be sealed anew. */
type Failure = { readonly object: string; readonly message: string };

/** What became of a page of objects; `next` is where the next page begins, null at the end. */
type Page<Mark> = Count & {
  readonly gone: number;
  readonly failed: number;
  readonly failures: readonly Failure[];
  readonly next: Mark | null;
};

const pageObjects = 100;
const patienceMs = 30_000;
const maxFailures = 100;
/** A run that has begun, or just ended, is in the register by then. */
const listedWithinMs = 1000;

export const rekey = builtIn("holdfast.rekey", handle);

/** What starts the run for a request. @throws HoldfastError config_invalid: there is no key to seal with */
export function rekeyStart({ key, ...author }: RekeyRequest): Pick<StartRequest, "input" | "by" | "role" | "key"> {
  const newest = newestKey();
  return {
    // The same request under another newest key is another one.
    input: encode({ key: newest }, "the rekeying"),
    ...authorOf(author),
    ...defined({ key }),
  };
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

/** @param isLast no attempt is left: runs that cannot be asked are counted, and stop nobody */
async function sealRuns(shard: number, after: string, isLast: boolean): Promise<Page<string>> {
  const runs = await within(registerObject(shard).enrolled(after, pageObjects), patienceMs);
  let [rows, sealed, gone] = [0, 0, 0];
  const failures: Failure[] = [];
  await actOnEach(runs, async ({ id }) => {
    try {
      for (let from: number | null = 0; from !== null;) {
        const part: Answer<{ rows: number; sealed: number; next: number | null }> = await within(
          runObject(id).rekey(from),
          patienceMs,
        );
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
  const names = await within(laneRoll().names(after, pageObjects), patienceMs);
  let [rows, sealed] = [0, 0];
  const failures: Failure[] = [];
  await actOnEach(names, async (name) => {
    const counts = await within(laneObject(name).rekey(), patienceMs);
    rows += counts.rows;
    sealed += counts.sealed;
    if (counts.failed > 0) failures.push({ object: `lane ${name}`, message: "who set its limit cannot be opened" });
  });
  const next = names.length < pageObjects ? null : (names.at(-1) ?? null);
  return { objects: names.length, rows, sealed, gone: 0, failed: failures.length, failures, next };
}
