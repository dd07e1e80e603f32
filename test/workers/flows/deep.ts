/** Workflows whose outcomes pass through many async functions of their own before the handler sees them. */
import { defineWorkflow } from "../../../src/index.ts";

/** The promise, as it comes through so many async functions. */
async function through<Value>(depth: number, ask: () => Promise<Value>): Promise<Value> {
  return depth === 0 ? await ask() : await through(depth - 1, ask);
}

export const deepRace = defineWorkflow("deep-race", {
  handler: async (input: { depth: number; durable: boolean }, step) => {
    const slow = () => through(input.depth, () => step.sleep("first", 60).then(() => "first"));
    const quick = () => step.run("second", () => new Promise((resolve) => setTimeout(() => resolve("second"), 300)));
    const winner = input.durable ? (await step.race({ slow, quick })).value : await Promise.race([slow(), quick()]);
    step.query("winner", () => winner);
    await step.sleep("gap", 500);
    await step.waitFor("go");
    return await step.run(`charge ${String(winner)}`, () => winner);
  },
});

export const deepCleanUp = defineWorkflow("deep-clean-up", {
  handler: async (input: { depth: number; ms: number }, step) => {
    try {
      await through(input.depth, () => step.sleep("1 h"));
    } catch (error) {
      await through(input.depth, () => Promise.resolve());
      await new Promise((resolve) => setTimeout(resolve, input.ms));
      await step.run("clean", () => 1);
      throw error;
    }
  },
});

export const deepWorkflows = [deepRace, deepCleanUp];
