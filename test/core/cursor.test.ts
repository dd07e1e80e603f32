import { describe, expect, it } from "vitest";
import { byNewest, fromCursor, toCursor } from "../../src/core/listing/cursor.ts";
import type { RunQuery } from "../../src/core/service/directory.ts";

const place = { createdAt: 1_790_000_000_123, id: "order:7.b-2_x" };
const filter: Omit<RunQuery, "cursor" | "limit"> = {
  workflow: "pay",
  status: ["failed", "cancelled"],
  labels: { customer: "7", 'a"b.c': "ü" },
  createdAfter: 5,
  createdBefore: 1_800_000_000_000,
};

function refusal(cursor: string, under: Omit<RunQuery, "cursor" | "limit">): unknown {
  try {
    return fromCursor(cursor, under);
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("a cursor", () => {
  it("leads back to its place, in plain letters", () => {
    for (const at of [place, { createdAt: 0, id: "a" }, { createdAt: -5, id: "Z".repeat(128) }]) {
      const cursor = toCursor(at, filter);
      expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(fromCursor(cursor, filter)).toEqual(at);
    }
  });

  it("does not mind how the same filter is spelt, nor the size of the page", () => {
    const respelt = {
      createdBefore: 1_800_000_000_000,
      createdAfter: 5,
      labels: { 'a"b.c': "ü", customer: "7" },
      status: ["cancelled", "failed", "cancelled"] as const,
      workflow: "pay",
      limit: 7,
    };
    expect(fromCursor(toCursor(place, filter), respelt)).toEqual(place);
    expect(fromCursor(toCursor(place, {}), { labels: {}, status: [] })).toEqual(place);
  });

  it("is refused under any other filter", () => {
    const cursor = toCursor(place, filter);
    const { workflow: _workflow, ...anyWorkflow } = filter;
    const others = [
      {},
      anyWorkflow,
      { ...filter, workflow: "pay2" },
      { ...filter, status: ["failed"] as const },
      { ...filter, labels: { customer: "7" } },
      { ...filter, labels: { customer: "8", 'a"b.c': "ü" } },
      { ...filter, createdAfter: 6 },
      { ...filter, createdBefore: 1_800_000_000_001 },
      { ...filter, idPrefix: "a" },
      { ...filter, errorCode: "a" },
      { ...filter, cause: "a" },
    ];
    for (const other of others) expect(refusal(cursor, other)).toBe("cursor_invalid");
    for (const other of others) {
      const all = others.filter((each) => refusal(toCursor(place, other), each) === "cursor_invalid");
      expect(all).toEqual(others.filter((each) => each !== other));
    }
  });

  it("of older code keeps its place", () => {
    expect(fromCursor("bXViYnM3bG4gMXBhcHU2OSBvcmRlcjo3LmItMl94", { workflow: "pay" })).toEqual(place);
    expect(fromCursor("bXViYnM3bG4gMXExdmgxMyBvcmRlcjo3LmItMl94", { errorCode: "step_failed" })).toEqual(place);
  });

  it("is refused when anything about it was changed", () => {
    const cursor = toCursor(place, filter);
    for (const text of [
      "",
      " ",
      "x",
      "!!!!",
      "null",
      "%00",
      `${cursor}A`,
      ` ${cursor}`,
      cursor.slice(1),
      `${cursor}==`,
      "é",
    ]) {
      expect([text, refusal(text, filter)]).toEqual([text, "cursor_invalid"]);
    }
    for (const text of ["nan abc id", "1 2", "1 2 ", " 1 a", "1 1 a b"]) {
      expect(refusal(btoa(text).replaceAll("=", ""), filter)).toBe("cursor_invalid");
    }
  });
});

describe("the order of a listing", () => {
  it("is newest first, equal instants by id, descending", () => {
    const runs = [
      { createdAt: 1, id: "z" },
      { createdAt: 2, id: "a" },
      { createdAt: 2, id: "b" },
      { createdAt: 2, id: "B" },
    ];
    expect(runs.toSorted(byNewest).map(({ id }) => id)).toEqual(["b", "a", "B", "z"]);
    expect(byNewest({ createdAt: 2, id: "a" }, { createdAt: 2, id: "a" })).toBe(0);
  });
});
