import { describe, expect, test } from "vitest";
import { collectLimits } from "../../src/core/lane/limit.ts";
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
