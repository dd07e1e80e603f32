/** Workflows for the list of runs: some succeed, some wait, some fail, each in its own way. */
import * as z from "zod";
import { defineWorkflow, NonRetryableError } from "../../../src/index.ts";

const greet = defineWorkflow("greet", {
  input: z.object({ name: z.string() }),
  labels: () => ({ team: "front" }),
  handler: async ({ name }, step) => await step.run("write", () => `Hello ${name}`),
});

const approve = defineWorkflow("approve-order", {
  input: z.object({ order: z.number() }),
  signals: { approval: z.object({ ok: z.boolean() }) },
  handler: async ({ order }, step) => {
    await step.run("reserve", () => order);
    return await step.waitFor("approval", { timeout: "6 days" });
  },
});

const charge = defineWorkflow("charge-card", {
  input: z.object({ card: z.string(), order: z.number() }),
  handler: async ({ card, order }, step) =>
    await step.run(
      "charge",
      () => {
        if (card === "expired") throw new Error("the card has expired");
        throw new NonRetryableError(`503 from the bank for order ${order}`);
      },
      { retry: { limit: 0 } },
    ),
});

export const listedWorkflows = [greet, approve, charge];
