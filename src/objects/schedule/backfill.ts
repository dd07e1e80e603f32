/**
 * Owns: the open backfills, and starting their runs, slot by slot.
 * Does not own: which slots there are (core/schedule/backfill), the alarm (scheduler).
 *
 * Invariants
 * 1. A slot is recorded as taken, with its pending start, before the start is made. The pending start is deleted only when the
 *    run exists, was refused for good, or could not be started for a day.
 * 2. The backfills of one schedule are processed one at a time, in the order of their requests.
 * 3. While work goes on, an alarm is due within about a second, so that it continues after a death of the process.
 */
import { authorOf } from "../../core/author.ts";
import * as backfill from "../../core/schedule/backfill.ts";
import type { Backfill } from "../../core/schedule/backfill.ts";
import { HoldfastError } from "../../core/error.ts";
import * as firing from "../../core/schedule/firing.ts";
import type { Starting } from "../../core/schedule/firing.ts";
import { defined } from "../../core/record.ts";
import type { Kept, ScheduleStore } from "../../store/schedules.ts";
import { attempt, endOf } from "./firing.ts";
import type { SchedulerApp } from "./firing.ts";
import type { Roster } from "./roster.ts";

/** The limits of one piece of work. */
const batchStarts = 200;
const batchMs = 10_000;
const watchMs = 1_000;
/** The pause after work failed. Without it the work would be due all the time while the storage fails. */
const brokenMs = 60_000;
/** The longest wait for the next alarm, in case the clock was wrong before. */
const maxWaitMs = 300_000;

export class Backfills {
  readonly #store: ScheduleStore;
  readonly #roster: Roster;
  readonly #app: SchedulerApp;
  readonly #open = new Map<number, Backfill>();
  /** Numbers of backfills that cannot be read now. */
  readonly #broken = new Set<number>();
  /** Schedules whose backfills are being processed, and when to check that they still are. */
  readonly #watches = new Map<string, number>();
  /** Schedules whose work failed, and the end of the pause. */
  readonly #rests = new Map<string, number>();
  #last: number;

  constructor(store: ScheduleStore, roster: Roster, app: SchedulerApp) {
    this.#store = store;
    this.#roster = roster;
    this.#app = app;
    this.#take(store.backfills());
    this.#last = Math.max(0, ...this.#open.keys(), ...this.#broken);
  }

  #take(backfills: ReadonlyMap<number, Kept<Backfill>>): void {
    for (const [number, kept] of backfills) {
      if (kept instanceof HoldfastError) {
        if (!this.#broken.has(number)) console.error(`a backfill cannot be read, and starts nothing: ${kept.message}`);
        this.#broken.add(number);
      } else {
        this.#broken.delete(number);
        this.#open.set(number, kept);
      }
    }
  }

  /** Tries again to read backfills that could not be read. */
  reopen(): void {
    for (const number of [...this.#broken]) this.#take(this.#store.backfills(number));
  }

  /** The open backfills of the schedule, oldest first. */
  of(schedule: string): Backfill[] {
    return [...this.#open.values()].filter((one) => one.schedule === schedule);
  }

  /** The number of slots that the schedule's backfills have still to start. */
  left(schedule: string): number {
    return this.of(schedule).reduce((sum, { firings, started, refused }) => sum + firings - started - refused, 0);
  }

  add(asked: Parameters<typeof backfill.openBackfill>[0]): void {
    this.#put(this.#last + 1, backfill.openBackfill(asked));
    this.#last += 1;
  }

  remove(schedule: string): void {
    for (const [number, one] of this.#open) if (one.schedule === schedule) this.#close(number);
  }

  /** Schedules with work that is not being done. Deletes backfills of schedules that were removed. */
  due(now: number): string[] {
    for (const { schedule } of this.#open.values()) {
      if (this.#isGone(schedule)) this.remove(schedule);
    }
    for (const schedule of this.#watches.keys()) this.#watches.set(schedule, now + watchMs);
    return this.#fronts()
      .filter(([, one]) => !this.#watches.has(one.schedule) && backfill.isDue(one, now))
      .filter(([, { schedule }]) => this.#restsUntil(schedule, now) <= now)
      .map(([, { schedule }]) => schedule);
  }

  /** A schedule that cannot be read still exists. */
  #isGone(schedule: string): boolean {
    return this.#roster.rule(schedule) === undefined && !this.#roster.isBroken(schedule);
  }

  wakes(now: number): number[] {
    return this.#fronts().map(([, one]) => {
      const dueAt = Math.max(backfill.dueAt(one, now), this.#restsUntil(one.schedule, now));
      return this.#watches.get(one.schedule) ?? Math.min(dueAt, now + maxWaitMs);
    });
  }

  /** Limited, because the clock may have been set back. */
  #restsUntil(schedule: string, now: number): number {
    const at = this.#rests.get(schedule) ?? 0;
    return at > now + brokenMs ? 0 : at;
  }

  /** The first open backfill of each schedule. */
  #fronts(): [number, Backfill][] {
    const seen = new Set<string>();
    return [...this.#open]
      .filter(([, { schedule }]) => !this.#roster.isBroken(schedule))
      .filter(([, { schedule }]) => !seen.has(schedule) && seen.add(schedule));
  }

  /** Called when a run ended; returns whether the schedule has work now. */
  ended(schedule: string, runId: string): boolean {
    for (const [number, one] of this.#open) {
      if (one.schedule !== schedule) continue;
      const next = backfill.ended(one, runId);
      if (next === one) continue;
      this.#put(number, next);
      return true;
    }
    return false;
  }

  /** Does a piece of the schedule's work. Only to be called for schedules that `due` returned. */
  async work(schedule: string): Promise<void> {
    const startedAt = Date.now();
    this.#watches.set(schedule, startedAt + watchMs);
    this.#rests.set(schedule, startedAt + brokenMs);
    try {
      for (let starts = 0; starts < batchStarts && Date.now() - startedAt <= batchMs; starts += 1) {
        if (!(await this.#step(schedule))) break;
      }
      this.#rests.delete(schedule);
    } finally {
      this.#watches.delete(schedule);
    }
  }

  /** Returns false if there is nothing more to do now. */
  async #step(schedule: string): Promise<boolean> {
    const front = this.#fronts().find(([, one]) => one.schedule === schedule);
    if (front === undefined) return false;
    const [number, one] = front;
    if (!backfill.isDue(one, Date.now())) return false;
    if (one.running !== null) return await this.#confirm(number, one.running);
    const taken = one.starting === null ? this.#put(number, backfill.take(one, Date.now())) : one;
    if (taken.starting !== null) await this.#start(number, taken, taken.starting);
    return true;
  }

  async #confirm(number: number, runId: string): Promise<boolean> {
    const goesOn = (await endOf(this.#app, runId)) === null;
    this.#change(number, (one) =>
      one.running !== runId ? one : goesOn ? backfill.checked(one, Date.now()) : backfill.ended(one, runId),
    );
    return !goesOn;
  }

  async #start(number: number, asked: Backfill, starting: Starting): Promise<void> {
    const { schedule, reason } = asked;
    const { slotAt, runId } = starting;
    const rule = this.#roster.rule(schedule);
    if (rule === undefined) return;
    const since = this.#roster.madeAt(schedule);
    const made = await attempt(this.#app, rule, starting, { ...authorOf(asked), ...defined({ reason }), since });
    this.#change(number, (one) => {
      if (made.kind === "started") return backfill.begun(one, runId, Date.now());
      const again = made.kind === "failed" ? backfill.deferred(one, runId, Date.now()) : null;
      if (again !== null) return again;
      this.#roster.change(schedule, (_, state, now) => firing.refuse(state, starting, made.message, now));
      return backfill.refused(one, runId);
    });
    if (made.kind === "started") this.#roster.change(schedule, (_, state) => backfill.redeem(state, slotAt));
  }

  #change(number: number, how: (one: Backfill) => Backfill): void {
    const one = this.#open.get(number);
    // Unless its schedule was removed meanwhile.
    if (one !== undefined) this.#put(number, how(one));
  }

  #put(number: number, one: Backfill): Backfill {
    if (this.#open.get(number) === one) return one;
    if (backfill.isDone(one)) this.#close(number);
    else {
      this.#store.putBackfill(number, one);
      this.#open.set(number, one);
    }
    return one;
  }

  #close(number: number): void {
    this.#store.removeBackfill(number);
    this.#open.delete(number);
  }
}
