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
import type { Starting } from "../../core/schedule/firing.ts";
import type { Rule } from "../../core/service/schedules.ts";
import { undefinedValue } from "../../core/value/value.ts";

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

/** Starts the run of a firing of the rule. Never rejects. @param by who starts it, and what else is said of the start */
export async function attempt(
  app: SchedulerApp,
  { id, workflow, input = undefinedValue }: Rule,
  { slotAt, runId }: Starting,
  by: Omit<FiringStart, "workflow" | "input" | "id" | "schedule">,
): Promise<Attempt> {
  try {
    await within(app.start({ workflow, input, id: runId, schedule: { id, at: slotAt }, ...by }), callLimitMs);
    return { kind: "started" };
  } catch (error) {
    const message = describe(error);
    console.error(`schedule ${id}: run ${runId} was not started: ${message}`);
    return { kind: isFinal(error) ? "refused" : "failed", message };
  }
}

/** The end of a run; that of one which does not exist was at no known time. */
type End = { readonly endedAt: number | null; readonly hasFailed: boolean };

/** Null if the run goes on, or cannot be reached, which counts as going on: a late firing is better than two. */
export async function endOf(app: SchedulerApp, runId: string): Promise<End | null> {
  const run = await within(app.look(runId), callLimitMs).catch(() => undefined);
  if (run === undefined || (run !== null && run.finishedAt === null)) return null;
  return { endedAt: run?.finishedAt ?? null, hasFailed: run?.status === "failed" };
}

/** What passes by itself, or what a deployment can put right, is no refusal. */
function isFinal(error: unknown): boolean {
  return error instanceof HoldfastError && error.code !== "rate_limited" && !isTransient(error);
}
