/** Pages of what cannot be read: a run by its journal, a schedule by its rows. */
import { expect, test } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import type { RunSummary } from "../../src/core/run/run.ts";
import type { ScheduleInfo } from "../../src/core/service/schedules.ts";
import type { Runs } from "../../src/core/service/service.ts";
import { undefinedValue } from "../../src/core/value/value.ts";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { readRelative } from "../../src/http/pages/unreadable.tsx";
import { failingService, tokens } from "./service.ts";

function appThat(error: HoldfastError, listed: readonly Partial<RunSummary>[]) {
  const service = failingService(error);
  const list: Runs["list"] = ({ limit }) =>
    Promise.resolve({ runs: listed.slice(0, limit) as readonly RunSummary[], cursor: null });
  return createApp({ ...service, runs: { ...service.runs, list } }, () => parseConfig({ API_TOKENS: tokens }));
}

async function pageOf(
  code: "journal_corrupt" | "key_missing",
  token: string,
  listed: Parameters<typeof appThat>[1] = [],
) {
  const headers = { authorization: `Bearer ${token}`, accept: "text/html" };
  const app = appThat(new HoldfastError(code, "row 3 is cut off"), listed);
  const answer = await app.request("/runs/order-7", { headers });
  return { status: answer.status, text: await answer.text() };
}

test.each(["journal_corrupt", "key_missing"] as const)("says why, and can be deleted by an admin: %s", async (code) => {
  const { status, text } = await pageOf(code, "a-token-123");
  expect(status).toBe(503);
  expect(text).toMatch(/<h1[^>]*>order-7<\/h1>/);
  expect(text).toContain("This run cannot be read: row 3 is cut off");
  expect(text).toContain('data-action="/v1/runs/order-7"');
  expect(text).not.toContain("Needs the role admin");
  expect((await pageOf(code, "r-token-123")).text).toContain("Needs the role admin; you have read.");
});

test("says what the list last knew of it, though newer runs have ids that begin with its own", async () => {
  const listed = ["order-78", "order-7"].map((id) => ({
    id,
    workflow: `of ${id}`,
    status: "waiting" as const,
    waitingFor: [],
  }));
  const { text } = await pageOf("key_missing", "r-token-123", listed);
  expect(text).toContain(">of order-7</a>");
});

test("keeps no page of its parent or its children from being shown", async () => {
  const read = (code: "journal_newer" | "run_not_found" | "id_invalid") =>
    readRelative(failingService(new HoldfastError(code, "no")), "order-7");
  expect([await read("journal_newer"), await read("run_not_found")]).toEqual([null, null]);
  await expect(read("id_invalid")).rejects.toThrow("no");
});

test("a schedule says why, and nothing that is not known: it has no firing, and may fire again", async () => {
  const at = Date.UTC(2026, 2, 1, 9);
  const unread: ScheduleInfo = {
    ...{ id: "nightly", workflow: "", cron: "", timezone: "", input: undefinedValue, overlap: "skip", catchUpMs: 0 },
    ...{ jitterMs: 0, pauseOnFailure: false, source: "api", paused: null, backfills: [], next: [] },
    lastError: { at, slotAt: at, message: "key_missing: the row nightly is sealed" },
  };
  const failing = failingService(new HoldfastError("key_missing", "no"));
  const service = {
    ...failing,
    schedules: { ...failing.schedules, list: () => Promise.resolve([unread]) },
    workflows: { ...failing.workflows, list: () => Promise.resolve([]) },
  };
  const headers = { authorization: "Bearer a-token-123" };
  const answer = await createApp(service, () => parseConfig({ API_TOKENS: tokens })).request("/schedules", { headers });
  const text = await answer.text();
  expect(text).toContain("It cannot be read, and fires nothing until it can.");
  expect(text).toContain("key_missing: the row nightly is sealed");
  expect(text).not.toMatch(/never fires|The firing of|Missed firings|href="\/workflows\/"/);
});
