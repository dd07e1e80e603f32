/**
 * Owns: which slots of lanes one run and its steps need, have asked for, hold and give back.
 * Does not own: carrying the questions (objects/slots), who gets a slot (core/lane), what the run does
 * with it (run, attempts).
 * Invariant 1: needs are asked for in their order, each held while the next is waited for, and what a
 * parked run keeps is the beginning of the list: no two runs wait for each other.
 * Invariant 2: slots are known to the lanes and to this memory only; a new memory asks again.
 * Invariant 3: a slot that was waited for leaves two entries, one that was free leaves none.
 */
import type { Fact } from "../core/entry.ts";
import { laneKey } from "../core/fold/ask.ts";
import type { LaneNeed } from "../core/need.ts";
import type { Position } from "../core/run.ts";
import { callKey, callsOut } from "../core/state.ts";
import type { RunState } from "../core/state.ts";
import type { Place, Ticket } from "../core/ticket.ts";
import type { Doorway } from "./doorway.ts";
import { Line, nextAskAt } from "./line.ts";
import type { Errand, Slot } from "./line.ts";
import { Turnstile } from "./turnstile.ts";

/** For so long after its end a run that died over it gives its slots back again. */
const partingMs = 600_000;

export class Gate implements Doorway {
  readonly #state: () => RunState;
  /** An earlier memory may have left tickets in the lanes. */
  readonly #inherited: boolean;
  #run: Line | null = null;
  /** What that line was made from. */
  #lanes: readonly LaneNeed[] | undefined = undefined;
  /** The run has something to do, and asks for its slots. */
  isWanted = false;
  readonly #steps = new Turnstile();
  /** Turns that a lane was told are not held, and may be about to take back. */
  readonly #denied = new Map<string, number>();
  #errands: Errand[] = [];

  constructor(state: () => RunState, now: number) {
    this.#state = state;
    const { created, end } = state();
    this.#inherited = created !== null && (end === null || now - end.at < partingMs);
  }

  /** One on its way to its end waits for nobody. */
  get isOpen(): boolean {
    if (this.#state().created?.lanes === undefined || this.#isExempt) return true;
    return this.#needed().every(({ phase }) => phase === "held");
  }

  /** A lane was asked and has not answered. */
  get isAsking(): boolean {
    return this.#slots().some(({ asking }) => asking);
  }

  isQueued(step: string | null): boolean {
    for (const queued of this.#state().queued.values()) if (queued.step === step) return true;
    return false;
  }

  /** The run is parked: gives back what it does not keep. @param all also what an earlier memory may have left */
  rest(all = false): void {
    this.isWanted = false;
    if (this.#state().created?.lanes === undefined) return;
    const { queued } = this.#state();
    const inLine = all || this.isQueued(null);
    const hasBegun = this.#state().startedAt !== null;
    for (const [index, slot] of [...this.#line().slots].entries()) {
      const isQueued = queued.has(laneKey({ lane: slot.lane, step: null }));
      if (index < this.#kept && (slot.phase === "held" || (slot.phase === "away" && !slot.asking && !isQueued)))
        continue;
      // What counts in a rate has been, once the run has begun; one that has not asks again when it does.
      if (slot.phase === "held" && slot.need.periodMs !== null && hasBegun) continue;
      this.#giveBack(slot, inLine);
    }
  }

  /** The run has ended: gives everything back, also what an earlier memory may have left. */
  end(): void {
    this.isWanted = false;
    if (this.#state().created?.lanes === undefined) return;
    const { startedAt } = this.#state();
    for (const slot of [...this.#line().slots]) this.#giveBack(slot, slot.need.periodMs === null || startedAt === null);
    this.leaveAll();
  }

  admit(step: string): boolean {
    if (this.#state().created?.lanes === undefined || this.#isExempt) return true;
    const known = this.#steps.get(step);
    if (known !== undefined) return known.isOpen;
    const needs = this.#needs("step");
    if (needs.length === 0) return true;
    this.#steps.add(step, new Line(needs, this.#ticket(step), this.isQueued(step)));
    return false;
  }

  leave(step: string): void {
    for (const slot of this.#steps.remove(step)) this.#giveBack(slot, true);
  }

  leaveAll(): void {
    for (const step of this.#steps.steps) this.leave(step);
  }

  /** Steps that may begin now; each is told once. */
  takeAdmitted(): string[] {
    return this.#steps.takeAdmitted();
  }

  /** Sees what the lanes are to be asked now. */
  prepare(now: number): void {
    if (this.#isExempt) {
      for (const slot of [...(this.#run?.slots ?? [])]) {
        if (slot.phase === "waiting" || slot.asking) this.#giveBack(slot, false);
      }
    } else if (this.isWanted) this.#ask(this.#needed(), now);
    this.#steps.advance();
    for (const slots of this.#steps.inLine) this.#ask(slots, now);
  }

  /** What the lanes are to be told; handed out once. */
  takeErrands(): Errand[] {
    const errands = this.#errands;
    this.#errands = [];
    return errands;
  }

  /** What the lane answered; null when it could not be reached. Answers what is to be put on record. */
  answered(slot: Slot, place: Place | null, now: number): Fact[] {
    slot.asking = false;
    if (slot.left) return [];
    const { lane } = slot;
    const { step } = slot.ticket;
    if (place?.granted === true && this.#denied.get(laneKey({ lane, step })) === place.turn) {
      // Only a new turn is safe from that.
      slot.phase = "waiting";
      this.#giveBack(slot, false);
      return [];
    }
    if (place !== null && (place.granted || place.turn === slot.toldTurn)) return this.#enter(slot, place.turn);
    if (place !== null && !place.granted) {
      const { position, used, limit } = place;
      slot.turn = place.turn;
      slot.place = { position, used, limit };
    }
    slot.phase = "waiting";
    const queued = this.#state().queued.get(laneKey({ lane, step }));
    slot.askAt = nextAskAt(queued?.at ?? now, now);
    return queued === undefined ? [{ kind: "lane.queued", lane, step }] : [];
  }

  /** The lane says that the slot is there. Answers what is to be put on record; null when nothing was asked for here. */
  granted(lane: string, { step }: Ticket, turn: number): Fact[] | null {
    const slot = this.#find(lane, step);
    if (slot === undefined) return null;
    slot.toldTurn = turn;
    // The answer under way tells whether it is this slot that was meant.
    if (slot.asking || slot.phase === "held") return [];
    if (slot.phase === "waiting" && slot.turn === turn) return this.#enter(slot, turn);
    // Of another turn: asking again tells.
    slot.askAt = 0;
    return [];
  }

  /**
   * Whether the slot is held or asked for. Of a memory that knows nothing of it: whether the run goes on by
   * itself (`due`), and so will ask for it, or keeps it while it is parked.
   */
  holds(lane: string, { step }: Ticket, due: boolean): boolean {
    if (this.#find(lane, step) !== undefined) return true;
    const { queued, created } = this.#state();
    if (created?.lanes === undefined) return false;
    // A request of the step is under way, which this memory need not have seen begin.
    const { order = null } = (step === null ? undefined : this.#state().calls.get(callKey("run", step))) ?? {};
    if (order !== null) return true;
    if (step !== null)
      return due && this.#inherited && queued.has(laneKey({ lane, step })) && this.#steps.get(step) === undefined;
    const { slots } = this.#line();
    const index = slots.findIndex((slot) => slot.lane === lane);
    if (index < 0 || slots[index]?.inherited !== true) return false;
    // What comes behind a need that is still waited for has to be asked for anew.
    const asked = slots.findIndex(({ phase, asking }) => phase === "waiting" || asking);
    const waited = asked >= 0 ? asked : slots.findIndex((slot) => queued.has(laneKey({ lane: slot.lane, step: null })));
    if (waited >= 0 && index > waited) return false;
    return due || index < this.#kept;
  }

  /** The lane was told that this turn is not held. */
  deny(lane: string, { step }: Ticket, turn: number): void {
    this.#denied.set(laneKey({ lane, step }), turn);
  }

  /** Asks once more where the run stands; once for each lane. */
  askAgain(): void {
    const lanes = new Set<string>();
    for (const slot of this.#slots()) {
      if (slot.phase !== "waiting" || lanes.has(slot.lane)) continue;
      lanes.add(slot.lane);
      slot.askAt = 0;
    }
  }

  /** Where it stood in each lane when that was last asked. */
  get places(): ReadonlyMap<string, Position> {
    const places = new Map<string, Position>();
    for (const { lane, place } of this.#slots()) if (place !== null && !places.has(lane)) places.set(lane, place);
    return places;
  }

  /** When lanes are asked again; Infinity for never. */
  soonest(): number {
    const inLine = this.#slots().filter(({ phase, asking }) => phase === "waiting" && !asking);
    return Math.min(Infinity, ...inLine.map(({ askAt }) => askAt));
  }

  get #isExempt(): boolean {
    const { cancelling, ending } = this.#state();
    return cancelling !== null || ending !== null;
  }

  /** How many of its needs, from the first on, the run keeps while it is parked. */
  get #kept(): number {
    if (this.#state().startedAt === null) return 0;
    // Resting, the run is at work all the same.
    if (callsOut(this.#state()).length > 0) return this.#line().slots.length;
    return this.#line().slots.findLastIndex(({ need }) => need.hold && need.periodMs === null) + 1;
  }

  #needs(scope: LaneNeed["scope"]): LaneNeed[] {
    return this.#state().created?.lanes?.filter((need) => need.scope === scope) ?? [];
  }

  #line(): Line {
    const { created } = this.#state();
    const before = this.#run;
    // A later start may have changed what a run needs that has not begun, and it may have gone on as new.
    if (before !== null && (this.#lanes === created?.lanes || isSame(this.#lanes, created?.lanes))) return before;
    this.#lanes = created?.lanes;
    const line = new Line(this.#needs("run"), this.#ticket(null), this.#inherited, before);
    this.#run = line;
    for (const slot of before?.slots ?? []) if (!line.slots.includes(slot)) this.#giveBack(slot, true);
    return line;
  }

  /** A rate is asked for once, before the run begins. */
  #needed(): Slot[] {
    return this.#line().slots.filter(({ need }) => need.periodMs === null || this.#state().startedAt === null);
  }

  /** A run that goes on as new keeps its tickets. */
  #ticket(step: string | null): Ticket {
    const { created } = this.#state();
    if (created === null) throw new Error("a run that was never created needs no slots");
    return { runId: created.id, createdAt: created.continuation?.createdAt ?? created.at, step };
  }

  /** The run's, and those of steps in line. */
  #slots(): Slot[] {
    return [...(this.#run?.slots ?? []), ...this.#steps.inLine.flat()];
  }

  /** The slot, if it is held or asked for. */
  #find(lane: string, step: string | null): Slot | undefined {
    const line = step === null ? this.#run : this.#steps.get(step);
    return line?.slots.find((slot) => slot.lane === lane && (slot.phase !== "away" || slot.asking));
  }

  #ask(slots: readonly Slot[], now: number): void {
    const slot = slots.find(({ phase }) => phase !== "held");
    if (slot === undefined || slot.asking || (slot.phase === "waiting" && slot.askAt > now)) return;
    slot.asking = true;
    const { ticket, need } = slot;
    const { limit, periodMs, priority, hold } = need;
    this.#errands.push({ kind: "enter", slot, entrance: { ticket, limit, periodMs, priority, hold } });
  }

  #enter(slot: Slot, turn: number): Fact[] {
    slot.phase = "held";
    slot.turn = turn;
    slot.place = null;
    const { lane } = slot;
    const { step } = slot.ticket;
    if (step !== null) this.#steps.entered(step);
    return this.#state().queued.has(laneKey({ lane, step })) ? [{ kind: "lane.entered", lane, step }] : [];
  }

  /** `all`: also where only an earlier memory may have asked for it. */
  #giveBack(slot: Slot, all: boolean): void {
    const { lane, ticket, need, phase, asking, inherited } = slot;
    if (phase === "away" && !asking && !(all && inherited)) return;
    if (phase !== "held" || need.periodMs === null) this.#errands.push({ kind: "leave", lane, ticket });
    const line = ticket.step === null ? this.#run : this.#steps.get(ticket.step);
    slot.left = true;
    line?.renew(slot);
  }
}

function isSame(one: readonly LaneNeed[] | undefined, other: readonly LaneNeed[] | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
