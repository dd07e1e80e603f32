/**
 * Who did it, and why: whatever changes a run over HTTP stands in its history with the name of the person,
 * the role of the token that let them in, and the reason (guarantee 8).
 */
import { evictAllDurableObjects } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { ask, historyOf, newId, refusal, runThatIs, start } from "./client.ts";
import type { Ask, EntryJson } from "./client.ts";
import { release } from "./flows/reason.ts";
import { repair } from "./flows/http.ts";

const why = "the customer called: 3 × é";
const person = { by: "ana münchen", role: "admin" };
const headers = {
  "holdfast-actor": encodeURIComponent(person.by),
  "holdfast-reason": encodeURIComponent(why),
};

/** Everything that the run says of this kind. */
async function told(id: string, kind: string): Promise<EntryJson> {
  const found = (await historyOf(id)).find((entry) => entry.kind === kind);
  expect(found, `${kind} in the history of ${id}`).toBeDefined();
  return found as EntryJson;
}

/** The directory knows that the run of this batch waits. */
async function listed(batch: string): Promise<void> {
  const json = { action: "pause", filter: { labels: { batch }, status: "waiting" } };
  await expect.poll(async () => (await ask("POST /v1/runs/bulk?dryRun=true", { json })).body["count"]).toBe(1);
}

async function make(call: string, options: Ask = {}): Promise<Record<string, unknown>> {
  const { status, body } = await ask(call, { headers, ...options });
  expect([status < 300, body]).toEqual([true, body]);
  return body;
}

describe("the name, the role and the reason stand in the history of", () => {
  it("a start, and what comes with it", async () => {
    const json = { id: newId("who"), input: { name: "go" }, signal: { name: "go", payload: 1 } };
    await make("POST /v1/workflows/web-listen/runs?wait=60s", { json });
    expect(await told(json.id, "run.created")).toMatchObject({
      ...{ ...person, reason: why },
      text: `ana münchen (admin) started web-listen (version 1): ${why}`,
    });
    expect(await told(json.id, "signal.received")).toMatchObject(person);
    const asked = await make("POST /v1/workflows/reason-whoami/runs?wait=60s", { json: {} });
    expect(asked["output"]).toEqual(person);
  });

  it("a start that becomes part of another by debounce", async () => {
    const json = { input: { key: newId("who"), n: 1 } };
    const { id } = await make("POST /v1/workflows/flow-settled/runs", { json });
    await make("POST /v1/workflows/flow-settled/runs", { json: { input: { ...json.input, n: 2 } } });
    expect(await told(String(id), "run.debounced")).toMatchObject({ ...person, reason: why });
  });

  it("a rebuild of the directory", async () => {
    const { id } = await make("POST /v1/directory/rebuild", { json: {} });
    expect(await told(String(id), "run.created")).toMatchObject({ ...person, reason: why });
  });

  it("a signal", async () => {
    const { id } = await start("web-listen", { input: { name: "go" } });
    await make(`POST /v1/runs/${id}/signals/go`, { json: 1 });
    expect(await told(id, "signal.received")).toMatchObject({
      ...{ ...person, reason: why },
      text: `signal go came from ana münchen (admin): ${why}`,
    });
  });

  it("an update", async () => {
    const { id } = await start("asks-cart");
    await make(`POST /v1/runs/${id}/updates/add`, { json: { item: "tea" } });
    expect(await told(id, "update.accepted")).toMatchObject({ ...person, reason: why });
  });

  it.each([
    ["pause", "run.paused"],
    ["cancel", "run.cancel_requested"],
    ["cancel", "run.cancelled"],
    ["terminate", "run.cancelled"],
  ])("%s, as %s", async (action, kind) => {
    const { id } = await start("web-listen", { input: { name: "go" } });
    await runThatIs(id, { status: "waiting" });
    await make(`POST /v1/runs/${id}/${action}`);
    await expect.poll(() => told(id, kind)).toMatchObject({ ...person, reason: why });
  });

  it("resume and retry; a reason in the body counts before the header's", async () => {
    const { id } = await start("web-fragile", {}, "?wait=60s");
    repair(id);
    await make(`POST /v1/runs/${id}/retry`, { json: { reason: "the bank is back" } });
    expect(await told(id, "run.retried")).toMatchObject({ ...person, reason: "the bank is back" });
    const other = await start("web-listen", { input: { name: "go" } });
    await make(`POST /v1/runs/${other.id}/pause`);
    await make(`POST /v1/runs/${other.id}/resume`);
    expect(await told(other.id, "run.resumed")).toMatchObject({ ...person, reason: why });
  });

  it("a fork", async () => {
    const { id } = await start("web-fragile", {}, "?wait=60s");
    const fork = await make(`POST /v1/runs/${id}/fork`, { json: { from: "second" } });
    expect(await told(String(fork["id"]), "run.created")).toMatchObject({ ...person, fork: { id, reason: why } });
  });

  it("every run of a bulk action, beside the bulk run itself", async () => {
    const id = newId("who");
    await start("web-listen", { id, input: { name: "go" }, labels: { batch: id } });
    const filter = { labels: { batch: id } };
    await listed(id);
    const key = { ...headers, "idempotency-key": newId("key") };
    const bulk = await make("POST /v1/runs/bulk", { json: { action: "pause", filter }, headers: key });
    expect(await told(String(bulk["id"]), "run.created")).toMatchObject(person);
    const paused = await runThatIs(id, { status: "paused" });
    const reason = `${why} (asked for by ana münchen)`;
    expect(paused).toMatchObject({ reason: `paused by bulk ${String(bulk["id"])}: ${reason}` });
    expect(await told(id, "run.paused")).toMatchObject({ by: `bulk ${String(bulk["id"])}`, reason });
    // Somebody else who asks for the same, under the same key, asks for the same.
    const again = { ...key, "holdfast-actor": "ben" };
    const known = await make("POST /v1/runs/bulk", { json: { action: "pause", filter }, headers: again });
    expect(known["id"]).toBe(bulk["id"]);
  });

  it("a broadcast, delivered at once or kept for the next that waits", async () => {
    const name = newId("who");
    const { id } = await start("web-listen", { input: { name }, labels: { batch: name } });
    await listed(name);
    expect(await make(`POST /v1/signals/${name}`, { json: 1 })).toEqual({ delivered: 1, buffered: false });
    expect(await told(id, "signal.received")).toMatchObject({ ...person, reason: why });
    const kept = newId("who");
    expect(await make(`POST /v1/signals/${kept}`, { json: 1 })).toEqual({ delivered: 0, buffered: true });
    await evictAllDurableObjects();
    const later = await start("web-listen", { input: { name: kept } });
    await runThatIs(later.id, { status: "completed" });
    expect(await told(later.id, "signal.received")).toMatchObject({ ...person, reason: why });
  });

  it("what a schedule starts when it is triggered or backfilled; and of its pause", async () => {
    const id = newId("who");
    const json = { id, workflow: "web-echo", cron: "0 3 1 1 *", paused: true };
    const made = await make("POST /v1/schedules", { json });
    expect(made).toMatchObject({ pausedBy: person.by, pausedRole: "admin", pausedReason: why });
    const run = await make(`POST /v1/schedules/${id}/trigger`);
    expect(await told(String(run["id"]), "run.created")).toMatchObject({ ...person, reason: why });
    const slot = "2025-01-01T03:00:00Z";
    const range = { from: "2025-01-01T00:00:00Z", to: "2025-01-02T00:00:00Z" };
    await make(`POST /v1/schedules/${id}/backfill`, { json: range });
    const of = `${id}:${slot.replace(/[-:]/g, "")}`;
    await expect.poll(async () => (await ask(`GET /v1/runs/${of}`)).status).toBe(200);
    expect(await told(of, "run.created")).toMatchObject({ ...person, reason: why });
    await make(`PATCH /v1/schedules/${id}`, { json: { paused: false } });
    const held = await make(`PATCH /v1/schedules/${id}`, { json: { paused: true, reason: "holidays" } });
    expect(held).toMatchObject({ pausedBy: person.by, pausedRole: "admin", pausedReason: "holidays" });
    expect((await ask(`DELETE /v1/schedules/${id}`, { headers })).status).toBe(204);
  });
});

describe("the same request by another person", () => {
  const other = { "holdfast-actor": "ben" };

  it("is a repetition, and changes nothing of who did it", async () => {
    const key = { "idempotency-key": newId("key") };
    const by = (who: object): Ask => ({ headers: { ...key, ...who } });
    const call = "POST /v1/workflows/web-listen/runs";
    const first = await make(call, { ...by(headers), json: { input: { name: "go" } } });
    const again = await ask(call, { ...by(other), json: { input: { name: "go" } } });
    expect([again.status, again.body["id"]]).toEqual([200, first["id"]]);
    const run = `/v1/runs/${String(first["id"])}`;
    for (const who of [headers, other]) {
      const signal = await ask(`POST ${run}/signals/other`, { headers: { ...who, "idempotency-key": "s" }, json: 1 });
      expect(signal.status).toBe(202);
      const action = { headers: { "holdfast-actor": who["holdfast-actor"], "idempotency-key": "p" } };
      expect((await ask(`POST ${run}/pause`, action)).status).toBe(200);
    }
    const history = await historyOf(String(first["id"]));
    for (const kind of ["run.created", "signal.received", "run.paused"]) {
      expect(history.filter((entry) => entry.kind === kind)).toEqual([expect.objectContaining(person)]);
    }
  });

  it("of a schedule too", async () => {
    const id = newId("who");
    const json = { id, workflow: "web-echo", cron: "0 3 1 1 *" };
    const keyed = (who: object, key: string): Ask => ({ headers: { ...who, "idempotency-key": `${id} ${key}` } });
    const actor = { "holdfast-actor": headers["holdfast-actor"] };
    for (const [who, status] of [
      [actor, 201],
      [other, 200],
    ] as const) {
      expect((await ask("POST /v1/schedules", { ...keyed(who, "make"), json })).status).toBe(status);
      expect((await ask(`POST /v1/schedules/${id}/trigger`, keyed(who, "go"))).status).toBe(status);
    }
    for (const who of [actor, other]) {
      expect((await ask(`PATCH /v1/schedules/${id}`, { ...keyed(who, "p"), json: { paused: true } })).status).toBe(200);
    }
    expect((await ask(`GET /v1/schedules/${id}`)).body).toMatchObject({ pausedBy: person.by });
  });
});

it("a name that cannot be read is refused, and nothing is done", async () => {
  const { id } = await start("web-listen", { input: { name: "go" } });
  expect(await refusal(`POST /v1/runs/${id}/pause`, { headers: { "holdfast-actor": "%ff" } })).toBe(
    "400 header_invalid",
  );
  await runThatIs(id, { status: "waiting" });
});

describe("what a run does now", () => {
  it("is an attempt in flight, with its number and since when; then the next one, and why the last failed", async () => {
    const { id } = await start("reason-charge");
    const since = expect.stringMatching(/^\d{4}-.*Z$/) as string;
    const running = await runThatIs(id, { status: "running", active: [{ step: "charge", attempt: 1, since }] });
    expect(running).toMatchObject({
      reason: expect.stringMatching(/^running charge since \d\d:\d\d$/),
      waitingFor: [],
      steps: { running: 1 },
    });
    release(id);
    const said = /^next attempt of charge in (1 h|59 min \d+ s) \(attempt 2 of 6: 503 from the bank\)$/;
    const waiting = await runThatIs(id, { status: "waiting", active: [], steps: { running: 0 } });
    expect(waiting).toMatchObject({ reason: expect.stringMatching(said) });
    expect(await told(id, "step.attempt_failed")).toMatchObject({
      limit: 6,
      text: expect.stringMatching(/^charge: attempt 1 of 6 failed after .* \(503 from the bank\); next in 1 h$/),
    });
  });
});
