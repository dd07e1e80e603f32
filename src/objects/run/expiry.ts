/**
 * Owns: removing a run after its retention: whether it can be removed yet, and when to check again if not.
 * Does not own: the removal itself (removal), the retention (engine/drive), the alarm (host).
 * Invariant 1: the run is kept until the notices of its end are over, and if it was retried meanwhile.
 */
import type { RunState } from "../../core/state/state.ts";
import { watchdogMs } from "../alarm.ts";
import { backoff, describe } from "../patience.ts";

/** The longest pause after a failed attempt. */
const patienceMs = 60_000;
/** The longest pause before it checks again whether the notices are over. */
const longestWaitMs = 3_600_000;

/** The run, with what is needed to remove it. */
type Expiring = {
  state(): RunState;
  /** Whether the notices of its ends are over. */
  settled(): Promise<boolean>;
  erase(): Promise<void>;
};

export class Expiry {
  #failures = 0;
  /** When to check next, epoch ms. */
  dueAt = 0;

  /** Removes the run; false if that has to wait. Never rejects. */
  async attempt(run: Expiring): Promise<boolean> {
    const { end, created } = run.state();
    try {
      const isSettled = await run.settled();
      if (run.state().end !== end) return false;
      if (isSettled) {
        await run.erase();
        return true;
      }
      const now = Date.now();
      // With pauses that grow with time.
      this.#postpone(0, Math.min(longestWaitMs, Math.max(watchdogMs, (now - (end?.at ?? now)) / 4)));
    } catch (error) {
      const failures = this.#failures + 1;
      this.#postpone(failures, backoff(failures, patienceMs));
      console.warn(`run ${created?.id} could not be removed; it will be: ${describe(error)}`);
    }
    return false;
  }

  #postpone(failures: number, pauseMs: number): void {
    this.#failures = failures;
    this.dueAt = Date.now() + pauseMs;
  }
}
