/** The Worker under test: the workflows of all the tests in one deployment. */
import { agent } from "../../examples/agent/agent.ts";
import { approval } from "../../examples/approval.ts";
import { documentIntake } from "../../examples/documents/intake.ts";
import { drip } from "../../examples/drip.ts";
import { order } from "../../examples/orders.ts";
import { outbox } from "../../examples/outbox.ts";
import { announcePush, pushWebhook } from "../../examples/pushes.ts";
import { dailyReport } from "../../examples/report.ts";
import { resizeImages } from "../../examples/resize.ts";
import { syncLater, syncNow } from "../../examples/sync.ts";
import { createWorker } from "../../src/index.ts";
import { askWorkflows } from "./flows/asks.ts";
import { canaryWorkflows } from "./flows/canary.ts";
import { childWorkflows } from "./flows/children.ts";
import { heldWorkflows } from "./flows/client.ts";
import { damageWorkflows } from "./flows/damage.ts";
import { deepWorkflows } from "./flows/deep.ts";
import { directoryWorkflows } from "./flows/directory.ts";
import { eventWorkflows, openings } from "./flows/events.ts";
import { contexts, engineWorkflows, lives } from "./flows/engine.ts";
import { fanWorkflows } from "./flows/fan.ts";
import { faultWorkflows } from "./flows/faults.ts";
import { flowWorkflows } from "./flows/flow.ts";
import { forkWorkflows } from "./flows/fork.ts";
import { gatedWorkflows } from "./flows/gated.ts";
import { httpWorkflows } from "./flows/http.ts";
import { interruptionWorkflows } from "./flows/interruption.ts";
import { largeWorkflows } from "./flows/large.ts";
import { laneWorkflows } from "./flows/lanes.ts";
import { modelWorkflows } from "./flows/model.ts";
import { listenWorkflows } from "./flows/listen.ts";
import { mortalWorkflows } from "./flows/interruptible.ts";
import { orderWorkflows } from "./flows/orders.ts";
import { overlapWorkflows } from "./flows/overlap.ts";
import { timelineWorkflows } from "./flows/timeline.ts";
import { reasonWorkflows } from "./flows/reason.ts";
import { repeatWorkflows } from "./flows/repeat.ts";
import { statsWorkflows } from "./flows/stats.ts";
import { tracedWorkflows } from "./flows/traced.ts";
import { venomWorkflows } from "./flows/misbehaving.ts";
import { redactionWorkflows } from "./flows/redaction.ts";
import { inject, intercept } from "./faults/injector.ts";
import { erasureWorkflows } from "./flows/erasure.ts";
import { toldWorkflows } from "./flows/notices.ts";
import { travelWorkflows } from "./flows/transfer.ts";
import { webhookWorkflows, webhooks } from "./flows/webhooks.ts";
import { standIn } from "./holders.ts";
import { watch } from "./crashpoint.ts";
import { countRows, makeTrouble } from "./shards.ts";

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
    announcePush,
    ...askWorkflows,
    ...canaryWorkflows,
    ...childWorkflows,
    ...damageWorkflows,
    ...deepWorkflows,
    ...directoryWorkflows,
    ...engineWorkflows,
    ...eventWorkflows,
    ...fanWorkflows,
    ...faultWorkflows,
    ...flowWorkflows,
    ...forkWorkflows,
    ...gatedWorkflows,
    ...heldWorkflows,
    ...httpWorkflows,
    ...interruptionWorkflows,
    ...laneWorkflows,
    ...largeWorkflows,
    ...modelWorkflows,
    ...listenWorkflows,
    ...mortalWorkflows,
    ...orderWorkflows,
    ...overlapWorkflows,
    ...erasureWorkflows,
    ...toldWorkflows,
    ...travelWorkflows,
    ...tracedWorkflows,
    ...repeatWorkflows,
    ...statsWorkflows,
    ...reasonWorkflows,
    ...timelineWorkflows,
    ...venomWorkflows,
    ...redactionWorkflows,
    ...webhookWorkflows,
  ],
  webhooks: [...webhooks, pushWebhook("the secret of the repository")],
});

export default worker;

export class SchedulerObject extends worker.objects.SchedulerObject {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    inject("scheduler", ctx);
    super(ctx, env);
  }
}

intercept("scheduler", SchedulerObject.prototype);

export class LaneObject extends worker.objects.LaneObject {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    inject("lane", ctx);
    super(ctx, env);
  }
}

intercept("lane", LaneObject.prototype);

export class DirectoryObject extends worker.objects.DirectoryObject {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    inject("shard", ctx);
    countRows(ctx);
    super(ctx, env);
  }
}

makeTrouble(DirectoryObject.prototype);
intercept("shard", DirectoryObject.prototype);

/** Lets a step end its own object. */
export class RunObject extends worker.objects.RunObject {
  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    inject("run", ctx);
    super(ctx, env);
    watch(ctx);
    if (ctx.id.name?.startsWith(".") === true) countRows(ctx);
    if (ctx.id.name !== undefined) {
      contexts.set(ctx.id.name, ctx);
      lives.set(ctx.id.name, (lives.get(ctx.id.name) ?? 0) + 1);
    }
  }

  override async fetch(request: Request): Promise<Response> {
    const name = this.ctx.id.name ?? "";
    openings.set(name, (openings.get(name) ?? 0) + 1);
    return (await super.fetch?.(request)) ?? Response.error();
  }
}

standIn(RunObject.prototype);
intercept("run", RunObject.prototype);
