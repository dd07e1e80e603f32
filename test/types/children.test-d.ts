/** What `step.invoke`, `step.start` and `step.signal` take and give; checked by tsc, never run. */
import { expectTypeOf } from "vitest";
import * as z from "zod";
import { defineWorkflow } from "../../src/index.ts";

const ship = defineWorkflow("ship", {
  input: z.object({ order: z.string(), fast: z.boolean().default(false) }),
  handler: async ({ order }) => ({ tracking: order }),
});
const tally = defineWorkflow("tally", { handler: async (input: { n: number }) => input.n });
const bare = defineWorkflow("bare", { handler: () => "done" });

export const parent = defineWorkflow("parent", {
  handler: async (_input: unknown, step) => {
    // The child's own types, from its input's schema to what its handler returns.
    const shipped = await step.invoke(ship, { order: "o-1" });
    expectTypeOf(shipped).toEqualTypeOf<{ tracking: string }>();
    expectTypeOf(await step.invoke(tally, { n: 1 }, { id: "t", timeout: "5 m" })).toEqualTypeOf<number>();
    expectTypeOf(await step.invoke(bare, undefined)).toEqualTypeOf<string>();
    // One that takes nothing is given nothing.
    expectTypeOf(await step.invoke(bare)).toEqualTypeOf<string>();
    expectTypeOf(await step.start(bare)).toEqualTypeOf<{ readonly id: string }>();
    expectTypeOf(await step.start(ship, { order: "o-1" }, { labels: { a: "b" } })).toEqualTypeOf<{
      readonly id: string;
    }>();

    // By name nothing is known of it but what the caller says.
    expectTypeOf(await step.invoke("ship", { anything: 1 })).toEqualTypeOf<unknown>();
    expectTypeOf(await step.invoke<number>("tally", { n: 1 }, { onParentEnd: "abandon" })).toEqualTypeOf<number>();
    expectTypeOf(await step.start("bare")).toEqualTypeOf<{ readonly id: string }>();
    expectTypeOf(await step.signal("run-1", "go", { any: "thing" })).toEqualTypeOf<void>();

    // @ts-expect-error it needs an input
    void step.invoke(ship);
    // The compiler says what is wrong where it is, and not that a workflow is no name.
    void step.invoke(ship, {
      // @ts-expect-error the order is text
      order: 7,
    });
    void step.start(
      ship,
      { order: "o-1" },
      {
        // @ts-expect-error no such option
        label: {},
      },
    );
    // @ts-expect-error the order is missing
    void step.invoke(ship, {});
    // @ts-expect-error n is a number
    void step.start(tally, { n: "1" });
    // @ts-expect-error nobody waits for it, so nothing times out
    void step.start(tally, { n: 1 }, { timeout: 5 });
    // @ts-expect-error no such policy
    void step.invoke(tally, { n: 1 }, { onParentEnd: "kill" });
  },
});
