/** A run's recorded usage of the platform. */
export type Usage = {
  /** Rows written by its object and in the directory; setting an alarm counts as one. */
  readonly rowsWritten: number;
  /** Calls of its object, including alarms, and calls that it made to objects that are not runs. */
  readonly requests: number;
  /** How long its object was awake, in ms. */
  readonly awakeMs: number;
  /** Bytes its object keeps. */
  readonly bytesStored: number;
};

export const noUsage: Usage = { rowsWritten: 0, requests: 0, awakeMs: 0, bytesStored: 0 };
