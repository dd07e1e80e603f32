/** The Worker that is compared with models over HTTP: every step reports to the ledger, which takes its time. */
import { env } from "cloudflare:workers";
import { createWorker, defineWorkflow } from "../../src/index.ts";
import { unwrap } from "../../src/objects/answer.ts";
import type { RunRpc } from "../../src/objects/rpc/run.ts";
import type { Report } from "../outside/ledger.ts";
import { episodeOf } from "./episode.ts";
import type { Input } from "./program.ts";
import { performWith, workflow } from "./workflow.ts";

type Bindings = {
  readonly LEDGER: string;
  readonly RUNS: { readonly getByName: (name: string) => Pick<RunRpc, "history"> };
};

const { LEDGER, RUNS } = env as unknown as Bindings;

async function historyOf(run: string) {
  return unwrap(await RUNS.getByName(run).history(0, Number.MAX_SAFE_INTEGER)).entries;
}

const modelled = defineWorkflow(workflow, {
  handler: async (input: Input, step) =>
    await performWith(step, input, async ({ run, path, attempt, key, ms }) => {
      const body: Report = { run, step: path, key, attempt, slotAt: null, ms };
      const report = fetch(LEDGER, { method: "POST", body: JSON.stringify(body) }).then((answer) => answer.text());
      const [entries] = await Promise.all([historyOf(run), report]);
      return episodeOf(entries);
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
