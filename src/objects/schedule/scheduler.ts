/**
 * Owns: the clock of the schedules and their single alarm.
 * Does not own: the schedules (roster), requests about them (planner), firings (firings), backfills (backfill), cron
 * arithmetic (core/schedule/cron).
 *
 * Invariants
 * 1. No schedule waits for another one, and the alarm does not wait for a start that hangs.
 * 2. `alarm()` never throws, and never sets the alarm to now or earlier.
 */
import type { RequestMetadata } from "../../core/author.ts";
import { DurableObject } from "cloudflare:workers";
import type { ScheduleFiring } from "../../core/run/origin.ts";
import type { BackfillRequest, ScheduleChange, ScheduleInfo, ScheduleRequest } from "../../core/service/schedules.ts";
import type { Resealed } from "../../store/reseal.ts";
import { ScheduleStore } from "../../store/schedules.ts";
import { Alarm, setAlarm } from "../alarm.ts";
import { answer } from "../answer.ts";
import { Backfills } from "./backfill.ts";
import type { SchedulerApp } from "./firing.ts";
import { Firings } from "./firings.ts";
import { awaitCipher, vaultOf } from "../deployment/keys.ts";
import { describe, within } from "../patience.ts";
import { Planner } from "./planner.ts";
import { Roster } from "./roster.ts";
import type { Answer } from "../answer.ts";
import type { RunEnd, SchedulerRpc, Trigger, TriggerPlan } from "../rpc/scheduler.ts";

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

  /** Opened on first use, so that every caller gets the error if the encryption keys are malformed. */
  #open(): Scheduler {
    return (this.#opened ??= new Scheduler(this.ctx, this.#app));
  }

  override async alarm(info?: AlarmInvocationInfo): Promise<void> {
    if (await this.#canOpen()) await this.#open().alarm(info?.scheduledTime ?? 0);
  }

  async tick(): Promise<void> {
    if (await this.#canOpen()) await this.#open().tick();
  }

  async #ask<Value>(request: (planner: Planner) => Value | Promise<Value>): Promise<Answer<Value>> {
    const opened = await answer(() => this.#open());
    return opened.ok ? await opened.value.ask(request) : opened;
  }

  /** False if the encryption keys are malformed: then it tries again after a minute, and fires nothing meanwhile. */
  async #canOpen(): Promise<boolean> {
    try {
      this.#open();
      return true;
    } catch (error) {
      console.error(`the schedules cannot be read; they are looked at again: ${describe(error)}`);
      await setAlarm(this.ctx.storage, Date.now() + brokenMs, () => true);
      return false;
    }
  }

  async ended(of: ScheduleFiring, runId: string, end?: RunEnd): Promise<void> {
    this.#open().ended(of.id, runId, end);
  }

  async revived(of: ScheduleFiring, runId: string): Promise<void> {
    this.#open().planner.adopt(of.id, runId);
  }

  rekey(): Promise<Answer<Resealed>> {
    return answer(() => this.#open().reseal());
  }

  list(workflow?: string): Promise<Answer<readonly ScheduleInfo[]>> {
    return answer(() => this.#open().planner.list(workflow));
  }

  find(id: string, next: number): Promise<Answer<ScheduleInfo>> {
    return answer(() => this.#open().planner.find(id, next));
  }

  create(request: ScheduleRequest): Promise<Answer<{ schedule: ScheduleInfo; created: boolean }>> {
    return this.#ask((planner) => planner.create(request));
  }

  change(id: string, change: ScheduleChange): Promise<Answer<ScheduleInfo>> {
    return this.#ask((planner) => planner.change(id, change));
  }

  remove(id: string, request: RequestMetadata): Promise<Answer<null>> {
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

/** How long a tick or an alarm waits for the starts that it began, which are not stopped. */
const roundLimitMs = 10_000;
/** The longest wait for an alarm; one that is too early finds nothing to do. */
const maxAlarmMs = 30 * 86_400_000;
/** The pause before schedules that could not be read are tried again. */
const brokenMs = 60_000;

class Scheduler {
  readonly #planner: Planner;
  readonly #ctx: DurableObjectState;
  readonly #store: ScheduleStore;
  readonly #roster: Roster;
  readonly #firings: Firings;
  readonly #backfills: Backfills;
  readonly #alarm: Alarm;

  constructor(ctx: DurableObjectState, app: SchedulerApp) {
    this.#ctx = ctx;
    this.#alarm = new Alarm(ctx.storage);
    const store = new ScheduleStore(ctx.storage.sql, vaultOf(ctx));
    this.#store = store;
    this.#roster = new Roster(store, app.rules);
    this.#firings = new Firings(this.#roster, app, () => this.#arm());
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

  /** Encrypts all rows again with the newest key. */
  reseal(): Resealed {
    return this.#store.reseal();
  }

  async alarm(scheduledAt: number): Promise<void> {
    this.#alarm.fired(scheduledAt);
    try {
      await this.#round();
      this.#arm();
    } catch (error) {
      console.error(`schedules: ${describe(error)}`);
      this.#alarm.arm(Date.now() + brokenMs);
    }
    this.#alarm.over();
  }

  async tick(): Promise<void> {
    await this.#alarm.verify();
    await this.#round();
    this.#arm();
  }

  /** Makes the request; resulting work is begun, and the alarm set for it, before the answer. */
  ask<Value>(request: (planner: Planner) => Value | Promise<Value>): Promise<Answer<Value>> {
    return answer(async () => {
      const value = await request(this.planner);
      for (const id of this.#roster.due(Date.now())) this.#ctx.waitUntil(this.#firings.work(id));
      this.#fill();
      this.#arm();
      return value;
    });
  }

  ended(id: string, runId: string, end: RunEnd | undefined): void {
    const state = this.#firings.ended(id, runId, end?.status === "failed" ? end.at : null);
    if (state !== null && state.queue.length > 0) this.#ctx.waitUntil(this.#firings.work(id));
    if (this.#backfills.ended(id, runId)) this.#fill();
    this.#arm();
  }

  async #round(): Promise<void> {
    this.#reopen();
    this.#roster.sweep();
    this.#fill();
    const work = this.#roster.due(Date.now()).map((id) => this.#firings.work(id));
    if (work.length > 0) await within(Promise.all(work), roundLimitMs).catch(() => []);
  }

  /** Continues the backfills, without waiting for them. */
  #fill(): void {
    for (const id of this.#backfills.due(Date.now())) {
      const work = this.#backfills.work(id).catch((error: unknown) => {
        console.error(`schedule ${id}: its backfill: ${describe(error)}`);
      });
      this.#ctx.waitUntil(work.then(() => this.#arm()));
    }
  }

  #arm(): void {
    const now = Date.now();
    const wakes = [...this.#roster.wakes, ...this.#backfills.wakes(now)];
    if (wakes.length > 0) this.#alarm.arm(Math.min(...wakes, now + maxAlarmMs));
  }
}
