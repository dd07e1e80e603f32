/** Workflows whose timelines are looked at. */
import * as z from "zod";
import { defineWorkflow } from "../../../src/index.ts";

/** A child that ends as it is told. */
const parcel = defineWorkflow("seen-parcel", {
  handler: async (input: { weight: number; refuse?: boolean }, step) => {
    await step.run("weigh", () => input.weight);
    if (input.refuse === true) step.bail("nobody at home");
    return { tracking: `P-${input.weight}` };
  },
});

/** One of nearly everything, in an order that is easy to read. */
const journey = defineWorkflow("seen-journey", {
  input: z.object({ order: z.string(), total: z.number() }),
  signals: { approval: z.object({ approved: z.boolean(), note: z.string().optional() }) },
  labels: ({ order }) => ({ order, shop: "north" }),
  retry: { limit: 3, delay: 20, jitter: 0 },
  handler: async (order, step) => {
    step.progress({ stage: "reserving", done: 1, of: 4 });
    await step.run("reserve", () => ({ shelf: 7, at: new Date(0) }));
    await step.run("charge", ({ attempt }) => {
      if (attempt < 3) throw Object.assign(new Error(`the bank said 50${attempt}`), { code: `E50${attempt}` });
      return { receipt: `R-${order.order}` };
    });
    await step.run("token", () => "do-not-tell", { sensitive: true });
    const sent = await step.invoke(parcel, { weight: order.total });
    await step.sleep("cool-down", 1200);
    step.progress({ stage: "waiting for approval", done: 3, of: 4 });
    const { url, received } = await step.webhook("paid", {
      timeout: "2 days",
      verify: ({ headers }) => headers["x-forged"] === undefined,
    });
    const first = await step.race({
      approval: () => step.waitFor("approval", { timeout: "7 days" }),
      paid: () => received(),
    });
    return { sent, url, first: first.key };
  },
});

/** Fails for good until somebody repairs it: the second input works. */
const brittle = defineWorkflow("seen-brittle", {
  retry: { limit: 2, delay: 10, jitter: 0 },
  handler: async (input: { works?: boolean }, step) => {
    await step.run("prepare", () => "ready", { undo: () => {} });
    return await step.run("deliver", ({ attempt }) => {
      if (input.works === true) return "delivered";
      throw new RangeError(`attempt ${attempt} found nobody`, { cause: new Error(`door ${attempt} is shut`) });
    });
  },
});

/** Waits for its next attempt for as long as a test may want to look at it. */
const patient = defineWorkflow("seen-patient", {
  retry: { limit: 5, delay: "10 minutes", jitter: 0 },
  handler: async (_input: unknown, step) =>
    await step.run("call-bank", ({ attempt }) => {
      if (attempt === 1) throw new Error("503 from the bank");
      return "answered";
    }),
});

const calm = defineWorkflow("seen-calm", {
  handler: async (_input: unknown, step) => {
    const words: string[] = [];
    step.query("words", () => words);
    step.update("say", z.object({ word: z.string().min(2) }), ({ word }) => words.push(word));
    await step.sleep("nap", "3 days");
  },
});

/** As many steps as it is told, a hundred side by side. */
const long = defineWorkflow("seen-long", {
  handler: async (input: { steps: number; hold?: boolean }, step) => {
    for (let i = 0; i < input.steps; i += 100) {
      const some = Array.from({ length: Math.min(100, input.steps - i) }, (_, index) => i + index);
      await Promise.all(some.map((number) => step.run("tick", () => number)));
    }
    if (input.hold === true) await step.waitFor("enough");
    return input.steps;
  },
});

/** A map of which one item fails. */
const resize = defineWorkflow("seen-map", {
  handler: async (input: { items: number; broken: number }, step) => {
    const items = Array.from({ length: input.items }, (_, index) => index);
    const resized = await step.map(
      "resize",
      items,
      (item) => {
        if (item === input.broken) throw new Error("a broken picture");
      },
      { concurrency: 50, settled: true, retry: { limit: 0 } },
    );
    return resized.length;
  },
});

/** As many children as it is told. */
const family = defineWorkflow("seen-family", {
  handler: async (input: { children: number }, step) => {
    for (let i = 0; i < input.children; i += 50) {
      const some = Array.from({ length: Math.min(50, input.children - i) }, (_, index) => i + index);
      await Promise.all(
        some.map((weight) =>
          step.start(parcel, { weight, refuse: weight % 50 === 7 }, { id: `${step.info.id}.c${weight}` }),
        ),
      );
    }
    return input.children;
  },
});

export const timelineWorkflows = [parcel, journey, brittle, patient, calm, long, resize, family];
