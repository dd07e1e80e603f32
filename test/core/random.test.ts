import { expect, test } from "vitest";
import { createRandom } from "../../src/core/random.ts";

const take = (seed: string, count: number): number[] => {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => random.next());
};

test("the same seed, the same sequence; another seed, another", () => {
  expect(take("run 1", 50)).toEqual(take("run 1", 50));
  expect(take("run 1", 50)).not.toEqual(take("run 2", 50));
  expect(new Set(Array.from({ length: 2000 }, (_, seed) => take(String(seed), 1)[0])).size).toBe(2000);
});

test("the sequence never changes: runs in flight replay it under later versions", () => {
  const random = createRandom("holdfast");
  expect([random.next(), random.next(), random.uuid()]).toMatchInlineSnapshot(`
    [
      0.2886491057465187,
      0.4343374190414111,
      "4fdce05e-f6c4-4bbd-8d30-1de6ff02e603",
    ]
  `);
});

test("numbers are in [0, 1) and evenly spread", () => {
  const tenths = new Array<number>(10).fill(0);
  for (const number of take("spread", 20_000)) {
    expect(number >= 0 && number < 1).toBe(true);
    const tenth = Math.floor(number * 10);
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  for (const count of tenths) expect(Math.abs(count - 2000)).toBeLessThan(250);
});

test("UUIDs are of version 4, variant 1, and differ", () => {
  const random = createRandom("uuid");
  const ids = Array.from({ length: 1000 }, () => random.uuid());
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(new Set(ids).size).toBe(1000);
});
