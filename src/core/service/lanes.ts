/** The part of `Service` about lanes. */
import type { Author } from "../author.ts";
import type { KeyHolder } from "../lane/claim.ts";
import type { Lane } from "../lane/lane.ts";
import { defined } from "../record.ts";
import type { Setting } from "../lane/slot.ts";

export interface Lanes {
  /**
   * Lanes by name, those in the code and those in use, each with its first holders and waiters.
   * @throws cursor_invalid
   */
  list(query: LaneQuery): Promise<{ readonly lanes: readonly LaneInfo[]; readonly cursor: string | null }>;
  /** With up to `limit` holders and waiters. @throws lane_not_found, name_invalid */
  find(name: string, limit: number): Promise<LaneInfo>;
  /**
   * Sets the limit that counts instead of the code's, at once and until it is set to null. That of
   * `concurrency:orders` counts for its keys too, where they have none of their own.
   * @throws lane_not_found, name_invalid, idempotency_conflict
   */
  override(name: string, limit: number | null, request?: OverrideRequest, key?: string): Promise<LaneInfo>;
}

/** The author of a new limit, and the given reason. */
export type OverrideRequest = Author & { readonly reason: string | null };

export type LaneQuery = { readonly limit: number; readonly cursor?: string };

export type LaneInfo = {
  readonly name: string;
  /** The limit that counts now; null for none. */
  readonly limit: number | null;
  /** The limit set at run time; null where the code's counts. */
  readonly override: number | null;
  /** Who set the override, if known; where it was set for all keys, only with the lane that stands for these. */
  readonly setting?: Setting;
  /** Of a rate: the period of its limit. */
  readonly periodMs: number | null;
  readonly used: number;
  readonly waiting: number;
  /** Longest first. */
  readonly holders: readonly { readonly run: string; readonly step: string | null; readonly sinceAt: number }[];
  /** Next first; `position` counts from 1. */
  readonly queue: readonly {
    readonly run: string;
    readonly step: string | null;
    readonly priority: number;
    readonly sinceAt: number;
    readonly position: number;
  }[];
};

/**
 * @param limit how many holders, and how many waiters, are shown
 * @param holder who holds the key, where the lane is that of one
 */
export function infoOf(name: string, lane: Lane, limit: number, holder: KeyHolder | null): LaneInfo {
  const keyed = holder === null ? [] : [{ run: holder.runId, step: null, sinceAt: holder.claimedAt }];
  const slots = lane.holders(limit).map(({ ticket, grantedAt }) => ({
    run: ticket.runId,
    step: ticket.step,
    sinceAt: grantedAt ?? 0,
  }));
  return {
    ...{ name, limit: lane.limit ?? (holder === null ? null : 1) },
    override: lane.terms.override ?? lane.terms.followed.limit,
    ...defined({ setting: lane.terms.setting }),
    periodMs: lane.terms.periodMs,
    used: lane.used + keyed.length,
    waiting: lane.waiting,
    holders: [...keyed, ...slots].slice(0, limit),
    queue: lane.queue(limit).map(({ ticket, priority, enqueuedAt }, index) => ({
      run: ticket.runId,
      step: ticket.step,
      priority,
      sinceAt: enqueuedAt,
      position: index + 1,
    })),
  };
}
