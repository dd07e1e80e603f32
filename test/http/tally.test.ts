/** Figures about runs. */
import { expect, test } from "vitest";
import { Tiles } from "../../src/http/pages/tally.tsx";

test("large figures are read at a glance: their digits are in groups", async () => {
  const figures = { completed: 12_345, failed: 1_000, cancelled: 0, open: 4_321, successRate: 0.925, durations: null };
  const html = String(await Tiles({ figures }));
  expect(html.match(/\d+,\d+/g)).toEqual(["17,666", "4,321", "12,345", "13,345", "1,000"]);
  expect(html).not.toMatch(/>\d{4,}/);
});
