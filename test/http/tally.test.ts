/** Figures about runs. */
import { expect, test } from "vitest";
import type { RunSummary } from "../../src/core/run/run.ts";
import { noUsage } from "../../src/core/run/usage.ts";
import type { Service } from "../../src/core/service/service.ts";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { Tiles } from "../../src/http/pages/tally.tsx";
import { failingService, reached, tokens } from "./service.ts";

test("large figures are read at a glance: their digits are in groups", async () => {
  const figures = { completed: 12_345, failed: 1_000, cancelled: 0, open: 4_321, successRate: 0.925, durations: null };
  const html = String(await Tiles({ figures }));
  expect(html.match(/\d+,\d+/g)).toEqual(["17,666", "4,321", "12,345", "13,345", "1,000"]);
  expect(html).not.toMatch(/>\d{4,}/);
});

test("the list counts from a run's creation how long it took, as its own page and the statistics do", async () => {
  const at = Date.UTC(2026, 2, 1, 9);
  const run: RunSummary = {
    ...{ id: "sync-3", workflow: "sync", version: "1", status: "completed", error: null, labels: {}, parent: null },
    ...{ schedule: null, fork: null, createdAt: at, startedAt: at + 7_000, updatedAt: at + 10_000 },
    ...{ finishedAt: at + 10_000, waitingFor: [], reason: null, steps: { completed: 1, failed: 0, running: 0 } },
    ...{ usage: noUsage, tallies: {}, trace: "", seq: 5 },
  };
  const failing = failingService(reached);
  const service: Service = {
    ...failing,
    runs: { ...failing.runs, list: () => Promise.resolve({ runs: [run], cursor: null }) },
    workflows: { ...failing.workflows, list: () => Promise.resolve([]) },
    directory: {
      ...failing.directory,
      count: () => Promise.resolve({ total: 0, groups: [] }),
      causes: () => Promise.resolve([]),
    },
  };
  const headers = { authorization: "Bearer r-token-123" };
  const answer = await createApp(service, () => parseConfig({ API_TOKENS: tokens })).request("/", { headers });
  expect(/cell-took number">(.*?)<\/td>/.exec(await answer.text())?.[1]?.replace(/<[^>]*>/g, "")).toBe("10 s");
});
