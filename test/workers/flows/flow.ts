/** Workflows whose starts are limited; each limit has a key, so that tests do not meet. */
import * as z from "zod";
import { NonRetryableError, defineWorkflow } from "../../../src/index.ts";

type Keyed = { readonly key: string; readonly n?: number };
const key = (input: Keyed): string => input.key;

const rated = defineWorkflow("flow-rated", {
  rateLimit: { limit: 3, period: "1 h", key },
  handler: ({ n }: Keyed) => n ?? null,
});

/** As many as `flow-rated`, but of a second. */
const paced = defineWorkflow("flow-paced", {
  rateLimit: { limit: 3, period: "1 s", key },
  handler: ({ n }: Keyed) => n ?? null,
});

const single = defineWorkflow("flow-single", {
  singleton: { key, mode: "skip" },
  retention: "1 h",
  handler: async (input: Keyed, step) => ({ first: input.n, last: await step.waitFor("end") }),
});

/** Goes on for `n` ms, and leaves nothing behind. */
const brief = defineWorkflow("flow-brief", {
  singleton: { key, mode: "skip" },
  retention: 0,
  handler: async ({ n = 50 }: Keyed, step) => await step.sleep("while", n),
});

const newest = defineWorkflow("flow-newest", {
  singleton: { key, mode: "replace" },
  handler: async (_input: Keyed, step) => await step.waitFor("end"),
});

const tried = new Set<string>();

/** Fails once where `n` is 0, and goes on. */
const falters = (name: string, mode: "skip" | "replace") =>
  defineWorkflow(name, {
    singleton: { key, mode },
    handler: async ({ n }: Keyed, step) => {
      await step.run("try", () => {
        if (n !== 0 || tried.has(step.info.id)) return;
        tried.add(step.info.id);
        throw new NonRetryableError("not yet");
      });
      await step.waitFor("end");
    },
  });

const faltersSkip = falters("flow-falters-skip", "skip");

/** Has failed with its child, until it is retried. */
const employer = defineWorkflow("flow-employer", {
  handler: async (input: Keyed, step) => await step.invoke(faltersSkip, input),
});

/** It passes when a test lets it pass. */
export const periodMs = 3_600_000;
export const maxMs = 2600;

const settled = defineWorkflow("flow-settled", {
  input: z.object({ key: z.string(), n: z.coerce.number(), wait: z.boolean().default(false) }),
  labels: ({ n }) => ({ n: String(n) }),
  debounce: { period: periodMs, key },
  handler: async ({ n, wait }, step) => {
    if (wait) await step.waitFor("end");
    return n;
  },
});

const pressed = defineWorkflow("flow-pressed", {
  debounce: { period: maxMs - 100, key, max: maxMs },
  handler: ({ n }: Keyed) => n ?? null,
});

/** Some starts are further apart, on a machine that has nothing else to do, and some less, on one that has much. */
export const rushMs = 400;

/** A period so short that starts and beginnings meet. */
const rushed = defineWorkflow("flow-rushed", {
  debounce: { period: rushMs, key },
  handler: ({ n }: Keyed) => n ?? null,
});

/** Of both, what they do is found again by the label. */
const mortal = {
  settled: defineWorkflow("flow-mortal-settled", {
    labels: (input: Keyed) => ({ key: input.key }),
    debounce: { period: 250, key, max: 1000 },
    handler: ({ n }: Keyed) => n ?? null,
  }),
  single: defineWorkflow("flow-mortal-single", {
    labels: (input: Keyed) => ({ key: input.key }),
    singleton: { key, mode: "skip" },
    handler: async (_input: Keyed, step) => await step.sleep("while", 150),
  }),
  newest: defineWorkflow("flow-mortal-newest", {
    labels: (input: Keyed) => ({ key: input.key }),
    singleton: { key, mode: "replace" },
    handler: async (_input: Keyed, step) => await step.waitFor("end"),
  }),
};

/** All of it at once. */
const guarded = defineWorkflow("flow-guarded", {
  rateLimit: { limit: 5, period: "1 h", key },
  debounce: { period: 50, key },
  singleton: { key, mode: "skip" },
  handler: async (_input: Keyed, step) => await step.waitFor("end"),
});

/** Its two options go by different keys. */
const split = defineWorkflow("flow-split", {
  debounce: { period: periodMs, key },
  singleton: { key: ({ tenant }: Keyed & { tenant: string }) => tenant, mode: "skip" },
  handler: async (_input, step) => await step.waitFor("end"),
});

/** Put off first, and then held by a lane. */
const turned = defineWorkflow("flow-turned", {
  debounce: { period: 2000, key },
  concurrency: { limit: 1, key: ({ tenant }: Keyed & { tenant: string }) => tenant, hold: true },
  handler: async ({ n }, step) => {
    await step.waitFor("end");
    return n ?? null;
  },
});

/** Starts a run of `flow-single` twice, and then one more of `flow-rated` than may be. */
const parent = defineWorkflow("flow-parent", {
  handler: async (input: Keyed, step) => {
    const first = await step.start(single, input);
    const second = await step.start(single, { ...input, n: 2 });
    for (let n = 0; n < 3; n++) await step.invoke(rated, { key: input.key, n });
    const refused = await step.invoke(rated, { key: input.key }).catch((error: unknown) => error);
    return { first: first.id, second: second.id, refused };
  },
});

const laned = defineWorkflow("flow-laned", {
  singleton: { key, mode: "queue" },
  lane: { name: "flow mail", limit: 2 },
  concurrency: { limit: 4, key },
  throttle: { limit: 100, period: "1 s", key },
  priority: ({ n = 0 }) => n,
  handler: ({ n }: Keyed) => n ?? null,
});

export const flowWorkflows = [
  rated,
  paced,
  single,
  brief,
  newest,
  faltersSkip,
  employer,
  falters("flow-falters-replace", "replace"),
  settled,
  pressed,
  rushed,
  mortal.settled,
  mortal.single,
  mortal.newest,
  guarded,
  split,
  turned,
  parent,
  laned,
];
