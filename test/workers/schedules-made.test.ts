/** Schedules made by requests, over the real storage and alarm: overlap, pauses, failures, backfills, keys. */
import { describe, expect, it, vi } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import type { Overlap, ScheduleChange, ScheduleInfo, ScheduleRequest } from "../../src/core/service/schedules.ts";
import { encode } from "../../src/core/value/value.ts";
import { unwrap } from "../../src/objects/answer.ts";
import type { Answer } from "../../src/objects/answer.ts";
import { at, live, minuteMs, never, noon, ruleOf, slot, tickAt, useScheduler, World } from "./world.ts";
import type { Scheduler } from "./world.ts";

useScheduler();

const by = { by: "admin", reason: null };
const request: ScheduleRequest = {
  ...{ id: "minutely", workflow: "report", cron: "* * * * *", overlap: "allow-all", ...by },
};

function take<Value>(answer: Answer<Value>): Value {
  if (!answer.ok) throw new Error(`${answer.refusal.code}: ${answer.refusal.message}`);
  return answer.value;
}

function codeOf(answer: Answer<unknown>): string {
  return answer.ok ? "ok" : answer.refusal.code;
}

async function make(scheduler: Scheduler, change: Partial<ScheduleRequest> = {}): Promise<ScheduleInfo> {
  return take(await scheduler.create({ ...request, ...change })).schedule;
}

async function find(scheduler: Scheduler, id = "minutely"): Promise<ScheduleInfo> {
  return take(await scheduler.find(id, 3));
}

/** Everything that waits for nothing outside is done. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

/** As the alarm would: at its time, and only then. */
async function wake(scheduler: Scheduler, ctx: DurableObjectState): Promise<void> {
  vi.setSystemTime((await ctx.storage.getAlarm()) ?? Number.NaN);
  await scheduler.alarm();
  await turn();
}

async function drained(scheduler: Scheduler): Promise<void> {
  await expect.poll(async () => (await find(scheduler)).backfills, { interval: 2 }).toEqual([]);
}

describe("guarantee 6: a schedule made by a request", () => {
  it("fires by the alarm alone, in lives that never saw the request", async () => {
    const world = new World();
    await live(world, async (scheduler, ctx) => {
      await make(scheduler, { input: encode({ n: 1 }, "it") });
      expect(await ctx.storage.getAlarm()).toBe(noon);
    });
    for (const minute of [0, 1]) {
      await live(world, async (scheduler, ctx) => {
        expect(await ctx.storage.getAlarm()).toBe(noon + minute * minuteMs);
        await wake(scheduler, ctx);
      });
    }
    expect(world.started).toEqual([slot(0), slot(1)]);
    expect(world.asked[0]).toMatchObject({ workflow: "report", input: encode({ n: 1 }, "it") });
  });

  it.each([1, 2, 3])("that is made paused never fires, though the storage failed at write %i", async (nth) => {
    const world = new World();
    await live(world, async (scheduler, ctx) => {
      const exec = ctx.storage.sql.exec.bind(ctx.storage.sql);
      let writes = 0;
      vi.spyOn(ctx.storage.sql, "exec").mockImplementation((query, ...bindings) => {
        if (query.startsWith("INSERT") && ++writes === nth) throw new Error("database or disk is full");
        return exec(query, ...bindings);
      });
      await make(scheduler, { paused: true }).catch(() => undefined);
      expect((await make(scheduler, { paused: true })).paused).not.toBeNull();
    });
    for (const minute of [0, 1]) {
      at(minute);
      await live(world, (scheduler) => scheduler.tick());
    }
    expect(world.started).toEqual([]);
  });

  it.each<[Overlap, number[], string[]]>([
    ["skip", [0, 3], []],
    ["buffer-one", [0, 1], []],
    ["buffer-all", [0, 1, 2, 3], []],
    ["cancel-other", [0, 1, 2, 3], [`cancel ${slot(0)}`, `cancel ${slot(1)}`]],
    ["terminate-other", [0, 1, 2, 3], [`terminate ${slot(0)}`, `terminate ${slot(1)}`]],
    ["allow-all", [0, 1, 2, 3], []],
  ])("with %s starts what its overlap says", async (overlap, started, stopped) => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler, { overlap });
      for (const minute of [0, 1, 2]) {
        at(minute);
        await scheduler.tick();
      }
      // From here on each run ends before the next firing; the first one only now.
      for (const minute of [0, 3, 4]) {
        if (minute > 0) at(minute);
        for (const id of [...world.running]) {
          world.running.delete(id);
          await scheduler.ended({ id: "minutely", at: noon }, id);
          await turn();
        }
        if (minute === 3) await scheduler.tick();
      }
    });
    expect(world.started.slice(0, started.length)).toEqual(started.map(slot));
    expect(world.stopped.slice(0, 2)).toEqual(stopped);
  });

  it.each<[Overlap, first: number[], then: number[], stopped: string[]]>([
    ["skip", [], [4], []],
    ["buffer-one", [], [3], []],
    ["buffer-all", [], [3], []],
    ["cancel-other", [3], [4], [`cancel ${slot(1)}`, `cancel ${slot(3)}`]],
    ["terminate-other", [3], [4], [`terminate ${slot(1)}`, `terminate ${slot(3)}`]],
  ])(
    "that comes to be %s has all its open runs in the way, not only the newest",
    async (overlap, first, then, stopped) => {
      const world = new World();
      await live(world, async (scheduler) => {
        await make(scheduler, { overlap: "allow-all" });
        await tickAt(scheduler, [0, 1, 2]);
        const end = async (minute: number): Promise<void> => {
          world.running.delete(slot(minute));
          await scheduler.ended({ id: "minutely", at: noon }, slot(minute));
          await turn();
        };
        await end(2);
        // Nobody hears of this end before the run is asked.
        world.running.delete(slot(0));
        take(await scheduler.change("minutely", { overlap, ...by }));
        await tickAt(scheduler, [3]);
        expect(world.started).toEqual([0, 1, 2, ...first].map(slot));
        await end(1);
        await tickAt(scheduler, [4]);
      });
      expect(world.started).toEqual([0, 1, 2, ...first, ...then].map(slot));
      expect(world.stopped).toEqual(stopped);
    },
  );

  it("fires no slot again when its cron or zone changes, nor after it was removed and made again", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler);
      at(0);
      await scheduler.tick();
      take(await scheduler.change("minutely", { cron: "*/2 * * * *", ...by }));
      take(await scheduler.change("minutely", { timezone: "Europe/Berlin", ...by }));
      await scheduler.tick();
      take(await scheduler.remove("minutely", by));
      await make(scheduler, { cron: "0 * * * *" });
      await scheduler.tick();
    });
    expect(world.started).toEqual([slot(0)]);
  });

  it.each<[string, ScheduleChange, string[]]>([
    ["a longer catchUp lets a missed firing run", { catchUp: "1 hour", ...by }, [slot(0), slot(5)]],
    ["a catchUp that is as short as before does not", { catchUp: "10 s", ...by }, [slot(0)]],
    ["a rule of another time is a new one, and none of the old is due", { timezone: "Asia/Tokyo", ...by }, [slot(0)]],
  ])("is judged by what it was changed to: %s", async (_what, change, started) => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler, { catchUp: "10 s" });
      await tickAt(scheduler, [0]);
      at(5, 30_000);
      take(await scheduler.change("minutely", change));
      await scheduler.tick();
    });
    expect(world.started).toEqual(started);
  });

  it.each<[Overlap, atOnce: number[], then: number[]]>([
    ["allow-all", [1, 2, 3], []],
    ["cancel-other", [3], []],
    ["buffer-one", [], [1]],
    ["skip", [], [1]],
  ])("that comes to be %s starts what waits as that says", async (overlap, atOnce, then) => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler, { overlap: "buffer-all" });
      await tickAt(scheduler, [0, 1, 2, 3]);
      take(await scheduler.change("minutely", { overlap, ...by }));
      await scheduler.tick();
      expect(world.started).toEqual([0, ...atOnce].map(slot));
      if (then.length > 0) {
        world.running.delete(slot(0));
        await scheduler.ended({ id: "minutely", at: noon }, slot(0));
        await turn();
      }
    });
    expect(world.started).toEqual([0, ...atOnce, ...then].map(slot));
  });

  it("that was removed fires no more, and leaves nothing that waits", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler, { overlap: "buffer-all" });
      for (const minute of [0, 1]) {
        at(minute);
        await scheduler.tick();
      }
      take(await scheduler.remove("minutely", by));
      world.running.clear();
      await scheduler.ended({ id: "minutely", at: noon }, slot(0));
      at(2);
      await scheduler.tick();
      expect(await scheduler.list()).toEqual({ ok: true, value: [] });
      expect(codeOf(await scheduler.find("minutely", 1))).toBe("schedule_not_found");
      expect(codeOf(await scheduler.remove("minutely", by))).toBe("schedule_not_found");
    });
    expect(world.started).toEqual([slot(0)]);
  });

  it("gives way to one of the same id in the code, and is back when that is gone", async () => {
    const world = new World();
    await live(world, (scheduler) => make(scheduler).then(() => undefined));
    world.rules = [ruleOf({ cron: "30 * * * *" })];
    await live(world, async (scheduler) => {
      expect(unwrap(await scheduler.list())).toMatchObject([{ source: "code", cron: "30 * * * *" }]);
      expect(codeOf(await scheduler.create(request))).toBe("schedule_exists");
    });
    world.rules = [];
    await live(world, async (scheduler) => {
      expect(unwrap(await scheduler.list())).toMatchObject([{ source: "api", cron: "* * * * *" }]);
    });
  });
});

describe("guarantee 6: paused, in the code as well", () => {
  it("nothing fires, and nothing of that time afterwards", async () => {
    const world = new World(ruleOf());
    await live(world, async (scheduler) => {
      await scheduler.tick();
      at(0);
      await scheduler.tick();
      const paused = take(await scheduler.change("minutely", { paused: true, by: "admin", reason: "moving house" }));
      expect(paused.paused).toEqual({ at: noon, by: "admin", reason: "moving house" });
    });
    await live(world, async (scheduler) => {
      at(3);
      await scheduler.tick();
      at(4, 30_000);
      expect(take(await scheduler.change("minutely", { paused: false, ...by })).paused).toBeNull();
    });
    await live(world, (scheduler, ctx) => wake(scheduler, ctx));
    expect(world.started).toEqual([slot(0), slot(5)]);
  });

  it("what was buffered starts when it goes on, at once", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler, { overlap: "buffer-one" });
      for (const minute of [0, 1]) {
        at(minute);
        await scheduler.tick();
      }
      take(await scheduler.change("minutely", { paused: true, ...by }));
      world.running.clear();
      await scheduler.ended({ id: "minutely", at: noon }, slot(0));
      at(2);
      await scheduler.tick();
      expect(world.started).toEqual([slot(0)]);
      take(await scheduler.change("minutely", { paused: false, ...by }));
      await expect.poll(() => world.started).toEqual([slot(0), slot(1)]);
    });
  });

  it("made paused it waits to be resumed", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      expect((await make(scheduler, { paused: true })).paused).toMatchObject({ by: "admin" });
      at(0);
      await scheduler.tick();
    });
    expect(world.started).toEqual([]);
  });
});

describe("pauseOnFailure", () => {
  const failed = { status: "failed", finishedAt: noon + 30_000 } as const;

  it("pauses when a run is reported failed, says which, and not twice for the same one", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler, { pauseOnFailure: true });
      at(0);
      await scheduler.tick();
      at(0, 30_000);
      const end = { status: "failed", at: noon + 30_000 } as const;
      await scheduler.ended({ id: "minutely", at: noon }, slot(0), end);
      expect((await find(scheduler)).paused).toMatchObject({ by: "schedule", reason: `run ${slot(0)} failed` });
      at(1);
      await scheduler.tick();
      take(await scheduler.change("minutely", { paused: false, ...by }));
      await scheduler.ended({ id: "minutely", at: noon }, slot(0), end);
      expect((await find(scheduler)).paused).toBeNull();
    });
    // The slot of the very instant in which it was resumed is none of the pause.
    expect(world.started).toEqual([slot(0), slot(1)]);
  });

  it.each<Overlap>(["skip", "allow-all"])(
    "holds before the next firing when the report was lost, %s",
    async (overlap) => {
      const world = new World(ruleOf({ overlap, pauseOnFailure: true }));
      await live(world, async (scheduler) => {
        await scheduler.tick();
        at(0);
        await scheduler.tick();
        world.running.clear();
        world.ended.set(slot(0), failed);
        at(1);
        await scheduler.tick();
        expect((await find(scheduler)).paused).toMatchObject({ by: "schedule" });
      });
      expect(world.started).toEqual([slot(0)]);
    },
  );

  it("does not pause for runs that complete or are cancelled, nor where nobody asked for it", async () => {
    const world = new World(ruleOf({ id: "other" }));
    await live(world, async (scheduler) => {
      await make(scheduler, { pauseOnFailure: true });
      at(0);
      await scheduler.tick();
      for (const status of ["completed", "cancelled"] as const) {
        await scheduler.ended({ id: "minutely", at: noon }, slot(0), { status, at: noon + 1 });
      }
      await scheduler.ended({ id: "minutely", at: noon }, slot(0));
      await scheduler.ended({ id: "other", at: noon }, "any", { status: "failed", at: noon + 1 });
      expect(unwrap(await scheduler.list()).map(({ paused }) => paused)).toEqual([null, null]);
    });
  });
});

it("a schedule that cannot be read any more is paused, says so, and holds up no other", async () => {
  const world = new World();
  await live(world, async (scheduler, ctx) => {
    await make(scheduler);
    await make(scheduler, { id: "broken" });
    at(0);
    await scheduler.tick();
    ctx.storage.sql.exec(`UPDATE plans SET plan = replace(plan, 'UTC', 'Mars/Olympus') WHERE id = 'broken'`);
  });
  world.asked.length = 0;
  await live(world, async (scheduler) => {
    at(1);
    await scheduler.tick();
    const broken = await find(scheduler, "broken");
    expect(broken).toMatchObject({
      next: [],
      paused: { by: "schedule", reason: expect.stringContaining("time zone") },
    });
    await scheduler.ended({ id: "broken", at: noon }, "any");
    at(1, 5_000);
    const mended = take(await scheduler.change("broken", { timezone: "UTC", paused: false, ...by }));
    expect(mended).toMatchObject({ paused: null, timezone: "UTC" });
    expect(unwrap(await scheduler.list())).toHaveLength(2);
  });
  expect(world.started).toEqual([slot(1)]);
});

describe("what was refused", () => {
  it("is the schedule's last error, with its firing", async () => {
    const world = new World();
    world.before = () => Promise.reject(new HoldfastError("input_invalid", "no"));
    await live(world, async (scheduler) => {
      expect((await make(scheduler)).lastError).toBeNull();
      at(0, 7);
      await scheduler.tick();
      const lastError = { at: noon + 7, slotAt: noon, message: "input_invalid: no" };
      expect((await find(scheduler)).lastError).toEqual(lastError);
      world.before = () => undefined;
      at(1, 7);
      await scheduler.tick();
      expect((await find(scheduler)).lastError).toBeNull();
    });
  });

  it("is made up for by a backfill of its firing, and by none of another", async () => {
    const world = new World();
    world.before = () => Promise.reject(new HoldfastError("input_invalid", "no"));
    await live(world, async (scheduler) => {
      await make(scheduler, { cron: "*/10 * * * *" });
      at(10);
      await scheduler.tick();
      world.before = () => undefined;
      const backfill = async (minute: number) => {
        const fromAt = noon + minute * minuteMs;
        take(await scheduler.backfill("minutely", { fromAt, untilAt: fromAt + 1, ...by }));
        await drained(scheduler);
        return (await find(scheduler)).lastError;
      };
      expect(await backfill(0)).toMatchObject({ slotAt: noon + 10 * minuteMs });
      expect(await backfill(10)).toBeNull();
    });
  });

  it("for a rate that passes is started later", async () => {
    const world = new World();
    world.before = () => Promise.reject(new HoldfastError("rate_limited", "slowly"));
    await live(world, async (scheduler, ctx) => {
      await make(scheduler);
      at(0);
      await scheduler.tick();
      world.before = () => undefined;
      await wake(scheduler, ctx);
    });
    expect(world.started).toEqual([slot(0), slot(0)]);
    expect([...world.runs]).toEqual([slot(0)]);
  });
});

describe("the same request again", () => {
  it("makes one schedule, also side by side; another of its id is refused", async () => {
    await live(new World(), async (scheduler) => {
      const both = await Promise.all([scheduler.create(request), scheduler.create(request)]);
      expect(both.map((answer) => take(answer).created).toSorted()).toEqual([false, true]);
      const spelt = { ...request, timezone: "UTC", catchUp: "60 minutes" };
      expect(take(await scheduler.create(spelt)).created).toBe(false);
      expect(codeOf(await scheduler.create({ ...request, cron: "1 * * * *" }))).toBe("schedule_exists");
      expect(codeOf(await scheduler.create({ ...request, paused: true }))).toBe("schedule_exists");
    });
  });

  it("with its key is known by the key, and another under that key is refused", async () => {
    await live(new World(), async (scheduler) => {
      const keyed = { ...request, key: "k1" };
      expect(take(await scheduler.create(keyed)).created).toBe(true);
      take(await scheduler.change("minutely", { cron: "5 * * * *", ...by, key: "k2" }));
      take(await scheduler.change("minutely", { cron: "6 * * * *", ...by }));
      // Neither is done again.
      expect(take(await scheduler.create(keyed))).toMatchObject({ created: false, schedule: { cron: "6 * * * *" } });
      expect(take(await scheduler.change("minutely", { cron: "5 * * * *", ...by, key: "k2" })).cron).toBe("6 * * * *");
      expect(codeOf(await scheduler.create({ ...keyed, id: "other" }))).toBe("idempotency_conflict");
      expect(codeOf(await scheduler.change("minutely", { cron: "7 * * * *", ...by, key: "k2" }))).toBe(
        "idempotency_conflict",
      );
      for (let i = 0; i < 2; i += 1) take(await scheduler.remove("minutely", { ...by, key: "k3" }));
    });
  });

  it("is known for a day, and then forgotten", async () => {
    await live(new World(), async (scheduler, { storage }) => {
      const keys = () => Array.from(storage.sql.exec("SELECT key FROM keys ORDER BY key"), ({ key }) => key);
      at(0);
      await make(scheduler, { key: "k1" });
      at(24 * 60);
      await make(scheduler, { key: "k2" });
      expect(keys()).toEqual(["k1", "k2"]);
      at(24 * 60 + 1);
      await make(scheduler, { key: "k3" });
      expect(keys()).toEqual(["k2", "k3"]);
    });
  });

  it("a change that is checked while another is made is checked again", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler);
      let go = (): void => undefined;
      world.checking = ({ overlap }) => (overlap === "skip" ? new Promise((resolve) => (go = resolve)) : undefined);
      const slow = scheduler.change("minutely", { overlap: "skip", ...by });
      take(await scheduler.change("minutely", { cron: "9 * * * *", ...by }));
      world.checking = () => undefined;
      go();
      expect(take(await slow)).toMatchObject({ overlap: "skip", cron: "9 * * * *" });
    });
  });

  it("their inputs are limited in sum", async () => {
    await live(new World(), async (scheduler) => {
      const input = encode("x".repeat(65_000), "it");
      const answers = [];
      for (let i = 0; i < 124; i += 1) answers.push(codeOf(await scheduler.create({ ...request, id: `s${i}`, input })));
      expect(answers.indexOf("schedule_limit")).toBe(123);
      const more = { input: encode("y".repeat(65_000), "it"), ...by };
      expect(codeOf(await scheduler.change("s0", more))).toBe("ok");
      await make(scheduler, { id: "small" });
      expect(codeOf(await scheduler.change("small", more))).toBe("schedule_limit");
    });
  });

  it("there are a thousand at most", async () => {
    await live(new World(), async (scheduler, ctx) => {
      await make(scheduler, { id: "s0", cron: "0 0 1 1 *" });
      ctx.storage.sql.exec(
        `WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 998)
         INSERT INTO plans SELECT 's' || n, replace(plan, '"s0"', '"s' || n || '"') FROM plans, n`,
      );
    });
    await live(new World(), async (scheduler) => {
      expect(unwrap(await scheduler.list())).toHaveLength(999);
      expect(codeOf(await scheduler.create({ ...request, id: "the last" }))).toBe("ok");
      expect(codeOf(await scheduler.create({ ...request, id: "one more" }))).toBe("schedule_limit");
      expect(codeOf(await scheduler.change("s1", { cron: "1 0 1 1 *", ...by }))).toBe("ok");
    });
  });
});

describe("guarantee 6: a backfill", () => {
  const hour = { fromAt: noon - 60 * minuteMs, untilAt: noon };

  it("starts each slot of the range once, with those that fired already, and leaves the future to its time", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler);
      at(0);
      await scheduler.tick();
      at(1, 30_000);
      const firings = take(
        await scheduler.backfill("minutely", { fromAt: noon - minuteMs, untilAt: noon + 9 * minuteMs, ...by }),
      );
      expect(firings).toEqual({ firings: 3 });
      await drained(scheduler);
      await scheduler.tick();
    });
    expect([...world.runs].toSorted()).toEqual([slot(-1), slot(0), slot(1)]);
  });

  it("is done once for a key, and again without", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler);
      const keyed = { ...hour, ...by, key: "k" };
      for (let i = 0; i < 2; i += 1) expect(take(await scheduler.backfill("minutely", keyed))).toEqual({ firings: 60 });
      const both = await Promise.all([1, 2].map(() => scheduler.backfill("minutely", { ...keyed, key: "k2" })));
      expect(both.map(take)).toEqual([{ firings: 60 }, { firings: 60 }]);
      await drained(scheduler);
      expect(world.started).toHaveLength(120);
      expect(codeOf(await scheduler.backfill("minutely", { ...keyed, fromAt: hour.fromAt - 1 }))).toBe(
        "idempotency_conflict",
      );
    });
    expect(world.runs.size).toBe(60);
  });

  it("of a rule that is changed while its slots are counted has those of the new rule", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler, { paused: true });
      const slow = scheduler.backfill("minutely", { ...hour, ...by });
      take(await scheduler.change("minutely", { cron: "*/10 * * * *", ...by }));
      expect(take(await slow)).toEqual({ firings: 6 });
      await drained(scheduler);
    });
    expect(world.runs.size).toBe(6);
  });

  it("goes on by itself after the process died in its midst", async () => {
    const world = new World();
    const dying = slot(-30);
    world.before = ({ id }) => (id === dying ? never() : undefined);
    await live(world, async (scheduler, ctx) => {
      await make(scheduler, { cron: "*/10 * * * *", paused: true });
      expect(take(await scheduler.backfill("minutely", { ...hour, ...by }))).toEqual({ firings: 6 });
      await expect.poll(() => world.started).toContain(dying);
      at(0, 5_000);
      await scheduler.alarm();
      expect(await ctx.storage.getAlarm()).toBe(noon + 6_000);
    });
    expect(world.runs.size).toBe(3);
    world.before = () => undefined;
    await live(world, async (scheduler, ctx) => {
      const alarmAt = (await ctx.storage.getAlarm()) ?? 0;
      expect(alarmAt - Date.now()).toBeLessThanOrEqual(1_000);
      expect((await find(scheduler)).backfills).toMatchObject([{ firings: 6, started: 3, refused: 0 }]);
      // The first alarm may come a moment before the start is due again.
      for (const _ of [1, 2]) await wake(scheduler, ctx);
      expect((await find(scheduler)).backfills).toEqual([]);
    });
    expect(world.runs.size).toBe(6);
    // Only the slot in which it died was asked for twice.
    expect(world.started).toHaveLength(7);
  });

  it("of two hundred and more slots goes on from alarm to alarm", async () => {
    const world = new World();
    await live(world, async (scheduler, ctx) => {
      await make(scheduler, { paused: true });
      take(await scheduler.backfill("minutely", { fromAt: noon - 450 * minuteMs, untilAt: noon, ...by }));
      for (const done of [200, 400]) {
        await expect.poll(() => world.runs.size).toBe(done);
        await turn();
        await wake(scheduler, ctx);
      }
      await drained(scheduler);
    });
    expect(world.runs.size).toBe(450);
  });

  it("is tried again in a minute, and not at once, where the storage takes nothing", async () => {
    const world = new World();
    await live(world, async (scheduler, ctx) => {
      await make(scheduler, { paused: true });
      const exec = ctx.storage.sql.exec.bind(ctx.storage.sql);
      let puts = 0;
      vi.spyOn(ctx.storage.sql, "exec").mockImplementation((query, ...bindings) => {
        if (query.startsWith("INSERT INTO backfills") && ++puts === 2) throw new Error("database or disk is full");
        return exec(query, ...bindings);
      });
      take(await scheduler.backfill("minutely", { fromAt: noon - 2 * minuteMs, untilAt: noon, ...by }));
      const armedAt = async () => (await ctx.storage.getAlarm()) ?? 0;
      await expect.poll(armedAt).toBe(noon - 1 + minuteMs);
      at(1);
      await wake(scheduler, ctx);
      await drained(scheduler);
      vi.mocked(ctx.storage.sql.exec).mockRestore();
    });
    expect(world.runs.size).toBe(2);
  });

  it("one after the other, each waits for the run before, reported or not", async () => {
    const world = new World();
    const range = { fromAt: noon - 3 * minuteMs, untilAt: noon, overlap: "buffer-all", ...by } as const;
    await live(world, async (scheduler, ctx) => {
      await make(scheduler, { cron: "* 11 * * *" });
      take(await scheduler.backfill("minutely", range));
      await expect.poll(() => world.started).toEqual([slot(-3)]);
      world.running.clear();
      await scheduler.ended({ id: "minutely", at: noon }, slot(-3));
      await expect.poll(() => world.started).toEqual([slot(-3), slot(-2)]);
      await wake(scheduler, ctx);
      expect(world.started).toHaveLength(2);
      world.running.clear();
      await wake(scheduler, ctx);
      await expect.poll(() => world.started).toEqual([slot(-3), slot(-2), slot(-1)]);
      world.running.clear();
      await scheduler.ended({ id: "minutely", at: noon }, slot(-1));
      await drained(scheduler);
    });
  });

  it("one after the other takes a run that cannot be asked to go on", async () => {
    const world = new World();
    const range = { fromAt: noon - 3 * minuteMs, untilAt: noon, overlap: "buffer-all", ...by } as const;
    await live(world, async (scheduler, ctx) => {
      await make(scheduler, { paused: true });
      take(await scheduler.backfill("minutely", range));
      await expect.poll(() => world.started).toEqual([slot(-3)]);
      const look = vi.spyOn(world, "look").mockRejectedValue(new Error("connection lost"));
      // The first alarm may come a moment before the run is asked.
      for (const _ of [1, 2]) await wake(scheduler, ctx);
      await expect.poll(() => look).toHaveBeenCalled();
      await turn();
    });
    expect(world.started).toEqual([slot(-3)]);
  });

  it("counts what is refused, shows it as the last error, and goes on", async () => {
    const world = new World();
    const refused = slot(-50);
    world.before = ({ id }) => {
      if (id === refused) throw new HoldfastError("input_invalid", "no");
    };
    await live(world, async (scheduler) => {
      await make(scheduler, { cron: "*/10 * * * *" });
      take(await scheduler.backfill("minutely", { ...hour, ...by }));
      await drained(scheduler);
      expect((await find(scheduler)).lastError).toMatchObject({ slotAt: noon - 50 * minuteMs });
    });
    expect(world.runs.size).toBe(5);
  });

  it("is in nobody's way, nor is anybody in its", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler, { overlap: "skip" });
      at(0);
      await scheduler.tick();
      take(await scheduler.backfill("minutely", { fromAt: noon - 2 * minuteMs, untilAt: noon, ...by }));
      await drained(scheduler);
      world.running.delete(slot(0));
      at(1);
      await scheduler.tick();
    });
    expect(world.started).toEqual([slot(0), slot(-2), slot(-1), slot(1)]);
  });

  it("of more slots than ten thousand is refused, counting those still to come", async () => {
    const world = new World();
    world.before = never;
    await live(world, async (scheduler) => {
      await make(scheduler, { cron: "* * * * * *", paused: true });
      const span = (seconds: number) => ({ fromAt: noon - seconds * 1_000, untilAt: noon - 1, ...by });
      expect(codeOf(await scheduler.backfill("minutely", span(10_001)))).toBe("backfill_too_large");
      expect(take(await scheduler.backfill("minutely", span(10_000)))).toEqual({ firings: 10_000 });
      expect(codeOf(await scheduler.backfill("minutely", span(1)))).toBe("backfill_too_large");
    });
  });

  it("ends with its schedule", async () => {
    const world = new World();
    await live(world, async (scheduler, ctx) => {
      await make(scheduler, { cron: "* 11 * * *" });
      take(await scheduler.backfill("minutely", { ...hour, overlap: "buffer-all", ...by }));
      await expect.poll(() => world.started).toHaveLength(1);
      take(await scheduler.remove("minutely", by));
      await scheduler.ended({ id: "minutely", at: noon }, world.started[0] ?? "");
      await turn();
      expect(ctx.storage.sql.exec("SELECT 1 FROM backfills").toArray()).toEqual([]);
    });
    expect(world.started).toHaveLength(1);
  });
});

describe("a run that is set going by hand", () => {
  it.each(["triggered", "retried"])("is in the way of a firing that comes before it has begun: %s", async (how) => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler, { overlap: "skip" });
      at(0);
      await scheduler.tick();
      const first = slot(0);
      world.running.delete(first);
      world.ended.set(first, { status: "failed", finishedAt: noon + 1000 });
      at(1);
      // The firing is due as it is asked for, and nobody has started it, or tried it again, yet.
      if (how === "retried") await scheduler.revived({ id: "minutely", at: noon }, first);
      else take(await scheduler.trigger("minutely", { ...by, token: "T1" }));
      await scheduler.tick();
      expect(world.started).toEqual([first]);
      // Nobody ever did: it holds up nothing for long.
      at(2);
      await scheduler.tick();
      expect(world.started).toEqual([first, slot(2)]);
    });
  });

  it("is over where it has ended since, whether or not that was reported", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler, { overlap: "skip", cron: "*/10 * * * * *" });
      take(await scheduler.trigger("minutely", { ...by, token: "T1" }));
      world.ended.set("minutely:trigger.T1", { status: "completed", finishedAt: Date.now() + 1 });
      at(0);
      await scheduler.tick();
    });
    expect(world.started).toEqual([slot(0)]);
  });

  it("is stopped once it is there, and the firing starts then", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler, { overlap: "cancel-other" });
      const { cancel } = world;
      world.cancel = async (runId, kind) => {
        if (!world.running.has(runId)) throw new HoldfastError("run_not_found", "it is not there yet");
        await cancel.call(world, runId, kind);
      };
      take(await scheduler.trigger("minutely", { ...by, token: "T1" }));
      at(0);
      await scheduler.tick();
      expect([world.started, world.stopped]).toEqual([[], []]);
      world.running.add("minutely:trigger.T1");
      at(0, 2000);
      await scheduler.tick();
    });
    expect([world.started, world.stopped]).toEqual([[slot(0)], ["cancel minutely:trigger.T1"]]);
  });
});

describe("a trigger", () => {
  it("names one run for a key, now, and that run is in the way of firings until it ends", async () => {
    const world = new World();
    await live(world, async (scheduler) => {
      await make(scheduler, { overlap: "skip", input: encode(7, "it") });
      const asked = { ...by, token: "T1", key: "k" };
      const plan = take(await scheduler.trigger("minutely", asked));
      expect(plan).toEqual({ workflow: "report", input: encode(7, "it"), runId: "minutely:trigger.T1", at: noon - 1 });
      world.running.add(plan.runId);
      at(0);
      expect(take(await scheduler.trigger("minutely", asked))).toEqual(plan);
      expect(codeOf(await scheduler.trigger("minutely", { ...asked, reason: "other" }))).toBe("idempotency_conflict");
      await scheduler.tick();
      expect(world.started).toEqual([]);
      world.running.clear();
      at(1);
      await scheduler.tick();
    });
    expect(world.started).toEqual([slot(1)]);
  });
});
