/** A run whose step is held in mid-attempt, and one that waits for its next attempt for long. */
import { defineWorkflow } from "../../../src/index.ts";

const released = new Set<string>();

/** Ends the attempts of the run: it looks for itself, a promise of the test's is not its own. */
export function release(run: string): void {
  released.add(run);
}

const charge = defineWorkflow("reason-charge", {
  handler: async (_input: unknown, step) =>
    await step.run(
      "charge",
      async () => {
        while (!released.has(step.info.id)) await scheduler.wait(10);
        throw new Error("503 from the bank");
      },
      { retry: { limit: 5, delay: "1 hour", jitter: 0 } },
    ),
});

/** Answers with who started it. */
const whoami = defineWorkflow("reason-whoami", {
  handler: (_input: unknown, step) => step.info.author,
});

export const reasonWorkflows = [charge, whoami];
