/** Many starts with one call: each has a result of its own, and the call may be repeated (guarantee 1). */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError, createClient } from "../../src/client.ts";
import { nameOfKey } from "../../src/objects/deployment/digest.ts";
import { ask, historyOf, newId, refusal, runThatIs, tokens } from "./client.ts";
import type { Ask } from "./client.ts";
import type { changing } from "./flows/repeat.ts";
import { code } from "./flows/repeat.ts";

type Result = {
  readonly id?: string;
  readonly status?: string;
  readonly created?: boolean;
  readonly problem?: { readonly code: string; readonly status: number; readonly errors?: readonly { path: string }[] };
  readonly retryAfter?: number;
};

afterEach(() => {
  code.refuses = false;
  vi.useRealTimers();
});

const keyed = (key: string, json: unknown): Ask => ({ json, headers: { "idempotency-key": key } });

async function batch(workflow: string, runs: readonly unknown[], key?: string): Promise<Result[]> {
  const call = `POST /v1/workflows/${workflow}/batch`;
  const { status, body } = await ask(call, key === undefined ? { json: { runs } } : keyed(key, { runs }));
  expect([status, body]).toEqual([200, { runs: expect.any(Array) }]);
  return body["runs"] as Result[];
}

/** What is told of each: whether its run was made, or the code. */
const said = (results: readonly Result[]) => results.map(({ created, problem }) => created ?? problem?.code);
const ids = (results: readonly Result[]) => results.map(({ id }) => id);

const starts = "POST /v1/workflows/repeat-changing";

describe("many starts with one call", () => {
  it("have a result each, in their order, and one that is refused keeps none of the others", async () => {
    const id = newId("taken");
    await ask(`${starts}/runs`, { json: { id, input: { n: 0 } } });
    const own = newId("own");
    const results = await batch("repeat-changing", [
      { input: { n: 1 } },
      { input: { n: "one" } },
      { id: own, input: { n: 2 }, labels: { city: "Bremen" }, delay: "1 h" },
      { id, input: { n: 3 } },
      { id, input: { n: 0 } },
      { input: { n: 1 }, wait: "1s" },
      "a start",
      { id: "no id", input: { n: 1 } },
      { input: { $type: "Nothing" } },
      { input: { n: 1 }, update: { name: "count", argument: 4 } },
    ]);
    expect(said(results)).toEqual([
      ...[true, "input_invalid", true, "run_exists", false, "field_unknown", "body_invalid", "id_invalid"],
      ...["body_invalid", "field_unknown"],
    ]);
    expect(results[0]).toEqual({ id: expect.any(String), status: expect.any(String), created: true });
    expect(results[1]?.problem).toMatchObject({ status: 422, detail: expect.any(String), errors: [{ path: "/n" }] });
    expect(results[2]).toMatchObject({ id: own, status: "queued" });
    expect(results[5]?.problem?.errors).toMatchObject([{ path: "/wait" }]);
    await runThatIs(own, { labels: { city: "Bremen" }, input: { n: 2 } });
  });

  it("pass the limits of their workflow, and are told when one that was refused may come again", async () => {
    const key = newId("rated");
    const results = await batch(
      "flow-rated",
      [1, 2, 3, 4].map((n) => ({ input: { key, n } })),
    );
    expect(said(results).toSorted()).toEqual(["rate_limited", true, true, true]);
    expect(results.find(({ problem }) => problem !== undefined)?.retryAfter).toBeGreaterThan(3000);
  });

  it("are a hundred at most, of a workflow that exists, by who may start it", async () => {
    const many = (count: number) => Array.from({ length: count }, (_, n) => ({ input: { n } }));
    expect(await refusal(`${starts}/batch`, { json: { runs: many(101) } })).toBe("400 body_invalid");
    expect(await refusal(`${starts}/batch`, { json: { runs: [] } })).toBe("400 body_invalid");
    expect(await refusal(`${starts}/batch`, { json: { runs: { 0: {} } } })).toBe("400 body_invalid");
    expect(await refusal(`${starts}/batch`, { json: {} })).toBe("400 body_invalid");
    expect(await refusal("POST /v1/workflows/nobody/batch", { json: { runs: many(2) } })).toBe(
      "404 workflow_not_found",
    );
    expect(await refusal(`${starts}/batch`, { json: { runs: many(1) }, token: tokens.read })).toBe(
      "403 role_insufficient",
    );
    const deep = `{"runs":[{"input":${"[".repeat(200_000)}${"]".repeat(200_000)}}]}`;
    for (const headers of [{}, { "idempotency-key": newId("deep") }]) {
      const { status, body } = await ask(`${starts}/batch`, { raw: deep, headers });
      const [{ problem = body } = {}] = (body["runs"] ?? [{}]) as { problem?: object }[];
      expect([status < 500, problem]).toMatchObject([true, { status: 400, code: "body_invalid" }]);
    }
    const why = { json: { runs: many(1) }, headers: { "holdfast-reason": "%" } };
    expect(await refusal(`${starts}/batch`, why)).toBe("400 header_invalid");
    const results = await batch("repeat-changing", many(100));
    expect(new Set(ids(results)).size).toBe(100);
  });

  it("that want one key of a singleton take it from each other", async () => {
    const key = newId("newest");
    const results = await batch(
      "flow-newest",
      Array.from({ length: 100 }, () => ({ input: { key } })),
    );
    expect(said(results)).toEqual(results.map(() => true));
  });
});

describe("a batch that is repeated under its key", () => {
  const runs = [{ input: { n: 1 }, labels: { a: "1", b: "2" } }, { input: { n: 1 } }, { input: { n: 3 } }] as const;

  it("finds its runs, and two that are alike are two", async () => {
    const key = newId("batch");
    const first = await batch("repeat-changing", runs, key);
    expect([said(first), new Set(ids(first)).size]).toEqual([[true, true, true], 3]);
    const again = await batch("repeat-changing", runs, key);
    expect([said(again), ids(again)]).toEqual([[false, false, false], ids(first)]);
    const [{ input, labels }, ...rest] = runs;
    const turned = await batch("repeat-changing", [{ labels: { b: labels.b, a: labels.a }, input }, ...rest], key);
    expect(ids(turned)).toEqual(ids(first));
    const [created] = await historyOf(first[1]?.id ?? "");
    expect(created).toMatchObject({ kind: "run.created", key: `${key}\t1` });
  });

  it("finds them all, also of more than are started at once", async () => {
    const key = newId("batch");
    const many = Array.from({ length: 12 }, () => ({ input: { n: 1 } }));
    const first = await batch("repeat-changing", many, key);
    expect([said(first), new Set(ids(first)).size]).toEqual([many.map(() => true), 12]);
    expect(ids(await batch("repeat-changing", many, key))).toEqual(ids(first));
  });

  it("starts what it has not started", async () => {
    const key = newId("batch");
    code.refuses = true;
    expect(said(await batch("repeat-changing", runs, key))).toEqual(runs.map(() => "input_invalid"));
    code.refuses = false;
    expect(said(await batch("repeat-changing", runs, key))).toEqual([true, true, true]);
  });

  it("with anything else in it is a conflict, and starts nothing", async () => {
    const key = newId("batch");
    const prefix = newId("never");
    await batch("repeat-changing", runs, key);
    const named = { id: `${prefix}-1`, input: { n: 9 } };
    for (const other of [[...runs, named], [named, ...runs.slice(1)], [runs[1], runs[0], runs[2]], runs.slice(1)]) {
      expect(await refusal(`${starts}/batch`, keyed(key, { runs: other }))).toBe("409 idempotency_conflict");
    }
    const elsewhere = "POST /v1/workflows/repeat-held/batch";
    expect(await refusal(elsewhere, keyed(key, { runs }))).toBe("409 idempotency_conflict");
    expect(await refusal(`GET /v1/runs/${prefix}-1`)).toBe("404 run_not_found");
  });

  it("has its key for itself: no start has it, and none of its runs another", async () => {
    const [key, single] = [newId("batch"), newId("single")];
    await batch("repeat-changing", runs, key);
    expect(await refusal(`${starts}/runs`, keyed(key, runs[1]))).toBe("409 idempotency_conflict");
    await ask(`${starts}/runs`, keyed(single, runs[1]));
    expect(await refusal(`${starts}/batch`, keyed(single, { runs: [runs[1]] }))).toBe("409 idempotency_conflict");
  });

  it("leaves nothing of its key after a month, except for its runs", async () => {
    const key = newId("old");
    const first = await batch("repeat-changing", runs, key);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 31 * 24 * 3_600_000 });
    const object = env.RUNS.getByName(await nameOfKey(key));
    await runDurableObjectAlarm(object);
    expect(await runInDurableObject(object, (_run, { storage }) => [...storage.kv.list()])).toEqual([]);
    expect(ids(await batch("repeat-changing", runs, key))).toEqual(ids(first));
  });
});

describe("a client's startMany", () => {
  /** A client whose calls are answered as `change` says, and the keys that they had. */
  function clientOf(change: (results: Result[], tries: number) => Result[], patience = "30 s") {
    const keys: (string | null)[] = [];
    const fetch = async (request: Request): Promise<Response> => {
      keys.push(request.headers.get("idempotency-key"));
      const response = await exports.default.fetch(request);
      if (!response.ok || !request.url.endsWith("/batch")) return response;
      const { runs } = (await response.json()) as { runs: Result[] };
      return Response.json({ runs: change(runs, keys.length) });
    };
    const client = createClient({ url: "http://example.com", token: tokens.operate, fetch, patience });
    return { keys, orders: client.workflow<typeof changing>("repeat-changing") };
  }

  const refused = (code: string) => ({ problem: { code, status: 503, detail: "later" }, retryAfter: 0 });
  const starts = [
    { input: { n: 1 } },
    { input: { n: Number.NaN } },
    { input: { n: 3 }, notAfter: "2030-01-01T00:00:00Z" },
  ];

  it("settles each, with its run or with what refused it", async () => {
    const [first, second, third] = await clientOf((results) => results).orders.startMany(starts);
    expect([first?.status, second?.status, third?.status]).toEqual(["fulfilled", "rejected", "fulfilled"]);
    if (second?.status !== "rejected" || first?.status !== "fulfilled") return;
    expect(second.reason).toBeInstanceOf(ApiError);
    expect(second.reason).toMatchObject({ code: "input_invalid", status: 422, issues: [{ path: "/n" }] });
    await first.value.signal("go", { n: 4 });
    expect(await first.value.result()).toEqual({ doubled: 8 });
  });

  it("calls again while one may succeed, and finds those that have", async () => {
    const ids: unknown[] = [];
    const { orders, keys } = clientOf((results, tries) => {
      ids.push(results[0]?.id);
      return tries < 3 ? results.with(2, refused("unavailable")) : results;
    });
    const results = await orders.startMany(starts);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect([keys.length, new Set(keys).size, new Set(ids).size]).toEqual([3, 1, 1]);
    const impatient = clientOf((found) => found.with(0, refused("overloaded")), "0 s");
    const [first, , third] = await impatient.orders.startMany(starts);
    expect([first, third?.status]).toMatchObject([{ reason: { code: "overloaded", retryAfterMs: 0 } }, "fulfilled"]);
  });

  it("needs no key where each has an id, and throws what refuses all of them", async () => {
    const { orders, keys } = clientOf((results) => results);
    await orders.startMany([{ id: newId("own"), input: { n: 1 } }]);
    await orders.startMany([{ id: newId("own"), input: { n: 1 } }], { idempotencyKey: newId("key") });
    await orders.startMany([{ id: newId("own"), input: { n: 1 }, signal: { name: "go", payload: { n: 1 } } }]);
    expect(keys).toEqual([null, expect.stringMatching(/^key-/), expect.any(String)]);
    await expect(orders.startMany([])).rejects.toMatchObject({ code: "body_invalid" });
  });
});
