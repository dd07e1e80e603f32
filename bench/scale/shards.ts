/** Computes how many shards a directory needs, and where objects that exist only once saturate, for docs/scale.md. */

/**
 * Cloudflare's advice on the requests a second of one object: a soft limit of 1,000, and 200 to 500 with writes to storage.
 * developers.cloudflare.com/durable-objects/best-practices/rules-of-durable-objects
 */
export const advice = { most: 1000, writingLow: 200, writingHigh: 500 } as const;

/** The planned load of a shard. */
export const target = {
  /** Half of the low end of the advice: at half load, few calls have to wait (see the simulation). */
  callsPerSecond: advice.writingLow / 2,
  /** Half of the limit of 10 GB for an object. */
  bytes: 5e9,
  /** The limit of CPU time for reading all of its rows, ms, during which it serves nothing else. */
  lookMs: 1000,
  /** The load in the busiest second of a month, relative to the mean. */
  peak: 10,
} as const;

/** The limit of `DIRECTORY_SHARDS`. */
export const mostShards = 1024;

const secondsPerMonth = 30 * 86_400;

export type Demand = {
  readonly runsPerMonth: number;
  readonly keptDays: number;
  /** Calls of a shard for each run, including its removal. */
  readonly callsPerRun: number;
  readonly bytesPerRun: number;
  readonly lookUsPerRow: number;
};

export type Need = {
  readonly runsPerSecond: number;
  readonly peakCallsPerSecond: number;
  readonly rowsKept: number;
  /** The number of shards needed because of calls, and because of bytes. */
  readonly byCalls: number;
  readonly byBytes: number;
  readonly byLooks: number;
  /** The larger of these, within the limit. */
  readonly shards: number;
  /** Of one of these shards. */
  readonly rowsPerShard: number;
  readonly lookMs: number;
};

export function needOf({ runsPerMonth, keptDays, callsPerRun, bytesPerRun, lookUsPerRow }: Demand): Need {
  const runsPerSecond = runsPerMonth / secondsPerMonth;
  const peakCallsPerSecond = runsPerSecond * target.peak * callsPerRun;
  const rowsKept = runsPerMonth * (keptDays / 30);
  const byCalls = atLeastOne(peakCallsPerSecond / target.callsPerSecond);
  const byBytes = atLeastOne((rowsKept * bytesPerRun) / target.bytes);
  const byLooks = atLeastOne((rowsKept * lookUsPerRow) / 1000 / target.lookMs);
  const shards = Math.min(mostShards, Math.max(byCalls, byBytes, byLooks));
  const rowsPerShard = rowsKept / shards;
  const lookMs = (rowsPerShard * lookUsPerRow) / 1000;
  return { runsPerSecond, peakCallsPerSecond, rowsKept, byCalls, byBytes, byLooks, shards, rowsPerShard, lookMs };
}

function atLeastOne(count: number): number {
  return Math.max(1, Math.ceil(count));
}

/** The fullest shard relative to the mean. */
export function unevenness(counts: readonly number[]): number {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return Math.max(...counts) / mean;
}

/** The limit for nearly all shards under random distribution (three standard deviations), relative to the mean. */
export function expectedUnevenness(runs: number, shards: number): number {
  return 1 + 3 * Math.sqrt((shards - 1) / runs);
}

/** How many runs each shard first sends for a page, as in src/objects/directory/listing.ts. */
export function pageShare(limit: number, shards: number): number {
  return Math.min(limit + 1, 2 * Math.ceil((limit + 1) / shards) + 3);
}
