/** The stretches of a run: each is from its creation, or from a retry after an end, up to the next end. */
import { isEnd } from "../history/end.ts";
import type { Entry } from "../history/entry.ts";

/** A stretch, by the `seq` of its first and last entries. */
export type Stretch = {
  /** The `run.retried` it begins with; 0 for the creation. */
  readonly episode: number;
  /** The run's end. */
  readonly end: number;
};

/**
 * The stretches that ended after the entry `after`, and not before `since` (epoch ms), oldest first.
 * @param entries the journal from its beginning
 */
export function stretchesOf(entries: Iterable<Entry>, after: number, since: number): Stretch[] {
  const stretches: Stretch[] = [];
  let episode = 0;
  let ended = false;
  for (const entry of entries) {
    const { kind, seq, at } = entry;
    if (kind === "run.retried" && ended) {
      episode = seq;
      ended = false;
    }
    if (!isEnd(entry)) continue;
    ended = true;
    if (seq > after && at >= since) stretches.push({ episode, end: seq });
  }
  return stretches;
}
