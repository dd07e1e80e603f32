/** Charts of the statistics. */
import { expect, test } from "vitest";
import { OutcomeChart } from "../../src/http/pages/chart.tsx";

test("the scale writes large counts as the rest of the page does", async () => {
  const slice = { at: 0, completed: 8000, failed: 0, cancelled: 0, open: 0, durations: null };
  const html = String(await OutcomeChart({ slices: [slice], sliceMs: 3_600_000, href: () => "/" }));
  expect(html).toContain("<span>8,000</span>");
});
