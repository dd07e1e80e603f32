/** The formulas of docs/scale.md, each by an example that can be done by hand. */
import { describe, expect, it } from "vitest";
import {
  amountsOf,
  breakEvenSteps,
  hostedBill,
  hostedPrice,
  listPrice,
  monthlyBill,
  secondsForAStep,
  sumOf,
} from "../../bench/scale/bill.ts";
import type { Amounts } from "../../bench/scale/bill.ts";
import type { Figures, Shape } from "../../bench/scale/figures.ts";
import { simulate } from "../../bench/scale/queue.ts";
import { expectedUnevenness, mostShards, needOf, pageShare, unevenness } from "../../bench/scale/shards.ts";
import { costOf } from "../../src/core/run/price.ts";

const nothing: Amounts = {
  rowsWritten: 0,
  rowsRead: 0,
  requests: 0,
  gigabyteSeconds: 0,
  gigabyteMonths: 0,
  workerRequests: 0,
  workerCpuMs: 0,
};

describe("the bill", () => {
  it("is the list price of each meter", () => {
    const million = 1e6;
    const priced = listPrice({
      rowsWritten: million,
      rowsRead: million,
      requests: million,
      gigabyteSeconds: million,
      gigabyteMonths: 1,
      workerRequests: million,
      workerCpuMs: million,
    });
    expect(Object.values(priced).map((dollars) => Number(dollars.toFixed(6)))).toEqual([
      1, 0.001, 0.15, 12.5, 0.2, 0.3, 0.02,
    ]);
  });

  it("agrees with the cost that a run shows, meter by meter", () => {
    const usage = { rowsWritten: 14, requests: 2, awakeMs: 400, bytesStored: 16_384 };
    const same = {
      ...nothing,
      rowsWritten: usage.rowsWritten,
      requests: usage.requests,
      gigabyteSeconds: 0.4 * 0.128,
      gigabyteMonths: 16_384 / 1e9,
    };
    expect(sumOf(listPrice(same))).toBeCloseTo(costOf(usage), 15);
  });

  it("adds up all objects of a run, and its removal", () => {
    const taken = (calls: number) => ({ calls, rowsWritten: 2 * calls, rowsRead: 3 * calls, awakeMs: 1000 * calls });
    const shape: Shape = {
      name: "one",
      what: "one",
      steps: 1,
      workerRequests: 2,
      runs: 1,
      taken: { run: taken(4), shard: taken(2) },
      bytes: 900,
      meter: { rowsWritten: 0, requests: 0, awakeMs: 0 },
    };
    const figures = {
      removal: { shard: taken(1) },
      probe: { shardBytesPerRun: 70, registerBytesPerRun: 30 },
      cpuMsPerRun: 5,
    } as unknown as Figures;
    expect(amountsOf(shape, figures)).toEqual({
      rowsWritten: 14,
      rowsRead: 21,
      requests: 7,
      gigabyteSeconds: 7 * 0.128,
      gigabyteMonths: 1e-6,
      workerRequests: 2,
      workerCpuMs: 10,
    });
    // A child is a run of its own: listed, kept and removed.
    const family = { ...shape, taken: { ...shape.taken, child: taken(1) } };
    expect(amountsOf(family, figures)).toMatchObject({ rowsWritten: 18, requests: 9, gigabyteMonths: 2e-6 });
    // What is kept for a key is not listed.
    const keyed = { ...shape, taken: { ...shape.taken, key: taken(1) } };
    expect(amountsOf(keyed, figures)).toMatchObject({ rowsWritten: 16, requests: 8, gigabyteMonths: 1.9e-6 });
  });

  it("leaves out what a plan includes, and never pays back", () => {
    expect(monthlyBill({ ...nothing, rowsWritten: 50 }, 1e6)).toBe(5);
    expect(monthlyBill({ ...nothing, rowsWritten: 51 }, 1e6)).toBeCloseTo(6, 10);
    expect(monthlyBill({ ...nothing, requests: 3, rowsWritten: 1 }, 1e6)).toBeCloseTo(5 + 2 * 0.15, 10);
  });

  it("sets the hosted product's published price beside it: $8.00 a million steps after the first half million", () => {
    expect(hostedBill(1, 500_000)).toBe(5);
    expect(hostedBill(1, 1_500_000)).toBeCloseTo(5 + 8, 10);
    expect(hostedBill(5, 1_000_000)).toBeCloseTo(5 + 36, 10);
    // Requests beyond ten million come on top.
    expect(hostedBill(1, 20_000_000)).toBeCloseTo(5 + 19.5 * 8 + 10 * 0.3, 8);
    expect(hostedPrice(10) * 1e6).toBeCloseTo(80.3, 10);
  });

  it("says from how many steps on a run is cheaper, and how long it may be awake", () => {
    // $14 a million besides the steps, $1 for each: 14 + n = 0.3 + 8 n where n is 13.7 / 7.
    expect(breakEvenSteps(15e-6, 19e-6)).toBeCloseTo(13.7 / 7, 10);
    expect(secondsForAStep()).toBeCloseTo(5, 10);
  });
});

describe("the number of shards", () => {
  const small = { runsPerMonth: 2_592_000, keptDays: 30, callsPerRun: 2, bytesPerRun: 500, lookUsPerRow: 2 };

  it("is the most that calls, bytes or looks ask for", () => {
    // One run a second, ten at the peak, twenty calls.
    expect(needOf(small)).toMatchObject({ runsPerSecond: 1, peakCallsPerSecond: 20, byCalls: 1, byBytes: 1 });
    expect(needOf(small).byLooks).toBe(6);
    expect(needOf(small).shards).toBe(6);
    expect(needOf({ ...small, callsPerRun: 200 }).byCalls).toBe(20);
    expect(needOf({ ...small, bytesPerRun: 50_000 }).byBytes).toBe(26);
  });

  it("is at least one, and no more than a deployment can have", () => {
    expect(needOf({ ...small, runsPerMonth: 1 }).shards).toBe(1);
    const huge = needOf({ ...small, runsPerMonth: 1e9 });
    expect(huge.byLooks).toBe(2000);
    expect(huge.shards).toBe(mostShards);
    expect(huge.lookMs).toBeCloseTo((1e9 / mostShards) * 0.002, 6);
  });

  it("falls with the time runs are kept, but for calls", () => {
    const [long, short] = [needOf(small), needOf({ ...small, keptDays: 6 })];
    expect(short.rowsKept).toBe(long.rowsKept / 5);
    expect(short.byCalls).toBe(long.byCalls);
  });

  it("spreads as chance does", () => {
    expect(unevenness([10, 10, 10])).toBe(1);
    expect(unevenness([20, 10, 0])).toBe(2);
    expect(expectedUnevenness(900, 1)).toBe(1);
    expect(expectedUnevenness(900, 2)).toBeCloseTo(1.1, 10);
  });

  it("makes a page ask each for twice its share and a little, and one for all", () => {
    expect(pageShare(50, 1)).toBe(51);
    expect(pageShare(50, 4)).toBe(29);
    expect(pageShare(200, 1024)).toBe(5);
    expect(pageShare(1, 4)).toBe(2);
  });
});

describe("the simulation of shards", () => {
  const traffic = { seed: "test", shards: 10, callsPerSecond: 1000, serviceMs: 5, calls: 50_000 };

  it("is the same for the same seed, and another for another", () => {
    expect(simulate(traffic)).toEqual(simulate(traffic));
    expect(simulate({ ...traffic, seed: "other" })).not.toEqual(simulate(traffic));
  });

  it("has nobody wait where nobody comes twice at once", () => {
    expect(simulate({ ...traffic, callsPerSecond: 1 }).p99).toBe(0);
  });

  it("is busy for the share that arithmetic gives, and waits as queueing theory says (M/M/1)", () => {
    const { busy, p50, p99 } = simulate(traffic);
    expect(busy).toBeGreaterThan(0.48);
    expect(busy).toBeLessThan(0.52);
    // At half load half of the calls do not wait at all, and 1 in 100 waits ln(50) / (1/5 - 1/10) = 39 ms.
    expect(p50).toBeLessThan(1);
    expect(p99).toBeGreaterThan(34);
    expect(p99).toBeLessThan(44);
  });

  it("waits ever longer where more comes than is served", () => {
    const short = simulate({ ...traffic, callsPerSecond: 4000, calls: 10_000 });
    const long = simulate({ ...traffic, callsPerSecond: 4000, calls: 40_000 });
    expect(long.p50).toBeGreaterThan(3 * short.p50);
  });
});
