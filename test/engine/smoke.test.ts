import { expect, test } from "vitest";
import { play } from "./host.ts";
test("smoke", async () => {
  const host = await play(async (_i, step) => {
    const a = await step.run("a", () => 1);
    await step.sleep("1 day");
    const b = await Promise.all([step.run("b", () => 2), step.run("b", async () => 3)]);
    return [a, b, step.now(), step.uuid()];
  });
  console.warn(host.journal.entries, host.snapshot);
  expect(host.status).toBe("completed");
});
