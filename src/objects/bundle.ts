/**
 * Owns: reporting ends of runs to a shard of the directory in one call, where several objects of this isolate have one to
 * report at about the same time.
 * Does not own: what is told, and telling it again (reporter); what the shard makes of it (directory).
 *
 * Invariants
 * 1. One of the objects makes the call, and no other depends on it: an object that finds no answer in time, for whatever
 *    reason, reports by itself.
 * 2. Only ends that are durable go into a bundle: the platform holds a call back until what its sender wrote is durable,
 *    and knows nothing of what the others wrote.
 * 3. No object awaits a promise of another: the platform would at times run what follows in the context of that other
 *    object, where it cannot set its own alarm. Answers are left in memory, and each object looks for its own.
 */
import type { RunSummary } from "../core/run.ts";
import { directoryShard } from "./address.ts";
import { answersMs, lagMs } from "./lag.ts";
import { within } from "./patience.ts";
import type { Heard } from "./rpc/directory.ts";

/** After this long without an answer the sender is taken for dead, or the shard for hung. */
const sharedMs = 2000;
/** A bundle that was not sent by then has lost its sender: nobody joins it any more. */
const staleMs = 5 * lagMs;
/** Summaries are a few hundred bytes; a call may hold 32 MiB. */
const maxRuns = 200;
const callLimitMs = 10_000;
/** Between two looks for what came: at first, and at most. */
const [lookMs, longestLookMs] = [3, 100];

type Bundle = {
  readonly begunAt: number;
  readonly runs: RunSummary[];
  /** For each of the runs, in their order; null for one that the shard could not take. Null until they have come. */
  answers: readonly (Heard | null)[] | null;
};

/** Those that are not sent yet, by the index of their shard. */
const gathering = new Map<number, Bundle>();

/** Reports an end that is durable, together with others. @throws when the shard was not reached */
export async function tellEnd(shard: number, run: RunSummary): Promise<Heard> {
  const bundle = joinable(gathering.get(shard));
  const heard = bundle === null ? await send(shard, run) : await join(bundle, run);
  return heard ?? (await within(directoryShard(shard).report(run), callLimitMs));
}

function joinable(bundle: Bundle | undefined): Bundle | null {
  if (bundle === undefined || bundle.runs.length >= maxRuns) return null;
  return Math.abs(Date.now() - bundle.begunAt) < staleMs ? bundle : null;
}

/** The call is made by the object that asks; null where nobody came with it, or there was no answer in time. */
async function send(shard: number, run: RunSummary): Promise<Heard | null> {
  const bundle: Bundle = { begunAt: Date.now(), runs: [run], answers: null };
  gathering.set(shard, bundle);
  await scheduler.wait(lagMs - answersMs);
  if (gathering.get(shard) === bundle) gathering.delete(shard);
  const { runs } = bundle;
  if (runs.length === 1) return null;
  bundle.answers = await within(directoryShard(shard).reportAll(runs), sharedMs).catch(() => []);
  return bundle.answers[0] ?? null;
}

/** The answer for the run; null where none came in time. */
async function join(bundle: Bundle, run: RunSummary): Promise<Heard | null> {
  const place = bundle.runs.push(run) - 1;
  await scheduler.wait(lagMs - answersMs);
  let pauseMs = lookMs;
  for (let waitedMs = 0; bundle.answers === null && waitedMs < sharedMs; waitedMs += pauseMs) {
    await scheduler.wait(pauseMs);
    pauseMs = Math.min(pauseMs * 1.5, longestLookMs);
  }
  return bundle.answers?.[place] ?? null;
}
