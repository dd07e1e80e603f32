/** What a run costs at list price. Prices stand here and nowhere else. */
import type { Usage } from "./usage.ts";

/**
 * US dollars, beyond what the Workers Paid plan includes. Source: Cloudflare's pricing pages of Durable Objects
 * (SQLite storage) and Workers, developers.cloudflare.com/durable-objects/platform/pricing and
 * developers.cloudflare.com/workers/platform/pricing, as of November 2026.
 */
export const prices = {
  perRowWritten: 1 / 1e6,
  perRowRead: 0.001 / 1e6,
  /** Of a Durable Object: calls and alarms. */
  perRequest: 0.15 / 1e6,
  /** A Durable Object is billed as one of 128 MB, whatever it uses. */
  perGigabyteSecond: 12.5 / 1e6,
  gigabytesAwake: 0.128,
  perGigabyteMonth: 0.2,
  perWorkerRequest: 0.3 / 1e6,
  perWorkerCpuMs: 0.02 / 1e6,
} as const;

/** What the Workers Paid plan costs a month, and what is in it for the whole account; from the same pages. */
export const plan = {
  perMonth: 5,
  rowsWritten: 50e6,
  rowsRead: 25e9,
  requests: 1e6,
  gigabyteSeconds: 400_000,
  gigabyteMonths: 5,
  workerRequests: 10e6,
  workerCpuMs: 30e6,
} as const;

const bytesPerGigabyte = 1e9;

/**
 * US dollars for the run's usage, and for storing it for 30 days. Not included, because it is not measured for each run: the
 * Worker's requests and CPU time, rows read, the time that other objects were awake for the run.
 */
export function costOf({ rowsWritten, requests, awakeMs, bytesStored }: Usage): number {
  const awake = (awakeMs / 1000) * prices.gigabytesAwake * prices.perGigabyteSecond;
  const stored = (bytesStored / bytesPerGigabyte) * prices.perGigabyteMonth;
  return rowsWritten * prices.perRowWritten + requests * prices.perRequest + awake + stored;
}
