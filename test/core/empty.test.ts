import { expect, test } from "vitest";
import { added, emptyMap, emptySet, put } from "../../src/core/empty.ts";

test("what is put into an empty collection that all share is put into a new one, and there into the same", () => {
  const set = added<string>(emptySet, "a");
  const map = put<string, number>(emptyMap, "a", 1);
  expect(added(set, "b")).toBe(set);
  expect(put(map, "b", 2)).toBe(map);
  expect([...set]).toEqual(["a", "b"]);
  expect([...map]).toEqual([
    ["a", 1],
    ["b", 2],
  ]);
  expect([emptySet.size, emptyMap.size]).toEqual([0, 0]);
});

test("the shared ones refuse whatever would be put into them", () => {
  const set: Set<string> = emptySet;
  const map: Map<string, number> = emptyMap;
  expect(() => set.add("a")).toThrow("the empty set is that of all runs");
  expect(() => map.set("a", 1)).toThrow("the empty map is that of all runs");
});
