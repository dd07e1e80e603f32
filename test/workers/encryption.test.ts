/** Payloads at rest: nothing of them is legible with keys set, keys change under runs that go on, and one may be gone. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { directoryShard, laneRoll, registerObject, shardCount, shardOf } from "../../src/objects/address.ts";
import { ask, historyOf, newId, refusal, runThatIs, start } from "./client.ts";
import { settings } from "./settings.ts";
import { forget, inRun, rowsOf } from "./storage.ts";
import type { Answer, Ask, RunJson } from "./client.ts";
import { scan } from "./scan.ts";

const keyOf = (id: string, fill: number) => `${id}:${btoa(String.fromCharCode(...new Uint8Array(32).fill(fill)))}`;
const [one, two, wrong] = [keyOf("k1", 1), keyOf("k2", 2), keyOf("k1", 9)];

const setKeys = (...keys: readonly string[]): void => {
  settings["ENCRYPTION_KEYS"] = keys.join(",");
};

beforeEach(() => setKeys(one));

async function good(call: string, options: Ask = {}): Promise<Answer> {
  const answer = await ask(call, options);
  expect([call, answer.status < 300, answer.text]).toEqual([call, true, answer.text]);
  return answer;
}

/** Of each row the id of the key that sealed it; "plain" where none did. */
async function keysOf(id: string): Promise<string[]> {
  return (await rowsOf(id)).map(({ data }) => /^enc1\.([^.]+)\./.exec(data)?.[1] ?? "plain");
}

async function spoil(id: string, change: (sql: SqlStorage) => void): Promise<void> {
  await inRun(id, ({ storage }) => change(storage.sql));
  await forget(id);
}

async function completed(id: string): Promise<RunJson> {
  return await vi.waitFor(
    async () => {
      const { body } = await ask(`GET /v1/runs/${id}`);
      expect(body).toMatchObject({ id, status: "completed" });
      return body as unknown as RunJson;
    },
    { timeout: 60_000, interval: 30 },
  );
}

/** Puts the word wherever somebody outside can put one. */
async function saturate(word: string, lane = "canary lane"): Promise<void> {
  const why = { "holdfast-reason": `because ${word}` };
  const json = { word };
  const failing = start("canary-everywhere", { input: json });
  const [retried, parked, cancelled] = await Promise.all([
    start("canary-parked", { input: { word, fails: true } }),
    start("canary-parked", { input: json }),
    start("canary-parked", { input: json }),
  ]);
  const late = newId("late");
  await start("canary-late", { id: late, input: json });
  // Another run answers this one, and what is remembered of that has a key.
  const again = { input: { word: `again ${word}` } };
  await good("POST /v1/workflows/canary-late/runs", {
    json: again,
    headers: { ...why, "idempotency-key": `key ${word}` },
  });
  await good(`POST /v1/runs/${parked.id}/pause`, { json: { reason: `pause ${word}` } });
  await good(`POST /v1/runs/${parked.id}/resume`, { json: { reason: `resume ${word}` } });
  await good(`POST /v1/runs/${parked.id}/signals/go`, { json, headers: { ...why, "idempotency-key": newId("go") } });
  await good(`POST /v1/runs/${parked.id}/signals/other`, { json, headers: why });
  await good(`POST /v1/runs/${cancelled.id}/cancel`, { json: { reason: `cancel ${word}` } });
  await good(`POST /v1/signals/${newId("nobody")}`, { json, headers: { ...why, "idempotency-key": newId("b") } });
  await runThatIs(retried.id, { status: "waiting" });
  const { id } = await failing;
  const at = await runThatIs(id, { status: "waiting", waitingFor: [{ kind: "webhook" }] });
  const url = new URL(at.waitingFor[0]?.url ?? "");
  await good(`POST ${url.pathname}`, { json, token: null });
  await good(`POST /v1/runs/${id}/updates/turn`, { json });
  expect((await ask(`POST /v1/runs/${id}/updates/stumble`, { json })).status).toBe(422);
  await good(`POST /v1/runs/${id}/signals/go`, { json });
  await runThatIs(id, { status: "failed" });
  await good(`POST /v1/runs/${id}/fork`, { json: { from: "caught", results: { result: { text: word, bytes: 1 } } } });
  await scheduleAll(word);
  await good(`PATCH /v1/lanes/${encodeURIComponent(lane)}`, { json: { limit: 40 }, headers: why });
  await vi.waitFor(async () => {
    const { body } = await good(`GET /v1/runs?idPrefix=${id}&status=failed`);
    expect((body["runs"] as RunJson[]).map((run) => run.id)).toContain(id);
  }, 60_000);
}

async function scheduleAll(word: string): Promise<void> {
  const id = newId("canary-schedule");
  const json = { id, workflow: "canary-parked", cron: "0 0 1 1 *", input: { word } };
  await good("POST /v1/schedules", { json });
  await good(`PATCH /v1/schedules/${id}`, { json: { paused: true, reason: `pause ${word}` } });
  // The second firing waits for the first, which waits for a signal.
  const span = { from: "2020-01-01T00:00:00Z", to: "2021-02-01T00:00:00Z", overlap: "buffer-all" };
  const backfill = { ...span, reason: `backfill ${word}` };
  await good(`POST /v1/schedules/${id}/backfill`, { json: backfill, headers: { "idempotency-key": newId("fill") } });
  await vi.waitFor(async () => {
    expect((await good(`GET /v1/schedules/${id}`)).body["backfills"]).toMatchObject([{ started: 1 }]);
  }, 60_000);
  await good(`POST /v1/schedules/${id}/trigger`, { json: { reason: `trigger ${word}` } });
}

describe("rotation", () => {
  it("new rows take the new key, old ones stay legible, and parked runs go on", async () => {
    const { id } = await start("canary-parked", { input: { word: "w", life: 2 } });
    await runThatIs(id, { status: "waiting" });
    setKeys(two, one);
    await forget(id);
    await good(`POST /v1/runs/${id}/signals/go`, { json: {} });
    expect((await completed(id)).output).toEqual({ before: "before w", after: "after w" });
    const keys = await keysOf(id);
    expect([keys[0], keys.at(-1), new Set(keys).size]).toEqual(["k1", "k2", 2]);
    expect((await historyOf(id)).map(({ seq }) => seq)).toEqual((await historyOf(id)).map((_, index) => index + 1));
  });

  it("rekey rewrites everything, ended runs and plain rows included, so that the old key can go", async () => {
    setKeys();
    const plain = await start("canary-child", { input: { word: "plain" } }, "?wait=60s");
    setKeys(one);
    const [old, parked] = [
      await start("canary-child", { input: { word: "old" } }, "?wait=60s"),
      await start("canary-parked", { input: { word: "parked", life: 2 } }),
    ];
    await saturate("rotated");
    const name = newId("held");
    await good(`POST /v1/signals/${name}`, { json: { word: "held" } });
    setKeys(two, one);
    const headers = { "idempotency-key": newId("rekey"), "holdfast-reason": "key%20leaked" };
    const { body } = await good("POST /v1/directory/rekey", { headers });
    expect(await historyOf(String(body["id"]))).toContainEqual(
      expect.objectContaining({ kind: "run.created", reason: "key leaked" }),
    );
    expect(body).toMatchObject({ workflow: "holdfast.rekey" });
    const run = await completed(String(body["id"]));
    const output = run.output as Record<"runs" | "shards" | "scheduler" | "lanes", Record<string, number>>;
    expect(output).toMatchObject({ key: "k2", gone: 0, failed: 0, failures: [], shards: { objects: 4 } });
    for (const part of ["runs", "shards", "scheduler"] as const) expect(output[part]["sealed"]).toBeGreaterThan(2);
    // Those of other tests among them.
    expect(output.lanes["sealed"]).toBeGreaterThan(0);
    expect(output.lanes["sealed"]).toBe(output.lanes["rows"]);
    for (const { id } of [plain, old, parked]) expect(new Set(await keysOf(id))).toEqual(new Set(["k2"]));
    // Once more, nothing is left to do but what the run itself has written since it looked.
    const again = await good("POST /v1/directory/rekey");
    const second = await completed(String(again.body["id"]));
    expect(second.output).toMatchObject({
      runs: { sealed: 0 },
      shards: { sealed: 0 },
      scheduler: { sealed: 0 },
      failed: 0,
    });
    setKeys(two);
    for (const { id } of [plain, old, parked]) await forget(id);
    expect((await good(`GET /v1/runs/${plain.id}`)).body).toMatchObject({ output: "made plain" });
    expect((await good(`GET /v1/runs/${old.id}/history`)).body["entries"]).toHaveLength(4);
    await good(`POST /v1/runs/${parked.id}/signals/go`, { json: {} });
    await completed(parked.id);
    const hearer = await start("listed-name", { input: { name } });
    expect((await completed(hearer.id)).output).toEqual({ word: "held" });
    await good("GET /v1/schedules");
    const { body: listed } = await good("GET /v1/runs?limit=200");
    expect(JSON.stringify(listed)).not.toContain("not to be read");
  });

  it("rekey goes through registers and lanes of many pages, and runs of many rows", async () => {
    const { id } = await start("chain", { input: { steps: 520 } }, "?wait=60s");
    await good("PATCH /v1/lanes/canary%20lane", { json: { limit: 40 } });
    const register = registerObject(shardOf(id, shardCount()));
    // A page of each, before all others.
    const ghosts = Array.from({ length: 100 }, (_unused, index) => ({ id: `0-ghost-${index}`, createdAt: 1 }));
    await register.enrol(ghosts);
    await Promise.all(ghosts.map((ghost) => laneRoll().register(ghost.id)));
    setKeys(two, one);
    const { body } = await good("POST /v1/directory/rekey");
    expect((await completed(String(body["id"]))).output).toMatchObject({ gone: 100, failed: 0, failures: [] });
    expect((await keysOf(id)).length).toBeGreaterThan(500);
    expect(new Set(await keysOf(id))).toEqual(new Set(["k2"]));
    await runInDurableObject(env.LANES.getByName("lane:canary lane"), (_object, { storage }) => {
      const { state } = storage.sql.exec<{ state: string }>("SELECT state FROM lane").one();
      expect(state).toMatch(/enc1\.k2\./);
    });
    await register.strike(ghosts);
    await Promise.all(ghosts.map((ghost) => laneRoll().unregister(ghost.id)));
  });

  it("rekey counts and names what it could not open, which stays as it is: its key must not go", async () => {
    const { id } = await start("canary-child", { input: { word: "w" } }, "?wait=60s");
    setKeys(two);
    await forget(id);
    const { body } = await good("POST /v1/directory/rekey");
    const { output } = await completed(String(body["id"]));
    const { failed, failures } = output as { failed: number; failures: readonly object[] };
    expect(failed).toBeGreaterThanOrEqual(failures.length);
    expect(failures).toContainEqual(expect.objectContaining({ object: `run ${id}` }));
    expect(new Set(await keysOf(id))).toEqual(new Set(["k1"]));
    setKeys(two, one);
    expect((await good(`GET /v1/runs/${id}`)).body).toMatchObject({ output: "made w" });
  });

  it("rekey seals a buffered signal as a whole, or leaves it as it is", async () => {
    const name = newId("whole");
    await good(`POST /v1/signals/${name}`, { json: { word: "whole" }, headers: { "idempotency-key": newId("whole") } });
    setKeys(two, one);
    const shard = env.DIRECTORY.getByName("shard-0");
    const known = () =>
      runInDurableObject(shard, (_object, { storage }) =>
        storage.sql.exec<{ number: number }>("SELECT * FROM broadcasts WHERE name = ?", name).one(),
      );
    const before = await known();
    const fail = (how: string) => runInDurableObject(shard, (_object, { storage }) => void storage.sql.exec(how));
    await fail("CREATE TRIGGER full BEFORE INSERT ON payloads BEGIN SELECT raise(ABORT, 'full'); END");
    const seal = async () => await directoryShard(0).rekey({ kind: "signals", after: before.number - 1 });
    await expect(seal()).rejects.toThrow("full");
    await fail("DROP TRIGGER full");
    expect(await known()).toEqual(before);
    expect(await seal()).toMatchObject({ sealed: 2, failed: 0 });
    expect(await known()).not.toEqual(before);
  });

  it("is refused without a key to seal with, and to all but admins", async () => {
    expect(await refusal("POST /v1/directory/rekey", { token: "o-token-123" })).toBe("403 role_insufficient");
    setKeys();
    expect(await refusal("POST /v1/directory/rekey")).toBe("503 config_invalid");
    setKeys("k1:short");
    const { status, text } = await ask("POST /v1/workflows/canary-child/runs", { json: { input: { word: "w" } } });
    expect([status, text]).toEqual([503, expect.stringContaining("ENCRYPTION_KEYS, key 1 (k1)")]);
  });
});

describe("a key that is gone", () => {
  it("refuses every read and action of the run, which waits unharmed and goes on with the key", async () => {
    const { id } = await start("canary-parked", { input: { word: "w", life: 2 } });
    await vi.waitFor(async () => {
      expect((await good(`GET /v1/runs?idPrefix=${id}&status=waiting`)).body["runs"]).toHaveLength(1);
    }, 60_000);
    const before = await rowsOf(id);
    setKeys(two);
    await forget(id);
    const calls = ["", "/history", "/events", "/timeline", "/queries/word"].map((path) => `GET /v1/runs/${id}${path}`);
    const acts = ["signals/go", "cancel", "terminate", "pause", "retry", "fork", "updates/turn"];
    for (const call of [...calls, ...acts.map((act) => `POST /v1/runs/${id}/${act}`), `DELETE /v1/runs/${id}`]) {
      const { status, body } = await ask(call, call.startsWith("POST") ? { json: {} } : {});
      expect([call, status, body["code"]]).toEqual([call, 503, "key_missing"]);
      expect(body["detail"]).toContain('the key "k1", which ENCRYPTION_KEYS does not have');
    }
    const { body } = await good(`GET /v1/runs?idPrefix=${id}`);
    expect(body["runs"]).toMatchObject([{ id, status: "waiting", reason: expect.stringContaining('the key "k1"') }]);
    expect((await good("GET /v1/directory/causes")).status).toBe(200);
    expect((await good("GET /v1/stats")).status).toBe(200);
    const other = await start("canary-child", { input: { word: "other" } }, "?wait=60s");
    expect(other.output).toBe("made other");
    expect(await rowsOf(id)).toEqual(before);
    setKeys(two, one);
    await good(`POST /v1/runs/${id}/signals/go`, { json: {} });
    await completed(id);
    expect((await historyOf(id)).map(({ kind }) => kind)).not.toContain("run.interrupted");
  });

  it("or with keys that cannot be read, says so to those with a token, and not to who calls an address", async () => {
    const { id } = await start("web-hook", { input: {} });
    const { waitingFor } = await runThatIs(id, { status: "waiting" });
    const { pathname } = new URL(waitingFor[0]?.url ?? "");
    for (const [keys, code] of [
      [[two], "key_missing"],
      [["k1:short"], "config_invalid"],
    ] as const) {
      setKeys(...keys);
      await forget(id);
      const known = await ask(`GET /v1/runs/${id}`);
      expect([known.status, known.body["code"], known.text]).toEqual([503, code, expect.stringContaining("k1")]);
      const called = await ask(`POST ${pathname}`, { token: null });
      expect([called.status, called.body["code"]]).toEqual([503, code]);
      expect(called.text).not.toMatch(/k1|ENCRYPTION/);
    }
    setKeys(one);
    await forget(id);
    expect((await ask(`POST ${pathname}`, { token: null })).status).toBe(202);
  });

  it("costs no death and no attempt: by its alarm the run goes on by itself once the key is back", async () => {
    const { id } = await start("canary-parked", { input: { word: "w", life: 2, fails: true } });
    await runThatIs(id, { status: "waiting", waitingFor: [{ kind: "retry" }] });
    const before = await rowsOf(id);
    setKeys();
    await forget(id);
    const wake = async () =>
      await runInDurableObject(env.RUNS.getByName(id), async (object, { storage }) => {
        await object.alarm?.();
        return ((await storage.getAlarm()) ?? 0) - Date.now();
      });
    for (let times = 0; times < 3; times++) {
      const inMs = await wake();
      expect([inMs > 30_000, inMs <= 60_000]).toEqual([true, true]);
      await forget(id);
    }
    expect(await rowsOf(id)).toEqual(before);
    setKeys(one);
    await wake();
    await runThatIs(id, { status: "waiting", waitingFor: [{ kind: "retry" }] });
    expect((await historyOf(id)).map(({ kind }) => kind)).toEqual([
      "run.created",
      "run.started",
      "step.attempt_failed",
    ]);
  });

  it("keeps what is buffered until somebody can be given it", async () => {
    const name = newId("kept");
    const headers = { "idempotency-key": newId("kept") };
    await good(`POST /v1/signals/${name}`, { json: { word: "kept" }, headers });
    setKeys(two);
    const { id } = await start("listed-name", { input: { name } });
    await runThatIs(id, { status: "waiting" });
    expect(await refusal(`POST /v1/signals/${name}`, { json: { word: "kept" }, headers })).toBe("503 key_missing");
    // For the run it is as if there were none: its report is not the worse for it.
    expect(await directoryShard(0).claim(name, id, [])).toBeNull();
    setKeys(two, one);
    await runInDurableObject(env.DIRECTORY.getByName("shard-0"), async (object, { storage }) => {
      const { check_at: checkAt } = storage.sql.exec("SELECT check_at FROM broadcasts WHERE name = ?", name).one();
      expect(checkAt, "it is looked at again by itself").not.toBeNull();
      expect(await storage.getAlarm()).toBeLessThanOrEqual(Number(checkAt));
      storage.sql.exec("UPDATE broadcasts SET check_at = 1 WHERE name = ? AND delivered IS NULL", name);
      await object.alarm?.();
    });
    expect((await completed(id)).output).toEqual({ word: "kept" });
  });

  it("stops the schedule, which says so, and no other; with it they are as they were", async () => {
    const id = newId("kept");
    const json = { id, workflow: "canary-child", cron: "0 0 1 1 *", input: { word: "w" } };
    await good("POST /v1/schedules", { json });
    setKeys(two);
    await evictDurableObject(env.SCHEDULER.getByName("scheduler")).catch(() => undefined);
    expect(await refusal(`GET /v1/schedules/${id}`)).toBe("503 key_missing");
    expect(await refusal("POST /v1/schedules", { json })).toBe("503 key_missing");
    for (const call of ["GET /v1/schedules", "GET /v1/workflows"]) await good(call);
    await good("POST /v1/schedules", { json: { ...json, id: `${id}-2` } });
    await runInDurableObject(env.SCHEDULER.getByName("scheduler"), async (object, { storage }) => {
      await object.alarm?.();
      expect(await storage.getAlarm()).toBeLessThanOrEqual(Date.now() + 60_000);
    });
    setKeys(two, one);
    expect((await good(`GET /v1/schedules/${id}`)).body).toMatchObject({ id, input: { word: "w" } });
  });

  it("changes nothing of what is known of a schedule whose rule alone it hides", async () => {
    const id = newId("kept");
    const json = { id, workflow: "canary-child", cron: "0 0 1 1 *", input: { word: "w" } };
    await good("POST /v1/schedules", { json });
    setKeys(two, one);
    await good(`PATCH /v1/schedules/${id}`, { json: { paused: true } });
    setKeys(two);
    await evictDurableObject(env.SCHEDULER.getByName("scheduler")).catch(() => undefined);
    await runInDurableObject(env.SCHEDULER.getByName("scheduler"), async (object, { storage }) => {
      const known = () => storage.sql.exec("SELECT state FROM schedules WHERE id = ?", id).one();
      const before = known();
      await object.alarm?.();
      expect(known()).toEqual(before);
    });
    expect(await refusal(`GET /v1/schedules/${id}`)).toBe("503 key_missing");
  });
});

describe("what does not open", () => {
  it("with another key under the same id, or moved from its place, is damaged; never another value", async () => {
    const [first, second] = await Promise.all(
      ["first", "second"].map((word) => start("canary-child", { input: { word } }, "?wait=60s")),
    );
    const [a, b] = [first?.id ?? "", second?.id ?? ""];
    setKeys(wrong);
    await forget(a);
    const { status, body } = await ask(`GET /v1/runs/${a}`);
    expect([status, body["code"], body["detail"]]).toEqual([
      503,
      "journal_corrupt",
      expect.stringContaining("row 4096 of the journal does not open"),
    ]);
    setKeys(one);
    const rows = await rowsOf(a);
    await spoil(b, (sql) => sql.exec("UPDATE journal SET data = ? WHERE row = 4096", rows[0]?.data));
    expect(await refusal(`GET /v1/runs/${b}`)).toBe("503 journal_corrupt");
    await spoil(a, (sql) => {
      sql.exec("UPDATE journal SET data = ? WHERE row = ?", rows.at(-1)?.data, rows.at(-2)?.row);
    });
    expect(await refusal(`GET /v1/runs/${a}`)).toBe("503 journal_corrupt");
  });
});

describe("what is stored", () => {
  it("has as many rows with keys as without, and is less than twice as long", async () => {
    const stored = async (keys: string) => {
      setKeys(keys);
      const { id } = await start("chain", { input: { steps: 20 } }, "?wait=60s");
      const rows = await rowsOf(id);
      return { rows: rows.length, length: rows.reduce((sum, { data }) => sum + data.length, 0) };
    };
    const [plain, sealed] = [await stored(""), await stored(one)];
    const ratio = sealed.length / plain.length;
    expect(sealed.rows).toBe(plain.rows);
    expect(ratio, `${sealed.length} of ${plain.length}`).toBeGreaterThan(4 / 3);
    expect(ratio).toBeLessThan(2);
  });

  it("holds no payload with keys set, and every one without", async () => {
    const [open, sealed] = ["canaryPlainQ7ZX", "canarySealedW3VK"];
    setKeys();
    await saturate(open, "lane mail");
    // What it does next, it writes with the key.
    const schedules = await scan(open, ["SCHEDULER"]);
    setKeys(one);
    await saturate(sealed);
    const places = await scan(open, ["RUNS", "DIRECTORY", "LANES"]);
    expect([...places.keys(), ...schedules.keys()].toSorted()).toEqual([
      "DIRECTORY broadcasts.sender",
      "DIRECTORY payloads.text",
      "DIRECTORY runs.rest",
      "LANES lane.state",
      "RUNS journal.data",
      "SCHEDULER backfills.backfill",
      "SCHEDULER plans.plan",
      "SCHEDULER schedules.state",
    ]);
    expect(await scan(sealed)).toEqual(new Map());
  });
});
