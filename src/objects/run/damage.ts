/**
 * Owns: runs whose journal cannot be read: the errors that mean this, the pauses between attempts, what is known without the
 * journal, and removing them from the directory.
 * Does not own: detecting the damage (store/journal, core/history/commit), the alarm and the removal (host).
 */
import type { ErrorCode } from "../../core/code.ts";
import type { Entry, EntryOf } from "../../core/history/entry.ts";
import { HoldfastError, hasCode } from "../../core/error.ts";
import type { RunSummary } from "../../core/run/run.ts";
import { noUsage } from "../../core/run/usage.ts";
import { undefinedValue } from "../../core/value/value.ts";
import { directoryShards } from "../address.ts";
import { besideHousekeeping, housekeepingAt } from "../alarm.ts";
import { within } from "../patience.ts";
import type { PackedRun } from "../rpc/run.ts";

/** A restored encryption key is found within a minute, spread over time so that not all runs wake at once. */
const keyRestMs = 45_000;
const keySpreadMs = 10_000;
/** The shortest and longest pauses between attempts, which grow with time. */
const newerPause = { least: 10_000, most: 5 * 60_000 } as const;
const corruptPause = { least: 60_000, most: 60 * 60_000 } as const;
/** The pauses after any other error, which may have passed a moment later: after the first failure, and after further ones. */
const otherPause = { first: 1000, further: 60_000 } as const;
const callLimitMs = 10_000;
const pageRuns = 200;

/** Codes of runs that can be opened again once a key or a version is deployed. */
export const needsDeployment: ReadonlySet<ErrorCode> = new Set(["key_missing", "config_invalid", "journal_newer"]);

/** Whether the error means that the journal, or a value in it, cannot be read at present. */
export function isUnreadable(error: unknown): error is HoldfastError {
  return isTransient(error) || hasCode(error, "journal_corrupt");
}

/** Whether deploying a key or a version would resolve the error: callers should retry, and nothing is refused for good. */
export function isTransient(error: unknown): error is HoldfastError {
  return error instanceof HoldfastError && needsDeployment.has(error.code);
}

/** Whether no key would help, so that an admin may remove the run. */
export function isDamage(error: unknown): error is HoldfastError {
  return hasCode(error, "journal_corrupt", "journal_newer");
}

/**
 * When to try again to open the run, epoch ms.
 * @param soundAt the time of the newest entry that can be read; 0 for none
 * @param again whether the attempt before failed, too
 * @param housekeeping whether the alarm that fired was one of housekeeping, as the next one then has to be
 */
export function retryAt(error: unknown, soundAt: () => number, now: number, { again, housekeeping }: Failure): number {
  const at = now + pauseOf(error, soundAt, now, again);
  if (housekeeping) return housekeepingAt(at);
  return besideHousekeeping(at);
}

type Failure = { readonly again: boolean; readonly housekeeping: boolean };

function pauseOf(error: unknown, soundAt: () => number, now: number, again: boolean): number {
  if (!isUnreadable(error)) return again ? otherPause.further : otherPause.first;
  if (!isDamage(error)) return keyRestMs + Math.round(Math.random() * keySpreadMs);
  const { least, most } = error.code === "journal_newer" ? newerPause : corruptPause;
  return Math.round(Math.min(most, Math.max(least, (now - soundAt()) / 5)));
}

/** The time of the newest entry before the damage; 0 if there is none, or the storage fails. Never throws. */
export function lastSoundAt(read: () => Iterable<Entry>): number {
  let at = 0;
  try {
    for (const entry of read()) at = entry.at;
  } catch {
    // The next entry is damaged, or the storage fails.
  }
  return at;
}

/** The creation of the run; null if its first entry cannot be read. */
export function firstCreation(read: () => readonly Entry[]): EntryOf<"run.created"> | null {
  try {
    const [first] = read();
    return first?.kind === "run.created" ? first : null;
  } catch {
    return null;
  }
}

/** Removes the run from all shards that list it; returns its newest listed summary. */
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

/** The answer for a run that was removed without being readable: what is known of it. */
export function remainsOf(id: string, listed: RunSummary | null, reason: string): PackedRun {
  const nothing = {
    ...{ id, workflow: "", version: "", status: "failed", labels: {}, parent: null, schedule: null, fork: null },
    ...{ createdAt: 0, startedAt: null, updatedAt: 0, finishedAt: null, waitingFor: [], reason },
    ...{ error: null, steps: { completed: 0, failed: 0, running: 0 }, usage: noUsage, tallies: {}, trace: "", seq: 0 },
  } as const satisfies RunSummary;
  const values = { input: undefinedValue, output: null, progress: null, active: [], apart: [] };
  return { ...(listed ?? nothing), ...values };
}
