/** The testing kit inside workerd: the same as under Node, with a Worker's own environment around it. */
import { expect, test } from "vitest";
import { order } from "../../examples/orders.ts";
import { defineWorkflow } from "../../src/index.ts";
import { hang, rehearse } from "../../src/testing.ts";

const goods = { id: "7", email: "ann@example.com", address: "12 Quay Street", totalCents: 8990, card: "4242" };

test("an example, whoever dies meanwhile", async () => {
  const run = await rehearse(order, { ...goods, failPayments: 2 }, { steps: { "mail-shipped": () => {} } });
  expect(await run.result()).toMatchObject({ attempts: 3 });
  expect((await run.crashEverywhere()).deaths).toBeGreaterThan(5);
});

const family = defineWorkflow("family", {
  handler: async (_input: undefined, step) => {
    const hook = await step.webhook("paid", { timeout: "9 days" });
    const answer = await step
      .fetch("ask", "https://api.example.com/", { timeout: "1 h", retry: { limit: 0 } })
      .catch(() => "late");
    const child = await step.invoke(order, goods);
    return [answer, child.tracking.slice(0, 2), (await hook.received())?.body];
  },
});

test("webhooks, requests and children", async () => {
  const children = { order: { steps: { "mail-shipped": () => new Promise((done) => void setTimeout(done, 5)) } } };
  const run = await rehearse(family, undefined, { steps: { ask: hang }, children });
  await run.skip("1 h");
  await run.call("paid", { body: { cents: 5 } });
  expect(run.output).toEqual(["late", "HF", { cents: 5 }]);
  await run.crashEverywhere();
});

test("a wide run is rehearsed through every death here too", async () => {
  const wide = defineWorkflow("wide", {
    handler: async (_input: undefined, step) => {
      const made = await step.map("make", Array.from({ length: 200 }), (_item, { index }) => index);
      return made.length;
    },
  });
  const run = await rehearse(wide);
  expect(run.output).toBe(200);
  await run.crashEverywhere();
});
