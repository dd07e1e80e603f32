import { expect, test } from "vitest";
import { defined, isRecord, sortedEntries } from "../../src/core/record.ts";

test("an object is a record, and a list, a text and null are none", () => {
  expect([{}, Object.create(null), new Date(), [], "", null, undefined, 1].map(isRecord)).toEqual([
    ...[true, true, true],
    ...[false, false, false, false, false],
  ]);
});

test("what is undefined is left out, and nothing else, in the order in which it stood", () => {
  const fields = defined({ last: 1, none: undefined, empty: "", nothing: null, no: false, zero: 0 });
  expect(JSON.stringify(fields)).toBe('{"last":1,"empty":"","nothing":null,"no":false,"zero":0}');
  expect(Object.hasOwn(fields, "none")).toBe(false);
});

test("the same fields in another order make the same text", () => {
  expect(sortedEntries({ b: 2, a: 1, B: 3 })).toEqual(sortedEntries({ B: 3, a: 1, b: 2 }));
  expect(sortedEntries({ b: 2, a: 1, B: 3 })).toEqual([
    ["B", 3],
    ["a", 1],
    ["b", 2],
  ]);
});
