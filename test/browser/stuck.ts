/** A Worker whose next deployment, the one with NEXT, lacks a version and a workflow that this one has. */
import { env } from "cloudflare:workers";
import { createWorker, defineWorkflow } from "../../src/index.ts";

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

const worker = createWorker({ workflows: [moved, exhausted, ...(isNext ? [] : [dropped])] });

export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
