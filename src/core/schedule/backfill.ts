/**
 * A backfill: slots of a schedule in the past that somebody asked to be run. As in `src/core/schedule/firing.ts`, every
 * function takes the state and the clock and returns the new state. `src/objects/schedule/backfill.ts` calls them in this
 * order: take → start → begun, refused or deferred → ended.
 *
 * Invariants
 * 1. Slots are taken in their order, each once: `nextAt` only grows.
 * 2. At most one start is owed at a time; it is in `starting` until its outcome is known.
 * 3. The overlap rule is applied to its own runs alone: they and the firings of its schedule do not affect each other.
 */
import type { Author } from "../author.ts";
import { cronOf } from "./cron.ts";
import type { Cron } from "./cron.ts";
import { dayMs } from "../duration.ts";
import { backoff, begin, isReached } from "./firing.ts";
import type { ScheduleState, Starting } from "./firing.ts";
import type { BackfillInfo } from "../service/schedules.ts";

export type Backfill = Author &
  BackfillInfo & {
    readonly schedule: string;
    /** The schedule's own at the time of the request: as many firings are started as were counted then. */
    readonly cron: string;
    readonly timezone: string;
    /** Why, where somebody said. */
    readonly reason?: string;
    /** Slots before this are taken. */
    readonly nextAt: number;
    readonly starting: Starting | null;
    /** The run that the next slot waits for. */
    readonly running: string | null;
    /** When to ask whether `running` has ended: its report may have been lost. */
    readonly checkAt: number | null;
    readonly checks: number;
  };

/** How many slots all backfills of a schedule together may still have to start. */
export const maxFirings = 10_000;
/** For how long a start that fails for a temporary reason is tried again. */
const patienceMs = dayMs;

/** How many slots from `fromAt` on and before `untilAt`, at most `limit`, and where to go on counting. */
export function countSlots(
  cron: Cron,
  fromAt: number,
  untilAt: number,
  limit: number,
): { count: number; nextAt: number } {
  let count = 0;
  let slotAt = cron.next(fromAt - 1);
  while (slotAt !== null && slotAt < untilAt && count < limit) {
    count += 1;
    slotAt = cron.next(slotAt);
  }
  return { count, nextAt: slotAt === null ? untilAt : Math.min(slotAt, untilAt) };
}

export function openBackfill(
  asked: Omit<Backfill, "nextAt" | "started" | "refused" | "starting" | "running" | "checkAt" | "checks">,
): Backfill {
  const idle = { starting: null, running: null, checkAt: null, checks: 0 };
  return { ...asked, nextAt: asked.fromAt, started: 0, refused: 0, ...idle };
}

/** Takes the next slot if it may start now. The same object when nothing may. */
export function take(backfill: Backfill, now: number): Backfill {
  const { schedule, nextAt, untilAt, starting, running } = backfill;
  if (starting !== null || running !== null) return backfill;
  const slotAt = nextAt >= untilAt ? null : cronOf(backfill).next(nextAt - 1);
  if (slotAt === null || slotAt >= untilAt) return nextAt === untilAt ? backfill : { ...backfill, nextAt: untilAt };
  return { ...backfill, starting: begin({ id: schedule }, slotAt, now), nextAt: slotAt + 1 };
}

/** The run of the slot exists. */
export function begun(backfill: Backfill, runId: string, now: number): Backfill {
  // The start is no longer owed: the run ended, and was reported, before its start was answered.
  if (backfill.starting?.runId !== runId) return backfill;
  const free = { ...backfill, starting: null, started: backfill.started + 1 };
  return backfill.overlap === "allow-all" ? free : { ...free, running: runId, checkAt: now + 1_000, checks: 0 };
}

/** The schedule of a slot whose run exists: what kept that firing from its run is over, which says nothing of any other. */
export function redeem(state: ScheduleState, slotAt: number): ScheduleState {
  return state.lastError?.slotAt === slotAt ? { ...state, lastError: null } : state;
}

/** The slot will never have a run. */
export function refused(backfill: Backfill, runId: string): Backfill {
  if (backfill.starting?.runId !== runId) return backfill;
  return { ...backfill, starting: null, refused: backfill.refused + 1 };
}

/** The start failed for a temporary reason and is tried again; null once it has failed for too long. */
export function deferred(backfill: Backfill, runId: string, now: number): Backfill | null {
  const { starting } = backfill;
  if (starting?.runId !== runId) return backfill;
  if (now - starting.decidedAt > patienceMs) return null;
  const again = { ...starting, attempts: starting.attempts + 1, retryAt: now + backoff(starting.attempts) };
  return { ...backfill, starting: again };
}

/** The run has ended. Returns the same object where that was known. */
export function ended(backfill: Backfill, runId: string): Backfill {
  if (backfill.starting?.runId === runId) return { ...backfill, starting: null, started: backfill.started + 1 };
  return backfill.running === runId ? { ...backfill, running: null, checkAt: null, checks: 0 } : backfill;
}

/** The run was asked, and has not ended. */
export function checked(backfill: Backfill, now: number): Backfill {
  return { ...backfill, checkAt: now + backoff(backfill.checks), checks: backfill.checks + 1 };
}

/** Nothing is left to start. */
export function isDone({ nextAt, untilAt, starting }: Backfill): boolean {
  return starting === null && nextAt >= untilAt;
}

/** Whether there is something to do: a slot to take, a start to repeat, a run to ask. */
export function isDue(backfill: Backfill, now: number): boolean {
  const { starting, running, checkAt } = backfill;
  if (starting !== null) return isReached(starting.retryAt, now);
  return running === null || isReached(checkAt ?? now, now);
}

/** When it next has something to do. */
export function dueAt({ starting, running, checkAt }: Backfill, now: number): number {
  if (starting !== null) return starting.retryAt;
  return running === null ? now : (checkAt ?? now);
}

export function describeBackfill(backfill: Backfill): BackfillInfo {
  const { fromAt, untilAt, overlap, firings, started, refused } = backfill;
  return { fromAt, untilAt, overlap, firings, started, refused };
}
