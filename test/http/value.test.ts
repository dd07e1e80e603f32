/** Values on a page. */
import { expect, test } from "vitest";
import { readable, Value } from "../../src/http/pages/value.tsx";

test("JSON is written over several lines, unless it is too long for that on one", () => {
  expect(readable({ a: [1] }, 9)).toBe('{\n  "a": [\n    1\n  ]\n}');
  expect(readable({ a: [1] }, 8)).toBe(null);
  expect(readable(undefined, 4)).toBe("null");
});

test("a value is copied as a whole, or not at all", async () => {
  expect(String(await Value({ json: { a: 1 }, id: "some" }))).toContain("data-copy");
  const long = String(await Value({ json: ["x".repeat(50_000)], id: "some" }));
  expect(long).not.toContain("data-copy");
  expect(long).toContain("50000 characters");
});
