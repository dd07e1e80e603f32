/** Workflows whose steps fail as their input says, so that what is counted of them is known. */
import { NonRetryableError, defineWorkflow } from "../../../src/index.ts";

type Shaky = { readonly failures?: number; readonly fatal?: boolean; readonly ms?: number };

const retry = { limit: 3, delay: 1, jitter: 0 } as const;

/** Fails once for each of `failures`, at last for good where `fatal`. */
function charge(attempt: number, { failures = 0, fatal = false }: Shaky): string {
  if (attempt <= failures) throw new Error(`attempt ${attempt} failed`);
  if (fatal) throw new NonRetryableError("declined");
  return "charged";
}

const shaky = defineWorkflow("stats-shaky", {
  retry,
  handler: async (input: Shaky, step) => {
    await step.run("prepare", () => scheduler.wait(input.ms ?? 0));
    return await step.run("charge", ({ attempt }) => charge(attempt, input));
  },
});

/** Runs that somebody has put right. */
export const mended = new Set<string>();

const mendable = defineWorkflow("stats-mendable", {
  retry: { limit: 0 },
  handler: async (_input: object, step) => {
    await step.run("before", () => null);
    await step.run("fragile", () => {
      if (!mended.has(step.info.id)) throw new Error("not mended yet");
    });
  },
});

const parent = defineWorkflow("stats-parent", {
  retry,
  handler: async (input: Shaky, step) => {
    await step.invoke(shaky, { failures: 1 });
    await step.map("item", [0, 1, 2, 3, 4], (item, { attempt }) => charge(attempt, { failures: item % 2 }), {});
    await step.start(shaky, {});
    await step.invoke(shaky, input).catch(() => null);
  },
});

const round = defineWorkflow("stats-round", {
  handler: async (input: { left: number }, step) => {
    await step.run("turn", () => null);
    await step.run("turn", () => null);
    if (input.left > 0) await step.continueAsNew({ left: input.left - 1 });
  },
});

const narrow = defineWorkflow("stats-narrow", {
  lane: { name: "stats lane", limit: 2 },
  handler: async (_input: object, step) => {
    await step.run("work", async ({ signal }) => {
      while (!signal.aborted && !mended.has("stats lane")) await scheduler.wait(10);
    });
  },
});

const parked = defineWorkflow("stats-parked", {
  handler: async (_input: object, step) => {
    await step.waitFor("go");
  },
});

export const statsWorkflows = [shaky, mendable, parent, round, narrow, parked];
