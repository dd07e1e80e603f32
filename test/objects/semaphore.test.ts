import { expect, test } from "vitest";
import { Semaphore } from "../../src/objects/semaphore.ts";

test("so many are in a place at once, and the next come in the order in which they asked", async () => {
  const places = new Semaphore(2);
  const ends: (() => void)[] = [];
  const begun: number[] = [];
  const act = (who: number) => () => {
    begun.push(who);
    return new Promise<void>((end) => ends.push(end));
  };
  const passing = [0, 1, 2, 3].map((who) => places.pass(act(who)));
  expect(begun).toEqual([0, 1]);
  expect(places.wanted).toBe(4);
  ends[1]?.();
  await passing[1];
  expect(begun).toEqual([0, 1, 2]);
  ends[0]?.();
  await passing[0];
  expect(begun).toEqual([0, 1, 2, 3]);
  for (const end of ends) end();
  await Promise.all(passing);
  expect(places.wanted).toBe(0);
});

test("a place is given back once, also by one who fails in it", async () => {
  const places = new Semaphore(1);
  await expect(places.pass(() => Promise.reject(new Error("it failed")))).rejects.toThrow("it failed");
  const leave = await places.take();
  const next = places.take();
  leave();
  leave();
  const last = await next;
  expect(places.wanted).toBe(1);
  last();
  expect(places.wanted).toBe(0);
});
