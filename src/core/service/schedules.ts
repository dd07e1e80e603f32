/** The part of `Service` about schedules. */
import type { RequestMetadata, Author } from "../author.ts";
import type { Duration } from "../duration.ts";
import type { Made } from "../run/run.ts";
import type { Stored } from "../value/value.ts";

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
   * Fields that are not given stay as they are. A schedule in the code can only be paused and resumed.
   * @throws schedule_not_found, schedule_in_code and, as `create`, what is wrong with a field
   */
  change(id: string, change: ScheduleChange): Promise<ScheduleInfo>;
  /** Runs that it started are not affected. @throws schedule_not_found, schedule_in_code */
  remove(id: string, request: RequestMetadata): Promise<void>;
  /**
   * Starts a run now, also while the schedule is paused or another run of it has not ended; with a key, once.
   * @throws schedule_not_found, and what `Runs.start` throws
   */
  trigger(id: string, request: TriggerRequest): Promise<Made>;
  /**
   * Starts one run for each slot in the past that has none yet. The runs are started after this resolves.
   * @throws schedule_not_found, backfill_too_large, idempotency_conflict
   */
  backfill(id: string, request: BackfillRequest): Promise<{ readonly firings: number }>;
  /** Decides about the slots of every schedule that are due now. Safe to call at any time, any number of times. */
  tick(): Promise<void>;
}

export const overlaps = ["skip", "buffer-one", "buffer-all", "cancel-other", "terminate-other", "allow-all"] as const;

export type Overlap = (typeof overlaps)[number];

/** A backfill starts every slot, so its runs can only overlap, or wait for each other. */
export type BackfillOverlap = Extract<Overlap, "allow-all" | "buffer-all">;

/** The fields of a schedule; an absent one has its default, or stays as it is. */
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

export type ScheduleRequest = RequestMetadata &
  ScheduleFields & { readonly id: string; readonly workflow: string; readonly cron: string };

export type ScheduleChange = RequestMetadata & ScheduleFields;

export type TriggerRequest = RequestMetadata & {
  /** Scheme and host under which webhooks are reached, when PUBLIC_URL is not set. */
  readonly origin?: string;
  /** Wait this long for the run's end before answering. */
  readonly waitMs?: number;
};

export type BackfillRequest = RequestMetadata & {
  /** Inclusive. */
  readonly fromAt: number;
  /** Exclusive; slots in the future are not started. */
  readonly untilAt: number;
  /** "allow-all" unless set. */
  readonly overlap?: BackfillOverlap;
};

/** The rule of a schedule, with defaults filled in. */
export type Rule = {
  readonly id: string;
  readonly workflow: string;
  readonly cron: string;
  /** IANA name. */
  readonly timezone: string;
  /** Undefined where the rule gives none. */
  readonly input: Stored | undefined;
  readonly overlap: Overlap;
  readonly catchUpMs: number;
  readonly jitterMs: number;
  readonly pauseOnFailure: boolean;
  readonly source: "code" | "api";
};

export type ScheduleInfo = Rule & {
  readonly input: Stored;
  readonly paused: SchedulePause | null;
  /** The newest firing that has no run, and why; null once a later one has its run, or a backfill has made up for it. */
  readonly lastError: ScheduleError | null;
  /** Backfills that are not done. */
  readonly backfills: readonly BackfillInfo[];
  /** The next firings, epoch ms, soonest first; while it is paused, those that would come. */
  readonly next: readonly number[];
};

/** `by` is `schedule` where the schedule paused itself. */
export type SchedulePause = Author & { readonly at: number; readonly reason: string | null };

export type ScheduleError = { readonly at: number; readonly slotAt: number; readonly message: string };

export type BackfillInfo = {
  readonly fromAt: number;
  /** Exclusive. */
  readonly untilAt: number;
  readonly overlap: BackfillOverlap;
  /** How many slots it has; `started` and `refused` count those with a run, and those without one for good. */
  readonly firings: number;
  readonly started: number;
  readonly refused: number;
};
