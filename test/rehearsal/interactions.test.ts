/** Calls of a run in rehearsal: webhooks, queries, updates and actions. */
import { NonRetryableError, defineWorkflow, verify } from "holdfast";
import type { Step } from "holdfast";
import { rehearse } from "holdfast/testing";
import { expect, test } from "vitest";
import * as z from "zod";

const flow = <Output>(handler: (input: unknown, step: Step) => Promise<Output>, options: object = {}) =>
  defineWorkflow("flow", { handler, ...options });

test("a webhook is called by its name or by its address, which a step may have sent", async () => {
  const letters: string[] = [];
  const asked = flow(async (_input, step) => {
    const review = await step.webhook("review", { timeout: "2 days", respond: () => ({ body: "Thank you." }) });
    await step.run("mail", () => void letters.push(`Decide: ${review.url}?decision=approve`));
    const first = await review.received();
    const again = await step.webhook("review", { verify: ({ headers }) => headers["x-key"] === "k" });
    return [first?.query, first?.body, (await again.received())?.body];
  });
  const run = await rehearse(asked);
  const [letter = ""] = letters;
  const answer = await run.call(letter.replace("Decide: ", ""), { method: "GET" });
  expect(answer).toMatchObject({ duplicate: false, response: { status: 200, body: "Thank you." } });
  expect((await run.call("review")).duplicate).toBe(true);
  expect((await run.call(letter.replace("Decide: ", ""))).duplicate).toBe(true);
  await expect(run.call("review#2", { body: "x" })).rejects.toMatchObject({ code: "webhook_rejected" });
  await expect(run.call("nothing")).rejects.toMatchObject({ code: "webhook_not_found" });
  await run.call("review#2", { headers: { "X-Key": "k" }, body: { a: 1 } });
  expect(run.output).toEqual([{ decision: "approve" }, null, { a: 1 }]);
  await run.crashEverywhere();
});

test("the address of a webhook is that of one life of a run: no other is called by it, nor by a call that is made again", async () => {
  const urls: string[] = [];
  const rounds = flow(async (_input, step) => {
    const hook = await step.webhook("order");
    await step.run("mail", () => void urls.push(hook.url));
    const call = await hook.received();
    if (call?.body === "last") return step.info.continued;
    return await step.continueAsNew();
  });
  const run = await rehearse(rounds);
  await run.call("order", { body: "1" });
  await run.call("order", { body: "2" });
  await expect(run.call(urls[0] ?? "")).rejects.toMatchObject({ code: "webhook_expired" });
  await run.call(urls[2] ?? "", { body: "last" });
  expect(run.output).toBe(2);
  await run.crashEverywhere();
});

test("an update that has the run go on as new is refused, and is one update whenever the process dies", async () => {
  const booked: unknown[] = [];
  const rounds = flow(async (_input, step) => {
    step.update("close", null, async (by: string) => {
      await step.run("book", ({ idempotencyKey }) => void booked.push(`${by} ${idempotencyKey}`));
      await step.continueAsNew();
    });
    return await step.waitFor("end").then(() => step.info.continued);
  });
  const run = await rehearse(rounds);
  await expect(run.update("close", "Ann")).rejects.toMatchObject({ code: "run_ended" });
  await run.signal("end");
  expect(run.output).toBe(1);
  await run.crashEverywhere();
  expect(new Set(booked).size).toBe(1);
});

test("the address of a child's webhook leads to the child", async () => {
  const urls: string[] = [];
  const child = defineWorkflow("child", {
    handler: async (_input: undefined, step) => {
      const hook = await step.webhook("paid");
      await step.run("mail", () => void urls.push(hook.url));
      return (await hook.received())?.body;
    },
  });
  const run = await rehearse(flow((_input, step) => step.invoke(child, undefined)));
  await run.call(urls[0] ?? "", { body: { cents: 5 } });
  expect(run.output).toEqual({ cents: 5 });
  await run.crashEverywhere();
});

test("a sender that is known signs as in earnest, at the time that it is", async () => {
  const hmac = verify.token({ token: "sesame", header: "x-token" });
  const run = await rehearse(flow(async (_input, step) => (await step.webhook("paid", { verify: hmac })).received()));
  await expect(run.call("paid", { body: {} })).rejects.toMatchObject({ code: "webhook_rejected" });
  await run.call("paid", { body: {}, headers: { "x-token": "sesame" } });
  expect(run.status).toBe("completed");
});

const account = flow(
  async (_input, step) => {
    let total = 0;
    step.query("total", () => total);
    step.update("add", z.number().max(10), async (amount) => {
      await step.run("book", () => amount);
      return (total += amount);
    });
    step.update("slow", null, async () => {
      await step.sleep("2 days");
      return "awake";
    });
    await step.waitFor("close");
    return total;
  },
  { signals: { close: z.object({ by: z.string() }) } },
);

test("queries, updates and signals", async () => {
  const run = await rehearse(account);
  expect(await run.query("total")).toBe(0);
  expect(await run.update("add", 4)).toBe(4);
  await expect(run.update("add", 40)).rejects.toMatchObject({ code: "update_invalid" });
  await expect(run.update("none")).rejects.toMatchObject({ code: "update_not_found" });
  await expect(run.query("none")).rejects.toMatchObject({ code: "query_not_found" });
  expect(await run.update("slow")).toBe("awake");
  expect(run.now).toEqual(new Date("2026-01-07T09:00:00Z"));
  await expect(run.signal("close", {})).rejects.toMatchObject({ code: "signal_invalid" });
  expect(await run.query("total")).toBe(4);
  await run.signal("close", { by: "ann" });
  expect(run.output).toBe(4);
  await expect(run.signal("close", { by: "ann" })).rejects.toMatchObject({ code: "run_ended" });
  await run.crashEverywhere();
});

test("what nobody awaited comes in its order all the same", async () => {
  const run = await rehearse(account);
  void run.update("add", 1);
  void run.update("slow");
  void run.skip("1 hour");
  void run.update("add", 2);
  const total = run.query("total");
  void run.signal("close", { by: "ann" });
  const output = run.result();
  expect([await total, await output]).toEqual([3, 3]);
  expect(run.now).toEqual(new Date("2026-01-07T10:00:00Z"));
  await run.crashEverywhere();
});

test("pause, resume, retry, cancel and terminate", async () => {
  const undone: string[] = [];
  const long = flow(async (_input, step) => {
    await step.run("a", () => 1, { undo: () => void undone.push("a") });
    await step.sleep("1 day");
    await step.run("b", ({ attempt }) => Promise.reject(new Error(`${attempt}`)), {
      onExhausted: "pause",
      retry: { limit: 0 },
    });
    return 1;
  });
  const run = await rehearse(long);
  await run.pause("lunch");
  await run.skip("5 days");
  expect(run.status).toBe("paused");
  await run.resume();
  expect(run.waitingFor).toMatchObject([{ kind: "timer" }]);
  await run.skip("1 day");
  expect([run.status, run.error?.message]).toEqual(["paused", "1"]);
  await expect(run.end()).rejects.toThrow(/does not end by itself/);
  await run.retry();
  expect(run.status).toBe("paused");
  await run.cancel("never mind");
  await run.end();
  expect([run.status, run.error?.message, undone]).toEqual(["cancelled", "never mind", ["a"]]);
  await run.crashEverywhere();
  const other = await rehearse(long);
  await other.terminate();
  expect([other.status, other.error?.code]).toEqual(["cancelled", "terminated"]);
  await expect(other.cancel()).rejects.toMatchObject({ code: "run_ended" });
});

test("guarantee 2: a retried parent waits for its child that was retried before it, and goes on", async () => {
  let isOpen = false;
  let paid = 0;
  const pay = defineWorkflow("pay", {
    handler: async (_input: undefined, step) => {
      await step.run("book", () => {
        if (!isOpen) throw new NonRetryableError("closed");
        paid++;
      });
      await step.sleep("1 hour");
    },
  });
  const run = await rehearse(flow(async (_input, step) => await step.invoke(pay, undefined)));
  expect(run.status).toBe("failed");
  isOpen = true;
  await run.child(pay).retry();
  await run.retry();
  await run.result();
  expect(paid).toBe(1);
});

test("how it stands: labels, progress, history, schedule", async () => {
  const shown = defineWorkflow("shown", {
    input: z.object({ to: z.string(), when: z.coerce.date() }),
    labels: ({ to }) => ({ to }),
    handler: async ({ when }, step) => {
      step.progress({ at: "begin" });
      step.log.info("here", { when });
      await step.run("look", () => new Map([["a", 1n]]));
      return [step.info.schedule?.id, step.info.labels];
    },
  });
  const run = await rehearse(
    shown,
    { to: "ann", when: "2026-02-03" },
    { labels: { more: "x" }, schedule: { id: "daily", at: 5 } },
  );
  expect(run.output).toEqual(["daily", { to: "ann", more: "x" }]);
  expect([run.labels, run.progress, run.reason]).toEqual([{ to: "ann", more: "x" }, { at: "begin" }, null]);
  const look = run.history.find(({ kind }) => kind === "step.completed");
  expect(look).toMatchObject({
    step: "look",
    result: new Map([["a", 1n]]),
    at: run.now,
    text: expect.stringContaining("look"),
  });
  const [created] = run.history;
  expect(created?.["input"]).toEqual({ to: "ann", when: new Date("2026-02-03") });
});

test("labels that no run may begin with are refused, of the run and of its children", async () => {
  const labels = () => ({ late: "x".repeat(1025) });
  const long = defineWorkflow("long", { labels, handler: async () => 1 });
  await expect(rehearse(long)).rejects.toMatchObject({ code: "label_invalid" });
  const parent = flow((_input, step) => step.invoke(long, undefined).catch(String));
  expect((await rehearse(parent)).output).toMatch(/label "late" is not text of at most/);
});
