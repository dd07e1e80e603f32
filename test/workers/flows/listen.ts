/** Workflows whose runs wait for broadcasts, one after the other or all at once, and give up. */
import { defineWorkflow } from "../../../src/index.ts";

type Waits = { readonly name: string; readonly count: number; readonly timeout: number };

const inTurn = defineWorkflow("listen-in-turn", {
  handler: async ({ name, count, timeout }: Waits, step) => {
    for (let wait = 0; wait < count; wait++) {
      await step.waitFor(name, { timeout });
      await step.sleep(20);
    }
  },
});

const atOnce = defineWorkflow("listen-at-once", {
  handler: async ({ name, count, timeout }: Waits, step) => {
    await Promise.all(Array.from({ length: count }, () => step.waitFor(name, { timeout })));
  },
});

export const listenWorkflows = [inTurn, atOnce];
