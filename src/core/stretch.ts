/** The stretches of a run: what lies between its creation, or a retry of its end, and an end. */
import type { Entry } from "./entry.ts";
import type { Stretch } from "./weave.ts";

/**
 * Those that ended behind the entry `after` and not before `since` (epoch ms), oldest first.
 * @param entries the journal from its beginning
 */
export function stretchesOf(entries: Iterable<Entry>, after: number, since: number): Stretch[] {
  const stretches: Stretch[] = [];
  let episode = 0;
  let ended = false;
  for (const { kind, seq, at } of entries) {
    if (kind === "run.retried" && ended) {
      episode = seq;
      ended = false;
    }
    if (kind !== "run.completed" && kind !== "run.failed" && kind !== "run.cancelled") continue;
    ended = true;
    if (seq > after && at >= since) stretches.push({ episode, end: seq });
  }
  return stretches;
}
