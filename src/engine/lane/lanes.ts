/**
 * Owns: a run's dealings with its lanes: when it asks for its slots, when it gives them back, and that it goes on once it
 * has them.
 * Does not own: which slots those are (slots), anything else about the run (run).
 * Invariant 1: a run with something to do asks for its slots, and asks again by itself until it has them: a grant that is
 * lost does not strand it (guarantee 4).
 * Invariant 2: a run that is parked with nothing to do asks for nothing.
 */
import { hasCome, isDelayed, isDue } from "../../core/lifecycle/due.ts";
import type { Fact } from "../../core/history/entry.ts";
import { firstCreatedAt } from "../../core/run/origin.ts";
import type { RunState } from "../../core/state/state.ts";
import type { Place, Ticket } from "../../core/lane/ticket.ts";
import { Bell } from "../turn/bell.ts";
import type { Execution } from "../execution.ts";
import type { Ledger } from "../ledger.ts";
import type { Next } from "../next.ts";
import { Slots } from "./slots.ts";
import { nextAskAt } from "./acquisition.ts";
import type { LaneRequest, Slot } from "./acquisition.ts";

/** The run that lanes limit. */
export interface LimitedRun {
  readonly state: RunState;
  readonly ledger: Pick<Ledger, "openedAt">;
  readonly execution: Execution | null;
  now(): number;
  append(...facts: readonly Fact[]): void;
}

/** How late an alarm may come. */
const latenessMs = 60_000;

export class RunLanes {
  readonly slots: Slots;
  readonly #run: LimitedRun;
  /** Rings when a lane has answered. */
  readonly #answered = new Bell();

  constructor(run: LimitedRun) {
    this.#run = run;
    this.slots = new Slots(() => run.state, run.now());
  }

  /** The run has something to do, and waits for its slots. */
  get isHeldBack(): boolean {
    return this.slots.isWanted && !this.slots.isOpen;
  }

  /**
   * Whether the run may go on. Where it has no slots, and is known to have something to do, it may not, and they are asked
   * for. What the record does not tell, its handler does once it has replayed, for which it needs no slot.
   * @param cutOff its last life was cut off, at work
   */
  admits(cutOff = false): boolean {
    if (this.slots.isOpen) return true;
    const { state, ledger } = this.#run;
    const now = this.#run.now();
    // A retry, or the end of a pause, sets it going, in this memory or just before.
    const isResumed = state.resumedAt > 0 && state.resumedAt >= ledger.openedAt;
    this.slots.isWanted ||= this.#isHandlerDue(now) ?? (cutOff || isResumed || hasCome(state, now));
    return !this.slots.isWanted;
  }

  /** Whether asking for a slot again explains an alarm that came by this instant. */
  explains(dueBy: number): boolean {
    const { queued } = this.#run.state;
    return [...queued.values()].some(({ at }) => nextAskAt(at, dueBy - latenessMs) <= dueBy);
  }

  /** Gives slots back, or has them asked for, depending on what happens next; returns that with what the lanes add to it. */
  settle(next: Next): Next {
    const { created, end, paused } = this.#run.state;
    if (created?.lanes === undefined) return next;
    const now = this.#run.now();
    if (end !== null) {
      this.slots.end();
      return next;
    }
    const isDone = this.slots.isOpen && !this.slots.isAsking;
    const isParked = !next.busy && (paused !== null || isDone || isDelayed(this.#run.state, now));
    if (isParked) this.slots.rest();
    if (paused === null) this.slots.prepare(now);
    else if (isParked) this.slots.leaveAll(true);
    const wakeAt = Math.min(next.wakeAt ?? Infinity, this.slots.soonest());
    return { ...next, busy: next.busy || this.slots.isAsking, wakeAt: wakeAt === Infinity ? null : wakeAt };
  }

  /** Has the lanes asked for the places in their queues. */
  askAgain(): void {
    this.slots.askAgain();
    this.slots.prepare(this.#run.now());
  }

  takeRequests(): LaneRequest[] {
    return this.slots.takeRequests();
  }

  /** The lane answered; null when it could not be reached. */
  answered(slot: Slot, place: Place | null): void {
    const wasOpen = this.slots.isOpen;
    this.#goOn(this.slots.answered(slot, place, this.#run.now()), slot.ticket, wasOpen);
  }

  /** The lane says that it granted the slot; returns whether the run wants it. */
  granted(lane: string, ticket: Ticket, turn: number): boolean {
    if (!this.#isMine(ticket)) return false;
    const wasOpen = this.slots.isOpen;
    const facts = this.slots.granted(lane, ticket, turn);
    // A memory that has not asked for the slot asks before the run goes on.
    if (facts === null) return this.slots.holds(lane, ticket, this.#goesOn());
    this.#goOn(facts, ticket, wasOpen);
    return true;
  }

  /** The lane asks whether the run holds the slot, or still asks for it. */
  holds(lane: string, ticket: Ticket, turn: number): boolean {
    if (!this.#isMine(ticket)) return false;
    const holds = this.slots.holds(lane, ticket, this.#goesOn());
    if (!holds) this.slots.deny(lane, ticket, turn);
    return holds;
  }

  /** Resolves when a lane that was asked has answered; at once when none was. */
  async heard(): Promise<void> {
    if (this.slots.isAsking) await this.#answered.rung();
  }

  #goOn(facts: readonly Fact[], { step }: Ticket, wasOpen: boolean): void {
    if (facts.length > 0) this.#run.append(...facts);
    const { execution } = this.#run;
    if (!wasOpen && this.slots.isOpen) {
      execution?.beginHeld();
      execution?.tick(this.#run.now());
    }
    if (step !== null && this.slots.backlog.get(step)?.isOpen === true) execution?.work.admitted(step);
    this.#answered.ring();
  }

  /** The ticket is of this run, whichever incarnation, and the run has not ended. */
  #isMine({ createdAt }: Ticket): boolean {
    const { created, end } = this.#run.state;
    return created !== null && end === null && firstCreatedAt(created) === createdAt;
  }

  /** It has something to do, and nothing but its lanes holds it. */
  #goesOn(): boolean {
    const { state } = this.#run;
    const now = this.#run.now();
    if (state.paused !== null || isDelayed(state, now)) return false;
    return this.slots.isWanted || (this.#isHandlerDue(now) ?? isDue(state, now));
  }

  /** Whether its handler has something to do; null before it has replayed and can tell. */
  #isHandlerDue(now: number): boolean | null {
    const isDue = this.#run.execution?.isDue(now) ?? null;
    // A queued run stays queued until it has its slots, even if it has nothing left to do with them.
    return isDue === null ? null : isDue || this.slots.isQueued(null);
  }
}
