/**
 * Owns: keeping one run going in one Durable Object: when it is looked at, and its single alarm.
 * Does not own: any decision about the run (engine/run), what is stored and known of it (memory), what it owes to
 * others (debts), how it looks (view), removing it (removal).
 * Invariant 1: whatever is committed while the run is busy is committed with an alarm that is due within a second,
 * or while one is being handled, so that the run of a process that died resumes by itself (guarantee 4). A burst
 * that dies before its first commit leaves nothing on record; the caller's stub sees it fail, and reports it (witness).
 * Invariant 2: a parked run leaves no timer, no open request and no socket behind but such as sleep with it.
 */
import type { SignalRequest } from "../core/service.ts";
import { Bell } from "../engine/bell.ts";
import type { Next } from "../engine/drive.ts";
import type { Run } from "../engine/run.ts";
import { Alarm, aheadOf, deadlineOf, housekeepingAt, isHousekeeping, watchdogMs } from "./alarm.ts";
import { answer } from "./answer.ts";
import { isUnreadable, lastSoundAt, lookAgainAt } from "./damage.ts";
import { Debts } from "./debts.ts";
import { gone } from "./memory.ts";
import type { Memory } from "./memory.ts";
import { describe } from "./patience.ts";
import { Removal } from "./removal.ts";
import { LaneRequests } from "./requests.ts";
import { earlier, timer } from "./timer.ts";
import { View } from "./view.ts";

/** An alarm may run for 15 minutes: one that guards a long attempt hands over to the next before. */
const longestAlarmMs = 10 * 60_000;

export class Host {
  readonly #ctx: DurableObjectState;
  readonly #memory: Memory;
  readonly #nudge = new Bell();
  readonly #requests = new LaneRequests(
    () => this.proceed(),
    () => this.#memory.meter.called(),
  );
  /** How the run looks to those who ask. */
  readonly view: View;
  readonly removal: Removal;
  /** Those of the run that was looked at last. */
  #debts: Debts | null = null;
  #loop: Promise<void> | null = null;
  readonly #alarm: Alarm;

  constructor(ctx: DurableObjectState, memory: Memory) {
    this.#ctx = ctx;
    this.#memory = memory;
    this.#alarm = new Alarm(ctx.storage, () => memory.meter.wrote(1));
    this.view = new View(memory, this.#requests, this);
    this.removal = new Removal(memory, this.#alarm, {
      debts: () => this.#currentDebts(),
      idle: () => this.#loop ?? Promise.resolve(),
      proceed: () => this.proceed(),
    });
  }

  get #run(): Run {
    return this.#memory.run;
  }

  /** Looks at the run now, and keeps it going for as long as it is busy. @param alarm the one that brought the object here */
  proceed(alarm?: AlarmInvocationInfo): void {
    if (this.#loop !== null) return this.#nudge.ring();
    const mayTellOfDeath = this.#memory.isCold && alarm !== undefined && !isHousekeeping(alarm);
    this.#startLoop(mayTellOfDeath && this.#run.wasCutOff(dueBy(alarm)));
  }

  /** @param died the last life of the run was cut off */
  #startLoop(died: boolean): void {
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
   * A call failed because this object died under it. If this memory was made since, the run goes on with care: the next
   * time, what killed the process is on record before it can do so again.
   */
  noteDeath(): void {
    if (this.#memory.isCold && this.#loop === null && this.#run.wasCutOff(-Infinity)) this.#startLoop(true);
  }

  /** Keeps the run going while a call of it is answered, and looks again after that: it may be at rest by then, without a watchdog. */
  during<Value>(answered: Promise<Value>): Promise<Value> {
    this.proceed();
    return answered.finally(() => this.proceed());
  }

  /** Sets the run going if it has something to do and this new memory has not looked at it yet. */
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

  /** A buffered broadcast that was offered to this run; answers whether the run would take another of that name. */
  async #receiveBroadcast(signal: SignalRequest): Promise<{ duplicate: boolean; more: boolean }> {
    const { duplicate } = await this.signal(signal, true);
    return { duplicate, more: this.#run.openWaits(signal.name) > 0 };
  }

  /** Never throws: the platform gives up an alarm that does so seven times. */
  async alarm(info?: AlarmInvocationInfo): Promise<void> {
    this.#alarm.fired();
    try {
      await this.#handle(info);
    } catch (error) {
      console.error("a run could not be opened; it is tried again", describe(error));
      // Until that is set this alarm is not over, and comes again should the process die.
      await this.#alarm.rearm(this.#lookAgainAt(error, info !== undefined && isHousekeeping(info)));
    }
  }

  #lookAgainAt(error: unknown, housekeeping: boolean): number {
    return lookAgainAt(error, () => lastSoundAt(() => this.#memory.openJournal().read()), Date.now(), housekeeping);
  }

  /** While an alarm is being handled it comes again should the process die: that is watchdog enough for a busy run. */
  async #handle(info: AlarmInvocationInfo | undefined): Promise<void> {
    // No run: all there can be is the mark of a key that has served its time.
    if (this.#run.state.created === null) return await this.#ctx.storage.deleteAll();
    // Nobody waits for the work that this may start: it gets a watchdog of its own.
    if (info !== undefined && isHousekeeping(info)) return this.proceed(info);
    this.#alarm.handled = true;
    this.proceed(info);
    const guard = timer(Date.now() + longestAlarmMs);
    await Promise.race([this.#loop, guard.over]);
    guard.cancel();
    this.#alarm.handled = false;
    // Still at work, or being removed: another alarm takes over.
    if (this.#loop !== null || this.removal.underWay) this.#alarm.setWatchdog();
  }

  /** Has the run listed anew, now. @throws when the directory was not reached */
  async relist(): Promise<void> {
    const listed = this.#currentDebts().renew();
    this.proceed();
    await listed;
  }

  /** The run has ended and is about to go on again: whoever counts those that go on is told before. @throws as `Debts` */
  async revive(): Promise<void> {
    try {
      await this.#currentDebts().revive();
    } catch (error) {
      // It does not go on, and whoever looked meanwhile saw nothing that is owed for its end.
      this.proceed();
      throw error;
    }
  }

  async #drive(died: boolean): Promise<void> {
    this.#memory.warm();
    for (let first = true; ; first = false) {
      const run = this.#run;
      const debts = this.#currentDebts();
      this.#requests.deliver(run);
      const next = run.advance(first && died);
      if (run.isBurst) {
        await run.yielded();
        continue;
      }
      this.#requests.attend(run);
      const { created, end } = run.state;
      if (created === null) return;
      // Before it is removed: a run that is not kept at all has an end to tell as well.
      if (end !== null) this.view.ended();
      const owedAt = debts.attend(next.expired);
      if (end !== null) this.view.tell();
      // Whoever removes it has the say, and waits for what is under way: removed twice, the next of its id would go.
      if (this.removal.underWay && !debts.busy) return;
      // What has expired stays until it owes nothing.
      const removable = next.expired && owedAt === null && !this.removal.underWay;
      if (removable && !debts.busy) {
        if (await this.removal.expire(debts)) return;
        // Tried again meanwhile: what was to be done next is no longer.
        if (this.#run.state.end !== end) continue;
      }
      const reportAt = debts.report(next.busy);
      const wakeAt = next.expired ? null : next.wakeAt;
      const expiryAt = removable && !debts.busy ? this.removal.expiryAt : null;
      const dueAt = earlier(earlier(reportAt, owedAt), earlier(expiryAt, this.#memory.log.attend()));
      const alarmAt = wakeAt === null ? null : aheadOf(wakeAt);
      const now = Date.now();
      const soon = (dueAt !== null && dueAt - now < watchdogMs) || (alarmAt !== null && alarmAt <= now);
      if (!next.busy && !debts.busy && !soon) return this.#park(alarmAt, dueAt);
      // A run that merely waits for a moment needs no watchdog before that: nothing is at work that could die.
      this.#alarm.ensureWatchdog(next.busy ? null : alarmAt);
      await this.#rest(next, earlier(wakeAt, dueAt));
    }
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
    // An object that is being torn down takes no alarm; the watchdog of its work is still set.
    // Where the journal itself is at fault, the next alarm must not be taken for the sign of a death.
    const at = isUnreadable(error) ? this.#lookAgainAt(error, true) : Date.now() + watchdogMs;
    await this.#alarm.rearm(at);
  }

  /** Those of the run that is in memory. */
  #currentDebts(): Debts {
    if (this.#debts?.run === this.#run) return this.#debts;
    const { run, journal, children } = this.#memory;
    this.#debts = new Debts({
      run,
      journal,
      kv: this.#ctx.storage.kv,
      children,
      receive: (signal) => answer(() => this.#receiveBroadcast(signal)),
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
