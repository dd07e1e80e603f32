/** Everything an author of workflows needs. */
export { HoldfastError, NonRetryableError, RetryAfterError } from "./core/error.ts";
export { presets } from "./core/definition/preset.ts";
export { getRun, signalAll as signal } from "./objects/deployment/handle.ts";
export { verify } from "./objects/webhook/verify.ts";
export { defineWebhook } from "./objects/webhook/webhook.ts";
export { defineWorkflow } from "./objects/deployment/workflow.ts";
export { createWorker } from "./worker.ts";
export type { Duration, Instant } from "./core/duration.ts";
export type { ErrorCode } from "./core/code.ts";
export type { Issue } from "./core/error.ts";
export type { Preset } from "./core/definition/preset.ts";
export type { Retry, RetryFunction, RetryPolicy } from "./core/definition/retry.ts";
export type { ActiveAttempt, RunStatus, Waiting } from "./core/run/run.ts";
export type { ParentRun, ScheduleFiring } from "./core/run/origin.ts";
export type { Usage } from "./core/run/usage.ts";
export type { Author } from "./core/author.ts";
export type { BroadcastOutcome } from "./core/service/service.ts";
export type { Concurrency, Debounce, Rate, ScheduleRule, Singleton } from "./core/definition/definition.ts";
export type { Schema } from "./core/definition/schema.ts";
export type {
  AttemptContext,
  FetchAnswer,
  FetchOptions,
  FetchRequest,
  InvokeOptions,
  MapContext,
  MapOptions,
  MapRunsOptions,
  RunOptions,
  StartChildOptions,
  WaitOptions,
} from "./core/definition/options.ts";
export type { Log, RunInfo, Step } from "./core/definition/step.ts";
export type {
  Delivery,
  Verifier,
  Verify,
  Webhook,
  WebhookCall,
  WebhookOptions,
  WebhookResponse,
} from "./core/webhook/webhook.ts";
export type {
  ForkOptions,
  RunHandle,
  RunView,
  SignalOptions,
  StartOptions,
  UpdateOptions,
} from "./core/definition/handle.ts";
export type { Delivered, InboundWebhook, InboundWebhookOptions } from "./objects/webhook/webhook.ts";
export type { BasicOptions, HmacOptions, Secret, TokenOptions, ToleranceOption } from "./objects/webhook/verify.ts";
export type { Workflow } from "./objects/deployment/workflow.ts";
export type { HoldfastWorker, ObjectClass, WorkerOptions } from "./worker.ts";
