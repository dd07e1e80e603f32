/**
 * The scheduler over the storage and the alarm of a real object, with a port that records what it is
 * asked in place of the Worker, and a clock that the tests set.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, vi } from "vitest";
import type { RunStatus } from "../../src/core/run/run.ts";
import { firingRunId } from "../../src/core/schedule/schedule.ts";
import type { Rule } from "../../src/core/service/schedules.ts";
import type { SchedulerApp } from "../../src/objects/schedule/firing.ts";
import type { SchedulerRpc } from "../../src/objects/rpc/scheduler.ts";
import { createSchedulerObject } from "../../src/objects/schedule/scheduler.ts";

/** Far enough off that no alarm armed here ever fires by itself. */
export const noon = Date.UTC(2099, 0, 1, 12);
export const minuteMs = 60_000;

export function ruleOf(change: Partial<Rule> = {}): Rule {
  return {
    id: "minutely",
    workflow: "report",
    cron: "* * * * *",
    timezone: "UTC",
    input: undefined,
    overlap: "allow-all",
    catchUpMs: 60 * minuteMs,
    jitterMs: 0,
    pauseOnFailure: false,
    source: "code",
    ...change,
  };
}

type Request = Parameters<SchedulerApp["start"]>[0];

/** The rest of the Worker: runs go on from their start until the test ends them. */
export class World implements SchedulerApp {
  rules: readonly Rule[];
  /** Every start asked for, in order, also those that failed. */
  readonly asked: Request[] = [];
  /** Every run there ever was, and those that go on. */
  readonly runs = new Set<string>();
  readonly running = new Set<string>();
  /** Runs whose end the test wants to be known; of the others nothing is known once they do not go on. */
  readonly ended = new Map<string, { status: RunStatus; finishedAt: number }>();
  readonly stopped: string[] = [];
  /** Called in each start, before the run exists. */
  before: (request: Request) => Promise<void> | void = () => undefined;
  /** Called in each start, when the run exists and nobody knows. */
  after: (request: Request) => Promise<void> | void = () => undefined;
  stopping: (runId: string) => Promise<void> | void = (runId) => void this.running.delete(runId);

  /** Called where a rule is checked against its workflow. */
  checking: (rule: Rule) => Promise<void> | void = () => undefined;

  constructor(...rules: Rule[]) {
    this.rules = rules;
  }

  async start(request: Request): Promise<void> {
    this.asked.push(request);
    await this.before(request);
    if (!this.runs.has(request.id)) this.running.add(request.id);
    this.runs.add(request.id);
    await this.after(request);
  }

  look(runId: string) {
    const going = { status: "running", finishedAt: null } as const;
    return Promise.resolve(this.running.has(runId) ? going : (this.ended.get(runId) ?? null));
  }

  async check(rule: Rule): Promise<void> {
    await this.checking(rule);
  }

  async cancel(runId: string, kind: string): Promise<void> {
    this.stopped.push(`${kind} ${runId}`);
    await this.stopping(runId);
  }

  get started(): string[] {
    return this.asked.map((request) => request.id);
  }
}

export type Scheduler = SchedulerRpc & { alarm(info?: AlarmInvocationInfo): Promise<void> };
type Life = (scheduler: Scheduler, ctx: DurableObjectState) => Promise<void>;

let stub = env.SCHEDULER.getByName("");

/** One life of the object: memory is new, storage is that of the lives before it in the same test. */
export function live(world: World, life: Life): Promise<void> {
  return runInDurableObject(stub, (_object, ctx) =>
    life(new (createSchedulerObject(world))(ctx, env) as unknown as Scheduler, ctx),
  );
}

export const slot = (minutes: number): string => firingRunId("minutely", noon + minutes * minuteMs);
export const at = (minutes: number, ms = 0): void => void vi.setSystemTime(noon + minutes * minuteMs + ms);

/** A tick in each of these minutes. */
export async function tickAt(scheduler: Pick<Scheduler, "tick">, minutes: readonly number[]): Promise<void> {
  for (const minute of minutes) {
    at(minute);
    await scheduler.tick();
  }
}

/** The object is let go of in the midst of something, as when its process dies. */
export const never = (): Promise<void> => new Promise(() => undefined);

/** A new object, a moment before noon. */
function fresh(): void {
  vi.useFakeTimers({ toFake: ["Date"], now: noon - 1 });
  stub = env.SCHEDULER.getByName(`schedules-${crypto.randomUUID()}`);
}

/** To be called once in each file: every test has a scheduler of its own. */
export function useScheduler(): void {
  beforeEach(fresh);
  afterEach(() => void vi.useRealTimers());
}
