/** Workflows whose runs are in the middle of something when something else comes. */
import * as z from "zod";
import { defineWorkflow } from "../../../src/index.ts";

/** Payloads of `go` that are being judged: not before this is open. */
export const judging = { isOpen: true, waiting: 0 };

async function judge(): Promise<boolean> {
  judging.waiting++;
  while (!judging.isOpen) await scheduler.wait(5);
  judging.waiting--;
  return true;
}

const sleeping = defineWorkflow("overlap-sleep", {
  retention: "1 h",
  handler: async (ms: number, step) => await step.sleep(ms),
});

/** Its signals are judged by somebody who takes time. */
const judged = defineWorkflow("overlap-judged", {
  signals: { go: z.object({ n: z.number() }).refine(judge) },
  handler: async (_input: unknown, step) => await step.waitFor("go"),
});

/** So are the calls of its webhook. */
const hooked = defineWorkflow("overlap-hooked", {
  handler: async (_input: unknown, step) => {
    const hook = await step.webhook("call", { verify: judge });
    return await hook.received();
  },
});

/** Nothing is kept of it. */
const failing = defineWorkflow("overlap-failing", {
  retention: 0,
  handler: (_input: unknown, step) => step.fail(new Error("as it was told")),
});

const tried = new Set<string>();

/** Fails the first time, and waits for a signal when it is retried. */
const reviving = defineWorkflow("overlap-reviving", {
  retry: { limit: 0 },
  handler: async (_input: unknown, step) => {
    await step.run("try", () => {
      if (tried.has(step.info.id)) return;
      tried.add(step.info.id);
      throw new Error("the first time");
    });
    await step.waitFor("go");
  },
});

export const overlapWorkflows = [sleeping, judged, hooked, failing, reviving];
