/** The Worker that is compared with models over HTTP: every step reports to the ledger, which takes its time. */
import { env } from "cloudflare:workers";
import { createWorker, defineWorkflow } from "../../src/index.ts";
import type { Report } from "../outside/ledger.ts";
import type { Input } from "./program.ts";
import { performWith, workflow } from "./workflow.ts";

const modelled = defineWorkflow(workflow, {
  handler: async (input: Input, step) =>
    await performWith(step, input, async ({ run, path, attempt, key, ms }) => {
      const body: Report = { run, step: path, key, attempt, slotAt: null, ms };
      const { LEDGER } = env as unknown as { readonly LEDGER: string };
      await (await fetch(LEDGER, { method: "POST", body: JSON.stringify(body) })).text();
    }),
});

/** Counts what it is asked to add, until it is cancelled. */
const tally = defineWorkflow("tally", {
  handler: async (_input: number, step) => {
    let count = 0;
    step.update("add", null, () => ++count);
    await step.waitFor("never");
  },
});

const worker = createWorker({ workflows: [modelled, tally] });

export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
