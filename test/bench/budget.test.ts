import { describe, expect, it } from "vitest";
import { atLeast, atMost, figure, isMet, judge, limit, perStep } from "../../bench/budget.ts";
import { mapSamples, median, part, quantile, trimmedMean } from "../../bench/sample.ts";

describe("samples", () => {
  it("a trimmed mean leaves out a share at either end, whole samples only", () => {
    expect(trimmedMean([1000, 1, 2, 3, 4, 5, 6, 7, 8, -1000], 0.1)).toBe(4.5);
    expect(trimmedMean([9, 1, 2], 0.1)).toBe(4);
    expect(trimmedMean([], 0.1)).toBeNaN();
  });

  it("a quantile is the sample that so many do not exceed", () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([quantile(hundred, 0.5), quantile(hundred, 0.95), quantile(hundred, 1)]).toEqual([50, 95, 100]);
    expect([median([3]), median([1, 9])]).toEqual([3, 1]);
    expect(median([])).toBeNaN();
  });

  it("what one round answered together is taken apart again", () => {
    const both = { holdfast: [1, 10, 2, 20], floorA: [3, 30] };
    expect(part(both, 0, 2)).toEqual({ holdfast: [1, 2], floorA: [3] });
    expect(part(both, 1, 2)).toEqual({ holdfast: [10, 20], floorA: [30] });
  });

  it("are changed by system", () => {
    expect(mapSamples({ holdfast: [1], floorB: [2] }, (each, name) => (name === "floorB" ? [] : [...each, 5]))).toEqual(
      {
        holdfast: [1, 5],
        floorB: [],
      },
    );
  });
});

describe("a figure", () => {
  it("is the median; the slow end is said from 20 samples on", () => {
    const few = figure("few", "ms", { holdfast: [3, 1, 2] }, []);
    expect([few.values.holdfast, few.p95.holdfast]).toEqual([2, NaN]);
    const twenty = Array.from({ length: 20 }, (_, index) => index + 1);
    expect(figure("twenty", "ms", { holdfast: twenty }, []).p95.holdfast).toBe(19);
  });

  it("may be another share of the samples, which then has no slow end", () => {
    const { values, p95 } = figure("late", "ms", { holdfast: [1, 2, 3, 4] }, [], 0.95);
    expect([values.holdfast, p95]).toEqual([4, {}]);
  });

  it("milliseconds a step are those beyond a run of one step, by the steps beyond the first", () => {
    const long = { holdfast: [109, 208], floorA: [12] };
    expect(perStep(long, { holdfast: [10], floorA: [3] }, 100)).toEqual({ holdfast: [1, 2], floorA: [9 / 99] });
  });
});

describe("a budget", () => {
  const values = { holdfast: [12], floorA: [10], emulator: [100] };
  const met = (budget: ReturnType<typeof limit>) => isMet(figure("x", "", values, [budget]));

  it("holds at its very edge and not beyond", () => {
    expect([met(atMost(1.2, "floorA")), met(atMost(1.19, "floorA"))]).toEqual([true, false]);
    expect([met(atLeast(1.2, "floorA")), met(atLeast(1.21, "floorA"))]).toEqual([true, false]);
    expect([met(limit(12, "ms")), met(limit(11.9, "ms"))]).toEqual([true, false]);
    expect([met(atMost(1 / 8, "emulator")), atMost(1 / 8, "emulator").text]).toEqual([true, "≤ 1/8 × emulator"]);
  });

  it("is missed where one side was not measured", () => {
    expect([met(atMost(9, "floorB")), met(atLeast(0, "floorB"))]).toEqual([false, false]);
    expect(isMet(figure("x", "", { floorA: [1] }, [limit(5, "")]))).toBe(false);
  });

  it("each counts by itself, also where a figure has several", () => {
    const figures = [
      figure("a", "", values, [limit(12, ""), atMost(1, "floorA")]),
      figure("b", "", values, []),
      figure("c", "", values, [limit(13, "ms")]),
    ];
    expect(judge(figures)).toEqual({ met: 2, missed: [{ what: "a", budget: "≤ 1 × floor a" }] });
  });
});
