/**
 * Owns: the RPC methods of a lane and of the roll, and the methods of runs that lanes call.
 * Does not own: their implementation (keeper, roll, engine/lane/slots).
 */
import type { OverrideRequest, LaneInfo } from "../../core/service/lanes.ts";
import type { Followed } from "../../core/lane/slot.ts";
import type { Admission, Claim, Claimed, Entrance, Place, Ticket } from "../../core/lane/ticket.ts";
import type { Resealed } from "../../store/reseal.ts";
import type { Answer } from "../answer.ts";

/** One lane: `laneObject(name)`. All calls are idempotent: none takes a second slot. */
export interface LaneRpc {
  /** Requests a slot, or reads the place of the ticket. */
  enter(entrance: Entrance): Promise<Place>;
  /** Releases the slot, or leaves the queue; for a throttle, only leaves the queue. */
  leave(ticket: Ticket): Promise<void>;
  /** Admits or refuses one start by a rate limit. A run id counts once in a period. */
  admit(start: { readonly id: string; readonly limit: number; readonly periodMs: number }): Promise<Admission>;
  /**
   * Claims the key of a singleton or a debounce, for a run that then has to be created within half a minute. `release` gives it
   * back if the start is refused.
   */
  claim(claim: Claim): Promise<Claimed>;
  /** Releases the key, if this run has it. */
  release(runId: string): Promise<void>;
  /** With the first `limit` holders and waiters; null for an unused lane. */
  read(limit: number): Promise<LaneInfo | null>;
  /**
   * Sets the limit that replaces the code's, or removes it (null), and grants the slots that it allows. A repetition with the same
   * key does nothing. Returns null if the key was used for another limit.
   */
  override(limit: number | null, request?: OverrideRequest, key?: string): Promise<LaneInfo | null>;
  /** Sets the override for all keys, which counts while this lane has none of its own; an older version is ignored. */
  follow(override: Followed): Promise<void>;
  /** Encrypts its encrypted rows again, with the newest key; `failed` counts those that cannot be decrypted. */
  rekey(): Promise<Resealed & { readonly failed: number }>;
}

/** The list of all lanes: `laneRoll()`. */
export interface LaneRollRpc {
  /** Returns the override for all keys of the lane's base. */
  register(lane: string): Promise<Followed>;
  unregister(lane: string): Promise<void>;
  /** Sorted names, strictly after `after`. */
  names(after: string, limit: number): Promise<readonly string[]>;
  /** Sets the override for all lanes of this base, including future ones. */
  overrideAll(base: string, limit: number | null): Promise<void>;
}

/** The methods of a run that lanes call for its tickets. */
export interface HolderRpc {
  /**
   * Grants the slot that the ticket waited for. If the answer is false or run_not_found, the slot goes to the next one. `turn` is
   * the one that `enter` returned: a holder that left and entered again has another one, and must ignore this call and call `enter`
   * again. Repeated until it is answered.
   */
  granted(lane: string, ticket: Ticket, turn: number): Promise<Answer<boolean>>;
  /**
   * Whether the ticket still holds its slot, or still waits for it. If the answer is false or run_not_found, the slot goes to the
   * next one. Called only while others wait in the lane.
   */
  holds(lane: string, ticket: Ticket, turn: number): Promise<Answer<boolean>>;
}
