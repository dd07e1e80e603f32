/** What the world is told of a run's end, and when it is told again. */
import { describe, expect, test } from "vitest";
import type { EntryOf } from "../../src/core/history/entry.ts";
import { noticeOf, noticePause } from "../../src/core/notice/notice.ts";
import { encode } from "../../src/core/value/value.ts";
import { createdFact } from "./created.ts";

const at = Date.UTC(2026, 0, 2, 3, 4, 5);
const created: EntryOf<"run.created"> = {
  ...createdFact,
  ...{ seq: 1, at, id: "order-7", workflow: "order", version: "2", labels: { team: "sales" } },
  ...{ input: encode({ secret: "input" }, "input"), by: "operate", notify: ["https://example.com/"] },
};
const completed = (output: unknown): EntryOf<"run.completed"> => ({
  ...{ kind: "run.completed", seq: 9, at: at + 1000, output: encode(output, "output") },
});
const told = (...args: Parameters<typeof noticeOf>): unknown => JSON.parse(noticeOf(...args));

describe("the body", () => {
  test("of a run that completed has its output as JSON, and nothing of its input", () => {
    expect(told(created, completed({ paid: true, on: new Date(at) }))).toEqual({
      type: "run.completed",
      timestamp: "2026-01-02T03:04:06.000Z",
      data: {
        ...{ id: "order-7", workflow: "order", version: "2", status: "completed", error: null },
        output: { paid: true, on: { $type: "Date", value: "2026-01-02T03:04:05.000Z" } },
        ...{ labels: { team: "sales" }, createdAt: "2026-01-02T03:04:05.000Z", finishedAt: "2026-01-02T03:04:06.000Z" },
      },
    });
  });

  test("of one that failed has its error without stacks", () => {
    const error = {
      ...{ name: "TypeError", message: "broken", code: "step_failed", step: "charge#2", attempts: 3, stack: "at x" },
      cause: { name: "Error", message: "why", stack: "at y" },
    };
    const body = told(created, { kind: "run.failed", seq: 9, at, error });
    expect(body).toMatchObject({ type: "run.failed", data: { status: "failed", output: null } });
    expect(body).toHaveProperty("data.error", {
      ...{ name: "TypeError", message: "broken", code: "step_failed", step: "charge#2", attempts: 3 },
      cause: { name: "Error", message: "why" },
    });
  });

  test("of one that was cancelled says so", () => {
    const error = { name: "Cancelled", message: "not needed", code: "cancelled" };
    const end = { kind: "run.cancelled", seq: 9, at, error, by: "ana", reason: "not needed" } as const;
    expect(told(created, end)).toMatchObject({ type: "run.cancelled", data: { status: "cancelled", error } });
  });

  test("leaves out an output of more than 256 KiB, and says so", () => {
    const fits = "x".repeat(262_144 - 2);
    expect(told(created, completed(fits))).toHaveProperty("data.output", fits);
    for (const output of [`${fits}x`, "ü".repeat(140_000), "x".repeat(4_000_000), new Uint8Array(1_000_000)]) {
      expect(told(created, completed(output))).toMatchObject({ data: { output: null, omitted: ["output"] } });
    }
    expect(told(created, completed(fits))).not.toHaveProperty("data.omitted");
  });

  test("cuts an error that is as large", () => {
    const cause = { name: "Error", message: "y".repeat(300_000) };
    const error = { name: "Error", message: "x".repeat(60_000), code: "step_failed", cause };
    const text = noticeOf(created, { kind: "run.failed", seq: 9, at, error });
    expect(text.length).toBeLessThan(3000);
    expect(JSON.parse(text)).toMatchObject({ data: { error: { name: "Error", code: "step_failed" } } });
    const short = noticeOf(created, { kind: "run.failed", seq: 9, at, error: { ...error, message: "no card" } });
    expect(JSON.parse(short)).toMatchObject({ data: { error: { name: "Error", message: "no card" } } });
  });

  test("of a run that went on as new tells when its first life was created", () => {
    const renewed = { ...created, continuation: { count: 1, createdAt: at - 5000, keys: [] } };
    expect(told(renewed, completed(1))).toMatchObject({ data: { createdAt: "2026-01-02T03:04:00.000Z" } });
  });
});

describe("the next attempt", () => {
  const spans = ["5 s", "5 min", "30 min", "2 h", "5 h", "10 h", "14 h", "20 h", "24 h"];
  const ms = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400].map((seconds) => seconds * 1000);

  test.each(spans.map((span, index) => [span, index + 1] as const))(
    "comes %s after attempt %d, a tenth more or less",
    (_, attempt) => {
      const pause = ms[attempt - 1] ?? 0;
      expect(noticePause(attempt, 0, 0.5)).toBe(pause);
      expect(noticePause(attempt, 0, 0)).toBe(pause * 0.9);
      expect(noticePause(attempt, 0, 0.999_999)).toBeCloseTo(pause * 1.1, -3);
    },
  );

  test("is the tenth at most, a little over three days after the first", () => {
    expect(noticePause(10, 0, 0.5)).toBeNull();
    expect(noticePause(10, 5000, 0.5)).toBeNull();
    expect(ms.reduce((sum, each) => sum + each, 0) / 3_600_000).toBeCloseTo(75.6, 1);
  });

  test("is no sooner than was asked for, and no later than a day for that", () => {
    expect(noticePause(1, 60_000, 0.5)).toBe(60_000);
    expect(noticePause(2, 60_000, 0.5)).toBe(300_000);
    expect(noticePause(1, 1e15, 0.5)).toBe(86_400_000);
  });
});
