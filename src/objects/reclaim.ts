/**
 * Owns: what a run passes that has ended and is to go on again.
 * Does not own: what a start passes (admission), who has a key (the lane objects).
 */
import type { EntryOf } from "../core/entry.ts";
import { HoldfastError } from "../core/error.ts";
import { objectName } from "../core/key.ts";
import { kindOf } from "../core/ticket.ts";
import { laneObject } from "./address.ts";

/**
 * Claims the key of its singleton anew, for a run that has ended and is to go on.
 * @throws HoldfastError singleton_held
 */
export async function reclaim({ id, workflow, claims = [] }: EntryOf<"run.created">): Promise<void> {
  for (const lane of claims) {
    // A debounce is over once its run has begun.
    if (kindOf(lane) !== "singleton") continue;
    const { claimed, holder } = await laneObject(lane).claim({ runId: objectName(id), until: "ended", force: false });
    if (claimed) continue;
    const why = `run ${holder} goes on, and of ${workflow} one run at a time may; it has the key of ${lane}`;
    throw new HoldfastError("singleton_held", `run ${id} cannot go on: ${why}`);
  }
}
