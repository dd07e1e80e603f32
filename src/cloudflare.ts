/** Code that was written for Cloudflare Workflows, run by Holdfast: see docs/migrating.md. */
export { NonRetryableError, WorkflowEntrypoint } from "./cloudflare/entrypoint.ts";
export { toWorkflow } from "./cloudflare/workflow.ts";
export type { MovedWorkflow, MoveOptions } from "./cloudflare/workflow.ts";
export type {
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
  WorkflowStepEvent,
  WorkflowStepRollbackConfig,
  WorkflowStepRollbackOptions,
  WorkflowTimeoutDuration,
} from "cloudflare:workers";
