/**
 * Owns: telling the directory, and the scheduler where it started the run, what became of a run: merged, in
 * order, beside the run's own work, and again until it was heard.
 * Does not own: what is told (core/snapshot), when the run is looked at and its alarm (host).
 *
 * Invariants
 * 1. The journal is the outbox: what a memory has not told, it owes. A new memory owes everything.
 * 2. What is owed is under way (`busy`, and whoever hosts the run keeps an alarm for it), or due at an instant
 *    that `attend` and `attendEnd` name.
 * 3. One report at a time, so that they arrive in their order; one that takes too long is given up.
 */
import { dequal } from "dequal";
import type { RunSnapshot, RunSummary } from "../core/run.ts";
import { isEnded } from "../core/run.ts";
import type { Glance } from "../core/snapshot.ts";
import { directoryShard, schedulerObject, shardOf } from "./address.ts";
import { claimOffers } from "./broadcast.ts";
import type { Receive } from "./broadcast.ts";
import { tellEnd } from "./bundle.ts";
import { answersMs, lagMs } from "./lag.ts";
import { backoff, describe, within } from "./patience.ts";
import type { Heard } from "./rpc/directory.ts";
import { earlier } from "./timer.ts";

/** The shortest pause between two reports of a run that goes on. */
const intervalMs = 500;
/** A run that is at work is first listed after this long, as is a signal it waits for, unless it comes to rest before. */
const patienceMs = 250;
/** A run that is at work while the listing says otherwise is listed anew after this long. */
const staleMs = 1000;
const longestBackoffMs = 30_000;
/** A pause may be longer than planned, by chance. */
const longestPauseMs = 2 * longestBackoffMs;
const callLimitMs = 10_000;
/** Signals that waited for the run are claimed and taken one after another. */
const claimLimitMs = 60_000;

/** Whoever hosts the run. */
type Listener = {
  readonly receive: Receive;
  /** Resolves once all that is on record is safe. */
  safe(): Promise<void>;
  /** A report was heard, or could not be made. */
  changed(): void;
  /** The directory was told, and wrote so many rows; undefined where it does not say. */
  reported(rows: number | undefined): void;
};

type Account = { failures: number; failure: unknown; retryAt: number; underWay: Promise<void> | null };

/** What the directory shows of a run that may change while it goes on. */
type Listed = Pick<Glance, "status" | "waitingFor" | "finishedAt">;

export class Reporter {
  readonly #listener: Listener;
  readonly #listing: Account = { failures: 0, failure: null, retryAt: 0, underWay: null };
  readonly #firing: Account = { failures: 0, failure: null, retryAt: 0, underWay: null };
  readonly #openedAt = Date.now();
  /** What was told last; null before the first time. */
  #told: Listed | null = null;
  #toldNames: ReadonlySet<string> = new Set();
  #toldAt = 0;
  /** Since when the listing of a run at work has another status; null when it has not. */
  #staleSince: number | null = null;
  /** The end that the scheduler has heard of. */
  #heardEnd = "";

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  /** Something is being told: this memory has to stay for the answer. */
  get busy(): boolean {
    return this.#listing.underWay !== null || this.#firing.underWay !== null;
  }

  /**
   * Begins to tell the directory what is due; answers when more will be, null where nothing is left to begin. Epoch ms.
   * @param run as it is now
   * @param read all of it, as it is when it is asked: only what is told is worth that
   * @param shards how many the directory had when the run was created
   * @param busy the run is at work
   */
  attend(run: Glance, read: () => RunSnapshot, shards: number | undefined, busy: boolean): number | null {
    return this.#begin(this.#listing, run, this.#listAt(run, busy), () => this.#list(read, shards));
  }

  /** The same of the scheduler, where it started the run: it hears how that ended. */
  attendEnd(run: Glance): number | null {
    return this.#begin(this.#firing, run, this.#owesEnd(run) ? 0 : null, () => this.#tellEnd(run));
  }

  /**
   * The run that has ended goes on again: its schedule counts it once more, and hears no more of the end that was,
   * which would be taken for the one to come. @throws when the scheduler was not reached
   */
  async revive(run: Glance): Promise<void> {
    if (run.schedule === null || run.fork !== null) return;
    while (this.#firing.underWay !== null) await this.#firing.underWay;
    const heard = this.#heardEnd;
    this.#heardEnd = endOf(run);
    try {
      await within(schedulerObject().revived(run.schedule, run.id), callLimitMs);
    } catch (error) {
      // A scheduler that still runs older code has no such call.
      if (error instanceof TypeError) return;
      this.#heardEnd = heard;
      throw error;
    }
  }

  /** Has the run listed as it is now, whatever was told before. @throws when the directory was not reached */
  async renew(read: () => RunSnapshot, shards: number | undefined): Promise<void> {
    while (this.#listing.underWay !== null) await this.#listing.underWay;
    await this.#pay(this.#listing, read(), () => this.#list(read, shards));
    if (this.#listing.failure !== null) throw this.#listing.failure;
  }

  /** When the run as it is should be listed; null when nobody needs to hear of it. */
  #listAt(run: Glance, busy: boolean): number | null {
    const { status } = run;
    if (!busy || status === this.#told?.status) this.#staleSince = null;
    if (this.#told !== null && isListedAlike(this.#told, run)) return null;
    // Those who wait for the end are answered before anything is prepared for the report.
    if (isEnded(status)) return (run.finishedAt ?? 0) + answersMs;
    // A broadcast reaches the runs that the directory knows to wait: a new name is reported soon, and at once at rest.
    const unheard = run.waitingFor.find(({ kind, name }) => kind === "signal" && !this.#toldNames.has(name));
    if (!busy) return unheard !== undefined || this.#told === null ? 0 : this.#toldAt + intervalMs;
    if (this.#told === null) return Math.max(run.createdAt, this.#openedAt) + patienceMs;
    const unheardAt = unheard === undefined ? null : unheard.since + patienceMs;
    if (status === this.#told?.status) return unheardAt;
    this.#staleSince ??= Date.now();
    return earlier(unheardAt, Math.max(this.#staleSince + staleMs, this.#toldAt + intervalMs));
  }

  #begin(account: Account, run: Glance, dueAt: number | null, tell: () => Promise<void>): number | null {
    if (dueAt === null || account.underWay !== null) return null;
    const now = Date.now();
    const [at, longestMs] = account.failures > 0 ? [account.retryAt, longestPauseMs] : [dueAt, staleMs];
    // Nothing is put off for longer: a clock that says so was set back.
    if (at > now && at <= now + longestMs) return at;
    void this.#pay(account, run, tell);
    return null;
  }

  /** Never throws: a failure is noted, and what was to be told stays owed. */
  #pay(account: Account, { id, status }: Glance, tell: () => Promise<void>): Promise<void> {
    const attempt = async (): Promise<void> => {
      try {
        // After the answers to those who wait for it, and never to be taken back.
        if (isEnded(status)) await this.#listener.safe();
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
      this.#listener.changed();
    };
    account.underWay = attempt();
    return account.underWay;
  }

  async #list(read: () => RunSnapshot, shards: number | undefined): Promise<void> {
    const run = read();
    const { offers, rows, refused } = await this.#tell(shardOf(run.id, shards), run);
    this.#listener.reported(rows);
    if (refused === true) throw new Error("its removal was begun a short while ago");
    if (offers.length > 0) await within(claimOffers(run.id, offers, this.#listener.receive), claimLimitMs);
    this.#told = { status: run.status, waitingFor: run.waitingFor, finishedAt: run.finishedAt };
    this.#toldNames = new Set(signalNames(run));
    this.#toldAt = Date.now();
  }

  async #tell(shard: number, run: RunSnapshot): Promise<Heard> {
    if (isEnded(run.status)) return await tellEnd(shard, summary(run));
    return await within(directoryShard(shard).report(summary(run)), callLimitMs);
  }

  /** A fork has the firing of the run it comes from, and is no run of the schedule. */
  #owesEnd(run: Glance): boolean {
    return run.schedule !== null && run.fork === null && isEnded(run.status) && endOf(run) !== this.#heardEnd;
  }

  async #tellEnd(run: Glance): Promise<void> {
    if (run.schedule === null) return;
    await scheduler.wait(lagMs);
    const end = { status: run.status, at: run.finishedAt ?? run.updatedAt };
    await within(schedulerObject().ended(run.schedule, run.id, end), callLimitMs);
    this.#heardEnd = endOf(run);
  }
}

function endOf({ status, finishedAt }: Glance): string {
  return `${status} ${finishedAt}`;
}

/** The listing shows both alike. Where a run waits for thousands, mostly their number shows that it does not. */
function isListedAlike(one: Listed, other: Listed): boolean {
  // A run that went on after its end may have ended once more as it had before.
  if (one.status !== other.status || one.finishedAt !== other.finishedAt) return false;
  if (one.waitingFor.length !== other.waitingFor.length) return false;
  return dequal(one.waitingFor, other.waitingFor);
}

function signalNames({ waitingFor }: Glance): string[] {
  return waitingFor.filter(({ kind }) => kind === "signal").map(({ name }) => name);
}

function summary(run: RunSnapshot): RunSummary {
  const { input: _input, output: _output, progress: _progress, active: _active, ...rest } = run;
  // The steps that it is at change without a report.
  return rest.status === "running" ? { ...rest, reason: rest.lead ?? null } : rest;
}
