/** How many shards a directory needs, and where objects that there is one of saturate. Pure; docs/scale.md is made of it. */

/**
 * Requests a second that one object takes, as Cloudflare advises: a soft limit of 1,000, and 200 to 500 where storage is
 * written. developers.cloudflare.com/durable-objects/best-practices/rules-of-durable-objects
 */
export const advice = { most: 1000, writingLow: 200, writingHigh: 500 } as const;

/** What a shard is planned for. */
export const target = {
  /** Half of the low end of the advice: an object that works half of the time makes few wait (see the simulation). */
  callsPerSecond: advice.writingLow / 2,
  /** Half of the 10 GB that an object may hold. */
  bytes: 5e9,
  /** CPU time that looking at all of its rows may take, ms: nobody else is served meanwhile. */
  lookMs: 1000,
  /** The busiest second of a month by the mean one. */
  peak: 10,
} as const;

/** `DIRECTORY_SHARDS` may not be more. */
export const mostShards = 1024;

const secondsPerMonth = 30 * 86_400;

export type Demand = {
  readonly runsPerMonth: number;
  readonly keptDays: number;
  /** Calls of a shard for each run, its removal included. */
  readonly callsPerRun: number;
  readonly bytesPerRun: number;
  readonly lookUsPerRow: number;
};

export type Need = {
  readonly runsPerSecond: number;
  readonly peakCallsPerSecond: number;
  readonly rowsKept: number;
  /** By calls, by bytes, by what a look at all rows takes. */
  readonly byCalls: number;
  readonly byBytes: number;
  readonly byLooks: number;
  /** The most of these that a deployment can have. */
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

/** The fullest of so many shards by the mean one. */
export function unevenness(counts: readonly number[]): number {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return Math.max(...counts) / mean;
}

/** Where even chance puts nearly every shard (three standard deviations), as a share of the mean. */
export function expectedUnevenness(runs: number, shards: number): number {
  return 1 + 3 * Math.sqrt((shards - 1) / runs);
}

/** How many runs each of so many shards sends first for a page of this many: as src/objects/listing.ts asks them. */
export function pageShare(limit: number, shards: number): number {
  return Math.min(limit + 1, 2 * Math.ceil((limit + 1) / shards) + 3);
}
