/** Claims to the key of a singleton or a debounce: which run holds it. */
import { isEnded } from "../run/run.ts";
import type { RunSnapshot } from "../run/run.ts";
import type { Claim, Claimed } from "./ticket.ts";

/** `sinceAt`: since when runs have had the key without a gap; `claimedAt`: since when this one has. */
export type KeyHolder = { readonly runId: string; readonly claimedAt: number; readonly sinceAt: number };

/** For how long a run that has claimed the key and cannot be found counts as about to be started. */
export const startingMs = 30_000;

/** The part of a run that decides whether it still holds a key. */
export type HolderRun = Pick<RunSnapshot, "status" | "startedAt">;

/** Whether the holder still has the key. @param run null: there is no such run */
export function stillHolds(holder: KeyHolder, run: HolderRun | null, until: Claim["until"], now: number): boolean {
  if (run === null) return now - holder.claimedAt < startingMs;
  // The status alone does not tell: a run that waits for a lane again is `queued` too, though it has begun.
  return !isEnded(run.status) && (until === "ended" || run.startedAt === null);
}

/**
 * The claim decided; `holder` is who has the key afterwards.
 * @param held who has it now, if it still does
 */
export function decideClaim(
  held: KeyHolder | null,
  { runId, force, from }: Claim,
  now: number,
): { readonly claimed: Claimed; readonly holder: KeyHolder } {
  if (held?.runId === runId) {
    // The start is repeated: the time that it has for making its run begins anew.
    return { claimed: { claimed: true, holder: null, sinceAt: held.sinceAt }, holder: { ...held, claimedAt: now } };
  }
  if (held !== null && (!force || (from !== undefined && from !== held.runId))) {
    return { claimed: { claimed: false, holder: held.runId, sinceAt: held.sinceAt }, holder: held };
  }
  const sinceAt = held?.sinceAt ?? now;
  return {
    claimed: { claimed: true, holder: held?.runId ?? null, sinceAt },
    holder: { runId, claimedAt: now, sinceAt },
  };
}
