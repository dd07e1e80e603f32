/**
 * Owns: calls from a lane to the runs that hold a slot or a key: granting it, and asking whether it is still held.
 * Does not own: when they are made, and the effect of the answer (keeper); the reaction of the run (engine/lane/slots).
 */
import { stillHolds } from "../../core/lane/claim.ts";
import type { HolderRun, KeyHolder } from "../../core/lane/claim.ts";
import type { ErrorCode } from "../../core/code.ts";
import type { Slot } from "../../core/lane/slot.ts";
import type { Claim } from "../../core/lane/ticket.ts";
import { holderObject, runObject } from "../address.ts";
import { describe, within } from "../patience.ts";
import type { Answer } from "../answer.ts";

/** Longer than any healthy call. */
const callLimitMs = 30_000;
/** Shorter, because a caller waits for the result. */
const readLimitMs = 10_000;

/** Codes after which the run does not need the slot. A damaged run that is repaired requests its slots again. */
const wantsNothing: ReadonlySet<ErrorCode> = new Set(["run_not_found", "journal_corrupt"]);

/** Grants the slot; returns whether the run wants it, null without an answer. */
export function grantSlot(lane: string, { ticket, turn }: Slot): Promise<boolean | null> {
  return orNull(() => holderObject(ticket.runId).granted(lane, ticket, turn));
}

/** Whether the run holds its slot; null without an answer. */
export function holdsSlot(lane: string, { ticket, turn }: Slot): Promise<boolean | null> {
  return orNull(() => holderObject(ticket.runId).holds(lane, ticket, turn));
}

async function orNull(ask: () => Promise<Answer<boolean>>): Promise<boolean | null> {
  try {
    const answer = await within(ask(), callLimitMs);
    if (answer.ok) return answer.value;
    return wantsNothing.has(answer.refusal.code) ? false : null;
  } catch {
    return null;
  }
}

/** The holder under its run's id, if it still has the key. A run that cannot be reached counts as having it. */
export async function findHolder(lane: string, held: KeyHolder, until: Claim["until"]): Promise<KeyHolder | null> {
  try {
    const run = await find(held.runId);
    if (!stillHolds(held, run, until, Date.now())) return null;
    return { ...held, runId: run?.id ?? held.runId };
  } catch (error) {
    console.error(`lane ${lane}: ${describe(error)}`);
    return held;
  }
}

/** Null if there is no such run. @throws if it cannot be reached */
async function find(runId: string): Promise<(HolderRun & { readonly id: string }) | null> {
  const answer = await within(runObject(runId).read(0), readLimitMs);
  if (answer.ok) return answer.value;
  if (answer.refusal.code === "run_not_found") return null;
  throw new Error(`run ${runId} could not be asked: ${answer.refusal.message}`);
}
