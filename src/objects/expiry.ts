/**
 * Owns: when a run whose retention is over is removed: whether it may go yet, and when to look again where it may not.
 * Does not own: removing it (removal), what its retention is (engine/drive), the alarm (host).
 * Invariant 1: the run stays until its subscribers were told of its end; one that was retried meanwhile stays.
 */
import type { RunState } from "../core/state.ts";
import { watchdogMs } from "./alarm.ts";
import { backoff, describe } from "./patience.ts";

/** The longest pause after an attempt that failed. */
const patienceMs = 60_000;
/** How long it waits, at most, before it looks again whether its end was told. */
const longestWaitMs = 3_600_000;

/** The run, and what removes it. */
type Expiring = {
  state(): RunState;
  /** Whether its ends were told. */
  settled(): Promise<boolean>;
  erase(): Promise<void>;
};

export class Expiry {
  #failures = 0;
  /** When to look next, epoch ms. */
  dueAt = 0;

  /** Removes it; false where that has to wait. Never rejects. */
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
      // Looks often at first, then ever less.
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
