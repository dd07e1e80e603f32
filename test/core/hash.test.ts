import { expect, test } from "vitest";
import { fnv1a } from "../../src/core/hash.ts";

// Runs stay with the shard that it names, and links with their cursors: it can never be another.
test.each([
  ["", 0x811c9dc5],
  ["a", 0xe40c292c],
  ["foobar", 0xbf9cf968],
])("of %j it is what the algorithm's authors have", (text, sum) => {
  expect(fnv1a(text)).toBe(sum);
});
