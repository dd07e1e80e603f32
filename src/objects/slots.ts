/**
 * Owns: carrying what one run asks its lanes, and what they answer.
 * Does not own: what is asked and given back (engine/gate), who gets a slot (objects/lane).
 * Invariant 1: what concerns one ticket is carried in its order, each after the answer to the one before, or once
 * that was given up, so that no slot is given back after it was asked for again.
 * Invariant 2: an answer reaches the memory that asked, or nobody: another asks by itself.
 */
import type { Entrance, Place, Ticket } from "../core/ticket.ts";
import type { Errand, Slot } from "../engine/line.ts";
import type { Run } from "../engine/run.ts";
import { laneObject } from "./address.ts";

/** Pauses after each try to reach a lane; after the last, the run asks again in its own time. */
const pausesMs = [50, 250, 1000, null];

export class Slots {
  /** Told when a lane has answered. */
  readonly #answered: () => void;
  /** The newest errand under way for each ticket. */
  readonly #ways = new Map<string, Promise<void>>();
  readonly #called: () => void;
  #answers: { readonly run: Run; readonly slot: Slot; readonly place: Place | null }[] = [];

  /** @param called told of every lane that is called */
  constructor(answered: () => void, called: () => void) {
    this.#answered = answered;
    this.#called = called;
  }

  /** Sets out with what the run has for its lanes. */
  attend(run: Run): void {
    for (const errand of run.porter.takeErrands()) this.#send(run, errand);
  }

  /** Hands the run what the lanes have answered. */
  deliver(run: Run): void {
    const answers = this.#answers;
    this.#answers = [];
    for (const answer of answers) if (answer.run === run) run.porter.answered(answer.slot, answer.place);
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#ways.size > 0) await Promise.all(this.#ways.values());
  }

  #send(run: Run, errand: Errand): void {
    const { lane, ticket } = errand.kind === "enter" ? { lane: errand.slot.lane, ticket: errand.slot.ticket } : errand;
    const key = JSON.stringify([lane, ticket.createdAt, ticket.step]);
    this.#called();
    const before = this.#ways.get(key) ?? Promise.resolve();
    const way = before
      .then(() => (errand.kind === "enter" ? this.#enter(run, errand.slot, errand.entrance) : leave(lane, ticket)))
      .finally(() => {
        if (this.#ways.get(key) === way) this.#ways.delete(key);
      });
    this.#ways.set(key, way);
  }

  async #enter(run: Run, slot: Slot, entrance: Entrance): Promise<void> {
    // Given back before it was asked for.
    const place = slot.left ? null : await persist(slot.lane, () => laneObject(slot.lane).enter(entrance));
    this.#answers.push({ run, slot, place });
    this.#answered();
  }
}

/** A lane that cannot be told finds out by itself. */
async function leave(lane: string, ticket: Ticket): Promise<void> {
  await persist(lane, async () => {
    await laneObject(lane).leave(ticket);
    return null;
  });
}

/** What the call answers; null when it failed every time. */
async function persist<Value>(lane: string, call: () => Promise<Value>): Promise<Value | null> {
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
