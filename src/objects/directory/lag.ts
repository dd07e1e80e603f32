/**
 * Owns: the delay between the end of a run and its listing as ended, and hiding it from callers who know of the end.
 * Does not own: reporting (reporter), reading the shards (listing, statistics).
 * Invariant 1: after this isolate has answered that a run ended, its reads of the directory wait until the end should be
 * listed. Reads from elsewhere may be late by the delay.
 */
import { directoryShards } from "../address.ts";
import type { DirectoryRpc } from "../rpc/directory.ts";

/**
 * The delay of the report of an end, so that callers who wait for the end are answered first, and ends at about the same time
 * are reported together. A shorter delay makes listing many short runs more expensive; a longer one does not make it cheaper.
 */
export const lagMs = 20;
/** The delay of work that is not awaited, so that callers who wait for the run are answered first: half of the lag. */
export const answersMs = 10;
/** The time that a report takes, with a margin. */
const tellingMs = 15;

/** An end that is more recent than this may not be reported yet, because timers are late under load. */
const recentMs = 1000;

/** Until this time, an end that was answered here may not be listed yet, epoch ms. */
let lagsUntil = 0;

/** Called for each answered run, because one that has just ended may not be listed as ended yet. */
export function answered(finishedAt: number | null): void {
  const now = Date.now();
  if (finishedAt !== null && now - finishedAt < recentMs) lagsUntil = now + lagMs + tellingMs;
}

/** All shards, when answered ends should be listed. */
export async function listingShards(): Promise<readonly DirectoryRpc[]> {
  // Limited, because the clock may have been set back.
  const waitMs = Math.min(lagsUntil - Date.now(), lagMs + tellingMs);
  if (waitMs > 0) await scheduler.wait(waitMs);
  return directoryShards();
}
