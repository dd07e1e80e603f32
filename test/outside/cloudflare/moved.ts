import { NonRetryableError as Hosted } from "cloudflare:workflows";
import * as z from "zod";
import { createWorker, defineWorkflow } from "../../../src/index.ts";
import { NonRetryableError, toWorkflow, WorkflowEntrypoint } from "../../../src/cloudflare.ts";
import { answer, defineMain } from "./programs.ts";

class Main extends defineMain({ WorkflowEntrypoint, NonRetryableError }) {}

const main = toWorkflow("main", Main);
/** A file whose second import was forgotten. */
class Other extends defineMain({ WorkflowEntrypoint, NonRetryableError: Hosted }) {}
const other = toWorkflow("other", Other);
/** Params that its schema makes something else of. */
const strict = toWorkflow("strict", class extends Main {}, {
  input: z.object({ program: z.literal("again"), given: z.string().transform(Number) }),
});
/** One that takes no second start. */
const limited = toWorkflow("limited", class extends Main {}, {
  rateLimit: { limit: 1, period: "1 day" },
  singleton: { mode: "skip" },
  concurrency: { limit: 1, hold: true },
});
/** One of which a second start is answered by the run that there is. */
const single = toWorkflow("single", class extends Main {}, { singleton: { mode: "skip" } });
/** What is called main as it was before it was a class. */
const former = defineWorkflow("main", {
  version: "0",
  handler: async (_input, step) => {
    await new Promise((resolve) => step.onSignal("go", resolve));
    await (await step.webhook("call", { timeout: 1 })).received();
  },
});
const worker = createWorker({ workflows: [former, main, other, strict, limited, single] });
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;

export default {
  async fetch(request: Request, env: unknown, ctx: ExecutionContext) {
    const { pathname } = new URL(request.url);
    if (pathname === "/flows") return answer(request, main.binding);
    if (pathname === "/others") return answer(request, other.binding);
    if (pathname === "/strict") return answer(request, strict.binding);
    if (pathname === "/limited") return answer(request, limited.binding);
    if (pathname === "/single") return answer(request, single.binding);
    if (pathname === "/former") return Response.json(await (await former.start(null, { id: "former" })).status());
    return await worker.fetch(request, env, ctx);
  },
};
