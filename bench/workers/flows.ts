/** The measured workflows, each as small as possible. */
import { defineWorkflow } from "../../src/index.ts";

/** Sequential no-op steps; returns the instants at which the numbers in `marks` were reached. */
const steps = defineWorkflow("steps", {
  handler: async ({ count = 0, marks = [] }: { count?: number; marks?: readonly number[] }, step) => {
    const at: number[] = [];
    for (let index = 1; index <= count; index++) {
      await step.run("step", () => index);
      if (marks.includes(index)) at.push(Date.now());
    }
    return at;
  },
});

const parallel = defineWorkflow("parallel", {
  handler: async ({ count }: { count: number }, step) => {
    await Promise.all(Array.from({ length: count }, (_, index) => step.run("step", () => index)));
  },
});

/** A number of steps, then a wait for a signal. */
const inbox = defineWorkflow("inbox", {
  handler: async ({ count = 0 }: { count?: number }, step) => {
    for (let index = 1; index <= count; index++) await step.run("step", () => index);
    await step.waitFor("go");
  },
});

/** Returns by how many milliseconds its sleep was too long. */
const nap = defineWorkflow("nap", {
  handler: async ({ ms }: { ms: number }, step) => {
    const before = Date.now();
    await step.sleep(ms);
    return Date.now() - before - ms;
  },
});

/** Waits for a webhook. */
const hook = defineWorkflow("hook", {
  handler: async (_: unknown, step) => {
    const call = await step.webhook("go");
    await call.received();
  },
});

/** A child with one step. */
const family = defineWorkflow("family", {
  handler: async (_: unknown, step) => {
    await step.invoke(steps, { count: 1 });
  },
});

/** One step for each item, with the default concurrency. */
const spread = defineWorkflow("spread", {
  handler: async ({ count }: { count: number }, step) => {
    await step.map("item", Array.from({ length: count }), (_item, { index }) => index);
  },
});

/** Returns the instant at which its only step, of `ms` milliseconds, was done. */
const slow = defineWorkflow("slow", {
  handler: ({ ms }: { ms: number }, step) =>
    step.run("slow", async () => {
      await scheduler.wait(ms);
      return Date.now();
    }),
});

/** Returns the instant at which it continued after its sleep. */
const rest = defineWorkflow("rest", {
  handler: async ({ ms }: { ms: number }, step) => {
    await step.sleep(ms);
    return await step.run("awake", () => Date.now());
  },
});

export const workflows = [steps, parallel, inbox, nap, hook, family, spread, slow, rest];
