import { describe, expect, test } from "vitest";
import { checkName, checkRunId, checkSegment, newRunId, toCallId } from "../../src/core/name.ts";

const refused = (code: string): Error => expect.objectContaining({ name: "HoldfastError", code }) as Error;

describe("names", () => {
  test.each(["a", "approval:7", "a b/ü", "x".repeat(256), "😀".repeat(256), "a#2"])("%s is one", (name) => {
    expect(checkName(name, "step")).toBe(name);
  });

  test.each<[unknown]>([[""], ["x".repeat(257)], ["😀".repeat(257)], ["\ud800"], ["a\udc00b"], [5], [undefined], [{}]])(
    "%o is refused",
    (name) => expect(() => checkName(name, "signal")).toThrow(refused("name_invalid")),
  );

  test.each([".", ".."])("%s is one of nothing that has an address", (name) => {
    expect(checkName(name, "step")).toBe(name);
    expect(() => checkSegment(name, "schedule")).toThrow(refused("name_invalid"));
    expect(checkSegment(`${name}a`, "schedule")).toBe(`${name}a`);
  });

  test("the message says whose", () => expect(() => checkName("", "signal")).toThrow(/signal/));
});

describe("run ids", () => {
  test.each(["a", "0", "order-7.b_c:d", "x".repeat(128)])("%s is one", (id) => expect(checkRunId(id)).toBe(id));

  test.each<[unknown]>([[""], ["-a"], [".a"], ["a b"], ["a/b"], ["é"], ["a\n"], ["x".repeat(129)], [7], [null]])(
    "%o is refused",
    (id) => expect(() => checkRunId(id)).toThrow(refused("id_invalid")),
  );

  test("that are made are ULIDs: valid, in order of time, different", () => {
    const zeros = new Uint8Array(10);
    expect(newRunId(0, zeros)).toBe("0".repeat(26));
    expect(newRunId(2 ** 48 - 1, new Uint8Array(10).fill(255))).toBe(`7${"Z".repeat(25)}`);
    expect(newRunId(1_469_918_176_385, zeros).slice(0, 10)).toBe("01ARYZ6S41");
    expect(newRunId(0, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 33, 99))).toBe(`${"0".repeat(24)}11`);
    expect(checkRunId(newRunId(1.5, zeros))).toHaveLength(26);
    const times = [0, 31, 32, 1e12, 1e12 + 1, 2e12, 2 ** 48 - 1];
    const ids = times.map((now, index) => newRunId(now, new Uint8Array(16).fill(255 - index)));
    expect(ids.toSorted()).toEqual(ids);
    expect(() => newRunId(-1, zeros)).toThrow(RangeError);
    expect(() => newRunId(Number.NaN, zeros)).toThrow(RangeError);
    expect(() => newRunId(0, new Uint8Array(9))).toThrow(RangeError);
  });
});

test("call ids: the name, then with the occurrence; never two alike", () => {
  expect(toCallId("charge", 1)).toBe("charge");
  expect(toCallId("charge", 2)).toBe("charge#2");
  expect(toCallId("ticket#42", 1)).toBe("ticket#42#1");
  const names = ["a", "a#", "a#1", "a#2", "a#2#1", "a#1#2", "#1", "a#b", "a#02"];
  const ids = names.flatMap((name) => [1, 2, 3].map((occurrence) => toCallId(name, occurrence)));
  expect(new Set(ids).size).toBe(ids.length);
});
