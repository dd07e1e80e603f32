/** Maps in their objects, whose processes end in the middle. */
import { describe, expect, test, vi } from "vitest";
import { ask, historyOf, newId, runThatIs, start } from "./client.ts";
import { calls, deathsAt, healed } from "./flows/fan.ts";

/** Items that were worked on more than once. */
function repeated(id: string): number {
  return [...(calls.get(id)?.values() ?? [])].reduce((sum, times) => sum + times - 1, 0);
}

/** The run once it has ended; asked rarely, for it has better to do. */
async function ended(id: string): Promise<Record<string, unknown>> {
  return await vi.waitFor(
    async () => {
      const { body } = await ask(`GET /v1/runs/${id}?wait=60s`);
      expect(body).toMatchObject({ finishedAt: expect.any(String) as string });
      return body;
    },
    { timeout: 110_000, interval: 500 },
  );
}

describe("a map of ten thousand items", () => {
  test(
    "guarantee 2: killed three times, repeats what was in flight and nothing else",
    { timeout: 120_000 },
    async () => {
      const id = newId("wide");
      const concurrency = 50;
      deathsAt.set(id, [1500, 5000, 9000]);
      await start("wide", { id, input: { items: 10_000, concurrency } });
      const run = await ended(id);
      expect(run).toMatchObject({ status: "completed", output: 49_995_000, steps: { completed: 10_000, failed: 0 } });
      expect(deathsAt.get(id)).toEqual([]);
      expect(calls.get(id)?.size).toBe(10_000);
      expect(repeated(id)).toBeGreaterThan(0);
      expect(repeated(id)).toBeLessThanOrEqual(3 * concurrency);
    },
  );
});

describe("a map that fails", () => {
  test("tells of it, and a retry runs only what failed and what had not begun", async () => {
    const broken = Array.from({ length: 400 }, (_unused, i) => i * 2);
    const input = { items: 1000, concurrency: 20, broken, tolerate: 350 };
    const { id } = await start("wide", { input }, "?wait=60s");
    const failed = await runThatIs(id, { status: "failed" });
    const { error } = failed as unknown as {
      error: { code: string; step: string; message: string; errors: unknown[] };
    };
    expect(error).toMatchObject({ code: "map_failed", step: "item" });
    expect(error.message).toMatch(/^3\d\d of 1000 items of "item" failed; the first: no 0$/);
    const before = new Map(calls.get(id));
    healed.add(id);
    expect((await ask(`POST /v1/runs/${id}/retry`)).status).toBe(200);
    expect(await ended(id)).toMatchObject({ status: "completed", output: 499_500 });
    const again = [...before.keys()].filter((item) => (calls.get(id)?.get(item) ?? 0) > (before.get(item) ?? 0));
    expect(again.every((item) => broken.includes(item))).toBe(true);
    expect(again.length).toBeGreaterThan(350);
    expect(calls.get(id)?.size).toBe(1000);
  });
});

describe("a map of a workflow", () => {
  test("starts a child run for each item and gives their outputs", async () => {
    const numbers = [1, 2, 3, 4, 5, 6];
    const { id } = await start("tripled", { input: { numbers, tolerate: 0 } }, "?wait=60s");
    await runThatIs(id, { status: "completed", output: [3, 6, 9, 12, 15, 18] });
    const started = (await historyOf(id)).filter(({ kind }) => kind === "child.started");
    expect(started.map(({ step }) => step)).toEqual(["child", "child#2", "child#3", "child#4", "child#5", "child#6"]);
  });

  test("fails of the children that failed, by their index, beyond its tolerance", async () => {
    const within = await start("tripled", { input: { numbers: [1, -2, 3], tolerate: 1 } }, "?wait=60s");
    await runThatIs(within.id, { status: "completed", output: [3, { $type: "undefined" }, 9] });
    const beyond = await start("tripled", { input: { numbers: [1, -2, 3, -4], tolerate: 1 } }, "?wait=60s");
    const run = await runThatIs(beyond.id, { status: "failed" });
    expect((run as unknown as { error: object }).error).toMatchObject({
      code: "map_failed",
      step: "child",
      errors: [
        { code: "child_failed", step: "child#2" },
        { code: "child_failed", step: "child#4" },
      ],
    });
  });
});
