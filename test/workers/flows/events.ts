/** Workflows that the tests of live events follow. */
import { defineWorkflow } from "../../../src/index.ts";

/** How often a run's object was asked for a socket, by the run's id. */
export const openings = new Map<string, number>();

/** Something of everything: steps, one of which fails once, a log line, progress, a timer, two signals. */
const tale = defineWorkflow("live-tale", {
  retry: { limit: 2, delay: 5, jitter: 0 },
  handler: async (_input: unknown, step) => {
    await step.run("first", () => "a");
    step.log.info("begun", { at: 1 });
    const one = await step.waitFor<unknown>("go");
    await step.run("flaky", ({ attempt }) => {
      if (attempt === 1) throw new Error("declined once");
      return attempt;
    });
    step.progress({ done: 1 });
    await step.sleep("nap", 5);
    const two = await step.waitFor<unknown>("go");
    return [one, two];
  },
});

/** Takes signals until one says stop. */
const parked = defineWorkflow("live-parked", {
  handler: async (_input: unknown, step) => {
    for (let count = 0; ; count++) {
      const { stop } = await step.waitFor<{ stop?: boolean }>("go");
      if (stop === true) return count;
    }
  },
});

/** As many steps and lines as it is told, then a wait. */
const long = defineWorkflow("live-long", {
  handler: async ({ steps = 0, lines = 0, size = 0 }: { steps?: number; lines?: number; size?: number }, step) => {
    for (let index = 0; index < steps; index++) await step.run(`step-${index}`, () => "x".repeat(size));
    for (let index = 0; index < lines; index++) {
      step.log.info(`line ${index}`);
      if (index % 100 === 0) await step.run("work", () => index);
    }
    await step.waitFor("go");
    return steps;
  },
});

/** Goes on as new once, after a signal each time. */
const renewed = defineWorkflow("live-renewed", {
  handler: async ({ life }: { life: number }, step) => {
    await step.run("work", () => life);
    await step.waitFor("go");
    if (life < 2) await step.continueAsNew({ life: life + 1 });
    return life;
  },
});

const broken = defineWorkflow("live-broken", {
  retries: 0,
  handler: async (_input: unknown, step) => {
    await step.run("charge", () => {
      throw new RangeError("no");
    });
  },
});

export const eventWorkflows = [tale, parked, long, renewed, broken];
