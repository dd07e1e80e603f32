import { expect, test } from "vitest";
import { toMs } from "../../src/core/duration.ts";
import { presets } from "../../src/core/definition/preset.ts";
import { nextDelayMs, resolveRetry } from "../../src/core/definition/retry.ts";

/** Delays without jitter, in ms, of all the retries there are. */
function delays(name: keyof typeof presets): number[] {
  const retry = resolveRetry(presets[name].retry);
  const found: number[] = [];
  for (let attempt = 1; ; attempt++) {
    const delayMs = nextDelayMs(retry, new Error("again"), attempt, () => 0.5);
    if (delayMs === null) return found;
    found.push(delayMs);
  }
}

test.each([
  ["ai", [2000, 4000, 8000], 600_000],
  ["database", [100, 200, 400, 800, 1600], 30_000],
  ["http", [1000, 2000, 4000], 60_000],
  ["search", [5000, 10_000], 120_000],
  ["webhook", [1000, 2000, 4000, 8000, 16_000], 30_000],
  ["media", [5000, 10_000], 300_000],
] as const)("%s", (name, expected, timeoutMs) => {
  expect(delays(name)).toEqual(expected);
  expect(toMs(presets[name].timeout)).toBe(timeoutMs);
});

test("there are no others", () => {
  expect(Object.keys(presets)).toEqual(["ai", "database", "http", "search", "webhook", "media"]);
});

test("http and webhook spread their retries wide", () => {
  for (const name of ["http", "webhook"] as const) {
    const retry = resolveRetry(presets[name].retry);
    expect([0, 1].map((random) => nextDelayMs(retry, new Error("again"), 1, () => random))).toEqual([500, 1500]);
  }
});

test("the workflow's policy changes nothing in them, what follows them does", () => {
  const workflow = { limit: 9, delay: 7, backoff: "constant", maxDelay: 7, jitter: 1 } as const;
  expect(resolveRetry(workflow, presets.ai.retry)).toEqual(resolveRetry(presets.ai.retry));
  expect({ ...presets.ai, timeout: 5 }.timeout).toBe(5);
});

test("they cannot be changed", () => {
  for (const preset of [presets, ...Object.values(presets), ...Object.values(presets).map(({ retry }) => retry)]) {
    expect(Object.isFrozen(preset)).toBe(true);
  }
});
