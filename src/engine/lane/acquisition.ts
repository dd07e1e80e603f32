/**
 * Owns: the slots that one run, or one step of it, needs, and which of them it has so far.
 * Does not own: when they are asked for and given back (slots).
 */
import { nextPollAt } from "../../core/backoff.ts";
import type { LaneNeed } from "../../core/lane/need.ts";
import type { QueuePosition } from "../../core/run/run.ts";
import type { Entrance, Ticket } from "../../core/lane/ticket.ts";

/** A slot of one lane that is needed, and whether the run has it yet. A lane's answer to an `enter` is for the very slot that asked. */
export type Slot = {
  readonly lane: string;
  readonly need: LaneNeed;
  readonly ticket: Ticket;
  /** `away`: not asked for, as far as this memory knows; `asking`: an `enter` is under way; `waiting`: queued in the lane; `held`: granted. */
  phase: "away" | "asking" | "waiting" | "held";
  /** An earlier memory may have left the ticket in the lane. */
  inherited: boolean;
  /** It was given back, and another slot object took its place: an answer for this one comes too late. */
  left: boolean;
  /** The lane's number for the request, and the one it last said was granted. */
  turn: number | null;
  toldTurn: number | null;
  /** When the lane is asked again by itself. */
  askAt: number;
  place: QueuePosition | null;
};

/** What a lane is to be told. Requests about one ticket are sent one after the other, in their order. */
export type LaneRequest =
  | { readonly kind: "enter"; readonly slot: Slot; readonly entrance: Entrance }
  | { readonly kind: "leave"; readonly lane: string; readonly ticket: Ticket };

export class Acquisition {
  readonly slots: Slot[];

  /** @param before the acquisition that this one replaces: the slots it holds are taken over, from the first to the last that both need */
  constructor(needs: readonly LaneNeed[], ticket: Ticket, inherited: boolean, before: Acquisition | null = null) {
    let isKept = true;
    this.slots = needs.map((need, index) => {
      const slot = before?.slots[index];
      isKept &&= slot?.lane === need.lane && slot.phase === "held";
      return isKept && slot !== undefined ? slot : fresh(need, ticket, inherited);
    });
  }

  get isOpen(): boolean {
    return this.slots.every(({ phase }) => phase === "held");
  }

  /** Replaces a slot that was left by a new one, which has not been asked for. */
  renew(slot: Slot): void {
    const index = this.slots.indexOf(slot);
    if (index >= 0) this.slots[index] = fresh(slot.need, slot.ticket, false);
  }
}

function fresh(need: LaneNeed, ticket: Ticket, inherited: boolean): Slot {
  const { lane } = need;
  const state = { phase: "away", inherited, left: false } as const;
  return { lane, need, ticket, ...state, turn: null, toldTurn: null, askAt: 0, place: null };
}

const firstAskMs = 60_000;
const longestAskMs = 30 * 60_000;

/** When one that is queued since then asks again: 1, 3, 7, 15 and 31 minutes after, then every half hour. */
export function nextAskAt(queuedAt: number, after: number): number {
  return nextPollAt(queuedAt, after, firstAskMs, longestAskMs);
}
