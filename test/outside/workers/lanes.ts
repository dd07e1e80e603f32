/** A Worker whose limits change with its deployment: by the variable CODE its code is the old or the new. */
import { env } from "cloudflare:workers";
import { createWorker, defineWorkflow } from "../../../src/index.ts";
import type { Step } from "../../../src/index.ts";

const { CODE } = env as unknown as { CODE: "old" | "new" };
const isOld = CODE === "old";

type Plan = { readonly parked?: boolean };

/** At work, and so in its slots, until it is ended; before that, if it is to, parked. */
async function work({ parked = false }: Plan, step: Pick<Step, "run" | "waitFor">): Promise<void> {
  if (parked) await step.waitFor("go");
  await step.run(
    "work",
    ({ signal }) => new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
  );
}

const worker = createWorker({
  workflows: [
    defineWorkflow("lowered", { concurrency: isOld ? 3 : 1, handler: work }),
    defineWorkflow("raised", { concurrency: isOld ? 1 : 3, handler: work }),
    defineWorkflow("freed", { lane: isOld ? { name: "mail", limit: 1 } : "mail", handler: work }),
    defineWorkflow("replaced", { version: isOld ? "1" : "2", concurrency: 1, handler: work }),
    defineWorkflow("hastened", {
      throttle: isOld ? { limit: 1, period: "10 minutes" } : { limit: 100, period: "1 s" },
      handler: () => Promise.resolve("done"),
    }),
  ],
});

export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
