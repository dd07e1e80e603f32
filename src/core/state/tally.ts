/**
 * Counts of calls by the step's name: steps, items of a map and children. Undos are not counted, nor children that nobody
 * waits for.
 */

/** The counts of one name. */
export type StepTally = {
  readonly completed: number;
  /** Calls that failed for good. */
  readonly failed: number;
  /**
   * Failed attempts, including those of calls that succeeded later, and the last one of those that failed for good. A child
   * is one attempt.
   */
  readonly failedAttempts: number;
  /** Time spent in the attempts that ended a call, in ms. */
  readonly ms: number;
};

/** Tallies by name. A tally is replaced, never changed. */
export type Tallies = Map<string, StepTally>;

/** The name under which further steps are counted together once there are too many names. */
export const otherSteps = "(other)";

/** How many tallies a run shows, and carries over when it goes on as new. */
export const shownTallies = 50;

const nothing: StepTally = { completed: 0, failed: 0, failedAttempts: 0, ms: 0 };

/** Adds to the tally of that name, or to that of {@link otherSteps} where `maxNames` are counted already. */
export function addTally(tallies: Tallies, name: string, part: Partial<StepTally>, maxNames: number): void {
  const own = tallies.get(name);
  const place = own !== undefined || tallies.size < maxNames ? name : otherSteps;
  const known = own ?? tallies.get(place) ?? nothing;
  tallies.set(place, {
    completed: known.completed + (part.completed ?? 0),
    failed: known.failed + (part.failed ?? 0),
    failedAttempts: known.failedAttempts + (part.failedAttempts ?? 0),
    ms: known.ms + (part.ms ?? 0),
  });
}

/** At most `limit` tallies (2 or more), those that fail most first; the last one sums up the rest. */
export function foremostTallies(tallies: ReadonlyMap<string, StepTally>, limit: number): [string, StepTally][] {
  const sorted = [...tallies].toSorted(byFailures);
  if (sorted.length <= limit) return sorted;
  const kept: Tallies = new Map(sorted.slice(0, limit - 1));
  for (const [, tally] of sorted.slice(limit - 1)) addTally(kept, otherSteps, tally, 0);
  return [...kept];
}

/** Sorts by failures for good, then failed attempts, then calls, then name. */
export function byFailures([name, one]: [string, StepTally], [otherName, other]: [string, StepTally]): number {
  return (
    other.failed - one.failed ||
    other.failedAttempts - one.failedAttempts ||
    other.completed - one.completed ||
    (name < otherName ? -1 : 1)
  );
}
