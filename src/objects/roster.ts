/**
 * Owns: which schedules there are, those in the code and those made by requests, and what is known of
 * each, in memory and in storage alike.
 * Does not own: what is decided about them (core/firing), and when they are looked at (scheduler).
 *
 * Invariants
 * 1. A change reads, decides and writes in one turn, always by the rule as it is then: a rule may have
 *    been changed or removed while somebody waited.
 * 2. A schedule in the code hides one of the same id that a request made.
 */
import type { Backfill } from "../core/backfill.ts";
import { describeBackfill } from "../core/backfill.ts";
import { HoldfastError } from "../core/error.ts";
import * as firing from "../core/firing.ts";
import type { ScheduleState } from "../core/firing.ts";
import type { Plan } from "../core/plan.ts";
import { nextSlots } from "../core/schedule.ts";
import type { Rule } from "../core/schedule.ts";
import type { ScheduleInfo } from "../core/timetable.ts";
import { undefinedValue } from "../core/value.ts";
import type { ScheduleStore } from "../store/schedules.ts";

type Change = (rule: Rule, state: ScheduleState, now: number) => ScheduleState;

/** A rule, and how it was asked for, if a request made it. */
export type Scheduled = { readonly rule: Rule; readonly plan: Plan | undefined };

export class Roster {
  readonly #store: ScheduleStore;
  /** In the order in which they are listed. */
  readonly #rules: Map<string, Rule>;
  readonly #plans: Map<string, Plan>;
  readonly #states: Map<string, ScheduleState>;
  /** When each schedule next has something to do; one that is not here was never looked at. */
  readonly #wakes = new Map<string, number | null>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(store: ScheduleStore, code: readonly Rule[]) {
    this.#store = store;
    this.#states = store.all();
    this.#plans = new Map(store.plans().map((plan) => [plan.rule.id, plan]));
    this.#rules = new Map(code.map((rule) => [rule.id, rule]));
    for (const [id, { rule }] of this.#plans) if (!this.#rules.has(id)) this.#rules.set(id, rule);
    for (const [id, rule] of this.#rules) {
      const state = this.#states.get(id);
      if (state !== undefined) this.#wake(id, rule, state);
    }
  }

  /** One whose cron or zone this deployment does not know any more must not keep the others from their times. */
  #wake(id: string, rule: Rule, state: ScheduleState): void {
    try {
      this.#wakes.set(id, firing.wakeAt(rule, state, Date.now()));
    } catch (error) {
      const reason = `its cron or time zone cannot be read: ${error instanceof Error ? error.message : String(error)}`;
      this.#save(id, firing.pause(state, { by: "schedule", reason }, Date.now()));
      this.#wakes.set(id, null);
    }
  }

  rule(id: string): Rule | undefined {
    return this.#rules.get(id);
  }

  /** @throws HoldfastError schedule_not_found */
  find(id: string): Scheduled {
    const rule = this.#rules.get(id);
    if (rule === undefined) {
      throw new HoldfastError("schedule_not_found", `no schedule is called ${JSON.stringify(id)}`);
    }
    return { rule, plan: rule.source === "api" ? this.#plans.get(id) : undefined };
  }

  /** How many were made by requests, but for this one, and the length of their inputs in stored form. */
  madeBeside(id: string): { readonly count: number; readonly inputLength: number } {
    const others = [...this.#plans.values()].filter(({ rule }) => rule.id !== id);
    const inputLength = others.reduce((sum, { rule }) => sum + (rule.input?.length ?? 0), 0);
    return { count: others.length, inputLength };
  }

  running(id: string): readonly string[] {
    return this.#states.get(id)?.running ?? [];
  }

  /** Those that may have something to do. */
  due(now: number): string[] {
    // After the clock was set back, no instant on record says when anything is due.
    const all = now < this.#lookedAt;
    this.#lookedAt = now;
    return [...this.#rules.keys()].filter((id) => {
      const wakeAt = this.#wakes.get(id);
      return all || wakeAt === undefined || (wakeAt !== null && wakeAt <= now);
    });
  }

  get wakes(): readonly number[] {
    return [...this.#wakes.values()].filter((wakeAt) => wakeAt !== null);
  }

  /** Not before then, whatever is known of it. */
  rest(id: string, untilAt: number): void {
    if (this.#rules.has(id)) this.#wakes.set(id, untilAt);
  }

  /** Null when there is no such schedule any more. */
  change(id: string, how: Change): ScheduleState | null {
    const rule = this.#rules.get(id);
    if (rule === undefined) return null;
    const now = Date.now();
    const state = how(rule, firing.see(rule, this.#states.get(id), now), now);
    this.#save(id, state);
    this.#wake(id, rule, state);
    return state;
  }

  make(plan: Plan): void {
    const { id } = plan.rule;
    // What the storage does not take, the memory does not know either.
    this.#store.putPlan(plan);
    this.#plans.set(id, plan);
    this.#rules.set(id, plan.rule);
    this.change(id, (rule, _, now) => firing.make(rule, this.#states.get(id), now));
  }

  replace(plan: Plan): void {
    const { id } = plan.rule;
    this.#store.putPlan(plan);
    this.#rules.set(id, plan.rule);
    this.#plans.set(id, plan);
    this.change(id, (_, state, now) => firing.stir(state, now));
  }

  /** Of one that a request made. What it had not started it never starts. */
  remove(id: string): void {
    this.#store.removePlan(id);
    this.#rules.delete(id);
    this.#plans.delete(id);
    this.#leave(id);
  }

  /** Schedules that are gone from the code. */
  sweep(): void {
    for (const id of this.#states.keys()) if (!this.#rules.has(id)) this.#leave(id);
  }

  #leave(id: string): void {
    const state = this.#states.get(id);
    this.#wakes.delete(id);
    if (state === undefined) return;
    const left = firing.leave(state, Date.now());
    if (left !== null) this.#save(id, left);
    else {
      this.#store.remove(id);
      this.#states.delete(id);
    }
  }

  #save(id: string, state: ScheduleState): void {
    if (this.#states.get(id) === state) return;
    this.#store.put(id, state);
    this.#states.set(id, state);
  }

  list(workflow: string | undefined): Rule[] {
    return [...this.#rules.values()].filter((rule) => workflow === undefined || rule.workflow === workflow);
  }

  describe(rule: Rule, next: number, backfills: readonly Backfill[]): ScheduleInfo {
    const { id, workflow, cron, timezone, input, overlap, catchUpMs, jitterMs, pauseOnFailure, source } = rule;
    const state = this.#states.get(id);
    return {
      ...{ id, workflow, cron, timezone, overlap, catchUpMs, jitterMs, pauseOnFailure, source },
      input: input ?? undefinedValue,
      paused: state?.paused ?? null,
      lastError: state?.lastError ?? null,
      backfills: backfills.map(describeBackfill),
      next: upcoming(rule, Math.max(Date.now(), state?.lastSlotAt ?? 0), next),
    };
  }
}

/** None of a rule that cannot be read; its pause says so. */
function upcoming(rule: Rule, at: number, count: number): readonly number[] {
  try {
    return nextSlots(rule, at, count);
  } catch {
    return [];
  }
}
