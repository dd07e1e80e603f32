/**
 * Lanes: interactive and nightly syncs share a provider, and a burst of one must not delay the other. Each has its own
 * lane with its own limit; within a lane, one customer has at most two runs at once, and urgent ones go first.
 */
import { defineWorkflow } from "holdfast";
import * as z from "zod";

const syncInput = z.object({
  customer: z.string().min(1).max(64),
  urgent: z.boolean().default(false),
  workMs: z.int().min(0).max(60_000).default(20),
});

/** Asked for by a person, who is waiting. */
export const syncNow = defineWorkflow("sync-now", {
  input: syncInput,
  lane: { name: "interactive", limit: 5 },
  priority: (input) => (input.urgent ? 10 : 0),
  handler: async (input, step) => await step.run("sync", () => sync(input)),
});

/** Started by schedules and imports, by the hundred. */
export const syncLater = defineWorkflow("sync-later", {
  input: syncInput,
  lane: { name: "automation", limit: 2 },
  concurrency: { limit: 2, key: (input) => input.customer },
  handler: async (input, step) => await step.run("sync", () => sync(input)),
});

/** A stand-in for the provider. */
async function sync({ customer, workMs }: z.output<typeof syncInput>) {
  await new Promise((resolve) => setTimeout(resolve, workMs));
  return { customer };
}
