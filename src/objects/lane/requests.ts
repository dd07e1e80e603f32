/**
 * Owns: sending the requests of one run to its lanes, and delivering their answers.
 * Does not own: the requests (engine/lane/slots), who gets a slot (objects/lane).
 * Invariant 1: requests for one ticket are sent in order, each after the one before was answered or given up, so that no slot
 * is released after it was requested again.
 * Invariant 2: an answer is delivered only to the memory that made the request; another memory makes its own.
 */
import { emptyMap, put } from "../../core/empty.ts";
import type { Entrance, Place, Ticket } from "../../core/lane/ticket.ts";
import type { LaneRequest, Slot } from "../../engine/lane/acquisition.ts";
import type { Run } from "../../engine/run.ts";
import { laneObject } from "../address.ts";

/** The pauses after failed calls of a lane. After the last one, the run repeats the request later. */
const pausesMs = [50, 250, 1000, null];

export class LaneRequests {
  /** Called when a lane has answered. */
  readonly #answered: () => void;
  /** The newest request in progress for each ticket. */
  #underWay: Map<string, Promise<void>> = emptyMap;
  readonly #called: () => void;
  #answers: { readonly run: Run; readonly slot: Slot; readonly place: Place | null }[] = [];

  /** @param called called for every call of a lane */
  constructor(answered: () => void, called: () => void) {
    this.#answered = answered;
    this.#called = called;
  }

  /** Sends the requests of the run. */
  attend(run: Run): void {
    for (const request of run.lanes.takeRequests()) this.#send(run, request);
  }

  /** Delivers the answers of the lanes to the run. */
  deliver(run: Run): void {
    const answers = this.#answers;
    this.#answers = [];
    for (const answer of answers) if (answer.run === run) run.lanes.answered(answer.slot, answer.place);
  }

  /** Resolves when no request is in progress. */
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
    this.#underWay = put(this.#underWay, key, sent);
  }

  async #enter(run: Run, slot: Slot, entrance: Entrance): Promise<void> {
    // A slot that was released before it was requested is not requested.
    const place = slot.left ? null : await callLane(slot.lane, () => laneObject(slot.lane).enter(entrance));
    this.#answers.push({ run, slot, place });
    this.#answered();
  }
}

/** Errors are ignored, because the lane checks its holders by itself. */
async function leave(lane: string, ticket: Ticket): Promise<void> {
  await callLane(lane, () => laneObject(lane).leave(ticket));
}

/** The answer of the call; null if all attempts failed. */
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
