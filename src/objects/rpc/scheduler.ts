/**
 * Owns: the RPC methods of the scheduler.
 * Does not own: their implementation (scheduler).
 */
import type { RequestMetadata } from "../../core/author.ts";
import type { ScheduleFiring } from "../../core/run/origin.ts";
import type { RunStatus } from "../../core/run/run.ts";
import type { BackfillRequest, ScheduleChange, ScheduleInfo, ScheduleRequest } from "../../core/service/schedules.ts";
import type { Stored } from "../../core/value/value.ts";
import type { Resealed } from "../../store/reseal.ts";
import type { Answer } from "../answer.ts";

export interface SchedulerRpc {
  /** Checks all schedules, starts due runs, and sets the alarm. */
  tick(): Promise<void>;
  list(workflow?: string): Promise<Answer<readonly ScheduleInfo[]>>;
  find(id: string, next: number): Promise<Answer<ScheduleInfo>>;
  create(request: ScheduleRequest): Promise<Answer<{ readonly schedule: ScheduleInfo; readonly created: boolean }>>;
  change(id: string, change: ScheduleChange): Promise<Answer<ScheduleInfo>>;
  remove(id: string, request: RequestMetadata): Promise<Answer<null>>;
  /** Returns the start of a run, which the caller makes. From now on the run counts for the overlap rule. */
  trigger(id: string, request: Trigger): Promise<Answer<TriggerPlan>>;
  backfill(id: string, request: BackfillRequest): Promise<Answer<{ readonly firings: number }>>;
  /** Reports the end of a run that a schedule started. @param end undefined from runs of older code */
  ended(firing: ScheduleFiring, runId: string, end?: RunEnd): Promise<void>;
  /** Reports that an ended run of the schedule is about to be reopened. From now on it counts for the overlap rule again. */
  revived(firing: ScheduleFiring, runId: string): Promise<void>;
  /** Encrypts all its rows again, with the newest key. */
  rekey(): Promise<Answer<Resealed>>;
}

/** The run's id is derived from `token`, at most 26 letters and digits, which is the same for the same key. */
export type Trigger = RequestMetadata & { readonly token: string };

export type TriggerPlan = {
  readonly workflow: string;
  readonly input: Stored;
  readonly runId: string;
  /** The time of the first request. */
  readonly at: number;
};

export type RunEnd = { readonly status: RunStatus; readonly at: number };
