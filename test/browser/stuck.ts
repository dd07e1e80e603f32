/** A Worker whose next deployment, the one with NEXT, lacks a version and a workflow that this one has. */
import { env } from "cloudflare:workers";
import { createWorker, defineWorkflow } from "../../src/index.ts";
import type { Workflow } from "../../src/index.ts";

const isNext = "NEXT" in env;

const moved = defineWorkflow("moved", {
  version: isNext ? "2" : "1",
  handler: async (_input: unknown, step) => await step.waitFor("approval"),
});

const dropped = defineWorkflow("dropped", {
  handler: async (_input: unknown, step) => await step.waitFor("approval"),
});

const exhausted = defineWorkflow("exhausted", {
  handler: async (_input: unknown, step) =>
    await step.run(
      "load",
      () => {
        throw new Error("no such table");
      },
      { retry: { limit: 0 }, onExhausted: "pause" },
    ),
});

/** At a step that waits for an answer which never comes. */
const hanging = defineWorkflow("hanging", {
  handler: async (_input: unknown, step) =>
    await step.run("ask-bank", () => new Promise<void>(() => {}), { timeout: "90 minutes" }),
});

/** Naps while its only attempt times out. */
const wavering = defineWorkflow("wavering", {
  handler: async (_input: unknown, step) => {
    const load = step.run("load", () => new Promise<void>(() => {}), {
      ...{ timeout: "5 seconds", retry: { limit: 0 }, onExhausted: "pause" },
    });
    await Promise.all([step.sleep("nap", "1 hour"), load]);
  },
});

/** A child that fails, its parent, and the parent of that. */
const pay = defineWorkflow("pay", {
  retry: { limit: 0 },
  handler: async (_input: unknown, step) =>
    await step.run("charge", () => {
      throw new Error("the card was declined");
    }),
});
const order = defineWorkflow("order", {
  handler: async (_input: unknown, step) => await step.invoke(pay, {}),
});
const batch = defineWorkflow("batch", {
  handler: async (_input: unknown, step) => await step.invoke(order, {}),
});

/** A line of generations, of which the last waits for somebody. */
const generation: Workflow<number, unknown> = defineWorkflow("generation", {
  handler: async (left: number, step) => {
    if (left === 0) return await step.waitFor("go");
    return await step.invoke(generation, left - 1, { id: `generation-${left - 1}` });
  },
});

const worker = createWorker({
  workflows: [moved, exhausted, hanging, wavering, pay, order, batch, generation, ...(isNext ? [] : [dropped])],
});

export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
