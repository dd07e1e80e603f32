/** How the calls of one step, by its name, went. */
export type StepTally = {
  readonly completed: number;
  /** Calls that failed for good. */
  readonly failed: number;
  /** Attempts that failed, those of calls that succeeded in the end included. */
  readonly failedAttempts: number;
  /** Time spent in the attempts that ended a call, in ms. */
  readonly ms: number;
};
