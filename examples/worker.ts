/** The example Worker: three workflows, the Holdfast API in front of them, and the development outbox. */
import { createWorker } from "holdfast";
import { documentIntake } from "./documents/intake.ts";
import { order } from "./orders.ts";
import { OutboxObject, outboxRoute } from "./outbox.ts";
import { dailyReport } from "./report.ts";

const worker = createWorker({ workflows: [documentIntake, order, dailyReport] });

export default {
  ...worker,
  async fetch(request: Request, env: Cloudflare.Env, ctx: ExecutionContext): Promise<Response> {
    return (await outboxRoute(request)) ?? worker.fetch(request, env, ctx);
  },
};

export const { RunObject, DirectoryObject, SchedulerObject } = worker.objects;
export { OutboxObject };
