/**
 * Owns: the one alarm of an object, as its memory knows it, and setting it where the platform refuses to.
 * Does not own: when it is needed (host, keeper, scheduler).
 * Invariant 1: it is never set at or before now, nor for when the one that is handled was to come: either would
 * strand the object.
 * Invariant 2: one that could not be set is set again until it is, or another is wanted: an object that
 * rests without it would rest for ever.
 */
import { backoff, describe } from "./patience.ts";

/** How soon an object wakes whose process died at work. */
export const watchdogMs = 1000;
/** The platform's alarms come so much late, or more. */
const lateMs = 2;
/**
 * Whole seconds are for housekeeping: for what a run owes to others, or what is kept beside it and expires. An alarm
 * that comes on one tells nothing of a death, so neither a watchdog nor a run's own deadline is ever set for one.
 */
const housekeepingMs = 1000;
/** The platform takes no alarm after the year 2189. */
const lastAlarmAt = Date.UTC(2189, 0);
/** Where storage fails, or a spending limit holds alarms back, the alarm is tried again this often at least. */
const longestPauseMs = 5000;

export function isHousekeeping({ retryCount, scheduledTime }: AlarmInvocationInfo): boolean {
  return retryCount === 0 && scheduledTime % housekeepingMs === 0;
}

/**
 * For when the alarm of a run's own deadline is set: ahead of it, so that it comes in time; what is left then is waited
 * for in memory. Never on a whole second.
 */
export function aheadOf(deadline: number): number {
  const at = Math.ceil(deadline) - lateMs;
  return at % housekeepingMs === 0 ? at - 1 : at;
}

/** The latest deadline that this alarm may have been set for, epoch ms. */
export function deadlineOf({ scheduledTime }: AlarmInvocationInfo): number {
  return scheduledTime + lateMs + 1;
}

/** For when an alarm of housekeeping is set: the next whole second. */
export function housekeepingAt(at: number): number {
  return Math.ceil(at / housekeepingMs) * housekeepingMs;
}

/**
 * Sets the alarm of an object: again and again while it fails and is still `wanted`; answers how often it failed.
 * Never rejects. The pauses keep the memory, which is then all that knows when it is to wake.
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
  /** When it is set for; null when it is not set, undefined when this memory does not know. */
  #armedAt: number | null | undefined;
  /** When the one that is handled was to come; 0 where none is, or nobody says. */
  #handledAt = 0;
  /** Counts what was wanted of it: an attempt to set it that is older than the newest wish is given up. */
  #wish = 0;
  /** It is being handled, and whoever handles it waits for the work: should the process die, it comes again. */
  handled = false;

  /** @param written told of every time it is set, which the platform counts as a row */
  constructor(storage: DurableObjectStorage, written: () => void = () => {}) {
    this.#storage = storage;
    this.#written = written;
  }

  /** It has come. One that could not be set yet is still to be. @param scheduledAt when it was to come */
  fired(scheduledAt = 0): void {
    this.#armedAt = null;
    this.#handledAt = scheduledAt;
  }

  /** What it came for is done. */
  over(): void {
    this.#handledAt = 0;
  }

  /** Sees whether it is set as this memory believes: one that was lost, or passed without firing, is set anew. */
  async verify(): Promise<void> {
    const setFor = await this.#storage.getAlarm();
    if (setFor === null || setFor <= Date.now()) this.#armedAt = undefined;
  }

  /** Everything that is stored was removed. */
  gone(): void {
    this.#wish++;
    this.#armedAt = null;
  }

  arm(at: number): void {
    const wakeAt = Math.min(Math.max(Math.ceil(at), Date.now() + 1, this.#handledAt + 1), lastAlarmAt);
    if (this.#armedAt === wakeAt) return;
    this.#armedAt = wakeAt;
    void this.#set(wakeAt);
  }

  /** Sets it for then, unless it comes before: whoever is woken early finds nothing to do, and sets the next. */
  armBy(at: number): void {
    const armedAt = this.#armedAt ?? 0;
    if (armedAt <= Date.now() || armedAt > at) this.arm(at);
  }

  /** Removes it: a watchdog that is left behind would find the object at rest, and take it for one that died. */
  disarm(): void {
    if (this.#armedAt === null) return;
    this.#wish++;
    this.#armedAt = null;
    this.#storage.deleteAlarm().catch((error: unknown) => this.#failed(error));
  }

  /**
   * Sees to it that an alarm brings the object back should its process die now: sets the watchdog unless one comes
   * sooner, or is being handled.
   * @param wakeAt when the object is to wake anyway; null: never, or by an alarm that would not tell of a death
   */
  ensureWatchdog(wakeAt: number | null = null): void {
    if (this.handled) return;
    const by = Math.min(watchdogAt(), wakeAt ?? Infinity);
    if ((this.#armedAt ?? Infinity) > by) this.arm(by);
  }

  /** Sets the watchdog in place of whatever is set, even of an alarm that would come sooner. */
  setWatchdog(): void {
    this.arm(watchdogAt());
  }

  /** Sets it whatever is known of it. Resolves once it is set, or another is wanted. */
  async rearm(at: number): Promise<void> {
    this.#armedAt = undefined;
    await this.#set(at);
  }

  async #set(at: number): Promise<void> {
    const wish = ++this.#wish;
    this.#written();
    const failures = await setAlarm(this.#storage, at, () => this.#wish === wish);
    // One that came meanwhile was another.
    if (failures > 0 && this.#wish === wish) this.#armedAt = undefined;
  }

  #failed(error: unknown): void {
    this.#armedAt = undefined;
    console.error("an alarm could not be removed", error);
  }
}

function watchdogAt(): number {
  return besideHousekeeping(Date.now() + watchdogMs);
}

/** The same instant, or the next that is not for housekeeping. */
export function besideHousekeeping(at: number): number {
  return at % housekeepingMs === 0 ? at + 1 : at;
}
