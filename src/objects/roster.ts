/**
 * Owns: which schedules there are, those in the code and those made by requests, and what is known of
 * each, in memory and in storage alike.
 * Does not own: what is decided about them (core/firing), and when they are looked at (scheduler).
 *
 * Invariants
 * 1. A change reads, decides and writes in one turn, always by the rule as it is then: a rule may have
 *    been changed or removed while somebody waited.
 * 2. A schedule in the code hides one of the same id that a request made.
 * 3. One whose rows cannot be read is no schedule to anybody who acts (`rule`, `change`, `due`, `sweep`), so that
 *    its rows stay as they are until they can be read, or it is removed.
 */
import type { RequestMetadata } from "../core/author.ts";
import type { Backfill } from "../core/backfill.ts";
import { describeBackfill } from "../core/backfill.ts";
import { HoldfastError, messageOf } from "../core/error.ts";
import * as firing from "../core/firing.ts";
import type { ScheduleState } from "../core/firing.ts";
import type { Plan } from "../core/plan.ts";
import { nextSlots } from "../core/schedule.ts";
import type { Rule } from "../core/schedule.ts";
import type { ScheduleError, ScheduleInfo } from "../core/schedules.ts";
import { undefinedValue } from "../core/value.ts";
import type { Kept, ScheduleStore } from "../store/schedules.ts";

type Change = (rule: Rule, state: ScheduleState, now: number) => ScheduleState;

/** Of a schedule whose rows cannot be read: why, and since when that is known. */
type Broken = { readonly error: HoldfastError; readonly at: number };

/** When to see whether what could not be read can be: a key that was gone comes back with a deployment. */
const reopenMs = 60_000;

/** A rule, and how it was asked for, if a request made it. */
export type Scheduled = { readonly rule: Rule; readonly plan: Plan | undefined };

export class Roster {
  readonly #store: ScheduleStore;
  /** In the order in which they are listed. */
  readonly #rules: Map<string, Rule>;
  readonly #plans = new Map<string, Plan>();
  readonly #states = new Map<string, ScheduleState>();
  readonly #broken = new Map<string, Broken>();
  #reopenAt = 0;
  /** When each schedule next has something to do; one that is not here was never looked at. */
  readonly #wakes = new Map<string, number | null>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(store: ScheduleStore, code: readonly Rule[]) {
    this.#store = store;
    this.#rules = new Map(code.map((rule) => [rule.id, rule]));
    this.#take(store.all(), store.plans());
  }

  #take(states: ReadonlyMap<string, Kept<ScheduleState>>, plans: ReadonlyMap<string, Kept<Plan>>): void {
    for (const [id, plan] of plans) {
      const hidden = this.#rules.get(id)?.source === "code";
      if (plan instanceof HoldfastError) {
        if (!hidden) this.#break(id, plan);
        continue;
      }
      this.#plans.set(id, plan);
      if (!hidden) this.#rules.set(id, plan.rule);
    }
    for (const [id, state] of states) {
      if (state instanceof HoldfastError) this.#break(id, state);
      else this.#states.set(id, state);
    }
    for (const id of states.keys()) {
      const [rule, state] = [this.rule(id), this.#states.get(id)];
      if (rule !== undefined && state !== undefined) this.#wake(id, rule, state);
    }
  }

  #break(id: string, error: HoldfastError): void {
    if (!this.#broken.has(id)) console.error(`schedule ${id} cannot be read, and fires nothing: ${error.message}`);
    this.#broken.set(id, { error, at: this.#broken.get(id)?.at ?? Date.now() });
    this.#reopenAt = Date.now() + reopenMs;
  }

  /** Reads again what could not be read; what can be now has its due. */
  reopen(): void {
    // A copy: one that still cannot be read is put back.
    for (const [id, broken] of [...this.#broken]) {
      this.#broken.delete(id);
      const [states, plans] = [this.#store.all(id), this.#store.plans(id)];
      const still = [...states.values(), ...plans.values()].some((kept) => kept instanceof HoldfastError);
      if (still) this.#broken.set(id, broken);
      this.#take(states, plans);
    }
  }

  isBroken(id: string): boolean {
    return this.#broken.has(id);
  }

  /** Of one that cannot be read. What is known of it is forgotten: of one in the code, it begins anew. */
  discard(id: string): void {
    const inCode = this.#rules.get(id)?.source === "code";
    if (!inCode) {
      this.#store.removePlan(id);
      this.#plans.delete(id);
      this.#rules.delete(id);
    }
    this.#store.remove(id);
    this.#states.delete(id);
    this.#wakes.delete(id);
    this.#broken.delete(id);
  }

  /** One whose cron or zone this deployment does not know any more must not keep the others from their times. */
  #wake(id: string, rule: Rule, state: ScheduleState): void {
    try {
      this.#wakes.set(id, firing.wakeAt(rule, state, Date.now()));
    } catch (error) {
      const reason = `its cron or time zone cannot be read: ${messageOf(error)}`;
      this.#save(id, firing.pause(state, { by: "schedule", reason }, Date.now()));
      this.#wakes.set(id, null);
    }
  }

  rule(id: string): Rule | undefined {
    return this.#broken.has(id) ? undefined : this.#rules.get(id);
  }

  /** @throws HoldfastError schedule_not_found; key_missing, journal_corrupt, journal_newer: it cannot be read */
  find(id: string): Scheduled {
    this.check(id);
    const rule = this.#rules.get(id);
    if (rule === undefined) {
      throw new HoldfastError("schedule_not_found", `no schedule is called ${JSON.stringify(id)}`);
    }
    return { rule, plan: rule.source === "api" ? this.#plans.get(id) : undefined };
  }

  /** @throws HoldfastError key_missing, journal_corrupt, journal_newer: there is one that cannot be read */
  check(id: string): void {
    const broken = this.#broken.get(id);
    if (broken !== undefined) throw broken.error;
  }

  /** How many were made by requests, but for this one, and the length of their inputs in stored form. */
  madeBeside(id: string): { readonly count: number; readonly inputLength: number } {
    const others = [...this.#plans.values()].filter(({ rule }) => rule.id !== id);
    const inputLength = others.reduce((sum, { rule }) => sum + (rule.input?.length ?? 0), 0);
    return { count: others.length, inputLength };
  }

  /** Runs of before are those of another schedule that had the id. */
  madeAt(id: string): number {
    return this.#states.get(id)?.madeAt ?? 0;
  }

  running(id: string): readonly string[] {
    return this.#states.get(id)?.running ?? [];
  }

  /** Whether a run of the schedule is over of which this was found. */
  isOver(id: string, runId: string, endedAt: number | null): boolean {
    return firing.isOver(this.#states.get(id) ?? firing.unseen, runId, endedAt, Date.now());
  }

  /** Those that may have something to do. */
  due(now: number): string[] {
    // After the clock was set back, no instant on record says when anything is due.
    const all = now < this.#lookedAt;
    this.#lookedAt = now;
    return [...this.#rules.keys()].filter((id) => {
      if (this.#broken.has(id)) return false;
      const wakeAt = this.#wakes.get(id);
      return all || wakeAt === undefined || (wakeAt !== null && wakeAt <= now);
    });
  }

  get wakes(): readonly number[] {
    const wakes = [...this.#wakes.values()].filter((wakeAt) => wakeAt !== null);
    return this.#broken.size === 0 ? wakes : [...wakes, this.#reopenAt];
  }

  /** Not before then, whatever is known of it. */
  rest(id: string, untilAt: number): void {
    if (this.#rules.has(id)) this.#wakes.set(id, untilAt);
  }

  /** Null when there is no such schedule any more. */
  change(id: string, how: Change): ScheduleState | null {
    const rule = this.rule(id);
    if (rule === undefined) return null;
    const now = Date.now();
    const state = how(rule, firing.stateFor(rule, this.#states.get(id), now), now);
    this.#save(id, state);
    this.#wake(id, rule, state);
    return state;
  }

  make(plan: Plan, request: RequestMetadata): void {
    const { rule } = plan;
    const now = Date.now();
    const made = firing.make(rule, this.#states.get(rule.id), now);
    const state = plan.madePaused ? firing.pause(made, request, now) : made;
    // First what holds it back: a rule that stands alone would fire. What the storage does not take, the memory does
    // not know either.
    this.#save(rule.id, state);
    this.#store.putPlan(plan);
    this.#plans.set(rule.id, plan);
    this.#rules.set(rule.id, rule);
    this.#wake(rule.id, rule, state);
  }

  replace(plan: Plan): void {
    const { id } = plan.rule;
    this.#store.putPlan(plan);
    this.#rules.set(id, plan.rule);
    this.#plans.set(id, plan);
    this.change(id, (_, state, now) => firing.recheckQueue(state, now));
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
    for (const id of this.#states.keys()) if (!this.#rules.has(id) && !this.#broken.has(id)) this.#leave(id);
  }

  #leave(id: string): void {
    const state = this.#states.get(id);
    this.#wakes.delete(id);
    if (state === undefined) return;
    const left = firing.retire(state, Date.now());
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
    const unknown = [...this.#broken.keys()].filter((id) => !this.#rules.has(id) && this.#isMade(id));
    return [...this.#rules.values(), ...unknown.map(unread)].filter(
      (rule) => workflow === undefined || rule.workflow === workflow,
    );
  }

  /** Not so one that was removed, of which only what is known of it is left. */
  #isMade(id: string): boolean {
    return this.#store.plans(id).size > 0;
  }

  describe(rule: Rule, next: number, backfills: readonly Backfill[]): ScheduleInfo {
    const { id, workflow, cron, timezone, input, overlap, catchUpMs, jitterMs, pauseOnFailure, source } = rule;
    const [state, broken] = [this.#states.get(id), this.#broken.get(id)];
    return {
      ...{ id, workflow, cron, timezone, overlap, catchUpMs, jitterMs, pauseOnFailure, source },
      input: input ?? undefinedValue,
      paused: state?.paused ?? null,
      lastError: broken === undefined ? (state?.lastError ?? null) : said(broken),
      backfills: backfills.map(describeBackfill),
      next: broken === undefined ? upcoming(rule, Math.max(Date.now(), state?.lastSlotAt ?? 0), next) : [],
    };
  }
}

/** What the list has of a schedule whose rule cannot be read: its id. */
function unread(id: string): Rule {
  return {
    ...{ id, workflow: "", cron: "", timezone: "", input: undefined, overlap: "skip", catchUpMs: 0, jitterMs: 0 },
    ...{ pauseOnFailure: false, source: "api" },
  };
}

function said({ error, at }: Broken): ScheduleError {
  return { at, slotAt: at, message: `${error.code}: ${error.message}` };
}

/** None of a rule that cannot be read; its pause says so. */
function upcoming(rule: Rule, at: number, count: number): readonly number[] {
  try {
    return nextSlots(rule, at, count);
  } catch {
    return [];
  }
}
