import { describe, expect, test } from "vitest";
import { NonRetryableError, RetryAfterError } from "../../src/core/error.ts";
import { defaultRetry, nextDelayMs, resolveRetry } from "../../src/core/definition/retry.ts";
import type { ResolvedRetry, Retry } from "../../src/core/definition/retry.ts";

const error = new Error("no");
const middle = (): number => 0.5;
const delays = (retry: ResolvedRetry, count: number): (number | null)[] =>
  Array.from({ length: count }, (_, index) => nextDelayMs(retry, error, index + 1, middle));
const refused = (code: string, text: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(text) });

describe("merging", () => {
  test("nothing is the default: 5 retries, 1 s, doubling", () => {
    expect(resolveRetry()).toEqual(defaultRetry);
    expect(resolveRetry(undefined, {}, { limit: undefined as never })).toEqual(defaultRetry);
    expect(delays(resolveRetry(), 6)).toEqual([1000, 2000, 4000, 8000, 16_000, null]);
  });

  test("default, then workflow, then step, field by field", () => {
    const retry = resolveRetry({ limit: 9, delay: "5 s" }, { backoff: "constant", delay: "2 s" });
    expect(retry).toMatchObject({ limit: 9, delayMs: 2000, backoff: "constant", jitter: 0.2 });
    expect(delays(resolveRetry({ limit: 0 }), 1)).toEqual([null]);
  });

  test("a function replaces all; a policy after it begins again from the default", () => {
    const decide = (): number => 7;
    expect(resolveRetry({ limit: 1 }, decide)).toEqual({ kind: "function", decide });
    expect(resolveRetry({ limit: 1 }, decide, { delay: 5 })).toEqual({ ...defaultRetry, delayMs: 5 });
  });

  test.each<[unknown, string, RegExp]>([
    [{ limit: -1 }, "options_invalid", /retry\.limit/],
    [{ limit: 1.5 }, "options_invalid", /retry\.limit/],
    [{ limit: "3" }, "options_invalid", /retry\.limit/],
    [{ limit: Number.NaN }, "options_invalid", /retry\.limit/],
    [{ jitter: 1.1 }, "options_invalid", /retry\.jitter/],
    [{ jitter: -0.1 }, "options_invalid", /retry\.jitter/],
    [{ backoff: "fibonacci" }, "options_invalid", /retry\.backoff/],
    [{ retries: 3 }, "options_invalid", /^retry has no option "retries"; it takes limit, delay/],
    [5, "options_invalid", /policy object or a function/],
    [null, "options_invalid", /policy object or a function/],
    [[], "options_invalid", /policy object or a function/],
    [{ delay: "soon" }, "duration_invalid", /retry\.delay "soon"/],
    [{ maxDelay: -1 }, "duration_invalid", /retry\.maxDelay -1/],
  ])("%o is refused", (policy, code, text) => {
    expect(() => resolveRetry(policy as Retry)).toThrow(refused(code, text));
  });
});

test.each(["exponential", "linear", "constant"] as const)("%s may be said", (backoff) => {
  expect(resolveRetry({ backoff: "linear" }, { backoff })).toMatchObject({ backoff });
});

describe("the next delay", () => {
  test("grows by the backoff up to the cap", () => {
    expect(delays(resolveRetry({ backoff: "linear", maxDelay: "3 s" }), 5)).toEqual([1000, 2000, 3000, 3000, 3000]);
    expect(delays(resolveRetry({ backoff: "constant" }), 3)).toEqual([1000, 1000, 1000]);
    const endless = resolveRetry({ limit: Infinity });
    expect(nextDelayMs(endless, error, 100_000, middle)).toBe(3_600_000);
    expect(nextDelayMs(resolveRetry({ limit: Infinity, delay: 0 }), error, 100_000, middle)).toBe(0);
  });

  test("the cap nobody set gives way to a longer delay; one that was set does not", () => {
    expect(delays(resolveRetry({ delay: "6 hours" }), 2)).toEqual([21_600_000, 21_600_000]);
    expect(delays(resolveRetry({ maxDelay: "1 h" }, { delay: "6 hours" }), 1)).toEqual([3_600_000]);
  });

  test("is spread by the jitter, after the cap, in whole milliseconds", () => {
    const retry = resolveRetry({ delay: "10 s", maxDelay: "10 s", jitter: 0.2 });
    expect(nextDelayMs(retry, error, 1, () => 0)).toBe(8000);
    expect(nextDelayMs(retry, error, 3, () => 0.999999999)).toBe(12_000);
    expect(nextDelayMs(resolveRetry({ delay: 1, jitter: 1 }), error, 1, () => 0)).toBe(0);
    expect(nextDelayMs(resolveRetry({ delay: 3, jitter: 0.5 }), error, 1, () => 0.1)).toBe(2);
  });

  test("of a RetryAfterError is kept whole, and its attempt counts", () => {
    const retry = resolveRetry({ limit: 2, maxDelay: 5 });
    expect(nextDelayMs(retry, new RetryAfterError("x", "2 days"), 2, () => 0)).toBe(172_800_000);
    expect(nextDelayMs(retry, new RetryAfterError("x", 10), 3, () => 0)).toBeNull();
  });

  test("is none for what must not be retried, whatever the policy", () => {
    const never = new NonRetryableError("x");
    expect(nextDelayMs(resolveRetry({ limit: Infinity }), never, 1, middle)).toBeNull();
    expect(
      nextDelayMs(
        resolveRetry(() => 5),
        never,
        1,
        middle,
      ),
    ).toBeNull();
  });

  test("by a function: its answer without jitter; null or a throw gives up", () => {
    const seen: unknown[] = [];
    const decide = (failure: unknown, attempt: number): string | null => {
      seen.push([failure, attempt]);
      return attempt < 3 ? "5 s" : null;
    };
    expect(nextDelayMs(resolveRetry(decide), error, 2, () => 0)).toBe(5000);
    expect(nextDelayMs(resolveRetry(decide), error, 3, () => 0)).toBeNull();
    expect(seen).toEqual([
      [error, 2],
      [error, 3],
    ]);
    const throws = (): never => {
      throw new Error("in the policy");
    };
    expect(nextDelayMs(resolveRetry(throws), error, 1, middle)).toBeNull();
    expect(
      nextDelayMs(
        resolveRetry(() => 5),
        new RetryAfterError("x", "1 s"),
        1,
        middle,
      ),
    ).toBe(1000);
    expect(
      nextDelayMs(
        resolveRetry(() => null),
        new RetryAfterError("x", "1 s"),
        1,
        middle,
      ),
    ).toBeNull();
  });

  test("that is none is an error of its own, with the step's as cause", () => {
    const bad = expect.objectContaining({ code: "duration_invalid", cause: error });
    expect(() =>
      nextDelayMs(
        resolveRetry(() => -1),
        error,
        1,
        middle,
      ),
    ).toThrow(bad as Error);
    const after = new RetryAfterError("x", "soon");
    expect(() => nextDelayMs(resolveRetry(), after, 1, middle)).toThrow(
      expect.objectContaining({ code: "duration_invalid", cause: after }) as Error,
    );
  });
});
