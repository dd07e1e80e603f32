/** The programs of docs/patterns.md, in virtual time, each through every death. */
import { defineWorkflow, NonRetryableError } from "holdfast";
import type { Step } from "holdfast";
import { rehearse } from "holdfast/testing";
import { expect, test } from "vitest";
import * as z from "zod";

async function letters(step: Step): Promise<number> {
  for (const letter of ["welcome", "tips", "offer"]) {
    await step.run(letter, () => letter);
    await step.sleep(`after ${letter}`, "3 days");
  }
  return 3;
}

const campaign = defineWorkflow("campaign", {
  handler: async ({ user }: { user: string }, step) => {
    const first = await step.race({
      sent: () => letters(step),
      gone: () => step.waitFor(`user.deleted:${user}`),
    });
    return first.key === "sent" ? first.value : step.bail("the user is gone");
  },
});

test("a run that an event cancels, wherever it stands", async () => {
  const whole = await rehearse(campaign, { user: "7" });
  await whole.end();
  expect(whole.output).toBe(3);
  await whole.crashEverywhere();
  const cut = await rehearse(campaign, { user: "7" });
  await cut.skip("4 days");
  await cut.signal("user.deleted:7");
  expect([cut.status, cut.error?.message]).toEqual(["cancelled", "the user is gone"]);
  expect(cut.history.filter(({ kind }) => kind === "step.completed")).toHaveLength(2);
  await cut.crashEverywhere();
});

function transfer(to: string): string {
  if (to === "nobody") throw new NonRetryableError("there is no such shop");
  return `paid to ${to}`;
}

const account = defineWorkflow("account", {
  input: z.object({ cents: z.int().default(0) }),
  handler: async (input, step) => {
    let { cents } = input;
    let done = 0;
    let underWay = 0;
    const { promise: full, resolve } = Promise.withResolvers<void>();
    step.query("cents", () => cents);
    step.update("pay", z.object({ cents: z.int().positive(), to: z.string() }), async (payment) => {
      if (payment.cents > cents) throw new Error(`only ${cents} left`);
      cents -= payment.cents;
      underWay++;
      try {
        return await step.run("transfer", () => transfer(payment.to));
      } catch (error) {
        cents += payment.cents;
        throw error;
      } finally {
        underWay--;
        if (++done >= 2 && underWay === 0) resolve();
      }
    });
    await full;
    return await step.continueAsNew({ cents });
  },
});

test("an entity that takes updates for ever, with a short history", async () => {
  const run = await rehearse(account, { cents: 100 });
  expect(run).toMatchObject({ status: "waiting", reason: "waiting for update pay" });
  const pay = (cents: number, to = `shop ${cents}`) => run.update("pay", { cents, to });
  const [paid, refused] = await Promise.allSettled([pay(1), pay(50, "nobody")]);
  expect([paid, refused]).toMatchObject([
    { value: "paid to shop 1" },
    { reason: { message: "there is no such shop", code: "non_retryable" } },
  ]);
  expect(run.history[0]).toMatchObject({ kind: "run.created", continuation: { count: 1 } });
  await run.crashEverywhere();
  await expect(pay(100)).rejects.toThrow("only 99 left");
  await expect(pay(-1)).rejects.toMatchObject({ code: "update_invalid" });
  expect(await run.query("cents")).toBe(99);
});

const collector = defineWorkflow("collector", {
  signals: { item: z.object({ id: z.int() }) },
  handler: async (_input: undefined, step) => {
    const batch = [await step.waitFor("item")];
    const closesAt = step.now() + 60_000;
    while (batch.length < 3) {
      const next = await step.waitFor("item", { timeout: Math.max(0, closesAt - step.now()) });
      if (next === null) break;
      batch.push(next);
    }
    await step.run("insert", () => batch.map(({ id }) => id));
    return await step.continueAsNew();
  },
});

test("items in batches, by number and by time", async () => {
  const run = await rehearse(collector, undefined);
  for (const id of [1, 2, 3, 4]) await run.signal("item", { id });
  await run.skip("61 s");
  expect(run.history[0]).toMatchObject({ kind: "run.created", continuation: { count: 2 } });
  expect(run.reason).toMatch(/^waiting for signal item/);
  await run.crashEverywhere();
});

const confirmed = defineWorkflow("confirmed", {
  handler: async ({ cents }: { cents: number }, step) => {
    const { promise: authorized, resolve } = Promise.withResolvers<{ id: string }>();
    step.update("authorized", null, () => authorized);
    resolve(await step.run("authorize", () => ({ id: `a-${cents}` })));
    await step.sleep("until the parcel is out", "2 days");
    return await step.run("capture", () => cents);
  },
});

test("an update that is answered once the run has come so far", async () => {
  const run = await rehearse(confirmed, { cents: 7 });
  expect(await run.update("authorized")).toEqual({ id: "a-7" });
  await run.end();
  expect(run.output).toBe(7);
  await run.crashEverywhere();
});

const paymentEvent = defineWorkflow("payment-event", {
  input: z.object({
    type: z.string(),
    data: z.object({ object: z.looseObject({ metadata: z.object({ run: z.string() }) }) }),
  }),
  handler: async ({ type, data: { object } }, step) => await step.signal(object.metadata.run, type, object),
});

test("a call of a provider that is passed on to the run which it names", async () => {
  const object = { amount: 7, metadata: { run: "order-7" } };
  const run = await rehearse(paymentEvent, { type: "payment_intent.succeeded", data: { object } });
  await run.end();
  expect(run.sent).toEqual([{ to: "order-7", name: "payment_intent.succeeded", payload: object }]);
  await run.crashEverywhere();
});
