/**
 * Owns: how long after its end a run is listed as ended, and that whoever was told of the end finds it listed so.
 * Does not own: reporting (reporter), what is read of the shards (listing, statistics).
 * Invariant 1: what this isolate has answered about a run that had just ended is listed, as far as it is in its
 * power, before this isolate reads the directory. Elsewhere the listing may be late by this moment.
 */
import { directoryShards } from "./address.ts";
import type { DirectoryRpc } from "./rpc/directory.ts";

/**
 * An end is told to others this long after it, so that the answers to those who wait for it go first, and that ends of
 * about the same time are told together: with less, many short runs spend more on being listed; with more, no less.
 */
export const lagMs = 20;
/** How long work that nobody waits for is put off, so that those who wait for the run are answered first: half of the lag. */
export const answersMs = 10;
/** How long a report takes, with some to spare. */
const tellingMs = 15;

/** An end as recent as this may not be reported yet: under load, timers are late. */
const recentMs = 1000;

/** Until when an end that was answered here may not be listed yet, epoch ms. */
let lagsUntil = 0;

/** Called with each run that is answered: one that has ended just now may not be listed so yet. */
export function answered(finishedAt: number | null): void {
  const now = Date.now();
  if (finishedAt !== null && now - finishedAt < recentMs) lagsUntil = now + lagMs + tellingMs;
}

/** All shards, to be read now. */
export async function listingShards(): Promise<readonly DirectoryRpc[]> {
  // No longer than that: a clock may have been set back.
  const waitMs = Math.min(lagsUntil - Date.now(), lagMs + tellingMs);
  if (waitMs > 0) await scheduler.wait(waitMs);
  return directoryShards();
}
