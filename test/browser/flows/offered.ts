/** Workflows for the pages of workflows, schedules, lanes and statistics. */
import * as z from "zod";
import { defineWorkflow, NonRetryableError } from "../../../src/index.ts";

const address = z.object({
  street: z.string().min(1),
  country: z.enum(["NL", "DE", "FR", "IT", "ES"]).describe("Where it is delivered."),
});

/** Everything that a form can draw. */
const place = defineWorkflow("place-order", {
  input: z.object({
    customer: z.email().describe("Where the receipt is sent."),
    note: z.string().max(400).optional(),
    total: z.number().min(0).multipleOf(0.5),
    count: z.int().positive().default(1),
    express: z.boolean().default(false),
    channel: z.enum(["web", "phone", "shop"]),
    due: z.iso.datetime().optional(),
    coupon: z.string().nullish(),
    shipTo: address.optional(),
    items: z.array(z.object({ sku: z.string().regex(/^[A-Z]{2}-\d+$/), count: z.int().min(1).max(99) })).min(1),
    tags: z.record(z.string(), z.string()).optional(),
    payment: z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("card"), last4: z.string().length(4) }),
      z.object({ kind: z.literal("invoice"), days: z.int().max(60) }),
    ]),
    extra: z.any().optional(),
  }),
  signals: { approval: z.object({ approved: z.boolean(), by: z.string() }), note: z.string() },
  handler: async (order, step) => {
    await step.run("reserve", () => order.items.length);
    return await step.run("charge", () => order.total);
  },
});

const report = defineWorkflow("nightly-report", {
  input: z.object({ kind: z.enum(["short", "long"]) }),
  schedule: [
    { id: "report-weekdays", cron: "30 7 * * MON-FRI", timezone: "Europe/Berlin", input: { kind: "long" } },
    { id: "report-quarterly", cron: "0 4 1 */3 *", input: { kind: "short" }, jitter: "5 minutes" },
  ],
  handler: async ({ kind }, step) => await step.run("gather", () => kind),
});

const mail = defineWorkflow("send-mail", {
  input: z.object({
    to: z.string(),
    fails: z.boolean().default(false),
    bounces: z.int().default(0),
    hold: z.boolean(),
  }),
  concurrency: { limit: 2, hold: true },
  handler: async ({ fails, bounces, hold }, step) => {
    await step.run("render", () => "text");
    await step.run(
      "deliver",
      ({ attempt }) => {
        if (attempt <= bounces) throw new Error("451 try again later");
        if (fails) throw new NonRetryableError("550 no such mailbox");
        return "250";
      },
      { retry: { delay: 10, jitter: 0 } },
    );
    if (hold) await step.waitFor("release", { timeout: "1 hour" });
  },
});

export const offeredWorkflows = [place, report, mail];
