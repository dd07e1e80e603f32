/**
 * Owns: what a lane says to the runs that have a slot or a key of it: that one is granted, and the questions whether
 * it is still held.
 * Does not own: when that is said, and what follows from the answer (keeper); what the run makes of it (engine/slots).
 */
import { stillHolds } from "../core/claim.ts";
import type { HolderRun, KeyHolder } from "../core/claim.ts";
import type { ErrorCode } from "../core/code.ts";
import type { Slot } from "../core/slot.ts";
import type { Claim } from "../core/ticket.ts";
import { holderObject, runObject } from "./address.ts";
import { describe, within } from "./patience.ts";
import type { Answer } from "./answer.ts";

/** Longer than any healthy call takes. */
const callLimitMs = 30_000;
/** Somebody waits for this one. */
const readLimitMs = 10_000;

/** Of a run that is gone, has ended, or is damaged: should that be restored, it asks for its slots anew. */
const wantsNothing: ReadonlySet<ErrorCode> = new Set(["run_not_found", "run_ended", "journal_corrupt"]);

/** Whether the run wants the slot that it is granted; null where it does not say. */
export function tellGranted(lane: string, { ticket, turn }: Slot): Promise<boolean | null> {
  return hear(() => holderObject(ticket.runId).granted(lane, ticket, turn));
}

/** Whether the run holds its slot; null where it does not say. */
export function askHolds(lane: string, { ticket, turn }: Slot): Promise<boolean | null> {
  return hear(() => holderObject(ticket.runId).holds(lane, ticket, turn));
}

async function hear(ask: () => Promise<Answer<boolean>>): Promise<boolean | null> {
  try {
    const answer = await within(ask(), callLimitMs);
    if (answer.ok) return answer.value;
    return wantsNothing.has(answer.refusal.code) ? false : null;
  } catch {
    return null;
  }
}

/** The holder as its run is called, if it still has the key. One that cannot be asked is taken to go on: better late than twice. */
export async function askHolder(lane: string, held: KeyHolder, until: Claim["until"]): Promise<KeyHolder | null> {
  try {
    const run = await find(held.runId);
    if (!stillHolds(held, run, until, Date.now())) return null;
    return { ...held, runId: run?.id ?? held.runId };
  } catch (error) {
    console.error(`lane ${lane}: ${describe(error)}`);
    return held;
  }
}

/** Null when there is no such run. @throws when it cannot be asked */
async function find(runId: string): Promise<(HolderRun & { readonly id: string }) | null> {
  const answer = await within(runObject(runId).read(0), readLimitMs);
  if (answer.ok) return answer.value;
  if (answer.refusal.code === "run_not_found") return null;
  throw new Error(`run ${runId} could not be asked: ${answer.refusal.message}`);
}
