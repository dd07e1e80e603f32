/** The example of docs/testing.md and the README, as they have it. */
import { defineWorkflow } from "holdfast";
import { rehearse } from "holdfast/testing";
import { expect, test } from "vitest";
import * as z from "zod";

async function pay(_order: object, _key: string): Promise<{ ok: boolean }> {
  throw new Error("a test pays nobody");
}

const approveOrder = defineWorkflow("approve-order", {
  input: z.object({ id: z.string(), total: z.number() }),
  retries: 4,
  handler: async (order, step) => {
    const charge = await step.run("charge", ({ idempotencyKey }) => pay(order, idempotencyKey));
    const decision = await step.waitFor<{ approved: boolean }>(`approval:${order.id}`, { timeout: "7 days" });
    if (decision === null) return step.bail("approval timed out");
    await step.sleep("3 days");
    return { charge, approved: decision.approved };
  },
});

test("an approved order", async () => {
  const run = await rehearse(approveOrder, { id: "7", total: 12 }, { steps: { charge: () => ({ ok: true }) } });
  expect(run.status).toBe("waiting");
  await run.signal("approval:7", { approved: true });
  expect(run.waitingFor).toMatchObject([{ kind: "timer" }]);
  await run.skip("3 days");
  expect(run.output).toEqual({ charge: { ok: true }, approved: true });
  expect(run.status).toBe("completed");
  const { deaths } = await run.crashEverywhere();
  expect(deaths).toBeGreaterThan(5);
});

test("an order that nobody decides about", async () => {
  const run = await rehearse(approveOrder, { id: "7", total: 12 }, { steps: { charge: () => ({ ok: true }) } });
  await run.end();
  expect([run.status, run.error?.message]).toEqual(["cancelled", "approval timed out"]);
  expect(run.now).toEqual(new Date("2026-01-12T09:00:00Z"));
});
