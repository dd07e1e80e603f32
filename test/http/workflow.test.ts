/** The page of a workflow that the deployment does not list. */
import { expect, test } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import type { Stats } from "../../src/core/stats/stats.ts";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { failingService, tokens } from "./service.ts";

async function pageOf(name: string) {
  const service = failingService(new HoldfastError("workflow_not_found", "none is listed"));
  const runs = { ...service.runs, list: () => Promise.resolve({ runs: [], cursor: null }) };
  const stats = { ...service.stats, read: () => Promise.resolve({} as Stats) };
  const app = createApp({ ...service, runs, stats }, () => parseConfig({ API_TOKENS: tokens }));
  const headers = { authorization: "Bearer a-token-123", accept: "text/html" };
  const answer = await app.request(`/workflows/${name}`, { headers });
  return { status: answer.status, text: await answer.text() };
}

test("says that its runs wait for its code", async () => {
  const { status, text } = await pageOf("dropped");
  expect(status).toBe(404);
  expect(text).toContain("Runs that have not ended wait for a deployment that has it.");
});

test("says of one that is built in that it is, and not that its runs wait", async () => {
  const { status, text } = await pageOf("holdfast.bulk");
  expect(status).toBe(404);
  expect(text).toContain("one of Holdfast’s own");
  expect(text).not.toContain("wait for a deployment");
});
