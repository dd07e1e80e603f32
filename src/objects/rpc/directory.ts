/**
 * Owns: what can be asked of a shard of the directory, and what it says to those who follow it.
 * Does not own: what it does about it (directory).
 */
import type { ErrorCode } from "../../core/code.ts";
import type { Cause, GroupField, RunFilter, RunQuery } from "../../core/directory.ts";
import type { RunStatus, RunSummary } from "../../core/run.ts";
import type { SignalRequest } from "../../core/service.ts";
import type { Sample, SampleQuery } from "../../core/stats/sample.ts";
import type { Resealing } from "../../store/reseal.ts";
import type { Answer } from "../answer.ts";

/**
 * What a shard answers to a report: names that open signal waits of the run are for and that have something buffered,
 * one for each such wait; and how many rows it wrote, its own and the register's. `refused` where the run was removed
 * a short while ago: it is not listed.
 */
export type Heard = { readonly offers: readonly string[]; readonly rows?: number; readonly refused?: true };

/** One shard of the index of runs. */
export interface DirectoryRpc {
  /** Takes the run's summary unless the one held is newer (by `seq`). */
  report(summary: RunSummary): Promise<Heard>;
  /** The same of several runs at once: an answer for each, in their order, null for one that could not be taken. */
  reportAll(summaries: readonly RunSummary[]): Promise<readonly (Heard | null)[]>;
  remove(id: string, createdAt: number): Promise<void>;
  /** With `Upgrade: websocket`: a socket of {@link ShardSaid}, which lets the object sleep. */
  fetch(request: Request): Promise<Response>;
  /** This shard's part of a page: up to `limit` runs, newest first, strictly after `before`. */
  list(
    query: Omit<RunQuery, "cursor">,
    before: { readonly createdAt: number; readonly id: string } | null,
  ): Promise<readonly RunSummary[]>;
  counts(): Promise<readonly { readonly workflow: string; readonly status: RunStatus; readonly count: number }[]>;
  /** Of the runs that were created in a window. */
  sample(query: SampleQuery): Promise<Sample>;
  /** All runs by what they are now, and of each workflow the oldest that has not ended. */
  census(): Promise<{
    readonly counts: readonly { readonly workflow: string; readonly status: RunStatus; readonly count: number }[];
    readonly oldestOpen: readonly { readonly workflow: string; readonly createdAt: number }[];
  }>;
  /** Runs that fit in groups, the largest first, at most 5,000; each key in the order of `groupBy`. */
  groups(
    filter: RunFilter,
    groupBy: readonly GroupField[],
  ): Promise<{
    readonly total: number;
    readonly groups: readonly { readonly key: readonly (string | null)[]; readonly count: number }[];
  }>;
  /** Failed runs that fit by what they have in common, the most frequent first, at most 1,000. */
  causes(filter: RunFilter): Promise<readonly Cause[]>;
  /** First shard only: what is buffered, for a shard that has not been told. */
  open(): Promise<readonly { readonly id: string; readonly name: string; readonly expiresAt: number }[]>;
  /** How many runs of this shard fit the filter, those of the workflow `except` aside. */
  count(filter: RunFilter, except: string): Promise<number>;
  /** Ids of runs that wait for a signal of this name; now and then of one that does not. */
  waiters(name: string): Promise<readonly string[]>;
  /** Hands a broadcast to these runs, as far as they wait for it; answers how many took it. */
  deliver(runIds: readonly string[], id: string, signal: SignalRequest): Promise<Answer<number>>;
  /** Tells this shard that a signal of this name is buffered, until `expiresAt`. */
  offer(id: string, name: string, expiresAt: number): Promise<void>;
  withdraw(id: string, name: string): Promise<void>;
  /** First shard only: keeps a signal for the next waiter. The signal's `key`, if it has one, is its id. */
  hold(id: string, signal: SignalRequest, expiresAt: number): Promise<HoldAnswer>;
  /** First shard only: the oldest signal of the name, to one run and to no other; the same run may ask again. */
  claim(
    name: string,
    runId: string,
    except: readonly string[],
  ): Promise<{ readonly id: string; readonly signal: SignalRequest } | null>;
  /** First shard only: the run did not take what it claimed; others that wait are asked. */
  release(id: string, runId: string): Promise<void>;
  /** First shard only: the signal was delivered to so many runs. */
  settle(id: string, delivered: number): Promise<void>;
  /** Seals rows of this shard anew, with the newest key, some at a time. */
  rekey(from: ShardMark): Promise<RekeyedShard>;
  /** First shard only: what has become of a signal that was held. */
  outcome(id: string): Promise<{ readonly delivered: number; readonly buffered: boolean }>;
}

/** What a shard says to those who follow it: first that they are subscribed, then each change. */
export type ShardSaid = "subscribed" | { readonly listed: RunSummary } | { readonly removed: string };

/** Nothing delivered yet; delivered before; the id stands for another signal. */
export type HoldAnswer =
  | { readonly kind: "open" }
  | { readonly kind: "settled"; readonly delivered: number }
  | { readonly kind: "conflict" }
  /** What is known of the id is sealed with a key that is gone, or damaged. */
  | { readonly kind: "unreadable"; readonly code: ErrorCode; readonly message: string };

/** Where the resealing of a shard stands: it goes through its list, then through what is buffered. */
export type ShardMark =
  | { readonly kind: "runs"; readonly after: { readonly createdAt: number; readonly id: string } }
  | { readonly kind: "signals"; readonly after: number };

/** `failed`: rows that could not be opened, and are as they were. */
export type RekeyedShard = Resealing<ShardMark> & { readonly failed: number };
