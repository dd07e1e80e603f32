import { expect, test } from "vitest";
import { backoffMs } from "../../src/core/backoff.ts";

test("a pause doubles with each failure in a row, and stays at the longest", () => {
  expect([1, 2, 3, 4, 5].map((failures) => backoffMs(failures, 500, 3000))).toEqual([500, 1000, 2000, 3000, 3000]);
  expect(backoffMs(5000, 500, 3000)).toBe(3000);
});
