/** Workflows whose listing is what the tests look at. */
import * as z from "zod";
import { defineWorkflow } from "../../../src/index.ts";

export const retentionMs = 10_000;

const released = new Set<string>();

/** Lets the step of the run go on. */
export function release(id: string): void {
  released.add(id);
}

/** Waits for one signal and ends. */
const listedOnce = defineWorkflow("listed-once", {
  input: z.object({ label: z.string().optional() }).optional(),
  labels: (input) => (input?.label === undefined ? {} : { batch: input.label }),
  signals: { go: z.unknown() },
  handler: async (_input, step) => {
    await step.run("begin", () => 1);
    await step.waitFor("go");
    return await step.run("end", () => 2);
  },
});

/** Is at work until it is released. */
const listedBusy = defineWorkflow("listed-busy", {
  handler: async (_input: unknown, step) => {
    // Looked at every now and then: what a test resolves is not for another object to wait for.
    await step.run("work", async () => {
      while (!released.has(step.info.id)) await scheduler.wait(10);
    });
    await step.sleep("rest", 200);
    return "done";
  },
});

/** Fails as it is told to. */
const listedFailing = defineWorkflow("listed-failing", {
  input: z.object({ message: z.string(), step: z.string().optional(), batch: z.string() }),
  labels: ({ batch }) => ({ batch }),
  retries: 0,
  handler: async ({ message, step: name }, step) => {
    if (name === undefined) throw new Error(message);
    await step.run(name, () => 1);
    return await step.run(name, () => {
      throw new Error(message);
    });
  },
});

/** Is paused by each attempt, which fails of its number. */
const listedStuck = defineWorkflow("listed-stuck", {
  retries: 0,
  handler: async (_input: unknown, step) => {
    const fail = ({ attempt }: { attempt: number }): never => {
      throw new Error(`down ${attempt}`);
    };
    return await step.run("work", fail, { onExhausted: "pause" });
  },
});

/** Is removed a while after its end: a busy machine sees before that how it is listed. */
const listedBriefly = defineWorkflow("listed-briefly", {
  retention: retentionMs,
  handler: async (_input: unknown, step) => await step.run("work", () => 1),
});

/** Goes on as new, once. */
const listedRenewed = defineWorkflow("listed-renewed", {
  handler: async (input: { life: number }, step) => {
    if (input.life === 1) return step.continueAsNew({ life: 2 });
    return await step.waitFor("go");
  },
});

/** Waits for a signal of the name it is given. */
const listedName = defineWorkflow("listed-name", {
  handler: async ({ name }: { name: string }, step) => await step.waitFor(name),
});

export const directoryWorkflows = [
  listedName,
  listedOnce,
  listedBusy,
  listedFailing,
  listedStuck,
  listedBriefly,
  listedRenewed,
];
