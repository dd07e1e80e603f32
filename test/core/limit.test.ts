import { describe, expect, test } from "vitest";
import { collectLimits, limitIn } from "../../src/core/lane/limit.ts";
import { define } from "../engine/memory.ts";

/** A version of a workflow with this limit of the lane `db`, or without one. */
function workflow(name: string, version: string, limit: number | null) {
  const lane = limit === null ? {} : { lane: { name: "db", limit } };
  return define(() => 1, { name, version, flow: lane });
}

describe("the limit of a lane that several workflows name", () => {
  test("is that of today's versions, whatever older ones that are kept say, and in whatever order they stand", () => {
    const old = workflow("a", "1", 3);
    const now = workflow("a", "2", null);
    const other = workflow("b", "1", 10);
    for (const definitions of [
      [other, old, now],
      [old, now, other],
    ]) {
      expect(collectLimits(definitions)).toEqual([{ name: "db", limit: 10, periodMs: null }]);
    }
  });

  test("is that of an older version where none of today's gives one", () => {
    expect(collectLimits([workflow("a", "1", 3), workflow("a", "2", null)])).toMatchObject([{ name: "db", limit: 3 }]);
  });
});

describe("the lanes of the code", () => {
  const limits = collectLimits([
    define(() => 1, {
      name: "orders",
      flow: {
        lane: "mail",
        concurrency: 2,
        throttle: { limit: 10, period: "1 s" },
        rateLimit: { limit: 3, period: 60_000 },
        singleton: { mode: "queue" },
        debounce: { period: 5 },
      },
    }),
    define(() => 1, {
      name: "letters",
      flow: { lane: { name: "mail", limit: 5 }, concurrency: { limit: 4, scope: "step" }, singleton: { mode: "skip" } },
    }),
    define(() => 1, { name: "cards", flow: { lane: "mail" } }),
  ]);

  test("are those of every option that has slots, by name, with the limit that anybody gives", () => {
    expect(limits).toEqual([
      { name: "concurrency:orders", limit: 2, periodMs: null },
      { name: "mail", limit: 5, periodMs: null },
      { name: "rateLimit:orders", limit: 3, periodMs: 60_000 },
      { name: "singleton:orders", limit: 1, periodMs: null },
      { name: "steps:letters", limit: 4, periodMs: null },
      { name: "throttle:orders", limit: 10, periodMs: 1000 },
    ]);
  });

  test("limit each of their keys", () => {
    const code = new Map(limits.map((limit) => [limit.name, limit]));
    const of = (lane: string) => limitIn(code, lane)?.limit;
    expect([of("concurrency:orders"), of("concurrency:orders:acme"), of("mail")]).toEqual([2, 2, 5]);
    expect([of("concurrency:letters"), of("throttle:orders2:acme"), of("post")]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});
