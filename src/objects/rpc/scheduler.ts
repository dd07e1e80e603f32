/**
 * Owns: what can be asked of the scheduler.
 * Does not own: what it does about it (scheduler).
 */
import type { RequestMetadata } from "../../core/author.ts";
import type { ScheduleFiring } from "../../core/origin.ts";
import type { RunStatus } from "../../core/run.ts";
import type { BackfillRequest, ScheduleChange, ScheduleInfo, ScheduleRequest } from "../../core/schedules.ts";
import type { Stored } from "../../core/value.ts";
import type { Answer } from "../answer.ts";

export interface SchedulerRpc {
  /** Judges every schedule against the clock, starts what is due, and arms the alarm. */
  tick(): Promise<void>;
  list(workflow?: string): Promise<Answer<readonly ScheduleInfo[]>>;
  find(id: string, next: number): Promise<Answer<ScheduleInfo>>;
  create(request: ScheduleRequest): Promise<Answer<{ readonly schedule: ScheduleInfo; readonly created: boolean }>>;
  change(id: string, change: ScheduleChange): Promise<Answer<ScheduleInfo>>;
  remove(id: string, request: RequestMetadata): Promise<Answer<null>>;
  /** Names the run that the caller then starts; from now on it is in the way of firings. */
  trigger(id: string, request: Trigger): Promise<Answer<TriggerPlan>>;
  backfill(id: string, request: BackfillRequest): Promise<Answer<{ readonly firings: number }>>;
  /** A run that a schedule started has ended: with which status, and when, is told by newer runs only. */
  ended(firing: ScheduleFiring, runId: string, end?: RunEnd): Promise<void>;
  /** A run of the schedule that had ended is about to go on: from now on it is in the way of firings again. */
  revived(firing: ScheduleFiring, runId: string): Promise<void>;
  /** Seals all it keeps anew, with the newest key. */
  rekey(): Promise<Answer<{ readonly rows: number; readonly sealed: number }>>;
}

/** `token`, of at most 26 letters and digits, makes the run's id; the same key has the same. */
export type Trigger = RequestMetadata & { readonly token: string };

export type TriggerPlan = {
  readonly workflow: string;
  readonly input: Stored;
  readonly runId: string;
  /** When it was first asked for. */
  readonly at: number;
};

export type RunEnd = { readonly status: RunStatus; readonly at: number };
