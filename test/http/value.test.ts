/** Values on a page. */
import { expect, test } from "vitest";
import { toJson } from "../../src/core/value/json.ts";
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

test("an object with a $type of its own is shown as the object that it is, whatever it claims to be", async () => {
  const claims = { $type: "Uint8Array", value: "AQL/", $other: { $type: "Object", value: { $type: "NaN" } } };
  const shown = String(await Value({ json: toJson(claims), id: "some" }));
  const names = [...shown.matchAll(/<dt>(.*?)<\/dt>/g)].map(([, name]) => name);
  expect(names).toEqual(["$type", "value", "$other", "$type", "value", "$type"]);
  expect(shown).not.toContain("v-type");
});
