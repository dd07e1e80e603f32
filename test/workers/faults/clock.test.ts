/** Clocks that jump, and alarms that come early, late, twice or never. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { encode } from "../../../src/core/value/value.ts";
import { deeds } from "../flows/faults.ts";
import { hush, newKey } from "./campaign.ts";
import { ended, history, listed, output, pause, read, service, signal, start, until, waiting } from "./client.ts";
import { lay } from "./injector.ts";
import { checkRuns } from "./invariant.ts";
import { jump } from "./leap.ts";
import { alarmOf, evict, forget } from "../storage.ts";

hush();

const day = 86_400;
const runOf = (id: string) => env.RUNS.getByName(id);
let ahead = 0;

/** Remembered, so that every test ends where it began. */
async function leap(seconds: number, ...ids: readonly string[]): Promise<void> {
  ahead += seconds;
  await jump(seconds, [...ids.map(runOf), env.SCHEDULER.getByName("scheduler")]);
}

afterEach(async () => {
  if (ahead !== 0) await leap(-ahead);
});

async function isParked(key: string): Promise<void> {
  await until(`${key} asleep`, async () => ((await listed(key))?.status === "waiting" ? key : null));
}

/** How often the run did that. */
const times = (run: string, step: string): number =>
  deeds.filter((deed) => deed.run === run && deed.step === step).length;

/** A sleep that ends when the clock is set: no machine is so slow that it ends before. */
const sleepSeconds = 3600;
const sleepMs = sleepSeconds * 1000;

describe("a clock that jumps forward", () => {
  it.each([false, true])("wakes a sleep of days once, also between two lives (%s) (guarantee 4)", async (evicted) => {
    const key = newKey();
    await start("fault-sleeping", key, { key, ms: 3 * day * 1000 });
    await isParked(key);
    if (evicted) await evict(key);
    const dueAt = await alarmOf(key);
    await leap(2 * day, key);
    await pause(100);
    expect(times(key, "awake")).toBe(0);
    expect(await alarmOf(key)).toBe(dueAt);
    await leap(day + 60, key);
    await ended(key);
    expect(await output(key)).toEqual([expect.any(Number), deeds.findLast(({ run }) => run === key)?.number]);
    expect([times(key, "asleep"), times(key, "awake")]).toEqual([1, 1]);
    await checkRuns([key]);
  });
});

describe("a clock that is set back", () => {
  it.each([false, true])(
    "neither loses a deadline nor brings it forward, between two lives: %s (guarantee 4)",
    async (evicted) => {
      const key = newKey();
      await start("fault-sleeping", key, { key, ms: sleepMs });
      await isParked(key);
      const dueAt = await alarmOf(key);
      await leap(-day, key);
      if (evicted) await evict(key);
      // The machine's own clock was not set back.
      await runDurableObjectAlarm(runOf(key));
      expect(times(key, "awake")).toBe(0);
      expect(await alarmOf(key)).toBe(dueAt);
      await leap(day + sleepSeconds, key);
      await ended(key);
      await checkRuns([key]);
    },
  );

  it("never takes the history back, nor the order of signals (guarantees 3 and 5)", async () => {
    const key = newKey();
    await start("fault-talk", key, { key });
    await waiting(key, "go");
    await leap(-3600, key);
    await signal(key, "go", { n: 1 });
    await until("its step", async () => (times(key, "between") > 0 ? key : null));
    await leap(-3600, key);
    await forget(key);
    await signal(key, "go", { n: 2 });
    await ended(key);
    expect(await output(key)).toMatchObject({ first: { n: 1 }, second: { n: 2 } });
    await checkRuns([key]);
  });
});

describe("a schedule whose clock jumps both ways", () => {
  it("starts each firing once, and of those it missed what its rule says (guarantee 6)", async () => {
    const key = newKey();
    const asked = { by: "test", reason: null };
    // Half an hour from now: no leap of whole hours comes near a firing.
    const cron = `${(new Date().getUTCMinutes() + 30) % 60} * * * *`;
    const request = { ...asked, id: key, workflow: "fault-fired", cron, overlap: "allow-all" as const };
    await service.schedules.create({ ...request, catchUp: "2 hours", input: encode({ key }, "input"), key });
    const slots = async () => {
      const { runs } = await service.runs.list({ workflow: "fault-fired", idPrefix: key, limit: 100 });
      return runs.map((run) => run.schedule?.at ?? 0).toSorted((one, other) => one - other);
    };
    let rings = 0;
    lay("scheduler", ({ what }) => {
      if (what === "ring") rings++;
      return null;
    });
    // Six hours on: the latest of the last two hours, and no other.
    await leap(6 * 3600);
    await until("a firing", async () => ((await slots()).length > 0 ? key : null));
    await pause(200);
    const first = await slots();
    expect(first.length).toBeLessThanOrEqual(2);
    expect(Math.min(...first)).toBeGreaterThanOrEqual(Date.now() - 3 * 3600_000);
    // Three hours back and on again: what was decided stays decided.
    await leap(-3 * 3600);
    await service.schedules.tick();
    await pause(200);
    expect(await slots()).toEqual(first);
    await leap(3 * 3600);
    await service.schedules.tick();
    await pause(200);
    const again = await slots();
    expect(new Set(again).size).toBe(again.length);
    expect(again.slice(0, first.length)).toEqual(first);
    // And an hour later comes the next, one.
    await leap(3600);
    await until("the next", async () => ((await slots()).length > again.length ? key : null));
    expect((await slots()).length).toBe(again.length + 1);
    // No alarm that rings on and on.
    expect(rings).toBeLessThan(20);
    lay("scheduler", null);
    await service.schedules.remove(key, asked);
  });
});

describe("an alarm", () => {
  it.each([
    { what: "early", info: { isRetry: false, retryCount: 0, ahead: 0 } },
    { what: "from before the work was done", info: { isRetry: false, retryCount: 0, ahead: -day * 1000 } },
    { what: "with a time to come", info: { isRetry: false, retryCount: 0, ahead: 500 } },
    { what: "again and again", info: { isRetry: true, retryCount: 3, ahead: 0 } },
  ])("that comes $what fires no deadline before its time, and loses none (guarantee 4)", async ({ info }) => {
    const key = newKey();
    await start("fault-sleeping", key, { key, ms: sleepMs });
    await isParked(key);
    const dueAt = (await alarmOf(key)) ?? Infinity;
    const scheduledTime = Date.now() + info.ahead;
    const ring = () =>
      runInDurableObject(runOf(key), async (object) => {
        const { isRetry, retryCount } = info;
        await (object as unknown as { alarm(given: AlarmInvocationInfo): Promise<void> }).alarm({
          isRetry,
          retryCount,
          scheduledTime,
        });
      });
    await Promise.all([ring(), ring()]);
    await ring();
    expect(times(key, "awake")).toBe(0);
    await leap(sleepSeconds, key);
    await ended(key);
    const awake = deeds.find(({ run, step }) => run === key && step === "awake");
    expect(awake?.at).toBeGreaterThanOrEqual(dueAt - 20);
    expect([times(key, "asleep"), times(key, "awake")]).toEqual([1, 1]);
    // After the end as well.
    const { length } = await history(key);
    await Promise.all([ring(), ring()]);
    expect(await history(key)).toHaveLength(length);
    await checkRuns([key]);
  });

  it("that never comes is made good by whoever looks at the run afterwards (guarantee 4)", async () => {
    const key = newKey();
    await start("fault-sleeping", key, { key, ms: sleepMs });
    await isParked(key);
    await runInDurableObject(runOf(key), (_object, { storage }) => storage.deleteAlarm());
    await leap(sleepSeconds, key);
    await forget(key);
    expect(times(key, "awake")).toBe(0);
    await read(key);
    await ended(key);
    await checkRuns([key]);
  });
});
