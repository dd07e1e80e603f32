import { expect, test } from "vitest";
import { reportingDeaths } from "../../src/objects/run/witness.ts";

test.each([
  ["start", 1],
  ["repeat", 1],
  ["signal", 1],
  ["read", 0],
] as const)("an object that dies under %s is told so %i times", async (call, times) => {
  let told = 0;
  const dies = (): Promise<never> => Promise.reject(new Error("Network connection lost"));
  const died = (): Promise<void> => Promise.resolve(void told++);
  const object = reportingDeaths({ start: dies, repeat: dies, signal: dies, read: dies }, () => ({ died }));
  await expect(object[call]()).rejects.toThrow("Network connection lost");
  expect(told).toBe(times);
});
