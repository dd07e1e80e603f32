/**
 * Owns: the RPC methods of a shard of the directory, and its messages to followers.
 * Does not own: their implementation (directory).
 */
import type { Position } from "../../core/listing/cursor.ts";
import type { Cause, GroupField, RunFilter, RunQuery } from "../../core/service/directory.ts";
import type { RunSummary } from "../../core/run/run.ts";
import type { BroadcastOutcome, SignalRequest } from "../../core/service/service.ts";
import type { Sample, SampleQuery } from "../../core/stats/sample.ts";
import type { BufferedSignal, Hold } from "../../store/buffer.ts";
import type { Groups } from "../../store/census.ts";
import type { RunCount } from "../../store/directory.ts";
import type { Resealing } from "../../store/reseal.ts";
import type { Held } from "../../store/signal.ts";
import type { OldestOpen } from "../../store/statistics.ts";
import type { Answer } from "../answer.ts";

/**
 * The answer of a shard to a report: for each open wait of the run for which a signal is buffered, its name; and the number of
 * rows written, in the shard and the register. `refused` if the run was removed recently, and so is not listed.
 */
export type ReportAnswer = { readonly offers: readonly string[]; readonly rows?: number; readonly refused?: true };

/** One shard of the index of runs. */
export interface DirectoryRpc {
  /** Stores the run's summary, unless the stored one is newer (by `seq`). */
  report(summary: RunSummary): Promise<ReportAnswer>;
  /** The same for several runs: one answer for each, in order, null for a report that failed. */
  reportAll(summaries: readonly RunSummary[]): Promise<readonly (ReportAnswer | null)[]>;
  remove(id: string, createdAt: number): Promise<void>;
  /** With `Upgrade: websocket`: a socket of {@link ShardMessage}, which lets the object hibernate. */
  fetch(request: Request): Promise<Response>;
  /** This shard's part of a page: up to `limit` runs, newest first, strictly older than `before`. */
  list(query: Omit<RunQuery, "cursor">, before: Position | null): Promise<readonly RunSummary[]>;
  counts(): Promise<readonly RunCount[]>;
  /** Statistics of the runs that were created in a window. */
  sample(query: SampleQuery): Promise<Sample>;
  /** The number of runs by status, and the oldest unfinished run of each workflow. */
  census(): Promise<{ readonly counts: readonly RunCount[]; readonly oldestOpen: readonly OldestOpen[] }>;
  /** The matching runs in groups, the largest first, at most 5,000; each key in the order of `groupBy`. */
  groups(filter: RunFilter, groupBy: readonly GroupField[]): Promise<Groups>;
  /** The causes of matching failed runs, the most frequent first, at most 1,000. */
  causes(filter: RunFilter): Promise<readonly Cause[]>;
  /** First shard only: a page of the buffered signals, after that number, for a shard that does not have the offers. */
  open(after: number): Promise<readonly BufferedSignal[]>;
  /** The number of matching runs of this shard, without those of the workflow `except`. */
  count(filter: RunFilter, except: string): Promise<number>;
  /** Ids of runs that wait for a signal of this name; may include some that do not any more. */
  waiters(name: string): Promise<readonly string[]>;
  /** Delivers a broadcast to those of these runs that wait for it; returns how many accepted it. */
  deliver(runIds: readonly string[], id: string, signal: SignalRequest): Promise<Answer<number>>;
  /** Notifies this shard that a signal of this name is buffered until `expiresAt`. */
  offer(id: string, name: string, expiresAt: number): Promise<void>;
  withdraw(id: string, name: string): Promise<void>;
  /** First shard only: buffers a signal. Its `key`, if it has one, is its id. */
  hold(id: string, signal: SignalRequest, expiresAt: number): Promise<Hold>;
  /** First shard only: claims the oldest signal of the name for one run; the same run may repeat the call. */
  claim(name: string, runId: string, except: readonly string[]): Promise<Held | null>;
  /** First shard only: the run refused the claimed signal, which then is offered to other waiting runs. */
  release(id: string, runId: string): Promise<void>;
  /** First shard only: the signal was delivered to that many runs. @param finished false: by a claim, not by its sender */
  settle(id: string, delivered: number, finished?: boolean): Promise<void>;
  /** Encrypts a page of rows of this shard again, with the newest key. */
  rekey(from: ShardMark): Promise<RekeyedShard>;
  /** First shard only: the outcome of a held signal that its sender could deliver to nobody. */
  outcome(id: string): Promise<BroadcastOutcome>;
}

/** The messages of a shard to its followers: first a confirmation, then each change. */
export type ShardMessage = "subscribed" | { readonly listed: RunSummary } | { readonly removed: string };

/** The position of encrypting a shard again: first its list, then its buffered signals. */
export type ShardMark =
  | { readonly kind: "runs"; readonly after: Position }
  | { readonly kind: "signals"; readonly after: number };

/** `failed`: rows that could not be decrypted, and were not changed. */
export type RekeyedShard = Resealing<ShardMark> & { readonly failed: number };
