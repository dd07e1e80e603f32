/** Workflows that name lanes; no test starts a run of them. */
import { defineWorkflow } from "../../../src/index.ts";

const mailer = defineWorkflow("lane-mailer", {
  lane: { name: "lane mail", limit: 2 },
  concurrency: { limit: 3, key: (input: { customer: string }) => input.customer },
  throttle: { limit: 5, period: "1 minute" },
  handler: (input: { customer: string }) => Promise.resolve(input),
});

const reminder = defineWorkflow("lane-reminder", {
  lane: "lane mail",
  handler: () => Promise.resolve(null),
});

export const laneWorkflows = [mailer, reminder];
