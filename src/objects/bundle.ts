/**
 * Owns: telling a shard of the directory in one call of the ends that objects of this isolate owe it at about the
 * same time.
 * Does not own: what is told, and telling it again (reporter); what the shard makes of it (directory).
 *
 * Invariants
 * 1. One of the objects makes the call, and none hangs on its life: where there is no answer for a run in time, for
 *    whatever reason, its own object asks for itself.
 * 2. What goes into a bundle is safe: the platform holds a call back until what its sender wrote is, and knows nothing
 *    of what others wrote.
 */
import type { RunSummary } from "../core/run.ts";
import { directoryShard } from "./address.ts";
import { lagMs } from "./lag.ts";
import { within } from "./patience.ts";
import type { Heard } from "./rpc.ts";

/** After this long without an answer the sender is taken for dead, or the shard for hung. */
const sharedMs = 2000;
/** One that was to be sent by then lost its sender: nobody joins it any more. */
const staleMs = 5 * lagMs;
/** Summaries are a few hundred bytes; a call may hold 32 MiB. */
const maxRuns = 200;
const callLimitMs = 10_000;

type Bundle = {
  readonly begunAt: number;
  readonly runs: RunSummary[];
  /** For each of the runs, in their order; null for one that the shard could not take, and for one that is alone. */
  readonly answers: Promise<readonly (Heard | null)[]>;
};

/** Those that are not sent yet, by the index of their shard. */
const gathering = new Map<number, Bundle>();

/** Tells the shard of an end that is safe, with others. @throws when the shard was not reached */
export async function tellEnd(shard: number, run: RunSummary): Promise<Heard> {
  const bundle = joinable(gathering.get(shard)) ?? begin(shard);
  const place = bundle.runs.push(run) - 1;
  const answers = await within(bundle.answers, sharedMs).catch(() => []);
  return answers[place] ?? (await within(directoryShard(shard).report(run), callLimitMs));
}

function joinable(bundle: Bundle | undefined): Bundle | null {
  if (bundle === undefined || bundle.runs.length >= maxRuns) return null;
  return Math.abs(Date.now() - bundle.begunAt) < staleMs ? bundle : null;
}

/** The call is made by the object that asks. */
function begin(shard: number): Bundle {
  const runs: RunSummary[] = [];
  const bundle: Bundle = { begunAt: Date.now(), runs, answers: send(shard, runs) };
  gathering.set(shard, bundle);
  return bundle;
}

async function send(shard: number, runs: readonly RunSummary[]): Promise<readonly (Heard | null)[]> {
  await scheduler.wait(lagMs);
  if (gathering.get(shard)?.runs === runs) gathering.delete(shard);
  return runs.length > 1 ? await directoryShard(shard).reportAll(runs) : [null];
}
