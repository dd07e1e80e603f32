import { describe, expect, test } from "vitest";
import {
  HoldfastError,
  NonRetryableError,
  RetryAfterError,
  hasCode,
  isNonRetryable,
  messageOf,
  retryAfterOf,
  reviveError,
  storeError,
} from "../../src/core/error.ts";
import type { StoredError } from "../../src/core/error.ts";
import { createPick, randomValue } from "./sample.ts";

test("what is told of a thrown value that is no error is the same as is stored of it", () => {
  for (const thrown of [{ code: 5 }, Object.create(null), "a", 5n, Symbol("s"), null, undefined])
    expect(messageOf(thrown)).toBe(storeError(thrown).message);
  expect(messageOf(new Error("b"))).toBe("b");
});

describe("storing", () => {
  test("name, message, stack, code, step, attempts and causes", () => {
    const cause = new RangeError("deep");
    const error = Object.assign(new TypeError("shallow", { cause }), { code: "E_X", step: "charge#2", attempts: 3 });
    expect(storeError(error)).toEqual({
      name: "TypeError",
      message: "shallow",
      code: "E_X",
      step: "charge#2",
      attempts: 3,
      stack: error.stack,
      cause: { name: "RangeError", message: "deep", stack: cause.stack },
    });
    expect(storeError(Object.assign(new Error("a"), { code: 42, step: 1, attempts: "2" }))).not.toHaveProperty("code");
  });

  test.each<[unknown, string]>([
    ["text", "text"],
    [null, "null"],
    [undefined, "undefined"],
    [5, "5"],
    [7n, "7"],
    [{ a: 1 }, '{"a":1}'],
    [Symbol("s"), "Symbol(s)"],
  ])("what is no error: %o", (thrown, message) => expect(storeError(thrown)).toEqual({ name: "Error", message }));

  test("objects that look like errors, and those that cannot be looked at", () => {
    expect(storeError({ name: "Odd", message: "m", code: "C" })).toEqual({ name: "Odd", message: "m", code: "C" });
    const round: Record<string, unknown> = {};
    round["self"] = round;
    expect(storeError(round).message).toBe("a thrown object that cannot be shown");
    const hostile = new Proxy(new Error("x"), {
      get: () => {
        throw new Error("no");
      },
    });
    expect(storeError(hostile)).toMatchObject({ name: "Error", message: "" });
    expect(storeError(Object.create(null)).message).toBe("{}");
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(storeError(proxy).name).toBe("Error");
  });

  test("cuts cycles, depth, numbers and length", () => {
    const error: Error = new Error("round");
    error.cause = new Error("inner", { cause: error });
    expect(storeError(error).cause?.cause).toBeUndefined();
    let deep = new Error("0");
    for (let level = 1; level < 50; level += 1) deep = new Error(String(level), { cause: deep });
    let depth = 0;
    for (let at: StoredError | undefined = storeError(deep); at?.cause !== undefined; at = at.cause) depth += 1;
    expect(depth).toBe(8);
    const wide = new AggregateError(
      Array.from({ length: 5000 }, () => new Error("w")),
      "wide",
    );
    expect(storeError(wide).errors).toHaveLength(255);
    // Calls between objects carry 32 MiB, and each of these characters has two bytes.
    const long = Array.from({ length: 255 }, () => new Error("→".repeat(65_536)));
    expect(JSON.stringify(storeError(new AggregateError(long, "long"))).length).toBeLessThan(6_000_000);
    let tree: Error = new Error("leaf");
    for (let level = 0; level < 30; level += 1) tree = new AggregateError([tree, tree], "fork");
    expect(JSON.stringify(storeError(tree)).length).toBeLessThan(4_000_000);
    const stored = storeError(new Error("m".repeat(1_000_000)));
    expect(stored.message).toHaveLength(65_536);
    expect(stored.message).toContain("1000000 characters");
    expect(stored.stack?.length).toBe(8192);
    // The longest name, of characters of two units each, and its occurrence.
    const step = `${"\u{1f980}".repeat(256)}#100000`;
    expect(storeError(Object.assign(new Error("a"), { step })).step).toBe(step);
  });

  test("members of an AggregateError; `errors` of others only where they are errors", () => {
    expect(storeError(new AggregateError(["a", new Error("b")], "m")).errors).toMatchObject([
      { message: "a" },
      { message: "b" },
    ]);
    expect(storeError(new AggregateError([], "m")).errors).toEqual([]);
    for (const errors of [[], [{ path: "a" }]])
      expect(storeError(Object.assign(new Error("v"), { errors }))).not.toHaveProperty("errors");
    expect(storeError(Object.assign(new Error("v"), { errors: [new Error("b")] })).errors).toHaveLength(1);
  });
});

describe("reviving", () => {
  test("gives back what was stored, whatever was thrown (300 seeds)", () => {
    for (let seed = 0; seed < 300; seed += 1) {
      const pick = createPick(`error ${seed}`);
      const thrown = pick.of([
        () => randomValue(pick),
        () => new Error("outer", { cause: randomValue(pick) }),
        () => new AggregateError([randomValue(pick), randomValue(pick)], "m", { cause: randomValue(pick) }),
        () => ({ name: "AggregateError", message: "no members" }),
      ])();
      const stored = storeError(thrown);
      expect(storeError(reviveError(stored)), `seed ${seed}`).toStrictEqual(stored);
      expect(JSON.parse(JSON.stringify(stored)), `seed ${seed}`).toStrictEqual(stored);
    }
  });

  test("an Error to catch: class where it is built in, name, own fields", () => {
    const revived = reviveError({ name: "PaymentError", message: "m", code: "step_failed", step: "a#2", attempts: 2 });
    expect(revived).toBeInstanceOf(Error);
    expect(revived).toMatchObject({
      name: "PaymentError",
      message: "m",
      code: "step_failed",
      step: "a#2",
      attempts: 2,
    });
    expect(Object.keys(revived)).toEqual(["code", "step", "attempts"]);
    expect(Object.hasOwn(revived, "cause")).toBe(false);
    expect(revived.stack).toBeUndefined();
    expect(String(revived)).toBe("PaymentError: m");
    expect(reviveError({ name: "TypeError", message: "" })).toBeInstanceOf(TypeError);
    const many = reviveError({ name: "MapError", message: "", errors: [{ name: "RangeError", message: "r" }] });
    expect(many).toBeInstanceOf(AggregateError);
    expect((many as unknown as AggregateError).errors[0]).toBeInstanceOf(RangeError);
    expect(reviveError({ name: "constructor", message: "" }).name).toBe("constructor");
  });
});

test("a refusal is known by its code", () => {
  const refused = new HoldfastError("run_ended", "it is over");
  expect(hasCode(refused, "run_not_found", "run_ended")).toBe(true);
  expect(hasCode(refused, "run_not_found")).toBe(false);
  expect(hasCode(Object.assign(new Error("it is over"), { code: "run_ended" }), "run_ended")).toBe(false);
});

describe("errors that steer retries", () => {
  test("are known by class and by name", () => {
    class Fatal extends NonRetryableError {
      override readonly name = "Fatal";
    }
    expect(isNonRetryable(new Fatal("x"))).toBe(true);
    expect(isNonRetryable(Object.assign(new Error("x"), { name: "NonRetryableError" }))).toBe(true);
    expect(isNonRetryable(reviveError(storeError(new NonRetryableError("x"))))).toBe(true);
    expect(isNonRetryable(new Error("x"))).toBe(false);
    expect(isNonRetryable(null)).toBe(false);
    const later = new RetryAfterError("x", "5 s", { cause: 1 });
    expect(later).toMatchObject({ name: "RetryAfterError", delay: "5 s", cause: 1 });
    expect(retryAfterOf(later)).toBe("5 s");
    expect(retryAfterOf({ name: "RetryAfterError", delay: 0 })).toBe(0);
    expect(retryAfterOf({ name: "RetryAfterError" })).toBeNull();
    expect(retryAfterOf(Object.assign(new Error("x"), { delay: 5 }))).toBeNull();
    expect(retryAfterOf(undefined)).toBeNull();
  });

  test("have a cause only where one is given", () => {
    expect(Object.hasOwn(new NonRetryableError("x"), "cause")).toBe(false);
    expect(new NonRetryableError("x", { cause: 0 }).cause).toBe(0);
    expect(new HoldfastError("bailed", "x", { cause: 1 }).cause).toBe(1);
  });
});
