/** Traces: what comes in, what steps and children are given, and what a collector gets to see. */
import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, inject, it, vi } from "vitest";
import { parseTrace } from "../../src/core/trace/trace.ts";
import { shardCount, shardOf } from "../../src/objects/address.ts";
import { ask, historyOf, newId, refusal, runThatIs } from "./client.ts";
import type { Plan, Posted } from "./collector.ts";
import { given, mend, tracedListener } from "./flows/traced.ts";
import { patient } from "./patience.ts";
import { settings } from "./settings.ts";
import { removalsOf, reportsTo, trouble } from "./shards.ts";
import { evict, inRun } from "./storage.ts";

const caller = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
const parent = `00-${caller.traceId}-${caller.spanId}-01`;

type Pair = { readonly key: string; readonly value: { readonly stringValue?: string; readonly intValue?: string } };
type SpanJson = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Pair[];
  readonly events?: readonly { readonly name: string }[];
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code?: number; readonly message?: string };
};

/** A collector of the test's own, which answers as planned. */
async function collect(plan: Plan = []): Promise<string> {
  const box = `${inject("collector")}/${newId("box")}`;
  await fetch(box, { method: "PUT", body: JSON.stringify(plan) });
  settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = box;
  return box;
}

async function postsTo(box: string): Promise<Posted[]> {
  return await (await fetch(box)).json<Posted[]>();
}

function spansIn({ body }: Posted): SpanJson[] {
  const request = body as { resourceSpans: { scopeSpans: { spans: SpanJson[] }[] }[] };
  return request.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}

/** What the collector has got, once it is as much as that. */
async function spansOf(box: string, atLeast: number): Promise<SpanJson[]> {
  return await vi.waitFor(
    async () => {
      const spans = (await postsTo(box)).flatMap(spansIn);
      expect(spans.length).toBeGreaterThanOrEqual(atLeast);
      return spans;
    },
    { timeout: 60_000, interval: 50 },
  );
}

async function begin(workflow: string, input: unknown, headers: Record<string, string> = {}, wait = "?wait=60s") {
  const id = newId(workflow);
  const { status, body } = await ask(`POST /v1/workflows/${workflow}/runs${wait}`, { json: { id, input }, headers });
  expect(status).toBe(201);
  return body as { readonly id: string; readonly status: string; readonly trace: string };
}

const idsOf = (text: string) => parseTrace(text) ?? { traceId: "", spanId: "", sampled: false };
const attributesOf = ({ attributes }: SpanJson) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]));

/** Whether the export was marked as done in the run's own storage. */
async function marked(id: string): Promise<boolean> {
  return await inRun(id, ({ storage }) => storage.kv.get("exported") !== undefined);
}

describe("a traceparent that comes in", () => {
  it("with a start makes the run a part of that trace, and stands in its history", async () => {
    const run = await begin("traced-stairs", { steps: 1 }, { traceparent: parent });
    expect(idsOf(run.trace)).toMatchObject({ traceId: caller.traceId, sampled: true });
    expect(idsOf(run.trace).spanId).not.toBe(caller.spanId);
    expect((await historyOf(run.id))[0]).toMatchObject({ kind: "run.created", trace: parent });
    // The listing may be late by a moment.
    const listed = async () => (await ask(`GET /v1/runs?idPrefix=${run.id}`)).body["runs"];
    await expect.poll(listed).toMatchObject([{ id: run.id, trace: run.trace }]);
  });

  it("that is not valid is as if none had come", async () => {
    const traces = await Promise.all(
      ["nonsense", `00-${"0".repeat(32)}-${caller.spanId}-01`, `${parent}-more`].map(async (traceparent) => {
        const run = await begin("traced-stairs", { steps: 1 }, { traceparent });
        expect((await historyOf(run.id))[0]).not.toHaveProperty("trace");
        return idsOf(run.trace);
      }),
    );
    expect(traces.every(({ traceId, sampled }) => /^[0-9a-f]{32}$/.test(traceId) && sampled)).toBe(true);
    expect(new Set(traces.map(({ traceId }) => traceId)).size).toBe(3);
  });

  it("with a signal or a broadcast stands on it", async () => {
    const run = await begin("traced-listener", { count: 2 }, {}, "");
    await runThatIs(run.id, { status: "waiting" });
    await ask(`POST /v1/runs/${run.id}/signals/go`, { json: {}, headers: { traceparent: parent } });
    // Who waits is found in the directory, which may be late by a moment; what finds nobody is kept for others.
    const listed = async () => (await ask(`GET /v1/runs?idPrefix=${run.id}`)).body["runs"];
    await expect.poll(listed).toMatchObject([{ status: "waiting" }]);
    const { body } = await ask("POST /v1/signals/go", { json: {}, headers: { traceparent: parent } });
    expect(body["delivered"]).toBe(1);
    await runThatIs(run.id, { status: "completed" });
    const received = (await historyOf(run.id)).filter(({ kind }) => kind === "signal.received");
    expect(received.map(({ trace }) => trace)).toEqual([parent, parent]);
  });
});

describe("a traceparent that code in the Worker hands over", () => {
  it("is taken in with a start and with a signal, and left aside where it is not valid", async () => {
    const listener = await tracedListener.start({ count: 2 }, { traceparent: parent });
    const other = await tracedListener.start({ count: 2 }, { traceparent: "nonsense" });
    for (const traceparent of [parent, null]) await listener.signal("go", {}, { traceparent });
    await listener.result();
    const history = await historyOf(listener.id);
    const traces = history.filter(({ kind }) => kind === "run.created" || kind === "signal.received");
    expect(traces.map(({ trace }) => trace)).toEqual([parent, parent, undefined]);
    expect((await historyOf(other.id))[0]).not.toHaveProperty("trace");
    await other.terminate();
  });
});

describe("what a run calls", () => {
  it("is told a traceparent of its own for every attempt, every item and every undo", async () => {
    const run = await begin("traced-journey", { signal: true }, { traceparent: parent }, "");
    const items = await begin("traced-items", null, { traceparent: parent });
    await runThatIs(run.id, { status: "waiting", waitingFor: [{ kind: "signal" }] });
    await ask(`POST /v1/runs/${run.id}/cancel`);
    await runThatIs(run.id, { status: "cancelled" });
    const all = [
      ...(given.get(`${run.id} first`) ?? []),
      ...(given.get(`${run.id} undo first`) ?? []),
      ...(given.get(`${items.id} item`) ?? []),
    ];
    expect(all).toHaveLength(6);
    expect(new Set(all).size).toBe(6);
    expect(all.map((text) => idsOf(text).traceId)).toEqual(all.map(() => caller.traceId));
  });

  it("is one trace, from parent to child to the run it signals", async () => {
    const box = await collect();
    const waiting = await begin("traced-listener", { count: 1 }, {}, "");
    const run = await begin("traced-journey", { child: true }, { traceparent: parent });
    const sender = await begin("traced-sender", { to: waiting.id }, { traceparent: parent });
    await runThatIs(waiting.id, { status: "completed" });
    // The parent: two attempts, a nap, the child, itself; the child: a step, itself; the others: two each.
    const spans = await spansOf(box, 11);
    const family = spans.filter(({ traceId }) => traceId === caller.traceId);
    const named = (name: string) => family.filter((span) => span.name === name);
    const [walked] = named("walk");
    const [leg] = named("traced-leg");
    const [call] = named("run traced-leg");
    expect(walked?.parentSpanId).toBe(leg?.spanId);
    expect(leg?.parentSpanId).toBe(call?.spanId);
    expect(call?.parentSpanId).toBe(idsOf(run.trace).spanId);
    // Whatever has a parent among them lies within its time.
    for (const span of family) {
      const within = family.find(({ spanId }) => spanId === span.parentSpanId);
      if (within === undefined) continue;
      expect(BigInt(span.startTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(within.startTimeUnixNano));
      expect(BigInt(span.endTimeUnixNano)).toBeLessThanOrEqual(BigInt(within.endTimeUnixNano));
    }
    expect(walked?.spanId).toBe(idsOf(given.get(`${run.id} walk`)?.[0] ?? "").spanId);
    const [waited] = spans.filter(({ name }) => name === "wait for go");
    const [sent] = family.filter(({ name }) => name.startsWith("signal go"));
    expect(sent?.parentSpanId).toBe(idsOf(sender.trace).spanId);
    expect(waited?.links).toEqual([{ traceId: caller.traceId, spanId: sent?.spanId }]);
  });

  it("stays in the run's trace when it goes on as new", async () => {
    const run = await begin("traced-relay", { left: 2 });
    const traces = (given.get(`${run.id} relay`) ?? []).map(idsOf);
    expect(traces.map(({ traceId }) => traceId)).toEqual(Array.from({ length: 3 }, () => idsOf(run.trace).traceId));
    expect(new Set(traces.map(({ spanId }) => spanId)).size).toBe(3);
  });
});

describe("the collector", () => {
  it("gets the run, its attempts and its waits, well formed, and nothing of its values", async () => {
    const box = await collect();
    settings["OTEL_EXPORTER_OTLP_HEADERS"] = "authorization=Basic%20c2VjcmV0, x-tenant=shop";
    settings["OTEL_SERVICE_NAME"] = "shop";
    const run = await begin("traced-journey", {}, { traceparent: parent });
    const spans = await spansOf(box, 4);
    const posts = await postsTo(box);
    expect(
      posts.map(({ path, headers }) => [path, headers["content-type"], headers["authorization"], headers["x-tenant"]]),
    ).toEqual([["/v1/traces", "application/json", "Basic c2VjcmV0", "shop"]]);
    expect(posts[0]?.body).toMatchObject({
      resourceSpans: [{ resource: { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] } }],
    });
    expect(JSON.stringify(posts)).not.toContain("a secret");
    const known = new Set([caller.spanId, ...spans.map(({ spanId }) => spanId)]);
    for (const span of spans) {
      expect(span.traceId).toBe(caller.traceId);
      expect(span.spanId).toMatch(/^(?!0{16})[0-9a-f]{16}$/);
      expect(known).toContain(span.parentSpanId);
      expect(span.startTimeUnixNano).toMatch(/^\d{19}$/);
      expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano));
      expect(attributesOf(span)).toMatchObject({ "holdfast.run": run.id, "holdfast.workflow": "traced-journey" });
    }
    const attempts = spans.filter(({ name }) => name === "first");
    expect(attempts.map(({ spanId }) => spanId)).toEqual(
      (given.get(`${run.id} first`) ?? []).map((text) => idsOf(text).spanId),
    );
    expect(attempts.map(({ status, events }) => [status.code, events?.[0]?.name])).toEqual([
      [2, "exception"],
      [undefined, undefined],
    ]);
    expect(spans.at(-1)).toMatchObject({ name: "traced-journey", parentSpanId: caller.spanId });
    expect(spans.map(({ name }) => name)).toEqual(["first", "first", "sleep nap", "traced-journey"]);
  });

  it("gets a long run in parts of at most 500 spans", async () => {
    const box = await collect();
    await begin("traced-stairs", { steps: 1200 });
    const spans = await spansOf(box, 1201);
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(1201);
    expect((await postsTo(box)).map((post) => spansIn(post).length)).toEqual([500, 500, 201]);
  });

  it("that is not there for a while is asked again, and gets it all", async () => {
    const box = await collect([503, "drop", 429]);
    const run = await begin("traced-stairs", { steps: 2 });
    await expect.poll(() => postsTo(box), { interval: 100 }).toHaveLength(4);
    const last = (await postsTo(box)).slice(3).flatMap(spansIn);
    expect(last.map(({ name }) => name)).toEqual(["stair", "stair#2", "traced-stairs"]);
    await expect.poll(() => marked(run.id)).toBe(true);
  });

  it("that refuses for good is left alone", async () => {
    const box = await collect([400]);
    const run = await begin("traced-stairs", { steps: 1 });
    await expect.poll(() => marked(run.id)).toBe(true);
    expect(await postsTo(box)).toHaveLength(1);
  });

  it("gets it from a later life where the process died (guarantee 1)", async () => {
    const box = await collect(["hang"]);
    const run = await begin("traced-stairs", { steps: 2 });
    await expect.poll(() => postsTo(box)).toHaveLength(1);
    await abortAllDurableObjects();
    await expect.poll(() => postsTo(box)).toHaveLength(2);
    const [first, second] = (await postsTo(box)).map(spansIn);
    expect(second).toEqual(first);
    await expect.poll(() => marked(run.id)).toBe(true);
  });

  it("gets it once, however often the run is looked at afterwards", async () => {
    const box = await collect();
    const run = await begin("traced-stairs", { steps: 1 });
    await expect.poll(() => marked(run.id)).toBe(true);
    for (let times = 0; times < 3; times++) {
      await evict(run.id);
      await ask(`GET /v1/runs/${run.id}`);
      const json = { id: run.id, input: { steps: 1 } };
      expect((await ask("POST /v1/workflows/traced-stairs/runs?wait=1s", { json })).status).toBe(200);
    }
    // A run that is exported behind them shows that nothing is on its way any more.
    const other = await begin("traced-stairs", { steps: 1 });
    await expect.poll(() => marked(other.id)).toBe(true);
    expect(await postsTo(box)).toHaveLength(2);
  });

  it("gets nothing of a run that had ended in another deployment", async () => {
    const box = await collect();
    const run = await begin("traced-stairs", { steps: 1 });
    await expect.poll(() => marked(run.id)).toBe(true);
    const id = newId("moved");
    const { text: raw } = await ask(`POST /v1/runs/${run.id}/export`);
    expect((await ask(`POST /v1/runs/import?id=${id}`, { raw })).status).toBe(201);
    await evict(id);
    await ask(`GET /v1/runs/${id}`);
    const other = await begin("traced-stairs", { steps: 1 });
    await expect.poll(() => marked(other.id)).toBe(true);
    expect(await postsTo(box)).toHaveLength(2);
  });

  it("gets what a retry adds, and not the rest again", async () => {
    const box = await collect();
    const run = await begin("traced-fragile", null);
    await spansOf(box, 3);
    mend(run.id);
    await ask(`POST /v1/runs/${run.id}/retry`);
    const spans = await spansOf(box, 5);
    expect(spans.map(({ name }) => name)).toEqual([
      "whole",
      "broken",
      "traced-fragile",
      "broken",
      "traced-fragile retried",
    ]);
    const ids = spans.map(({ spanId }) => spanId);
    expect(new Set(ids).size).toBe(5);
    expect((given.get(`${run.id} broken`) ?? []).map((text) => idsOf(text).spanId)).toEqual([ids[1], ids[3]]);
    expect(spans[3]?.parentSpanId).toBe(ids[4]);
    expect(spans[4]?.parentSpanId).toBe(ids[2]);
  });

  it("that is not there for a while gets also what came before a retry", async () => {
    const box = await collect([503]);
    const run = await begin("traced-fragile", null);
    await expect.poll(() => postsTo(box)).toHaveLength(1);
    mend(run.id);
    await ask(`POST /v1/runs/${run.id}/retry`);
    await expect.poll(() => marked(run.id)).toBe(true);
    const spans = (await postsTo(box)).slice(1).flatMap(spansIn);
    expect(spans.map(({ name }) => name)).toEqual([
      "whole",
      "broken",
      "traced-fragile",
      "broken",
      "traced-fragile retried",
    ]);
  });

  it("that takes its time holds nothing up: the run is answered, retried and deleted", async () => {
    const box = await collect(["hang", "hang"]);
    const run = await begin("traced-fragile", null);
    expect(run.status).toBe("failed");
    await expect.poll(() => postsTo(box)).toHaveLength(1);
    mend(run.id);
    // Whoever waited for the collector would never go on.
    patient(10_000);
    await ask(`POST /v1/runs/${run.id}/retry`);
    await runThatIs(run.id, { status: "completed" });
    expect((await ask(`DELETE /v1/runs/${run.id}`)).status).toBe(204);
    vi.restoreAllMocks();
    expect((await ask(`GET /v1/runs/${run.id}`)).status).toBe(404);
  });

  it("gets nothing of a run that is being removed, by whatever its object is woken meanwhile", async () => {
    const box = await collect([{ status: 503, headers: { "retry-after": "60" } }]);
    const run = await begin("traced-stairs", { steps: 1 });
    await expect.poll(() => postsTo(box)).toHaveLength(1);
    const shard = shardOf(run.id, shardCount());
    await expect.poll(() => reportsTo(shard)).toContain(run.id);
    const object = env.RUNS.getByName(run.id);
    await evictDurableObject(object);
    trouble(shard, "hangs");
    try {
      const removed = ask(`DELETE /v1/runs/${run.id}`);
      await expect.poll(() => removalsOf(shard)).toContain(run.id);
      // All that it owes it begins at once.
      await runInDurableObject(object, (woken) => void woken.alarm?.());
      trouble(shard, null);
      expect((await removed).status).toBe(204);
    } finally {
      trouble(shard, null);
    }
    const other = await begin("traced-stairs", { steps: 1 });
    await expect.poll(() => marked(other.id)).toBe(true);
    // Its own, which was refused, and that of the other.
    expect(await postsTo(box)).toHaveLength(2);
    expect(await marked(run.id)).toBe(false);
  });

  it("gets nothing of a trace that nobody records", async () => {
    const box = await collect();
    const unsampled = await begin("traced-stairs", { steps: 1 }, { traceparent: parent.replace(/01$/, "00") });
    expect(idsOf(unsampled.trace).sampled).toBe(false);
    const other = await begin("traced-stairs", { steps: 1 });
    await expect.poll(() => marked(other.id)).toBe(true);
    expect((await postsTo(box)).flatMap(spansIn).every(({ traceId }) => traceId === idsOf(other.trace).traceId)).toBe(
      true,
    );
    expect(await marked(unsampled.id)).toBe(false);
  });
});

describe("without a collector", () => {
  it("nothing is kept of it", async () => {
    const run = await begin("traced-stairs", { steps: 1 });
    const tables = await inRun(run.id, ({ storage }) =>
      storage.sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").toArray(),
    );
    expect(tables.map(({ name }) => name).filter((name) => !name.startsWith("_cf"))).toEqual(["journal"]);
    expect(await marked(run.id)).toBe(false);
  });

  it.for([
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"],
    ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://collector/v1/traces"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "no value"],
    ["OTEL_EXPORTER_OTLP_HEADERS", "key=%zz"],
  ] as const)("a bad %s is an error that names it and shows no secret", async ([name, value]) => {
    settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1";
    settings[name] = value;
    expect(await refusal("GET /v1/runs")).toBe("503 config_invalid");
    const { body } = await ask("GET /v1/runs");
    expect(body["detail"]).toContain(name);
    expect(body["detail"]).not.toContain("%zz");
  });
});
