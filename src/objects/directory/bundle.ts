/**
 * Owns: reporting the ends of several runs to a shard of the directory in one call, when objects of this isolate report at
 * about the same time.
 * Does not own: the reports and their retries (reporter), the shard (directory).
 *
 * Invariants
 * 1. One of the objects makes the call, but no other depends on it: an object that finds no answer in time reports by itself.
 * 2. A bundle contains only durable ends, because the platform delays a call only until the writes of its sender are durable,
 *    not those of other objects.
 * 3. No object awaits a promise of another, because the platform may continue it in the context of that other object, where
 *    it cannot set its own alarm. Answers are left in memory, and each object polls for its own.
 */
import type { RunSummary } from "../../core/run/run.ts";
import { directoryShard } from "../address.ts";
import { answersMs, lagMs } from "./lag.ts";
import { within } from "../patience.ts";
import type { ReportAnswer } from "../rpc/directory.ts";

/** After this time without an answer, the sender is presumed dead, or the shard unresponsive. */
const sharedMs = 2000;
/** A bundle that was not sent by then has lost its sender, and is not joined any more. */
const staleMs = 5 * lagMs;
/** A summary has a few hundred bytes; a call may have 32 MiB. */
const maxRuns = 200;
const callLimitMs = 10_000;
/** How long after the bundle was sent the answer is first looked for, and the longest pause between two looks. */
const [lookMs, longestLookMs] = [3, 100];

type Bundle = {
  readonly begunAt: number;
  readonly runs: RunSummary[];
  /** The answers for the runs, in order, with null for a report that failed; null as a whole until they have come. */
  answers: readonly (ReportAnswer | null)[] | null;
};

/** Bundles that are not sent yet, by the index of the shard. */
const gathering = new Map<number, Bundle>();

/** Reports a durable end together with others. @throws if the shard was not reached */
export async function reportEnd(shard: number, run: RunSummary): Promise<ReportAnswer> {
  const bundle = joinable(gathering.get(shard));
  const answer = bundle === null ? await send(shard, run) : await join(bundle, run);
  return answer ?? (await within(directoryShard(shard).report(run), callLimitMs));
}

function joinable(bundle: Bundle | undefined): Bundle | null {
  if (bundle === undefined || bundle.runs.length >= maxRuns) return null;
  return Math.abs(Date.now() - bundle.begunAt) < staleMs ? bundle : null;
}

/** Opens a bundle and sends it; null if no other object joined it, or there was no answer in time. */
async function send(shard: number, run: RunSummary): Promise<ReportAnswer | null> {
  const bundle: Bundle = { begunAt: Date.now(), runs: [run], answers: null };
  gathering.set(shard, bundle);
  await scheduler.wait(lagMs - answersMs);
  if (gathering.get(shard) === bundle) gathering.delete(shard);
  const { runs } = bundle;
  if (runs.length === 1) return null;
  bundle.answers = await within(directoryShard(shard).reportAll(runs), sharedMs).catch(() => []);
  return bundle.answers[0] ?? null;
}

/** Joins a bundle; null if there was no answer in time. */
async function join(bundle: Bundle, run: RunSummary): Promise<ReportAnswer | null> {
  const place = bundle.runs.push(run) - 1;
  // The bundle has been sent by then, and has often been answered.
  await scheduler.wait(lagMs - answersMs + lookMs);
  let pauseMs = lookMs;
  for (let waitedMs = 0; bundle.answers === null && waitedMs < sharedMs; waitedMs += pauseMs) {
    await scheduler.wait(pauseMs);
    pauseMs = Math.min(pauseMs * 1.5, longestLookMs);
  }
  return bundle.answers?.[place] ?? null;
}
