/** What Holdfast runs here: each workflow is as small as its measurement allows. */
import { defineWorkflow } from "../../src/index.ts";

/** One no-op step after the other; answers the instants at which it had done so many. */
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

/** So many steps, then a signal ends it. */
const inbox = defineWorkflow("inbox", {
  handler: async ({ count = 0 }: { count?: number }, step) => {
    for (let index = 1; index <= count; index++) await step.run("step", () => index);
    await step.waitFor("go");
  },
});

/** Answers by how many milliseconds its sleep was too long. */
const nap = defineWorkflow("nap", {
  handler: async ({ ms }: { ms: number }, step) => {
    const before = Date.now();
    await step.sleep(ms);
    return Date.now() - before - ms;
  },
});

/** A call of its address ends it. */
const hook = defineWorkflow("hook", {
  handler: async (_: unknown, step) => {
    const call = await step.webhook("go");
    await call.received();
  },
});

/** One child of one step. */
const family = defineWorkflow("family", {
  handler: async (_: unknown, step) => {
    await step.invoke(steps, { count: 1 });
  },
});

/** One step for each item, as many at once as a map does unless told otherwise. */
const spread = defineWorkflow("spread", {
  handler: async ({ count }: { count: number }, step) => {
    await step.map("item", Array.from({ length: count }), (_item, { index }) => index);
  },
});

/** Answers the instant at which its one step, of so many milliseconds, was done. */
const slow = defineWorkflow("slow", {
  handler: ({ ms }: { ms: number }, step) =>
    step.run("slow", async () => {
      await scheduler.wait(ms);
      return Date.now();
    }),
});

/** Answers the instant at which it was awake after its sleep. */
const rest = defineWorkflow("rest", {
  handler: async ({ ms }: { ms: number }, step) => {
    await step.sleep(ms);
    return await step.run("awake", () => Date.now());
  },
});

export const workflows = [steps, parallel, inbox, nap, hook, family, spread, slow, rest];
