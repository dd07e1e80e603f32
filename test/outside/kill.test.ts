/**
 * Proof from outside that a death costs nothing: workerd is killed with -9 again and again, the effects that
 * the steps had on a ledger elsewhere are compared with what the journals say; and once `wrangler dev` is.
 */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createRandom } from "../../src/core/random.ts";
import { Client } from "./client.ts";
import type { Entry } from "./client.ts";
import { each } from "./concurrency.ts";
import { Laptop } from "./laptop.ts";
import { Ledger } from "./ledger.ts";
import type { Effect } from "./ledger.ts";
import { Runtime } from "./runtime.ts";

const kills = 8;
const voyages = 200;
/** The Worker has some effects in each of its lives, however slow the machine, and then at most this long to live. */
const minEffects = 30;
const maxLifeMs = 2000;
/** A seed given by hand repeats the plan of a run of this test, though not the machine's timing. */
const seed = process.env["KILL_SEED"] ?? "holdfast";
const random = createRandom(seed);

let ledger: Ledger;
/** Of the test that goes on. */
let worker: Runtime | Laptop;
let client: Client;

beforeEach(async () => {
  ledger = await Ledger.open();
});

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") {
    console.error(`seed ${seed}; the end of what the Worker said:\n${worker?.tail()}`);
  }
  await worker?.discard();
  await ledger?.close();
});

function use<Kind extends Runtime | Laptop>(one: Kind): Kind {
  worker = one;
  client = new Client(one.origin);
  return one;
}

describe("killed with -9 again and again", () => {
  test(
    "200 runs complete; what was accepted is kept (1), a completed step never runs again (2), a signal is consumed once (5)",
    { timeout: 900_000 },
    async () => {
      const runtime = use(await Runtime.build(join(import.meta.dirname, "worker.ts"), { LEDGER: ledger.url }));
      const live = (): Promise<number> => runtime.start({ variables: { LIFE: String(ledger.life) } });
      await live();
      const plans = Array.from({ length: voyages }, (_, index) => plan(index));
      const watcher = new Watcher();
      const drivers: Promise<void>[] = [];
      const watching = watcher.watch();
      const inFlight: number[] = [];
      while (ledger.life < kills) {
        // Each life gets runs of its own, so that each kill finds runs at every stage.
        const own = plans.filter((_, index) => Math.floor((index * kills) / voyages) === ledger.life);
        drivers.push(...own.map((plan) => told(plan.id, drive(plan, watcher))));
        // Awaited below; a failure in the meantime is not one that nobody looks at.
        for (const driver of drivers) driver.catch(() => {});
        await ledger.until("some progress in this life", 120_000, () => effectsOfLife() >= minEffects);
        await pause(random.next() * maxLifeMs);
        await spare(plans);
        await runtime.kill();
        inFlight.push(plans.filter(({ id }) => isInFlight(id)).length);
        ledger.life++;
        await live();
      }
      await Promise.all(drivers);
      watcher.stop();
      await watching;
      console.log(`kill: runs in flight at each kill ${inFlight.join(", ")}; calls made again ${client.repeated}`);
      expect(Math.min(...inFlight)).toBeGreaterThan(0);

      await each(plans, ({ id }) => told(id, verify(id, watcher.seen.get(id))));
      const doubled = plans.flatMap(({ id }) => repetitions(ledger.of(id)));
      console.log(`kill: ${ledger.effects.length} effects, ${doubled.length} of them by steps that a kill interrupted`);
      expect(doubled.length, "the kills hit steps in flight").toBeGreaterThan(0);

      const again = await client.signal(plans[0]?.id ?? "", "approval", { number: 1 }, `${plans[0]?.id}/1`);
      expect(again).toEqual({ accepted: true, duplicate: true });
    },
  );

  test("runs go on by themselves after a restart with nobody calling (4)", { timeout: 300_000 }, async () => {
    const laptop = use(await Laptop.unpack([`LEDGER:${ledger.url}`]));
    await laptop.start([`LIFE:${ledger.life}`]);
    // Longer than it takes to start all of them, on a machine that has other things to do.
    const ms = 5000;
    const places = ["step", "sleep", "retry"] as const;
    const runs = Array.from({ length: 30 }, (_, index) => ({ id: `stay-${index}`, at: places[index % 3] ?? "step" }));
    /** The effect after which the run stays where it is to be killed. */
    const last = ({ id, at }: (typeof runs)[number]): Effect | undefined =>
      ledger.of(id, at === "sleep" ? "before" : "after")[0];
    await each(runs, ({ id, at }) => client.start("stay", id, { at, ms }));
    await ledger.until("every run is where it is to be killed", 60_000, () =>
      runs.every((run) => last(run) !== undefined),
    );
    await laptop.kill();
    ledger.life++;
    const readyAt = await laptop.start([`LIFE:${ledger.life}`]);

    const resumed = ({ id }: { id: string }): Effect | undefined =>
      ledger.of(id).find(({ life }) => life === ledger.life);
    await ledger.until("every run has gone on", 60_000, () => runs.every((run) => resumed(run) !== undefined));
    for (const place of places) {
      const lateMs = runs
        .filter(({ at }) => at === place)
        .map((run) => {
          const dueAt = place === "step" ? readyAt : Math.max(readyAt, (last(run)?.at ?? 0) + ms);
          return (resumed(run)?.at ?? Infinity) - dueAt;
        });
      lateMs.sort((one, other) => one - other);
      console.log(
        `resume: killed in a ${place}, ${lateMs.length} runs went on ${lateMs.join(", ")} ms after they could`,
      );
      expect(lateMs.at(-1), `killed in a ${place}`).toBeLessThan(5000);
    }
    await each(runs, async ({ id }) => expect(await client.end(id)).toMatchObject({ id, status: "completed" }));
  });
});

/**
 * A step that is at work in six deaths fails, as it must; where the machine is slow, any may be. One that was
 * cut off nearly as often is let through first, whatever is known of the last death.
 */
async function spare(plans: readonly Plan[]): Promise<void> {
  const old = plans.filter(({ id }) => isInFlight(id) && (ledger.of(id)[0]?.life ?? ledger.life) <= ledger.life - 4);
  await each(old, async ({ id }) => {
    while (mostDeaths(await client.history(id)) >= 4) await pause(50);
  });
}

/** How often the step was cut off that was so most often, of those that have no outcome. */
function mostDeaths(entries: readonly Entry[]): number {
  const deaths = new Map<string, number>();
  for (const { kind, step = "" } of entries) {
    if (kind === "step.interrupted") deaths.set(step, (deaths.get(step) ?? 0) + 1);
    else if (kind === "step.completed" || kind === "step.failed") deaths.delete(step);
  }
  return Math.max(0, ...deaths.values());
}

type Plan = {
  readonly id: string;
  readonly input: unknown;
  readonly startAfterMs: number;
  readonly pausesMs: readonly number[];
};

function plan(index: number): Plan {
  return {
    id: `voyage-${index}`,
    input: { paceMs: 400, napMs: 100 + Math.floor(random.next() * 1500) },
    startAfterMs: random.next() * maxLifeMs,
    pausesMs: [random.next() * 2500, random.next() * 1500],
  };
}

/** Starts the run and sends its signals, each as often as it takes to be answered. */
async function drive({ id, input, startAfterMs, pausesMs }: Plan, watcher: Watcher): Promise<void> {
  await pause(startAfterMs);
  expect(await client.start("voyage", id, input)).toMatchObject({ id, workflow: "voyage" });
  watcher.started.push(id);
  for (const [index, pauseMs] of pausesMs.entries()) {
    await pause(pauseMs);
    const number = index + 1;
    expect(await client.signal(id, "approval", { number }, `${id}/${number}`)).toMatchObject({ accepted: true });
  }
}

/** Reads histories all the while: what was once shown must stay. */
class Watcher {
  readonly started: string[] = [];
  readonly seen = new Map<string, Entry[]>();
  #stopped = false;

  async watch(): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const id = this.started[Math.max(0, this.started.length - 1 - (turn % 30))];
      if (id !== undefined) this.seen.set(id, await client.history(id));
      await pause(20);
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}

function effectsOfLife(): number {
  return ledger.effects.filter(({ life }) => life === ledger.life).length;
}

function isInFlight(id: string): boolean {
  return ledger.of(id).length > 0 && ledger.of(id, "charge#2").length === 0;
}

type Output = {
  readonly charges: readonly number[];
  readonly branches: readonly number[];
  readonly flaky: number;
  readonly raced: readonly number[];
  readonly winner: number;
  readonly approvals: readonly number[];
};

/** A failure says what the run's journal and the ledger say of it. */
async function told(id: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    const lines = [...(await client.history(id)), ...ledger.of(id)].map((line) => JSON.stringify(line));
    console.error([`run ${id}:`, ...lines].join("\n"));
    throw error;
  }
}

async function verify(id: string, seen: readonly Entry[] | undefined): Promise<void> {
  const run = await client.end(id);
  const entries = await client.history(id);
  expect(run, `run ${run.id}`).toMatchObject({ status: "completed" });
  const output = run.output as Output;
  expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, index) => index + 1));
  if (seen !== undefined) expect(entries.slice(0, seen.length), "what was shown stays").toEqual(seen);
  const values = new Map<string, unknown>([
    ...["charge", "charge#2"].map((step, index) => [step, output.charges[index]] as const),
    ...["left", "middle", "right"].map((step, index) => [step, output.branches[index]] as const),
    ...["hare", "tortoise"].map((step, index) => [step, output.raced[index]] as const),
    ["flaky", output.flaky],
  ]);
  for (const [step, value] of values) checkStep(run.id, step, value, entries);
  expect(new Set(ledger.of(run.id).map(({ step }) => step))).toEqual(new Set(values.keys()));
  const first = entries.find(({ kind, step }) => kind === "step.completed" && (step === "hare" || step === "tortoise"));
  expect(output.winner, "the race has one winner for ever (3)").toBe(first?.result);
  checkSignals(run.id, output.approvals, entries);
}

function checkStep(run: string, step: string, value: unknown, entries: readonly Entry[]): void {
  const what = `${run} ${step}`;
  const own = entries.filter((entry) => entry.step === step);
  const completed = own.filter(({ kind }) => kind === "step.completed");
  const effects = ledger.of(run, step);
  expect(completed.length, `${what}: completed once`).toBe(1);
  expect(completed[0]?.result, `${what}: the output holds the recorded value`).toBe(value);
  expect(effects.at(-1)?.value, `${what}: recorded is the last effect there was`).toBe(value);
  const completedAt = Date.parse(completed[0]?.at ?? "");
  const late = effects.filter(({ at }) => at > completedAt);
  expect(late, `${what}: no effect once it was completed`).toEqual([]);
  expect(new Set(effects.map(({ key }) => key)).size, `${what}: one key`).toBe(1);
  const doubled = repetitions(effects);
  expect(sameLife(effects), `${what}: again only where a kill interrupted it`).toEqual([]);
  // Whether the next attempt had begun when its time had come, only the ledger knows.
  const first = doubled.filter(({ attempt }) => attempt === 1).length;
  const interrupted = own.filter(({ kind }) => kind === "step.interrupted").length;
  expect(interrupted, `${what}: the journal tells of each interruption (8)`).toBeGreaterThanOrEqual(first);
  const failed = own.filter(({ kind }) => kind === "step.attempt_failed").length;
  expect(failed, `${what}: failed attempts`).toBe(step === "flaky" ? 1 : 0);
}

/** Effects of an attempt that had one before. */
function repetitions(effects: readonly Effect[]): Effect[] {
  return effects.filter((effect, index) => effects.findIndex((other) => isSameAttempt(effect, other)) < index);
}

/** Effects of an attempt that had one before in the same life of the Worker. */
function sameLife(effects: readonly Effect[]): Effect[] {
  const isRepeated = (effect: Effect, index: number): boolean =>
    effects.slice(0, index).some((other) => isSameAttempt(effect, other) && effect.life === other.life);
  return effects.filter(isRepeated);
}

function isSameAttempt(one: Effect, other: Effect): boolean {
  return one.run === other.run && one.step === other.step && one.attempt === other.attempt;
}

function checkSignals(run: string, approvals: readonly number[], entries: readonly Entry[]): void {
  const received = entries.filter(({ kind, name }) => kind === "signal.received" && name === "approval");
  const consumed = entries.filter(({ kind, name }) => kind === "signal.consumed" && name === "approval");
  expect(
    received.map(({ key }) => key),
    `${run}: each signal once, in order`,
  ).toEqual([`${run}/1`, `${run}/2`]);
  expect(
    consumed.map(({ signal }) => signal),
    `${run}: each consumed once`,
  ).toEqual(received.map(({ seq }) => seq));
  expect(approvals).toEqual([1, 2]);
}
