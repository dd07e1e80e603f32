/**
 * Owns: keeping one run going in one Durable Object: when it is looked at, its single alarm, its end.
 * Does not own: any decision about the run (engine/run), what is stored and known of it (memory), what it owes to
 * others (debts).
 * Long because everything that goes on around a run meets here; what each of it does is elsewhere.
 * Invariant 1: whatever is committed while the run is busy is committed with an alarm that is due within a second,
 * or while one is being handled, so that the run of a process that died resumes by itself (guarantee 4). A burst
 * that dies before its first commit was never heard of; who called is told, and tells (witness).
 * Invariant 2: a parked run leaves no timer, no open request and no socket behind but such as sleep with it.
 */
import { HoldfastError } from "../core/error.ts";
import { bornAt } from "../core/origin.ts";
import type { RunSnapshot } from "../core/run.ts";
import type { RunAction, SignalRequest } from "../core/service.ts";
import { Bell } from "../engine/bell.ts";
import type { Next } from "../engine/drive.ts";
import type { Run } from "../engine/run.ts";
import { Alarm, aheadOf, deadlineOf, housekeepingAt, isHousekeeping, watchdogMs } from "./alarm.ts";
import { answer } from "./answer.ts";
import { isUnreadable, lastSoundAt, lookAgainAt, remainsOf, unlist } from "./damage.ts";
import { Debts } from "./debts.ts";
import { Expiry } from "./expiry.ts";
import { logRemoval } from "./logline.ts";
import { gone } from "./memory.ts";
import type { Memory } from "./memory.ts";
import { describe } from "./patience.ts";
import { takeOut } from "./removal.ts";
import type { Parcel, RunSaid } from "./rpc/run.ts";
import { LaneRequests } from "./requests.ts";
import { earlier, timer } from "./timer.ts";

/** An alarm may run for 15 minutes: one that guards a long attempt hands over to the next before. */
const longestAlarmMs = 10 * 60_000;

export class Host {
  readonly #ctx: DurableObjectState;
  readonly #memory: Memory;
  readonly #nudge = new Bell();
  /** Rings when the run may have ended. */
  readonly #ended = new Bell();
  readonly #laneRequests = new LaneRequests(
    () => this.proceed(),
    () => this.#memory.meter.called(),
  );
  /** Of the run that was looked at last. */
  #debts: Debts | null = null;
  #loop: Promise<void> | null = null;
  readonly #alarm: Alarm;
  /** The run is being removed: what would be accepted now would go with it. */
  removing = false;
  readonly #expiry = new Expiry();

  constructor(ctx: DurableObjectState, memory: Memory) {
    this.#ctx = ctx;
    this.#memory = memory;
    this.#alarm = new Alarm(ctx.storage, () => memory.meter.wrote(1));
  }

  get #run(): Run {
    return this.#memory.run;
  }

  /** Looks at the run now, and keeps it going for as long as it is busy. */
  proceed(alarm?: AlarmInvocationInfo): void {
    if (this.#loop !== null) return this.#nudge.ring();
    const judged = this.#memory.isCold && alarm !== undefined && !isHousekeeping(alarm);
    this.#keepGoing(judged && this.#run.wasCutOff(dueBy(alarm)));
  }

  #keepGoing(died: boolean): void {
    // Set before anything can kill the process again: the platform gives up an alarm after seven deaths.
    if (died) this.#alarm.setWatchdog();
    this.#loop = this.#drive(died)
      .catch((error: unknown) => this.#giveUp(error))
      .finally(() => {
        this.#loop = null;
      });
    this.#ctx.waitUntil(this.#memory.meter.hold(this.#loop));
  }

  /**
   * Somebody's call died with this object. If that memory was another, the run goes on with care: what killed it
   * is on record the next time, before it can do so again.
   */
  noteDeath(): void {
    if (this.#memory.isCold && this.#loop === null && this.#run.wasCutOff(-Infinity)) this.#keepGoing(true);
  }

  /** Goes on with the run while a call of it is judged, and once it was: by then it may be at rest, without a watch. */
  during<Value>(judged: Promise<Value>): Promise<Value> {
    this.proceed();
    return judged.finally(() => this.proceed());
  }

  /** Keeps the run going if this memory is new and nothing else would. */
  wake(): void {
    if (this.#memory.isCold && this.#run.isDue()) this.proceed();
  }

  /** @throws HoldfastError signal_invalid, not_waiting, run_ended, idempotency_conflict */
  async signal(signal: SignalRequest, onlyIfWaiting: boolean): Promise<{ duplicate: boolean }> {
    const { bornAt } = this.#memory;
    const fitted = this.#run.fitSignal(signal);
    // Awaited only where it must be, so that signals keep the order in which they came.
    const ready = fitted instanceof Promise ? await fitted : fitted;
    if (this.#memory.bornAt !== bornAt) throw gone();
    const received = this.#run.signal(ready, onlyIfWaiting);
    this.proceed();
    return received;
  }

  /** A broadcast that waited for this run; answers whether it would take another. */
  async #take(signal: SignalRequest): Promise<{ duplicate: boolean; more: boolean }> {
    const { duplicate } = await this.signal(signal, true);
    return { duplicate, more: this.#run.openWaits(signal.name) > 0 };
  }

  /** Never throws: the platform gives up an alarm that does so seven times. */
  async alarm(info?: AlarmInvocationInfo): Promise<void> {
    this.#alarm.fired();
    try {
      await this.#watch(info);
    } catch (error) {
      console.error("a run could not be opened; it is tried again", describe(error));
      // Until that is set this alarm is not over, and comes again should the process die.
      await this.#alarm.rearm(this.#lookAgainAt(error, info !== undefined && isHousekeeping(info)));
    }
  }

  #lookAgainAt(error: unknown, housekeeping: boolean): number {
    return lookAgainAt(error, () => lastSoundAt(this.#memory.openJournal().read()), Date.now(), housekeeping);
  }

  /** Removes a run that cannot be read, for whoever asked; its id is free again. */
  async discard(id: string, damage: HoldfastError): Promise<Parcel> {
    if (this.removing) throw new HoldfastError("run_not_found", "the run is being removed");
    return remainsOf(id, await this.#clear(() => unlist(id)), damage.message);
  }

  /** Keeps the run going under the alarm's protection. */
  async #watch(info: AlarmInvocationInfo | undefined): Promise<void> {
    // No run: all there can be is the mark of a key that has served its time.
    if (this.#run.state.created === null) return await this.#ctx.storage.deleteAll();
    // Whatever work there is besides gets a watch of its own.
    if (info !== undefined && isHousekeeping(info)) return this.proceed(info);
    this.#alarm.handled = true;
    this.proceed(info);
    const guard = timer(Date.now() + longestAlarmMs);
    await Promise.race([this.#loop, guard.over]);
    guard.cancel();
    this.#alarm.handled = false;
    // Still at work, or being removed: the next alarm takes over the watch.
    if (this.#loop !== null || this.removing) this.#alarm.setWatchdog();
  }

  /** The run once it has ended, or as it is when the time is up. */
  async settled(waitMs: number): Promise<RunSnapshot> {
    // Mostly there is nothing left to wait for then.
    if (this.#run.isBurst) await this.#run.yielded();
    if (this.#run.state.end !== null) return this.#run.snapshot();
    const limit = timer(Date.now() + waitMs);
    let timedOut = false;
    void limit.over.then(() => {
      timedOut = true;
    });
    while (!timedOut && this.#run.state.end === null) await Promise.race([this.#ended.heard(), limit.over]);
    limit.cancel();
    return this.#run.snapshot();
  }

  /** The run with its places in the lanes that hold it, asked now; as they were known should that take long. */
  async located(): Promise<RunSnapshot> {
    const run = this.#run;
    const { queued, end, paused } = run.state;
    if (queued.size === 0 || end !== null || paused !== null) return run.snapshot();
    run.lanes.askAgain();
    this.proceed();
    this.#laneRequests.attend(run);
    const limit = timer(Date.now() + watchdogMs);
    await Promise.race([this.#laneRequests.idle(), limit.over]);
    limit.cancel();
    if (this.#memory.isCurrent(run)) this.#laneRequests.deliver(run);
    this.proceed();
    return run.snapshot(run.lanes.slots.places);
  }

  /** Lets in one who follows the run. */
  follow(request: Request): Response {
    const { created } = this.#run.state;
    if (created === null) return new Response(null, { status: 404 });
    this.wake();
    return this.#memory.followers.admit(request, { ...this.#standing(), createdAt: bornAt(created) });
  }

  /** Where the run is, as its followers hear it. */
  #standing(): Extract<RunSaid, object> {
    const { seq, end } = this.#run.state;
    return { seq, status: end === null ? null : this.#run.glance().status };
  }

  /** Has the run listed anew, now. @throws when the directory was not reached */
  async relist(): Promise<void> {
    const listed = this.#owed().renew();
    this.proceed();
    await listed;
  }

  /** The run has ended and is about to go on again: whoever counts those that go on is told before. @throws as `Debts` */
  async revive(): Promise<void> {
    try {
      await this.#owed().revive();
    } catch (error) {
      // It does not go on, and whoever looked meanwhile saw nothing that is owed for its end.
      this.proceed();
      throw error;
    }
  }

  /** Removes everything that is kept of the run; its id is free again. */
  async remove(by: Pick<RunAction, "by" | "role" | "reason">): Promise<void> {
    this.removing = true;
    try {
      this.#owed().stop();
      // A report under way must not list the run again after its removal.
      await this.#loop;
      // Should the process die half-way, the run is listed again.
      this.#alarm.ensureWatchdog();
      await this.#erase(by);
    } catch (error) {
      this.removing = false;
      // Nor does this memory know what the shard made of it.
      this.#memory.forget();
      this.proceed();
      throw error;
    }
  }

  async #erase(by: Parameters<typeof logRemoval>[2]): Promise<void> {
    const { created } = this.#run.state;
    await this.#clear(async () => {
      if (created !== null) await takeOut(created);
    });
    this.#memory.log.flush();
    if (created !== null) logRemoval(created, Date.now(), by);
  }

  /** Nothing is left of the run, neither stored nor in memory, once others have let go of it. */
  async #clear<Told>(takenOut: () => Promise<Told>): Promise<Told> {
    this.removing = true;
    try {
      const told = await takenOut();
      await this.#memory.clear();
      this.#debts = null;
      this.#alarm.gone();
      return told;
    } finally {
      this.removing = false;
    }
  }

  async #drive(died: boolean): Promise<void> {
    this.#memory.warm();
    for (let first = true; ; first = false) {
      const run = this.#run;
      const debts = this.#owed();
      this.#laneRequests.deliver(run);
      const next = run.advance(first && died);
      if (run.isBurst) {
        await run.yielded();
        continue;
      }
      this.#laneRequests.attend(run);
      const { created, end } = run.state;
      if (created === null) return;
      // Before it is removed: a run that is not kept at all has an end to tell as well.
      if (end !== null) this.#ended.ring();
      const owedAt = debts.attend(next.expired);
      if (end !== null && !this.#memory.followers.isEmpty) this.#memory.followers.tell(this.#standing());
      // Whoever removes it has the say, and waits for what is under way: removed twice, the next of its id would go.
      if (this.removing && !debts.busy) return;
      // What has expired stays until it owes nothing.
      const removable = next.expired && owedAt === null && !this.removing;
      if (removable && !debts.busy) {
        if (await this.#expire(debts)) return;
        // Tried again meanwhile: what was to be done next is no longer.
        if (this.#run.state.end !== end) continue;
      }
      const reportAt = debts.report(next.busy);
      const wakeAt = next.expired ? null : next.wakeAt;
      const expiryAt = removable && !debts.busy ? this.#expiry.dueAt : null;
      const dueAt = earlier(earlier(reportAt, owedAt), earlier(expiryAt, this.#memory.log.attend()));
      const alarmAt = wakeAt === null ? null : aheadOf(wakeAt);
      const now = Date.now();
      const soon = (dueAt !== null && dueAt - now < watchdogMs) || (alarmAt !== null && alarmAt <= now);
      if (!next.busy && !debts.busy && !soon) return this.#park(alarmAt, dueAt);
      // What merely waits for a moment needs no watch before it: there is nothing at work that could have died.
      this.#alarm.ensureWatchdog(next.busy ? null : alarmAt);
      await this.#rest(next, earlier(wakeAt, dueAt));
    }
  }

  /** Removes what is kept no longer; false where that has to wait. */
  async #expire(debts: Debts): Promise<boolean> {
    if (this.#expiry.dueAt > Date.now()) return false;
    // An alarm that came for housekeeping is over by now.
    this.#alarm.ensureWatchdog();
    return await this.#expiry.attempt({
      state: () => this.#run.state,
      settled: () => debts.settled(),
      erase: () => this.#erase(null),
    });
  }

  /** Waits until there is something to do; only while the run is busy, or about to be reported. */
  async #rest(next: Next, wakeAt: number | null): Promise<void> {
    const limit = timer(wakeAt);
    const run = this.#run;
    await Promise.race([next.busy ? run.rested() : run.stirred(), this.#nudge.heard(), limit.over]);
    limit.cancel();
  }

  #park(runAt: number | null, owedAt: number | null): void {
    const wakeAt = earlier(runAt, owedAt === null ? null : housekeepingAt(owedAt));
    if (wakeAt === null) this.#alarm.disarm();
    else this.#alarm.arm(wakeAt);
    const run = this.#run;
    // A handler that awaits something of its own may go on without anybody asking.
    void run.stirred().then(() => {
      if (this.#memory.isCurrent(run)) this.proceed();
    });
  }

  /** The journal could not be written or read: the memory is given up, the alarm brings it back. */
  async #giveUp(error: unknown): Promise<void> {
    console.error(`run ${this.#ctx.id.name} lost its memory and will resume`, error);
    this.#memory.log.flush();
    this.#memory.forget();
    this.#debts = null;
    // An object that is being torn down takes no alarm; the one that guards its work is still there.
    // No death is to be read out of it where the journal itself is at fault.
    const at = isUnreadable(error) ? this.#lookAgainAt(error, true) : Date.now() + watchdogMs;
    await this.#alarm.rearm(at);
  }

  /** Those of the run that is in memory. */
  #owed(): Debts {
    if (this.#debts?.run === this.#run) return this.#debts;
    const { run, journal, children } = this.#memory;
    this.#debts = new Debts({
      run,
      journal,
      kv: this.#ctx.storage.kv,
      children,
      receive: (signal) => answer(() => this.#take(signal)),
      meter: () => this.#memory.meter,
      isCurrent: () => this.#memory.isCurrent(run),
      changed: () => this.#nudge.ring(),
    });
    return this.#debts;
  }
}

/**
 * Which deadlines may have brought this alarm. Its own time counts where the clock is behind it; an
 * alarm that comes again died with the process that handled it, so that none excuses it.
 */
function dueBy(alarm: AlarmInvocationInfo): number {
  return alarm.retryCount > 0 ? -Infinity : Math.max(deadlineOf(alarm), Date.now());
}
