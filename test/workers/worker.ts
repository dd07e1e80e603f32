/** The Worker under test: the workflows of all the tests in one deployment. */
import { documentIntake } from "../../examples/documents/intake.ts";
import { order } from "../../examples/orders.ts";
import { outbox } from "../../examples/outbox.ts";
import { dailyReport } from "../../examples/report.ts";
import { createWorker } from "../../src/index.ts";
import { contexts, engineWorkflows, lives } from "./flows/engine.ts";
import { httpWorkflows } from "./flows/http.ts";
import { interruptionWorkflows } from "./flows/interruption.ts";
import { watch } from "./saboteur.ts";

const worker = createWorker({
  workflows: [
    documentIntake,
    order,
    dailyReport,
    outbox,
    ...engineWorkflows,
    ...httpWorkflows,
    ...interruptionWorkflows,
  ],
});

export default worker;
export const { DirectoryObject, SchedulerObject } = worker.objects;

/** Lets a step end its own object. */
export class RunObject extends worker.objects.RunObject {
  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env);
    watch(ctx);
    if (ctx.id.name !== undefined) {
      contexts.set(ctx.id.name, ctx);
      lives.set(ctx.id.name, (lives.get(ctx.id.name) ?? 0) + 1);
    }
  }
}
