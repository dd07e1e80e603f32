/** `GET /metrics` and `GET /v1/stats` as text: format, names, windows. What is counted, test/workers/stats.test.ts shows. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Service } from "../../src/core/service/service.ts";
import type { Census, Stats, StatsQuery, WorkflowStats } from "../../src/core/stats/stats.ts";
import type { ScheduleInfo } from "../../src/core/service/schedules.ts";
import { encode } from "../../src/core/value/value.ts";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { exposition } from "../../src/http/routes/exposition.ts";
import { readExposition, seriesOf } from "./exposition.ts";
import { failingService, reached, tokens } from "./service.ts";

const now = Date.UTC(2026, 2, 1, 12);
const hourMs = 60 * 60 * 1000;
/** Everything that has to be escaped, and what must not be. */
const odd = 'a "quoted" \\n\\ name\nover {two},= lines é😀';

const counts = { completed: 3, failed: 1, cancelled: 2, open: 4 };
const order: WorkflowStats = {
  ...{ workflow: "order", ...counts, successRate: 0.75, durations: { p50: 1500, p95: 2500, max: 2501 } },
  steps: [
    { step: odd, completed: 2, failed: 1, failedAttempts: 6, ms: 10, failureRate: 1 / 3, meanMs: 250 },
    { step: "new", completed: 0, failed: 0, failedAttempts: 1, ms: 0, failureRate: null, meanMs: null },
  ],
  slices: [counts],
};
const idle: WorkflowStats = {
  ...{ workflow: odd, completed: 0, failed: 0, cancelled: 0, open: 0, successRate: null, durations: null },
  ...{ steps: [], slices: [] },
};
const stats: Stats = {
  ...{ from: now - hourMs, until: now, sliceMs: hourMs, moreLanes: true },
  total: { ...counts, successRate: 0.75, durations: order.durations },
  workflows: [order, idle],
  slices: [{ at: now - hourMs, ...counts, durations: null }],
  lanes: [
    { name: "mail", limit: 10, used: 10, waiting: 37, nextSinceAt: now - 90_500 },
    { name: odd, limit: null, used: 0, waiting: 0, nextSinceAt: null },
  ],
};
const none = { queued: 0, running: 0, waiting: 0, paused: 0, completed: 0, failed: 0, cancelled: 0 };
const census: Census = {
  workflows: [
    { workflow: odd, counts: none, oldestOpenAt: null },
    { workflow: "order", counts: { ...none, waiting: 4, completed: 30 }, oldestOpenAt: now - 5000 },
  ],
  shards: 4,
};
const schedule: Omit<ScheduleInfo, "paused" | "lastError" | "next"> = {
  ...{
    id: "nightly",
    workflow: "order",
    cron: "0 0 * * *",
    timezone: "UTC",
    input: encode({}, "input"),
    overlap: "skip",
  },
  ...{ catchUpMs: 0, jitterMs: 0, pauseOnFailure: false, source: "code", backfills: [] },
};

let asked: StatsQuery[] = [];

/** Answers what stands above. */
const service: Service = {
  ...failingService(reached),
  stats: {
    read: (query) => {
      asked.push(query);
      return Promise.resolve(stats);
    },
    census: () => Promise.resolve(census),
  },
  schedules: {
    ...failingService(reached).schedules,
    list: () =>
      Promise.resolve([
        { ...schedule, paused: null, lastError: null, next: [now + 1500, now + 9000] },
        {
          ...{ ...schedule, id: odd, paused: { at: now, by: "ana", reason: null }, next: [now] },
          lastError: { at: now - 1000, slotAt: now - 2000, message: "no" },
        },
      ]),
  },
};
const app = createApp(service, () => parseConfig({ API_TOKENS: tokens }));

async function get(path: string, token = "r-token-123") {
  const response = await app.request(path, { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

async function refusalOf(path: string): Promise<string> {
  const { status, text } = await get(path);
  const { code, detail } = JSON.parse(text) as { code: string; detail: string };
  return `${status} ${code}: ${detail}`;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now });
  asked = [];
});
afterEach(() => void vi.useRealTimers());

describe("the metrics", () => {
  test("are Prometheus text that a strict reader takes, to whoever may read", async () => {
    const { status, headers, text } = await get("/metrics");
    expect([status, headers.get("content-type")]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
    const { families } = readExposition(text);
    for (const [name, { help, type }] of families) {
      expect(name).toMatch(/^holdfast_[a-z_]+$/);
      expect(help).toMatch(/^[A-Z0-9].*\.$/);
      expect(type).toBe("gauge");
    }
    expect((await app.request("/metrics")).status).toBe(401);
  });

  test("say what was counted, under every name that there is", async () => {
    const { values } = readExposition((await get("/metrics")).text);
    const runs = [odd, "order"].flatMap((workflow) =>
      Object.entries(census.workflows.find((each) => each.workflow === workflow)?.counts ?? {}).map(
        ([status, value]) => [seriesOf("holdfast_runs", { workflow, status }), value] as const,
      ),
    );
    const window = (["completed", "failed", "cancelled", "open"] as const).flatMap((outcome) =>
      [order, idle].map(
        (each) => [seriesOf("holdfast_window_runs", { workflow: each.workflow, outcome }), each[outcome]] as const,
      ),
    );
    const charge = { workflow: "order", step: odd };
    const fresh = { workflow: "order", step: "new" };
    const nightly = { schedule: "nightly", workflow: "order" };
    const stopped = { schedule: odd, workflow: "order" };
    expect(Object.fromEntries(values)).toEqual(
      Object.fromEntries([
        ...runs,
        ...window,
        [seriesOf("holdfast_oldest_open_run_age_seconds", { workflow: "order" }), 5],
        [seriesOf("holdfast_window_seconds"), 3600],
        [seriesOf("holdfast_run_success_ratio", { workflow: "order" }), 0.75],
        [seriesOf("holdfast_run_duration_seconds", { workflow: "order", quantile: "0.5" }), 1.5],
        [seriesOf("holdfast_run_duration_seconds", { workflow: "order", quantile: "0.95" }), 2.5],
        [seriesOf("holdfast_run_duration_seconds", { workflow: "order", quantile: "1" }), 2.501],
        [seriesOf("holdfast_step_completions", charge), 2],
        [seriesOf("holdfast_step_completions", fresh), 0],
        [seriesOf("holdfast_step_failures", charge), 1],
        [seriesOf("holdfast_step_failures", fresh), 0],
        [seriesOf("holdfast_step_failed_attempts", charge), 6],
        [seriesOf("holdfast_step_failed_attempts", fresh), 1],
        [seriesOf("holdfast_step_duration_mean_seconds", charge), 0.25],
        [seriesOf("holdfast_lane_slots_used", { lane: "mail" }), 10],
        [seriesOf("holdfast_lane_slots_used", { lane: odd }), 0],
        [seriesOf("holdfast_lane_slots_limit", { lane: "mail" }), 10],
        [seriesOf("holdfast_lane_waiting", { lane: "mail" }), 37],
        [seriesOf("holdfast_lane_waiting", { lane: odd }), 0],
        [seriesOf("holdfast_lane_next_wait_seconds", { lane: "mail" }), 90.5],
        [seriesOf("holdfast_lanes_left_out"), 1],
        [seriesOf("holdfast_schedule_paused", nightly), 0],
        [seriesOf("holdfast_schedule_paused", stopped), 1],
        [seriesOf("holdfast_schedule_next_firing_timestamp_seconds", nightly), (now + 1500) / 1000],
        [seriesOf("holdfast_schedule_last_error_timestamp_seconds", stopped), (now - 1000) / 1000],
        [seriesOf("holdfast_scrape_shards"), 4],
        [seriesOf("holdfast_scrape_duration_seconds"), 0],
      ]),
    );
  });

  test("are described in docs/metrics.md, and no others are", async () => {
    const names = [...readExposition((await get("/metrics")).text).families.keys()];
    const text = readFileSync(path.join(import.meta.dirname, "../../docs/metrics.md"), "utf8");
    const [table = ""] = text.split("A scrape is whole").map((part) => part.slice(part.indexOf("| metric |")));
    expect([...table.matchAll(/`(holdfast_[a-z_]+)`/g)].map(([, name]) => name).toSorted()).toEqual(names.toSorted());
  });

  test("are the same text for the same facts", async () => {
    expect((await get("/metrics")).text).toBe((await get("/metrics")).text);
  });

  test("speak of the last hour, or of the window that is asked for", async () => {
    const windows = ["", "?window=1m", "?window=6h", "?window=400%20days", "?window=90000"];
    for (const window of windows) expect((await get(`/metrics${window}`)).status).toBe(200);
    expect(asked.map(({ from, until }) => [until - from, until])).toEqual(
      [hourMs, 60_000, 6 * hourMs, 400 * 24 * hourMs, 90_000].map((length) => [length, now + 1]),
    );
  });

  test.each([
    ["59s", "400 parameter_invalid: The parameter window must be from 1 minute to 400 days, as in window=6h."],
    ["401d", "400 parameter_invalid: The parameter window must be from 1 minute to 400 days, as in window=6h."],
    ["soon", '400 duration_invalid: window "soon" is not a span of time'],
    ["", '400 duration_invalid: window "" is not a span of time'],
  ])("refuse a window of %j, saying why", async (window, refusal) => {
    expect(await refusalOf(`/metrics?window=${window}`)).toContain(refusal);
    expect(asked).toEqual([]);
  });

  test("take no other parameter", async () => {
    expect(await refusalOf("/metrics?workflow=order")).toContain("400 parameter_unknown");
  });

  test("are an error where something cannot be asked", async () => {
    const failing = createApp(failingService(Object.assign(new Error("lost"), { retryable: true })), () =>
      parseConfig({ AUTH: "none" }),
    );
    expect((await failing.request("http://localhost/metrics")).status).toBe(503);
  });
});

describe("the text format", () => {
  test("escapes what has to be, in labels and in help", () => {
    const samples = [{ labels: { one: odd, two: "" }, value: 1e-7 }];
    const text = exposition([{ name: "a", help: "of \\ and\nlines", samples }]);
    expect(text).toBe(
      [
        "# HELP a of \\\\ and\\nlines",
        "# TYPE a gauge",
        'a{one="a \\"quoted\\" \\\\n\\\\ name\\nover {two},= lines é😀",two=""} 1e-7\n',
      ].join("\n"),
    );
    expect(readExposition(text).values).toEqual(new Map([[seriesOf("a", { one: odd, two: "" }), 1e-7]]));
  });

  test.each([
    ["a 1", "does not end"],
    ["a 1\n", "not of the family"],
    ["# HELP a b.\na 1\n", "not of the family"],
    ["# TYPE a gauge\na 1\n", "does not follow its HELP"],
    ["# HELP a b.\n# TYPE a gauge\na 1\na 2\n", "second time"],
    ["# HELP a b.\n# TYPE a gauge\na 1\n# HELP a b.\n# TYPE a gauge\n", "second HELP"],
    ["# HELP a b.\n# TYPE a gauge\nb 1\n", "not of the family"],
    ["# HELP a b.\n# TYPE a gauge\na one\n", "no number"],
    ['# HELP a b.\n# TYPE a gauge\na{b="\\x"} 1\n', "cannot be read"],
    ['# HELP a b.\n# TYPE a gauge\na{b="x",} 1\n', "cannot be read"],
    ["# HELP a b.\n# TYPE a gauge\n\na 1\n", "not of the family"],
  ])("is read strictly by these tests: %j", (text, why) => {
    expect(() => readExposition(text)).toThrow(why);
  });
});

describe("the statistics", () => {
  test("are instants as RFC 3339 and numbers as they are", async () => {
    const { status, text } = await get("/v1/stats");
    const { ms: _ms, ...charge } = order.steps[0] ?? { ms: 0 };
    expect([status, JSON.parse(text)]).toMatchObject([
      200,
      {
        ...{ from: "2026-03-01T11:00:00.000Z", to: "2026-03-01T12:00:00.000Z", sliceMs: hourMs, total: stats.total },
        workflows: [{ workflow: "order", ...counts, steps: [charge, { step: "new", failureRate: null }] }, {}],
        slices: [{ at: "2026-03-01T11:00:00.000Z", ...counts, durations: null }],
        lanes: [
          { name: "mail", limit: 10, used: 10, waiting: 37, nextSince: "2026-03-01T11:58:29.500Z" },
          { name: odd, limit: null, used: 0, waiting: 0, nextSince: null },
        ],
        moreLanes: true,
      },
    ]);
  });

  test("are of the last 24 hours, of the day before `to`, or of what is asked for", async () => {
    await get("/v1/stats");
    await get("/v1/stats?to=2026-02-01T00:00:00Z&workflow=order");
    await get("/v1/stats?from=2026-02-01T00:00:00%2B01:00");
    await get("/v1/stats?from=2026-02-01T00:00:00Z&to=2026-02-01T00:00:00.001Z");
    const february = Date.UTC(2026, 1, 1);
    expect(asked).toEqual([
      { from: now - 24 * hourMs, until: now },
      { from: february - 24 * hourMs, until: february, workflow: "order" },
      { from: february - hourMs, until: now },
      { from: february, until: february + 1 },
    ]);
  });

  test.each([
    ["from=2026-03-02T00:00:00Z", "400 parameter_invalid: Of the parameters, from must be before to"],
    ["from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "400 parameter_invalid: Of the parameters, from must"],
    ["from=2024-01-01T00:00:00Z", "400 parameter_invalid: Of the parameters, from and to must be at most 400 days"],
    ["from=yesterday", "400 parameter_invalid: The parameter from must be an instant"],
    ["to=1", "400 parameter_invalid: The parameter to must be an instant"],
    ["workflow=", "400 parameter_invalid: The parameter workflow must be 1 to 256 characters"],
    ["until=2026-01-01T00:00:00Z", "400 parameter_unknown"],
    ["from=2026-02-01T00:00:00Z&from=2026-02-01T00:00:00Z", "400 parameter_repeated"],
  ])("refuse %s, saying why", async (query, refusal) => {
    expect(await refusalOf(`/v1/stats?${query}`)).toContain(refusal);
    expect(asked).toEqual([]);
  });
});
