/**
 * Owns: the slots of lanes that one run and its steps need, ask for, hold and give back.
 * Does not own: when the run wants them (lanes), sending the requests (objects/lane/requests), who gets a slot (core/lane).
 * Invariant 1: to avoid deadlocks, slots are acquired in the order of the needs, and a parked run keeps a prefix of them.
 * Invariant 2: only the lanes and this memory know the slots; a new memory requests them again.
 * Invariant 3: a slot that was waited for is recorded with two entries, a free one with none.
 */
import { dequal } from "dequal";
import type { Fact } from "../../core/history/entry.ts";
import type { LaneNeed } from "../../core/lane/need.ts";
import { firstCreatedAt } from "../../core/run/origin.ts";
import type { QueuePosition } from "../../core/run/run.ts";
import { dispatchedCalls, isDispatched } from "../../core/state/dispatched.ts";
import { callKey } from "../../core/state/state.ts";
import type { RunState } from "../../core/state/state.ts";
import { wasCutOff } from "../../core/state/step.ts";
import type { Place, Ticket } from "../../core/lane/ticket.ts";
import type { Limiter } from "./limiter.ts";
import { Acquisition, nextAskAt } from "./acquisition.ts";
import type { LaneRequest, Slot } from "./acquisition.ts";
import { Backlog } from "./backlog.ts";
import { laneKey } from "../../core/lane/ticket.ts";

/** A run loaded within this time of its end gives its slots back once more: the process may have died while it did so. */
const recentEndMs = 600_000;

export class Slots implements Limiter {
  readonly #state: () => RunState;
  /** An earlier memory may have left tickets in the lanes. */
  readonly #inherited: boolean;
  /** An earlier memory kept all slots of the run, parked as it was, because couriers made its requests. */
  readonly #keptForCouriers: boolean;
  #run: Acquisition | null = null;
  /** The needs of the acquisition above. */
  #madeFor: readonly LaneNeed[] | undefined = undefined;
  /** The run has something to do, and so needs its slots. */
  isWanted = false;
  readonly backlog = new Backlog();
  /** The turn of each slot that this run denied to hold: the lane may be about to take it back. */
  readonly #denied = new Map<string, number>();
  #requests: LaneRequest[] = [];

  constructor(state: () => RunState, now: number) {
    this.#state = state;
    const { created, end } = state();
    this.#inherited = created !== null && (end === null || now - end.at < recentEndMs);
    this.#keptForCouriers = dispatchedCalls(state()).length > 0;
  }

  /** Whether no lane holds the run back. */
  get isOpen(): boolean {
    return this.#isExempt || this.#needed().every(({ phase }) => phase === "held");
  }

  /** Whether a request was not answered yet. */
  get isAsking(): boolean {
    return this.#slots().some(({ phase }) => phase === "asking");
  }

  isQueued(step: string | null): boolean {
    return [...this.#state().queued.values()].some((queued) => queued.step === step);
  }

  /** The run is parked: gives back what it does not keep. @param inherited also what an earlier memory may have left */
  rest(inherited = false): void {
    this.isWanted = false;
    if (this.#state().created?.lanes === undefined) return;
    const { queued } = this.#state();
    const all = inherited || this.isQueued(null) || this.#keptForCouriers;
    for (const [index, slot] of [...this.#acquisition().slots].entries()) {
      const isQueued = queued.has(laneKey({ lane: slot.lane, step: null }));
      if (index < this.#kept && (slot.phase === "held" || (slot.phase === "away" && !isQueued))) continue;
      // One that has not begun asks again when it does.
      if (this.#counts(slot)) this.#giveBack(slot, all);
    }
  }

  /** The run has ended: gives everything back, also what an earlier memory may have left. */
  end(): void {
    this.isWanted = false;
    for (const slot of this.#needed()) this.#giveBack(slot, true);
    this.leaveAll();
  }

  admit(step: string): boolean {
    if (this.#isExempt) return true;
    const [known, needs, isDispatched] = [this.backlog.get(step), this.#needs("step"), this.#isDispatched(step)];
    if (known !== undefined) return known.isOpen || isDispatched;
    if (needs.length === 0) return true;
    const isInherited = isDispatched || this.isQueued(step) || wasCutOff(this.#state(), callKey("run", step));
    this.backlog.add(step, new Acquisition(needs, this.#ticket(step), isInherited));
    return isDispatched;
  }

  leave(step: string): void {
    // This memory may not have asked for the slots that an earlier one has left it.
    if (wasCutOff(this.#state(), callKey("run", step))) this.admit(step);
    for (const slot of this.backlog.remove(step)) this.#giveBack(slot, true);
  }

  /** @param idle only of steps that are not under way without this memory, at a courier */
  leaveAll(idle = false): void {
    for (const step of this.backlog.steps) if (!idle || !this.#isDispatched(step)) this.leave(step);
  }

  /** Adds the requests that are due now. */
  prepare(now: number): void {
    if (this.#isExempt) {
      for (const slot of [...(this.#run?.slots ?? [])]) {
        if (slot.phase !== "held") this.#giveBack(slot, false);
      }
    } else if (this.isWanted) this.#ask(this.#needed(), now);
    this.backlog.advance();
    for (const slots of this.backlog.asked) this.#ask(slots, now);
  }

  /** The requests for the lanes; each is returned once. */
  takeRequests(): LaneRequest[] {
    const requests = this.#requests;
    this.#requests = [];
    return requests;
  }

  /** The lane has answered; null if it could not be reached. Returns what goes on record. */
  answered(slot: Slot, place: Place | null, now: number): Fact[] {
    if (slot.left) return [];
    const [lane, { step }] = [slot.lane, slot.ticket];
    if (place?.granted === true && this.#denied.get(laneKey({ lane, step })) === place.turn) {
      // The lane may take this turn back: only a new one is safe.
      this.#giveBack(slot, false);
      return [];
    }
    if (place !== null && (place.granted || place.turn === slot.toldTurn)) {
      // The answer took its time: a rate counts the run from where it begins.
      if (slot.need.periodMs !== null) this.#requests.push({ kind: "leave", lane, ticket: slot.ticket });
      return this.#enter(slot);
    }
    if (place !== null && !place.granted) {
      const { position, used, limit } = place;
      slot.turn = place.turn;
      slot.place = { position, used, limit };
    }
    slot.phase = "waiting";
    const queued = this.#state().queued.get(laneKey({ lane, step }));
    slot.askAt = nextAskAt(queued?.at ?? now, now);
    // A run that has ended meanwhile, or is about to, is not queued: it gives the slot back.
    const isOver = this.#isExempt || this.#state().end !== null;
    return queued === undefined && !isOver ? [{ kind: "lane.queued", lane, step }] : [];
  }

  /** The lane says that it granted the slot. Returns what goes on record; null if this memory asked for no such slot. */
  granted(lane: string, { step }: Ticket, turn: number): Fact[] | null {
    const slot = this.#find(lane, step);
    if (slot === undefined) return null;
    slot.toldTurn = turn;
    // The answer to the question under way will tell whether this very slot was meant.
    if (slot.phase !== "waiting") return [];
    if (slot.turn === turn) return this.#enter(slot);
    // Another turn was meant: ask again.
    slot.askAt = 0;
    return [];
  }

  /** Whether the slot is held or requested; in a memory without requests yet, whether it will be (`due`, or kept while parked). */
  holds(lane: string, { step }: Ticket, due: boolean): boolean {
    if (this.#find(lane, step) !== undefined) return true;
    const { queued, created } = this.#state();
    if (created?.lanes === undefined) return false;
    if (step !== null) {
      const isQueued = queued.has(laneKey({ lane, step })) && this.backlog.get(step) === undefined;
      return this.#isDispatched(step) || (due && this.#inherited && isQueued);
    }
    const { slots } = this.#acquisition();
    const index = slots.findIndex((slot) => slot.lane === lane);
    if (index < 0 || slots[index]?.inherited !== true) return false;
    // Slots are acquired in order: behind one that is still waited for, none can be held.
    const asked = slots.findIndex(({ phase }) => phase === "waiting" || phase === "asking");
    const waited = asked >= 0 ? asked : slots.findIndex((slot) => queued.has(laneKey({ lane: slot.lane, step: null })));
    if (waited >= 0 && index > waited) return false;
    return due || index < this.#kept;
  }

  /** The run has told the lane that it does not hold this turn. */
  deny(lane: string, { step }: Ticket, turn: number): void {
    this.#denied.set(laneKey({ lane, step }), turn);
  }

  /** Requests the places in the queues of all lanes again. */
  askAgain(): void {
    const lanes = new Set<string>();
    for (const slot of this.#slots()) {
      if (slot.phase === "away" || slot.phase === "held" || lanes.has(slot.lane)) continue;
      lanes.add(slot.lane);
      slot.askAt = 0;
    }
  }

  /** The last reported place in the queue of each lane. */
  get places(): ReadonlyMap<string, QueuePosition> {
    const places = new Map<string, QueuePosition>();
    for (const { lane, place } of this.#slots()) if (place !== null && !places.has(lane)) places.set(lane, place);
    return places;
  }

  /** When the next request is repeated; Infinity for never. */
  soonest(): number {
    const waiting = this.#slots().filter(({ phase }) => phase === "waiting");
    return Math.min(Infinity, ...waiting.map(({ askAt }) => askAt));
  }

  /** It waits for no lane: it needs none, or is cancelled, or about to end. */
  get #isExempt(): boolean {
    const { created, cancelling, ending } = this.#state();
    return created?.lanes === undefined || cancelling !== null || ending !== null;
  }

  /** A courier makes a request for the step: perhaps since before this memory was made. */
  #isDispatched(step: string): boolean {
    return isDispatched(this.#state(), callKey("run", step));
  }

  /** How many of its needs, from the first on, the run keeps while it is parked. */
  get #kept(): number {
    if (this.#state().startedAt === null) return 0;
    // While couriers make its requests, the run is at work although it is parked.
    if (dispatchedCalls(this.#state()).length > 0) return this.#acquisition().slots.length;
    return this.#acquisition().slots.findLastIndex(({ need }) => need.hold && need.periodMs === null) + 1;
  }

  #needs(scope: LaneNeed["scope"]): LaneNeed[] {
    return this.#state().created?.lanes?.filter((need) => need.scope === scope) ?? [];
  }

  #acquisition(): Acquisition {
    const { created } = this.#state();
    const before = this.#run;
    // The needs are others where a later start was merged into a run that has not begun, or where the run went on as new.
    if (before !== null && dequal(this.#madeFor, created?.lanes)) return before;
    this.#madeFor = created?.lanes;
    const acquisition = new Acquisition(this.#needs("run"), this.#ticket(null), this.#inherited, before);
    this.#run = acquisition;
    for (const slot of before?.slots ?? []) if (!acquisition.slots.includes(slot)) this.#giveBack(slot, true);
    return acquisition;
  }

  /** The slots without which the run may not go on. */
  #needed(): Slot[] {
    return this.#acquisition().slots.filter((slot) => this.#counts(slot));
  }

  /** A rate counts a run once, when it begins: after that there is nothing to ask for, or to give back. */
  #counts({ need }: Slot): boolean {
    return need.periodMs === null || this.#state().startedAt === null;
  }

  /** By the creation of its first incarnation: a run that goes on as new keeps its slots. */
  #ticket(step: string | null): Ticket {
    const { creation } = this.#state();
    return { runId: creation.id, createdAt: firstCreatedAt(creation), step };
  }

  /** The run's, and those that are asked for its steps. */
  #slots(): Slot[] {
    return [...(this.#run?.slots ?? []), ...this.backlog.asked.flat()];
  }

  /** The slot, if it is held or asked for. */
  #find(lane: string, step: string | null): Slot | undefined {
    const acquisition = step === null ? this.#run : this.backlog.get(step);
    return acquisition?.slots.find((slot) => slot.lane === lane && slot.phase !== "away");
  }

  #ask(slots: readonly Slot[], now: number): void {
    const slot = slots.find(({ phase }) => phase !== "held");
    if (slot === undefined || slot.phase === "asking" || (slot.phase === "waiting" && slot.askAt > now)) return;
    slot.phase = "asking";
    const { ticket } = slot;
    const { limit, periodMs, priority, hold } = slot.need;
    this.#requests.push({ kind: "enter", slot, entrance: { ticket, limit, periodMs, priority, hold } });
  }

  #enter(slot: Slot): Fact[] {
    slot.phase = "held";
    slot.place = null;
    const { lane } = slot;
    const { step } = slot.ticket;
    if (step !== null) this.backlog.entered(step);
    return this.#state().queued.has(laneKey({ lane, step })) ? [{ kind: "lane.entered", lane, step }] : [];
  }

  /** @param all also where only an earlier memory may have asked for it */
  #giveBack(slot: Slot, all: boolean): void {
    const { lane, ticket, need, phase, inherited } = slot;
    if (phase === "away" && !(all && inherited)) return;
    if (phase !== "held" || need.periodMs === null) this.#requests.push({ kind: "leave", lane, ticket });
    slot.left = true;
    (ticket.step === null ? this.#run : this.backlog.get(ticket.step))?.renew(slot);
  }
}
