/** Runs at the edges of their waits: parked, called by many at once, signalled as their time is up, killed by their own code. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import { encode } from "../../src/core/value/value.ts";
import { getRun } from "../../src/index.ts";
import { aheadOf } from "../../src/objects/alarm.ts";
import { deeds } from "./flows/interruption.ts";
import { outputOf, pause, drive, service } from "./driver.ts";
import type { Ending } from "./driver.ts";
import { watched } from "./crashpoint.ts";
import { evict } from "./storage.ts";

let made = 0;

describe("a handler that kills its process", () => {
  const cases = [
    { how: "from its first life on", spared: 0, sleep: 0 },
    { how: "when its sleep is over", spared: 1, sleep: 300 },
  ];
  const played = new Map<string, Promise<Ending>>();

  // Side by side, because what they do most is wait.
  beforeAll(() => {
    for (const { how, spared, sleep } of cases) {
      for (const deaths of [3, 1000]) {
        const reckless = { title: how, workflow: "reckless", input: () => ({ spared, deaths, sleep }), calls: [] };
        // The life that is spared ends once its sleep is on record.
        const ending = drive(reckless, `reckless-${++made}`, spared === 0 ? [] : [{ at: 3, how: "kept" }]);
        ending.catch(() => {});
        played.set(`${how} ${deaths}`, ending);
      }
    }
  });

  it.for(cases)("outside any step goes on once it no longer does: $how", async ({ how }) => {
    const ending = await played.get(`${how} 3`);
    expect(ending?.run.status).toBe("completed");
    expect(ending?.entries.filter(({ kind }) => kind === "run.interrupted")).toHaveLength(3);
  });

  it.for(cases)("outside any step at last fails with handler_crashed: $how (guarantee 4)", async ({ how }) => {
    const ending = await played.get(`${how} 1000`);
    expect(ending?.run.error).toMatchObject({ code: "handler_crashed" });
  });
});

describe("a parked run", () => {
  async function park(input: object): Promise<{ id: string; stub: DurableObjectStub }> {
    const id = `parked-${++made}`;
    const sight = watched(id);
    await service.runs.start({ workflow: "parked", id, input: encode(input, "input"), by: "test" });
    await expect.poll(() => [sight.resting, sight.entries.length > 3]).toEqual([true, true]);
    return { id, stub: env.RUNS.getByName(id) };
  }

  /** One that sleeps until then, and is not in memory. */
  async function evicted(): Promise<{ id: string; stub: DurableObjectStub; until: number }> {
    const { id, stub } = await park({ sleep: "2 hours" });
    const { waitingFor } = await service.runs.read(id);
    await evict(id);
    return { id, stub, until: waitingFor.find(({ kind }) => kind === "timer")?.until ?? 0 };
  }

  const alarmOf = (stub: DurableObjectStub) => runInDurableObject(stub, (_object, ctx) => ctx.storage.getAlarm());

  it.each([
    ["a signal", {}],
    ["a signal with a deadline", { timeout: "1 hour" }],
    ["a sleep", { sleep: "2 hours" }],
    ["a webhook with a deadline", { hook: "3 hours" }],
    ["the earliest of them", { timeout: "2 hours", sleep: "90 minutes", hook: "1 day" }],
  ])("has the alarm that it needs and no other: %s (guarantee 4)", async (_what, input) => {
    const { id, stub } = await park(input);
    const { waitingFor } = await service.runs.read(id);
    const deadlines = waitingFor.flatMap(({ until }) => (until === null ? [] : [until]));
    const due = deadlines.length === 0 ? null : aheadOf(Math.min(...deadlines));
    expect(await alarmOf(stub)).toBe(due);
    await evict(id);
    const { length } = watched(id).entries;
    // Whatever comes without need changes nothing.
    for (let times = 0; times < 10; times++) {
      await runDurableObjectAlarm(stub);
      expect(await alarmOf(stub)).toBe(due);
      await evict(id);
    }
    expect(watched(id).entries).toHaveLength(length);
    await getRun(id).signal("go");
    expect((await service.runs.read(id, 60_000)).status).toBe("completed");
  });

  it("that its alarm wakes ahead of its time rests until then, with no other alarm, and was not cut off (guarantee 4)", async () => {
    const { id, stub, until } = await evicted();
    const { entries } = watched(id);
    const { length } = entries;
    // Its clock is set there, and stands still.
    vi.useFakeTimers({ now: until - 1, toFake: ["Date"] });
    try {
      await runInDurableObject(stub, async (object, { storage }) => {
        const setAlarm = vi.spyOn(storage, "setAlarm");
        void object.alarm?.({ scheduledTime: aheadOf(until), retryCount: 0, isRetry: false });
        await pause(20);
        expect(setAlarm).not.toHaveBeenCalled();
        expect(entries).toHaveLength(length);
        vi.setSystemTime(until);
        await expect.poll(() => entries[length]?.kind).toBe("timer.fired");
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it("that died of its alarm was cut off, whatever was due, and is watched before it goes on (guarantee 4)", async () => {
    const { id, stub, until } = await evicted();
    const { entries } = watched(id);
    const { length } = entries;
    vi.useFakeTimers({ now: until, toFake: ["Date"] });
    try {
      await runInDurableObject(stub, (object, { storage }) => {
        const setAlarm = storage.setAlarm.bind(storage);
        const known: number[] = [];
        vi.spyOn(storage, "setAlarm").mockImplementation((time) => {
          known.push(entries.length);
          return setAlarm(time);
        });
        void object.alarm?.({ scheduledTime: aheadOf(until), retryCount: 1, isRetry: true });
        expect([known, entries[length]?.kind]).toEqual([[length], "run.interrupted"]);
      });
    } finally {
      vi.useRealTimers();
    }
    await service.runs.act(id, { kind: "terminate", by: "test", reason: null });
  });
});

describe("calls at the same moment", () => {
  it("make one run of 64 starts with one id (guarantee 1)", async () => {
    const id = `crowd-${++made}`;
    watched(id);
    const input = encode({}, "input");
    const starts = Array.from({ length: 64 }, () => service.runs.start({ workflow: "parked", id, input, by: "test" }));
    const answers = await Promise.all(starts);
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(answers.map(({ run }) => run.createdAt)).size).toBe(1);
    await getRun(id).signal("go");
    const { entries } = await endedRun(id);
    expect(entries.filter(({ kind }) => kind === "run.created")).toHaveLength(1);
    expect(deeds.filter(({ run }) => run === id).map(({ step }) => step)).toEqual(["before", "after"]);
  });

  it("make one signal of 64 with one key (guarantee 5)", async () => {
    const id = `crowd-${++made}`;
    await service.runs.start({
      workflow: "volley",
      id,
      input: encode({ signals: 2, timeout: 100_000 }, "input"),
      by: "test",
    });
    const send = (n: number, key: string) =>
      service.signals.send(id, { name: "ball", payload: encode({ n }, ""), key, by: "test" });
    const answers = await Promise.all(Array.from({ length: 64 }, () => send(1, "one")));
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
    await send(2, "two");
    const { run, entries } = await endedRun(id);
    expect(outputOf(run)).toEqual({ seen: [1, 2], silences: 0 });
    expect(entries.filter(({ kind }) => kind === "signal.received")).toHaveLength(2);
  });

  async function endedRun(id: string): Promise<Ending> {
    const run = await service.runs.read(id, 60_000);
    return { run, entries: (await service.runs.history(id, 0, 200)).entries };
  }
});

describe("a signal at the very instant of its timeout", () => {
  const rounds = 50;

  /** Sends each signal when the wait that is open ends, give or take a moment, evicted or not. */
  async function serve(id: string, timeout: number, evicted: boolean): Promise<number> {
    const sight = watched(id);
    await service.runs.start({
      workflow: "volley",
      id,
      input: encode({ signals: rounds, timeout }, "input"),
      by: "test",
    });
    let n = 0;
    for (let from = 0; n < rounds;) {
      const wait = sight.entries.findLast((entry) => entry.kind === "wait.started");
      if (wait?.kind !== "wait.started" || wait.until === null || wait.seq <= from) {
        await pause(1);
        continue;
      }
      from = wait.seq;
      if (evicted && sight.resting) await evictDurableObject(env.RUNS.getByName(id)).catch(() => {});
      await pause(Math.max(0, wait.until - Date.now() - 4));
      const aim = wait.until + (n % 5) - 2;
      while (Date.now() < aim);
      await getRun(id).signal("ball", { n }, { idempotencyKey: `${id}:${n}` });
      n++;
    }
    return n;
  }

  it.each([
    ["awake", 25, false],
    ["evicted", 60, true],
  ])("goes to this wait or to the next, in order, once: %s (guarantees 4 and 5)", async (_how, timeout, evicted) => {
    const id = `volley-${++made}`;
    await serve(id, timeout, evicted);
    const run = await service.runs.read(id, 60_000);
    const { seen, silences } = outputOf(run) as { seen: number[]; silences: number };
    expect(seen).toEqual(Array.from({ length: rounds }, (_, n) => n));
    const { entries } = watched(id);
    const count = (kind: Entry["kind"]) => entries.filter((entry) => entry.kind === kind).length;
    expect([count("signal.received"), count("signal.consumed"), count("wait.timed_out")]).toEqual([
      rounds,
      rounds,
      silences,
    ]);
    // Both came first at times, or nothing was proved.
    expect(silences).toBeGreaterThan(0);
    expect(
      entries.filter(
        (entry, index) => entry.kind === "signal.received" && entries[index + 1]?.kind === "signal.consumed",
      ).length,
    ).toBeGreaterThan(0);
  });
});
