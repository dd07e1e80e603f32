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

export const damageWorkflows = [victim];
