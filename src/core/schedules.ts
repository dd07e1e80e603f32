/** What a deployed Holdfast can be asked about its schedules; a part of `Service`. */
import type { Asked, Author } from "./author.ts";
import type { Duration } from "./duration.ts";
import type { Made } from "./run.ts";
import type { Stored } from "./value.ts";

export interface Schedules {
  /** Those in the code, then those made through `create`, by id; of one workflow if it is named. */
  list(workflow?: string): Promise<ScheduleInfo[]>;
  /** With its next `next` firings. @throws schedule_not_found */
  find(id: string, next: number): Promise<ScheduleInfo>;
  /**
   * Makes a schedule, or finds the one that the same request made before.
   * @throws schedule_exists (the id is taken), schedule_invalid (names the field), workflow_not_found,
   * input_invalid, value_too_large, name_invalid, idempotency_conflict, schedule_limit
   */
  create(request: ScheduleRequest): Promise<{ readonly schedule: ScheduleInfo; readonly created: boolean }>;
  /**
   * What is not given stays. A schedule in the code can be paused and resumed, no more.
   * @throws schedule_not_found, schedule_in_code and, as `create`, what is wrong with a field
   */
  change(id: string, change: ScheduleChange): Promise<ScheduleInfo>;
  /** Runs that it started go on. @throws schedule_not_found, schedule_in_code */
  remove(id: string, request: Asked): Promise<void>;
  /**
   * Starts a run now, also while the schedule is paused or a run of it goes on; with a key, once.
   * @throws schedule_not_found, and what `Runs.start` throws
   */
  trigger(id: string, request: TriggerRequest): Promise<Made>;
  /**
   * Starts one run for each slot of the past that has none yet; they are started after the answer.
   * @throws schedule_not_found, backfill_too_large, idempotency_conflict
   */
  backfill(id: string, request: BackfillRequest): Promise<{ readonly firings: number }>;
  /** Judge every schedule against the clock now. Safe to call at any time, any number of times. */
  tick(): Promise<void>;
}

export type Overlap = "skip" | "buffer-one" | "buffer-all" | "cancel-other" | "terminate-other" | "allow-all";

/** A backfill starts every slot, so it knows only beside each other and one after the other. */
export type BackfillOverlap = Extract<Overlap, "allow-all" | "buffer-all">;

/** What may be said of a schedule; what is absent is the default, or stays. */
export type ScheduleFields = {
  readonly workflow?: string;
  readonly cron?: string;
  readonly timezone?: string;
  readonly input?: Stored;
  readonly overlap?: Overlap;
  readonly catchUp?: Duration;
  readonly jitter?: Duration;
  readonly paused?: boolean;
  readonly pauseOnFailure?: boolean;
};

export type ScheduleRequest = Asked &
  ScheduleFields & { readonly id: string; readonly workflow: string; readonly cron: string };

export type ScheduleChange = Asked & ScheduleFields;

export type TriggerRequest = Asked & {
  /** Scheme and host under which webhooks are reached, when PUBLIC_URL is not set. */
  readonly origin?: string;
  /** Wait this long for the run's end before answering. */
  readonly waitMs?: number;
};

export type BackfillRequest = Asked & {
  /** Inclusive. */
  readonly fromAt: number;
  /** Exclusive; slots that have not come are left to their time. */
  readonly untilAt: number;
  /** "allow-all" unless set. */
  readonly overlap?: BackfillOverlap;
};

export type ScheduleInfo = {
  readonly id: string;
  readonly workflow: string;
  readonly cron: string;
  readonly timezone: string;
  readonly input: Stored;
  readonly overlap: Overlap;
  readonly catchUpMs: number;
  readonly jitterMs: number;
  readonly pauseOnFailure: boolean;
  readonly source: "code" | "api";
  readonly paused: SchedulePause | null;
  /** The newest firing that has no run, and why. */
  readonly lastError: ScheduleError | null;
  /** Those that are not done. */
  readonly backfills: readonly BackfillInfo[];
  /** The next firings, epoch ms, soonest first; while it is paused, those that would come. */
  readonly next: readonly number[];
};

/** `by` is `schedule` where the schedule paused itself. */
export type SchedulePause = Author & { readonly at: number; readonly reason: string | null };

export type ScheduleError = { readonly at: number; readonly slotAt: number; readonly message: string };

export type BackfillInfo = {
  readonly fromAt: number;
  readonly untilAt: number;
  readonly overlap: BackfillOverlap;
  /** Of so many slots so many have their run, and so many were refused one. */
  readonly firings: number;
  readonly started: number;
  readonly refused: number;
};
