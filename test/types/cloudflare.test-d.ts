/** Classes of Cloudflare Workflows and their bindings, as typed as they were; checked by tsc, never run. */
import { expectTypeOf } from "vitest";
import type { WorkflowEvent as HostedEvent, WorkflowStep as HostedStep } from "cloudflare:workers";
import * as z from "zod";
import { createClient } from "../../src/client.ts";
import { NonRetryableError, toWorkflow, WorkflowEntrypoint } from "../../src/cloudflare.ts";
import type {
  WorkflowBackoff,
  WorkflowCronSchedule,
  WorkflowDelayDuration,
  WorkflowDelayFunction,
  WorkflowDurationLabel,
  WorkflowDynamicDelayContext,
  WorkflowEvent,
  WorkflowRetentionDuration,
  WorkflowRollbackContext,
  WorkflowRollbackHandler,
  WorkflowSleepDuration,
  WorkflowStep,
  WorkflowStepConfig,
  WorkflowStepContext,
  WorkflowStepRollbackConfig,
  WorkflowStepRollbackOptions,
  WorkflowTimeoutDuration,
} from "../../src/cloudflare.ts";
import { createWorker } from "../../src/index.ts";

type Env = { readonly BUCKET: string };
type Params = { readonly order: string; readonly total: number };

class Orders extends WorkflowEntrypoint<Env, Params> {
  override async run(event: WorkflowEvent<Params>, step: WorkflowStep) {
    expectTypeOf(this.env).toEqualTypeOf<Env>();
    expectTypeOf(this.ctx.waitUntil).toBeFunction();
    expectTypeOf(event.payload.total).toEqualTypeOf<number>();
    const receipt = await step.do("charge", { retries: { limit: 2, delay: "1 second" } }, async (ctx) => {
      expectTypeOf(ctx.step.count).toEqualTypeOf<number>();
      if (event.payload.total < 0) throw new NonRetryableError("negative", "Negative");
      return { id: event.payload.order };
    });
    expectTypeOf(receipt).toEqualTypeOf<{ id: string }>();
    await step.sleep("rest", "1 year");
    return receipt;
  }
}

// Or it names those of the door, all that describe a step.
export const config: WorkflowStepConfig = {
  retries: { limit: 1, delay: delayOf },
  timeout: "1 hour" satisfies WorkflowTimeoutDuration,
};
export const rolledBack: WorkflowStepRollbackOptions<string> = {
  rollback: async ({ ctx, output }: WorkflowRollbackContext<string>) => void [ctx.step.count, output?.length],
  rollbackConfig: { timeout: 1000 } satisfies WorkflowStepRollbackConfig,
};
function delayOf({ ctx, error }: Parameters<WorkflowDelayFunction>[0]): WorkflowDelayDuration {
  return error.name === "Busy" ? "1 minute" : ctx.attempt;
}
export const others: [WorkflowBackoff, WorkflowCronSchedule, WorkflowDurationLabel, WorkflowRetentionDuration] = [
  ...(["linear", { cron: "* * * * *", scheduledTime: 1 }, "week", "2 weeks"] as const),
];
export type Rest = WorkflowDynamicDelayContext | WorkflowRollbackHandler | WorkflowSleepDuration | WorkflowStepContext;

// What types of Cloudflare's own a file names, it may go on naming.
class Hosted extends WorkflowEntrypoint<Env, Params> {
  override async run(event: Readonly<HostedEvent<Params>>, step: HostedStep) {
    return await step.do("total", async () => event.payload.total);
  }
}

export async function test() {
  const orders = toWorkflow("orders", Orders, {
    retention: "7 days",
    concurrency: { limit: 1, key: ({ order }) => order },
    labels: ({ order }) => ({ order }),
    input: z.object({ order: z.string(), total: z.number() }),
  });
  const hosted = toWorkflow("hosted", Hosted);
  createWorker({ workflows: [orders, hosted] });

  const binding: Workflow<Params> = orders.binding;
  const instance: WorkflowInstance = await binding.create({ id: "7", params: { order: "7", total: 1 } });
  expectTypeOf(await instance.status()).toEqualTypeOf<InstanceStatus>();
  // @ts-expect-error the params of the class
  await orders.binding.create({ params: { order: 7 } });

  const run = await orders.start({ order: "7", total: 1 });
  expectTypeOf(await run.result()).toEqualTypeOf<{ id: string }>();
  expectTypeOf(await hosted.get("8").result()).toEqualTypeOf<number>();

  const outside = createClient({ url: "https://runs.example.com" }).workflow<typeof orders>("orders");
  expectTypeOf(await (await outside.start({ order: "7", total: 1 })).result()).toEqualTypeOf<{ id: string }>();

  // @ts-expect-error what the class says itself is no option
  toWorkflow("orders", Orders, { retries: 4 });
  // @ts-expect-error its events are validated by nobody
  toWorkflow("orders", Orders, { signals: {} });
}
