/** What is left of a run that was deleted, or whose retention is over: nothing of what it worked on, anywhere. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { beforeEach, describe, expect, inject, it, vi } from "vitest";
import { Outbox } from "../../src/objects/outbox/outbox.ts";
import { ask, newId, refusal, runThatIs, start, tokens } from "./client.ts";
import { settings } from "./settings.ts";
import { contentOf, nothing } from "./storage.ts";
import { broken } from "./flows/erasure.ts";
import { scan } from "./scan.ts";

beforeEach(() => {
  settings["NOTIFY_SECRET"] = `whsec_${btoa("s".repeat(32))}`;
  settings["NOTIFY_HOSTS"] = new URL(inject("collector")).host;
  settings["OTEL_EXPORTER_OTLP_ENDPOINT"] = `${inject("collector")}/${newId("spans")}`;
});

async function good(call: string, options: Parameters<typeof ask>[1] = {}): Promise<Record<string, unknown>> {
  const { status, body, text } = await ask(call, options);
  expect([call, status < 300, text]).toEqual([call, true, text]);
  return body;
}

/** Resolves with all that a follower of the run is told. */
async function follow(id: string): Promise<string> {
  const response = await exports.default.fetch(`http://example.com/v1/runs/${id}/events`, {
    headers: { authorization: `Bearer ${tokens.admin}` },
  });
  return await response.text();
}

const waits = (name: string) => ({ status: "waiting", waitingFor: [{ name }] });

/** The places of {@link scan}, without how often. */
async function placesOf(word: string): Promise<string[]> {
  return [...(await scan(word)).keys()].toSorted();
}

/** Lanes that were named after the word. */
async function lanesOf(word: string): Promise<string[]> {
  const rows = await runInDurableObject(env.LANES.getByName("roll"), (_object, { storage }) =>
    storage.sql.exec<{ name: string }>("SELECT name FROM lanes").toArray(),
  );
  return rows.map(({ name }) => name).filter((name) => name.includes(word));
}

/** As when nobody has used these lanes for hours. */
async function lateOn(lanes: readonly string[]): Promise<void> {
  vi.useFakeTimers({ toFake: ["Date"] });
  for (let hours = 1; hours <= 4; hours++) {
    vi.setSystemTime(Date.now() + 3_600_001);
    for (const lane of lanes) await runDurableObjectAlarm(env.LANES.getByName(`lane:${lane}`));
  }
  vi.useRealTimers();
}

/** The notices of the run, once all of them have ended. */
async function noticesOf(id: string): Promise<string[]> {
  return await vi.waitFor(
    async () => {
      const { runs } = await good(`GET /v1/runs?workflow=holdfast.notify&label.run=${id}`);
      expect(runs).toMatchObject([{ status: "completed" }]);
      return (runs as { id: string }[]).map((run) => run.id);
    },
    { timeout: 60_000, interval: 50 },
  );
}

// Each begins where the one before ended.
describe("a run that had something to do with everything", { shuffle: false }, () => {
  const word = newId("canary");
  const id = newId("erased");
  const key = newId("erased-key");

  it("leaves nothing of what it worked on, once it and its child are deleted", async () => {
    const url = `${inject("collector")}/${newId("told")}`;
    const json = { id, input: { word, urls: [url] }, labels: { team: word } };
    const headers = { "idempotency-key": key, "holdfast-reason": `because ${word}`, "holdfast-actor": "ana" };
    await good("POST /v1/workflows/erased/runs", { json, headers });
    const followed = follow(id);
    const at = await runThatIs(id, waits("hooked"));
    await good(`POST ${new URL(at.waitingFor[0]?.url ?? "").pathname}`, { token: null, raw: word });
    await good(`POST /v1/runs/${id}/updates/turn`, { json: { word }, headers: { "idempotency-key": newId("turn") } });
    await runThatIs(id, waits(`go ${word}`));
    await good(`POST /v1/runs/${id}/pause`, { json: { reason: word } });
    await good(`POST /v1/runs/${id}/resume`, { json: { reason: word } });
    await good(`POST /v1/signals/${encodeURIComponent(`go ${word}`)}`, { json: { word } });
    await runThatIs(id, waits("go"));
    await good(`POST /v1/runs/${id}/signals/go`, { json: { word }, headers: { "idempotency-key": newId("go") } });
    await runThatIs(id, { status: "completed" });
    expect(await followed).toContain(word);
    const before = await placesOf(word);
    for (const place of ["RUNS journal.data", "DIRECTORY runs.labels", "LANES lanes.name"])
      expect(before).toContain(place);
    await noticesOf(id);

    expect(await refusal(`DELETE /v1/runs/${id}`)).toBe("204 undefined");
    expect(await refusal(`DELETE /v1/runs/${id}-part`)).toBe("204 undefined");
    expect(await placesOf(word)).toEqual(["LANES lanes.name"]);
    expect([await contentOf(id), await contentOf(`${id}-part`)]).toEqual([nothing, nothing]);
  });

  it("is remembered by the names of its lanes for an hour after their last use, and no longer", async () => {
    const lanes = await lanesOf(word);
    expect(lanes.map((name) => name.split(":")[0]).toSorted()).toEqual([
      "concurrency",
      "rateLimit",
      "singleton",
      "throttle",
    ]);
    await lateOn(lanes);
    await expect.poll(() => lanesOf(word)).toEqual([]);
    expect(await placesOf(word)).toEqual([]);
  });

  it("is still named by the run that told its end, and by nothing else", async () => {
    expect(await placesOf(id)).toEqual(["DIRECTORY runs.labels", "DIRECTORY runs.rest", "RUNS journal.data"]);
    for (const notice of await noticesOf(id)) expect(await refusal(`DELETE /v1/runs/${notice}`)).toBe("204 undefined");
    expect(await placesOf(id)).toEqual([]);
  });

  it("leaves its Idempotency-Key free, as its id is", async () => {
    expect(await placesOf(key)).toEqual([]);
    const other = newId("erased");
    const json = { id: other, input: { word: "other", urls: [] } };
    const headers = { "idempotency-key": key };
    expect(await refusal("POST /v1/workflows/erased/runs", { json, headers })).toBe("201 undefined");
    expect(await refusal("POST /v1/workflows/erased/runs", { json: { ...json, id }, headers })).toBe(
      "409 idempotency_conflict",
    );
  });
});

describe("a run that was deleted with an Idempotency-Key", () => {
  it("leaves nothing but that, for a day", async () => {
    const { id } = await start("web-echo", {}, "?wait=60s");
    const deleted = { json: { reason: "asked for" }, headers: { "idempotency-key": newId("delete") } };
    expect(await refusal(`DELETE /v1/runs/${id}`, deleted)).toBe("204 undefined");
    const left = { tables: [], keys: ["removed-by"], alarm: expect.any(Number) };
    expect(await contentOf(id)).toEqual(left);
    expect(await placesOf("asked for")).toEqual([]);
    await runDurableObjectAlarm(env.RUNS.getByName(id));
    expect(await contentOf(id)).toEqual(nothing);
  });
});

describe("a run whose retention is over", () => {
  it("leaves as little, once its end was told", async () => {
    const word = newId("canary");
    const id = newId("erased-at-once");
    const url = `${inject("collector")}/${newId("told")}`;
    const headers = { "idempotency-key": newId("key") };
    await good("POST /v1/workflows/erased-at-once/runs", { json: { id, input: { word, urls: [url] } }, headers });
    await expect.poll(() => refusal(`GET /v1/runs/${id}`)).toBe("404 run_not_found");
    const told = await (await fetch(url)).json();
    expect(told).toMatchObject([{ body: { type: "run.completed", data: { id, output: word } } }]);
    await lateOn(await lanesOf(word));
    await expect.poll(() => placesOf(word), { interval: 100 }).toEqual([]);
    expect(await contentOf(id)).toEqual(nothing);
  });

  it("stays while an address has not taken an end of it yet, and may be tried again until then", async () => {
    const id = newId("erased-at-once");
    const word = newId("word");
    const url = `${inject("collector")}/${newId("told")}`;
    // It is not called again before it is tried again here.
    const busy = { status: 503, headers: { "retry-after": "3600" } };
    await fetch(url, { method: "PUT", body: JSON.stringify([busy]) });
    broken.add(word);
    await good("POST /v1/workflows/erased-at-once/runs", { json: { id, input: { word, urls: [url] } } });
    const notice = await vi.waitFor(async () => {
      const { runs } = await good(`GET /v1/runs?workflow=holdfast.notify&status=waiting&label.run=${id}`);
      const [run] = runs as { id: string }[];
      expect(run).toBeDefined();
      return run?.id ?? "";
    }, 60_000);
    await runThatIs(id, { status: "failed" });
    broken.delete(word);
    await good(`POST /v1/runs/${id}/retry`);
    await runThatIs(id, { status: "completed" });
    await good(`POST /v1/runs/${notice}/retry`);
    await expect.poll(() => refusal(`GET /v1/runs/${id}`)).toBe("404 run_not_found");
    const told = await (await fetch(url)).json<{ body: { type: string } }[]>();
    expect(told.map(({ body }) => body.type)).toEqual(["run.failed", "run.completed", "run.failed"]);
  });

  it("goes on where it is tried again while it is asked whether its notices are over (guarantee 1)", async () => {
    const [id, word] = [newId("erased-at-once"), newId("word")];
    const url = `${inject("collector")}/${newId("told")}`;
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    const { settled } = Outbox.prototype;
    const asking = vi.spyOn(Outbox.prototype, "settled").mockImplementation(async function (this: Outbox) {
      const over = await settled.call(this);
      if (!over || this.run.state.created?.id !== id) return over;
      ask();
      await answered;
      return true;
    });
    broken.add(word);
    await good("POST /v1/workflows/erased-at-once/runs", { json: { id, input: { word, urls: [url] } } });
    await asked;
    broken.delete(word);
    const retried = good(`POST /v1/runs/${id}/retry`);
    await expect.poll(async () => (await good(`GET /v1/runs/${id}`))["status"]).not.toBe("failed");
    answer();
    await retried;
    await expect.poll(() => refusal(`GET /v1/runs/${id}`)).toBe("404 run_not_found");
    asking.mockRestore();
    const told = await (await fetch(url)).json<{ body: { type: string } }[]>();
    expect(told.map(({ body }) => body.type)).toEqual(["run.failed", "run.completed"]);
  });
});
