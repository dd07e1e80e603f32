/** What lanes are called, which the code names, and the pages they are listed in. */
import { describe, expect, test } from "vitest";
import type { Definition, Flow } from "../../../src/core/definition/definition.ts";
import { HoldfastError } from "../../../src/core/error.ts";
import { collectLimits } from "../../../src/core/lane/limit.ts";
import { compareNames, fromNameCursor, toNameCursor } from "../../../src/core/listing/page.ts";
import { baseOf, checkLane, checkLaneName, kindOf, laneKinds, laneOf } from "../../../src/core/lane/ticket.ts";

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return error instanceof HoldfastError ? error.code : String(error);
  }
  return "nothing";
}

describe("names", () => {
  test("say the kind, the workflow and the key", () => {
    expect(laneOf("concurrency", "orders")).toBe("concurrency:orders");
    expect(laneOf("throttle", "orders", "acme:eu")).toBe("throttle:orders:acme:eu");
    expect(laneOf("steps", "a:b", "")).toBe("steps:a%3Ab:");
  });

  test("no two limits share one", () => {
    const names = ["a", "a:b", "a%3Ab", "a%", "b"].flatMap((workflow) =>
      [undefined, "", "b", "b:c", "c"].map((key) => laneOf("singleton", workflow, key)),
    );
    expect(new Set(names).size).toBe(names.length);
  });

  test("a keyed lane knows its base, and no other does", () => {
    expect(baseOf(laneOf("concurrency", "a:b", "c:d"))).toBe(laneOf("concurrency", "a:b"));
    expect([laneOf("concurrency", "a:b"), "mail", "mail:eu"].map(baseOf)).toEqual([null, null, null]);
    expect([kindOf("rateLimit:x"), kindOf("rateLimits:x"), kindOf("mail")]).toEqual(["rateLimit", null, null]);
  });

  test("a user's lane is called as the user calls it, unless it looks like another", () => {
    expect(checkLaneName("mail: €")).toBe("mail: €");
    for (const kind of laneKinds) expect(codeOf(() => checkLaneName(`${kind}:x`))).toBe("name_invalid");
    for (const name of ["", "..", "x".repeat(257), 7, null, "\ud800"]) {
      expect([name, codeOf(() => checkLaneName(name))]).toEqual([name, "name_invalid"]);
    }
  });

  test("a key is text of at most 256 characters, and a name fits an address", () => {
    expect(laneOf("steps", "w", "€".repeat(256))).toContain("€");
    for (const key of ["x".repeat(257), "\udc00", 7, null, {}]) {
      expect([key, codeOf(() => laneOf("steps", "w", key as string))]).toEqual([key, "name_invalid"]);
    }
    expect(codeOf(() => laneOf("steps", "€".repeat(200), "😀".repeat(200)))).toBe("name_invalid");
    expect([codeOf(() => checkLane("€".repeat(333))), codeOf(() => checkLane("€".repeat(334)))]).toEqual([
      "nothing",
      "name_invalid",
    ]);
    expect(codeOf(() => checkLane(""))).toBe("name_invalid");
  });
});

describe("the lanes in the code", () => {
  const limitsOf = (flows: readonly Flow<never>[]) =>
    collectLimits(flows.map((flow, index) => ({ name: `w${index}`, flow }) as unknown as Definition));

  test("are those of every option that limits something", () => {
    const flow: Flow<never> = {
      lane: { name: "mail", limit: 3 },
      concurrency: { limit: 2, scope: "step" },
      rateLimit: { limit: 10, period: "1m" },
      throttle: { limit: 5, period: 250 },
      singleton: { mode: "queue" },
      debounce: { period: "1s" },
    };
    expect(limitsOf([flow])).toEqual([
      { name: "mail", limit: 3, periodMs: null },
      { name: "rateLimit:w0", limit: 10, periodMs: 60_000 },
      { name: "singleton:w0", limit: 1, periodMs: null },
      { name: "steps:w0", limit: 2, periodMs: null },
      { name: "throttle:w0", limit: 5, periodMs: 250 },
    ]);
    expect(limitsOf([{}, { concurrency: 4 }, { singleton: { mode: "skip" } }])).toEqual([
      { name: "concurrency:w1", limit: 4, periodMs: null },
    ]);
  });

  test("a lane that several share has the limit that one of them gives, the last if several do", () => {
    const named = (name: string, limit: number): Flow<never> => ({ lane: { name, limit } });
    expect(limitsOf([{ lane: "a" }, named("a", 2), { lane: "a" }, named("b", 1), named("b", 4)])).toEqual([
      { name: "a", limit: 2, periodMs: null },
      { name: "b", limit: 4, periodMs: null },
    ]);
    expect(limitsOf([{ lane: "a" }])).toEqual([{ name: "a", limit: null, periodMs: null }]);
  });

  test("of the versions of a workflow the last that names a lane speaks for it", () => {
    const versions = (
      [
        ["1", { lane: { name: "a", limit: 2 }, concurrency: 1 }],
        ["2", { lane: "a" }],
      ] as const
    ).map(([version, flow]) => ({ name: "w", version, flow }) as unknown as Definition);
    expect(collectLimits(versions)).toEqual([
      { name: "a", limit: null, periodMs: null },
      { name: "concurrency:w", limit: 1, periodMs: null },
    ]);
    expect(collectLimits(versions.toReversed())).toContainEqual({ name: "a", limit: 2, periodMs: null });
  });
});

describe("pages by name", () => {
  test("a cursor leads back to its name, whatever it is", () => {
    for (const name of ["mail", "", "a:b:c", "€😀", "\u0000", "name "]) {
      const cursor = toNameCursor(name);
      expect(cursor).toMatch(/^[\w-]+$/);
      expect(fromNameCursor(cursor)).toBe(name);
    }
  });

  test("what is no cursor is refused", () => {
    for (const cursor of ["", "x", "%%%", btoa("other a"), `${toNameCursor("mail")}=`, "gICA"]) {
      expect([cursor, codeOf(() => fromNameCursor(cursor))]).toEqual([cursor, "cursor_invalid"]);
    }
  });

  test("names are sorted as UTF-8 is", () => {
    const names = ["b", "a", "ab", "", "￰", "😀", "Z"];
    const bytes = (text: string) => Buffer.from(text, "utf8");
    expect(names.toSorted(compareNames)).toEqual(
      names.toSorted((one, other) => Buffer.compare(bytes(one), bytes(other))),
    );
  });
});
