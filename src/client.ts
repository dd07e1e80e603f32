/** The client: starts and follows runs from outside the Worker. */
export { createClient } from "./client/client.ts";
export { ApiError } from "./client/refusal.ts";
export { HoldfastError } from "./core/error.ts";
export type { BatchOptions, Client, ClientWorkflow, RunFilter, StartOptions } from "./client/client.ts";
export type { CallOptions, ClientOptions, Method } from "./client/connection.ts";
export type { FollowOptions } from "./client/event.ts";
export type { ClientRun, WaitOptions } from "./client/run.ts";
export type { Cost, HistoryEntry, ListedRun, RunView } from "./client/view.ts";
export type { ErrorCode } from "./core/code.ts";
export type { Duration, Instant } from "./core/duration.ts";
export type { Issue } from "./core/error.ts";
export type { ForkOptions, SignalOptions, UpdateOptions } from "./core/definition/handle.ts";
export type { RunStatus, Waiting } from "./core/run/run.ts";
