/**
 * Owns: one shard of the directory, and its alarm. The first shard also holds broadcast signals.
 * Does not own: the state of runs: everything here can be reported again.
 *
 * 1. The alarm is at or before the next instant at which something expires or has to be checked.
 * 2. `alarm` never throws, because the platform stops repeating an alarm that does.
 * 3. A signal whose claim was not settled in time is delivered to its claimer again, and passes to another run only after the
 *    claimer has refused it.
 * 4. Reads show all earlier reports, unless the register is slow.
 */
import { DurableObject } from "cloudflare:workers";
import { HoldfastError } from "../../core/error.ts";
import type { RunSummary } from "../../core/run/run.ts";
import type { Cause, GroupField, RunFilter, RunQuery } from "../../core/service/directory.ts";
import type { BroadcastOutcome, SignalRequest } from "../../core/service/service.ts";
import type { Sample, SampleQuery } from "../../core/stats/sample.ts";
import type { Position } from "../../core/listing/cursor.ts";
import { claimMs } from "../../store/buffer.ts";
import type { BufferedSignal, Hold, SignalBuffer } from "../../store/buffer.ts";
import type { Groups } from "../../store/census.ts";
import { openDirectory } from "../../store/directory.ts";
import type { DirectoryStore, RunCount } from "../../store/directory.ts";
import { listed } from "../../store/row.ts";
import type { Held } from "../../store/signal.ts";
import { StatisticsStore } from "../../store/statistics.ts";
import type { OldestOpen } from "../../store/statistics.ts";
import { directoryShard, shardName } from "../address.ts";
import { setAlarm } from "../alarm.ts";
import { answer } from "../answer.ts";
import { Followers } from "../follow/followers.ts";
import { deliver, deliverToEach, settle, waitersOf } from "./broadcast.ts";
import { digestOf } from "../deployment/digest.ts";
import { Enrolment } from "./enrolment.ts";
import { vaultOf } from "../deployment/keys.ts";
import { describe, upTo, within } from "../patience.ts";
import type { Answer } from "../answer.ts";
import type { DirectoryRpc, ReportAnswer, RekeyedShard, ShardMark } from "../rpc/directory.ts";

/** Stored when this shard has got the offers of signals that were buffered before it existed. */
const learntMark = "offers-learnt";
const callLimitMs = 10_000;
/** How long a read waits for earlier reports. */
const readingMs = 500;
/** Encrypting a row takes about fifty microseconds; a buffered signal may be large. */
const resealRows = 1000;
const resealSignals = 10;
/** The limit of buffered signals in one answer: with the longest ids and names, some megabytes. */
const openSignals = 5000;

export class DirectoryObject extends DurableObject implements DirectoryRpc {
  readonly #runs: DirectoryStore;
  readonly #enrolment: Enrolment;
  readonly #signals: SignalBuffer;
  readonly #followers: Followers;
  readonly #statistics: StatisticsStore;
  /** Reports that are not listed yet. */
  readonly #arriving = new Set<Promise<unknown>>();

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    const vault = vaultOf(ctx);
    const { runs, signals } = openDirectory(ctx.storage.sql, vault);
    this.#runs = runs;
    this.#enrolment = new Enrolment(ctx.storage, runs, ctx.id.name ?? "");
    this.#signals = signals;
    this.#followers = new Followers(ctx);
    this.#statistics = new StatisticsStore(ctx.storage.sql, vault);
  }

  async report(summary: RunSummary): Promise<ReportAnswer> {
    const arrival = this.#report(summary);
    this.#arriving.add(arrival);
    try {
      return await arrival;
    } finally {
      this.#arriving.delete(arrival);
    }
  }

  async reportAll(summaries: readonly RunSummary[]): Promise<readonly (ReportAnswer | null)[]> {
    return await Promise.all(summaries.map((summary) => this.report(summary).catch(() => null)));
  }

  async #report(summary: RunSummary): Promise<ReportAnswer> {
    const names = summary.waitingFor.filter((wait) => wait.kind === "signal").map((wait) => wait.name);
    if (names.length > 0) await this.#learnOffers();
    const admitted = await this.#enrolment.admit(summary);
    if (admitted === "removed") return { offers: [], rows: 0, refused: true };
    const enrolled = admitted === "new" ? 1 : 0;
    // The rest is in one turn, so that either a broadcast finds the run, or the run finds the offer.
    const reported = this.#runs.report(summary);
    if (reported === "older") return { offers: [], rows: enrolled };
    if (reported === "listed") {
      this.#statistics.note(summary);
      if (!this.#followers.isEmpty) this.#followers.send({ listed: listed(summary) });
    }
    const rows = enrolled + (reported === "listed" ? 1 : 0);
    return { offers: this.#signals.offered(names, Date.now()), rows };
  }

  async remove(id: string, createdAt: number): Promise<void> {
    const wasListed = this.#runs.remove(id, createdAt);
    if (wasListed) this.#followers.send({ removed: id });
    // Not awaited: a run that stays on the register for too long does no harm.
    this.ctx.waitUntil(this.#enrolment.remove({ id, createdAt }, wasListed));
  }

  async list(query: Omit<RunQuery, "cursor">, before: Position | null): Promise<readonly RunSummary[]> {
    return this.#caughtUp(() => this.#runs.list(query, before));
  }

  async count(filter: RunFilter, except: string): Promise<number> {
    return this.#caughtUp(() => this.#runs.count(filter, except));
  }

  async counts(): Promise<readonly RunCount[]> {
    return this.#caughtUp(() => this.#runs.counts());
  }

  async groups(filter: RunFilter, groupBy: readonly GroupField[]): Promise<Groups> {
    return this.#caughtUp(() => this.#runs.groups(filter, groupBy));
  }

  async causes(filter: RunFilter): Promise<readonly Cause[]> {
    return this.#caughtUp(() => this.#runs.causes(filter));
  }

  async sample(query: SampleQuery): Promise<Sample> {
    return this.#caughtUp(() => this.#statistics.sample(query));
  }

  async census(): Promise<{ readonly counts: readonly RunCount[]; readonly oldestOpen: readonly OldestOpen[] }> {
    return this.#caughtUp(() => ({ counts: this.#runs.counts(), oldestOpen: this.#statistics.oldestOpen() }));
  }

  async waiters(name: string): Promise<readonly string[]> {
    return this.#runs.waiters(name);
  }

  deliver(runIds: readonly string[], id: string, signal: SignalRequest): Promise<Answer<number>> {
    return answer(() => deliverToEach(runIds, id, signal));
  }

  async offer(id: string, name: string, expiresAt: number): Promise<void> {
    this.#signals.offer(id, name, expiresAt);
    await this.#arm(expiresAt);
  }

  async withdraw(id: string, name: string): Promise<void> {
    this.#signals.withdraw(id, name);
  }

  async open(after = 0): ReturnType<DirectoryRpc["open"]> {
    return this.#signals.open(Date.now(), after, openSignals);
  }

  async hold(id: string, signal: SignalRequest, expiresAt: number): Promise<Hold> {
    const digest = signal.key === undefined ? null : await digestOf(signal.payload);
    const hold = this.#hold(id, signal, digest, expiresAt);
    await this.#arm(expiresAt);
    return hold;
  }

  #hold(id: string, signal: SignalRequest, digest: string | null, expiresAt: number): Hold {
    try {
      return this.#whole(() => this.#signals.hold(id, signal, digest, expiresAt, Date.now()));
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return { kind: "unreadable", code: error.code, message: error.message };
    }
  }

  async claim(name: string, runId: string, except: readonly string[]): Promise<Held | null> {
    const now = Date.now();
    const held = this.#claim(name, runId, except, now);
    if (held !== null) await this.#arm(now + claimMs);
    return held === "unreadable" ? null : held;
  }

  #claim(name: string, runId: string, except: readonly string[], now: number): Held | "unreadable" | null {
    try {
      return this.#signals.claim(name, runId, except, now);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      // It stays, and is checked until it can be delivered.
      console.error(`a signal ${name} that is buffered cannot be delivered: ${describe(error)}`);
      return "unreadable";
    }
  }

  async release(id: string, runId: string): Promise<void> {
    const now = Date.now();
    this.#signals.release(id, runId, now);
    await this.#arm(now);
  }

  async settle(id: string, delivered: number, finished = true): Promise<void> {
    this.#whole(() => this.#signals.settle(id, delivered, finished));
  }

  async outcome(id: string): Promise<BroadcastOutcome> {
    return this.#signals.finish(id);
  }

  /** Rows of the list first, then buffered signals; both in pages, so that each call is short. */
  async rekey(from: ShardMark): Promise<RekeyedShard> {
    if (from.kind === "runs") {
      const { next, ...counts } = this.#runs.reseal(from.after, resealRows);
      return { ...counts, next: next === null ? { kind: "signals", after: 0 } : { kind: "runs", after: next } };
    }
    const { next, ...counts } = this.#whole(() => this.#signals.reseal(from.after, resealSignals));
    return { ...counts, next: next === null ? null : { kind: "signals", after: next } };
  }

  override async fetch(request: Request): Promise<Response> {
    return this.#followers.admit(request, "subscribed");
  }

  override async alarm(): Promise<void> {
    try {
      await this.#attend();
    } catch (error) {
      console.error(`${this.ctx.id.name}: ${describe(error)}`);
      await setAlarm(this.ctx.storage, Date.now() + claimMs, () => true);
    }
  }

  /** Deletes what has expired, and delivers signals that were not settled. @throws if its storage fails */
  async #attend(): Promise<void> {
    const now = Date.now();
    this.#signals.purge(now);
    const unattended = this.#signals.unattended(now);
    // The next check is scheduled first, so that there is one even if this one fails.
    for (const { id } of unattended) this.#signals.checkAt(id, now + claimMs);
    await this.#armNext();
    for (const { id, claimedBy } of unattended) {
      try {
        await this.#passOn(id, claimedBy);
      } catch {
        // A run or a shard was not reached: the signal stays until the next check.
      }
    }
  }

  /** Writes in a transaction, because a signal must not be stored without its payload. */
  #whole<Value>(write: () => Value): Value {
    return this.ctx.storage.transactionSync(write);
  }

  /** Reads after earlier reports, so that it shows them. */
  async #caughtUp<Value>(read: () => Value): Promise<Value> {
    if (this.#arriving.size > 0) await upTo(readingMs, Promise.allSettled(this.#arriving));
    return read();
  }

  /** Gets the offers of buffered signals, which a new or lost shard does not have. */
  async #learnOffers(): Promise<void> {
    if (this.ctx.id.name === shardName(0) || this.ctx.storage.kv.get(learntMark) !== undefined) return;
    for (let after: number | null = 0; after !== null;) {
      const offers: readonly BufferedSignal[] = await within(directoryShard(0).open(after), callLimitMs);
      for (const { id, name, expiresAt } of offers) this.#signals.offer(id, name, expiresAt);
      // A shard of the deployment before answers all of them at once.
      after = offers.length === openSignals ? (offers.at(-1)?.number ?? null) : null;
    }
    this.ctx.storage.kv.put(learntMark, true);
    await this.#armNext();
  }

  /** Delivers a held signal to the run that claimed it, or else to the first run that accepts it. */
  async #passOn(id: string, claimedBy: string | null): Promise<void> {
    const held = this.#signals.find(id);
    if (held === null) return;
    const waiters = (await waitersOf(held.signal.name)).filter((runId) => runId !== claimedBy);
    for (const runId of claimedBy === null ? waiters : [claimedBy, ...waiters]) {
      if (!this.#signals.take(id, runId, Date.now())) return;
      if (await deliver(runId, id, held.signal)) return settle(id, held.signal.name, 1, false);
      this.#signals.release(id, runId, null);
    }
    this.#signals.rest(id);
  }

  async #armNext(): Promise<void> {
    const dueAt = this.#signals.dueAt();
    if (dueAt !== null) await this.#arm(dueAt);
  }

  /** Sets the alarm, never to now or earlier, which would be lost if called from `alarm`. */
  async #arm(dueAt: number): Promise<void> {
    const at = Math.max(dueAt, Date.now() + 1);
    const armedAt = await this.ctx.storage.getAlarm();
    if (armedAt === null || armedAt > at) await this.ctx.storage.setAlarm(at);
  }
}
