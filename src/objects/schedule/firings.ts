/**
 * Owns: the firings of schedules: deciding one, recording it and starting its run, in this order.
 * Does not own: the schedules (roster), the clock and the alarm (scheduler), the decision (core/schedule/firing), past slots
 * (backfill), starting a run (`SchedulerApp`).
 *
 * Invariants
 * 1. A slot is recorded as decided, with its pending start, before the start is made. The pending start is deleted only when
 *    the run exists, was refused for good, or is too late.
 * 2. Starts are idempotent by run id, which is derived from schedule and slot, so a repeated start makes one run.
 * 3. Work on one schedule is serial. State changes read and write in one turn, so that the end of a run, reported at any
 *    time, is never overwritten. `ended` awaits nothing, because the run that reports may be the one that the scheduler is
 *    waiting for.
 */
import { hasCode } from "../../core/error.ts";
import * as firing from "../../core/schedule/firing.ts";
import type { ScheduleState, Starting } from "../../core/schedule/firing.ts";
import { firingAuthor, firingStartAt } from "../../core/schedule/schedule.ts";
import { attempt, callLimitMs, endOf } from "./firing.ts";
import type { SchedulerApp } from "./firing.ts";
import { describe, within } from "../patience.ts";
import type { Roster } from "./roster.ts";
import type { Rule } from "../../core/service/schedules.ts";

/** The pause after an error with a schedule. */
const brokenMs = 60_000;

export class Firings {
  readonly #roster: Roster;
  readonly #app: SchedulerApp;
  /** Called when the pending starts have changed and were recorded. */
  readonly #kept: () => void;
  /** The last work in the queue of each schedule. */
  readonly #queues = new Map<string, Promise<void>>();

  constructor(roster: Roster, app: SchedulerApp, kept: () => void) {
    this.#roster = roster;
    this.#app = app;
    this.#kept = kept;
  }

  /** Queues work on the schedule. Never rejects. */
  work(id: string): Promise<void> {
    const line = (this.#queues.get(id) ?? Promise.resolve())
      .then(() => this.#advance(id))
      .catch((error: unknown) => {
        // Without the pause, an alarm that is always due would fire continuously.
        this.#roster.rest(id, Date.now() + brokenMs);
        console.error(`schedule ${id}: ${describe(error)}`);
      })
      .then(() => void (this.#queues.get(id) === line && this.#queues.delete(id)));
    this.#queues.set(id, line);
    return line;
  }

  async #advance(id: string): Promise<void> {
    const rule = this.#roster.rule(id);
    const seen = this.#roster.change(id, (_, state) => state);
    if (rule === undefined || seen === null) return;
    const now = Date.now();
    const { due } = firing.judge(rule, seen, now);
    const isDue = due !== null || (seen.checkAt !== null && firing.isReached(seen.checkAt, now));
    if (isDue && (rule.overlap !== "allow-all" || rule.pauseOnFailure)) await this.#confirm(id);
    // Decided again by the runs that are running now, and recorded before anything is done.
    const admitted = this.#roster.change(id, (rule, state) => admit(rule, state, now));
    const stop = admitted === null ? null : firing.toStop(this.#roster.rule(id) ?? rule, admitted);
    if (stop !== null && isDue) await this.#stop(id, stop.kind, stop.runIds);
    const released = this.#roster.change(id, (rule, state, now) => firing.release(rule, state, now));
    this.#kept();
    if (released === null || released.paused !== null) return;
    const starts = released.starting.filter(
      (one) => !admitted?.starting.includes(one) || firing.isReached(one.retryAt, Date.now()),
    );
    await Promise.all(starts.map((one) => this.#start(id, one)));
    this.#kept();
  }

  /** Checks whether runs that count as running are, because the report of an end may have been lost. */
  async #confirm(id: string): Promise<void> {
    const running = this.#roster.running(id);
    // If runs may overlap, only a failure of the last one matters.
    const asked = this.#roster.rule(id)?.overlap === "allow-all" ? running.slice(-1) : running;
    await Promise.all(asked.map((runId) => this.#check(id, runId, false)));
  }

  /** @param isThere whether a run that was started by hand is known to have begun */
  async #check(id: string, runId: string, isThere: boolean): Promise<void> {
    const end = await endOf(this.#app, runId);
    if (end !== null && (isThere || this.#roster.isOver(id, runId, end.endedAt)))
      this.ended(id, runId, end.hasFailed ? end.endedAt : null);
  }

  async #stop(id: string, kind: "cancel" | "terminate", runIds: readonly string[]): Promise<void> {
    await Promise.all(
      runIds.map(async (runId) => {
        let isThere = false;
        try {
          await within(this.#app.cancel(runId, kind), callLimitMs);
          isThere = true;
        } catch (error) {
          const gone = hasCode(error, "run_ended", "run_not_found");
          if (!gone) console.error(`schedule ${id}: could not ${kind} run ${runId}: ${describe(error)}`);
        }
        await this.#check(id, runId, isThere);
      }),
    );
  }

  async #start(id: string, starting: Starting): Promise<void> {
    const rule = this.#roster.rule(id);
    if (rule === undefined) return;
    const made = await attempt(this.#app, rule, starting, {
      by: firingAuthor(id),
      ...(rule.jitterMs > 0 && { startAt: firingStartAt(rule, starting.slotAt) }),
    });
    this.#roster.change(id, (rule, state, now) => {
      switch (made.kind) {
        case "started":
          return firing.acknowledge(state, starting);
        case "refused":
          return firing.refuse(state, starting, made.message, now);
        case "failed":
          return firing.defer(rule, state, starting, made.message, now);
        default:
          return made satisfies never;
      }
    });
  }

  /** Called when a run of the schedule has ended, or does not exist. @param failedAt null unless it is known to have failed */
  ended(id: string, runId: string, failedAt: number | null): ScheduleState | null {
    return this.#roster.change(id, (rule, state, now) => {
      const left = firing.end(state, [runId]);
      return failedAt === null ? left : firing.fail(rule, left, runId, failedAt, now);
    });
  }
}

/** Admits or skips the slot that is due. */
function admit(rule: Rule, state: ScheduleState, now: number): ScheduleState {
  const judged = firing.judge(rule, state, now);
  if (judged.missed !== null) {
    const [from, to] = [judged.missed.fromAt, judged.missed.toAt].map((at) => new Date(at).toISOString());
    console.warn(`schedule ${rule.id}: missed ${from === to ? from : `from ${from} to ${to}`}`);
  }
  if (judged.due === null) return judged.state;
  const admitted = firing.admit(rule, judged.state, judged.due);
  if (admitted.skipped) {
    console.warn(`schedule ${rule.id}: ${new Date(judged.due).toISOString()} skipped, an earlier run has not ended`);
  }
  return admitted.state;
}
