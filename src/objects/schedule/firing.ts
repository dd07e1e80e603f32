/**
 * Owns: what the scheduler needs of its Worker, and the result of one attempt to start the run of a firing.
 * Does not own: which firings there are, and the effect of an attempt (firings, backfill).
 */
import { HoldfastError } from "../../core/error.ts";
import type { ScheduleFiring } from "../../core/run/origin.ts";
import type { RunSnapshot } from "../../core/run/run.ts";
import type { StartRequest } from "../../core/service/service.ts";
import { isTransient } from "../run/damage.ts";
import { describe, within } from "../patience.ts";
import type { Rule } from "../../core/service/schedules.ts";

/** A start whose run id is derived from schedule and slot, so that making it twice starts one run. */
export type FiringStart = StartRequest & {
  readonly id: string;
  readonly schedule: ScheduleFiring;
  /** A run that was created earlier with another workflow or input is not this start's run. */
  readonly since?: number;
};

export interface SchedulerApp {
  /** The rules that `collectSchedules` found. */
  readonly rules: readonly Rule[];
  /** Starts the run, or finds it. @throws HoldfastError for a refusal; other errors are temporary */
  start(request: FiringStart): Promise<unknown>;
  /** What is known of the run; null when there is none. */
  look(runId: string): Promise<Pick<RunSnapshot, "status" | "finishedAt"> | null>;
  /** @throws HoldfastError run_ended or run_not_found when there is nothing to stop */
  cancel(runId: string, kind: "cancel" | "terminate"): Promise<void>;
  /** Whether runs of the rule could start. @throws HoldfastError workflow_not_found, input_invalid */
  check(rule: Rule): Promise<void>;
}

/** Longer than any healthy call takes. */
export const callLimitMs = 30_000;

/** `refused` is for good; what `failed` may work another time. */
export type Attempt =
  | { readonly kind: "started" }
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "failed"; readonly message: string };

/** Never rejects. */
export async function attempt(app: SchedulerApp, request: FiringStart): Promise<Attempt> {
  try {
    await within(app.start(request), callLimitMs);
    return { kind: "started" };
  } catch (error) {
    const message = describe(error);
    console.error(`schedule ${request.schedule.id}: run ${request.id} was not started: ${message}`);
    return { kind: isFinal(error) ? "refused" : "failed", message };
  }
}

/** What passes by itself, or what a deployment can put right, is no refusal. */
function isFinal(error: unknown): boolean {
  return error instanceof HoldfastError && error.code !== "rate_limited" && !isTransient(error);
}
