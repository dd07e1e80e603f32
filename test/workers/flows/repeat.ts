/** Workflows whose code is another from one call to the next, as after a deploy, or as time passes. */
import * as z from "zod";
import { defineWorkflow } from "../../../src/index.ts";

/** What the code is at the moment. */
export const code: { refuses: boolean; label: string | null } = { refuses: false, label: null };

const item = z.object({ n: z.number() }).refine(() => !code.refuses, "is not taken any more");

/** Waits until it is told to go; answers with what it was told. */
export const changing = defineWorkflow("repeat-changing", {
  input: item,
  signals: { go: item.transform(({ n }) => ({ doubled: 2 * n })) },
  labels: () => (code.label === null ? {} : { made: code.label }),
  handler: async (_input, step) => {
    step.update("count", z.number(), (by) => by + 1);
    return await step.waitFor("go");
  },
});

/** One at a time: who starts it meanwhile is answered with the one that goes on. */
export const single = defineWorkflow("repeat-single", {
  singleton: { mode: "skip" },
  labels: () => (code.label === null ? {} : { made: code.label }),
  handler: async (_input: unknown, step) => await step.waitFor("go"),
});

/** One at a time, of what is taken. */
const held = defineWorkflow("repeat-held", {
  input: item,
  signals: { go: item },
  singleton: { mode: "skip" },
  handler: async (_input, step) => await step.waitFor("go"),
});

/** One for all that come within the hour; goes on as new as often as it is told to. */
const merged = defineWorkflow("repeat-merged", {
  input: item,
  debounce: { period: "1 hour", key: ({ n }) => String(n) },
  handler: async (input, step) => {
    await step.waitFor("next");
    return await step.continueAsNew(input);
  },
});

/** One for all that come within the hour, and one at a time. */
const both = defineWorkflow("repeat-both", {
  debounce: { period: "1 hour" },
  singleton: { mode: "skip" },
  handler: async (_input: unknown, step) => await step.waitFor("go"),
});

/** Goes on as new for as long as it is told to. */
const renewed = defineWorkflow("repeat-renewed", {
  handler: async (_input: unknown, step) => {
    await step.waitFor("next");
    return await step.continueAsNew(null);
  },
});

export const repeatWorkflows = [changing, single, held, merged, both, renewed];
