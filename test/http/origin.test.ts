/** What pages say of a run that failed of a child, which may have failed without a word. */
import { expect, test } from "vitest";
import { storeError } from "../../src/core/error.ts";
import { childFailure } from "../../src/core/lifecycle/child.ts";
import type { RunSnapshot } from "../../src/core/run/run.ts";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { Summary } from "../../src/http/pages/summary.tsx";
import { failingService, reached, tokens } from "./service.ts";

/** One that failed of a child that threw this. */
function runThatFailedOf(thrown: Error): RunSnapshot {
  const error = childFailure("pay", { id: "order.pay", workflow: "pay" }, "failed", storeError(thrown));
  const run = { id: "order", workflow: "order", version: "1", status: "failed", error, reason: error.message };
  const rest = { waitingFor: [], labels: {}, createdAt: 1, startedAt: 1, finishedAt: 2, steps: {}, active: [] };
  return { ...run, ...rest, progress: null, tallies: [] } as unknown as RunSnapshot;
}

async function listed(run: RunSnapshot): Promise<string> {
  const { runs, directory, workflows, ...others } = failingService(reached);
  const service = {
    ...others,
    runs: { ...runs, list: () => Promise.resolve({ runs: [run], cursor: null }) },
    directory: {
      ...directory,
      count: () => Promise.resolve({ total: 1, groups: [] }),
      causes: () => Promise.resolve([]),
    },
    workflows: { ...workflows, list: () => Promise.resolve([]) },
  };
  const app = createApp(service, () => parseConfig({ API_TOKENS: tokens }));
  const headers = { authorization: "Bearer r-token-123", accept: "text/html" };
  return await (await app.request("/", { headers })).text();
}

test.each([
  ["what the child failed of", "no money", "no money"],
  ["that it failed, of a child that does not say of what", "", "child run order.pay of workflow pay failed: "],
])("they say %s", async (_what, message, said) => {
  const run = runThatFailedOf(new Error(message));
  expect(await listed(run)).toContain(`>${said}</span>`);
  expect(String(await Summary({ run, workflow: null, pausedAt: null }))).toContain(`</a>: ${said} <span`);
});
