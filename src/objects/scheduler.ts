/**
 * Owns: the clock of the schedules, their one alarm, and the order in which a firing is decided, kept
 * and started.
 * Does not own: which schedules there are (roster), what people ask of them (planner), slots of the past
 * (backfill), what is decided (`core/firing.ts`), which instants a cron names (`core/cron.ts`), how a run
 * is started (`SchedulerApp`).
 * Long because a firing is decided, kept and started in one order, which stands here whole.
 *
 * Invariants
 * 1. A slot is recorded as decided together with the start owed for it, before the start is made; the
 *    debt is struck out only when the run is known to exist, was refused for good, or is too late.
 * 2. Starts are idempotent by run id, which is made of schedule and slot: a debt paid twice is one run.
 * 3. Work on one schedule is serial; state changes read and write in one turn, so that the end of a run,
 *    reported at any time, is never written over. `ended` waits for nothing, because the run that
 *    reports may be the one that the scheduler is waiting for.
 * 4. No schedule waits for another, nor the alarm for a start that hangs.
 * 5. `alarm()` never throws, and never arms for an instant that has come.
 */
import { DurableObject } from "cloudflare:workers";
import { HoldfastError } from "../core/error.ts";
import * as firing from "../core/firing.ts";
import type { ScheduleState, Starting } from "../core/firing.ts";
import type { ScheduleFiring } from "../core/origin.ts";
import { firingStartAt } from "../core/schedule.ts";
import type { Rule } from "../core/schedule.ts";
import type { Asked, BackfillRequest, ScheduleChange, ScheduleInfo, ScheduleRequest } from "../core/timetable.ts";
import { undefinedValue } from "../core/value.ts";
import type { Resealed } from "../store/reseal.ts";
import { ScheduleStore } from "../store/schedules.ts";
import { setAlarm } from "./alarm.ts";
import { answer } from "./answer.ts";
import { Backfills } from "./backfill.ts";
import { attempt, callLimitMs } from "./firing.ts";
import type { SchedulerApp } from "./firing.ts";
import { awaitCipher, vaultOf } from "./keys.ts";
import { describe, within } from "./patience.ts";
import { Planner } from "./planner.ts";
import { Roster } from "./roster.ts";
import type { Answer, RunEnd, SchedulerRpc, Trigger, TriggerPlan } from "./rpc.ts";

type SchedulerClass = new (ctx: DurableObjectState, env: Cloudflare.Env) => DurableObject & SchedulerRpc;

export function createSchedulerObject(app: SchedulerApp): SchedulerClass {
  return class SchedulerObject extends HostedScheduler {
    constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
      super(ctx, env, app);
    }
  };
}

class HostedScheduler extends DurableObject implements SchedulerRpc {
  readonly #app: SchedulerApp;
  #opened: Scheduler | null = null;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env, app: SchedulerApp) {
    super(ctx, env);
    awaitCipher(ctx);
    this.#app = app;
  }

  /** Opened by the first who asks: where its keys are malformed, each of them is told why. */
  get #scheduler(): Scheduler {
    return (this.#opened ??= new Scheduler(this.ctx, this.#app));
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    if (await this.#canOpen()) await this.#scheduler.alarm(info?.scheduledTime ?? 0);
  }

  async tick(): Promise<void> {
    if (await this.#canOpen()) await this.#scheduler.tick();
  }

  async #ask<Value>(request: (planner: Planner) => Value | Promise<Value>): Promise<Answer<Value>> {
    const opened = await answer(() => this.#scheduler);
    return opened.ok ? await opened.value.ask(request) : opened;
  }

  /** False where its keys are malformed: it looks again in a minute, and fires nothing meanwhile. */
  async #canOpen(): Promise<boolean> {
    try {
      return this.#scheduler !== null;
    } catch (error) {
      console.error(`the schedules cannot be read; they are looked at again: ${describe(error)}`);
      await setAlarm(this.ctx.storage, Date.now() + brokenMs, () => true);
      return false;
    }
  }

  async ended(of: ScheduleFiring, runId: string, end?: RunEnd): Promise<void> {
    this.#scheduler.ended(of.id, runId, end);
  }

  rekey(): Promise<Answer<Resealed>> {
    return answer(() => this.#scheduler.reseal());
  }

  list(workflow?: string): Promise<Answer<readonly ScheduleInfo[]>> {
    return answer(() => this.#scheduler.planner.list(workflow));
  }

  find(id: string, next: number): Promise<Answer<ScheduleInfo>> {
    return answer(() => this.#scheduler.planner.find(id, next));
  }

  create(request: ScheduleRequest): Promise<Answer<{ schedule: ScheduleInfo; created: boolean }>> {
    return this.#ask((planner) => planner.create(request));
  }

  change(id: string, change: ScheduleChange): Promise<Answer<ScheduleInfo>> {
    return this.#ask((planner) => planner.change(id, change));
  }

  remove(id: string, request: Asked): Promise<Answer<null>> {
    return this.#ask((planner) => {
      planner.remove(id, request);
      return null;
    });
  }

  trigger(id: string, request: Trigger): Promise<Answer<TriggerPlan>> {
    return this.#ask((planner) => planner.trigger(id, request));
  }

  backfill(id: string, request: BackfillRequest): Promise<Answer<{ firings: number }>> {
    return this.#ask((planner) => planner.backfill(id, request));
  }
}

/** How long a tick or an alarm waits for the starts it caused; they go on without it. */
const roundLimitMs = 10_000;
/** Alarms much further off are not needed: an early one finds nothing to do. */
const maxAlarmMs = 30 * 86_400_000;
/** When to look again at a schedule that could not be judged. */
const brokenMs = 60_000;

class Scheduler {
  readonly #planner: Planner;
  readonly #ctx: DurableObjectState;
  readonly #app: SchedulerApp;
  readonly #store: ScheduleStore;
  readonly #roster: Roster;
  readonly #backfills: Backfills;
  /** The tail of the work on each schedule. */
  readonly #lines = new Map<string, Promise<void>>();
  #armedAt: number | null = null;
  #alarmAt = 0;

  constructor(ctx: DurableObjectState, app: SchedulerApp) {
    this.#ctx = ctx;
    this.#app = app;
    const store = new ScheduleStore(ctx.storage.sql, vaultOf(ctx));
    this.#store = store;
    this.#roster = new Roster(store, app.rules);
    this.#backfills = new Backfills(store, this.#roster, app);
    this.#planner = new Planner(store, this.#roster, this.#backfills, app);
  }

  get planner(): Planner {
    this.#reopen();
    return this.#planner;
  }

  #reopen(): void {
    this.#roster.reopen();
    this.#backfills.reopen();
  }

  /** All that is stored, with the newest key. */
  reseal(): Resealed {
    return this.#store.reseal();
  }

  async alarm(scheduledAt: number): Promise<void> {
    this.#armedAt = null;
    this.#alarmAt = scheduledAt;
    try {
      await this.#round();
      this.#arm();
    } catch (error) {
      console.error(`schedules: ${describe(error)}`);
    }
    this.#alarmAt = 0;
  }

  async tick(): Promise<void> {
    const alarmAt = await this.#ctx.storage.getAlarm();
    // One that was lost, or passed without firing, is armed anew.
    if (alarmAt === null || alarmAt <= Date.now()) this.#armedAt = null;
    await this.#round();
    this.#arm();
  }

  /** What the request leaves to do is begun, and guarded by the alarm, before it is answered. */
  ask<Value>(request: (planner: Planner) => Value | Promise<Value>): Promise<Answer<Value>> {
    return answer(async () => {
      const value = await request(this.planner);
      for (const id of this.#roster.due(Date.now())) this.#ctx.waitUntil(this.#work(id));
      this.#fill();
      this.#arm();
      return value;
    });
  }

  ended(id: string, runId: string, end: RunEnd | undefined): void {
    const state = this.#roster.change(id, (rule, state, now) => {
      const left = firing.end(state, [runId]);
      return end?.status === "failed" ? firing.fail(rule, left, runId, end.at, now) : left;
    });
    if (state !== null && state.queue.length > 0) this.#ctx.waitUntil(this.#work(id));
    if (this.#backfills.ended(id, runId)) this.#fill();
    this.#arm();
  }

  async #round(): Promise<void> {
    this.#reopen();
    this.#roster.sweep();
    this.#fill();
    const work = this.#roster.due(Date.now()).map((id) => this.#work(id));
    if (work.length > 0) await within(Promise.all(work), roundLimitMs).catch(() => []);
  }

  /** Goes on with what backfills owe, beside everything else. */
  #fill(): void {
    for (const id of this.#backfills.due(Date.now())) {
      const work = this.#backfills.work(id).catch((error: unknown) => {
        console.error(`schedule ${id}: its backfill: ${describe(error)}`);
      });
      this.#ctx.waitUntil(work.then(() => this.#arm()));
    }
  }

  /** Queues behind the work on the same schedule. Never rejects. */
  #work(id: string): Promise<void> {
    const line = (this.#lines.get(id) ?? Promise.resolve())
      .then(() => this.#advance(id))
      .catch((error: unknown) => {
        // Without this, an alarm that is always due would fire over and over.
        this.#roster.rest(id, Date.now() + brokenMs);
        console.error(`schedule ${id}: ${describe(error)}`);
      })
      .then(() => void (this.#lines.get(id) === line && this.#lines.delete(id)));
    this.#lines.set(id, line);
    return line;
  }

  async #advance(id: string): Promise<void> {
    const rule = this.#roster.rule(id);
    const seen = this.#roster.change(id, (_, state) => state);
    if (rule === undefined || seen === null) return;
    const now = Date.now();
    const { due } = firing.judge(rule, seen, now);
    const asks = due !== null || (seen.checkAt !== null && firing.isReached(seen.checkAt, now));
    if (asks && (rule.overlap !== "allow-all" || rule.pauseOnFailure)) await this.#confirm(id);
    // The same judgement, over what `running` is now; it is on record before anything is done for it.
    const admitted = this.#roster.change(id, (rule, state) => admit(rule, state, now));
    const stop = admitted === null ? null : firing.toStop(this.#roster.rule(id) ?? rule, admitted);
    if (stop !== null && asks) await this.#stop(id, stop.kind, stop.runIds);
    const released = this.#roster.change(id, (rule, state, now) => firing.release(rule, state, now));
    this.#arm();
    if (released === null || released.paused !== null) return;
    const owed = released.starting.filter(
      (one) => !admitted?.starting.includes(one) || firing.isReached(one.retryAt, Date.now()),
    );
    await Promise.all(owed.map((one) => this.#start(id, one)));
    this.#arm();
  }

  /** Asks the runs themselves whether they go on: the report of an end may have been lost. */
  async #confirm(id: string): Promise<void> {
    await Promise.all(this.#roster.running(id).map((runId) => this.#look(id, runId)));
  }

  /** A run that cannot be asked is taken to go on: better late than twice. */
  async #look(id: string, runId: string): Promise<void> {
    const run = await within(this.#app.look(runId), callLimitMs).catch(() => undefined);
    if (run === undefined || (run !== null && run.finishedAt === null)) return;
    this.#roster.change(id, (rule, state, now) => {
      const left = firing.end(state, [runId]);
      return run?.status === "failed" ? firing.fail(rule, left, runId, run.finishedAt ?? now, now) : left;
    });
  }

  async #stop(id: string, kind: "cancel" | "terminate", runIds: readonly string[]): Promise<void> {
    await Promise.all(
      runIds.map(async (runId) => {
        try {
          await within(this.#app.cancel(runId, kind), callLimitMs);
        } catch (error) {
          const gone = error instanceof HoldfastError && (error.code === "run_ended" || error.code === "run_not_found");
          if (!gone) console.error(`schedule ${id}: could not ${kind} run ${runId}: ${describe(error)}`);
        }
        await this.#look(id, runId);
      }),
    );
  }

  async #start(id: string, starting: Starting): Promise<void> {
    const rule = this.#roster.rule(id);
    if (rule === undefined) return;
    const { slotAt, runId } = starting;
    const made = await attempt(this.#app, {
      workflow: rule.workflow,
      input: rule.input ?? undefinedValue,
      id: runId,
      by: `schedule:${id}`,
      schedule: { id, at: slotAt },
      ...(rule.jitterMs > 0 && { startAt: firingStartAt(rule, slotAt) }),
    });
    this.#roster.change(id, (rule, state, now) => {
      switch (made.kind) {
        case "started":
          return firing.acknowledge(rule, state, runId);
        case "refused":
          return firing.refuse(state, starting, made.message, now);
        case "failed":
          return firing.defer(rule, state, starting, made.message, now);
        default:
          return made satisfies never;
      }
    });
  }

  #arm(): void {
    const now = Date.now();
    const wakes = [...this.#roster.wakes, ...this.#backfills.wakes(now)];
    if (wakes.length === 0) return;
    const at = Math.max(Math.min(...wakes, now + maxAlarmMs), now + 1, this.#alarmAt + 1);
    if (at === this.#armedAt) return;
    this.#armedAt = at;
    const armed = setAlarm(this.#ctx.storage, at, () => this.#armedAt === at);
    this.#ctx.waitUntil(armed);
  }
}

/** The slot that is due, taken in or passed over. */
function admit(rule: Rule, state: ScheduleState, now: number): ScheduleState {
  const judged = firing.judge(rule, state, now);
  if (judged.missed !== null) {
    const [from, to] = [judged.missed.fromAt, judged.missed.toAt].map((at) => new Date(at).toISOString());
    console.warn(`schedule ${rule.id}: missed ${from === to ? from : `from ${from} to ${to}`}`);
  }
  if (judged.due === null) return judged.state;
  const admitted = firing.admit(rule, judged.state, judged.due);
  if (admitted.skipped) {
    console.warn(`schedule ${rule.id}: ${new Date(judged.due).toISOString()} skipped, an earlier run has not ended`);
  }
  return admitted.state;
}
