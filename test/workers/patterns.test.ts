/** The patterns among the examples, run in the real objects; each is evicted in mid-run. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { agent } from "../../examples/agent/agent.ts";
import { approval } from "../../examples/approval.ts";
import { drip } from "../../examples/drip.ts";
import { order } from "../../examples/orders.ts";
import { resizeImages } from "../../examples/resize.ts";
import { syncLater, syncNow } from "../../examples/sync.ts";
import type { RunHandle } from "../../src/index.ts";
import { service } from "./driver.ts";
import { settings } from "./settings.ts";
import { evict } from "./storage.ts";

type Mail = { readonly to: string; readonly subject: string; readonly text: string };

const mailUrl = "https://mail.example.com/patterns";
/** By idempotency key: what was sent twice under one key is one mail. */
let mails = new Map<string, Mail>();
let made = 0;

beforeEach(() => {
  mails = new Map();
  settings["MAIL_URL"] = mailUrl;
  const outside = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (target, init) => {
    const request = new Request(target, init);
    if (request.url !== mailUrl) return outside(request);
    mails.set(request.headers.get("Idempotency-Key") ?? "", await request.json<Mail>());
    return new Response(null, { status: 202 });
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

const id = (name: string): string => `${name}-pattern-${++made}`;

function subjectsTo(to: string): string[] {
  return [...mails.values()].filter((mail) => mail.to === to).map(({ subject }) => subject);
}

/** Waits until the run waits for this, then evicts it. */
async function parkedOn(run: Pick<RunHandle, "id" | "status">, kind: string, name: string): Promise<void> {
  await vi.waitFor(
    async () => {
      const { status, waitingFor } = await run.status();
      expect({ status, waits: waitingFor.map((wait) => `${wait.kind} ${wait.name}`) }).toEqual({
        status: "waiting",
        waits: expect.arrayContaining([`${kind} ${name}`]) as string[],
      });
    },
    { timeout: 60_000, interval: 20 },
  );
  await evict(run.id);
}

async function kindsOf(runId: string): Promise<string[]> {
  return (await service.runs.history(runId, 0, 200)).entries.map(({ kind }) => kind);
}

describe("approval", () => {
  const asked = { what: "a bigger boat", approver: "ann@example.com", manager: "max@example.com" };

  it("reminds, escalates and takes the answer of whoever decides", async () => {
    const run = await approval.start({ ...asked, remindAfter: "50ms", escalateAfter: "50ms" }, { id: id("approval") });
    await parkedOn(run, "signal", "decision");
    await expect.poll(() => run.query("stage")).toEqual({ stage: "escalated", approver: asked.approver });
    await evict(run.id);
    await run.signal("decision", { approved: true, by: "max@example.com", note: "sail on" });
    expect(await run.result()).toEqual({ approved: true, by: "max@example.com", note: "sail on" });
    expect(subjectsTo(asked.approver)).toEqual(["Please decide: a bigger boat", "Reminder: a bigger boat"]);
    expect(subjectsTo(asked.manager)).toEqual(["Escalated: a bigger boat"]);
  });

  it("can be delegated while it waits, also after an eviction", async () => {
    const run = await approval.start(asked, { id: id("approval") });
    await parkedOn(run, "signal", "decision");
    expect(await run.update("delegate", { to: "bob@example.com" })).toEqual({ approver: "bob@example.com" });
    await evict(run.id);
    expect(await run.query("stage")).toEqual({ stage: "asked", approver: "bob@example.com" });
    expect(subjectsTo("bob@example.com")).toEqual(["Please decide: a bigger boat"]);
    await run.cancel("no longer needed");
    await expect(run.result()).rejects.toMatchObject({ code: "cancelled" });
  });

  it("bails out when nobody decides", async () => {
    const soon = { remindAfter: "20ms", escalateAfter: "20ms", expireAfter: "20ms" };
    const run = await approval.start({ ...asked, ...soon }, { id: id("approval") });
    await expect(run.result()).rejects.toMatchObject({ code: "bailed" });
  });
});

describe("the order saga", () => {
  it("undoes what was done, the last first, when a later step fails for good", async () => {
    const placed = { id: "A-9", email: "eve@example.com", address: "nowhere", totalCents: 100, card: "4242" };
    const run = await order.start({ ...placed, undeliverable: true }, { id: id("order") });
    await expect(run.result()).rejects.toMatchObject({ code: "non_retryable", step: "ship" });
    expect((await run.status()).error).toMatchObject({ undone: ["charge", "reserve"] });
    expect(subjectsTo("eve@example.com")).toEqual(["Your order A-9"]);
    expect((await kindsOf(run.id)).slice(-4)).toEqual([
      "undo.started",
      "undo.completed",
      "undo.completed",
      "run.failed",
    ]);
  });
});

describe("fan-out", () => {
  it("of a thousand with three failures: the rest is done, and a retry repeats only what failed", async () => {
    const input = { count: 1000, broken: [7, 77, 777], tolerate: 3 };
    const run = await resizeImages.start(input, { id: id("resize") });
    expect(await run.result()).toEqual({ resized: 997, failed: 3 });
    expect((await run.status()).steps).toMatchObject({ completed: 997, failed: 3 });

    const strict = await resizeImages.start({ ...input, tolerate: 0 }, { id: id("resize") });
    await expect(strict.result()).rejects.toMatchObject({ code: "map_failed" });
    const before = (await strict.status()).steps;
    await evict(strict.id);
    await strict.retry();
    await expect(strict.result()).rejects.toMatchObject({ code: "map_failed" });
    expect((await strict.status()).steps.completed).toBeGreaterThanOrEqual(before.completed);
  });
});

describe("drip campaign", () => {
  it("goes on round after round with a short history, until somebody unsubscribes", async () => {
    const to = "dora@example.com";
    const input = { email: to, pause: "30ms", letters: ["One", "Two", "Three"] };
    const run = await drip.start(input, { id: id("drip") });
    await expect.poll(() => subjectsTo(to).length).toBeGreaterThanOrEqual(5);
    await evict(run.id);
    // A second campaign to the same address is the one that exists.
    expect((await drip.start(input, { id: id("drip") })).id).toBe(run.id);
    await run.signal("unsubscribe", {});
    const { letters } = await run.result();
    expect(subjectsTo(to)).toHaveLength(letters);
    expect(subjectsTo(to).slice(0, 5)).toEqual(["One", "Two", "Three", "One", "Two"]);
    expect((await kindsOf(run.id)).length).toBeLessThan(12);
  });
});

describe("agent", () => {
  it("uses tools, asks a person before dangerous ones, and keeps its model", async () => {
    const run = await agent.start({ task: "search boats\nsend-money 5 EUR" }, { id: id("agent") });
    await parkedOn(run, "signal", "decision");
    expect((await run.status()).progress).toEqual({ asking: "send-money 5 EUR" });
    expect(await run.query("notes")).toMatchObject([{ tool: "search" }]);
    await run.signal("decision", { approved: true, by: "ann" });
    const result = await run.result();
    expect(result).toMatchObject({ model: null, tools: 2 });
    expect(result.answer).toContain("found something about boats; sent 5 EUR");
  });

  it("does without what a person refuses", async () => {
    const run = await agent.start({ task: "send-money 5 EUR" }, { id: id("agent") });
    await parkedOn(run, "signal", "decision");
    await run.signal("decision", { approved: false, by: "ann" });
    expect(await run.result()).toMatchObject({ answer: "ann did not allow it" });
  });

  it("is cut short when it calls one tool over and over, and answers with what it has", async () => {
    const task = Array.from({ length: 9 }, (_unused, index) => `search ${index}`).join("\n");
    const run = await agent.start({ task }, { id: id("agent") });
    expect(await run.result()).toMatchObject({
      tools: 5,
      answer: expect.stringContaining("Cut short after 5") as string,
    });
  });

  it("waits for credit at no cost, and goes on when there is some", async () => {
    const run = await agent.start({ task: "search a\nsearch b", credits: 1 }, { id: id("agent") });
    await parkedOn(run, "signal", "credit");
    await run.signal("credit", { credits: 1 });
    await parkedOn(run, "signal", "credit");
    await run.signal("credit", { credits: 10 });
    expect(await run.result()).toMatchObject({ tools: 2 });
  });
});

describe("lanes", () => {
  it("a burst of automation does not hold up what a person waits for", async () => {
    const burst = Array.from({ length: 30 }, (_unused, index) =>
      syncLater.start({ customer: `c${index % 3}`, workMs: 400 }, { id: id("later") }),
    );
    const started = await Promise.all(burst);
    const now = await syncNow.start({ customer: "ann", workMs: 5 }, { id: id("now") });
    expect(await now.result()).toEqual({ customer: "ann" });
    const still = await Promise.all(started.map(async (run) => (await run.status()).status));
    expect(still.filter((status) => status === "queued").length).toBeGreaterThan(10);
    const held = started[still.indexOf("queued")];
    expect((await held?.status())?.reason).toMatch(/in lane automation, 2 of 2 slots in use|in lane concurrency/);
    await Promise.all(started.map((run) => run.result()));
  });
});
