/** Schedules in the code: when they fire, what overlaps, and the alarm. */
import { describe, expect, it, vi } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import { firingRunId } from "../../src/core/schedule/schedule.ts";
import { unwrap } from "../../src/objects/answer.ts";
import { settings } from "./settings.ts";
import { at, live, minuteMs, never, noon, ruleOf, slot, tickAt, useScheduler, World } from "./world.ts";

useScheduler();

describe("guarantee 6: a firing starts one run", () => {
  it("at its time, named by schedule and slot, however often it is looked at", async () => {
    const world = new World(ruleOf());
    await live(world, async (scheduler) => {
      await scheduler.tick();
      expect(world.started).toEqual([]);
      at(0);
      for (const look of [scheduler.alarm(), scheduler.tick(), scheduler.tick(), scheduler.alarm()]) await look;
      at(0, 59_999);
      await scheduler.tick();
    });
    expect(world.started).toEqual([slot(0)]);
    expect(world.asked[0]).toMatchObject({ workflow: "report", schedule: { id: "minutely", at: noon } });
  });

  it("when ticks run side by side while the start takes its time", async () => {
    const world = new World(ruleOf());
    let go = (): void => undefined;
    world.before = () => new Promise((resolve) => (go = resolve));
    await live(world, async (scheduler) => {
      await scheduler.tick();
      at(0);
      const looks = [scheduler.tick(), scheduler.alarm(), scheduler.tick()];
      await expect.poll(() => world.asked).toHaveLength(1);
      go();
      await Promise.all(looks);
    });
    expect(world.started).toEqual([slot(0)]);
  });

  it("when the process dies between the start and its acknowledgement", async () => {
    const world = new World(ruleOf({ overlap: "skip" }));
    world.after = never;
    await live(world, async (scheduler) => {
      await scheduler.tick();
      at(0);
      void scheduler.alarm();
      await expect.poll(() => world.running.has(slot(0))).toBe(true);
    });
    world.after = () => undefined;
    await live(world, async (scheduler, ctx) => {
      // The same slot, a second later at most, under the same id.
      const alarmAt = (await ctx.storage.getAlarm()) ?? 0;
      expect(alarmAt - Date.now()).toBeLessThanOrEqual(1_000);
      vi.setSystemTime(alarmAt);
      await scheduler.alarm();
      await scheduler.tick();
    });
    expect(world.started).toEqual([slot(0), slot(0)]);
    expect(world.running.size).toBe(1);
  });

  it("the latest one that was missed, and none from before it was first seen", async () => {
    const world = new World(ruleOf());
    await live(world, (scheduler) => scheduler.tick());
    at(10, 5_000);
    const later = ruleOf({ id: "later" });
    world.rules = [...world.rules, later];
    await live(world, (scheduler) => scheduler.tick());
    expect(world.started).toEqual([slot(10)]);
    at(11);
    await live(world, (scheduler) => scheduler.alarm());
    expect(world.started).toEqual([slot(10), slot(11), firingRunId("later", noon + 11 * minuteMs)]);
  });

  it("none beyond catch-up", async () => {
    const world = new World(ruleOf({ cron: "0 12 * * *", catchUpMs: minuteMs }));
    await live(world, (scheduler) => scheduler.tick());
    at(1, 1);
    await live(world, (scheduler) => scheduler.tick());
    expect(world.started).toEqual([]);
  });

  it("none twice after the clock was set back", async () => {
    const world = new World(ruleOf());
    await live(world, async (scheduler) => {
      for (const minute of [0, 1, 0, 1, 2]) {
        await scheduler.tick();
        at(minute);
        await scheduler.tick();
      }
    });
    expect(world.started).toEqual([slot(0), slot(1), slot(2)]);
  });

  it("one that is owed also after the clock was set back, and not only once it is where it was", async () => {
    const world = new World(ruleOf());
    world.before = () => Promise.reject(new Error("connection lost"));
    await live(world, async (scheduler) => {
      await scheduler.tick();
      await tickAt(scheduler, [0]);
      world.before = () => undefined;
      await tickAt(scheduler, [-60]);
    });
    expect(world.started).toEqual([slot(0), slot(0)]);
    expect([...world.runs]).toEqual([slot(0)]);
  });

  it("none twice after the rule was out of the code for a while", async () => {
    const world = new World(ruleOf());
    await live(world, (scheduler) => scheduler.tick());
    at(0);
    await live(world, (scheduler) => scheduler.tick());
    const { rules } = world;
    world.rules = [];
    await live(world, async (scheduler) => {
      await scheduler.tick();
      expect(await scheduler.list()).toEqual({ ok: true, value: [] });
    });
    world.rules = rules;
    await live(world, (scheduler) => scheduler.tick());
    expect(world.started).toEqual([slot(0)]);
  });

  it("none beside a run that was started as its process died, right before the rule left the code for a while", async () => {
    const world = new World(ruleOf({ overlap: "skip" }));
    await live(world, (scheduler) => scheduler.tick());
    at(0);
    world.after = never;
    await live(world, async (scheduler) => {
      void scheduler.tick();
      await expect.poll(() => [...world.running]).toEqual([slot(0)]);
    });
    world.after = () => Promise.resolve();
    const { rules } = world;
    world.rules = [];
    await live(world, (scheduler) => scheduler.tick());
    world.rules = rules;
    await live(world, (scheduler) => scheduler.tick());
    at(1);
    await live(world, (scheduler) => scheduler.tick());
    expect([...world.runs]).toEqual([slot(0)]);
    world.running.clear();
    at(2);
    await live(world, (scheduler) => scheduler.tick());
    expect([...world.runs]).toEqual([slot(0), slot(2)]);
  });

  it("with its jitter as a delayed start of the nominal slot", async () => {
    const world = new World(ruleOf({ jitterMs: 30_000 }));
    await live(world, async (scheduler) => {
      await scheduler.tick();
      at(0);
      await scheduler.tick();
    });
    const startAt = world.asked[0]?.startAt ?? 0;
    expect(startAt).toBeGreaterThan(noon);
    expect(startAt).toBeLessThanOrEqual(noon + 30_000);
  });
});

describe("starts that fail", () => {
  it.each([
    new Error("connection lost"),
    ...(["rate_limited", "config_invalid", "key_missing", "journal_newer"] as const).map(
      (code) => new HoldfastError(code, "not now"),
    ),
  ])("are made again by the alarm when the reason may pass: %s", async (reason) => {
    const world = new World(ruleOf());
    world.before = () => Promise.reject(reason);
    await live(world, async (scheduler, ctx) => {
      await scheduler.tick();
      at(0);
      await scheduler.alarm();
      expect(await ctx.storage.getAlarm()).toBe(noon + 1_000);
      world.before = () => undefined;
      at(0, 1_000);
      await scheduler.alarm();
      expect(await ctx.storage.getAlarm()).toBe(noon + minuteMs);
    });
    expect(world.started).toEqual([slot(0), slot(0)]);
  });

  it("are not made again when they were refused, and the next firing comes", async () => {
    const world = new World(ruleOf({ overlap: "skip" }));
    world.before = () => Promise.reject(new HoldfastError("input_invalid", "no"));
    await live(world, async (scheduler, ctx) => {
      await scheduler.tick();
      for (const minute of [0, 1]) {
        at(minute);
        await scheduler.alarm();
        expect(await ctx.storage.getAlarm()).toBe(noon + (minute + 1) * minuteMs);
      }
      const { state } = ctx.storage.sql.exec<{ state: string }>("SELECT state FROM schedules").one();
      const message = "input_invalid: no";
      expect(JSON.parse(state)).toMatchObject({ lastError: { slotAt: noon + minuteMs, message }, starting: [] });
    });
    expect(world.started).toEqual([slot(0), slot(1)]);
  });

  it("hold up no other schedule", async () => {
    const world = new World(ruleOf({ id: "stuck" }), ruleOf());
    world.before = ({ schedule }) => (schedule.id === "stuck" ? never() : undefined);
    await live(world, async (scheduler) => {
      await scheduler.tick();
      at(0);
      void scheduler.tick();
      await expect.poll(() => world.running.has(slot(0))).toBe(true);
      at(1);
      void scheduler.tick();
      await expect.poll(() => world.running.has(slot(1))).toBe(true);
    });
  });
});

describe("the alarm", () => {
  it("is set to the next firing of all, later than now and than the one that fires", async () => {
    const world = new World(ruleOf({ id: "hourly", cron: "0 * * * *" }), ruleOf({ cron: "*/10 * * * *" }));
    await live(world, async (scheduler, ctx) => {
      await scheduler.tick();
      expect(await ctx.storage.getAlarm()).toBe(noon);
      // Fired a moment early: armed again, for later than the instant it was set to.
      await scheduler.alarm({ isRetry: false, retryCount: 0, scheduledTime: noon });
      expect(await ctx.storage.getAlarm()).toBe(noon + 1);
      at(0);
      await scheduler.alarm({ isRetry: false, retryCount: 0, scheduledTime: noon });
      expect(await ctx.storage.getAlarm()).toBe(noon + 10 * minuteMs);
    });
  });

  it("that was lost is set again by a tick", async () => {
    await live(new World(ruleOf()), async (scheduler, ctx) => {
      await scheduler.tick();
      await ctx.storage.deleteAlarm();
      await scheduler.tick();
      expect(await ctx.storage.getAlarm()).toBe(noon);
    });
  });

  it("is set again within a minute where the storage failed as it came", async () => {
    const kept = ruleOf({ id: "hourly", cron: "0 * * * *" });
    await live(new World(kept, ruleOf()), (scheduler) => scheduler.tick());
    // What is known of a schedule that is gone from the code cannot be written.
    await live(new World(kept), async (scheduler, ctx) => {
      const exec = ctx.storage.sql.exec.bind(ctx.storage.sql);
      ctx.storage.sql.exec = (query, ...bindings) => {
        if (query.startsWith("INSERT")) throw new Error("disk I/O error: SQLITE_IOERR");
        return exec(query, ...bindings);
      };
      await ctx.storage.deleteAlarm();
      await scheduler.alarm({ isRetry: false, retryCount: 0, scheduledTime: noon - 1 });
      ctx.storage.sql.exec = exec;
      expect(await ctx.storage.getAlarm()).toBe(noon - 1 + minuteMs);
    });
  });

  it("is set to a minute later where what becomes of a firing cannot be written", async () => {
    await live(new World(ruleOf({ cron: "*/10 * * * *" })), async (scheduler, ctx) => {
      await scheduler.tick();
      const exec = ctx.storage.sql.exec.bind(ctx.storage.sql);
      ctx.storage.sql.exec = (query, ...bindings) => {
        if (query.startsWith("INSERT")) throw new Error("disk I/O error: SQLITE_IOERR");
        return exec(query, ...bindings);
      };
      at(0);
      await scheduler.alarm({ isRetry: false, retryCount: 0, scheduledTime: noon });
      ctx.storage.sql.exec = exec;
      expect(await ctx.storage.getAlarm()).toBe(noon + minuteMs);
    });
  });

  it("is set again to a minute later while the encryption keys are malformed, and fires once they are mended", async () => {
    const world = new World(ruleOf({ cron: "*/10 * * * *" }));
    const key = `k1:${btoa("k".repeat(32))}`;
    settings["ENCRYPTION_KEYS"] = key;
    await live(world, (scheduler) => scheduler.tick());
    settings["ENCRYPTION_KEYS"] = "no key at all";
    await live(world, async (scheduler, ctx) => {
      for (const [minute, look] of [() => scheduler.alarm(), () => scheduler.tick()].entries()) {
        at(minute);
        await ctx.storage.deleteAlarm();
        await look();
        expect(await ctx.storage.getAlarm()).toBe(noon + (minute + 1) * minuteMs);
      }
      expect(world.asked).toEqual([]);
      settings["ENCRYPTION_KEYS"] = key;
      await scheduler.alarm();
    });
    expect(world.started).toEqual([slot(0)]);
  });

  it("is for every schedule, also in a life that begins with the end of one's run", async () => {
    const hourly = ruleOf({ id: "hourly", cron: "0 * * * *", overlap: "buffer-one" });
    const world = new World(hourly, ruleOf({ cron: "*/10 * * * *" }));
    await live(world, async (scheduler) => {
      await scheduler.tick();
      await tickAt(scheduler, [0, 60]);
    });
    await live(world, async (scheduler, ctx) => {
      world.running.clear();
      await scheduler.ended({ id: "hourly", at: noon }, firingRunId("hourly", noon));
      await expect.poll(() => world.running).toContain(firingRunId("hourly", noon + 60 * minuteMs));
      await expect.poll(() => ctx.storage.getAlarm()).toBe(noon + 70 * minuteMs);
    });
  });

  it("is set within a month for a schedule that is years away", async () => {
    const world = new World(ruleOf({ cron: "0 0 29 2 *" }));
    await live(world, async (scheduler, ctx) => {
      await scheduler.tick();
      expect(await ctx.storage.getAlarm()).toBe(noon - 1 + 30 * 86_400_000);
    });
  });
});

describe("overlap", () => {
  it("skip drops firings until the run has ended, whether or not its end was reported", async () => {
    const world = new World(ruleOf({ overlap: "skip" }));
    await live(world, async (scheduler) => {
      await scheduler.tick();
      await tickAt(scheduler, [0, 1, 2]);
      expect(world.started).toEqual([slot(0)]);
      world.running.clear();
      at(3);
      await scheduler.tick();
    });
    expect(world.started).toEqual([slot(0), slot(3)]);
  });

  it("buffer-all starts what waits one by one, at once when a run reports its end", async () => {
    const world = new World(ruleOf({ overlap: "buffer-all" }));
    await live(world, async (scheduler) => {
      await scheduler.tick();
      await tickAt(scheduler, [0, 1, 2]);
      expect(world.started).toEqual([slot(0)]);
      for (const minute of [0, 1, 2]) {
        world.running.delete(slot(minute));
        await scheduler.ended({ id: "minutely", at: noon }, slot(minute));
        await scheduler.tick();
      }
    });
    expect(world.started).toEqual([slot(0), slot(1), slot(2)]);
  });

  it("buffer-one starts what waits by the alarm, when the report was lost", async () => {
    const world = new World(ruleOf({ cron: "0,1,2 12 * * *", overlap: "buffer-one" }));
    await live(world, async (scheduler, ctx) => {
      await scheduler.tick();
      await tickAt(scheduler, [0, 1, 2]);
      world.running.clear();
      const alarmAt = (await ctx.storage.getAlarm()) ?? 0;
      expect(alarmAt).toBeGreaterThan(noon + 2 * minuteMs);
      expect(alarmAt).toBeLessThanOrEqual(noon + 7 * minuteMs);
      vi.setSystemTime(alarmAt);
      await scheduler.alarm();
    });
    expect(world.started).toEqual([slot(0), slot(1)]);
  });

  it.each(["cancel", "terminate"] as const)(
    "%s-other stops the run before, which may report while it is stopped",
    async (kind) => {
      const world = new World(ruleOf({ overlap: `${kind}-other` }));
      await live(world, async (scheduler) => {
        world.stopping = async (runId) => {
          world.running.delete(runId);
          await scheduler.ended({ id: "minutely", at: noon }, runId);
        };
        await scheduler.tick();
        await tickAt(scheduler, [0, 1]);
      });
      expect(world.stopped).toEqual([`${kind} ${slot(0)}`]);
      expect(world.started).toEqual([slot(0), slot(1)]);
    },
  );

  it("cancel-other waits for a run that takes time to be cancelled, and starts the newest", async () => {
    const world = new World(ruleOf({ overlap: "cancel-other" }));
    world.stopping = () => undefined;
    await live(world, async (scheduler) => {
      await scheduler.tick();
      await tickAt(scheduler, [0, 1, 2]);
      expect(world.started).toEqual([slot(0)]);
      world.running.clear();
      await scheduler.ended({ id: "minutely", at: noon }, slot(0));
      await scheduler.tick();
    });
    expect(world.started).toEqual([slot(0), slot(2)]);
  });

  it("a run that cannot be asked is taken to go on", async () => {
    const world = new World(ruleOf({ overlap: "skip" }));
    world.look = () => Promise.reject(new Error("connection lost"));
    await live(world, async (scheduler) => {
      await scheduler.tick();
      await tickAt(scheduler, [0, 1]);
    });
    expect(world.started).toEqual([slot(0)]);
  });
});

it("lists the schedules in the code with their next five firings", async () => {
  const world = new World(ruleOf({ id: "nightly", cron: "30 2 * * *", timezone: "Europe/Berlin" }));
  await live(world, async (scheduler) => {
    const [info, ...rest] = unwrap(await scheduler.list());
    expect(rest).toEqual([]);
    expect(info).toMatchObject({
      id: "nightly",
      workflow: "report",
      timezone: "Europe/Berlin",
      paused: null,
      source: "code",
    });
    const first = Date.UTC(2099, 0, 2, 1, 30);
    expect(info?.next).toEqual([0, 1, 2, 3, 4].map((days) => first + days * 86_400_000));
  });
});
