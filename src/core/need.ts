/** What a run needs of the lanes it shares with others. */

/**
 * A limit that holds a run, or its executing steps, until it has a slot. `limit` and `periodMs` are those of the
 * code that made the run: the lane goes by its own (core/lane). `limit` null: none but what
 * is set at run time; `periodMs` where it limits a rate and not a number at once.
 */
export type LaneNeed = {
  readonly lane: string;
  readonly scope: "run" | "step";
  readonly limit: number | null;
  readonly periodMs: number | null;
  readonly priority: number;
  /** Keeps its slot while it is parked. */
  readonly hold: boolean;
};
