import { describe, expect, it } from "vitest";
import { costOf, prices } from "../../src/core/run/price.ts";
import { noUsage } from "../../src/core/run/usage.ts";

describe("the price of a run", () => {
  it("is nothing for nothing", () => {
    expect(costOf(noUsage)).toBe(0);
  });

  it("is that of the list for a million of each", () => {
    const million = 1_000_000;
    expect(costOf({ ...noUsage, rowsWritten: million })).toBeCloseTo(1, 10);
    expect(costOf({ ...noUsage, requests: million })).toBeCloseTo(0.15, 10);
    // A million GB-s is an object of 128 MB awake for 7,812,500 seconds.
    expect(costOf({ ...noUsage, awakeMs: 7_812_500 * 1000 })).toBeCloseTo(12.5, 10);
    expect(costOf({ ...noUsage, bytesStored: 1e9 })).toBeCloseTo(0.2, 10);
  });

  it("adds up", () => {
    const one = { rowsWritten: 31, requests: 5, awakeMs: 2000, bytesStored: 20_000 };
    const parts = (["rowsWritten", "requests", "awakeMs", "bytesStored"] as const).map((part) =>
      costOf({ ...noUsage, [part]: one[part] }),
    );
    expect(costOf(one)).toBeCloseTo(
      parts.reduce((sum, part) => sum + part, 0),
      15,
    );
    // The model of the platform: rows 3.1e-5, requests 7.5e-7, duration 3.2e-6, storage 4.0e-6.
    expect(costOf(one)).toBeCloseTo(3.895e-5, 8);
  });

  it("has its rates in one table", () => {
    expect(Object.values(prices).every((price) => price > 0)).toBe(true);
  });
});
