/**
 * Owns: the way of a run to its end: the handler's own end, a cancellation, a timeout; what is waited for,
 * what is undone, and what is put on record at last.
 * Does not own: which end it is (ending), calls, attempts.
 *
 * Invariant 1: once the handler has settled or been closed, it has no more say, in replay as it was live.
 * Invariant 2: a step in flight that can be undone has told how it ended before anything is undone.
 */
import { authorOf } from "../core/author.ts";
import type { EntryOf, Fact } from "../core/entry.ts";
import type { RunState } from "../core/state.ts";
import type { Attempts } from "./attempts.ts";
import type { Bell } from "./bell.ts";
import type { Calls } from "./calls.ts";
import { endOf, undoing } from "./ending.ts";
import type { End } from "./ending.ts";
import type { World } from "./world.ts";

/** How long a cancelled handler that waits for nothing of ours is waited for. */
const graceMs = 10_000;

/** What closing needs of the execution it is part of. */
export interface Closable {
  readonly state: RunState;
  readonly world: Pick<World, "clock">;
  readonly live: boolean;
  readonly over: boolean;
  readonly failure: unknown;
  readonly stirred: Bell;
  readonly rested: Bell;
  readonly stopped: Bell;
  /** Appends the fact and delivers the outcome it makes, if it makes one. */
  record(fact: Fact): void;
  post(event: () => void): void;
  /** There is something to do at this instant. */
  expect(at: number): void;
  /** Puts the end on record, and whatever else must not be missing, and stops. */
  end(end: End): void;
}

export class Closing {
  /** The handler has returned or thrown, or its steps have been undone. */
  finished = false;
  readonly #execution: Closable;
  readonly #calls: Calls;
  readonly #attempts: Attempts;
  #end: (() => void) | null = null;
  /** How the run ends once the steps in flight that can be undone have told how they ended. */
  #awaited: Exclude<End, { kind: "run.completed" }> | null = null;
  /** When a cancelled handler that waits for nothing of ours is given up. */
  #givenUpAt: number | null = null;

  constructor(execution: Closable, calls: Calls, attempts: Attempts) {
    this.#execution = execution;
    this.#calls = calls;
    this.#attempts = attempts;
  }

  /** The replay is over: what it came to happens now. */
  goLive(): void {
    if (this.#end !== null) this.#execution.post(this.#end);
  }

  /** The handler hears of the cancellation through its open calls; resolves once that is on record. */
  async cancel(request: Omit<EntryOf<"run.cancel_requested">, "seq" | "at" | "awaited">): Promise<void> {
    const { state, rested, stopped } = this.#execution;
    const requested = new Promise<void>((resolve) => {
      this.#execution.post(() => {
        if (state.cancelling === null && state.ending === null && state.end === null) {
          this.#execution.record({ ...request, awaited: this.#attempts.stop(new Error(request.error.message)) });
          // The handler may be over already, with its end in line behind this.
          if (!this.finished) rested.ring();
        }
        resolve();
      });
    });
    await Promise.race([requested, stopped.heard()]);
    if (this.#execution.failure !== null) throw this.#execution.failure;
  }

  /** Ends the run from outside, whatever the handler makes of it. */
  close(end: End): void {
    if (this.#execution.live) this.#execution.post(() => this.conclude(end));
    else this.#end ??= () => this.conclude(end);
  }

  /** The handler has settled. */
  finish(end: End): void {
    this.#finish(() => this.conclude(end));
  }

  /**
   * Ends the run like this, and the handler with it; first of all what can be undone is undone.
   * @param wanted null where a cancellation on record says how it ends
   */
  conclude(wanted: End | null): void {
    const { over, state, live } = this.#execution;
    this.#calls.frozen = true;
    // A replay comes here once more on its way to what is on record.
    if (over || state.ending !== null || this.#awaited !== null) return;
    // A step in flight that can be undone is waited for; after a death, once it is in flight again.
    this.#calls.freeze(({ plan, begun }) => plan.kind === "run" && plan.undo !== null && (begun || !live));
    if (!live) return this.#finish(() => this.conclude(wanted));
    const end = endOf(wanted, state);
    if (end.kind === "run.completed") return this.#execution.end(end);
    this.#awaited = end;
    this.#attempts.stop(new Error("the run is ending"));
    // Those that are waited for have less time than they had.
    this.#execution.expect(this.#attempts.timeoutAt);
    this.#endAtRest();
  }

  /** The handler has no more say: its steps are undone, one by one, by calls like its own. */
  undo(steps: readonly string[]): void {
    this.#calls.freeze(() => false);
    this.#attempts.abandon(new Error("the run is being undone"));
    this.finished = false;
    this.#end = null;
    const undo = async (): Promise<void> => {
      // One that fails for good is on record and does not stop the rest.
      for (const step of steps) await this.#calls.undo(step).catch(() => {});
    };
    void undo().then(() => {
      this.finished = true;
      this.#end = () => this.#execution.end(endOf(null, this.#execution.state));
      if (this.#execution.live) this.#execution.post(this.#end);
      this.#execution.stirred.ring();
    });
  }

  /** The line of events is empty. */
  rest(): void {
    if (this.#awaited !== null && this.#attempts.running === 0) this.#execution.post(() => this.#endAtRest());
    if (!this.#isLost) this.#givenUpAt = null;
    else if (this.#givenUpAt === null) {
      this.#givenUpAt = this.#execution.world.clock.now() + graceMs;
      this.#execution.expect(this.#givenUpAt);
      this.#execution.stirred.ring();
    }
  }

  /** When a cancelled handler that does not end by itself is given up; Infinity when none is to be. */
  get dueAt(): number {
    return this.#isLost ? (this.#givenUpAt ?? Infinity) : Infinity;
  }

  /** Gives up a cancelled handler that has had its time. */
  tick(now: number): void {
    if (!this.#isLost) this.#givenUpAt = null;
    if (this.dueAt > now) return;
    const { cancelling } = this.#execution.state;
    if (cancelling === null) return;
    this.#givenUpAt = null;
    const { error, reason } = cancelling;
    this.conclude({ kind: "run.cancelled", error, ...authorOf(cancelling), reason, givenUp: true });
  }

  #finish(end: () => void): void {
    this.#calls.frozen = true;
    // The journal says already how the run ends: the handler came here once before.
    if (this.#execution.state.ending !== null) return;
    this.finished = true;
    this.#execution.stirred.ring();
    if (this.#end !== null) return;
    this.#end = end;
    if (this.#execution.live) this.#execution.post(end);
  }

  /** Once no step is in flight that may have to be undone. */
  #endAtRest(): void {
    const end = this.#awaited;
    if (end === null || this.#attempts.running > 0) return;
    this.#awaited = null;
    const begun = undoing(end, this.#execution.state);
    if (begun === null) this.#execution.end(end);
    else this.#execution.record(begun);
  }

  /** A cancelled handler that waits for nothing of ours, and has not ended. */
  get #isLost(): boolean {
    const { state, live, over } = this.#execution;
    if (state.cancelling === null || state.ending !== null || this.#awaited !== null) return false;
    return live && !this.finished && !over && this.#calls.pending.size === 0;
  }
}
