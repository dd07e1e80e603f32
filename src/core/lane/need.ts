/** The lanes that a run needs slots of. */

/**
 * A lane in which a run, or each of its executing steps, needs a slot. `limit` and `periodMs` are from the code that made the
 * run; they count only where the deployment's code does not name the lane (core/lane). `limit` null: none except one set
 * at run time. `periodMs` null: the limit is of slots at once, and not of a rate.
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
