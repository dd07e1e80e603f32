/**
 * Owns: sending what one run requests of its lanes, and handing their answers back to it.
 * Does not own: what is requested (engine/slots), who gets a slot (objects/lane).
 * Invariant 1: requests about one ticket are sent in their order, each after the answer to the one before, or once
 * that was given up: so no slot is given back after it was asked for again.
 * Invariant 2: an answer goes to the memory that asked, or to nobody: another memory asks by itself.
 */
import type { Entrance, Place, Ticket } from "../core/ticket.ts";
import type { LaneRequest, Slot } from "../engine/acquisition.ts";
import type { Run } from "../engine/run.ts";
import { laneObject } from "./address.ts";

/** Pauses after each try to reach a lane; after the last, the run asks again in its own time. */
const pausesMs = [50, 250, 1000, null];

export class LaneRequests {
  /** Told when a lane has answered. */
  readonly #answered: () => void;
  /** The newest request under way for each ticket. */
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #called: () => void;
  #answers: { readonly run: Run; readonly slot: Slot; readonly place: Place | null }[] = [];

  /** @param called told of every lane that is called */
  constructor(answered: () => void, called: () => void) {
    this.#answered = answered;
    this.#called = called;
  }

  /** Sends what the run requests of its lanes. */
  attend(run: Run): void {
    for (const request of run.lanes.takeRequests()) this.#send(run, request);
  }

  /** Hands the run what the lanes have answered. */
  deliver(run: Run): void {
    const answers = this.#answers;
    this.#answers = [];
    for (const answer of answers) if (answer.run === run) run.lanes.answered(answer.slot, answer.place);
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay.values());
  }

  #send(run: Run, request: LaneRequest): void {
    const { lane, ticket } =
      request.kind === "enter" ? { lane: request.slot.lane, ticket: request.slot.ticket } : request;
    const key = JSON.stringify([lane, ticket.createdAt, ticket.step]);
    this.#called();
    const before = this.#underWay.get(key) ?? Promise.resolve();
    const sent = before
      .then(() => (request.kind === "enter" ? this.#enter(run, request.slot, request.entrance) : leave(lane, ticket)))
      .finally(() => {
        if (this.#underWay.get(key) === sent) this.#underWay.delete(key);
      });
    this.#underWay.set(key, sent);
  }

  async #enter(run: Run, slot: Slot, entrance: Entrance): Promise<void> {
    // Given back before it was asked for.
    const place = slot.left ? null : await callLane(slot.lane, () => laneObject(slot.lane).enter(entrance));
    this.#answers.push({ run, slot, place });
    this.#answered();
  }
}

/** A lane that cannot be told finds out by itself. */
async function leave(lane: string, ticket: Ticket): Promise<void> {
  await callLane(lane, async () => {
    await laneObject(lane).leave(ticket);
    return null;
  });
}

/** What the call answers; null when it failed every time. */
async function callLane<Value>(lane: string, call: () => Promise<Value>): Promise<Value | null> {
  for (const pauseMs of pausesMs) {
    try {
      return await call();
    } catch (error) {
      console.warn(`lane ${lane} could not be reached`, error);
    }
    if (pauseMs !== null) await scheduler.wait(pauseMs);
  }
  return null;
}
