/** Schedules in JSON, and what a request says to the service. */
import { expect, test } from "vitest";
import type { Service } from "../../src/core/service/service.ts";
import type { ScheduleInfo, Schedules } from "../../src/core/service/schedules.ts";
import { encode, undefinedValue } from "../../src/core/value/value.ts";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { schemas } from "../../src/http/openapi/schema.ts";
import { viewSchedule } from "../../src/http/view.ts";
import { failingService, reached, tokens } from "./service.ts";

const at = Date.UTC(2026, 2, 1, 9);
const rfc = "2026-03-01T09:00:00.000Z";

const info: ScheduleInfo = {
  ...{ id: "nightly", workflow: "report", cron: "0 3 * * *", timezone: "Europe/Berlin", input: encode(1n, "it") },
  ...{ overlap: "skip", catchUpMs: 3_600_000, jitterMs: 0, pauseOnFailure: true, source: "api" },
  paused: { at, by: "schedule", reason: "run nightly:20260301T020000Z failed" },
  lastError: { at, slotAt: at, message: "input_invalid: no" },
  backfills: [{ fromAt: at, untilAt: at, overlap: "allow-all", firings: 9, started: 4, refused: 1 }],
  next: [at],
};

test("a schedule has the fields of the contract, what was made of it can be sent back", () => {
  expect(viewSchedule(info)).toEqual({
    ...{ id: "nightly", workflow: "report", cron: "0 3 * * *", timezone: "Europe/Berlin" },
    input: { $type: "BigInt", value: "1" },
    ...{ overlap: "skip", catchUp: 3_600_000, jitter: 0, paused: true, pausedAt: rfc, pausedBy: "schedule" },
    pausedReason: "run nightly:20260301T020000Z failed",
    ...{ pauseOnFailure: true, source: "api" },
    lastError: { at: rfc, firing: rfc, message: "input_invalid: no" },
    backfills: [{ from: rfc, to: rfc, overlap: "allow-all", firings: 9, started: 4, refused: 1 }],
    next: [rfc],
  });
});

test("the description of the API has each of them", () => {
  const described = new Set(Object.keys(schemas.Schedule["properties"] as object));
  expect(new Set([...Object.keys(viewSchedule(info)), "pausedRole"])).toEqual(described);
});

/** Answers what it was asked with, once. */
function appThat(schedules: Partial<Schedules>) {
  const failing = failingService(reached);
  const service: Service = { ...failing, schedules: { ...failing.schedules, ...schedules } };
  return createApp(service, () => parseConfig({ API_TOKENS: tokens }));
}

const headers = { authorization: "Bearer a-token-123" };

test("a request says what was written and nothing else, so that defaults stay where they are made", async () => {
  const asked: unknown[] = [];
  const app = appThat({
    create: (request) => {
      asked.push(request);
      return Promise.resolve({ schedule: { ...info, input: undefinedValue }, created: true });
    },
    change: (id, change) => {
      asked.push([id, change]);
      return Promise.resolve(info);
    },
  });
  const create = { id: "a/b é", workflow: "report", cron: "0 3 * * *", jitter: "5 m", paused: false };
  const made = await app.request("/v1/schedules", {
    method: "POST",
    body: JSON.stringify(create),
    headers: { ...headers, "idempotency-key": "k" },
  });
  expect([made.status, made.headers.get("location")]).toEqual([201, "/v1/schedules/nightly"]);
  const change = { input: null, reason: "why" };
  await app.request("/v1/schedules/a%2Fb%20%C3%A9", { method: "PATCH", body: JSON.stringify(change), headers });
  expect(asked).toEqual([
    { ...create, key: "k", by: "admin", reason: null },
    ["a/b é", { input: encode(null, "it"), by: "admin", reason: "why" }],
  ]);
});

test.each([
  [{ paused: "yes" }, "paused must be true or false."],
  [{ pauseOnFailure: null }, "pauseOnFailure must be true or false."],
  [{ jitter: true }, "jitter must be a span of time, such as 90000 (milliseconds) or 5 minutes."],
  [{ overlap: "all" }, expect.stringMatching(/^overlap must be one of skip, /)],
])("of what is written with another type, %j, it is said what it must be", async (change, detail) => {
  const request = { method: "PATCH", body: JSON.stringify(change), headers };
  const answer = await appThat({}).request("/v1/schedules/nightly", request);
  const path = `/${Object.keys(change).join("")}`;
  expect(await answer.json()).toMatchObject({ status: 400, code: "body_invalid", detail, errors: [{ path }] });
});

test("a range of a backfill is in epoch milliseconds, whatever its offset", async () => {
  const asked: unknown[] = [];
  const app = appThat({
    backfill: (id, request) => {
      asked.push([id, request]);
      return Promise.resolve({ firings: 3 });
    },
  });
  const body = JSON.stringify({
    from: "2026-03-01T10:00:00+01:00",
    to: "2026-03-01T09:00:00.001Z",
    overlap: "buffer-all",
  });
  const answer = await app.request("/v1/schedules/x/backfill", { method: "POST", body, headers });
  expect([answer.status, await answer.json()]).toEqual([202, { firings: 3 }]);
  const request = { fromAt: at, untilAt: at + 1, overlap: "buffer-all", by: "admin", reason: null };
  expect(asked).toEqual([["x", request]]);
});

test("a name has 256 characters at most, however many units each of them takes", async () => {
  const asked: unknown[] = [];
  const app = appThat({
    list: (workflow) => {
      asked.push(workflow);
      return Promise.resolve([]);
    },
    create: ({ id, workflow }) => {
      asked.push(id, workflow);
      return Promise.resolve({ schedule: info, created: true });
    },
  });
  const answers = async (name: string): Promise<number[]> => {
    const body = JSON.stringify({ id: name, workflow: name, cron: "0 3 * * *" });
    const listed = await app.request(`/v1/schedules?workflow=${encodeURIComponent(name)}`, { headers });
    const made = await app.request("/v1/schedules", { method: "POST", body, headers });
    return [listed.status, made.status];
  };
  const longest = "😀".repeat(256);
  expect(await answers(longest)).toEqual([200, 201]);
  expect(asked).toEqual([longest, longest, longest]);
  expect(await answers(`${longest}a`)).toEqual([400, 400]);
});
