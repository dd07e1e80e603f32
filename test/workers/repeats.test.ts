/** Calls that are made once more, under their id or their Idempotency-Key: the same, and another. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { DurableObject } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { encode, undefinedValue } from "../../src/core/value/value.ts";
import { defineWorkflow } from "../../src/index.ts";
import { Catalog } from "../../src/objects/deployment/catalog.ts";
import { nameOfKey } from "../../src/objects/deployment/digest.ts";
import { laneObject, runObject } from "../../src/objects/address.ts";
import type { LaneRpc } from "../../src/objects/rpc/lane.ts";
import type { RunRpc } from "../../src/objects/rpc/run.ts";
import { createService, startByName } from "../../src/objects/service.ts";
import { ask, historyOf, newId, refusal, runThatIs } from "./client.ts";
import { code, single } from "./flows/repeat.ts";
import { evict, inRun, passTime } from "./storage.ts";
import { LaneObject, RunObject } from "./worker.ts";

afterEach(() => {
  code.refuses = false;
  code.label = null;
  vi.useRealTimers();
});

const starts = "POST /v1/workflows/repeat-changing/runs";

/** Status, run and code of an answer. */
async function begin(json: object, key?: string, call = starts): Promise<unknown[]> {
  const headers = key === undefined ? {} : { "idempotency-key": key };
  const { status, body } = await ask(call, { json, headers });
  return [status, body["id"] ?? body["code"]];
}

const conflict = [409, "idempotency_conflict"];

const object: RunRpc = RunObject.prototype as DurableObject as RunRpc & DurableObject;

/** Something happens before the next call of this method of a run is answered. */
function before(
  method: "read" | "remember" | "start" | "debounce" | "debounced",
  happens: () => Promise<unknown>,
): void {
  const own = object[method] as (...args: unknown[]) => Promise<never>;
  vi.spyOn(object, method).mockImplementationOnce(async function (this: RunRpc, ...args: unknown[]) {
    await happens();
    return await own.apply(this, args);
  });
}

describe("a start that is repeated", () => {
  it("finds its run although its input is refused by now, by its id and by its key", async () => {
    const id = newId("refused");
    expect(await begin({ id, input: { n: 1 } })).toEqual([201, id]);
    const key = newId("key");
    const [, keyed] = await begin({ input: { n: 1 } }, key);
    code.refuses = true;
    expect(await begin({ id, input: { n: 1 } })).toEqual([200, id]);
    expect(await begin({ input: { n: 1 } }, key)).toEqual([200, keyed]);
    expect(await begin({ id, input: { n: 2 } })).toEqual([422, "input_invalid"]);
    expect(await begin({ input: { n: 2 } }, key)).toEqual([422, "input_invalid"]);
    expect(await begin({ id, input: { n: 1 } }, undefined, "POST /v1/workflows/web-order/runs")).toEqual([
      422,
      "input_invalid",
    ]);
    expect(await begin({ input: { n: 1 } })).toEqual([422, "input_invalid"]);
  });

  it("because its object died begins with care, for the run may be what it died of (guarantee 4)", async () => {
    before("start", () => Promise.reject(new Error("struck by the test")));
    const [status, id] = await begin({ input: { n: 1 } });
    expect(status).toBe(201);
    expect(await historyOf(String(id))).toContainEqual(
      expect.objectContaining({ kind: "run.interrupted", held: true }),
    );
  });

  it("is not made while its object is overloaded: who asked is told to try again", async () => {
    const id = newId("overloaded");
    const own = env.RUNS.getByName.bind(env.RUNS);
    const overloaded = Object.assign(new Error("Durable Object is overloaded"), { overloaded: true });
    const asked: string[] = [];
    const called = (method: string) => () => (asked.push(method), Promise.reject(overloaded));
    const named = vi.spyOn(env.RUNS, "getByName").mockImplementation((name) => {
      return name === id ? ({ start: called("start"), died: called("died") } as never) : own(name);
    });
    expect((await begin({ id, input: { n: 1 } }))[0]).toBe(503);
    named.mockRestore();
    expect(asked).toEqual(["start"]);
  });

  it("brings its signal once, although its schema refuses it by now (guarantee 5)", async () => {
    const key = newId("brought");
    const json = { input: { n: 1 }, signal: { name: "go", payload: { n: 2 } } };
    const [, id] = await begin(json, key);
    code.refuses = true;
    expect(await begin(json, key)).toEqual([200, id]);
    expect(await runThatIs(String(id), { status: "completed" })).toMatchObject({ output: { doubled: 4 } });
    expect((await historyOf(String(id))).filter(({ kind }) => kind === "signal.received")).toHaveLength(1);
  });

  it("is refused with a signal under the key of a start that brought none, also where an older version made the run", async () => {
    const id = newId("older");
    const start = {
      id,
      key: newId("key"),
      workflow: "inbox",
      version: "1",
      input: encode({ count: 1 }, ""),
      labels: {},
      by: "test",
    };
    const request = { ...start, parent: null, schedule: null };
    const { key } = start;
    const payload = encode({ n: 1 }, "");
    const signal = { name: "item", payload, fitted: payload, by: "test", key };
    expect(await runObject(id).start(request)).toMatchObject({ ok: true, value: { created: true } });
    const refused = { ok: false, refusal: { code: "idempotency_conflict" } };
    expect(await runObject(id).start({ ...request, signal })).toMatchObject(refused);
    expect(await runObject(id).start(request)).toMatchObject({ ok: true, value: { created: false } });
    const other = { ...signal, key: newId("other") };
    expect(await runObject(id).start({ ...request, key: other.key, signal: other })).toMatchObject({ ok: true });
  });

  it("finds its run whatever labels its workflow makes by now", async () => {
    const key = newId("labels");
    const json = { input: { n: 1 }, labels: { city: "Bremen" } };
    code.label = "one";
    const [, id] = await begin(json, key);
    for (const label of ["two", null]) {
      code.label = label;
      expect(await begin(json, key)).toEqual([200, id]);
      expect(await begin({ ...json, labels: { city: "Kiel" } }, key)).toEqual(conflict);
      expect(await begin({ input: { n: 1 } }, key)).toEqual(conflict);
    }
  });

  it("finds the run that answered it, whatever labels its workflow makes by now", async () => {
    const call = "POST /v1/workflows/repeat-single/runs";
    const key = newId("single");
    code.label = "one";
    const first = await begin({}, undefined, call);
    expect(await begin({}, key, call)).toEqual([200, first[1]]);
    code.label = "two";
    expect(await begin({}, key, call)).toEqual([200, first[1]]);
    expect(await begin({ labels: { city: "Kiel" } }, key, call)).toEqual(conflict);
    await ask(`POST /v1/runs/${String(first[1])}/terminate`);
  });
});

describe("a start that another run answered", () => {
  it("finds that run although its input is refused by now, and brings its signal once (guarantee 5)", async () => {
    const call = "POST /v1/workflows/repeat-held/runs";
    const [, id] = await begin({ input: { n: 1 } }, undefined, call);
    const json = { input: { n: 2 }, signal: { name: "go", payload: { n: 3 } } };
    const key = newId("held");
    expect(await begin(json, key, call)).toEqual([200, id]);
    await runThatIs(String(id), { status: "completed", output: { n: 3 } });
    code.refuses = true;
    expect(await begin(json, key, call)).toEqual([200, id]);
    expect(await begin({ ...json, input: { n: 4 } }, key, call)).toEqual(conflict);
    expect(await begin(json, newId("other"), call)).toEqual([422, "input_invalid"]);
    expect((await historyOf(String(id))).filter(({ kind }) => kind === "signal.received")).toHaveLength(1);
  });

  it("has its key for itself: neither a start with an id nor a batch takes it (guarantee 1)", async () => {
    const call = "POST /v1/workflows/repeat-single/runs";
    const [, id] = await begin({}, undefined, call);
    const key = newId("answered");
    expect(await begin({}, key, call)).toEqual([200, id]);
    expect(await begin({ id: newId("own") }, key, call)).toEqual(conflict);
    expect(await begin({ runs: [{}] }, key, "POST /v1/workflows/repeat-single/batch")).toEqual(conflict);
    expect(await begin({}, key, call)).toEqual([200, id]);
    await ask(`POST /v1/runs/${String(id)}/terminate`);
  });

  it.each([false, true])(
    "has its key for itself: no start of another workflow takes it, with an id: %s",
    async (given) => {
      const call = "POST /v1/workflows/repeat-single/runs";
      const [, first] = await begin({}, undefined, call);
      const key = newId("answered");
      const own = given ? { id: newId("own") } : {};
      expect(await begin(own, key, call)).toEqual([200, first]);
      expect(await begin({ ...own, input: { n: 1 } }, key)).toEqual(conflict);
      expect(await begin(own, key, call)).toEqual([200, first]);
      await ask(`POST /v1/runs/${String(first)}/terminate`);
    },
  );

  describe("at the same time", () => {
    const call = "POST /v1/workflows/repeat-single/runs";
    const end = (id: unknown) => ask(`POST /v1/runs/${String(id)}/terminate`);

    /** A start would take the key of the singleton at once. */
    async function expectFree(): Promise<void> {
      const next = { runId: newId("next"), until: "ended", force: false } as const;
      const lane = laneObject("singleton:repeat-single");
      expect(await lane.claim(next)).toMatchObject({ claimed: true });
      await lane.release(next.runId);
    }

    it("is the run that was made under its key meanwhile, for the one that answered it has ended", async () => {
      const [, first] = await begin({}, undefined, call);
      const key = newId("twice");
      let made: unknown[] = [];
      before("remember", async () => {
        await end(first);
        made = await begin({}, key, call);
      });
      const late = await begin({}, key, call);
      expect([made[0], late]).toEqual([201, [200, made[1]]]);
      await end(made[1]);
    });

    it("is the run that answered it meanwhile, for the one that it found has ended", async () => {
      const [, first] = await begin({}, undefined, call);
      const key = newId("twice");
      let [next, answer]: unknown[][] = [];
      before("remember", async () => {
        await end(first);
        next = await begin({}, undefined, call);
        answer = await begin({}, key, call);
      });
      const late = await begin({}, key, call);
      expect([next?.[0], answer, late]).toEqual([201, [200, next?.[1]], [200, next?.[1]]]);
      await end(next?.[1]);
    });

    it("is refused where it is another one", async () => {
      const [, first] = await begin({}, undefined, call);
      const key = newId("twice");
      before("remember", async () => expect(await begin({ input: 1 }, key, call)).toEqual([200, first]));
      expect(await begin({ input: 2 }, key, call)).toEqual(conflict);
      await end(first);
    });

    it("is the run that answered it, also where it was about to make one; others may make theirs at once", async () => {
      const [, first] = await begin({}, undefined, call);
      const key = newId("twice");
      expect(await crossed(() => begin({}, key, call), first)).toEqual([
        [200, first],
        [200, first],
      ]);
      await expectFree();
    });

    it("is refused where its key is bound meanwhile, and leaves nothing in the way", async () => {
      const key = newId("bound");
      before("start", async () => expect((await begin({ id: newId("own"), input: { n: 1 } }, key))[0]).toBe(201));
      expect(await begin({}, key, call)).toEqual(conflict);
      await expectFree();
    });

    it("is refused where its id is given to another meanwhile, which is the one that goes on", async () => {
      const id = newId("own");
      before("start", async () => expect(await begin({ id, input: 1 }, undefined, call)).toEqual([201, id]));
      expect(await begin({ id, input: 2 }, undefined, call)).toEqual([409, "run_exists"]);
      expect(await begin({}, undefined, call)).toEqual([200, id]);
      await end(id);
    });

    it("is answered by the run that goes on, also where the lane cannot ask it", async () => {
      const [, first] = await begin({}, undefined, call);
      before("read", () => Promise.reject(new Error("struck by the test")));
      expect(await begin({}, undefined, call)).toEqual([200, first]);
      await end(first);
    });

    it("makes a run where the one that goes on ends before it is asked", async () => {
      const [, first] = await begin({}, undefined, call);
      const lane = LaneObject.prototype as DurableObject as LaneRpc & DurableObject;
      const { claim } = lane;
      vi.spyOn(lane, "claim").mockImplementationOnce(async function (this: LaneRpc, asked) {
        const claimed = await claim.call(this, asked);
        await end(first);
        return claimed;
      });
      const [status, next] = await begin({}, undefined, call);
      expect([status, next === first]).toEqual([201, false]);
      await end(next);
    });

    it("is the run that answered it, also of a schedule (guarantee 6)", async () => {
      const [, first] = await begin({}, undefined, call);
      const id = newId("firing");
      const fire = startByName(new Catalog([single.definition]));
      const start = { id, input: undefinedValue, by: "test", schedule: { id: "repeat-single", at: 0 } };
      const firing = async () => (await fire("repeat-single", start)).run.id;
      expect(await crossed(firing, first)).toEqual([first, first]);
      expect(await refusal(`GET /v1/runs/${id}`)).toBe("404 run_not_found");
    });

    describe("where the run that it was to be merged into did not get it, and began", () => {
      const call = "POST /v1/workflows/repeat-both/runs";

      /** That run, and the key of the start. */
      async function half(): Promise<[first: unknown, key: string]> {
        const [[, first], key] = [await begin({}, undefined, call), newId("half")];
        before("debounce", () => Promise.reject(new Error("struck by the test")));
        expect(await begin({}, key, call)).toEqual([500, "internal"]);
        vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * 3_600_000 });
        await runDurableObjectAlarm(env.RUNS.getByName(String(first)));
        expect((await ask(`GET /v1/runs/${String(first)}`)).body).toMatchObject({ status: "waiting" });
        return [first, key];
      }

      it("is that run, which answers it because it goes on, also where it was about to make one", async () => {
        const [first, key] = await half();
        const [asked, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
        let other: Promise<unknown[]> | undefined;
        before("remember", async () => {
          await end(first);
          before("debounced", () => {
            asked.resolve();
            return over.promise;
          });
          other = begin({}, key, call);
          await asked.promise;
        });
        expect(await begin({}, key, call)).toEqual([200, first]);
        over.resolve();
        expect(await other).toEqual([200, first]);
      });

      it("is that run, which answered it because it went on, and not the next", async () => {
        const [first, key] = await half();
        let [next, answer]: unknown[][] = [];
        before("debounce", async () => {
          answer = await begin({}, key, call);
          await end(first);
          next = await begin({}, undefined, call);
        });
        const late = await begin({}, key, call);
        expect([next?.[0], answer, late]).toEqual([201, [200, first], [200, first]]);
        await end(next?.[1]);
      });
    });

    /** Starts twice: one finds the run that goes on, the other that it has ended; and yet the first is answered first. */
    async function crossed<Answer>(start: () => Promise<Answer>, first: unknown): Promise<Answer[]> {
      const [begun, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      let other: Promise<Answer> | undefined;
      before("remember", async () => {
        await end(first);
        before("start", () => {
          begun.resolve();
          return over.promise;
        });
        other = start();
        await begun.promise;
      });
      const answers = [await start()];
      over.resolve();
      return [...answers, ...(other === undefined ? [] : [await other])];
    }
  });

  it("finds that run although its workflow has no limit by now", async () => {
    const [, first] = await begin({}, undefined, "POST /v1/workflows/repeat-single/runs");
    const key = newId("answered");
    expect(await begin({}, key, "POST /v1/workflows/repeat-single/runs")).toEqual([200, first]);
    const { definition } = defineWorkflow("repeat-single", { handler: () => null });
    const { runs } = createService(new Catalog([definition]));
    const again = await runs.start({ workflow: "repeat-single", input: undefinedValue, key, by: "test" });
    expect(again).toMatchObject({ run: { id: first }, created: false });
    await ask(`POST /v1/runs/${String(first)}/terminate`);
  });

  it("is part of its run although its workflow has another limit by now, by which another run would answer it", async () => {
    const key = newId("merged");
    const [, id] = await begin({}, undefined, "POST /v1/workflows/repeat-both/runs");
    expect(await begin({}, key, "POST /v1/workflows/repeat-both/runs")).toEqual([200, id]);
    const { definition } = defineWorkflow("repeat-both", { singleton: { mode: "skip" }, handler: () => null });
    const { runs } = createService(new Catalog([definition]));
    await ask(`POST /v1/runs/${String(id)}/terminate`);
    const start = { workflow: "repeat-both", input: undefinedValue, by: "test" };
    const { run } = await runs.start({ ...start, startAt: Date.now() + 60_000 });
    expect(run.id).not.toBe(id);
    expect(await runs.start({ ...start, key })).toMatchObject({ run: { id }, created: false });
    await ask(`POST /v1/runs/${run.id}/terminate`);
  });

  it("is part of its run although its input is refused by now, and the run has gone on as new (guarantee 5)", async () => {
    const call = "POST /v1/workflows/repeat-merged/runs";
    const keys = [newId("merged"), newId("merged")];
    const [, id] = await begin({ input: { n: 1 } }, keys[0], call);
    expect(await begin({ input: { n: 1 } }, keys[1], call)).toEqual([200, id]);
    await passTime(String(id), 3_600_000);
    await runThatIs(String(id), { status: "waiting" });
    for (const refuses of [false, true]) {
      code.refuses = refuses;
      for (const key of keys) expect(await begin({ input: { n: 1 } }, key, call)).toEqual([200, id]);
    }
    code.refuses = false;
    await ask(`POST /v1/runs/${String(id)}/signals/next`);
    const continuation = async () => (await historyOf(String(id)))[0]?.["continuation"];
    await expect.poll(continuation).toMatchObject({ count: 1 });
    for (const refuses of [false, true]) {
      code.refuses = refuses;
      for (const key of keys) expect(await begin({ input: { n: 1 } }, key, call)).toEqual([200, id]);
    }
    await ask(`POST /v1/runs/${String(id)}/terminate`);
  });
});

describe("the same Idempotency-Key with another body is 409", () => {
  const input = { n: 1 };

  it.each([
    ["another delay", { delay: "1 hour" }, { delay: "2 hours" }],
    ["another notAfter", { notAfter: "2035-01-01T00:00:00Z" }, { notAfter: "2036-01-01T00:00:00Z" }],
    ["a delay that is left out", { delay: "1 hour" }, {}],
    ["another startAt", { startAt: "2035-01-01T00:00:00Z" }, { startAt: "2035-01-01T00:00:01Z" }],
    ["an update that comes later", {}, { update: { name: "count", argument: 1 } }],
    ["an update that is left out", { update: { name: "count", argument: 1 } }, {}],
    ["a signal that comes later", {}, { signal: { name: "go", payload: input } }],
    ["a signal that is left out", { signal: { name: "go", payload: input } }, {}],
    ["another payload", { signal: { name: "go", payload: input } }, { signal: { name: "go", payload: { n: 2 } } }],
  ])("of a start: %s", async (_, first, other) => {
    const key = newId("body");
    const [, id] = await begin({ input, ...first }, key);
    expect(await begin({ input, ...first }, key)).toEqual([200, id]);
    expect(await begin({ input, ...other }, key)).toEqual(conflict);
    const kinds = (await historyOf(String(id))).map(({ kind }) => kind);
    const brought = kinds.filter((kind) => kind === "signal.received" || kind === "update.accepted");
    expect(brought).toHaveLength("signal" in first || "update" in first ? 1 : 0);
  });

  it("of a start: a span is the same however it is written, and whenever", async () => {
    const key = newId("span");
    const [, id] = await begin({ input, delay: "1 hour" }, key);
    expect(await begin({ input, delay: 3_600_000 }, key)).toEqual([200, id]);
  });

  it("of a fork: another reason", async () => {
    const id = newId("original");
    await begin({ id, input });
    const call = `POST /v1/runs/${id}/fork`;
    const key = newId("fork");
    const [, fork] = await begin({ reason: "one" }, key, call);
    expect(await begin({ reason: "one" }, key, call)).toEqual([200, fork]);
    expect(await begin({ reason: "two" }, key, call)).toEqual(conflict);
    expect(await begin({}, key, call)).toEqual(conflict);
  });
});

describe("an Idempotency-Key that came with an id", () => {
  it("stands for its run as long as that is there, and is free afterwards", async () => {
    const [id, other, key] = [newId("long"), newId("other"), newId("key")];
    expect(await begin({ id, input: { n: 1 } }, key)).toEqual([201, id]);
    const object = env.RUNS.getByName(await nameOfKey(key));
    const kept = () => runInDurableObject(object, (_run, { storage }) => [...storage.kv.list()]);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 31 * 24 * 3_600_000 });
    await runDurableObjectAlarm(object);
    expect(await begin({ id: other, input: { n: 1 } }, key)).toEqual(conflict);
    expect(await begin({ id, input: { n: 1 } }, key)).toEqual([200, id]);
    await ask(`POST /v1/runs/${id}/terminate`);
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    expect(await kept()).toEqual([]);
    expect(await begin({ id: other, input: { n: 1 } }, key)).toEqual([201, other]);
  });

  it("of a start that was refused is free after its time", async () => {
    const [id, other, key] = [newId("taken"), newId("other"), newId("key")];
    await begin({ id, input: { n: 1 } });
    expect(await begin({ id, input: { n: 2 } }, key)).toEqual([409, "run_exists"]);
    await ask(`POST /v1/runs/${id}/terminate`);
    await ask(`DELETE /v1/runs/${id}`);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 31 * 24 * 3_600_000 });
    await runDurableObjectAlarm(env.RUNS.getByName(await nameOfKey(key)));
    expect(await begin({ id: other, input: { n: 1 } }, key)).toEqual([201, other]);
  });
});

describe("a signal that is repeated", () => {
  it("is a duplicate although its schema refuses it by now, and made another payload of it (guarantee 5)", async () => {
    const id = newId("signal");
    await begin({ id, input: { n: 1 } });
    const call = `POST /v1/runs/${id}/signals/go`;
    const sent = { json: { n: 2 }, headers: { "idempotency-key": "once" } };
    expect((await ask(call, sent)).body).toEqual({ accepted: true, duplicate: false });
    await runThatIs(id, { status: "completed", output: { doubled: 4 } });
    expect((await ask(call, sent)).body).toEqual({ accepted: true, duplicate: true });
    code.refuses = true;
    await evict(id);
    expect((await ask(call, sent)).body).toEqual({ accepted: true, duplicate: true });
    expect(await refusal(call, { ...sent, json: { n: 3 } })).toBe("422 signal_invalid");
    code.refuses = false;
    expect(await refusal(call, { ...sent, json: { n: 3 } })).toBe("409 idempotency_conflict");
  });
});

describe("a retry that is repeated", () => {
  it("is one, also if it comes when the run has failed once more, in another process (guarantee 5)", async () => {
    const id = newId("fragile");
    await begin({ id }, undefined, "POST /v1/workflows/web-fragile/runs");
    const retries = async (): Promise<number> =>
      (await historyOf(id)).filter(({ kind }) => kind === "run.retried").length;
    const sent = { json: {}, headers: { "idempotency-key": "again" } };
    await runThatIs(id, { status: "failed" });
    const answers = await Promise.all([1, 2, 3].map(() => ask(`POST /v1/runs/${id}/retry`, sent)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    await runThatIs(id, { status: "failed" });
    await evict(id);
    expect((await ask(`POST /v1/runs/${id}/retry`, sent)).body).toMatchObject({ status: "failed" });
    expect(await retries()).toBe(1);
  });
});

describe("a deletion that is repeated", () => {
  it("is known for a day, and not for as long as a later run of that id is there", async () => {
    const id = newId("deleted");
    const headers = { "idempotency-key": "delete it" };
    const begun = async (): Promise<void> => {
      await begin({ id, input: { n: 1 } });
      await ask(`POST /v1/runs/${id}/terminate`);
    };
    await begun();
    expect((await ask(`DELETE /v1/runs/${id}`, { headers })).status).toBe(204);
    await begun();
    expect((await ask(`DELETE /v1/runs/${id}`, { headers })).status).toBe(204);
    expect((await ask(`GET /v1/runs/${id}`)).status).toBe(200);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 25 * 3_600_000 });
    expect((await ask(`DELETE /v1/runs/${id}`, { headers })).status).toBe(204);
    expect((await ask(`GET /v1/runs/${id}`)).status).toBe(404);
  });

  it("is known at the same time, too", async () => {
    const id = newId("deleted");
    await begin({ id, input: { n: 1 } });
    await ask(`POST /v1/runs/${id}/terminate`);
    const deleted = () => ask(`DELETE /v1/runs/${id}`, { headers: { "idempotency-key": "delete it" } });
    const answers = await Promise.all([deleted(), deleted()]);
    expect(answers.map(({ status }) => status)).toEqual([204, 204]);
  });

  it("is done if the storage failed before: the run is not taken for deleted", async () => {
    const id = newId("deleted");
    const headers = { "idempotency-key": "delete it" };
    await begin({ id, input: { n: 1 } });
    await ask(`POST /v1/runs/${id}/terminate`);
    await inRun(id, ({ storage }) => {
      vi.spyOn(storage, "deleteAll").mockRejectedValueOnce(new Error("disk I/O error: SQLITE_IOERR"));
    });
    expect((await ask(`DELETE /v1/runs/${id}`, { headers })).status).toBe(503);
    expect((await ask(`DELETE /v1/runs/${id}`, { headers })).status).toBe(204);
    expect((await ask(`GET /v1/runs/${id}`)).status).toBe(404);
  });

  it.each([false, true])(
    "is known if its process died as soon as the run was deleted; damaged: %s",
    async (damaged) => {
      const id = newId("deleted");
      const headers = { "idempotency-key": "delete it" };
      await begin({ id, input: { n: 1 } });
      await ask(`POST /v1/runs/${id}/terminate`);
      const stub = env.RUNS.getByName(id);
      if (damaged) {
        await runInDurableObject(stub, (_object, { storage }) =>
          storage.sql.exec("UPDATE journal SET data = 'no JSON'"),
        );
        await evict(id);
      }
      await runInDurableObject(stub, (_object, ctx) => {
        const { storage } = ctx;
        const own = storage.deleteAll.bind(storage);
        vi.spyOn(storage, "deleteAll").mockImplementation(async () => {
          await own();
          await storage.sync();
          ctx.abort("struck by the test");
        });
      });
      expect((await ask(`DELETE /v1/runs/${id}`, { headers })).status).toBe(503);
      expect((await ask(`DELETE /v1/runs/${id}`, { headers })).status).toBe(204);
      expect((await ask(`GET /v1/runs/${id}`)).status).toBe(404);
    },
  );
});
