/** The Worker under test: the workflows of all the tests in one deployment. */
import { agent } from "../../examples/agent/agent.ts";
import { approval } from "../../examples/approval.ts";
import { documentIntake } from "../../examples/documents/intake.ts";
import { drip } from "../../examples/drip.ts";
import { order } from "../../examples/orders.ts";
import { outbox } from "../../examples/outbox.ts";
import { dailyReport } from "../../examples/report.ts";
import { resizeImages } from "../../examples/resize.ts";
import { syncLater, syncNow } from "../../examples/sync.ts";
import { createWorker } from "../../src/index.ts";
import { askWorkflows } from "./flows/asks.ts";
import { childWorkflows } from "./flows/children.ts";
import { deepWorkflows } from "./flows/deep.ts";
import { contexts, engineWorkflows, lives } from "./flows/engine.ts";
import { fanWorkflows } from "./flows/fan.ts";
import { flowWorkflows } from "./flows/flow.ts";
import { forkWorkflows } from "./flows/fork.ts";
import { gatedWorkflows } from "./flows/gated.ts";
import { httpWorkflows } from "./flows/http.ts";
import { interruptionWorkflows } from "./flows/interruption.ts";
import { laneWorkflows } from "./flows/lanes.ts";
import { mortalWorkflows } from "./flows/mortal.ts";
import { standIn } from "./holders.ts";
import { watch } from "./saboteur.ts";

const worker = createWorker({
  workflows: [
    documentIntake,
    order,
    dailyReport,
    outbox,
    agent,
    approval,
    drip,
    resizeImages,
    syncNow,
    syncLater,
    ...askWorkflows,
    ...childWorkflows,
    ...deepWorkflows,
    ...engineWorkflows,
    ...fanWorkflows,
    ...flowWorkflows,
    ...forkWorkflows,
    ...gatedWorkflows,
    ...httpWorkflows,
    ...interruptionWorkflows,
    ...laneWorkflows,
    ...mortalWorkflows,
  ],
});

export default worker;
export const { DirectoryObject, SchedulerObject, LaneObject } = worker.objects;

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

standIn(RunObject.prototype);
