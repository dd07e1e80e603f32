/**
 * Owns: the shape of what became of news that came from outside: the end of a child, or of a request.
 * Does not own: taking it (children, orders), telling it again (whoever brought it).
 */

/** It is on record; no call waits for it, now or later; or it cannot be taken now, and is to be told again. */
export type Receipt = "recorded" | "unwanted" | "later";
