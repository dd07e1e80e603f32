/**
 * Owns: the limits that an ended run has to pass to be reopened.
 * Does not own: those of a start (admission), the holders of keys (the lane objects).
 */
import type { EntryOf } from "../../core/history/entry.ts";
import { HoldfastError } from "../../core/error.ts";
import { objectName } from "../../core/run/key.ts";
import { kindOf } from "../../core/lane/ticket.ts";
import { laneObject } from "../address.ts";

/**
 * Claims the key of its singleton again, for an ended run that is to be reopened.
 * @throws HoldfastError singleton_held
 */
export async function reclaim({ id, workflow, claims = [] }: EntryOf<"run.created">): Promise<void> {
  for (const lane of claims) {
    // The key of a debounce is not needed after the beginning of its run.
    if (kindOf(lane) !== "singleton") continue;
    const { claimed, holder } = await laneObject(lane).claim({ runId: objectName(id), until: "ended", force: false });
    if (claimed) continue;
    const why = `run ${holder} goes on, and of ${workflow} one run at a time may; it has the key of ${lane}`;
    throw new HoldfastError("singleton_held", `run ${id} cannot go on: ${why}`);
  }
}
