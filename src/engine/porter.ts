/**
 * Owns: when a run wants its slots, when it gives them back, and what follows once it has them.
 * Does not own: which slots those are (gate), anything else about the run (run).
 * Invariant 1: a run with something to do asks, and until it is let in it asks again by itself: no grant
 * that is lost strands it (guarantee 4).
 * Invariant 2: a run that is parked with nothing to do asks for nothing.
 */
import { deadlineOf } from "../core/child.ts";
import type { EntryOf, Fact } from "../core/entry.ts";
import { openCalls } from "../core/state.ts";
import type { RunState } from "../core/state.ts";
import type { Place, Ticket } from "../core/ticket.ts";
import { Bell } from "./bell.ts";
import type { Execution } from "./execution.ts";
import { Gate } from "./gate.ts";
import { lastAskAt } from "./line.ts";
import type { Errand, Slot } from "./line.ts";

/** What it needs of the run. */
export interface Gated {
  readonly state: RunState;
  readonly execution: Execution | null;
  now(): number;
  append(...facts: readonly Fact[]): void;
}

/** How late an alarm may come. */
const latenessMs = 60_000;

type Next = { readonly busy: boolean; readonly wakeAt: number | null; readonly expired: boolean };

export class Porter {
  readonly gate: Gate;
  readonly #run: Gated;
  /** Rings when a lane has answered. */
  readonly #answered = new Bell();
  /** The newest entry when the run last came to rest: what it left undone then, it cannot do. */
  #restSeq = 0;

  constructor(run: Gated) {
    this.#run = run;
    this.gate = new Gate(() => run.state, run.now());
  }

  /** The run is held by a lane and asks for its slots. */
  get isQueued(): boolean {
    return this.gate.isWanted && !this.gate.isOpen;
  }

  /**
   * Asks for the run's slots where it has something to do; answers whether it may go on. Without a handler
   * in memory nobody can tell what a life before left undone, so that it has to go on to see.
   */
  admits(): boolean {
    if (this.gate.isOpen) return true;
    const { execution } = this.#run;
    if (execution === null || execution.course.over || this.#isDue(this.#run.now())) this.gate.isWanted = true;
    return false;
  }

  /** An alarm that came by this instant came to ask for a slot again. */
  explains(dueBy: number): boolean {
    const { queued } = this.#run.state;
    return [...queued.values()].some(({ at }) => (lastAskAt(at, dueBy) ?? -Infinity) > dueBy - latenessMs);
  }

  /** The run is parked, or held by something else than its lanes. @param all as for `Gate.rest` */
  rest(all = false): void {
    this.gate.rest(all);
    this.#restSeq = this.#run.state.seq;
  }

  /** What happens next, once the lanes are told what they must hear. */
  settle(next: Next): Next {
    const { created, startedAt, end, paused } = this.#run.state;
    if (created?.lanes === undefined) return next;
    const now = this.#run.now();
    if (end !== null) {
      this.gate.end();
      return next;
    }
    if (paused !== null && !next.busy) {
      this.rest();
      this.gate.leaveAll();
    } else if (startedAt === null && (created.startAt ?? 0) > now) this.rest();
    else if (this.gate.isOpen && !next.busy && !this.gate.isAsking) this.rest();
    if (paused === null) this.gate.prepare(now);
    const wakeAt = Math.min(this.#wakeAt(next.wakeAt), this.gate.soonest());
    return { ...next, busy: next.busy || this.gate.isAsking, wakeAt: wakeAt === Infinity ? null : wakeAt };
  }

  /** Asks where the run stands, whoever holds it. */
  askAgain(): void {
    this.gate.askAgain();
    this.gate.prepare(this.#run.now());
  }

  takeErrands(): Errand[] {
    return this.gate.takeErrands();
  }

  /** The lane answered; null when it could not be reached. */
  answered(slot: Slot, place: Place | null): void {
    const wasOpen = this.gate.isOpen;
    this.#goOn(this.gate.answered(slot, place, this.#run.now()), wasOpen);
  }

  /** The lane says that the slot is there; answers whether it is wanted. */
  granted(lane: string, ticket: Ticket, turn: number): boolean {
    if (!this.#isMine(ticket)) return false;
    const wasOpen = this.gate.isOpen;
    const facts = this.gate.granted(lane, ticket, turn);
    // A memory that has not asked for it asks before it goes on, if it does.
    if (facts === null) return this.gate.holds(lane, ticket, this.#goesOn());
    this.#goOn(facts, wasOpen);
    return true;
  }

  /** Whether the slot is held, or still asked for. */
  holds(lane: string, ticket: Ticket, turn: number): boolean {
    if (!this.#isMine(ticket)) return false;
    const holds = this.gate.holds(lane, ticket, this.#goesOn());
    if (!holds) this.gate.deny(lane, ticket, turn);
    return holds;
  }

  /** Resolves when a lane that was asked has answered; at once when none was. */
  async heard(): Promise<void> {
    if (this.gate.isAsking) await this.#answered.heard();
  }

  #goOn(facts: readonly Fact[], wasOpen: boolean): void {
    if (facts.length > 0) this.#run.append(...facts);
    const { execution } = this.#run;
    if (!wasOpen && this.gate.isOpen) {
      execution?.beginHeld();
      execution?.tick(this.#run.now());
    }
    for (const step of this.gate.takeAdmitted()) execution?.work.admitted(step);
    this.#answered.ring();
  }

  /** A lane that holds the run says itself when to wake it; the run's own clock matters until then. */
  #wakeAt(wakeAt: number | null): number {
    const { created, startedAt } = this.#run.state;
    if (startedAt !== null || !this.isQueued) return wakeAt ?? Infinity;
    return (created?.notAfter ?? Infinity) + 1;
  }

  /** The ticket is of this life of the run, and the run has not ended. */
  #isMine({ createdAt }: Ticket): boolean {
    const { created, end } = this.#run.state;
    if (created === null || end !== null) return false;
    return (created.continuation?.createdAt ?? created.at) === createdAt;
  }

  /** It has something to do, and nothing but its lanes holds it. */
  #goesOn(): boolean {
    const { paused, startedAt, created } = this.#run.state;
    const now = this.#run.now();
    if (paused !== null || (startedAt === null && (created?.startAt ?? 0) > now)) return false;
    return this.gate.isWanted || this.#isDue(now);
  }

  #isDue(now: number): boolean {
    const { execution, state } = this.#run;
    // What is in line stays there until it is let in, whatever it still needs the slot for.
    if (this.gate.isQueued(null)) return true;
    if (execution !== null && !execution.course.over) return execution.isDue(now) || this.#isSignalled();
    return isDue(state, now) || state.queued.size > 0;
  }

  /** A signal is there that a wait or a listener takes. */
  #isSignalled(): boolean {
    const { state } = this.#run;
    if (state.seq <= this.#restSeq) return false;
    const names = new Set<string>();
    for (const [name, { count }] of state.inboxes) if (count > 0) names.add(name);
    if (names.size === 0) return false;
    if ([...state.listeners].some((name) => names.has(name))) return true;
    return openCalls(state).some((call) => call.kind === "wait" && names.has(call.name));
  }
}

/** When a run that no lane holds begins, or is cancelled because it may not begin any more; epoch ms. */
export function decidedAt({ startAt, notAfter }: Pick<EntryOf<"run.created">, "startAt" | "notAfter">): number {
  return Math.min(startAt ?? 0, notAfter === null ? Infinity : notAfter + 1);
}

/**
 * A deadline has come, or nothing is left to wait for: the run has something to do by itself. When a child
 * is to be asked, its alarm knows: whoever merely looks at the run does not set it to work for that.
 */
export function isDue(state: RunState, now: number): boolean {
  const { created, startedAt, end, paused } = state;
  if (created === null || end !== null || paused !== null) return false;
  if (startedAt === null) return decidedAt(created) <= now;
  const open = openCalls(state);
  return state.queued.size > 0 || open.length === 0 || open.some((call) => deadlineOf(call) <= now);
}
