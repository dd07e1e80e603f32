/** Calls that meet while one of them waits: what one of them found is another's by then. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ask, newId, runThatIs } from "./client.ts";
import { judging } from "./flows/overlap.ts";
import { removalsOf, trouble } from "./shards.ts";
import { shardOf } from "../../src/objects/address.ts";
import type { SchedulerRpc } from "../../src/objects/rpc/scheduler.ts";
import { alarmOf, evict } from "./storage.ts";

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe("a run that begins while the deletion of the one before is noted", () => {
  it("keeps its alarm (guarantee 4)", async () => {
    const id = newId("overlap");
    const begun = (json: object) => ask("POST /v1/workflows/overlap-sleep/runs", { json: { id, ...json } });
    expect((await begun({ input: 0 })).status).toBe(201);
    await runThatIs(id, { status: "completed" });
    const key = newId("key");
    const digest = crypto.subtle.digest.bind(crypto.subtle);
    let held = true;
    vi.spyOn(crypto.subtle, "digest").mockImplementation(async (how, data) => {
      const isKey = new TextDecoder().decode(data) === key;
      while (held && isKey && removalsOf(shardOf(id)).includes(id)) await scheduler.wait(5);
      return await digest(how, data);
    });
    const deleted = ask(`DELETE /v1/runs/${id}`, { headers: { "idempotency-key": key } });
    const again = async () => expect((await begun({ input: 3_600_000 })).status).toBe(201);
    await vi.waitFor(again, { timeout: 60_000 });
    await runThatIs(id, { status: "waiting" });
    held = false;
    expect((await deleted).status).toBe(204);
    const at = await alarmOf(id);
    expect(((at ?? 0) - Date.now()) / 60_000).toBeLessThan(61);
  });
});

describe("a signal that is judged while its run goes", () => {
  const call = (id: string) => `POST /v1/runs/${id}/signals/go`;

  async function judgedRun(): Promise<{ id: string; signalled: ReturnType<typeof ask> }> {
    const id = newId("judged");
    await ask("POST /v1/workflows/overlap-judged/runs", { json: { id } });
    await runThatIs(id, { status: "waiting" });
    judging.isOpen = false;
    const signalled = ask(call(id), { json: { n: 1 } });
    await expect.poll(() => judging.waiting).toBeGreaterThan(0);
    await ask(`POST /v1/runs/${id}/terminate`);
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    return { id, signalled };
  }

  it("is refused, and leaves nothing behind", async () => {
    const { id, signalled } = await judgedRun();
    judging.isOpen = true;
    expect(await signalled).toMatchObject({ status: 404, body: { code: "run_not_found" } });
    expect((await ask("POST /v1/workflows/overlap-judged/runs", { json: { id } })).status).toBe(201);
    await runThatIs(id, { status: "waiting" });
  });

  it("is not for the next run of that id", async () => {
    const { id, signalled } = await judgedRun();
    await ask("POST /v1/workflows/overlap-judged/runs", { json: { id } });
    judging.isOpen = true;
    expect(await signalled).toMatchObject({ status: 404, body: { code: "run_not_found" } });
    await runThatIs(id, { status: "waiting" });
  });
});

describe("a call of a webhook that is judged while its run goes", () => {
  it("is refused, and leaves the next run of that id alone", async () => {
    const id = newId("hooked");
    const json = { id };
    await ask("POST /v1/workflows/overlap-hooked/runs", { json });
    const { waitingFor } = await runThatIs(id, { status: "waiting" });
    judging.isOpen = false;
    const called = ask(`POST ${new URL(waitingFor[0]?.url ?? "").pathname}`, { token: null, json: {} });
    await expect.poll(() => judging.waiting).toBeGreaterThan(0);
    await ask(`POST /v1/runs/${id}/terminate`);
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    await ask("POST /v1/workflows/overlap-hooked/runs", { json });
    await runThatIs(id, { status: "waiting" });
    judging.isOpen = true;
    expect([404, 410]).toContain((await called).status);
    await evict(id);
    expect((await runThatIs(id, { status: "waiting" })).waitingFor).toHaveLength(1);
  });
});

describe("a run whose retention ends while it is deleted", () => {
  it("is removed once: the next of that id stays (guarantee 1)", async () => {
    const id = newId("brief");
    const shard = shardOf(id);
    const object = env.RUNS.getByName(id);
    const begun = () => ask("POST /v1/workflows/overlap-sleep/runs", { json: { id, input: 0 } });
    await begun();
    await runThatIs(id, { status: "completed" });
    const list = "GET /v1/runs?workflow=overlap-sleep&status=completed";
    await expect.poll(async () => (await ask(list)).text).toContain(id);
    const removals = () => removalsOf(shard).filter((removed) => removed === id).length;
    trouble(shard, "hangs");
    const deleted = ask(`DELETE /v1/runs/${id}`);
    await expect.poll(removals).toBe(1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * 3_600_000 });
    trouble(shard, "mute");
    const rung = runDurableObjectAlarm(object);
    expect((await deleted).status).toBe(204);
    vi.useRealTimers();
    expect((await begun()).status).toBe(201);
    trouble(shard, null);
    await rung;
    await runInDurableObject(object, () => scheduler.wait(100));
    await evictDurableObject(object).catch(() => {});
    await runThatIs(id, { status: "completed" });
  });
});

describe("a run of a schedule that failed and is retried", () => {
  /** Runs that the schedule takes to go on. */
  async function goingOn(schedule: string): Promise<readonly string[]> {
    return await runInDurableObject(env.SCHEDULER.getByName("scheduler"), (_object, { storage }) => {
      const { state } = storage.sql.exec<{ state: string }>("SELECT state FROM schedules WHERE id = ?", schedule).one();
      return (JSON.parse(state) as { readonly running: readonly string[] }).running;
    });
  }

  async function made(): Promise<string> {
    const id = newId("reviving");
    const rule = { id, workflow: "overlap-reviving", cron: "0 0 1 1 *", timezone: "Europe/Berlin" };
    expect((await ask("POST /v1/schedules", { json: rule })).status).toBe(201);
    return id;
  }

  async function prototypeOfScheduler(): Promise<SchedulerRpc> {
    return await runInDurableObject(env.SCHEDULER.getByName("scheduler"), (object) => {
      let prototype = object as unknown as SchedulerRpc;
      while (!Object.hasOwn(prototype, "revived")) prototype = Object.getPrototypeOf(prototype) as SchedulerRpc;
      return prototype;
    });
  }

  async function retried(run: string): Promise<void> {
    await runThatIs(run, { status: "failed" });
    expect((await ask(`POST /v1/runs/${run}/retry`)).status).toBe(200);
    await runThatIs(run, { status: "waiting" });
  }

  async function endedOf(schedule: string, run: string): Promise<void> {
    await ask(`POST /v1/runs/${run}/signals/go`, { json: {} });
    await runThatIs(run, { status: "completed" });
    await expect.poll(() => goingOn(schedule)).toEqual([]);
  }

  it.each(["at once", "later", "out of memory"])(
    "is in the way of its firings again, until it ends: %s",
    async (where) => {
      const id = await made();
      const run = String((await ask(`POST /v1/schedules/${id}/trigger`)).body["id"]);
      await runThatIs(run, { status: "failed" });
      if (where !== "at once") await expect.poll(() => goingOn(id)).toEqual([]);
      if (where === "out of memory") await evict(run);
      await retried(run);
      expect(await goingOn(id)).toEqual([run]);
      await endedOf(id, run);
      await ask(`DELETE /v1/schedules/${id}`);
    },
  );

  it("goes on also where the scheduler runs code that knows no such call", async () => {
    const id = await made();
    const run = String((await ask(`POST /v1/schedules/${id}/trigger`)).body["id"]);
    const unknown = new TypeError('The RPC receiver does not implement the method "revived".');
    vi.spyOn(await prototypeOfScheduler(), "revived").mockRejectedValue(unknown);
    await retried(run);
    await endedOf(id, run);
    await ask(`DELETE /v1/schedules/${id}`);
  });

  it("has ended after all where nobody could be told that it goes on, and that is told (guarantee 4)", async () => {
    const scheduler = await prototypeOfScheduler();
    const id = await made();
    const told = vi.spyOn(scheduler, "ended").mockRejectedValue(new Error("out of reach"));
    const run = String((await ask(`POST /v1/schedules/${id}/trigger`)).body["id"]);
    await expect.poll(() => told).toHaveBeenCalled();
    await runThatIs(run, { status: "failed" });
    const gate = Promise.withResolvers<undefined>();
    const revived = vi.spyOn(scheduler, "revived").mockReturnValue(gate.promise);
    const asked = ask(`POST /v1/runs/${run}/retry`);
    await expect.poll(() => revived).toHaveBeenCalled();
    // Its next try to tell is due, and finds nothing.
    await vi.waitFor(async () => expect(await alarmOf(run)).toBeGreaterThan(Date.now() + 60_000), { timeout: 60_000 });
    told.mockRestore();
    gate.reject(new Error("out of reach"));
    expect((await asked).status).toBeGreaterThanOrEqual(500);
    revived.mockRestore();
    await expect.poll(() => goingOn(id)).toEqual([]);
    await ask(`DELETE /v1/schedules/${id}`);
  });

  it("is in no firing's way where a backfill started it", async () => {
    const id = await made();
    const json = { from: "2025-12-31T00:00:00Z", to: "2026-01-02T00:00:00Z" };
    expect((await ask(`POST /v1/schedules/${id}/backfill`, { json })).body).toEqual({ firings: 1 });
    const run = `${id}:20251231T230000Z`;
    await expect.poll(async () => (await ask(`GET /v1/runs/${run}`)).status).toBe(200);
    await retried(run);
    expect(await goingOn(id)).toEqual([]);
    await endedOf(id, run);
    await ask(`DELETE /v1/schedules/${id}`);
  });
});

describe("a run of a schedule that is not kept", () => {
  it("is gone once its schedule has heard how it ended", async () => {
    const id = newId("failing");
    const rule = { id, workflow: "overlap-failing", cron: "0 0 1 1 *", pauseOnFailure: true };
    expect((await ask("POST /v1/schedules", { json: rule })).status).toBe(201);
    const { body } = await ask(`POST /v1/schedules/${id}/trigger`);
    const gone = async () => expect((await ask(`GET /v1/runs/${String(body["id"])}`)).status).toBe(404);
    await vi.waitFor(gone, { timeout: 60_000 });
    expect((await ask(`GET /v1/schedules/${id}`)).body).toMatchObject({ paused: true, pausedBy: "schedule" });
    await ask(`DELETE /v1/schedules/${id}`);
  });
});
