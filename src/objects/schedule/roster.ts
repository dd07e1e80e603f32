/**
 * Owns: the schedules, those in the code and those created by requests, with their state, in memory and in storage.
 * Does not own: decisions about them (core/schedule/firing), when they are checked (scheduler).
 *
 * Invariants
 * 1. A change reads, decides and writes in one turn, with the present rule, which may have been changed or removed while the
 *    caller waited.
 * 2. A schedule in the code hides one of the same id that a request created.
 * 3. A schedule whose rows cannot be read does not exist for `rule`, `change`, `due` and `sweep`, so that its rows are kept
 *    until they can be read, or it is removed.
 */
import type { RequestMetadata } from "../../core/author.ts";
import type { Backfill } from "../../core/schedule/backfill.ts";
import { describeBackfill } from "../../core/schedule/backfill.ts";
import { HoldfastError, messageOf } from "../../core/error.ts";
import * as firing from "../../core/schedule/firing.ts";
import type { ScheduleState } from "../../core/schedule/firing.ts";
import type { Plan } from "../../core/schedule/plan.ts";
import { nextSlots } from "../../core/schedule/schedule.ts";
import type { Rule, ScheduleError, ScheduleInfo } from "../../core/service/schedules.ts";
import { undefinedValue } from "../../core/value/value.ts";
import type { Kept, ScheduleStore } from "../../store/schedules.ts";

type Change = (rule: Rule, state: ScheduleState, now: number) => ScheduleState;

/** A schedule whose rows cannot be read: the error, and when it was found. */
type Broken = { readonly error: HoldfastError; readonly at: number };

/** The pause before rows are read again: a missing key is restored by a deployment. */
const reopenMs = 60_000;

/** A rule, with the request's plan if a request created it. */
export type Scheduled = { readonly rule: Rule; readonly plan: Plan | undefined };

export class Roster {
  readonly #store: ScheduleStore;
  /** In the order of the list. */
  readonly #rules: Map<string, Rule>;
  readonly #plans = new Map<string, Plan>();
  readonly #states = new Map<string, ScheduleState>();
  readonly #broken = new Map<string, Broken>();
  #reopenAt = 0;
  /** When each schedule has something to do next. Schedules that were not checked yet are missing. */
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

  /** Reads rows again that could not be read; schedules that can be read now become due. */
  reopen(): void {
    // A copy, because a schedule that still cannot be read is added again.
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

  /** Removes a schedule that cannot be read; one in the code begins with a new state. */
  discard(id: string): void {
    if (this.#rules.get(id)?.source !== "code") this.#removePlan(id);
    this.#store.remove(id);
    this.#states.delete(id);
    this.#wakes.delete(id);
    this.#broken.delete(id);
  }

  /** Handles errors, because a cron or zone that this deployment does not support must not stop other schedules. */
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

  /** @throws HoldfastError schedule_not_found; key_missing, journal_corrupt, journal_newer if it cannot be read */
  find(id: string): Scheduled {
    this.check(id);
    const rule = this.#rules.get(id);
    if (rule === undefined) {
      throw new HoldfastError("schedule_not_found", `no schedule is called ${JSON.stringify(id)}`);
    }
    return { rule, plan: rule.source === "api" ? this.#plans.get(id) : undefined };
  }

  /** @throws HoldfastError key_missing, journal_corrupt, journal_newer if the schedule exists but cannot be read */
  check(id: string): void {
    const broken = this.#broken.get(id);
    if (broken !== undefined) throw broken.error;
  }

  /** How many other schedules were created by requests, and the total length of their stored inputs. */
  madeBeside(id: string): { readonly count: number; readonly inputLength: number } {
    const others = [...this.#plans.values()].filter(({ rule }) => rule.id !== id);
    const inputLength = others.reduce((sum, { rule }) => sum + (rule.input?.length ?? 0), 0);
    return { count: others.length, inputLength };
  }

  /** When the schedule was created: earlier runs are of another schedule with this id. */
  madeAt(id: string): number {
    return this.#states.get(id)?.madeAt ?? 0;
  }

  running(id: string): readonly string[] {
    return this.#states.get(id)?.running ?? [];
  }

  /** Whether a run of the schedule is over. @param endedAt as found; null if there is no such run */
  isOver(id: string, runId: string, endedAt: number | null): boolean {
    return firing.isOver(this.#states.get(id) ?? firing.unseen, runId, endedAt, Date.now());
  }

  /** Schedules that may have something to do. */
  due(now: number): string[] {
    // After the clock was set back, recorded instants do not tell what is due.
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

  /** Postpones the next check to that instant. */
  rest(id: string, untilAt: number): void {
    if (this.#rules.has(id)) this.#wakes.set(id, untilAt);
  }

  /** Null if the schedule does not exist any more. */
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
    // The state first, because a rule without its state would fire. Memory is changed only after the storage.
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

  /** Removes a schedule that a request created. Its pending starts are dropped. */
  remove(id: string): void {
    this.#removePlan(id);
    this.#leave(id);
  }

  #removePlan(id: string): void {
    this.#store.removePlan(id);
    this.#rules.delete(id);
    this.#plans.delete(id);
  }

  /** Removes the state of schedules that are not in the code any more. */
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

  /** Whether a request created the schedule; a removed one may still have a state, but no plan. */
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
      lastError: broken === undefined ? (state?.lastError ?? null) : errorOf(broken),
      backfills: backfills.map(describeBackfill),
      next: broken === undefined ? upcoming(rule, Math.max(Date.now(), state?.lastSlotAt ?? 0), next) : [],
    };
  }
}

/** Stands in the list for a schedule whose rule cannot be read. */
function unread(id: string): Rule {
  return {
    ...{ id, workflow: "", cron: "", timezone: "", input: undefined, overlap: "skip", catchUpMs: 0, jitterMs: 0 },
    ...{ pauseOnFailure: false, source: "api" },
  };
}

function errorOf({ error, at }: Broken): ScheduleError {
  return { at, slotAt: at, message: `${error.code}: ${error.message}` };
}

/** The next firings; none for a rule that cannot be read. */
function upcoming(rule: Rule, at: number, count: number): readonly number[] {
  try {
    return nextSlots(rule, at, count);
  } catch {
    return [];
  }
}
