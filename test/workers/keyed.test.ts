/** Runs that an Idempotency-Key made: what they are called, and that an id means one of them and no other. */
import { runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import type { DurableObject } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createClient } from "../../src/client.ts";
import { keyedRunId, objectName } from "../../src/core/run/key.ts";
import { getRun } from "../../src/index.ts";
import { encode } from "../../src/core/value/value.ts";
import { laneObject, registerObject, shardOf } from "../../src/objects/address.ts";
import { Marks } from "../../src/objects/start/marks.ts";
import { nameOfKey } from "../../src/objects/deployment/digest.ts";
import type { RunRpc } from "../../src/objects/rpc/run.ts";
import type { CheckedStart } from "../../src/objects/rpc/start.ts";
import { ask, historyOf, newId, refusal, runThatIs, tokens } from "./client.ts";
import type { Ask, RunJson } from "./client.ts";
import { periodMs } from "./flows/flow.ts";
import { code } from "./flows/repeat.ts";
import { evict, inRun, passTime } from "./storage.ts";
import { RunObject } from "./worker.ts";

const made = /^[0-7][0-9A-HJKMNP-TV-Z]{9}-[0-9a-f]{32}$/;
const keyed = (key: string, json?: unknown): Ask => ({ json, headers: { "idempotency-key": key } });

afterEach(() => {
  code.refuses = false;
});

/** Status, and the run or the code. */
async function begin(workflow: string, json: object, key?: string): Promise<[number, string]> {
  const { status, body } = await ask(
    `POST /v1/workflows/${workflow}/runs`,
    key === undefined ? { json } : keyed(key, json),
  );
  return [status, String(body["id"] ?? body["code"])];
}

/** A new run of a new key. */
async function born(workflow: string, input: object = {}): Promise<{ id: string; key: string }> {
  const key = newId("key");
  const [status, id] = await begin(workflow, { input }, key);
  expect([status, id]).toEqual([201, expect.stringMatching(made)]);
  return { id, key };
}

async function remove(id: string): Promise<void> {
  await ask(`POST /v1/runs/${id}/terminate`);
  expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
}

async function later(): Promise<void> {
  const now = Date.now();
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(now + 1), { interval: 1 });
}

/** The id of another time, of the same key. */
const astray = (id: string, at = 1): string => keyedRunId(objectName(id), at);

/** What can be asked of a run, as the calls behind its address. */
const calls: readonly (readonly [call: string, options?: Ask])[] = [
  ["GET "],
  ["GET ?wait=10ms"],
  ["GET /history"],
  ["GET /timeline"],
  ["GET /events"],
  ["GET /queries/any"],
  ["POST /updates/any", { json: 1 }],
  ["POST /signals/go", { json: { n: 1 } }],
  ["POST /signals/go", keyed("once", { n: 1 })],
  ...["cancel", "terminate", "pause", "resume", "retry"].map((action) => [`POST /${action}`] as const),
  ["POST /cancel", keyed("once", {})],
  ["POST /fork", { json: {} }],
  ["POST /fork?dryRun=true", { json: {} }],
  ["POST /export"],
  ["POST /webhooks/paid/revoke"],
  ["DELETE "],
  ["DELETE ", keyed("once")],
];

/** Nothing that is asked of the id is answered. */
async function expectNone(id: string): Promise<void> {
  for (const [call, options] of calls) {
    const [method, rest = ""] = call.split(" ");
    const path = `${String(method)} /v1/runs/${id}${rest}`;
    expect([path, await refusal(path, options)]).toEqual([path, "404 run_not_found"]);
  }
}

describe("the mark of a key", () => {
  it("stays where its run cannot be asked whether it goes on", async () => {
    const [, id] = await begin("web-echo", {});
    const key = env.RUNS.getByName(await nameOfKey(newId("key")));
    await runInDurableObject(key, async (_object, { storage }) => {
      const marks = new Marks(storage);
      await marks.bind(id, undefined);
      const run = RunObject.prototype as DurableObject as RunRpc & DurableObject;
      vi.spyOn(run, "read").mockRejectedValueOnce(new Error("struck by the test"));
      await storage.deleteAlarm();
      expect(await marks.outlasts()).toBe(true);
      // It is looked at again in a month.
      expect(await storage.getAlarm()).toBeGreaterThan(Date.now() + 29 * 86_400_000);
    });
  });

  it.each([
    ["that is gone", async () => newId("gone")],
    ["that is there yet", async () => (await begin("web-echo", {}))[1]],
  ])("stays where the key is given to another run while it is asked for the first one, %s", async (_how, make) => {
    const key = env.RUNS.getByName(await nameOfKey(newId("key")));
    const [gone, next] = [await make(), newId("next")];
    await runInDurableObject(key, async (_object, { storage }) => {
      const marks = new Marks(storage);
      await marks.bind(gone, undefined);
      const isKept = marks.outlasts();
      await marks.unbind(gone, undefined);
      await marks.bind(next, undefined);
      expect(await isKept).toBe(true);
      // The removal of the first, once more.
      await marks.unbind(gone, undefined);
      await expect(marks.bind(gone, undefined)).rejects.toMatchObject({ code: "idempotency_conflict" });
    });
  });
});

it("a run that has the name of a key's object for its id outlives the run that the key was given with (guarantee 1)", async () => {
  const [key, id] = [newId("key"), newId("given")];
  expect(await begin("web-echo", { id, input: {} }, key)).toEqual([201, id]);
  const own = await nameOfKey(key);
  expect(await begin("web-echo", { id: own, input: {} })).toEqual([201, own]);
  await runThatIs(own, { status: "completed" });
  await remove(id);
  expect(await refusal(`GET /v1/runs/${id}`)).toBe("404 run_not_found");
  await evict(own);
  expect((await ask(`GET /v1/runs/${own}`)).body).toMatchObject({ id: own, status: "completed" });
});

describe("the id of a run that was started with a key", () => {
  it("sorts by time, over HTTP and through the client, with a key or without", async () => {
    const client = createClient({
      url: "http://example.com",
      token: tokens.admin,
      fetch: (request) => exports.default.fetch(request),
    });
    const ids: string[] = [];
    for (let round = 0; round < 3; round++) {
      await later();
      ids.push((await born("web-echo")).id);
      await later();
      ids.push((await begin("web-echo", {}))[1]);
      await later();
      const handle = await client.workflow("web-echo").start({ round });
      ids.push(handle.id);
      expect(handle.id).toMatch(made);
      await handle.result();
    }
    expect(ids.toSorted()).toEqual(ids);
  });

  it("is the same for the same key, also after an eviction; another body with it is refused", async () => {
    const { id, key } = await born("repeat-changing", { n: 1 });
    for (let times = 0; times < 2; times++) {
      await later();
      expect(await begin("repeat-changing", { input: { n: 1 } }, key)).toEqual([200, id]);
      expect(await begin("repeat-changing", { input: { n: 2 } }, key)).toEqual([409, "idempotency_conflict"]);
      code.refuses = true;
      expect(await begin("repeat-changing", { input: { n: 1 } }, key)).toEqual([200, id]);
      code.refuses = false;
      await evict(id);
    }
    const { status, headers } = await ask("POST /v1/workflows/repeat-changing/runs", keyed(key, { input: { n: 1 } }));
    expect([status, headers.get("location")]).toEqual([200, `/v1/runs/${id}`]);
    expect((await runThatIs(id, { status: "waiting" })).id).toBe(id);
    expect((await historyOf(id))[0]).toMatchObject({ kind: "run.created", id });
  });

  it("is made once where many starts come at once", async () => {
    const key = newId("crowd");
    const all = await Promise.all(Array.from({ length: 20 }, () => begin("repeat-changing", { input: { n: 1 } }, key)));
    expect(new Set(all.map(([, id]) => id)).size).toBe(1);
    expect(all.filter(([status]) => status === 201)).toHaveLength(1);
  });

  it("does with the run what the id of any run does", async () => {
    const { id } = await born("repeat-changing", { n: 1 });
    await runThatIs(id, { status: "waiting" });
    expect((await ask(`POST /v1/runs/${id}/pause`)).body).toMatchObject({ id, status: "paused" });
    expect((await ask(`POST /v1/runs/${id}/resume`)).body).toMatchObject({ id });
    expect((await ask(`POST /v1/runs/${id}/updates/count`, { json: 1 })).body).toEqual({ result: 2 });
    expect((await ask(`GET /v1/runs/${id}/timeline`)).status).toBe(200);
    expect((await ask(`POST /v1/runs/${id}/signals/go`, { json: { n: 2 } })).status).toBe(202);
    expect((await ask(`GET /v1/runs/${id}?wait=60s`)).body).toMatchObject({ id, status: "completed" });
    expect((await ask(`GET /v1/runs/${id}/events`)).text).toContain("run.completed");
    expect(await getRun(id).result()).toEqual({ doubled: 4 });
    const listed = async (): Promise<unknown> => (await ask(`GET /v1/runs?idPrefix=${id}`)).body["runs"];
    await expect.poll(listed).toMatchObject([{ id, status: "completed" }]);
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    expect(await listed()).toEqual([]);
    await expectNone(id);
  });

  it("is told apart where its values are too large to travel with it", async () => {
    const { id } = await born("heavy", { size: 9_000_000 });
    const { output } = await runThatIs(id, { status: "completed" });
    expect(output).toHaveLength(9_000_000);
  });
});

describe("a key whose run was deleted", () => {
  it("makes another run, with an id of its own; the old one is that of none (an id means one run)", async () => {
    const { id, key } = await born("repeat-changing", { n: 1 });
    await remove(id);
    await later();
    const [status, next] = await begin("repeat-changing", { input: { n: 1 } }, key);
    expect([status, next > id, next]).toEqual([201, true, expect.stringMatching(made)]);
    await runThatIs(next, { status: "waiting" });
    const before = await historyOf(next);
    await expectNone(id);
    await evict(next);
    await expectNone(id);
    expect(await historyOf(next)).toEqual(before);
    expect(await begin("repeat-changing", { input: { n: 1 } }, key)).toEqual([200, next]);
  });

  it("a deletion that is repeated is known, and is none of the next run", async () => {
    const { id, key } = await born("repeat-changing", { n: 1 });
    const deletion = keyed("delete it");
    await ask(`POST /v1/runs/${id}/terminate`);
    expect((await ask(`DELETE /v1/runs/${id}`, deletion)).status).toBe(204);
    await later();
    const [, next] = await begin("repeat-changing", { input: { n: 1 } }, key);
    await ask(`POST /v1/runs/${next}/terminate`);
    expect((await ask(`DELETE /v1/runs/${id}`, deletion)).status).toBe(204);
    expect((await ask(`GET /v1/runs/${next}`)).status).toBe(200);
    expect((await ask(`DELETE /v1/runs/${next}`, deletion)).status).toBe(204);
    expect(await refusal(`GET /v1/runs/${next}`)).toBe("404 run_not_found");
    expect((await ask(`DELETE /v1/runs/${next}`, deletion)).status).toBe(204);
    const another = keyed("delete it", { reason: "another" });
    expect(await refusal(`DELETE /v1/runs/${next}`, another)).toBe("409 idempotency_conflict");
  });

  it("a deletion that is repeated is known also after the key stood for a run with an id of its own (guarantee 5)", async () => {
    const { id, key } = await born("repeat-changing", { n: 1 });
    const deletion = keyed("delete it");
    await ask(`POST /v1/runs/${id}/terminate`);
    expect((await ask(`DELETE /v1/runs/${id}`, deletion)).status).toBe(204);
    const own = newId("own");
    expect(await begin("repeat-changing", { id: own, input: { n: 1 } }, key)).toEqual([201, own]);
    await remove(own);
    expect((await ask(`DELETE /v1/runs/${id}`, deletion)).status).toBe(204);
  });

  it("a deletion by the name of the object is none by the id of the next run", async () => {
    const { id, key } = await born("repeat-changing", { n: 1 });
    const deletion = keyed("delete it");
    await ask(`POST /v1/runs/${id}/terminate`);
    for (let times = 0; times < 2; times++)
      expect((await ask(`DELETE /v1/runs/${objectName(id)}`, deletion)).status).toBe(204);
    await later();
    const [, next] = await begin("repeat-changing", { input: { n: 1 } }, key);
    await ask(`POST /v1/runs/${next}/terminate`);
    expect((await ask(`DELETE /v1/runs/${next}`, deletion)).status).toBe(204);
    expect(await refusal(`GET /v1/runs/${next}`)).toBe("404 run_not_found");
  });

  it("a webhook of the old run is not one of the next", async () => {
    const urlOf = async (id: string): Promise<string> => {
      const { waitingFor } = await runThatIs(id, { status: "waiting" });
      return new URL(String(waitingFor[0]?.url)).pathname;
    };
    const headers = { "content-type": "application/json" };
    const { id, key } = await born("awaits-calls");
    const url = await urlOf(id);
    await remove(id);
    await later();
    const [, next] = await begin("awaits-calls", { input: {} }, key);
    const open = await urlOf(next);
    expect(await refusal(`POST ${url}`, { json: 1, token: null, headers })).toBe("404 webhook_not_found");
    await evict(next);
    expect((await ask(`POST ${open}`, { json: 1, token: null, headers })).status).toBe(202);
    await runThatIs(next, { status: "completed", output: [1] });
  });
});

describe("a run of before, called as its object is", () => {
  /** As the Worker asked for it that knew no other name for it. */
  async function older(key: string, n = 1): Promise<unknown> {
    const id = await nameOfKey(key);
    const input = encode({ n }, "the input");
    return await (env.RUNS.getByName(id) as unknown as RunRpc).start({
      ...{ id, key, workflow: "repeat-changing", version: "1", input, labels: {}, by: "older" },
      ...{ parent: null, schedule: null },
    });
  }

  it("is found by its key and by its id, and by no other", async () => {
    const key = newId("older");
    const id = await nameOfKey(key);
    expect(await older(key)).toMatchObject({ ok: true, value: { created: true, run: { id } } });
    expect(await begin("repeat-changing", { input: { n: 1 } }, key)).toEqual([200, id]);
    expect(await begin("repeat-changing", { input: { n: 2 } }, key)).toEqual([409, "idempotency_conflict"]);
    expect((await ask(`GET /v1/runs/${id}`)).body).toMatchObject({ id });
    await expectNone(astray(id));
    await remove(id);
    const [status, next] = await begin("repeat-changing", { input: { n: 1 } }, key);
    expect([status, next]).toEqual([201, expect.stringMatching(made)]);
  });

  it("the Worker of before finds the run of a key that was started since", async () => {
    const { id, key } = await born("repeat-changing", { n: 1 });
    const name = await nameOfKey(key);
    expect(await older(key)).toMatchObject({ ok: true, value: { created: false, run: { id } } });
    expect(await older(key, 2)).toMatchObject({ ok: false, refusal: { code: "idempotency_conflict" } });
    expect((await ask(`GET /v1/runs/${name}`)).body).toMatchObject({ id });
  });
});

describe("an id of that form that a caller gives", () => {
  const input = { n: 1 };

  it("of the run itself finds it; one of another time is refused, whatever comes with it", async () => {
    const { id, key } = await born("repeat-changing", input);
    const before = await historyOf(id);
    for (const word of [undefined, key]) expect(await begin("repeat-changing", { input, id }, word)).toEqual([200, id]);
    const wrong = astray(id);
    expect(await begin("repeat-changing", { input, id: wrong })).toEqual([409, "run_exists"]);
    expect(await begin("repeat-changing", { input, id: wrong }, key)).toEqual([409, "idempotency_conflict"]);
    const other = newId("other");
    expect(await begin("repeat-changing", { input, id: wrong }, other)).toEqual([409, "run_exists"]);
    const signal = { name: "go", payload: { n: 1 } };
    expect(await begin("repeat-changing", { input, id: wrong, signal })).toEqual([409, "run_exists"]);
    code.refuses = true;
    expect(await begin("repeat-changing", { input, id: wrong })).toEqual([422, "input_invalid"]);
    expect(await begin("repeat-changing", { input, id: wrong, signal })).toEqual([422, "input_invalid"]);
    expect(await begin("repeat-changing", { input, id })).toEqual([200, id]);
    expect(await historyOf(id)).toEqual(before);
    await expectNone(wrong);
  });

  it("that is the name of the object finds no run that is called otherwise", async () => {
    const { id, key } = await born("repeat-changing", input);
    const name = objectName(id);
    const other = newId("other");
    for (const word of [undefined, other])
      expect(await begin("repeat-changing", { input, id: name }, word)).toEqual([409, "run_exists"]);
    expect(await begin("repeat-changing", { input, id: name }, key)).toEqual([200, id]);
    await remove(id);
    expect(await begin("repeat-changing", { input, id: name })).toEqual([201, name]);
  });

  it("of no run is given to one, as any id is; its key then finds that run, or is refused", async () => {
    const key = newId("key");
    const id = astray(await nameOfKey(key), 1000);
    await expectNone(id);
    expect(await begin("repeat-changing", { input, id })).toEqual([201, id]);
    expect((await runThatIs(id, { status: "waiting" })).id).toBe(id);
    expect(await begin("repeat-changing", { input }, key)).toEqual([200, id]);
    expect(await begin("repeat-changing", { input: { n: 2 } }, key)).toEqual([409, "run_exists"]);
    await expectNone(astray(id, 1001));
  });

  it("stands beside a key of another: that is for it and no other run", async () => {
    const key = newId("key");
    const id = astray(await nameOfKey(newId("another")), 1000);
    expect(await begin("repeat-changing", { input, id }, key)).toEqual([201, id]);
    expect(await begin("repeat-changing", { input, id }, key)).toEqual([200, id]);
    expect(await begin("repeat-changing", { input, id: astray(id, 999) }, key)).toEqual([409, "idempotency_conflict"]);
    expect(await begin("repeat-changing", { input }, key)).toEqual([409, "idempotency_conflict"]);
    await remove(id);
    expect((await begin("repeat-changing", { input }, key))[0]).toBe(201);
  });
});

describe("limits know a start by its key, whatever its run is called", () => {
  const laneOf = async (name: string): Promise<Record<string, unknown>> =>
    (await ask(`GET /v1/lanes/${encodeURIComponent(name)}`)).body;

  it("a singleton's lane shows the run that has the key, and lets it go with the run", async () => {
    const group = newId("group");
    const lane = `singleton:flow-single:${group}`;
    const { id } = await born("flow-single", { key: group });
    expect(await laneOf(lane)).toMatchObject({ used: 1, holders: [{ run: id }] });
    const word = newId("key");
    const json = { input: { key: group, n: 2 } };
    expect(await begin("flow-single", json, word)).toEqual([200, id]);
    await remove(id);
    expect(await laneOf(lane)).toMatchObject({ used: 0, holders: [] });
    const { id: next } = await born("flow-single", { key: group });
    expect(await laneOf(lane)).toMatchObject({ used: 1, holders: [{ run: next }] });
  });

  it("a start that a run answered is not answered by the next of that run's key", async () => {
    const group = newId("group");
    const json = { input: { key: group } };
    const { id, key } = await born("flow-single", json.input);
    const word = newId("key");
    for (let times = 0; times < 2; times++) expect(await begin("flow-single", json, word)).toEqual([200, id]);
    await remove(id);
    await later();
    const [, next] = await begin("flow-single", json, key);
    await ask(`POST /v1/runs/${next}/terminate`);
    const [status, own] = await begin("flow-single", json, word);
    expect([status, objectName(own)]).toEqual([201, await nameOfKey(word)]);
  });

  it("what an older version remembered of a start that a run answered, under the key itself, is known", async () => {
    const group = newId("group");
    const json = { input: { key: group } };
    const { id } = await born("flow-single", json.input);
    const word = newId("key");
    expect(await begin("flow-single", json, word)).toEqual([200, id]);
    await ask(`POST /v1/runs/${id}/terminate`);
    await inRun(await nameOfKey(word), ({ storage: { kv } }) => {
      kv.put("answered-by", { ...kv.get<object>("answered-by"), token: word });
    });
    expect(await begin("flow-single", json, word)).toEqual([200, id]);
  });

  it("a start that is refused for its id takes nothing from the run of that key", async () => {
    const group = newId("group");
    const key = newId("key");
    const json = { input: { key: group } };
    const name = await nameOfKey(key);
    const own = env.RUNS.getByName.bind(env.RUNS);
    const ids: string[] = [];
    /** The run of the key is made right before the start for the other id comes to its object. */
    const overtaken = async (request: CheckedStart): Promise<unknown> => {
      if (ids.length === 0) {
        ids.push("…");
        ids.push((await begin("flow-single", json, key))[1]);
      }
      return await (own(name) as unknown as RunRpc).start(request);
    };
    const meddled = (): object =>
      new Proxy(own(name), {
        get: (object, call) => (call === "start" ? overtaken : Reflect.get(object, call)) as unknown,
      });
    const named = vi.spyOn(env.RUNS, "getByName");
    named.mockImplementation((each) => (each === name ? (meddled() as never) : own(each)));
    const refused = await begin("flow-single", { ...json, id: astray(name) }).finally(() => named.mockRestore());
    expect(refused).toEqual([409, "run_exists"]);
    expect(await laneOf(`singleton:flow-single:${group}`)).toMatchObject({ used: 1, holders: [{ run: ids[1] }] });
    expect((await runThatIs(String(ids[1]), { status: "waiting" })).id).toMatch(made);
  });

  it("a start that replaces is not replaced by its repetition", async () => {
    const group = newId("group");
    const first = await born("flow-newest", { key: group });
    const second = await born("flow-newest", { key: group });
    await runThatIs(first.id, { status: "cancelled" });
    expect(await begin("flow-newest", { input: { key: group } }, second.key)).toEqual([200, second.id]);
    expect(await begin("flow-newest", { input: { key: group } }, first.key)).toEqual([200, first.id]);
    await runThatIs(second.id, { status: "waiting" });
    const crowd = newId("key");
    const all = await Promise.all(
      Array.from({ length: 8 }, () => begin("flow-newest", { input: { key: group } }, crowd)),
    );
    expect(new Set(all.map(([, id]) => id)).size).toBe(1);
    await runThatIs(String(all[0]?.[1]), { status: "waiting" });
  });

  it("a run that is retried has the key of its singleton again, under its name", async () => {
    const group = newId("group");
    const first = await born("flow-falters-skip", { key: group, n: 0 });
    await runThatIs(first.id, { status: "failed" });
    const second = await born("flow-falters-skip", { key: group, n: 1 });
    expect(await refusal(`POST /v1/runs/${first.id}/retry`)).toBe("409 singleton_held");
    await ask(`POST /v1/runs/${second.id}/terminate`);
    expect((await ask(`POST /v1/runs/${first.id}/retry`)).status).toBe(200);
    await runThatIs(first.id, { status: "waiting" });
    expect(await begin("flow-falters-skip", { input: { key: group, n: 2 } }, newId("key"))).toEqual([200, first.id]);
    expect(await laneOf(`singleton:flow-falters-skip:${group}`)).toMatchObject({ holders: [{ run: first.id }] });
  });

  it("a retry that has to ask for the key first is none of the run that came meanwhile", async () => {
    const group = newId("group");
    const { id, key } = await born("flow-falters-skip", { key: group, n: 0 });
    await runThatIs(id, { status: "failed" });
    const own = env.LANES.getByName.bind(env.LANES);
    const ids: string[] = [];
    const newest = async (): Promise<unknown> => (await historyOf(String(ids[0]))).at(-1);
    const lanes = vi.spyOn(env.LANES, "getByName");
    /** The next run of the key fails right before the first is asked whether it may go on. */
    const overtaken = async (claim: unknown): Promise<unknown> => {
      lanes.mockRestore();
      expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
      await later();
      ids.push((await begin("flow-falters-skip", { input: { key: group, n: 0 } }, key))[1]);
      await expect.poll(newest).toMatchObject({ kind: "run.failed" });
      return await laneObject(`singleton:flow-falters-skip:${group}`).claim(claim as never);
    };
    lanes.mockImplementation(
      (name) =>
        new Proxy(own(name), {
          get: (object, call) => (call === "claim" ? overtaken : Reflect.get(object, call)) as unknown,
        }),
    );
    expect(await refusal(`POST /v1/runs/${id}/retry`)).toBe("404 run_not_found");
    expect(await newest()).toMatchObject({ kind: "run.failed" });
  });

  it("a debounce makes one run of several keys, and each finds it again", async () => {
    const group = newId("group");
    const { id, key } = await born("flow-settled", { key: group, n: 1 });
    const other = newId("key");
    const json = { input: { key: group, n: 2 } };
    for (let times = 0; times < 2; times++) {
      expect(await begin("flow-settled", json, other)).toEqual([200, id]);
      expect(await begin("flow-settled", { input: { key: group, n: 1 } }, key)).toEqual([200, id]);
    }
    await passTime(id, periodMs);
    await runThatIs(id, { status: "completed", output: 2 });
    expect(await begin("flow-settled", json, other)).toEqual([200, id]);
  });

  it("a rate counts a key once, also where its run was deleted and it makes another", async () => {
    const group = newId("group");
    const json = { input: { key: group, n: 1 } };
    const { id, key } = await born("flow-rated", json.input);
    for (let times = 0; times < 3; times++) expect((await begin("flow-rated", json, key))[0]).toBe(200);
    for (let times = 0; times < 2; times++) expect((await begin("flow-rated", json, newId("key")))[0]).toBe(201);
    expect((await begin("flow-rated", json, newId("key")))[1]).toBe("rate_limited");
    await remove(id);
    expect((await begin("flow-rated", json, key))[0]).toBe(201);
  });

  it("a lane grants its slot to the run that waits for it", async () => {
    const group = newId("group");
    const first = await born("nomad", { key: group });
    await runThatIs(first.id, { status: "waiting" });
    const second = await born("nomad", { key: group });
    await runThatIs(second.id, { status: "queued" });
    expect(await laneOf(`concurrency:nomad:${group}`)).toMatchObject({
      holders: [{ run: first.id }],
      queue: [{ run: second.id }],
    });
    await evict(second.id);
    await ask(`POST /v1/runs/${first.id}/signals/go`);
    await runThatIs(second.id, { status: "waiting" });
  });
});

describe("runs of keys among others", () => {
  it("fork, with a key and without", async () => {
    const { id } = await born("repeat-changing", { n: 1 });
    const fork = async (key?: string): Promise<[number, string]> => {
      const { status, body } = await ask(`POST /v1/runs/${id}/fork`, key === undefined ? { json: {} } : keyed(key, {}));
      return [status, String(body["id"])];
    };
    const key = newId("fork");
    const [status, made1] = await fork(key);
    expect([status, made1]).toEqual([201, expect.stringMatching(made)]);
    await later();
    expect(await fork(key)).toEqual([200, made1]);
    expect((await historyOf(made1))[0]).toMatchObject({ id: made1, fork: { id } });
    expect((await fork())[0]).toBe(201);
    const [, second] = await begin("repeat-changing", { input: { n: 1 } }, newId("key"));
    expect((await ask(`POST /v1/runs/${second}/fork`, { json: { id: newId("fork") } })).status).toBe(201);
  });

  it("are listed, and taken by a bulk action, which is one for its key", async () => {
    const batch = newId("batch");
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) {
      await later();
      ids.unshift((await born("bulk-parked", { batch })).id);
    }
    const list = async (): Promise<unknown> =>
      ((await ask(`GET /v1/runs?label.batch=${batch}&status=waiting`)).body["runs"] as RunJson[]).map(({ id }) => id);
    await expect.poll(list).toEqual(ids);
    const json = { action: "cancel", filter: { labels: { batch } } };
    const key = newId("bulk");
    const { status, body } = await ask("POST /v1/runs/bulk", keyed(key, json));
    expect([status, body["id"]]).toEqual([202, expect.stringMatching(made)]);
    expect((await ask("POST /v1/runs/bulk", keyed(key, json))).body["id"]).toBe(body["id"]);
    await runThatIs(String(body["id"]), { status: "completed", output: expect.objectContaining({ succeeded: 3 }) });
    for (const id of ids) await runThatIs(id, { status: "cancelled" });
  });

  it("are listed anew by a rebuild, and of those that are gone nothing is", async () => {
    const { id, key } = await born("repeat-changing", { n: 1 });
    await remove(id);
    await later();
    const [, next] = await begin("repeat-changing", { input: { n: 1 } }, key);
    await runThatIs(next, { status: "waiting" });
    // As if the shard had died before it struck the run out.
    await registerObject(shardOf(id)).enrol([{ id, createdAt: 1 }]);
    const { body } = await ask("POST /v1/directory/rebuild", { json: {} });
    await runThatIs(String(body["id"]), { status: "completed", output: expect.objectContaining({ failures: [] }) });
    const enrolled = async (run: string): Promise<string[]> =>
      (await registerObject(shardOf(run)).enrolled("", 100)).map((each) => each.id);
    expect(await enrolled(id)).not.toContain(id);
    expect(await enrolled(next)).toContain(next);
    expect((await ask(`GET /v1/runs?idPrefix=${next}`)).body["runs"]).toMatchObject([{ id: next }]);
  });

  it("have children that find them", async () => {
    const child = newId("child");
    const { id } = await born("caller", { calls: [{ workflow: "patient", input: {}, id: child }] });
    await runThatIs(child, { status: "waiting", parent: { id } });
    await evict(id);
    await ask(`POST /v1/runs/${child}/signals/go`, { json: { say: "done" } });
    await runThatIs(id, { status: "completed", output: ["done"] });
  });

  it("are children where their id is given, and tell their end", async () => {
    const key = newId("key");
    const child = astray(await nameOfKey(key), 1000);
    const { id } = await born("caller", { calls: [{ workflow: "patient", input: {}, id: child }] });
    await runThatIs(child, { status: "waiting", parent: { id } });
    await ask(`POST /v1/runs/${child}/signals/go`, { json: { say: "done" } });
    await runThatIs(id, { status: "completed", output: ["done"] });
  });

  it("travel under their id, and under none of another time", async () => {
    const { id, key } = await born("wanderer");
    await runThatIs(id, { status: "waiting" });
    await ask(`POST /v1/runs/${id}/pause`);
    const { text: raw } = await ask(`POST /v1/runs/${id}/export`);
    expect(await refusal(`POST /v1/runs/import`, { raw })).toBe("409 run_exists");
    await remove(id);
    const headers = { "idempotency-key": key };
    expect((await ask("POST /v1/runs/import", { raw, headers })).body).toMatchObject({ id, status: "paused" });
    expect((await ask("POST /v1/runs/import", { raw })).status).toBe(200);
    for (const query of [`?id=${astray(id)}`, `?id=${astray(id)}&`])
      expect(await refusal(`POST /v1/runs/import${query}`, { raw })).toBe("409 run_exists");
    expect(await begin("wanderer", { input: {} }, key)).toEqual([200, id]);
    await expectNone(astray(id));
  });

  it("of a webhook's deliveries are named by what they are called", async () => {
    const { id, key } = await born("repeat-changing", { n: 1 });
    await later();
    expect(await begin("repeat-changing", { input: { n: 1 } }, key)).toEqual([200, id]);
    const { createHmac } = await import("node:crypto");
    const body = JSON.stringify({ type: "event_callback", event_id: newId("Ev") });
    const send = async (raw: string): Promise<Record<string, unknown>> => {
      const time = String(Math.floor(Date.now() / 1000));
      const signature = createHmac("sha256", "the secret of Slack").update(`v0:${time}:${raw}`).digest("hex");
      const headers = {
        ...{ "content-type": "application/json", "x-slack-request-timestamp": time },
        "x-slack-signature": `v0=${signature}`,
      };
      return (await ask("POST /webhooks/slack", { token: null, raw, headers })).body;
    };
    const first = await send(body);
    expect(first["run"]).toMatch(made);
    expect(await send(`${body} `)).toEqual({ run: first["run"], duplicate: true });
  });

  it("are removed and taken off the list where they cannot be read, by their id and no other", async () => {
    const { id } = await born("damage-victim");
    const listed = async (): Promise<unknown> => (await ask(`GET /v1/runs?idPrefix=${id}`)).body["runs"];
    await expect.poll(listed).toMatchObject([{ id, status: "waiting" }]);
    const object = env.RUNS.getByName(objectName(id));
    await runInDurableObject(object, (_run, { storage }) =>
      storage.sql.exec("UPDATE journal SET data = '[' WHERE row > 4096 AND row <= 3 * 4096"),
    );
    await evict(id);
    expect(await refusal(`GET /v1/runs/${id}`)).toBe("503 journal_corrupt");
    await expectNone(astray(id));
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    expect(await listed()).toEqual([]);
    expect(await refusal(`GET /v1/runs/${id}`)).toBe("404 run_not_found");
  });
});
