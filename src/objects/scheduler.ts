/**
 * Owns: the clock of the schedules in the code, their one alarm, and the order in which a firing is
 * decided, kept and started.
 * Does not own: what is decided (`core/firing.ts`), which instants a cron names (`core/cron.ts`), how a
 * run is started (`SchedulerApp`).
 *
 * Long because a firing is decided, kept, started and struck out in one place, in that order.
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
import type { ScheduleFiring } from "../core/entry.ts";
import { HoldfastError } from "../core/error.ts";
import * as firing from "../core/firing.ts";
import type { ScheduleState, Starting } from "../core/firing.ts";
import { firingStartAt, nextSlots } from "../core/schedule.ts";
import type { Rule } from "../core/schedule.ts";
import type { ScheduleInfo, StartRequest } from "../core/service.ts";
import { undefinedValue } from "../core/value.ts";
import { ScheduleStore } from "../store/schedules.ts";
import type { SchedulerRpc } from "./rpc.ts";

/** What the scheduler needs of the Worker it is part of. */
export interface SchedulerApp {
  /** Those of `collectSchedules`. */
  readonly rules: readonly Rule[];
  /** Starts the run, or finds it started. @throws HoldfastError a refusal, other errors to be tried again */
  start(request: StartRequest & { readonly id: string; readonly schedule: ScheduleFiring }): Promise<unknown>;
  /** False when it has ended and when there is none. */
  isRunning(runId: string): Promise<boolean>;
  /** @throws HoldfastError run_ended or run_not_found when there is nothing to stop */
  cancel(runId: string, kind: "cancel" | "terminate"): Promise<void>;
}

type SchedulerClass = new (ctx: DurableObjectState, env: Cloudflare.Env) => DurableObject & SchedulerRpc;

export function createSchedulerObject(app: SchedulerApp): SchedulerClass {
  return class SchedulerObject extends DurableObject implements SchedulerRpc {
    readonly #scheduler: Scheduler;

    constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
      super(ctx, env);
      this.#scheduler = new Scheduler(ctx, app);
    }

    override alarm(info?: AlarmInvocationInfo): Promise<void> {
      return this.#scheduler.alarm(info?.scheduledTime ?? 0);
    }

    tick(): Promise<void> {
      return this.#scheduler.tick();
    }

    list(): Promise<readonly ScheduleInfo[]> {
      return Promise.resolve(this.#scheduler.list());
    }

    ended(of: ScheduleFiring, runId: string): Promise<void> {
      this.#scheduler.ended(of.id, runId);
      return Promise.resolve();
    }
  };
}

/** Longer than any healthy call takes. */
const callLimitMs = 30_000;
/** How long a tick or an alarm waits for the starts it caused; they go on without it. */
const roundLimitMs = 10_000;
/** Alarms much further off are not needed: an early one finds nothing to do. */
const maxAlarmMs = 30 * 86_400_000;
/** When to look again at a schedule that could not be judged. */
const brokenMs = 60_000;

class Scheduler {
  readonly #ctx: DurableObjectState;
  readonly #app: SchedulerApp;
  readonly #store: ScheduleStore;
  readonly #states: Map<string, ScheduleState>;
  /** When each schedule next has something to do. */
  readonly #wakes = new Map<string, number | null>();
  /** The tail of the work on each schedule. */
  readonly #lines = new Map<string, Promise<void>>();
  #armedAt: number | null = null;
  #alarmAt = 0;

  constructor(ctx: DurableObjectState, app: SchedulerApp) {
    this.#ctx = ctx;
    this.#app = app;
    this.#store = new ScheduleStore(ctx.storage.sql);
    this.#states = this.#store.all();
    for (const rule of app.rules) {
      const state = this.#states.get(rule.id);
      if (state !== undefined) this.#wakes.set(rule.id, firing.wakeAt(rule, state, Date.now()));
    }
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

  list(): ScheduleInfo[] {
    const now = Date.now();
    return this.#app.rules.map((rule) => ({
      id: rule.id,
      workflow: rule.workflow,
      cron: rule.cron,
      timezone: rule.timezone,
      input: rule.input ?? undefinedValue,
      overlap: rule.overlap,
      catchUpMs: rule.catchUpMs,
      paused: false,
      next: nextSlots(rule, Math.max(now, this.#states.get(rule.id)?.lastSlotAt ?? 0), 5),
    }));
  }

  ended(id: string, runId: string): void {
    const state = this.#states.get(id);
    if (state === undefined) return;
    this.#save(id, firing.end(state, [runId]));
    const rule = this.#app.rules.find((rule) => rule.id === id);
    if (rule !== undefined && state.queue.length > 0) this.#ctx.waitUntil(this.#work(rule));
  }

  async #round(): Promise<void> {
    this.#sweep();
    const work = this.#app.rules.map((rule) => this.#work(rule));
    await within(Promise.all(work), roundLimitMs).catch(() => []);
  }

  /** Schedules that are gone from the code. */
  #sweep(): void {
    const present = new Set(this.#app.rules.map((rule) => rule.id));
    for (const [id, state] of this.#states) {
      if (present.has(id)) continue;
      const left = firing.leave(state, Date.now());
      if (left !== null) this.#save(id, left);
      else if (this.#states.delete(id)) this.#store.remove(id);
    }
  }

  /** Queues behind the work on the same schedule. Never rejects. */
  #work(rule: Rule): Promise<void> {
    const line = (this.#lines.get(rule.id) ?? Promise.resolve())
      .then(() => this.#advance(rule))
      .catch((error: unknown) => {
        // Without this, an alarm that is always due would fire over and over.
        this.#wakes.set(rule.id, Date.now() + brokenMs);
        console.error(`schedule ${rule.id}: ${describe(error)}`);
      });
    this.#lines.set(rule.id, line);
    return line;
  }

  async #advance(rule: Rule): Promise<void> {
    const now = Date.now();
    const seen = this.#change(rule, (state) => state);
    const { due } = firing.judge(rule, seen, now);
    const asks = due !== null || (seen.checkAt !== null && firing.isReached(seen.checkAt, now));
    if (asks && rule.overlap !== "allow-all") await this.#confirm(rule);
    // The same judgement, over what `running` is now; it is on record before anything is done for it.
    const admitted = this.#change(rule, (state) => this.#admit(rule, state, now));
    const stop = firing.toStop(rule, admitted);
    if (stop !== null && asks) await this.#stop(rule, stop.kind, stop.runIds);
    const { starting } = this.#change(rule, (state, now) => firing.release(rule, state, now));
    this.#arm();
    const owed = starting.filter(
      (one) => !admitted.starting.includes(one) || firing.isReached(one.retryAt, Date.now()),
    );
    await Promise.all(owed.map((one) => this.#start(rule, one)));
    this.#arm();
  }

  #admit(rule: Rule, state: ScheduleState, now: number): ScheduleState {
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

  /** Asks the runs themselves whether they go on: the report of an end may have been lost. */
  async #confirm(rule: Rule): Promise<void> {
    const running = this.#states.get(rule.id)?.running ?? [];
    const ended = await Promise.all(running.map(async (runId) => ((await this.#isRunning(runId)) ? [] : [runId])));
    this.#change(rule, (state) => firing.end(state, ended.flat()));
  }

  /** A run that cannot be asked is taken to go on: better late than twice. */
  #isRunning(runId: string): Promise<boolean> {
    return within(this.#app.isRunning(runId), callLimitMs).catch(() => true);
  }

  async #stop(rule: Rule, kind: "cancel" | "terminate", runIds: readonly string[]): Promise<void> {
    const stopped = await Promise.all(
      runIds.map(async (runId) => {
        try {
          await within(this.#app.cancel(runId, kind), callLimitMs);
        } catch (error) {
          const gone = error instanceof HoldfastError && (error.code === "run_ended" || error.code === "run_not_found");
          if (gone) return [runId];
          console.error(`schedule ${rule.id}: could not ${kind} run ${runId}: ${describe(error)}`);
        }
        return (await this.#isRunning(runId)) ? [] : [runId];
      }),
    );
    this.#change(rule, (state) => firing.end(state, stopped.flat()));
  }

  async #start(rule: Rule, starting: Starting): Promise<void> {
    const { slotAt, runId } = starting;
    const request = {
      workflow: rule.workflow,
      input: rule.input ?? undefinedValue,
      id: runId,
      by: `schedule:${rule.id}`,
      schedule: { id: rule.id, at: slotAt },
      ...(rule.jitterMs > 0 && { startAt: firingStartAt(rule, slotAt) }),
    };
    try {
      await within(this.#app.start(request), callLimitMs);
      this.#change(rule, (state) => firing.acknowledge(rule, state, runId));
    } catch (error) {
      const message = describe(error);
      console.error(`schedule ${rule.id}: run ${runId} was not started: ${message}`);
      this.#change(rule, (state, now) =>
        isFinal(error)
          ? firing.refuse(state, starting, message, now)
          : firing.defer(rule, state, starting, message, now),
      );
    }
  }

  /** Reads, changes and writes in one turn. */
  #change(rule: Rule, how: (state: ScheduleState, now: number) => ScheduleState): ScheduleState {
    const now = Date.now();
    const state = how(firing.see(rule, this.#states.get(rule.id), now), now);
    this.#save(rule.id, state);
    this.#wakes.set(rule.id, firing.wakeAt(rule, state, now));
    return state;
  }

  #save(id: string, state: ScheduleState): void {
    if (this.#states.get(id) === state) return;
    this.#store.put(id, state);
    this.#states.set(id, state);
  }

  #arm(): void {
    const wakes = [...this.#wakes.values()].filter((wake) => wake !== null);
    if (wakes.length === 0) return;
    const now = Date.now();
    const at = Math.max(Math.min(...wakes, now + maxAlarmMs), now + 1, this.#alarmAt + 1);
    if (at === this.#armedAt) return;
    this.#armedAt = at;
    const armed = this.#ctx.storage.setAlarm(at).catch((error: unknown) => {
      this.#armedAt = null;
      console.error(`schedules: the alarm could not be set: ${describe(error)}`);
    });
    this.#ctx.waitUntil(armed);
  }
}

/** Refused for good, unless what is wrong is the configuration, which a deployment can put right. */
function isFinal(error: unknown): boolean {
  return error instanceof HoldfastError && error.code !== "config_invalid";
}

function describe(error: unknown): string {
  if (error instanceof HoldfastError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** Rejects when the work takes longer; the work goes on. */
async function within<Value>(work: Promise<Value>, limitMs: number): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
