/** Workflows whose runs and steps are limited; each limit has a key or a name of its own, so that tests do not meet. */
import { defineWorkflow } from "../../../src/index.ts";

type Keyed = { readonly key: string; readonly ms?: number | null; readonly priority?: number };
const key = (input: Keyed): string => input.key;

/** What is at work, by what limits it: an entry for each piece, with the run that does it. */
const atWork = new Map<string, Set<{ readonly run: string }>>();
const most = new Map<string, number>();
/** Runs in the order in which they began to work, by what limits them, with the instants. */
export const begun: { readonly limit: string; readonly run: string; readonly at: number }[] = [];

const released = new Set<string>();

/** Lets the work of the run end that goes on until then. */
export function release(run: string): void {
  released.add(run);
}

/** Some work that counts while it goes on, and ends after so many ms (null: once it is released) or when its run's process does. */
async function work(limit: string, run: string, ms: number | null = 5): Promise<void> {
  const piece = { run };
  const all = atWork.get(limit) ?? new Set();
  atWork.set(limit, all.add(piece));
  most.set(limit, Math.max(most.get(limit) ?? 0, all.size));
  begun.push({ limit, run, at: Date.now() });
  if (ms !== null) await scheduler.wait(ms);
  else while (!released.has(run)) await scheduler.wait(10);
  all.delete(piece);
}

/** The most that were at work at once. */
export function mostAtWork(limit: string): number {
  return most.get(limit) ?? 0;
}

export function isAtWork(limit: string, run: string): boolean {
  return [...(atWork.get(limit) ?? [])].some((piece) => piece.run === run);
}

export function orderOf(limit: string): string[] {
  return [...new Set(begun.filter((one) => one.limit === limit).map(({ run }) => run))];
}

/** The processes of all these runs have ended: what they did goes on no more. */
export function bury(dead: (run: string) => boolean): void {
  for (const all of atWork.values()) for (const piece of all) if (dead(piece.run)) all.delete(piece);
}

const tenAtOnce = defineWorkflow("gated-ten", {
  concurrency: { limit: 10, key },
  handler: async (input: Keyed, step) => {
    for (const name of ["one", "two"]) await step.run(name, () => work(input.key, step.info.id, input.ms));
  },
});

const oneAtOnce = defineWorkflow("gated-one", {
  concurrency: { limit: 1, key },
  priority: ({ priority }: Keyed) => priority ?? 0,
  handler: async (input: Keyed, step) => await step.run("work", () => work(input.key, step.info.id, input.ms)),
});

const parking = defineWorkflow("gated-parking", {
  concurrency: { limit: 1, key },
  handler: async (input: Keyed, step) => {
    await step.run("before", () => work(input.key, step.info.id, 5));
    const payload = await step.waitFor("go");
    await step.run("after", () => work(input.key, step.info.id, input.ms));
    return payload;
  },
});

const holding = defineWorkflow("gated-holding", {
  concurrency: { limit: 1, key, hold: true },
  handler: async (input: Keyed, step) => {
    await step.run("before", () => work(input.key, step.info.id, 5));
    await step.waitFor("go");
    await step.run("after", () => work(input.key, step.info.id, 5));
  },
});

/** Two workflows that share one lane, each with a limit of its own beside it. */
const shared = (["gated-left", "gated-right"] as const).map((name, index) =>
  defineWorkflow(name, {
    lane: { name: "gated-post", limit: 3 },
    concurrency: 2 + index,
    handler: async (_input: unknown, step) => {
      await step.run("one", () => Promise.all([work("gated-post", step.info.id, 5), work(name, step.info.id, 5)]));
      await step.sleep("nap", 20);
      await step.run("two", () => Promise.all([work("gated-post", step.info.id, 5), work(name, step.info.id, 5)]));
    },
  }),
);

const throttled = defineWorkflow("gated-throttled", {
  throttle: { limit: 2, period: 1000, key },
  handler: async (input: Keyed, step) => await step.run("work", () => work(input.key, step.info.id, 1)),
});

const queue = defineWorkflow("gated-queue", {
  singleton: { key, mode: "queue" },
  handler: async (input: Keyed, step) => {
    await step.run("one", () => work(input.key, step.info.id, 5));
    await step.sleep("nap", 30);
    await step.run("two", () => work(input.key, step.info.id, 5));
  },
});

const threeSteps = defineWorkflow("gated-steps", {
  concurrency: { limit: 3, key, scope: "step" },
  handler: async (input: Keyed & { readonly count: number }, step) => {
    const items = Array.from({ length: input.count }, (_, index) => index);
    await Promise.all(items.map((index) => step.run(`item-${index}`, () => work(input.key, step.info.id, 10))));
    return input.count;
  },
});

export const gatedWorkflows = [tenAtOnce, oneAtOnce, parking, holding, ...shared, throttled, queue, threeSteps];
