/** Storage that is gone for a while, or takes no alarm: what a run, a lane and the scheduler make of it. */
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { ask } from "../client.ts";
import { deeds } from "../flows/faults.ts";
import { hush, isLong, newKey } from "./campaign.ts";
import {
  ended,
  history,
  listed,
  output,
  pause,
  persist,
  read,
  service,
  signal,
  start,
  until,
  waiting,
} from "./client.ts";
import { lay } from "./injector.ts";
import type { Event } from "./injector.ts";
import { checkRuns } from "./invariant.ts";
import { encode } from "../../../src/core/value/value.ts";

hush();

const outageMs = 1500;

/** From now on, until a while after it first did, the storage of the story's objects fails at what `hits`. */
async function outage(
  key: string,
  hits: (event: Event) => boolean,
  fault: "full" | "broken" = "broken",
): Promise<number> {
  let hit = 0;
  lay(key, (event) => {
    if (!hits(event)) return null;
    hit++;
    return fault;
  });
  await until(`an outage of ${key}`, async () => (hit > 0 ? key : null));
  await pause(outageMs);
  lay(key, () => null);
  return hit;
}

const isAlarm = ({ what }: Event): boolean => what === "alarm";
const isWrite = ({ what }: Event): boolean => what === "write" || what === "alarm" || what === "sync";
const isStorage = (event: Event): boolean => isWrite(event) || event.what === "read";

async function resumes(key: string): Promise<void> {
  await ended(key);
  await checkRuns([key]);
  lay(key, null);
}

describe.concurrent("alarms that are not taken, as under a spending limit", () => {
  it.each(["a sleep", "a timeout"])("do not lose %s: the run wakes by itself (guarantee 4)", async (what) => {
    const key = newKey();
    const over = outage(key, isAlarm);
    await start("fault-sleeping", key, { key, ms: 700, ...(what === "a timeout" && { timeout: 700 }) });
    expect(await over).toBeGreaterThan(0);
    expect(await ended(key)).toMatchObject({ status: "completed" });
    await checkRuns([key]);
    lay(key, null);
  });
});

describe.concurrent("a run whose storage is gone for a while", () => {
  it("resumes by itself when it is no longer full (guarantees 1, 2, 4)", async () => {
    const key = newKey();
    await start("fault-slow", key, { key, ms: 2500 });
    await until("its first step", async () => (deeds.some(({ run }) => run === key) ? key : null));
    expect(await outage(key, isWrite, "full")).toBeGreaterThan(0);
    await resumes(key);
    expect(await output(key)).toBe(deeds.findLast(({ run }) => run === key)?.number);
  });

  // A journal that cannot be opened is looked at again after a minute.
  it.runIf(isLong)(
    "resumes by itself when it can be read again (guarantees 1, 2, 4)",
    { timeout: 150_000 },
    async () => {
      const keys = [newKey(), newKey()];
      await start("fault-slow", keys[0] ?? "", { key: keys[0], ms: 300 });
      await start("fault-sleeping", keys[1] ?? "", { key: keys[1], ms: 500 });
      const hits = await Promise.all(keys.map((key) => outage(key, isStorage)));
      expect(Math.min(...hits)).toBeGreaterThan(0);
      for (const key of keys) await resumes(key);
    },
  );

  it("answers no start and no signal 2xx that was not written, says so, and takes them afterwards (guarantee 1)", async () => {
    const key = newKey();
    const json = { id: key, input: { key } };
    const over = outage(key, isWrite, "full");
    const refused = await ask("POST /v1/workflows/fault-talk/runs", { json, token: "o-token-123" });
    expect(refused).toMatchObject({ status: 507, body: { code: "storage_full" } });
    await over;
    expect((await ask("POST /v1/workflows/fault-talk/runs", { json, token: "o-token-123" })).status).toBe(201);
    await waiting(key, "go");
    const fullAgain = outage(key, isWrite, "full");
    const call = { json: { n: 1 }, token: "o-token-123" };
    expect(await ask(`POST /v1/runs/${key}/signals/go`, call)).toMatchObject({ status: 507 });
    await fullAgain;
    expect((await ask(`POST /v1/runs/${key}/signals/go`, call)).status).toBe(202);
    await signal(key, "go", { n: 2 });
    await ended(key);
    expect(await output(key)).toMatchObject({ first: { n: 1 }, second: { n: 2 } });
    expect((await history(key)).filter(({ kind }) => kind === "signal.received")).toHaveLength(2);
    lay(key, null);
  });
});

describe.concurrent("slow storage", () => {
  it("delays and does not reorder (guarantee 3)", async () => {
    const key = newKey();
    lay(key, ({ what }) => (what === "alarm" || what === "sync" ? "slow" : null));
    await start("fault-talk", key, { key });
    await Promise.all([1, 2].map((n) => signal(key, "go", { n })));
    await ended(key);
    const { first, second } = (await output(key)) as { first: { n: number }; second: { n: number } };
    const received = (await history(key)).flatMap((entry) => (entry.kind === "signal.received" ? [entry.payload] : []));
    expect([first, second].map((heard) => encode(heard, "heard"))).toEqual(received);
    lay(key, null);
  });
});

describe.concurrent("a scheduler whose storage fails", () => {
  it("knows no schedule that it could not keep, and makes it when it is asked again (guarantee 6)", async () => {
    const key = newKey();
    const request = { id: key, workflow: "fault-fired", cron: "0 0 1 1 *", input: encode({ key }, "input") };
    const create = () => service.schedules.create({ ...request, by: "test", reason: null, key });
    lay(key, ({ of }) => (of.startsWith("INSERT INTO plans") ? "full" : null));
    await expect(create()).rejects.toThrow("SQLITE_FULL");
    lay(key, () => null);
    await expect(service.schedules.find(key, 1)).rejects.toMatchObject({ code: "schedule_not_found" });
    expect(await persist("a schedule", create)).toMatchObject({ created: true });
    expect(await service.schedules.find(key, 1)).toMatchObject({ id: key });
    await service.schedules.remove(key, { by: "test", reason: null });
    lay(key, null);
  });
});

describe.concurrent("what stands beside a run, gone for a while", () => {
  it.each(["throws", "hangs"] as const)(
    "holds up no run, and hears of it afterwards: %s",
    async (how) => {
      const key = newKey();
      const lane = `concurrency:fault-single:${key}`;
      let met = 0;
      lay(key, ({ kind, what }) => {
        if (what !== "call" || kind === "run") return null;
        met++;
        return how === "throws" ? "unsent" : "hangs";
      });
      const one = `${key}.one`;
      await start("fault-steps", one, { key });
      await start("fault-single", `${key}.two`, { key });
      // The steps go on without the directory; a lane that cannot be asked lets nobody in.
      await until("its steps", async () => (deeds.filter(({ run }) => run === one).length >= 4 ? key : null));
      await pause(outageMs);
      expect(met).toBeGreaterThan(1);
      expect(deeds.some(({ run }) => run === `${key}.two`)).toBe(false);
      expect(await listed(one)).toBeNull();
      lay(key, () => null);
      // It asks its lane again after a minute, or when somebody looks at it.
      await read(`${key}.two`);
      for (const id of [one, `${key}.two`]) await ended(id);
      await checkRuns([one, `${key}.two`]);
      const use = async () => ((await service.lanes.find(lane, 20)).used === 0 ? key : null);
      await until("its slot", use);
      lay(key, null);
    },
    60_000,
  );

  it("is there again for firings that were due meanwhile, each once (guarantee 6)", async () => {
    const key = newKey();
    const asked = { by: "test", reason: null };
    const request = { ...asked, id: key, workflow: "fault-fired", cron: "* * * * * *", overlap: "allow-all" as const };
    await service.schedules.create({ ...request, input: encode({ key }, "input"), key });
    const stub = env.SCHEDULER.getByName("scheduler");
    expect(stub).toBeDefined();
    // Every start is refused by a network that is gone.
    const refused = new Set<string>();
    lay(key, ({ object, kind, what, of }) => {
      if (kind !== "run" || what !== "call" || of !== "start") return null;
      refused.add(object);
      return "unsent";
    });
    await until("two firings that are refused", async () => (refused.size >= 2 ? key : null));
    lay(key, () => null);
    const fired = async () => {
      const { runs } = await service.runs.list({ workflow: "fault-fired", idPrefix: key, limit: 100 });
      return runs.map(({ id, schedule }) => ({ id, at: schedule?.at ?? 0 }));
    };
    // None of them is lost, and others follow, once the list, which may be late by a moment, has them.
    const runs = await until("all that were refused, and more", async () => {
      const seen = await fired();
      const ids = new Set(seen.map(({ id }) => id));
      return ids.size > refused.size && [...refused].every((id) => ids.has(id)) ? seen : null;
    });
    expect(new Set(runs.map(({ at }) => at)).size).toBe(runs.length);
    await service.schedules.remove(key, asked);
    lay(key, null);
  });
});
