/**
 * Owns: reporting the state of a run to the directory, and its end to the scheduler if that started it: merged, in order,
 * without delaying the run, with retries.
 * Does not own: the content (core/run/snapshot), when the run is advanced and its alarm (host).
 *
 * Invariants
 * 1. The journal is the outbox: everything that this memory has not reported is pending. A new memory reports everything.
 * 2. A pending report is either being sent (`busy`; the host keeps an alarm for it), or due at an instant that `attend` and
 *    `attendEnd` return.
 * 3. Reports are sent one at a time, so that they arrive in order. One that takes too long is given up.
 */
import { dequal } from "dequal";
import { emptySet } from "../../core/empty.ts";
import type { ScheduleFiring } from "../../core/run/origin.ts";
import type { RunSnapshot, RunSummary } from "../../core/run/run.ts";
import { isEnded } from "../../core/run/run.ts";
import type { Glance } from "../../core/run/snapshot.ts";
import { isOfBackfill } from "../../core/schedule/schedule.ts";
import type { Run } from "../../engine/run.ts";
import { directoryShard, schedulerObject, shardOf } from "../address.ts";
import { claimOffers } from "../directory/broadcast.ts";
import type { Receive } from "../directory/broadcast.ts";
import { reportEnd } from "../directory/bundle.ts";
import { answersMs, lagMs } from "../directory/lag.ts";
import { backoff, describe, within } from "../patience.ts";
import type { ReportAnswer } from "../rpc/directory.ts";
import { earliest } from "../run/timer.ts";

/** The shortest pause between two reports of an unfinished run. */
const intervalMs = 500;
/** How long the first report of a busy run, or of a new signal that it waits for, is delayed unless the run is parked before. */
const patienceMs = 250;
/** How long a busy run may be listed with another status. */
const staleMs = 1000;
const longestBackoffMs = 30_000;
/** Pauses have jitter. */
const longestPauseMs = 2 * longestBackoffMs;
const callLimitMs = 10_000;
/** Buffered signals are claimed and received one after another. */
const claimLimitMs = 60_000;

/** The host of the run. */
type Owner = {
  readonly run: Pick<Run, "state" | "glance" | "snapshot">;
  readonly receive: Receive;
  /** Resolves when all entries are durable. */
  safe(): Promise<void>;
  /** Called when a report was sent, or failed. */
  changed(): void;
  /** Called after a report with the number of rows that the directory wrote; undefined if it does not say. */
  reported(rows: number | undefined): void;
};

type Account = { failures: number; failure: unknown; retryAt: number; underWay: Promise<void> | null };

/** What of a run tells whether the directory lists it with its current content. */
type Listed = Pick<Glance, "status" | "waitingFor" | "updatedAt" | "finishedAt">;

export class Reporter {
  readonly #owner: Owner;
  readonly #listing: Account = { failures: 0, failure: null, retryAt: 0, underWay: null };
  readonly #firing: Account = { failures: 0, failure: null, retryAt: 0, underWay: null };
  readonly #openedAt = Date.now();
  /** The last report; null before the first one. */
  #last: Listed | null = null;
  #reportedNames: ReadonlySet<string> = emptySet;
  #lastAt = 0;
  /** Since when a busy run has been listed with another status; null if it is not. */
  #staleSince: number | null = null;
  /** The end that was reported to the scheduler. */
  #reportedEnd = "";

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  /** Whether a report is being sent, for whose answer this memory has to stay. */
  get busy(): boolean {
    return this.#listing.underWay !== null || this.#firing.underWay !== null;
  }

  /**
   * Sends the report to the directory if it is due. Returns when the next will be due, epoch ms; null for never.
   * @param busy whether the run is executing
   */
  attend(busy: boolean): number | null {
    const run = this.#owner.run.glance();
    return this.#begin(this.#listing, run, this.#listAt(run, busy), () => this.#list());
  }

  /** The same for the end of the run and the scheduler, if that started the run. */
  attendEnd(): number | null {
    const { end } = this.#owner.run.state;
    const fired = this.#fired();
    if (end === null || fired === null) return null;
    const run = this.#owner.run.glance();
    const dueAt = endOf(run) === this.#reportedEnd ? null : 0;
    return this.#begin(this.#firing, run, dueAt, () => this.#reportEnd(fired, run));
  }

  /** A fork has the firing of the original run, and an imported run has one of another deployment: neither counts for it. */
  #fired(): ScheduleFiring | null {
    const { created, imported } = this.#owner.run.state;
    return created === null || created.fork !== undefined || imported !== null ? null : created.schedule;
  }

  /**
   * Called before an ended run is reopened: its schedule counts it again, and its former end is not reported any more, because it
   * would be taken for the next one. @throws if the scheduler was not reached
   */
  async revive(): Promise<void> {
    const fired = this.#fired();
    if (fired === null || isOfBackfill(this.#owner.run.state.creation, fired)) return;
    const run = this.#owner.run.glance();
    while (this.#firing.underWay !== null) await this.#firing.underWay;
    const former = this.#reportedEnd;
    this.#reportedEnd = endOf(run);
    try {
      await within(schedulerObject().revived(fired, run.id), callLimitMs);
    } catch (error) {
      // A scheduler of an older deployment does not have this method.
      if (error instanceof TypeError) return;
      this.#reportedEnd = former;
      throw error;
    }
  }

  /** Reports the run again, even if nothing changed. @throws if the directory was not reached */
  async renew(): Promise<void> {
    while (this.#listing.underWay !== null) await this.#listing.underWay;
    await this.#send(this.#listing, this.#owner.run.glance(), () => this.#list());
    if (this.#listing.failure !== null) throw this.#listing.failure;
  }

  /** When the present state should be reported; null for never. */
  #listAt(run: Glance, busy: boolean): number | null {
    const { status } = run;
    if (!busy || status === this.#last?.status) this.#staleSince = null;
    if (this.#last !== null && isListedAlike(this.#last, run)) return null;
    // Callers that wait for the end are answered before the report is prepared.
    if (isEnded(status)) return (run.finishedAt ?? 0) + answersMs;
    // Broadcasts reach only waits that were reported, so a new name is reported soon, or immediately if the run is parked.
    const unreported = run.waitingFor.find(({ kind, name }) => kind === "signal" && !this.#reportedNames.has(name));
    if (!busy) return unreported !== undefined || this.#last === null ? 0 : this.#lastAt + intervalMs;
    if (this.#last === null) return Math.max(run.createdAt, this.#openedAt) + patienceMs;
    const unreportedAt = unreported === undefined ? null : unreported.since + patienceMs;
    if (status === this.#last?.status) return unreportedAt;
    this.#staleSince ??= Date.now();
    return earliest(unreportedAt, Math.max(this.#staleSince + staleMs, this.#lastAt + intervalMs));
  }

  #begin(account: Account, run: Glance, dueAt: number | null, tell: () => Promise<void>): number | null {
    if (dueAt === null || account.underWay !== null) return null;
    const now = Date.now();
    const [at, longestMs] = account.failures > 0 ? [account.retryAt, longestPauseMs] : [dueAt, staleMs];
    // A longer pause means that the clock was set back.
    if (at > now && at <= now + longestMs) return at;
    void this.#send(account, run, tell);
    return null;
  }

  /** Never throws: after an error the report stays pending. */
  #send(account: Account, { id, status }: Glance, tell: () => Promise<void>): Promise<void> {
    const attempt = async (): Promise<void> => {
      try {
        // An end is reported only when it is durable, because a report cannot be withdrawn.
        if (isEnded(status)) await this.#owner.safe();
        await tell();
        account.failures = 0;
        account.failure = null;
      } catch (error) {
        account.failures++;
        account.failure = error;
        account.retryAt = Date.now() + backoff(account.failures, longestBackoffMs);
        console.warn(`run ${id} could not be reported; it will be again: ${describe(error)}`);
      }
      account.underWay = null;
      this.#owner.changed();
    };
    account.underWay = attempt();
    return account.underWay;
  }

  async #list(): Promise<void> {
    // Only made for a report, because it is expensive.
    const run = this.#owner.run.snapshot();
    const shard = shardOf(run.id, this.#owner.run.state.created?.shards);
    const { offers, rows, refused } = await this.#report(shard, run);
    this.#owner.reported(rows);
    if (refused === true) throw new Error("its removal was begun a short while ago");
    if (offers.length > 0) await within(claimOffers(run.id, offers, this.#owner.receive), claimLimitMs);
    const { status, waitingFor, updatedAt, finishedAt } = run;
    this.#last = { status, waitingFor, updatedAt, finishedAt };
    this.#reportedNames = new Set(signalNames(run));
    this.#lastAt = Date.now();
  }

  async #report(shard: number, run: RunSnapshot): Promise<ReportAnswer> {
    if (isEnded(run.status)) return await reportEnd(shard, summary(run));
    return await within(directoryShard(shard).report(summary(run)), callLimitMs);
  }

  async #reportEnd(fired: ScheduleFiring, run: Glance): Promise<void> {
    await scheduler.wait(lagMs);
    const end = { status: run.status, at: run.finishedAt ?? run.updatedAt };
    await within(schedulerObject().ended(fired, run.id, end), callLimitMs);
    this.#reportedEnd = endOf(run);
  }
}

function endOf({ status, finishedAt }: Glance): string {
  return `${status} ${finishedAt}`;
}

/** Whether both are listed with the same content. For thousands of waits, comparing their number first is usually enough. */
function isListedAlike(one: Listed, other: Listed): boolean {
  // A run that was reopened may have ended again in the same way; one may be paused again, of another error.
  if (one.status !== other.status || one.finishedAt !== other.finishedAt) return false;
  if (one.updatedAt !== other.updatedAt) return false;
  if (one.waitingFor.length !== other.waitingFor.length) return false;
  return dequal(one.waitingFor, other.waitingFor);
}

function signalNames({ waitingFor }: Glance): string[] {
  return waitingFor.filter(({ kind }) => kind === "signal").map(({ name }) => name);
}

function summary(run: RunSnapshot): RunSummary {
  const { input: _input, output: _output, progress: _progress, active: _active, ...rest } = run;
  // Changes of the running steps are not reported.
  return rest.status === "running" ? { ...rest, reason: rest.lead ?? null } : rest;
}
