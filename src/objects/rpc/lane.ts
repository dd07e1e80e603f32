/**
 * Owns: what can be asked of a lane and of their roll, and what a lane asks of a run.
 * Does not own: what they do about it (keeper, roll, engine/slots).
 */
import type { OverrideRequest, LaneInfo } from "../../core/lanes.ts";
import type { Followed } from "../../core/slot.ts";
import type { Admission, Claim, Claimed, Entrance, Place, Ticket } from "../../core/ticket.ts";
import type { Answer } from "../answer.ts";

/** One lane: `laneObject(name)`. Every call may be repeated: none takes a second slot. */
export interface LaneRpc {
  /** Asks for a slot, or where the ticket is. */
  enter(entrance: Entrance): Promise<Place>;
  /** Gives the slot back, or leaves the queue; of a throttle, only the queue. */
  leave(ticket: Ticket): Promise<void>;
  /** One start of a rate limit: granted now or not at all. Once per run id in a period. */
  admit(start: { readonly id: string; readonly limit: number; readonly periodMs: number }): Promise<Admission>;
  /**
   * Asks for the key of a singleton or a debounce. A run that has claimed it and is not there yet has half a
   * minute to appear. Claim, start the run, and `release` if the start was refused.
   */
  claim(claim: Claim): Promise<Claimed>;
  /** Gives the key back, if this run has it. */
  release(runId: string): Promise<void>;
  /** With the first `limit` holders and the first `limit` that wait; null for a lane that nobody has used. */
  read(limit: number): Promise<LaneInfo | null>;
  /**
   * Sets the limit that counts instead of the code's, null to go back to it, and grants what it allows. The same
   * again under its key does nothing; null where another came under it.
   */
  override(limit: number | null, request?: OverrideRequest, key?: string): Promise<LaneInfo | null>;
  /** As `override`, of the limit that this lane follows while it has no own; one of an older version is ignored. */
  follow(override: Followed): Promise<void>;
  /** Seals what is sealed of it anew, with the newest key; `failed` where that cannot be opened. */
  rekey(): Promise<{ readonly rows: number; readonly sealed: number; readonly failed: number }>;
}

/** Which lanes there are: `laneRoll()`. */
export interface LaneRollRpc {
  /** Answers the override that the lane follows. */
  register(lane: string): Promise<Followed>;
  unregister(lane: string): Promise<void>;
  /** Names in their order, strictly after `after`. */
  names(after: string, limit: number): Promise<readonly string[]>;
  /** The override of all keyed lanes of this base, those to come included. */
  overrideAll(base: string, limit: number | null): Promise<void>;
}

/** What a lane asks of the run that holds a ticket, or waits with one. */
export interface HolderRpc {
  /**
   * The slot that the ticket waited for is there. False, or run_not_found: not wanted any more, it goes to
   * the next. `turn` is the one that `enter` answered; a holder that has left and asked again since has
   * another, and must not take this message for its own: asking `enter` again tells. Told again until answered.
   */
  granted(lane: string, ticket: Ticket, turn: number): Promise<Answer<boolean>>;
  /**
   * Whether the ticket still holds its slot, or is still asking for it. False, or run_not_found: the slot
   * goes to the next. Asked only of holders in whose lane others wait.
   */
  holds(lane: string, ticket: Ticket, turn: number): Promise<Answer<boolean>>;
}
