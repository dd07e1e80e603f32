import { expect, test } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { failingService, reached, tokens } from "./service.ts";

const entry: Entry = { kind: "run.recovered", seq: 8, at: 0 };

/** What an event source gets that comes back after the seventh entry; 404: it goes on to follow. */
async function comesBack(page: { readonly entries: readonly Entry[]; readonly ended?: boolean }): Promise<number> {
  const service = failingService(reached);
  const history = () => Promise.resolve({ ...page, next: null });
  const app = createApp({ ...service, runs: { ...service.runs, history } }, () => parseConfig({ API_TOKENS: tokens }));
  const headers = { authorization: "Bearer r-token-123", accept: "text/event-stream", "last-event-id": "7" };
  return (await app.request("/v1/runs/a/events", { headers })).status;
}

test("an event source that has seen all is told so by its history alone: the run itself is not read", async () => {
  expect(await comesBack({ entries: [], ended: true })).toBe(204);
  expect(await comesBack({ entries: [entry], ended: true })).toBe(404);
  expect(await comesBack({ entries: [], ended: false })).toBe(404);
  // An object that runs the code of before does not say.
  expect(await comesBack({ entries: [] })).toBe(404);
});
