/** Computes the cost of a month of runs, at Cloudflare's list price and at the published prices of others, for docs/scale.md. */
import { plan, prices } from "../../src/core/run/price.ts";
import type { Figures, Shape, Taken, TakenByKind } from "./figures.ts";

/** Billed amounts of one run, or of a month. */
export type Amounts = {
  readonly rowsWritten: number;
  readonly rowsRead: number;
  /** Of Durable Objects. */
  readonly requests: number;
  readonly gigabyteSeconds: number;
  /** Stored bytes, for a month of 30 days. */
  readonly gigabyteMonths: number;
  readonly workerRequests: number;
  readonly workerCpuMs: number;
};
export type Meter = keyof Amounts;

export const meters: readonly Meter[] = [
  "rowsWritten",
  "rowsRead",
  "requests",
  "gigabyteSeconds",
  "gigabyteMonths",
  "workerRequests",
  "workerCpuMs",
];

const priceOf: Readonly<Record<Meter, number>> = {
  rowsWritten: prices.perRowWritten,
  rowsRead: prices.perRowRead,
  requests: prices.perRequest,
  gigabyteSeconds: prices.perGigabyteSecond,
  gigabyteMonths: prices.perGigabyteMonth,
  workerRequests: prices.perWorkerRequest,
  workerCpuMs: prices.perWorkerCpuMs,
};

/** The default retention is one month of the price list. */
const keptMonths = 1;
const bytesPerGigabyte = 1e9;

/** The amounts of one run, including its removal, and its child if it has one. */
export function amountsOf(shape: Shape, { removal, probe, cpuMsPerRun }: Figures): Amounts {
  const runs = shape.taken.child === undefined ? 1 : 2;
  // The object of a key is smaller than that of a run, but counted as one.
  const objects = runs + (shape.taken.key === undefined ? 0 : 1);
  const sum = (of: (taken: Taken) => number): number => total(shape.taken, of) + runs * total(removal, of);
  const bytes = objects * shape.bytes + runs * (probe.shardBytesPerRun + probe.registerBytesPerRun);
  return {
    rowsWritten: sum(({ rowsWritten }) => rowsWritten),
    rowsRead: sum(({ rowsRead }) => rowsRead),
    requests: sum(({ calls }) => calls),
    gigabyteSeconds: (sum(({ awakeMs }) => awakeMs) / 1000) * prices.gigabytesAwake,
    gigabyteMonths: (bytes / bytesPerGigabyte) * keptMonths,
    workerRequests: shape.workerRequests,
    workerCpuMs: shape.workerRequests * cpuMsPerRun,
  };
}

export function total(taken: TakenByKind, of: (taken: Taken) => number): number {
  return Object.values(taken).reduce((sum, each) => sum + of(each), 0);
}

/** US dollars by meter, without the included amounts of a plan. */
export function listPrice(amounts: Amounts): Readonly<Record<Meter, number>> {
  const entries = meters.map((meter) => [meter, amounts[meter] * priceOf[meter]] as const);
  return Object.fromEntries(entries) as Record<Meter, number>;
}

export function sumOf(parts: Readonly<Record<Meter, number>>): number {
  return meters.reduce((sum, meter) => sum + parts[meter], 0);
}

/** US dollars for a month with that many runs, on a paid plan that is used for nothing else. */
export function monthlyBill(amounts: Amounts, runs: number): number {
  const beyond = meters.map((meter) => Math.max(0, amounts[meter] * runs - plan[meter]) * priceOf[meter]);
  return plan.perMonth + beyond.reduce((sum, part) => sum + part, 0);
}

/** Cloudflare Workflows on the same plan: only steps and requests, without CPU time and storage. */
export const hosted = { stepsIncluded: 500_000, perStep: 0.8 / 100_000 } as const;

export function hostedBill(steps: number, runs: number): number {
  const stepPart = Math.max(0, steps * runs - hosted.stepsIncluded) * hosted.perStep;
  const requestPart = Math.max(0, runs - plan.workerRequests) * prices.perWorkerRequest;
  return plan.perMonth + stepPart + requestPart;
}

/** US dollars for the steps of one run, beyond the included amounts. */
export function hostedPrice(steps: number): number {
  return steps * hosted.perStep + prices.perWorkerRequest;
}

/** The number of quick steps from which on a run is cheaper here: the cost of a run without steps, divided by the saving of a step. */
export function breakEvenSteps(one: number, five: number): number {
  const perStep = (five - one) / 4;
  const fixed = one - perStep;
  return (fixed - prices.perWorkerRequest) / (hosted.perStep - perStep);
}

/** The seconds awake that cost as much as one hosted step. */
export function secondsForAStep(): number {
  return hosted.perStep / (prices.gigabytesAwake * prices.perGigabyteSecond);
}
