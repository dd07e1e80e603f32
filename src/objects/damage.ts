/**
 * Owns: what becomes of a run whose journal cannot be read: which errors say so, how long it rests before it is
 * looked at again, what is known of it without its journal, taking it off the listing.
 * Does not own: finding the damage (store/journal, core/commit), the alarm and the removal itself (host).
 */
import type { ErrorCode } from "../core/code.ts";
import type { Entry } from "../core/entry.ts";
import { HoldfastError } from "../core/error.ts";
import type { RunSummary } from "../core/run.ts";
import { noUsage } from "../core/usage.ts";
import { undefinedValue } from "../core/value.ts";
import { directoryShards } from "./address.ts";
import { besideHousekeeping, housekeepingAt } from "./alarm.ts";
import { within } from "./patience.ts";
import type { Parcel } from "./rpc/run.ts";

/** A key that is back is found within the minute, and not by all runs in one instant. */
const keyRestMs = 45_000;
const keySpreadMs = 10_000;
/** How long a run rests at least, and at most: the longer it has been, the rarer it is looked at. */
const newerRest = { least: 10_000, most: 5 * 60_000 } as const;
const corruptRest = { least: 60_000, most: 60 * 60_000 } as const;
/** A run of any other trouble. */
const patienceMs = 60_000;
const callLimitMs = 10_000;
const pageRuns = 200;

const unreadable: ReadonlySet<ErrorCode> = new Set([
  "key_missing",
  "config_invalid",
  "journal_corrupt",
  "journal_newer",
]);

/** The journal, or a value in it, cannot be read as things are. */
export function isUnreadable(error: unknown): error is HoldfastError {
  return error instanceof HoldfastError && unreadable.has(error.code);
}

/** It passes by itself once a key or a version is deployed: whoever asked is to ask again, and nothing is refused for good. */
export function isTransient(error: unknown): error is HoldfastError {
  return isUnreadable(error) && error.code !== "journal_corrupt";
}

/** No key would help: an admin may have it removed. */
export function isDamage(error: unknown): error is HoldfastError {
  return isUnreadable(error) && (error.code === "journal_corrupt" || error.code === "journal_newer");
}

/**
 * When to look again at a run that could not be opened, epoch ms.
 * @param soundAt when the newest of its entries was made that can be read; 0 where none can
 * @param housekeeping the alarm that came tells nothing about the run, and the next must not either
 */
export function lookAgainAt(error: unknown, soundAt: () => number, now: number, housekeeping: boolean): number {
  const at = now + restOf(error, soundAt, now);
  if (housekeeping) return housekeepingAt(at);
  return besideHousekeeping(at);
}

function restOf(error: unknown, soundAt: () => number, now: number): number {
  if (!isUnreadable(error)) return patienceMs;
  if (!isDamage(error)) return keyRestMs + Math.round(Math.random() * keySpreadMs);
  const { least, most } = error.code === "journal_newer" ? newerRest : corruptRest;
  return Math.round(Math.min(most, Math.max(least, (now - soundAt()) / 5)));
}

/** The time of the newest entry before the damage; 0 where there is none, or the storage fails. Never throws. */
export function lastSoundAt(read: () => Iterable<Entry>): number {
  let at = 0;
  try {
    for (const entry of read()) at = entry.at;
  } catch {
    // The next entry is the damaged one, or the storage fails now.
  }
  return at;
}

/** What a run is called whose first entry can be read; undefined of any other. */
export function firstId(read: () => readonly Entry[]): string | undefined {
  try {
    const [first] = read();
    return first?.kind === "run.created" ? first.id : undefined;
  } catch {
    return undefined;
  }
}

/** Takes the run off every shard that lists it; answers what the listing said of it. */
export async function unlist(id: string): Promise<RunSummary | null> {
  let newest: RunSummary | null = null;
  for (const shard of directoryShards()) {
    for (let before: RunSummary | null = null; ;) {
      const page: readonly RunSummary[] = await within(
        shard.list({ limit: pageRuns, idPrefix: id }, before),
        callLimitMs,
      );
      const listed = page.find((run) => run.id === id);
      if (listed !== undefined) {
        await within(shard.remove(id, listed.createdAt), callLimitMs);
        newest = newest === null || listed.seq > newest.seq ? listed : newest;
      }
      before = page.at(-1) ?? null;
      if (page.length < pageRuns) break;
    }
  }
  return newest;
}

/** As much as can be said of a run that is gone, and was removed unread. */
export function remainsOf(id: string, listed: RunSummary | null, reason: string): Parcel {
  const nothing = {
    ...{ id, workflow: "", version: "", status: "failed", labels: {}, parent: null, schedule: null, fork: null },
    ...{ createdAt: 0, startedAt: null, updatedAt: 0, finishedAt: null, waitingFor: [], reason },
    ...{ error: null, steps: { completed: 0, failed: 0, running: 0 }, usage: noUsage, tallies: {}, trace: "", seq: 0 },
  } as const satisfies RunSummary;
  const values = { input: undefinedValue, output: null, progress: null, active: [], apart: [] };
  return { ...(listed ?? nothing), ...values };
}
