/** Code that was written for Cloudflare Workflows, run by Holdfast: see docs/migrating.md. */
export { NonRetryableError, WorkflowEntrypoint } from "./cloudflare/entrypoint.ts";
export { toWorkflow } from "./cloudflare/workflow.ts";
export type { MovedWorkflow, MoveOptions } from "./cloudflare/workflow.ts";
export type {
  WorkflowEvent,
  WorkflowStep,
  WorkflowStepConfig,
  WorkflowStepContext,
  WorkflowStepEvent,
} from "cloudflare:workers";
