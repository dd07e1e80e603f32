/** What a start passes before there is a run, over HTTP and in the objects. */
import { abortAllDurableObjects } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { createClient } from "../../src/client.ts";
import { createWorker, defineWorkflow } from "../../src/index.ts";
import type { RunAction } from "../../src/core/service/service.ts";
import { objectName } from "../../src/core/run/key.ts";
import { encode } from "../../src/core/value/value.ts";
import { laneObject } from "../../src/objects/address.ts";
import { Catalog } from "../../src/objects/deployment/catalog.ts";
import type { LaneRpc } from "../../src/objects/rpc/lane.ts";
import type { RunRpc } from "../../src/objects/rpc/run.ts";
import { createService } from "../../src/objects/service.ts";
import { ask, historyOf, newId, refusal, runThatIs, tokens } from "./client.ts";
import type { Ask, RunJson } from "./client.ts";
import { flowWorkflows, maxMs, periodMs, rushMs } from "./flows/flow.ts";
import { evict, passTime } from "./storage.ts";
import { LaneObject, RunObject } from "./worker.ts";

const service = createService(new Catalog(flowWorkflows.map(({ definition }) => definition)));

type Answered = { readonly status: number; readonly run: RunJson; readonly headers: Headers };

async function start(workflow: string, input: object, fields: object = {}, options: Ask = {}): Promise<Answered> {
  const { status, body, headers } = await ask(`POST /v1/workflows/${workflow}/runs`, {
    json: { input, ...fields },
    ...options,
  });
  return { status, run: body as unknown as RunJson, headers };
}

const keyed = (key: string): Ask => ({ headers: { "idempotency-key": key } });

function many<Value>(count: number, make: (n: number) => Promise<Value>): Promise<Value[]> {
  return Promise.all(Array.from({ length: count }, (_, n) => make(n)));
}

async function end(id: string): Promise<void> {
  await ask(`POST /v1/runs/${id}/signals/end`, { json: {} });
  await runThatIs(id, { status: "completed" });
}

describe("options", () => {
  const handler = (): null => null;

  it("are checked where the workflow is defined", () => {
    const define = (options: object) => () => defineWorkflow("bad", { handler, ...options });
    expect(define({ concurrency: 0 })).toThrow(expect.objectContaining({ code: "options_invalid" }));
    expect(define({ lane: "debounce:bad" })).toThrow(/workflow bad: lane/);
    expect(define({ rateLimit: { limit: 1, period: "soon" } })).toThrow(/workflow bad: rateLimit\.period/);
    expect(define({ singleton: { mode: "skip", keys: handler } })).toThrow(/workflow bad: singleton\.keys is unknown/);
    expect(define({ concurency: 1 })).toThrow(/workflow bad has no option "concurency"; it takes handler/);
    // What is called like an option stands for none.
    const schema = { "~standard": { version: 1, vendor: "test", validate: (value: unknown) => ({ value }) } };
    expect(define({ input: {}, signals: { input: schema } })).toThrow(/workflow bad: input must be a Standard Schema/);
    expect(define({ signals: { go: {} } })).toThrow(/workflow bad: signals\.go must be a Standard Schema/);
    expect(define({ signals: null })).toThrow(/workflow bad: signals must be an object/);
    expect(define({ limits: 5 })).toThrow(/workflow bad: limits must be an object/);
    expect(define({ retries: -1 })).toThrow(/workflow bad: retry\.limit/);
    expect(define({ limits: { steps: -1, perStep: { steps: 1 } } })).toThrow(/workflow bad: limits: steps/);
  });

  it("of createWorker are checked as well, and say which of the workflows is none", () => {
    const one = defineWorkflow("one", { handler });
    const make = (options: unknown) => () => createWorker(options as { workflows: [] });
    expect(make(undefined)).toThrow(/the options of createWorker must be a plain object, not undefined/);
    expect(make({ workflows: { one } })).toThrow(/createWorker: workflows must be an array/);
    expect(make({ workflows: [one, undefined] })).toThrow(/workflows\[1\] is undefined .*import each other/);
    expect(make({ workflows: [handler] })).toThrow(/workflows\[0\] is a function, and not what defineWorkflow made/);
    expect(make({ workflows: [one], webhook: [] })).toThrow(expect.objectContaining({ code: "options_invalid" }));
  });

  it("of two workflows that give one lane different limits are refused where they come together", () => {
    const one = defineWorkflow("one", { handler, lane: { name: "shared", limit: 1 } });
    const two = defineWorkflow("two", { handler, lane: { name: "shared", limit: 2 } });
    const named = defineWorkflow("three", { handler, lane: "shared" });
    // The newest version of each has the say.
    const older = defineWorkflow("two", { handler, version: "0", lane: { name: "shared", limit: 9 } });
    expect(() => createWorker({ workflows: [one, two] })).toThrow(/"shared" has a limit of 1 in workflow one and of 2/);
    const newer = defineWorkflow("two", { handler, lane: { name: "shared", limit: 1 } });
    expect(() => createWorker({ workflows: [one, named, older, newer] })).not.toThrow();
  });

  it("whose functions cannot take the input refuse the start with 422, and there is no run", async () => {
    const id = newId("bad");
    for (const input of [null, { key: 7 }, { key: "" }, { key: "k".repeat(257) }]) {
      const bad = { json: { id, input } };
      expect(await refusal("POST /v1/workflows/flow-single/runs", bad)).toBe("422 input_invalid");
    }
    const { body } = await ask("POST /v1/workflows/flow-laned/runs", { json: { id, input: { key: "a", n: "high" } } });
    expect(body).toMatchObject({ status: 422, detail: expect.stringMatching(/^the priority of flow-laned cannot/) });
    expect(await refusal(`GET /v1/runs/${id}`)).toBe("404 run_not_found");
  });

  it("say what the run needs of lanes, on record from its creation", async () => {
    const { run } = await start("flow-laned", { key: "acme", n: 7 });
    const [created] = await historyOf(run.id);
    const need = { scope: "run", periodMs: null, priority: 7, hold: false };
    expect(created).toMatchObject({
      kind: "run.created",
      lanes: [
        { ...need, lane: "singleton:flow-laned:acme", limit: 1, hold: true },
        { ...need, lane: "flow mail", limit: 2 },
        { ...need, lane: "concurrency:flow-laned:acme", limit: 4 },
        { ...need, lane: "throttle:flow-laned:acme", limit: 100, periodMs: 1000 },
      ],
    });
    const [bare] = await historyOf((await start("flow-rated", { key: newId("k") })).run.id);
    expect(bare).not.toHaveProperty("lanes");
  });
});

describe("rateLimit", () => {
  it("refuses what is beyond it with 429 and says when to come again", async () => {
    const key = newId("k");
    const answers = await many(20, () => start("flow-rated", { key }));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    const refused = answers.filter(({ status }) => status !== 201);
    for (const { status, run, headers } of refused) {
      expect([status, run]).toEqual([
        429,
        expect.objectContaining({ code: "rate_limited", title: "Too Many Requests" }),
      ]);
      const seconds = Number(headers.get("retry-after"));
      expect(Number.isInteger(seconds) && seconds > 3500 && seconds <= 3600).toBe(true);
    }
    expect((await start("flow-rated", { key: newId("other") })).status).toBe(201);
  });

  it("tells a typed start the same", async () => {
    const [rated] = flowWorkflows;
    if (rated === undefined) throw new Error("there are no workflows");
    const key = newId("k");
    for (let n = 0; n < 3; n++) await rated.start({ key, n });
    const refused = await rated.start({ key, n: 3 }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ name: "HoldfastError", code: "rate_limited", retryAfterMs: expect.any(Number) });
    expect((refused as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(3_500_000);
    // In words for people, as all spans are told.
    expect((refused as Error).message).toMatch(
      / takes 3 starts in 1 h; this one may be made in (?:59 min(?: \d+ s)?|1 h)$/,
    );
  });

  it("never refuses a start that finds its run, by id or by key", async () => {
    const key = newId("k");
    const [id, word] = [newId("run"), newId("key")];
    const first = await start("flow-rated", { key, n: 1 }, { id });
    const second = await start("flow-rated", { key, n: 2 }, {}, keyed(word));
    await start("flow-rated", { key, n: 3 });
    expect((await start("flow-rated", { key, n: 4 })).status).toBe(429);
    const again = await many(4, () => start("flow-rated", { key, n: 1 }, { id }));
    for (const { status, run } of again) expect([status, run.id]).toEqual([200, first.run.id]);
    const byKey = await start("flow-rated", { key, n: 2 }, {}, keyed(word));
    expect([byKey.status, byKey.run.id]).toEqual([200, second.run.id]);
    // It is judged as the start of that run, not by the limit.
    const other = { json: { input: { key, n: 9 }, id } };
    expect(await refusal("POST /v1/workflows/flow-rated/runs", other)).toBe("409 run_exists");
  });

  it("counts one id once, however often it is started at once", async () => {
    const key = newId("k");
    const id = newId("run");
    const answers = await many(8, () => start("flow-rated", { key }, { id }));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array.from({ length: 7 }, () => 200), 201]);
    expect((await start("flow-rated", { key })).status).toBe(201);
    expect((await start("flow-rated", { key })).status).toBe(201);
    expect((await start("flow-rated", { key })).status).toBe(429);
  });

  it("lets no more than its limit through in any span of its period", async () => {
    const key = newId("k");
    const from = Date.now();
    const startAt = async (ms: number) => {
      // The clock moves only here: a start is counted at this very millisecond, however long it is under way.
      vi.useFakeTimers({ toFake: ["Date"], now: from + ms });
      const { status, headers } = await start("flow-paced", { key }).finally(() => vi.useRealTimers());
      return [ms, status, headers.get("retry-after")];
    };
    const refused = [401, 999, 1399, 2399, 2999];
    for (const ms of [0, 1, 400, 1000, 1001, 1400, 2000, 2300, 2400, 3000, ...refused].toSorted(
      (one, other) => one - other,
    )) {
      expect(await startAt(ms)).toEqual(refused.includes(ms) ? [ms, 429, "1"] : [ms, 201, null]);
    }
  });
});

describe("singleton", () => {
  it("skip: of 64 starts at once one makes a run, and all answer with it", async () => {
    const key = newId("k");
    const answers = await many(64, (n) => start("flow-single", { key, n }));
    expect(new Set(answers.map(({ run }) => run.id)).size).toBe(1);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(63);
    const other = await start("flow-single", { key: newId("k") });
    expect(other.status).toBe(201);
  });

  it.each(["ended", "deleted", "terminated"])("skip: a run that has %s is in nobody's way", async (how) => {
    const key = newId("k");
    const first = await start("flow-single", { key, n: 1 });
    expect((await start("flow-single", { key, n: 2 })).run.id).toBe(first.run.id);
    if (how === "terminated") await ask(`POST /v1/runs/${first.run.id}/terminate`);
    else await end(first.run.id);
    if (how === "deleted") await ask(`DELETE /v1/runs/${first.run.id}`);
    const second = await start("flow-single", { key, n: 3 });
    expect([second.status, second.run.id === first.run.id]).toEqual([201, false]);
  });

  it("skip: a start that waits is answered with the end of the run that exists", async () => {
    const key = newId("k");
    const input = { key, n: 3_600_000 };
    const { run } = await start("flow-brief", input);
    const reading = vi.spyOn(RunObject.prototype as DurableObject as RunRpc & DurableObject, "read");
    const waiting = ask("POST /v1/workflows/flow-brief/runs?wait=59s", { json: { input } });
    await expect.poll(() => reading).toHaveBeenCalledWith(59_000);
    reading.mockRestore();
    await passTime(run.id, input.n);
    const waited = await waiting;
    expect([waited.status, waited.body]).toEqual([200, expect.objectContaining({ id: run.id, status: "completed" })]);
  });

  it("skip: a run that is kept no longer than it goes on is in nobody's way", async () => {
    const key = newId("k");
    for (const _ of [1, 2]) {
      const { status, body } = await ask("POST /v1/workflows/flow-brief/runs?wait=60s", { json: { input: { key } } });
      expect([status, body["status"]]).toEqual([201, "completed"]);
    }
  });

  it("guarantee 5: skip: the same Idempotency-Key finds the same run again, also after its end", async () => {
    const key = newId("k");
    const word = newId("key");
    const { run } = await start("flow-single", { key, n: 1 });
    expect((await start("flow-single", { key, n: 2 }, {}, keyed(word))).run.id).toBe(run.id);
    await end(run.id);
    const again = await start("flow-single", { key, n: 2 }, {}, keyed(word));
    expect([again.status, again.run.id, again.run.status]).toEqual([200, run.id, "completed"]);
    const other = { json: { input: { key, n: 3 } }, ...keyed(word) };
    expect(await refusal("POST /v1/workflows/flow-single/runs", other)).toBe("409 idempotency_conflict");
    // Without the key it is a new start.
    expect((await start("flow-single", { key, n: 2 })).status).toBe(201);
  });

  it("guarantee 5: skip: a start of a client whose answer was lost finds the run that answered it, also after its end", async () => {
    const key = newId("k");
    const { run } = await start("flow-single", { key, n: 1 });
    let isLost = false;
    const client = createClient({
      url: "http://example.com",
      token: tokens.admin,
      fetch: async (request) => {
        const answer = await exports.default.fetch(request);
        if (isLost) return answer;
        isLost = true;
        await end(run.id);
        throw new TypeError("the connection was cut");
      },
    });
    const { id } = await client.workflow("flow-single").start({ key, n: 2 });
    expect(id).toBe(run.id);
  });

  it("skip: whoever has claimed the key and is on its way is waited for", async () => {
    const key = newId("k");
    const id = newId("run");
    const lane = laneObject(`singleton:flow-single:${key}`);
    expect((await lane.claim({ runId: id, until: "ended", force: false })).claimed).toBe(true);
    const other = start("flow-single", { key, n: 2 });
    const first = await start("flow-single", { key, n: 1 }, { id });
    expect([first.status, (await other).run.id]).toEqual([201, id]);
  });

  it("skip: a start that is refused leaves nothing in the way", async () => {
    const key = newId("k");
    const id = newId("run");
    await start("flow-rated", { key: newId("k") }, { id });
    const taken = { json: { input: { key }, id } };
    expect(await refusal("POST /v1/workflows/flow-single/runs", taken)).toBe("409 run_exists");
    expect((await start("flow-single", { key })).status).toBe(201);
  });

  it("guarantee 1: skip: the key is kept when every process dies", async () => {
    const key = newId("k");
    const { run } = await start("flow-single", { key, n: 1 });
    await abortAllDurableObjects();
    const again = await vi.waitFor(() => start("flow-single", { key, n: 2 }), { timeout: 60_000 });
    expect([again.status, again.run.id]).toEqual([200, run.id]);
  });

  it("replace: cancels the run that exists, and says for whom", async () => {
    const key = newId("k");
    const first = await start("flow-newest", { key, n: 1 });
    const second = await start("flow-newest", { key, n: 2 });
    expect(second.status).toBe(201);
    const error = { code: "cancelled", message: `replaced by ${second.run.id}` };
    await runThatIs(first.run.id, { status: "cancelled", error });
    await runThatIs(second.run.id, { status: "waiting" });
    await end(second.run.id);
    expect((await start("flow-newest", { key, n: 3 })).status).toBe(201);
  });

  it("replace: a run that was replaced is deleted, and the key stays with the next", async () => {
    const key = newId("k");
    const [first, second] = [await start("flow-newest", { key, n: 1 }), await start("flow-newest", { key, n: 2 })];
    await runThatIs(first.run.id, { status: "cancelled" });
    expect((await ask(`DELETE /v1/runs/${first.run.id}`)).status).toBe(204);
    const third = await start("flow-newest", { key, n: 3 });
    await runThatIs(second.run.id, { status: "cancelled" });
    await end(third.run.id);
  });

  it("replace: a start that is refused because its key is of a run with an id replaces nobody", async () => {
    const [key, id] = [newId("k"), newId("given")];
    const input = { key, n: 1 };
    expect(await start("flow-newest", input, { id }, keyed(id))).toMatchObject({ status: 201, run: { id } });
    expect((await start("flow-newest", input, {}, keyed(id))).status).toBe(409);
    expect((await ask(`GET /v1/runs/${id}`)).body).toMatchObject({ status: "waiting" });
  });

  it("replace: of many starts at once each makes a run, and one goes on", async () => {
    const key = newId("k");
    const answers = await many(24, (n) => start("flow-newest", { key, n }));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 24 }, () => 201));
    const going = await vi.waitFor(
      async () => {
        const runs = await many(24, async (n) => (await ask(`GET /v1/runs/${String(answers[n]?.run.id)}`)).body);
        const unfinished = runs.filter(({ status }) => status !== "cancelled");
        expect(unfinished).toHaveLength(1);
        return unfinished[0];
      },
      { timeout: 60_000 },
    );
    // It is the one that has the key: the next start replaces it.
    await start("flow-newest", { key, n: 24 });
    await runThatIs(String(going?.["id"]), { status: "cancelled" });
  });

  it("replace: waits for no run that is removed before it can be cancelled", async () => {
    const key = newId("k");
    const { run } = await start("flow-newest", { key });
    const own = env.RUNS.getByName.bind(env.RUNS);
    // A stub is of the request or object that asked for it.
    const held = (): RunRpc => own(run.id) as unknown as RunRpc;
    let calls = 0;
    const act = async (action: RunAction): Promise<unknown> => {
      if (calls++ === 0) {
        await held().act({ kind: "terminate", by: "admin", reason: null });
        await held().act({ kind: "delete", by: "admin", reason: null });
      }
      return await held().act(action);
    };
    const meddled = (): RunRpc =>
      new Proxy(held(), { get: (object, name) => (name === "act" ? act : Reflect.get(object, name)) as unknown });
    const named = vi.spyOn(env.RUNS, "getByName");
    named.mockImplementation((name) => (name === run.id ? (meddled() as never) : own(name)));
    const next = await start("flow-newest", { key }).finally(() => named.mockRestore());
    expect([next.status, calls]).toEqual([201, 1]);
  });

  it("replace: the same start again replaces nothing", async () => {
    const key = newId("k");
    const id = newId("run");
    for (const status of [201, 200, 200]) expect((await start("flow-newest", { key }, { id })).status).toBe(status);
    await runThatIs(id, { status: "waiting" });
  });

  /** Starts a run that has failed before it answers. */
  async function failed(workflow: string, key: string): Promise<string> {
    const { run } = await start(workflow, { key, n: 0 });
    await runThatIs(run.id, { status: "failed" });
    return run.id;
  }

  it.each(["skip", "replace"])(
    "%s: a run that is retried has to have the key again, and is in the way of the next start like any other",
    async (mode) => {
      const [workflow, key] = [`flow-falters-${mode}`, newId("retried")];
      const first = await failed(workflow, key);
      const other = await start(workflow, { key, n: 1 });
      expect(other.status).toBe(201);
      const { status, body } = await ask(`POST /v1/runs/${first}/retry`);
      expect([status, body["code"], body["detail"]]).toEqual([
        409,
        "singleton_held",
        expect.stringContaining(other.run.id),
      ]);
      await runThatIs(first, { status: "failed" });
      await runThatIs(other.run.id, { status: "waiting" });
      await end(other.run.id);
      expect((await ask(`POST /v1/runs/${first}/retry`)).status).toBe(200);
      await runThatIs(first, { status: "waiting" });
      const next = await start(workflow, { key, n: 1 });
      expect(next.status).toBe(mode === "skip" ? 200 : 201);
      expect(next.run.id === first).toBe(mode === "skip");
      if (mode === "replace") await runThatIs(first, { status: "cancelled" });
    },
  );

  it("skip: a start that comes while a retry is under way is answered by what becomes of it", async () => {
    const key = newId("meeting");
    const first = await failed("flow-falters-skip", key);
    const lane = LaneObject.prototype as DurableObject as LaneRpc & DurableObject;
    const { claim } = lane;
    const claimed = vi.spyOn(lane, "claim");
    claimed.mockImplementationOnce(async function (this: LaneRpc, asked) {
      const answer = await claim.call(this, asked);
      await scheduler.wait(300);
      return answer;
    });
    const retried = ask(`POST /v1/runs/${first}/retry`);
    await expect.poll(() => claimed).toHaveBeenCalledTimes(1);
    expect(await start("flow-falters-skip", { key, n: 1 })).toMatchObject({ status: 200, run: { id: first } });
    expect((await retried).status).toBe(200);
    claimed.mockRestore();
  });

  it("skip: a parent that is retried waits for the run that has the key of its child since", async () => {
    const key = newId("child");
    const parent = await failed("flow-employer", key);
    const other = await start("flow-falters-skip", { key, n: 1 });
    expect((await ask(`POST /v1/runs/${parent}/retry`)).status).toBe(200);
    await runThatIs(parent, { status: "waiting", waitingFor: [{ kind: "run", name: other.run.id }] });
    await end(other.run.id);
    await runThatIs(parent, { status: "completed" });
  });

  it("skip: of retries and starts at once one goes on", async () => {
    const key = newId("rivals");
    const ids: string[] = [];
    for (let count = 0; count < 8; count++) ids.push(await failed("flow-falters-skip", key));
    const [retried, started] = await Promise.all([
      Promise.all(ids.map((id) => ask(`POST /v1/runs/${id}/retry`))),
      many(8, (n) => start("flow-falters-skip", { key, n: n + 1 })),
    ]);
    const going = new Set([
      ...ids.filter((_id, index) => retried[index]?.status === 200),
      ...started.map(({ run }) => run.id),
    ]);
    expect([...going]).toHaveLength(1);
  });
});

describe("debounce", () => {
  it("makes one run of the starts that follow each other, with the latest input, a period after the last", async () => {
    const key = newId("k");
    const first = await start("flow-settled", { key, n: "1" });
    expect(first).toMatchObject({ status: 201, run: { status: "queued", waitingFor: [{ kind: "start" }] } });
    let sentAt = 0;
    for (const n of ["2", "3"]) {
      sentAt = Date.now();
      const next = await start("flow-settled", { key, n });
      expect(next).toMatchObject({
        status: 200,
        run: { id: first.run.id, status: "queued", input: { n: Number(n) }, labels: { n } },
      });
    }
    const answeredAt = Date.now();
    await passTime(first.run.id, periodMs);
    const done = await runThatIs(first.run.id, { status: "completed", output: 3, labels: { n: "3" } });
    const entries = await historyOf(done.id);
    expect(entries.map(({ kind }) => kind).slice(0, 4)).toEqual([
      "run.created",
      "run.debounced",
      "run.debounced",
      "run.started",
    ]);
    const [created, , last, began] = entries;
    expect(created).toMatchObject({ input: { n: 1 }, sent: { n: "1" } });
    expect(last).toMatchObject({ input: { n: 3 }, sent: { n: "3" }, labels: { n: "3" } });
    const counted = Date.parse(String(last?.["startAt"])) - periodMs;
    expect([counted >= sentAt, counted <= answeredAt]).toEqual([true, true]);
    expect(Date.parse(String(began?.at))).toBeGreaterThanOrEqual(Date.parse(String(last?.["startAt"])));
    // It has begun: the next start makes a run of its own.
    const next = await start("flow-settled", { key, n: "4" });
    expect([next.status, next.run.id === first.run.id]).toEqual([201, false]);
  });

  it("is over when the run begins, not when it ends", async () => {
    const key = newId("k");
    const { run } = await start("flow-settled", { key, n: 1, wait: true });
    await passTime(run.id, periodMs);
    await runThatIs(run.id, { status: "waiting" });
    const next = await start("flow-settled", { key, n: 2, wait: true });
    expect([next.status, next.run.id === run.id]).toEqual([201, false]);
  });

  it("of 32 starts at once makes one run", async () => {
    const key = newId("k");
    const answers = await many(32, (n) => start("flow-settled", { key, n }));
    expect(new Set(answers.map(({ run }) => run.id)).size).toBe(1);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    const id = String(answers[0]?.run.id);
    await passTime(id, periodMs);
    const { output } = await runThatIs(id, { status: "completed" });
    const merged = (await historyOf(id)).filter(({ kind }) => kind === "run.debounced");
    expect(merged).toHaveLength(31);
    expect(merged.at(-1)?.["input"]).toMatchObject({ n: output });
  });

  it("puts the run off no further than its maximum", async () => {
    const key = newId("k");
    const first = await start("flow-pressed", { key, n: 0 });
    let last = 0;
    for (let n = 1; ; n++) {
      const { run } = await start("flow-pressed", { key, n });
      if (run.id !== first.run.id) break;
      last = n;
      // Often enough for the period, and seldom enough for one page of history.
      await scheduler.wait(40);
    }
    const { output } = await runThatIs(first.run.id, { status: "completed" });
    expect(output).toBe(last);
    const entries = await historyOf(first.run.id);
    const createdAt = Date.parse(first.run.createdAt);
    const began = entries.find(({ kind }) => kind === "run.started");
    expect(Date.parse(String(began?.at)) - createdAt).toBeGreaterThanOrEqual(maxMs);
    const merged = entries.filter(({ kind }) => kind === "run.debounced");
    expect(merged.length).toBeGreaterThan(2);
    for (const entry of merged) {
      expect(Date.parse(String(entry["startAt"])) - createdAt).toBeLessThanOrEqual(maxMs);
    }
  });

  it("guarantee 1: a start that meets the beginning of the run is in it, or makes the next", async () => {
    const answered = new Map<string, number>();
    const rush = async (times: number): Promise<void> => {
      const key = newId("k");
      for (let n = 20 * times; n < 20 * (times + 1); n++) {
        const { status, run } = await start("flow-rushed", { key, n });
        expect([200, 201]).toContain(status);
        answered.set(run.id, n);
        // One in four comes at once, and the others from a little before the period is over to a little after.
        await scheduler.wait(n % 4 === 0 ? 0 : rushMs - 60 + ((n * 7) % 100));
      }
    };
    await many(5, rush);
    // Some were merged and some were not, or this has shown nothing.
    expect(answered.size).toBeGreaterThan(5);
    expect(answered.size).toBeLessThan(100);
    for (const [id, n] of answered) await runThatIs(id, { status: "completed", output: n });
  });

  it("guarantee 5: a repeated start is one start: it changes nothing again, and finds its run when that began", async () => {
    const key = newId("k");
    const words = [newId("key"), newId("key"), newId("key")];
    const send = (n: number) => start("flow-settled", { key, n }, {}, keyed(String(words[n])));
    const first = await send(0);
    await send(1);
    await send(2);
    for (const n of [0, 1]) {
      expect(await send(n)).toMatchObject({ status: 200, run: { id: first.run.id, input: { n: 2 } } });
    }
    await passTime(first.run.id, periodMs);
    await runThatIs(first.run.id, { status: "completed", output: 2 });
    for (const n of [0, 1, 2]) expect(await send(n)).toMatchObject({ status: 200, run: { id: first.run.id } });
    const other = { json: { input: { key, n: 9 } }, ...keyed(String(words[1])) };
    expect(await refusal("POST /v1/workflows/flow-settled/runs", other)).toBe("409 idempotency_conflict");
    expect((await historyOf(first.run.id)).filter(({ kind }) => kind === "run.debounced")).toHaveLength(2);
  });

  it("a repeated start by id finds its run, whatever was merged into it since", async () => {
    const key = newId("k");
    const id = newId("run");
    await start("flow-settled", { key, n: 1 }, { id });
    await start("flow-settled", { key, n: 2 });
    expect(await start("flow-settled", { key, n: 1 }, { id })).toMatchObject({
      status: 200,
      run: { id, input: { n: 2 } },
    });
    const other = { json: { input: { key, n: 2 }, id } };
    expect(await refusal("POST /v1/workflows/flow-settled/runs", other)).toBe("409 run_exists");
  });

  it("guarantee 4: a run that was put off begins though its object was evicted, with what came last", async () => {
    const key = newId("k");
    const { run } = await start("flow-settled", { key, n: 1 });
    await evict(run.id);
    expect((await start("flow-settled", { key, n: 2 })).run.id).toBe(run.id);
    await evict(run.id);
    await passTime(run.id, periodMs);
    const runs = await vi.waitFor(
      async () => {
        const { body } = await ask(`GET /v1/runs?workflow=flow-settled&status=completed&label.n=2&limit=200`);
        const found = (body["runs"] as RunJson[]).filter(({ id }) => id === run.id);
        expect(found).toHaveLength(1);
        return found;
      },
      { timeout: 60_000, interval: 50 },
    );
    expect(runs[0]).toMatchObject({ status: "completed" });
  });

  it("leaves a run that was cancelled before it began alone", async () => {
    const key = newId("k");
    const { run } = await start("flow-settled", { key, n: 1 });
    await ask(`POST /v1/runs/${run.id}/cancel`);
    const next = await start("flow-settled", { key, n: 2 });
    expect([next.status, next.run.id === run.id]).toEqual([201, false]);
  });

  it("guarantee 1: a start that was merged into a child goes on though the parent gives that up", async () => {
    const [alone, shared] = [newId("k"), newId("k")];
    const call = (key: string) => ({ workflow: "flow-settled", input: { key, n: 1 }, timeout: "1 h" });
    // Two starts of the parent's own make one child, and it stays nobody else's.
    const input = { calls: [call(alone), call(alone), call(shared)], then: "1 day" };
    const { run: parent } = await start("caller", input);
    const { waitingFor } = await runThatIs(parent.id, { status: "waiting", waitingFor: [{}, {}, {}] });
    const { status, run } = await start("flow-settled", { key: shared, n: 2 });
    const [own, ...more] = waitingFor.map(({ name }) => name).filter((name) => name !== run.id);
    expect([status, more]).toEqual([200, [own]]);
    await passTime(parent.id, 3_600_000);
    await vi.waitFor(async () => {
      const stopped = (await historyOf(parent.id)).filter(({ kind }) => kind === "child.stopped");
      expect(new Set(stopped.map(({ child }) => (child as { id: string }).id))).toEqual(new Set([own, run.id]));
    });
    expect((await ask(`GET /v1/runs/${own}`)).body["status"]).toBe("cancelled");
    await passTime(run.id, periodMs);
    expect(await runThatIs(run.id, { status: "completed" })).toMatchObject({ output: 2 });
  });

  it("takes its place in line when it is due, in the lane of the input that came last until then", async () => {
    const [busy, free] = [newId("tenant"), newId("tenant")];
    const begin = (key: string, tenant: string, n: number) => start("flow-turned", { key, tenant, n });
    const holder = await begin(newId("k"), busy, 0);
    await runThatIs(holder.run.id, { status: "waiting" });
    const [one, other] = [newId("k"), newId("k")];
    const first = await begin(one, busy, 1);
    expect((await begin(one, free, 2)).run.id).toBe(first.run.id);
    await runThatIs(first.run.id, { status: "waiting", input: { n: 2 } });
    const second = await begin(other, busy, 3);
    const lane = `concurrency:flow-turned:${busy}`;
    await runThatIs(second.run.id, { status: "queued", waitingFor: [{ kind: "lane", name: lane }] });
    // It is due, and has not begun: the newest input counts still, and its place in line is kept.
    const late = await begin(other, busy, 4);
    expect(late).toMatchObject({ status: 200, run: { id: second.run.id, input: { n: 4 } } });
    await end(holder.run.id);
    await runThatIs(second.run.id, { status: "waiting" });
    await end(second.run.id);
    expect((await ask(`GET /v1/runs/${second.run.id}`)).body["output"]).toBe(4);
  });

  it("keeps to a delay that is longer than its period", async () => {
    const { run } = await start("flow-settled", { key: newId("k"), n: 1 }, { delay: "2 h" });
    const until = Date.parse(String(run.waitingFor[0]?.until));
    expect(until - Date.parse(run.createdAt)).toBeGreaterThan(7_190_000);
  });
});

describe("the lane of a key", () => {
  const laneOf = async (name: string) => (await ask(`GET /v1/lanes/${encodeURIComponent(name)}`)).body;

  it("shows who has it, for as long as that run goes on", async () => {
    const key = newId("view");
    const { run } = await start("flow-single", { key });
    const since = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    const held = { limit: 1, used: 1, waiting: 0, holders: [{ run: run.id, step: null, since }], queue: [] };
    expect(await laneOf(`singleton:flow-single:${key}`)).toMatchObject(held);
    await end(run.id);
    expect(await laneOf(`singleton:flow-single:${key}`)).toMatchObject({ used: 0, holders: [] });
    const { run: next } = await start("flow-single", { key });
    expect(await laneOf(`singleton:flow-single:${key}`)).toMatchObject({ used: 1, holders: [{ run: next.id }] });
  });

  it("of a debounce shows the run that is put off, until it begins", async () => {
    const key = newId("view");
    const { run } = await start("flow-settled", { key, n: 1, wait: true });
    const lane = `debounce:flow-settled:${key}`;
    expect(await laneOf(lane)).toMatchObject({ limit: 1, used: 1, holders: [{ run: run.id }] });
    await passTime(run.id, periodMs);
    await runThatIs(run.id, { status: "waiting" });
    expect(await laneOf(lane)).toMatchObject({ used: 0, holders: [] });
  });

  it("of a debounce is nobody's once its run was removed before it began", async () => {
    const key = newId("view");
    const { run } = await start("flow-settled", { key, n: 1 });
    await ask(`POST /v1/runs/${run.id}/terminate`);
    expect((await ask(`DELETE /v1/runs/${run.id}`)).status).toBe(204);
    expect(await laneOf(`debounce:flow-settled:${key}`)).toMatchObject({ used: 0, holders: [] });
  });
});

describe("while everything dies again and again", () => {
  /** Asks until it is answered, always with the same key. */
  async function insist(workflow: string, key: string, n: number): Promise<RunJson> {
    return await vi.waitFor(
      async () => {
        const { status, run } = await start(workflow, { key, n }, {}, keyed(`${key}:${n}`));
        expect([200, 201]).toContain(status);
        return run;
      },
      { timeout: 60_000, interval: 5 },
    );
  }

  /** Does it for each number, eight at once and some twice, with a death of everything for each ten. */
  async function storm(workflow: string, key: string, count: number): Promise<Map<number, RunJson>> {
    const answers = new Map<number, RunJson>();
    let next = 0;
    const client = async (): Promise<void> => {
      for (let n = next++; n < count; n = next++) {
        if (n % 10 === 9) await abortAllDurableObjects();
        answers.set(n, await insist(workflow, key, n));
        // The answer to an earlier one was lost on its way to the client.
        const again = answers.get(n - 20);
        if (again !== undefined) expect((await insist(workflow, key, n - 20)).id).toBe(again.id);
      }
    };
    await many(8, client);
    return answers;
  }

  async function listed(workflow: string, key: string): Promise<RunJson[]> {
    const { body } = await ask(`GET /v1/runs?workflow=${workflow}&label.key=${key}&limit=200`);
    return body["runs"] as RunJson[];
  }

  /** Resolves once every run that answered a start is listed, and all have completed. */
  async function allRuns(workflow: string, key: string, answers: ReadonlyMap<number, RunJson>): Promise<RunJson[]> {
    return await vi.waitFor(
      async () => {
        const runs = await listed(workflow, key);
        const ids = new Set(runs.map(({ id }) => id));
        expect([...answers.values()].filter(({ id }) => !ids.has(id))).toEqual([]);
        expect(runs.map(({ status }) => status)).toEqual(runs.map(() => "completed"));
        return runs;
      },
      { timeout: 120_000, interval: 100 },
    );
  }

  it("guarantee 1: debounce: every start is in one run, once, and the last of each run counts", async () => {
    const key = newId("k");
    const answers = await storm("flow-mortal-settled", key, 80);
    const runs = await allRuns("flow-mortal-settled", key, answers);
    const seen = new Map<number, string>();
    for (const { id } of runs) {
      const inputs = (await historyOf(id)).flatMap(({ kind, input }) =>
        kind === "run.created" || kind === "run.debounced" ? [(input as { n: number }).n] : [],
      );
      for (const n of inputs) {
        expect(seen.has(n)).toBe(false);
        seen.set(n, id);
      }
      expect((await ask(`GET /v1/runs/${id}`)).body["output"]).toBe(inputs.at(-1));
    }
    for (const [n, { id }] of answers) expect([n, seen.get(n)]).toEqual([n, id]);
    expect(seen.size).toBe(80);
    // Some were merged, or this has shown nothing.
    expect(runs.length).toBeLessThan(80);
  });

  it("singleton: of the runs that replace each other one goes on, and the next start replaces it", async () => {
    const key = newId("k");
    const answers = await storm("flow-mortal-newest", key, 40);
    expect(new Set([...answers.values()].map(({ id }) => id)).size).toBe(40);
    const one = await vi.waitFor(
      async () => {
        const runs = await listed("flow-mortal-newest", key);
        expect(runs).toHaveLength(40);
        const going = runs.filter(({ status }) => status !== "cancelled");
        expect(going.map(({ status }) => status)).toEqual(["waiting"]);
        return going[0];
      },
      { timeout: 120_000, interval: 100 },
    );
    const last = await insist("flow-mortal-newest", key, 40);
    // It is known by its key before there is a run.
    const error = { message: `replaced by ${objectName(last.id)}` };
    await runThatIs(String(one?.id), { status: "cancelled", error });
  });

  it("singleton: no two runs are unfinished at once", async () => {
    const key = newId("k");
    const answers = await storm("flow-mortal-single", key, 80);
    const runs = await allRuns("flow-mortal-single", key, answers);
    const spans = await many(runs.length, async (index) => {
      const entries = await historyOf(String(runs[index]?.id));
      return { from: Date.parse(String(entries[0]?.at)), to: Date.parse(String(entries.at(-1)?.at)) };
    });
    const ordered = spans.toSorted((one, other) => one.from - other.from);
    for (const [index, { from }] of ordered.entries()) {
      if (index > 0) expect(from).toBeGreaterThanOrEqual(Number(ordered[index - 1]?.to));
    }
    const known = new Set(runs.map(({ id }) => id));
    for (const { id } of answers.values()) expect(known.has(id)).toBe(true);
    expect(answers.size).toBe(80);
  });
});

describe("all of them", () => {
  it("rate first, then debounce, then singleton; a key that is not used is given back", async () => {
    const key = newId("k");
    const first = await start("flow-guarded", { key, n: 1 });
    await runThatIs(first.run.id, { status: "waiting" });
    for (const n of [2, 3]) {
      const next = await start("flow-guarded", { key, n });
      expect([next.status, next.run.id]).toEqual([200, first.run.id]);
    }
    await end(first.run.id);
    const second = await start("flow-guarded", { key, n: 4 });
    expect([second.status, second.run.id === first.run.id]).toEqual([201, false]);
    expect((await start("flow-guarded", { key, n: 5 })).run.id).toBe(second.run.id);
    expect((await start("flow-guarded", { key, n: 6 })).status).toBe(429);
  });

  it("a debounced run keeps the singleton key of its first start, beside the run that has that of its input", async () => {
    const [one, other] = [newId("tenant"), newId("tenant")];
    const key = newId("k");
    const begin = (key: string, tenant: string) => start("flow-split", { key, tenant });
    const first = await begin(key, one);
    expect(await begin(key, other)).toMatchObject({ status: 200, run: { id: first.run.id, input: { tenant: other } } });
    const second = await begin(newId("k"), other);
    expect([second.status, second.run.id === first.run.id]).toEqual([201, false]);
    for (const { run } of [first, second]) {
      await passTime(run.id, periodMs);
      await runThatIs(run.id, { status: "waiting" });
    }
    expect(await begin(newId("k"), one)).toMatchObject({ status: 200, run: { id: first.run.id } });
    await end(first.run.id);
    expect((await begin(newId("k"), one)).status).toBe(201);
  });

  it("hold for children too, and a child that is refused has failed", async () => {
    const { run } = await start("flow-parent", { key: newId("k"), n: 1 });
    const { output } = await runThatIs(run.id, { status: "completed" });
    const { first, second, refused } = output as Record<string, unknown>;
    expect(second).toBe(first);
    expect(refused).toMatchObject({
      $type: "Error",
      value: { code: "child_failed", cause: { value: { code: "rate_limited" } } },
    });
  });

  it("hold for firings of schedules too: one that another run answers is answered again by it", async () => {
    const key = newId("k");
    const { run } = await start("flow-single", { key, n: 1 });
    const firing = {
      workflow: "flow-single",
      input: encode({ key, n: 2 }, "input"),
      id: newId("firing"),
      by: "schedule:s",
      schedule: { id: "s", at: 1 },
    };
    expect((await service.runs.start(firing)).run.id).toBe(run.id);
    await end(run.id);
    const again = await service.runs.start(firing);
    expect([again.created, again.run.id]).toEqual([false, run.id]);
  });
});
