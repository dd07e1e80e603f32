/** A workflow whose journal the tests damage. */
import { defineWorkflow } from "../../../src/index.ts";

/** More than a row of the journal holds. */
const large = "x".repeat(700_000);

const victim = defineWorkflow("damage-victim", {
  handler: async (_input: unknown, step) => {
    const one = await step.run("one", () => 1);
    await step.run("large", () => large);
    const two = await step.run("two", () => 2);
    // Not in one commit with the step before it, and due while no test looks.
    await step.waitFor("go", { timeout: "1 hour" });
    return one + two;
  },
});

/** One at a time, parked or not. */
const holder = defineWorkflow("damage-holder", {
  concurrency: { limit: 1, hold: true },
  handler: async (_input: unknown, step) => await step.waitFor("go"),
});

export const damageWorkflows = [victim, holder];
