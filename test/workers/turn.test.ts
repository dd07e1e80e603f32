/** A turn is a turn: what the handler makes of one outcome is done before it is given the next. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { longTurns, turn } from "../../src/objects/run/turn.ts";
import { deepCleanUp, deepRace } from "./flows/deep.ts";
import { service } from "./driver.ts";
import { evict } from "./storage.ts";

describe("a turn", () => {
  it("comes after every microtask that is ready, and those they lead to (guarantee 3)", async () => {
    const passed = await runInDurableObject(env.RUNS.getByName("turning"), async () => {
      let count = 0;
      const spin = async (): Promise<void> => {
        while (count < 10_000) await Promise.resolve(count++);
      };
      const turned = turn();
      void spin();
      await turned;
      return count;
    });
    expect(passed).toBe(10_000);
  });

  it("comes in the order in which turns were asked for", async () => {
    const order: number[] = [];
    await runInDurableObject(env.RUNS.getByName("turning"), async () => {
      const next = longTurns();
      await Promise.all(Array.from({ length: 500 }, (_unused, index) => next().then(() => order.push(index))));
    });
    expect(order).toEqual(Array.from({ length: 500 }, (_unused, index) => index));
  });
});

describe("outcomes that come through many functions of the handler's own", () => {
  it.each([0, 4, 30].flatMap((depth) => [false, true].map((durable) => ({ depth, durable }))))(
    "win the race they won, also in replay: $depth deep, step.race: $durable (guarantee 3)",
    async ({ depth, durable }) => {
      const run = await deepRace.start({ depth, durable }, { id: `deep-race-${depth}-${durable}` });
      const parked = async () => {
        const { waitingFor } = await run.status();
        expect(waitingFor.map(({ name }) => name)).toContain("go");
      };
      await vi.waitFor(parked, { timeout: 60_000, interval: 20 });
      expect(await run.query("winner")).toBe("first");
      await evict(run.id);
      await run.signal("go", {});
      expect(await run.result()).toBe("first");
    },
  );

  it.each([
    { depth: 1, ms: 0 },
    { depth: 30, ms: 50 },
  ])("reach code that cleans up, $depth deep and $ms ms later", async ({ depth, ms }) => {
    const run = await deepCleanUp.start({ depth, ms }, { id: `deep-clean-up-${depth}` });
    const parked = async () => expect((await run.status()).status).toBe("waiting");
    await vi.waitFor(parked, { timeout: 60_000, interval: 20 });
    await run.cancel("enough");
    await expect(run.result()).rejects.toMatchObject({ code: "cancelled" });
    const { entries } = await service.runs.history(run.id, 0, 50);
    expect(entries.map(({ kind }) => kind).slice(-3)).toEqual([
      "run.cancel_requested",
      "step.completed",
      "run.cancelled",
    ]);
  });
});
