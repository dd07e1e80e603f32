/**
 * Owns: the single alarm of an object: its state in memory, and setting it again if the platform fails to set it.
 * Does not own: when it is needed (host, keeper, scheduler).
 * Invariant 1: it is never set to now or earlier, nor to the time of the alarm that is being handled: either would be lost.
 * Invariant 2: setting it is repeated until it succeeds or another time is requested, because an object without an alarm
 * would never wake again.
 */
import { backoff, describe } from "./patience.ts";

/** The watchdog: the time after which an object wakes if its process died while working. */
export const watchdogMs = 1000;
/** The platform's alarms are at least this late. */
const lateMs = 2;
/**
 * Housekeeping alarms, for pending messages to other objects and for data that expires, are set to whole seconds. Such an
 * alarm does not mean that the process died, so watchdogs and deadlines of runs are never set to a whole second.
 */
const housekeepingMs = 1000;
/** The platform refuses alarms after the year 2189. */
const lastAlarmAt = Date.UTC(2189, 0);
/** The longest pause between attempts to set the alarm, when the storage fails or a spending limit blocks alarms. */
const longestPauseMs = 5000;

export function isHousekeeping({ retryCount, scheduledTime }: AlarmInvocationInfo): boolean {
  return retryCount === 0 && scheduledTime % housekeepingMs === 0;
}

/**
 * The time to set the alarm to for a run's own deadline: a little earlier, so that it is not late; the rest is waited for in
 * memory. Never a whole second.
 */
export function aheadOf(deadline: number): number {
  const at = Math.ceil(deadline) - lateMs;
  return at % housekeepingMs === 0 ? at - 1 : at;
}

/** The latest deadline that this alarm can have been set for, epoch ms. */
export function deadlineOf({ scheduledTime }: AlarmInvocationInfo): number {
  return scheduledTime + lateMs + 1;
}

/** The time to set a housekeeping alarm to: the next whole second. */
export function housekeepingAt(at: number): number {
  return Math.ceil(at / housekeepingMs) * housekeepingMs;
}

/**
 * Sets the alarm of an object, repeatedly while that fails and it is still `wanted`. Returns how often it failed; never
 * rejects. The pauses keep the object in memory, where alone the time is known until the alarm is set.
 */
export async function setAlarm(storage: DurableObjectStorage, at: number, wanted: () => boolean): Promise<number> {
  for (let failures = 0; ;) {
    try {
      await storage.setAlarm(Math.max(at, Date.now() + 1));
      return failures;
    } catch (error) {
      console.error(`an alarm could not be set; it is tried again: ${describe(error)}`);
    }
    const pauseMs = backoff(++failures, longestPauseMs);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    if (!wanted()) return failures;
  }
}

export class Alarm {
  readonly #storage: DurableObjectStorage;
  readonly #written: () => void;
  /** The time that it is set to; null if it is not set, undefined if unknown. */
  #armedAt: number | null | undefined;
  /** The scheduled time of the alarm that is being handled; 0 if none is, or if it is unknown. */
  #handledAt = 0;
  /** Counts requests to set or remove it: repeated attempts for an older request are given up. */
  #request = 0;
  /** Whether its handler is running and awaits the work: the platform repeats the alarm if the process dies. */
  handled = false;

  /** @param written called whenever it is set, which the platform bills as a row */
  constructor(storage: DurableObjectStorage, written: () => void = () => {}) {
    this.#storage = storage;
    this.#written = written;
  }

  /** Called when the alarm fires. An attempt to set it continues. @param scheduledAt the time that it was set to */
  fired(scheduledAt = 0): void {
    this.#armedAt = null;
    this.#handledAt = scheduledAt;
  }

  /** Called when it is handled. */
  over(): void {
    this.#handledAt = 0;
  }

  /** Compares the platform's alarm with this state: one that was lost, or is past without having fired, is set again. */
  async verify(): Promise<void> {
    const setFor = await this.#storage.getAlarm();
    if (setFor === null || setFor <= Date.now()) this.#armedAt = undefined;
  }

  /** Called after all storage was deleted, with the alarm. */
  gone(): void {
    this.#request++;
    this.#armedAt = null;
  }

  arm(at: number): void {
    const wakeAt = Math.min(Math.max(Math.ceil(at), Date.now() + 1, this.#handledAt + 1), lastAlarmAt);
    if (this.#armedAt === wakeAt) return;
    this.#armedAt = wakeAt;
    void this.#set(wakeAt);
  }

  /** Sets it to that time, unless it is earlier already: an alarm that is too early finds nothing to do and sets the next. */
  armBy(at: number): void {
    const armedAt = this.#armedAt ?? 0;
    if (armedAt <= Date.now() || armedAt > at) this.arm(at);
  }

  /** Removes it. A watchdog that fired later would take the idle object for one that died. */
  disarm(): void {
    if (this.#armedAt === null) return;
    this.#request++;
    this.#armedAt = null;
    this.#storage.deleteAlarm().catch((error: unknown) => {
      this.#armedAt = undefined;
      console.error("an alarm could not be removed", error);
    });
  }

  /**
   * Ensures that an alarm wakes the object if its process dies now: sets the watchdog, unless an alarm is due sooner or is
   * being handled.
   * @param wakeAt when the object wakes anyway; null for never, or for an alarm that does not indicate a death
   */
  ensureWatchdog(wakeAt: number | null = null): void {
    if (this.handled) return;
    const by = Math.min(watchdogAt(), wakeAt ?? Infinity);
    if ((this.#armedAt ?? Infinity) > by) this.arm(by);
  }

  /** Sets the watchdog instead of any other alarm, even of an earlier one. */
  setWatchdog(): void {
    this.arm(watchdogAt());
  }

  /** Sets it even if it seems to be set. Resolves when it is set, or another time is requested. */
  async rearm(at: number): Promise<void> {
    this.#armedAt = undefined;
    await this.#set(at);
  }

  async #set(at: number): Promise<void> {
    const wish = ++this.#request;
    this.#written();
    const failures = await setAlarm(this.#storage, at, () => this.#request === wish);
    // An alarm that fired meanwhile was another one.
    if (failures > 0 && this.#request === wish) this.#armedAt = undefined;
  }
}

function watchdogAt(): number {
  return besideHousekeeping(Date.now() + watchdogMs);
}

/** The instant, moved off whole seconds, which are for housekeeping. */
export function besideHousekeeping(at: number): number {
  return at % housekeepingMs === 0 ? at + 1 : at;
}
