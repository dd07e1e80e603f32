/**
 * Owns: driving one run in its Durable Object: when it is advanced, and its single alarm.
 * Does not own: decisions about the run (engine/run), its stored and cached state (memory), its pending messages (outbox), its
 * presentation (view), removing it (removal).
 * Invariant 1: every commit of a busy run is made while an alarm is due within a second or is being handled, so that the run
 * resumes by itself after a death of the process (guarantee 4). A process that dies before its first commit leaves no
 * record; the caller's stub sees the call fail, and reports it (witness).
 * Invariant 2: a parked run leaves no timer, no open request, and no socket that cannot hibernate.
 */
import type { SignalRequest } from "../../core/service/service.ts";
import { Bell } from "../../engine/turn/bell.ts";
import type { Next } from "../../engine/next.ts";
import type { Run } from "../../engine/run.ts";
import { payloadOf } from "../../engine/wait/validation.ts";
import { Alarm, aheadOf, deadlineOf, housekeepingAt, isHousekeeping, watchdogMs } from "../alarm.ts";
import { answer } from "../answer.ts";
import { isUnreadable, lastSoundAt, retryAt } from "./damage.ts";
import { Outbox } from "../outbox/outbox.ts";
import { gone } from "./memory.ts";
import type { Memory } from "./memory.ts";
import { describe, judgedInTime, upTo } from "../patience.ts";
import { Removal } from "./removal.ts";
import { LaneRequests } from "../lane/requests.ts";
import { earliest, timer } from "./timer.ts";
import { View } from "./view.ts";

/** An alarm's handler may run for 15 minutes. During a long attempt, another alarm takes over before that. */
const longestAlarmMs = 10 * 60_000;

export class Host {
  readonly #ctx: DurableObjectState;
  readonly #memory: Memory;
  readonly #nudge = new Bell();
  readonly #requests = new LaneRequests(
    () => this.proceed(),
    () => this.#memory.meter.called(),
  );
  /** The state of the run for callers. */
  readonly view: View;
  readonly removal: Removal;
  /** The pending messages of the run that was advanced last. */
  #outbox: Outbox | null = null;
  #loop: Promise<void> | null = null;
  readonly #alarm: Alarm;
  /** The last alarm could not open the run. */
  #failed = false;

  constructor(ctx: DurableObjectState, memory: Memory) {
    this.#ctx = ctx;
    this.#memory = memory;
    this.#alarm = new Alarm(ctx.storage, () => memory.meter.wrote(1));
    this.view = new View(memory, this.#requests, this);
    this.removal = new Removal(memory, this.#alarm, {
      outbox: () => this.#currentOutbox(),
      idle: () => this.#loop ?? Promise.resolve(),
      proceed: () => this.proceed(),
    });
  }

  get #run(): Run {
    return this.#memory.run;
  }

  /** Advances the run now, and continues while it is busy. @param alarm the alarm that woke the object */
  proceed(alarm?: AlarmInvocationInfo): void {
    if (this.#loop !== null) return this.#nudge.ring();
    const { isCold, run } = this.#memory;
    const cutOff = isCold && alarm !== undefined && !isHousekeeping(alarm) && run.wasCutOff(dueBy(alarm));
    this.#startLoop(cutOff);
  }

  /** @param cutOff whether the last life of the run was cut off */
  #startLoop(cutOff: boolean): void {
    // Set before anything can kill the process again, because the platform gives up an alarm after seven deaths.
    if (cutOff) this.#alarm.setWatchdog();
    this.#loop = this.#drive(cutOff)
      .catch((error: unknown) => this.#giveUp(error))
      .finally(() => {
        this.#loop = null;
      });
    this.#ctx.waitUntil(this.#memory.meter.hold(this.#loop));
  }

  /**
   * Called when a call failed because this object died. If this memory was created since, the run is resumed with the death
   * recorded, so that whatever killed the process is recorded before it runs again.
   */
  noteDeath(): void {
    if (this.#memory.isCold && this.#loop === null && this.#run.wasCutOff(-Infinity)) this.#startLoop(true);
  }

  /** Drives the run during a call, and advances it after that: it may be at rest by then, without a watchdog. */
  during<Value>(answered: Promise<Value>): Promise<Value> {
    this.proceed();
    return answered.finally(() => this.proceed());
  }

  /** Drives the run if it is due and was not advanced yet since this memory was created; answers whether it does. */
  wake(): boolean {
    if (!this.#memory.isCold || !this.#run.isDue()) return false;
    this.proceed();
    return true;
  }

  /** @throws HoldfastError signal_invalid, not_waiting, run_ended, idempotency_conflict */
  async signal(signal: SignalRequest, onlyIfWaiting: boolean): Promise<{ duplicate: boolean }> {
    const { firstCreatedAt } = this.#memory;
    const fitted = this.#run.fitSignal(signal);
    // Awaited only if necessary, so that signals keep their order of arrival.
    const ready =
      fitted instanceof Promise ? await judgedInTime(fitted, "signal_invalid", payloadOf(signal.name)) : fitted;
    if (this.#memory.firstCreatedAt !== firstCreatedAt) throw gone();
    const received = this.#run.signal(ready, onlyIfWaiting);
    this.proceed();
    return received;
  }

  /** Receives a buffered broadcast that was offered to this run; `more` is whether it would take another of that name. */
  async #receiveBroadcast(signal: SignalRequest): Promise<{ duplicate: boolean; more: boolean }> {
    const { duplicate } = await this.signal(signal, true);
    return { duplicate, more: this.#run.openWaits(signal.name) > 0 };
  }

  /** Never throws, because the platform gives up an alarm that does so seven times. */
  async alarm(info?: AlarmInvocationInfo): Promise<void> {
    this.#alarm.fired();
    const again = this.#failed;
    try {
      await this.#handle(info);
      this.#failed = false;
    } catch (error) {
      this.#failed = true;
      console.error("a run could not be opened; it is tried again", describe(error));
      const housekeeping = info !== undefined && isHousekeeping(info);
      // Awaited, because this alarm is repeated if the process dies before the next one is set.
      await this.#alarm.rearm(this.#retryAt(error, { again, housekeeping }));
    }
  }

  #retryAt(error: unknown, failure: { readonly again: boolean; readonly housekeeping: boolean }): number {
    return retryAt(error, () => lastSoundAt(() => this.#memory.openJournal().read()), Date.now(), failure);
  }

  /** An alarm that is being handled is repeated if the process dies, so a busy run needs no watchdog meanwhile. */
  async #handle(info: AlarmInvocationInfo | undefined): Promise<void> {
    // Without a run there can only be the mark of a key that has expired.
    if (this.#run.state.created === null) return await this.#ctx.storage.deleteAll();
    // Not awaited: work that this may start gets a watchdog of its own.
    if (info !== undefined && isHousekeeping(info)) return this.proceed(info);
    this.#alarm.handled = true;
    this.proceed(info);
    await upTo(longestAlarmMs, this.#loop ?? Promise.resolve());
    this.#alarm.handled = false;
    // If the run is still busy or being removed, another alarm takes over.
    if (this.#loop !== null || this.removal.underWay) this.#alarm.setWatchdog();
  }

  /** Reports the run to the directory again, now. @throws if the directory was not reached */
  async relist(): Promise<void> {
    const listed = this.#currentOutbox().renew();
    this.proceed();
    await listed;
  }

  /** Called before an ended run is reopened, to notify its schedule. @throws as `Outbox.revive` */
  async revive(): Promise<void> {
    try {
      await this.#currentOutbox().revive();
    } catch (error) {
      // The run stays ended, and messages of its end, which were held back meanwhile, are due.
      this.proceed();
      throw error;
    }
  }

  /**
   * Again and again, until nothing is left but waiting: delivers what lanes have answered, advances the run, and sends what it
   * has to say; then the run is removed, is parked, or is awaited because it is busy or about to be.
   */
  async #drive(cutOff: boolean): Promise<void> {
    this.#memory.warm();
    for (let isCutOff = cutOff; ; isCutOff = false) {
      const run = this.#run;
      const outbox = this.#currentOutbox();
      this.#requests.deliver(run);
      const next = run.advance(isCutOff);
      if (run.isBurst) {
        await run.yielded();
        continue;
      }
      this.#requests.attend(run);
      const { created, end } = run.state;
      if (created === null) return;
      // Before it is removed, because a run without retention also answers those who wait for its end.
      if (end !== null) this.view.ended();
      const sendAt = outbox.attend(next.expired);
      // The removal in progress waits for sent messages. A second one could delete the next run with this id.
      if (this.removal.underWay && !outbox.busy) return;
      // An expired run is kept until it has no pending messages.
      const isRemovable = next.expired && sendAt === null && !outbox.busy;
      if (isRemovable) {
        if (await this.removal.expire()) return;
        // It was retried meanwhile, so `next` is obsolete.
        if (this.#run.state.end !== end) continue;
      }
      const expiryAt = isRemovable ? this.removal.expiryAt : null;
      const dueAt = earliest(outbox.report(next.busy), sendAt, expiryAt, this.#memory.log.attend());
      const wakeAt = next.expired ? null : next.wakeAt;
      const alarmAt = wakeAt === null ? null : aheadOf(wakeAt);
      const now = Date.now();
      const soon = (dueAt !== null && dueAt - now < watchdogMs) || (alarmAt !== null && alarmAt <= now);
      if (!next.busy && !outbox.busy && !soon) return this.#park(alarmAt, dueAt);
      // A run that only waits for a short time needs no watchdog, because no work could be interrupted.
      this.#alarm.ensureWatchdog(next.busy ? null : alarmAt);
      await this.#rest(next, earliest(wakeAt, dueAt));
    }
  }

  /** Waits until there is something to do. Called only while the run is busy, or has a report due soon. */
  async #rest(next: Next, wakeAt: number | null): Promise<void> {
    const limit = timer(wakeAt);
    const run = this.#run;
    await Promise.race([next.busy ? run.rested() : run.stirred(), this.#nudge.rung(), limit.over]);
    limit.cancel();
  }

  #park(runAt: number | null, owedAt: number | null): void {
    const wakeAt = earliest(runAt, owedAt === null ? null : housekeepingAt(owedAt));
    if (wakeAt === null) this.#alarm.disarm();
    else this.#alarm.arm(wakeAt);
    const run = this.#run;
    // A handler that awaits its own promise may continue at any time.
    void run.stirred().then(() => {
      if (this.#memory.isCurrent(run)) this.proceed();
    });
  }

  /** Gives up the memory after the journal could not be written or read; an alarm resumes the run. */
  async #giveUp(error: unknown): Promise<void> {
    console.error(`run ${this.#ctx.id.name} lost its memory and will resume`, error);
    this.#memory.log.flush();
    this.#memory.forget();
    // An object that is being shut down cannot set an alarm, but its watchdog is set.
    // If the journal is damaged, the next alarm must not count as a death.
    const at = isUnreadable(error)
      ? this.#retryAt(error, { again: true, housekeeping: true })
      : Date.now() + watchdogMs;
    await this.#alarm.rearm(at);
  }

  /** The pending messages of the run in memory. */
  #currentOutbox(): Outbox {
    if (this.#outbox?.run === this.#run) return this.#outbox;
    const { run, journal, children } = this.#memory;
    this.#outbox = new Outbox({
      run,
      journal,
      storage: this.#ctx.storage,
      children,
      receive: (signal) => answer(() => this.#receiveBroadcast(signal)),
      meter: () => this.#memory.meter,
      isCurrent: () => this.#memory.isCurrent(run),
      changed: () => this.#nudge.ring(),
    });
    return this.#outbox;
  }
}

/**
 * The latest deadline that can explain this alarm. The alarm's own time counts if the clock is behind it. A repeated alarm
 * means that the process died while handling it, which no deadline explains.
 */
function dueBy(alarm: AlarmInvocationInfo): number {
  return alarm.retryCount > 0 ? -Infinity : Math.max(deadlineOf(alarm), Date.now());
}
