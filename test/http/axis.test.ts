/** Axes: round steps that reach over the largest value. */
import { expect, test } from "vitest";
import { countTicks, shareText, spanTicks, tickText } from "../../src/http/pages/axis.ts";

test.each([0, 1, 2, 3, 7, 10, 11, 99, 1234, 1_000_000])(
  "counts up to %d have few whole ticks that reach it",
  (largest) => {
    const ticks = countTicks(largest);
    expect(ticks.every(Number.isInteger)).toBe(true);
    expect(ticks.length).toBeLessThanOrEqual(6);
    expect(ticks.at(-1)).toBeGreaterThanOrEqual(Math.max(largest, 1));
  },
);

test.each([0, 3, 190, 4200, 61_000, 5_400_000, 90_000_000, 5_000_000_000])(
  "spans up to %d ms have ticks with one unit each",
  (largest) => {
    const ticks = spanTicks(largest);
    expect(ticks.length).toBeLessThanOrEqual(6);
    expect(ticks.at(-1)).toBeGreaterThanOrEqual(largest);
    expect(ticks.map(tickText).filter((text) => !/^(?:0|\d+(?:\.\d+)? (?:ms|s|min|h|d))$/.test(text))).toEqual([]);
  },
);

test.each([
  [null, "–"],
  [1, "100 %"],
  [0, "0 %"],
  [0.99999, "99.9 %"],
  [0.00001, "0.1 %"],
  [0.5, "50 %"],
  [2 / 3, "66.7 %"],
])("a share of %j is written %s", (share, text) => {
  expect(shareText(share)).toBe(text);
});
