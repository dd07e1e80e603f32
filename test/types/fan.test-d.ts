/** Types of map, race, patched, continueAsNew and the presets; checked by tsc, never run. */
import { expectTypeOf } from "vitest";
import * as z from "zod";
import { defineWorkflow, presets } from "../../src/index.ts";

const ship = defineWorkflow("ship", {
  input: z.object({ order: z.string(), express: z.boolean().default(false) }),
  handler: (input) => ({ tracking: input.order }),
});

defineWorkflow("fan", {
  input: z.object({ ids: z.array(z.string()), round: z.number().default(0) }),
  signals: { decision: z.object({ approved: z.boolean() }) },
  handler: async (input, step) => {
    const sizes = await step.map("size", input.ids, async (id, { index, attempt, idempotencyKey, signal }) => {
      expectTypeOf(id).toEqualTypeOf<string>();
      expectTypeOf(index).toEqualTypeOf<number>();
      expectTypeOf(attempt).toEqualTypeOf<number>();
      expectTypeOf(idempotencyKey).toEqualTypeOf<string>();
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
      return id.length;
    });
    expectTypeOf(sizes).toEqualTypeOf<number[]>();
    const fixed = [{ n: 1 }, { n: 2 }] as const;
    const booked = await step.map("book", fixed, (item) => `${item.n}`, {
      concurrency: 5,
      ...presets.http,
      undo: (result, { item, index, idempotencyKey }) => {
        expectTypeOf(result).toEqualTypeOf<string>();
        expectTypeOf(item.n).toEqualTypeOf<1 | 2>();
        expectTypeOf([index, idempotencyKey]).toEqualTypeOf<(string | number)[]>();
      },
    });
    expectTypeOf(booked).toEqualTypeOf<string[]>();

    // Within a tolerance, results may be missing.
    const some = await step.map("some", input.ids, (id) => id.length, { tolerate: 0.05 });
    expectTypeOf(some).toEqualTypeOf<(number | undefined)[]>();
    const settled = await step.map("settled", input.ids, (id) => id.length, { settled: true, tolerate: 3 });
    expectTypeOf(settled).toEqualTypeOf<PromiseSettledResult<number>[]>();

    const shipped = await step.map("ship", [{ order: "a" }], ship, { concurrency: 3, onParentEnd: "abandon" });
    expectTypeOf(shipped).toEqualTypeOf<{ tracking: string }[]>();
    const most = await step.map("ship", [{ order: "a" }], ship, { tolerate: 1 });
    expectTypeOf(most).toEqualTypeOf<({ tracking: string } | undefined)[]>();
    const each = await step.map("ship", [{ order: "a" }], ship, { settled: true });
    expectTypeOf(each).toEqualTypeOf<PromiseSettledResult<{ tracking: string }>[]>();
    expectTypeOf(await step.map<{ ok: true }>("named", [1, 2], "other")).toEqualTypeOf<{ ok: true }[]>();

    const won = await step.race({
      decision: () => step.waitFor("decision"),
      late: () => step.sleep("1 day"),
      both: async () => ({ size: await step.run("size", () => 7) }),
      value: () => "now",
    });
    switch (won.key) {
      case "decision":
        expectTypeOf(won.value).toEqualTypeOf<{ approved: boolean }>();
        break;
      case "late":
        expectTypeOf(won.value).toEqualTypeOf<void>();
        break;
      case "both":
        expectTypeOf(won.value).toEqualTypeOf<{ size: number }>();
        break;
      case "value":
        expectTypeOf(won.value).toEqualTypeOf<string>();
        break;
      default:
        won satisfies never;
    }

    expectTypeOf(step.patched("change")).toEqualTypeOf<boolean>();
    expectTypeOf(step.info.continued).toEqualTypeOf<number>();
    if (input.round < 3) return await step.continueAsNew({ ids: [], round: input.round + 1 });

    await step.run("ask", () => 1, { ...presets.ai, sensitive: true });

    // @ts-expect-error a map needs a name, items and what to do with them
    void step.map("size", input.ids);
    // @ts-expect-error the width is called concurrency
    void step.map("size", input.ids, (id) => id, { window: 5 });
    void step.map("size", input.ids, (id) => id.length, {
      // @ts-expect-error said where it is, and the item is typed all the same
      window: 5,
    });
    // @ts-expect-error an order has an id
    void step.map("ship", [{ id: "a" }], ship);
    // @ts-expect-error every child run would have the same id
    void step.map("ship", [{ order: "a" }], ship, { id: "x" });
    // @ts-expect-error a branch is a function
    void step.race({ late: step.sleep("1 day") });
    // @ts-expect-error a change has a name
    void step.patched();
    // @ts-expect-error presets are not to be changed
    presets.ai.timeout = 5;
    return [];
  },
});
