/**
 * Owns: requests about schedules: creating, changing, pausing and removing them, starting a run by hand, backfills; and their
 * idempotency.
 * Does not own: the schedules (roster), the backfills (backfill), the alarm, which the scheduler sets after each request.
 *
 * Invariants
 * 1. Requests are recorded before they are answered: all writes of a request are made in one turn.
 * 2. If the rule was changed during an asynchronous check, the check is repeated.
 */
import { authorOf } from "../../core/author.ts";
import type { RequestMetadata } from "../../core/author.ts";
import { countSlots, maxFirings } from "../../core/schedule/backfill.ts";
import { cronOf } from "../../core/schedule/cron.ts";
import { HoldfastError } from "../../core/error.ts";
import * as firing from "../../core/schedule/firing.ts";
import { changeRule, changesMoreThanPause, digestOf, isSamePlan, makePlan } from "../../core/schedule/plan.ts";
import type { Plan } from "../../core/schedule/plan.ts";
import { defined, sortedEntries } from "../../core/record.ts";
import { triggerRunId } from "../../core/schedule/schedule.ts";
import type {
  BackfillRequest,
  Rule,
  ScheduleChange,
  ScheduleInfo,
  ScheduleRequest,
} from "../../core/service/schedules.ts";
import { undefinedValue } from "../../core/value/value.ts";
import type { ScheduleStore } from "../../store/schedules.ts";
import type { Backfills } from "./backfill.ts";
import { callLimitMs } from "./firing.ts";
import type { SchedulerApp } from "./firing.ts";
import { within } from "../patience.ts";
import type { Roster, Scheduled } from "./roster.ts";
import type { Trigger, TriggerPlan } from "../rpc/scheduler.ts";

/** Limited, because all schedules are checked and listed together. */
const maxMade = 1_000;
/** Limited, because one answer of the scheduler contains all inputs. */
const maxInputLength = 8_000_000;
const keyKeptMs = 86_400_000;
/** How many slots are counted in one turn, which takes about 10 ms. */
const countAtOnce = 100;
const shownFirings = 5;

export class Planner {
  readonly #store: ScheduleStore;
  readonly #roster: Roster;
  readonly #backfills: Backfills;
  readonly #app: SchedulerApp;

  constructor(store: ScheduleStore, roster: Roster, backfills: Backfills, app: SchedulerApp) {
    this.#store = store;
    this.#roster = roster;
    this.#backfills = backfills;
    this.#app = app;
  }

  /** @throws HoldfastError schedule_not_found */
  find(id: string, next: number): ScheduleInfo {
    return this.#roster.describe(this.#roster.find(id).rule, next, this.#backfills.of(id));
  }

  list(workflow: string | undefined): ScheduleInfo[] {
    return this.#roster
      .list(workflow)
      .map((rule) => this.#roster.describe(rule, shownFirings, this.#backfills.of(rule.id)));
  }

  async create(request: ScheduleRequest): Promise<{ schedule: ScheduleInfo; created: boolean }> {
    const { id } = request;
    const once = this.#idempotency(["create", bare(request)], request);
    if (once.known !== undefined) return { schedule: this.find(id, shownFirings), created: false };
    const plan = makePlan(request);
    const found = this.#isMade(plan);
    if (!found) await within(this.#app.check(plan.rule), callLimitMs);
    // Another request may have created it during the check.
    const created = !found && !this.#isMade(plan);
    if (created) {
      this.#checkRoom(plan.rule);
      this.#roster.make(plan, request);
    }
    once.done(null);
    return { schedule: this.find(id, shownFirings), created };
  }

  /** Whether this schedule exists already. @throws HoldfastError schedule_exists: another one has the id */
  #isMade(plan: Plan): boolean {
    const { id } = plan.rule;
    this.#roster.check(id);
    if (this.#roster.rule(id) === undefined) return false;
    const { plan: held } = this.#roster.find(id);
    if (held !== undefined && isSamePlan(held, plan)) return true;
    const where = held === undefined ? "in the code" : "with other content";
    throw new HoldfastError("schedule_exists", `the schedule ${JSON.stringify(id)} exists, ${where}`);
  }

  async change(id: string, change: ScheduleChange): Promise<ScheduleInfo> {
    const { paused } = change;
    const once = this.#idempotency(["change", id, bare(change)], change);
    if (once.known !== undefined) return this.find(id, shownFirings);
    for (;;) {
      const before = this.#roster.find(id);
      const after = changed(before, change);
      if (after !== null) await within(this.#app.check(after.rule), callLimitMs);
      // Another request may have changed it during the check.
      if (after !== null && this.#roster.rule(id) !== before.rule) continue;
      if (after !== null) {
        this.#checkRoom(after.rule);
        this.#roster.replace(after);
      }
      if (paused === true) this.#roster.change(id, (_, state, now) => firing.pause(state, change, now));
      if (paused === false) this.#roster.change(id, (_, state, now) => firing.resume(state, now));
      once.done(null);
      return this.find(id, shownFirings);
    }
  }

  /** @throws HoldfastError schedule_limit */
  #checkRoom({ id, input }: Rule): void {
    const { count, inputLength } = this.#roster.madeBeside(id);
    if (count >= maxMade) {
      throw new HoldfastError("schedule_limit", `there are ${maxMade} schedules already, and may be no more`);
    }
    if (inputLength + (input?.length ?? 0) > maxInputLength) {
      throw new HoldfastError(
        "schedule_limit",
        `the inputs of all schedules have at most ${maxInputLength} characters in stored form together`,
        { issues: [{ path: "/input", message: "is more than there is room for" }] },
      );
    }
  }

  remove(id: string, request: RequestMetadata): void {
    const once = this.#idempotency(["remove", id, bare(request)], request);
    if (once.known !== undefined) return;
    if (this.#roster.isBroken(id)) this.#roster.discard(id);
    else if (this.#roster.find(id).plan === undefined) throw inCode(id, "be deleted");
    else this.#roster.remove(id);
    this.#backfills.remove(id);
    once.done(null);
    console.warn(`schedule ${id}: deleted by ${request.by}${because(request.reason)}`);
  }

  /** The start of a run by hand. The caller makes it, and its answer or refusal is that of the request. */
  trigger(id: string, request: Trigger): TriggerPlan {
    const once = this.#idempotency(["trigger", id, request.reason], request);
    const { rule } = this.#roster.find(id);
    const runId = triggerRunId(id, request.token);
    const at = typeof once.known === "number" ? once.known : Date.now();
    if (once.known === undefined) {
      this.adopt(id, runId);
      once.done(at);
      console.warn(`schedule ${id}: run ${runId} started by ${request.by}${because(request.reason)}`);
    }
    return { workflow: rule.workflow, input: rule.input ?? undefinedValue, runId, at };
  }

  /** Makes a run that was started by hand count for the overlap rule of the schedule, if it exists. */
  adopt(id: string, runId: string): void {
    this.#roster.change(id, (_, state, now) => firing.adopt(state, runId, now));
  }

  async backfill(id: string, request: BackfillRequest): Promise<{ firings: number }> {
    const { fromAt, untilAt: askedUntilAt, overlap = "allow-all", reason } = request;
    const what = ["backfill", id, fromAt, askedUntilAt, overlap, request.reason];
    const before = this.#idempotency(what, request);
    if (typeof before.known === "number") return { firings: before.known };
    // Future slots are left to the schedule.
    const untilAt = Math.max(fromAt, Math.min(askedUntilAt, Date.now() + 1));
    for (;;) {
      const { rule } = this.#roster.find(id);
      const firings = await this.#count(rule, fromAt, untilAt);
      if (this.#roster.rule(id) !== rule) continue;
      // Another backfill may have been added during the count.
      if (firings > this.#room(id)) throw tooLarge(fromAt, untilAt);
      // A simultaneous repetition of the request may have added it.
      const once = this.#idempotency(what, request);
      if (typeof once.known === "number") return { firings: once.known };
      const { cron, timezone } = rule;
      const source = { ...authorOf(request), ...(reason === null ? {} : { reason }) };
      if (firings > 0) {
        this.#backfills.add({ schedule: id, cron, timezone, fromAt, untilAt, overlap, ...source, firings });
      }
      once.done(firings);
      return { firings };
    }
  }

  /** Counts up to the limit. */
  async #count(rule: Rule, fromAt: number, untilAt: number): Promise<number> {
    let firings = 0;
    for (let nextAt = fromAt; nextAt < untilAt && firings <= this.#room(rule.id);) {
      const counted = countSlots(cronOf(rule), nextAt, untilAt, countAtOnce);
      firings += counted.count;
      nextAt = counted.nextAt;
      await scheduler.wait(0);
    }
    return firings;
  }

  #room(id: string): number {
    return maxFirings - this.#backfills.left(id);
  }

  /**
   * Deduplicates requests with a key: `known` is the earlier result, undefined the first time; `done` records the result.
   * @throws HoldfastError idempotency_conflict: the key was used for another request
   */
  #idempotency(
    what: readonly unknown[],
    { key }: { readonly key?: string },
  ): { readonly known: unknown; readonly done: (result: unknown) => void } {
    if (key === undefined) return { known: undefined, done: () => undefined };
    const digest = digestOf(what);
    const known = this.#store.resultOf(key);
    if (known !== null && known.digest !== digest) {
      throw new HoldfastError("idempotency_conflict", "the Idempotency-Key was used for another request");
    }
    const done = (result: unknown): void => {
      const now = Date.now();
      this.#store.putResult(key, { digest, result }, now, now - keyKeptMs);
    };
    return { known: known === null ? undefined : known.result, done };
  }
}

/**
 * The plan with its new rule; null if only the pause changes.
 * @throws HoldfastError schedule_in_code, and errors of `changeRule`
 */
function changed({ rule, plan }: Scheduled, change: ScheduleChange): Plan | null {
  if (plan === undefined) {
    if (changesMoreThanPause(change)) throw inCode(rule.id, "be changed, but for its pause");
    return null;
  }
  const next = changeRule(rule, change);
  return next === rule ? null : { ...plan, rule: next };
}

/** The request in canonical form, without key and author, with sorted fields. */
function bare({ key: _key, by: _by, role: _role, ...request }: RequestMetadata): unknown {
  return sortedEntries(defined(request));
}

function tooLarge(fromAt: number, untilAt: number): HoldfastError {
  const [from, to] = [fromAt, untilAt].map((at) => new Date(at).toISOString());
  return new HoldfastError(
    "backfill_too_large",
    `a schedule's backfills have at most ${maxFirings} firings before them; from ${from} to ${to} there are more than are left`,
    { issues: [{ path: "/to", message: `must leave at most ${maxFirings} firings` }] },
  );
}

function inCode(id: string, what: string): HoldfastError {
  return new HoldfastError("schedule_in_code", `the schedule ${JSON.stringify(id)} is in the code and cannot ${what}`);
}

function because(reason: string | null): string {
  return reason === null ? "" : `: ${reason}`;
}
