/** Workflows that the tests of forks and of bulk actions drive. */
import * as z from "zod";
import { defineWorkflow } from "../../../src/index.ts";

const done = new Map<string, string[]>();

/** Steps that ran in this run, in order. */
export function ranIn(run: string): string[] {
  return done.get(run) ?? [];
}

function note<Result>(run: string, step: string, result: Result): Result {
  done.set(run, [...ranIn(run), step]);
  return result;
}

const mended = new Set<string>();

/** What fails in these runs works from now on. */
export function mend(...runs: readonly string[]): void {
  for (const run of runs) mended.add(run);
}

/** Three steps and a signal between them; its schema turns the text into a number. */
const chain = defineWorkflow("fork-chain", {
  input: z.object({ n: z.string().transform(Number), team: z.string().default("none") }),
  labels: ({ team }) => ({ team }),
  retries: 0,
  handler: async ({ n, team }, step) => {
    const { id } = step.info;
    const first = await step.run("first", () => note(id, "first", n));
    const chance = step.random();
    const go = await step.waitFor("go");
    const second = await step.run("second", () => note(id, "second", first + 1));
    const third = await step.run("third", () => note(id, "third", second + 1));
    return { team, first, go, second, third, chance };
  },
});

const fragile = defineWorkflow("fork-fragile", {
  retries: 0,
  handler: async (_input: unknown, step) => {
    const { id } = step.info;
    await step.run("first", () => note(id, "first", 1));
    return await step.run("second", () => {
      if (mended.has(id)) return note(id, "second", "whole");
      throw new Error("broken");
    });
  },
});

/** Fails at once until it is mended, and then once it was told to. */
const twiceBroken = defineWorkflow("fork-twice-broken", {
  retries: 0,
  handler: async (_input: unknown, step) => {
    await step.run("work", () => {
      if (!mended.has(step.info.id)) throw new Error("broken");
    });
    await step.waitFor("go");
    step.fail(new Error("broken again"));
  },
});

/** Makes results that do not fit one call between objects. */
const heavy = defineWorkflow("fork-heavy", {
  handler: async ({ steps, size }: { steps: number; size: number }, step) => {
    let sum = 0;
    for (let i = 0; i < steps; i++) {
      sum += (await step.run("load", () => note(step.info.id, `load ${i}`, String(i % 10).repeat(size)))).length;
    }
    return await step.run("last", () => sum);
  },
});

/** Goes on as new once. */
const again = defineWorkflow("fork-again", {
  input: z.object({ life: z.number() }),
  handler: async ({ life }, step) => {
    const { id, continued } = step.info;
    const first = await step.run("first", () => note(id, `first ${life}`, life));
    const go = await step.waitFor("go");
    if (life === 0) return await step.continueAsNew({ life: 1 });
    const last = await step.run("last", () => note(id, `last ${life}`, life));
    return { first, go, last, continued };
  },
});

const seen: { readonly run: string; readonly batch: string }[] = [];

/** Waits until it is told, and leaves nothing to its schema: `batch` tells the runs of one test. */
const parked = defineWorkflow("bulk-parked", {
  labels: (input: { batch: string }) => ({ batch: input.batch }),
  handler: async ({ batch }, step) => {
    try {
      return await step.waitFor("go");
    } finally {
      seen.push({ run: step.info.id, batch });
    }
  },
});

/** Each run whose handler went on, as often as it did. */
export function leftOf(batch: string): string[] {
  return seen.filter((each) => each.batch === batch).map(({ run }) => run);
}

const failing = defineWorkflow("bulk-failing", {
  retries: 0,
  labels: (input: { batch: string }) => ({ batch: input.batch }),
  handler: async (_input, step) => {
    return await step.run("work", () => {
      if (mended.has(step.info.id)) return note(step.info.id, "work", "whole");
      throw new Error("broken");
    });
  },
});

export const forkWorkflows = [chain, fragile, twiceBroken, heavy, again, parked, failing];
