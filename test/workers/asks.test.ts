/** Queries, updates, listeners, and starts that bring a signal or an update, through the Worker and its objects. */
import { abortAllDurableObjects } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { getRun } from "../../src/index.ts";
import { ask, historyOf, newId, refusal, runThatIs, start } from "./client.ts";
import { evict, inRun } from "./storage.ts";
import { askWorkflows, calls, done } from "./flows/asks.ts";

const [cart, , greeted] = askWorkflows;

/** Everything the run's object keeps, and when its alarm is due. */
async function stored(id: string): Promise<unknown> {
  return await inRun(id, async ({ storage }) => ({
    rows: storage.sql.exec("SELECT row, data FROM journal ORDER BY row").toArray(),
    alarm: await storage.getAlarm(),
  }));
}

async function query(id: string, name: string): Promise<unknown> {
  return (await ask(`GET /v1/runs/${id}/queries/${name}`)).body["result"];
}

async function update(id: string, name: string, json?: unknown, key?: string) {
  const headers = key === undefined ? {} : { "idempotency-key": key };
  return await ask(`POST /v1/runs/${id}/updates/${name}`, { json, headers });
}

async function kinds(id: string): Promise<string[]> {
  return (await historyOf(id)).map(({ kind }) => kind);
}

describe("queries", () => {
  it("answer a thousand times over, parked, evicted and ended, and change nothing", async () => {
    const { id } = await start("asks-cart");
    await update(id, "add", { item: "tea" });
    await runThatIs(id, { status: "waiting" });
    // The update is reported to the directory first.
    await expect.poll(() => stored(id)).toMatchObject({ alarm: null });
    const before = await stored(id);
    const same = async (times: number): Promise<void> => {
      for (let asked = 0; asked < times; asked += 20) {
        const answers = await Promise.all(Array.from({ length: 20 }, () => query(id, "items")));
        expect(answers).toEqual(Array.from({ length: 20 }, () => ["tea at 3"]));
      }
    };
    await same(400);
    expect(await query(id, "spoil")).toBe(2);
    await same(100);
    expect(await stored(id)).toEqual(before);
    await evict(id);
    await same(400);
    expect(await stored(id)).toEqual(before);
    await update(id, "close");
    await runThatIs(id, { status: "completed" });
    await evict(id);
    const ended = await stored(id);
    await same(100);
    expect(await stored(id)).toEqual(ended);
    expect(calls.get(`${id} price`)).toBe(1);
  });

  it("leave a run evictable that they woke", async () => {
    const { id } = await start("asks-cart");
    await runThatIs(id, { status: "waiting" });
    await evict(id);
    await query(id, "items");
    await evict(id);
    expect(await query(id, "items")).toEqual([]);
  });

  it.each(["return", "fail", "bail"])("answer of a run that ended by %s", async (how) => {
    const { id } = await start("asks-brief", { input: how }, "?wait=60s");
    expect(await query(id, "at")).toBe(1);
  });

  it("are refused for what is wrong with them", async () => {
    const { id } = await start("asks-cart");
    expect(await refusal(`GET /v1/runs/${id}/queries/missing`)).toBe("404 query_not_found");
    expect(await refusal(`GET /v1/runs/nobody/queries/items`)).toBe("404 run_not_found");
    expect(await refusal(`GET /v1/runs/${id}/queries/${"x".repeat(257)}`)).toBe("400 name_invalid");
    expect(await refusal(`GET /v1/runs/${id}/queries/items?x=1`)).toBe("400 parameter_unknown");
    expect(await refusal(`POST /v1/runs/${id}/queries/items`)).toBe("405 method_not_allowed");
    const delayed = await start("asks-cart", { delay: "1 day" });
    expect(await refusal(`GET /v1/runs/${delayed.id}/queries/items`)).toBe("404 query_not_found");
    const { status, body } = await ask(`GET /v1/runs/${id}/queries/broken`);
    expect([status, body]).toEqual([
      422,
      expect.objectContaining({
        code: "query_failed",
        detail: "query broken failed: RangeError: no such shelf",
        error: expect.objectContaining({ name: "RangeError", message: "no such shelf" }),
      }),
    ]);
    expect((await ask(`GET /v1/runs/${id}/queries/impure`)).body).toMatchObject({ error: { code: "query_impure" } });
    await runThatIs(id, { status: "waiting" });
  });

  it("of a run by itself are answered in a step, and refused where each replay would ask once more", async () => {
    const [step, handler, query] = await Promise.all(
      ["step", "handler", "query"].map((input) => start("asks-narcissus", { input }, "?wait=60s")),
    );
    expect(step).toMatchObject({ status: "completed", output: "his own" });
    expect(handler).toMatchObject({ status: "failed", error: { code: "query_impure" } });
    expect(query).toMatchObject({ status: "completed" });
    const { status, body } = await ask(`GET /v1/runs/${query?.id}/queries/face`);
    expect([status, body]).toMatchObject([422, { code: "query_failed", error: { code: "query_impure" } }]);
  });

  it("that are never answered are given up", async () => {
    const { id } = await start("asks-cart");
    expect(await refusal(`GET /v1/runs/${id}/queries/never`)).toBe("503 query_timeout");
    expect(await query(id, "items")).toEqual([]);
  });
});

describe("updates", () => {
  it("are answered from the handler's own variables, and refused by their schema or function", async () => {
    const { id } = await start("asks-cart");
    const added = await update(id, "add", { item: "tea" });
    expect([added.status, added.body]).toEqual([
      200,
      { result: { items: 1, at: { $type: "Date", value: "1970-01-01T00:00:00.000Z" } } },
    ]);
    const refused = await update(id, "add", { item: "x" });
    expect([refused.status, refused.body]).toMatchObject([
      422,
      { code: "update_invalid", errors: [{ path: "/item" }] },
    ]);
    const thrown = await update(id, "refuse");
    expect([thrown.status, thrown.body]).toMatchObject([
      422,
      { code: "update_failed", error: { name: "TypeError", message: "not on a Sunday" } },
    ]);
    expect(await refusal(`POST /v1/runs/${id}/updates/missing`)).toBe("404 update_not_found");
    expect((await update(id, "close")).body).toEqual({ result: { $type: "undefined" } });
    expect((await runThatIs(id, { status: "completed" })).output).toEqual(["tea at 3"]);
    expect((await update(id, "close")).body).toMatchObject({ status: 409, code: "run_ended" });
  });

  it("are refused by a paused run, one that has not begun, and a reader's token", async () => {
    const { id } = await start("asks-cart");
    await ask(`POST /v1/runs/${id}/pause`);
    expect(await refusal(`POST /v1/runs/${id}/updates/close`)).toBe("409 run_paused");
    const { id: delayed } = await start("asks-cart", { delay: "1 day" });
    expect(await refusal(`POST /v1/runs/${delayed}/updates/close`)).toBe("404 update_not_found");
    expect(await refusal(`POST /v1/runs/${id}/updates/close`, { token: "r-token-123" })).toBe("403 role_insufficient");
    await ask(`POST /v1/runs/${id}/resume`);
    expect((await update(id, "close")).status).toBe(200);
  });

  it("guarantee 5: with one key are one, through evictions and after the end", async () => {
    const { id } = await start("asks-cart");
    const answers = await Promise.all([1, 2, 3].map(() => update(id, "add", { item: "tea" }, "k")));
    expect(answers.map(({ body }) => body["result"])).toEqual(Array(3).fill(answers[0]?.body["result"]));
    await runThatIs(id, { status: "waiting" });
    await evict(id);
    expect((await update(id, "add", { item: "tea" }, "k")).body).toEqual(answers[0]?.body);
    expect((await update(id, "add", { item: "jam" }, "k")).body).toMatchObject({ code: "idempotency_conflict" });
    await update(id, "close");
    await runThatIs(id, { status: "completed" });
    await evict(id);
    expect((await update(id, "add", { item: "tea" }, "k")).body).toEqual(answers[0]?.body);
    expect((await kinds(id)).filter((kind) => kind === "update.accepted")).toHaveLength(2);
    expect(calls.get(`${id} price`)).toBe(1);
  });

  it("guarantee 1: under way when the process dies go on, and are found by their key", async () => {
    const { id } = await start("asks-cart");
    const lost = getRun(id)
      .update("wait", null, { idempotencyKey: "w" })
      .catch(() => "lost");
    await expect.poll(() => kinds(id)).toContain("wait.started");
    await abortAllDurableObjects();
    expect(await lost).toBe("lost");
    const again = getRun(id).update("wait", null, { idempotencyKey: "w" });
    await getRun(id).signal("go on", {});
    expect(await again).toBe("went on");
    expect((await kinds(id)).filter((kind) => kind.startsWith("update."))).toEqual([
      "update.accepted",
      "update.completed",
    ]);
  });

  it("guarantee 8: under way at the run's end are answered with it", async () => {
    const { id } = await start("asks-cart");
    const open = update(id, "wait", null);
    await expect.poll(() => kinds(id)).toContain("update.accepted");
    await update(id, "close");
    expect((await open).body).toMatchObject({ status: 409, code: "run_ended" });
    expect((await historyOf(id)).slice(-2)).toMatchObject([
      { kind: "update.failed", update: "update-1", error: { code: "run_ended" } },
      { kind: "run.completed" },
    ]);
  });

  it("are what a run waits for whose handler awaits nothing else, and it says so to the first who looks", async () => {
    const { id } = await start("asks-till");
    const waits = { status: "waiting", waitingFor: [], reason: "waiting for update pay (and 1 more)" };
    await runThatIs(id, waits);
    const listed = async () => (await ask("GET /v1/runs?workflow=asks-till")).body;
    await expect.poll(listed).toMatchObject({ runs: [{ id, ...waits }] });
    for (const cents of [3, 4]) {
      await evict(id);
      expect((await ask(`GET /v1/runs/${id}`)).body).toMatchObject(waits);
      expect((await update(id, "pay", cents)).status).toBe(200);
    }
    await update(id, "close");
    expect(await runThatIs(id, { status: "completed" })).toMatchObject({ output: 7 });
  });

  it.each([
    ["update", "waiting for update close"],
    ["listener", "waiting for signal close"],
  ])("are waited for without a slot, whatever wakes the object: %s", async (way, reason) => {
    const place = newId("place");
    const { id } = await start("asks-booth", { input: { place, way } });
    const waits = { status: "waiting", reason: expect.stringContaining(reason) };
    await runThatIs(id, waits);
    const { id: worker } = await start("asks-booth", { input: { place, way: "work" } });
    await runThatIs(worker, { status: "running", active: [{ step: "work" }] });
    await expect.poll(() => stored(id)).toMatchObject({ alarm: null });
    await evict(id);
    for (let looks = 0; looks < 3; looks++) expect((await ask(`GET /v1/runs/${id}`)).body).toMatchObject(waits);
    // Its housekeeping wakes it, such as a report that the directory did not get.
    await evict(id);
    const housekeepingAt = Math.ceil(Date.now() / 1000) * 1000 + 1000;
    await inRun(id, ({ storage }) => storage.setAlarm(housekeepingAt));
    await expect.poll(() => stored(id)).not.toMatchObject({ alarm: housekeepingAt });
    await runThatIs(id, waits);
    const lane = await ask(`GET /v1/lanes/${encodeURIComponent(`concurrency:asks-booth:${place}`)}`);
    expect(lane.body).toMatchObject({ used: 1, waiting: 0, holders: [{ run: worker }] });
    done.add(worker);
    await runThatIs(worker, { status: "completed" });
    await evict(id);
    if (way === "update") await update(id, "close");
    else await getRun(id).signal("close", {});
    await runThatIs(id, { status: "completed" });
  });

  it("wake an evicted run whose handler awaits nothing but them", async () => {
    const { id } = await start("asks-cart");
    await runThatIs(id, { status: "waiting" });
    for (const item of ["tea", "jam"]) {
      await evict(id);
      expect((await update(id, "add", { item })).status).toBe(200);
      await runThatIs(id, { status: "waiting" });
    }
    await evict(id);
    await update(id, "close");
    expect((await runThatIs(id, { status: "completed" })).output).toEqual(["tea at 3", "jam at 3"]);
    expect(await kinds(id)).not.toContain("run.interrupted");
  });
});

describe("listeners", () => {
  it("guarantee 5: hear signals in order, once each, through evictions and pauses", async () => {
    const { id } = await start("asks-hearer");
    const say = (text: string) => ask(`POST /v1/runs/${id}/signals/word`, { json: { text }, headers: key(text) });
    const key = (text: string) => ({ "idempotency-key": `say-${text}` });
    await say("a");
    await say("a");
    expect((await runThatIs(id, { status: "waiting" })).waitingFor).toMatchObject([{ name: "end" }, { name: "word" }]);
    await evict(id);
    await say("b");
    await ask(`POST /v1/runs/${id}/pause`);
    await say("c");
    await ask(`POST /v1/runs/${id}/resume`);
    await ask(`POST /v1/runs/${id}/signals/end`, { json: {} });
    expect((await runThatIs(id, { status: "completed" })).output).toEqual(["A", "B", "C"]);
    expect(await query(id, "words")).toEqual(["A", "B", "C"]);
  });

  it("hear broadcasts, all that were buffered before they were there and those that come after", async () => {
    const name = newId("note");
    const tell = (json: string) => ask(`POST /v1/signals/${name}`, { json });
    for (const word of ["one", "two", "three"]) {
      expect((await tell(word)).body).toEqual({ delivered: 0, buffered: true });
    }
    const { id } = await start("asks-eavesdropper", { input: { name } });
    const heard = ["one", "two", "three"];
    await expect.poll(() => query(id, "heard")).toEqual(heard);
    await runThatIs(id, { status: "waiting" });
    await evict(id);
    expect((await tell("four")).body).toEqual({ delivered: 1, buffered: false });
    await expect.poll(() => query(id, "heard")).toEqual([...heard, "four"]);
  });
});

describe("a start that brings a signal", () => {
  const path = "POST /v1/workflows/asks-greeted/runs";

  it("makes the run and sends the signal in one commit", async () => {
    const id = newId("greeted");
    const { status } = await ask(path, { json: { id, input: { n: 1 }, signal: { name: "hello", payload: "hi" } } });
    expect(status).toBe(201);
    const { rows } = (await stored(id)) as { rows: { row: number; data: string }[] };
    const first = JSON.parse(rows[0]?.data ?? "[]") as { kind: string }[];
    expect(first.map(({ kind }) => kind)).toEqual(["run.created", "run.started", "signal.received"]);
    await ask(`POST /v1/runs/${id}/signals/end`, { json: {} });
    expect((await runThatIs(id, { status: "completed" })).output).toEqual({ n: 1, heard: ["hi"] });
  });

  it("signals the run that is there, whatever its input was; its key makes it one", async () => {
    const { id } = await start("asks-greeted", { input: { n: 1 } });
    const json = { id, input: { n: 2 }, signal: { name: "hello" } };
    const headers = { "idempotency-key": newId("key") };
    expect((await ask(path, { json, headers })).status).toBe(200);
    expect((await ask(path, { json, headers })).status).toBe(200);
    const other = { ...json, signal: { name: "hello", payload: 2 } };
    expect(await refusal(path, { json: other, headers })).toBe("409 idempotency_conflict");
    expect(await refusal(path.replace("asks-greeted", "asks-brief"), { json })).toBe("409 run_exists");
    expect((await kinds(id)).filter((kind) => kind === "signal.received")).toHaveLength(1);
    await ask(`POST /v1/runs/${id}/signals/end`, { json: {} });
    expect((await runThatIs(id, { status: "completed" })).output).toEqual({ n: 1, heard: [{}] });
    expect(await refusal(path, { json })).toBe("409 run_ended");
    expect((await ask(path, { json, headers })).status).toBe(200);
  });

  it("with a key alone is one run and one signal, however often it is made", async () => {
    const headers = { "idempotency-key": newId("key") };
    const json = { input: { n: 3 }, signal: { name: "hello", payload: "hi" } };
    const answers = await Promise.all([1, 2, 3].map(() => ask(path, { json, headers })));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 200, 201]);
    const id = String(answers[0]?.body["id"]);
    expect((await kinds(id)).filter((kind) => kind === "signal.received")).toHaveLength(1);
    const { signal: _signal, ...bare } = json;
    expect(await refusal(path, { json: bare, headers })).toBe("409 idempotency_conflict");
    expect(await refusal(path, { json: { ...json, input: { n: 4 } }, headers })).toBe("409 idempotency_conflict");
  });

  it("refuses what it cannot mean, and then makes no run", async () => {
    const id = newId("none");
    const refused = (json: object, at = path) => refusal(at, { json: { id, ...json } });
    expect(await refused({ signal: { name: "a" }, update: { name: "b" } })).toBe("400 body_invalid");
    expect(await refused({ signal: "hello" })).toBe("400 body_invalid");
    expect(await refused({ signal: { name: "a", value: 1 } })).toBe("400 body_invalid");
    expect(await refused({ signal: { name: "" } })).toBe("400 name_invalid");
    expect(await refused({ update: {} })).toBe("400 name_invalid");
    expect(await refused({ signal: { name: "a", payload: null } })).toBe("422 signal_invalid");
    const hearing = path.replace("asks-greeted", "asks-hearer");
    expect(await refused({ signal: { name: "word", payload: { text: 1 } } }, hearing)).toBe("422 signal_invalid");
    expect(await refusal(`GET /v1/runs/${id}`)).toBe("404 run_not_found");
  });

  it("has its payload made fit by the workflow's schema once", async () => {
    const json = { id: newId("fit"), signal: { name: "word", payload: { text: "a" } } };
    const headers = { "idempotency-key": newId("key") };
    const at = "POST /v1/workflows/asks-hearer/runs";
    expect((await ask(at, { json, headers })).status).toBe(201);
    expect((await ask(at, { json, headers })).status).toBe(200);
    await expect.poll(() => query(json.id, "words")).toEqual(["A"]);
  });
});

describe("a start that brings an update", () => {
  const path = "POST /v1/workflows/asks-greeted/runs";

  it("answers the run and the update, and makes both once for a key", async () => {
    const json = { id: newId("updated"), input: { n: 1 }, update: { name: "say", argument: "hi" } };
    const headers = { "idempotency-key": newId("key") };
    const first = await ask(path, { json, headers });
    expect([first.status, first.body]).toMatchObject([201, { id: json.id, update: { result: 1 } }]);
    const again = await ask(path, { json, headers });
    expect([again.status, again.body["update"]]).toEqual([200, { result: 1 }]);
    const next = await ask(path, { json: { ...json, input: { n: 2 } } });
    expect([next.status, next.body["update"]]).toEqual([200, { result: 2 }]);
  });

  it("says what is wrong with the update; the run is there", async () => {
    const id = newId("updated");
    const json = { id, input: { n: 1 }, update: { name: "say", argument: 7 } };
    expect(await refusal(path, { json })).toBe("422 update_invalid");
    expect(await refusal(path, { json: { ...json, update: { name: "shout" } } })).toBe("404 update_not_found");
    await runThatIs(id, { status: "waiting" });
  });
});

describe("a handle", () => {
  it("asks, updates and moves its run", async () => {
    const run = await cart.start(undefined, { id: newId("handle") });
    expect(await run.update("add", { item: "tea" })).toEqual({ items: 1, at: new Date(0) });
    await expect(run.update("refuse")).rejects.toThrow(new TypeError("not on a Sunday"));
    await expect(run.update("add", {})).rejects.toMatchObject({ code: "update_invalid" });
    expect(await run.query<string[]>("items")).toEqual(["tea at 3"]);
    await expect(run.query("broken")).rejects.toThrow(RangeError);
    await run.pause("lunch");
    expect((await run.status()).reason).toBe("paused by worker: lunch");
    await run.resume();
    await run.update("close");
    expect(await run.result()).toEqual(["tea at 3"]);
    await expect(run.terminate()).rejects.toMatchObject({ code: "run_ended" });
    await expect(run.retry()).rejects.toMatchObject({ code: "not_retryable" });
  });

  it("starts with a signal", async () => {
    const id = newId("handle");
    const run = await greeted.start({ n: 1 }, { id, signal: { name: "hello", payload: new Date(5) } });
    await greeted.start({ n: 1 }, { id, signal: { name: "end" } });
    expect(await run.result()).toEqual({ n: 1, heard: [new Date(5)] });
    await run.terminate().catch(() => {});
  });
});
