/** Runs that share lanes, end to end: run objects and lane objects, and processes that end at any moment. */
import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { ask, historyOf, newId, runThatIs, start } from "./client.ts";
import type { RunJson } from "./client.ts";
import { begun, bury, isAtWork, mostAtWork, orderOf, release } from "./flows/gated.ts";
import { pause } from "./driver.ts";
import { alarmOf, evict } from "./storage.ts";

const ended = { timeout: 60_000, interval: 50 };

/** Starts so many runs with this input, in order. */
async function startAll(workflow: string, count: number, input: object): Promise<string[]> {
  const ids = Array.from({ length: count }, () => newId(workflow));
  for (let first = 0; first < count; first += 25) {
    await Promise.all(ids.slice(first, first + 25).map((id) => begin(workflow, id, input)));
  }
  return ids;
}

/** A start that dies unanswered is made again. */
async function begin(workflow: string, id: string, input: object): Promise<void> {
  await vi.waitFor(async () => {
    const { status } = await ask(`POST /v1/workflows/${workflow}/runs`, { json: { id, input } });
    expect([200, 201]).toContain(status);
  }, ended);
}

async function statusOf(id: string): Promise<string> {
  return String((await ask(`GET /v1/runs/${id}`)).body["status"]);
}

/** Waits for each of them, one after the other, so that asking does not slow them down. */
async function allCompleted(ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    await vi.waitFor(async () => {
      const { body } = await ask(`GET /v1/runs/${id}?wait=60s`);
      expect(body).toMatchObject({ id, status: "completed" });
    }, ended);
  }
}

async function laneOf(name: string): Promise<Record<string, unknown>> {
  return (await ask(`GET /v1/lanes/${encodeURIComponent(name)}`)).body;
}

async function signal(id: string, name: string): Promise<void> {
  expect((await ask(`POST /v1/runs/${id}/signals/${name}`, { json: {} })).status).toBe(202);
}

/** Ends the process of the run. */
async function kill(run: string): Promise<void> {
  const abort = (_object: DurableObject, ctx: DurableObjectState): void => {
    bury((id) => id === run);
    ctx.abort("killed by the test");
  };
  await runInDurableObject(env.RUNS.getByName(run), abort).catch(() => {});
}

/** A run that is at work under this key until it is released, or stopped. */
async function blocker(key: string): Promise<RunJson> {
  const run = await start("gated-one", { input: { key, ms: null } });
  await expect.poll(() => isAtWork(key, run.id)).toBe(true);
  return run;
}

describe("a limit on runs", () => {
  it(
    "guarantee 4: is kept by 200 runs whose processes end all the time, and all finish",
    { timeout: 900_000 },
    async () => {
      const key = newId("storm");
      const starting = startAll("gated-ten", 200, { key, ms: 20 });
      let over = false;
      const storm = (async () => {
        for (let times = 0; times < 6 && !over; times++) {
          await pause(300);
          await abortAllDurableObjects();
          bury(() => true);
          for (const run of orderOf(key).slice(-12)) {
            await pause(20);
            await kill(run);
          }
        }
      })();
      const ids = await starting;
      await storm;
      await allCompleted(ids);
      over = true;
      expect(mostAtWork(key)).toBeLessThanOrEqual(10);
      expect(mostAtWork(key)).toBeGreaterThan(3);
      const lane = await laneOf(`concurrency:gated-ten:${key}`);
      expect(lane).toMatchObject({ limit: 10, waiting: 0 });
    },
  );

  it("holds what is beyond it, and tells where it stands, in memory and out of it", async () => {
    const key = newId("held");
    const lane = `concurrency:gated-one:${key}`;
    const holder = await blocker(key);
    const [first, second] = [newId("gated-one"), newId("gated-one")];
    for (const id of [first, second]) {
      await begin("gated-one", id, { key });
      await runThatIs(id, { status: "queued", waitingFor: [{ kind: "lane", name: lane }] });
    }
    const place = { kind: "lane", name: lane, position: 2, used: 1, limit: 1 };
    await runThatIs(second, { status: "queued", waitingFor: [place] });
    // It asks again by itself, should the grant be lost; before that it is watched until it is listed.
    const alarmIn = async () => ((await alarmOf(second)) ?? 0) - Date.now();
    await expect.poll(alarmIn).toBeGreaterThan(50_000);
    expect(await alarmIn()).toBeLessThanOrEqual(60_000);
    await evict(second);
    await runThatIs(second, {
      status: "queued",
      waitingFor: [place],
      reason: `2nd in lane ${lane}, 1 of 1 slots in use`,
    });
    await ask(`POST /v1/runs/${holder.id}/terminate`);
    await allCompleted([first, second]);
    const kinds = (await historyOf(second)).map(({ kind }) => kind);
    expect(kinds).toEqual([
      "run.created",
      "lane.queued",
      "lane.entered",
      "run.started",
      "step.completed",
      "run.completed",
    ]);
    expect(orderOf(key).slice(1)).toEqual([first, second]);
  });

  it("lets the higher priority in first", async () => {
    const key = newId("priority");
    const holder = await blocker(key);
    const ids: Record<string, string> = {};
    for (const [name, priority] of Object.entries({ low: -1, high: 5, mid: 2 })) {
      ids[name] = newId("gated-one");
      await begin("gated-one", ids[name], { key, priority });
      await runThatIs(ids[name], { status: "queued" });
    }
    await ask(`POST /v1/runs/${holder.id}/terminate`);
    await allCompleted(Object.values(ids));
    expect(orderOf(key).slice(1)).toEqual([ids["high"], ids["mid"], ids["low"]]);
  });

  it("of one key holds up no other", async () => {
    const key = newId("busy");
    const holder = await blocker(key);
    const held = await start("gated-one", { input: { key } });
    const free = await start("gated-one", { input: { key: newId("free") } }, "?wait=60s");
    expect([free.status, await statusOf(held.id)]).toEqual(["completed", "queued"]);
    await ask(`POST /v1/runs/${holder.id}/terminate`);
  });

  it("can be changed at run time: what waits gets in at once", async () => {
    const key = newId("raised");
    const lane = `concurrency:gated-one:${key}`;
    const first = await blocker(key);
    const held = await startAll("gated-one", 3, { key });
    await runThatIs(held[2] ?? "", { status: "queued" });
    const raised = await ask(`PATCH /v1/lanes/${encodeURIComponent(lane)}`, { json: { limit: 2 } });
    expect([raised.status, raised.body]).toMatchObject([200, { limit: 2, override: 2 }]);
    await allCompleted(held);
    expect(await statusOf(first.id)).toBe("running");
    await ask(`POST /v1/runs/${first.id}/terminate`);
  });

  it("is kept by workflows that share it, each with its own beside it", async () => {
    const ids = await Promise.all(["gated-left", "gated-right"].map((workflow) => startAll(workflow, 25, {})));
    await allCompleted(ids.flat());
    expect(mostAtWork("gated-post")).toBeLessThanOrEqual(3);
    expect(mostAtWork("gated-left")).toBeLessThanOrEqual(2);
    expect(mostAtWork("gated-right")).toBeLessThanOrEqual(3);
  });
});

describe("a slot", () => {
  it.for(["cancel", "terminate"])("of a run that is stopped is free at once: %s", async (action) => {
    const key = newId(action);
    const run = await blocker(key);
    const next = await start("gated-one", { input: { key } });
    await runThatIs(next.id, { status: "queued" });
    expect((await ask(`POST /v1/runs/${run.id}/${action}`)).status).toBe(200);
    await runThatIs(next.id, { status: "completed" });
  });

  it("of a run that has ended and was deleted is free", async () => {
    const key = newId("deleted");
    const run = await start("gated-one", { input: { key } }, "?wait=60s");
    expect((await ask(`DELETE /v1/runs/${run.id}`)).status).toBe(204);
    const again = await start("gated-one", { id: run.id, input: { key } }, "?wait=60s");
    expect(again.status).toBe("completed");
  });

  it("is left in line no longer by a run that is cancelled there", async () => {
    const key = newId("line");
    const lane = `concurrency:gated-one:${key}`;
    const first = await blocker(key);
    const held = await start("gated-one", { input: { key } });
    await runThatIs(held.id, { status: "queued" });
    await evict(held.id);
    await ask(`POST /v1/runs/${held.id}/cancel`);
    await expect.poll(() => laneOf(lane)).toMatchObject({ waiting: 0, used: 1 });
    await ask(`POST /v1/runs/${first.id}/terminate`);
    await expect.poll(() => laneOf(lane)).toMatchObject({ waiting: 0, used: 0 });
  });

  it("of a process that ends is taken up again by its own run", async () => {
    const key = newId("killed");
    const run = await blocker(key);
    const next = await start("gated-one", { input: { key } });
    await runThatIs(next.id, { status: "queued" });
    await kill(run.id);
    release(run.id);
    await allCompleted([run.id, next.id]);
    expect([mostAtWork(key), orderOf(key)]).toEqual([1, [run.id, next.id]]);
  });

  it.for([false, true])("is given back by a run that parks, and asked for again; evicted: %s", async (evicted) => {
    const key = newId("parked");
    const parked = await start("gated-parking", { input: { key } });
    await runThatIs(parked.id, { status: "waiting" });
    const other = await start("gated-parking", { input: { key, ms: null } });
    await runThatIs(other.id, { status: "waiting" });
    await signal(other.id, "go");
    await expect.poll(() => isAtWork(key, other.id)).toBe(true);
    if (evicted) await evict(parked.id);
    await signal(parked.id, "go");
    await runThatIs(parked.id, { status: "queued", waitingFor: [{ kind: "lane" }, { kind: "signal" }] });
    release(other.id);
    await allCompleted([other.id, parked.id]);
    expect(mostAtWork(key)).toBe(1);
  });

  it("is kept by a run that parks and holds it, also out of memory", async () => {
    const key = newId("holding");
    const holder = await start("gated-holding", { input: { key } });
    await runThatIs(holder.id, { status: "waiting" });
    await evict(holder.id);
    const next = await start("gated-holding", { input: { key } });
    await runThatIs(next.id, { status: "queued" });
    await signal(holder.id, "go");
    await runThatIs(next.id, { status: "waiting" });
    await signal(next.id, "go");
    await allCompleted([holder.id, next.id]);
    expect(begun.filter(({ limit }) => limit === key).map(({ run }) => run)).toEqual([
      holder.id,
      holder.id,
      next.id,
      next.id,
    ]);
  });
});

describe("other limits", () => {
  it("a throttle lets so many begin in any span of its period", async () => {
    const key = newId("throttle");
    const fromAt = Date.now();
    const ids = await startAll("gated-throttled", 6, { key });
    await allCompleted(ids);
    const runs = await Promise.all(ids.map(async (id) => (await ask(`GET /v1/runs/${id}`)).body));
    const startedAt = runs.map((run) => Date.parse(String(run["startedAt"]))).sort((one, other) => one - other);
    // How long a run takes to begin once it has its slot depends on what else goes on: none is early, any may be late.
    for (const [index, at] of startedAt.entries()) {
      expect(at - fromAt).toBeGreaterThanOrEqual(Math.floor(index / 2) * 1000);
    }
  });

  it("a singleton that queues lets one run after the other go from its start to its end", async () => {
    const key = newId("queue");
    const ids: string[] = [];
    for (let count = 0; count < 5; count++) {
      const { id } = await start("gated-queue", { input: { key } });
      ids.push(id);
    }
    await allCompleted(ids);
    const worked = begun.filter(({ limit }) => limit === key).map(({ run }) => run);
    expect(worked.filter((_run, index) => index % 2 === 0)).toEqual(worked.filter((_run, index) => index % 2 === 1));
    expect(new Set(worked)).toEqual(new Set(ids));
  });

  it("guarantee 4: a limit on steps is kept while processes end", async () => {
    const key = newId("steps");
    const ids = await startAll("gated-steps", 3, { key, count: 40 });
    for (let kills = 0; kills < 4; kills++) {
      await pause(150);
      for (const id of ids.slice(0, 2)) await kill(id);
    }
    await allCompleted(ids);
    expect(mostAtWork(key)).toBeLessThanOrEqual(3);
    expect(await laneOf(`steps:gated-steps:${key}`)).toMatchObject({ limit: 3, waiting: 0 });
  });
});
