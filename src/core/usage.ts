/** What a run took of the platform, as far as it is on record. */
export type Usage = {
  /** Rows written: its own object's and the directory's, an alarm that is set counted as one. */
  readonly rowsWritten: number;
  /** Calls its object took, alarms included, and calls it made to objects that are no runs. */
  readonly requests: number;
  /** How long its object was awake, in ms. */
  readonly awakeMs: number;
  /** Bytes its object keeps. */
  readonly bytesStored: number;
};

export const noUsage: Usage = { rowsWritten: 0, requests: 0, awakeMs: 0, bytesStored: 0 };
