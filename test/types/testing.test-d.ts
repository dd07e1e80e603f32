/** The testing kit's types; checked by tsc, never run. */
import { expectTypeOf } from "vitest";
import * as z from "zod";
import { defineWorkflow } from "../../src/index.ts";
import { hang, rehearse } from "../../src/testing.ts";
import type { Rehearsal } from "../../src/testing.ts";

const order = defineWorkflow("order", {
  input: z.object({ id: z.string(), due: z.coerce.date<string>() }),
  signals: { decision: z.object({ approved: z.boolean() }) },
  handler: async (input, step) => ({ due: input.due, charge: await step.run("charge", () => 1) }),
});
const bare = defineWorkflow("bare", { handler: async () => "done" });

export async function test() {
  const run = await rehearse(
    order,
    { id: "7", due: "2026-01-01" },
    {
      steps: {
        charge: ({ attempt, idempotencyKey, step, item, request }) => {
          expectTypeOf(attempt).toEqualTypeOf<number>();
          expectTypeOf([idempotencyKey, step]).toEqualTypeOf<string[]>();
          expectTypeOf(item).toEqualTypeOf<unknown>();
          expectTypeOf(request).toEqualTypeOf<Request | undefined>();
          return 1;
        },
        ship: hang,
      },
      undos: { charge: ({ result }) => result },
      children: { mail: ({ to }: { to: string }) => to, other: (input) => input, real: { workflow: bare, steps: {} } },
    },
  );
  expectTypeOf(run.output).toEqualTypeOf<{ due: Date; charge: number } | null>();
  expectTypeOf(await run.result()).toEqualTypeOf<{ due: Date; charge: number }>();
  await run.signal("decision", { approved: true });
  await run.signal("anything", 5);
  // @ts-expect-error the schema of the signal says what it brings
  await run.signal("decision", { approved: "yes" });
  // @ts-expect-error and that it brings something
  await run.signal("decision");
  // @ts-expect-error an input that the workflow does not take
  await rehearse(order, { id: 7 });
  // @ts-expect-error a workflow that takes an input
  await rehearse(order);
  expectTypeOf(await rehearse(bare)).toExtend<Rehearsal<string>>();
  expectTypeOf(await run.query<number>("total")).toEqualTypeOf<number>();
  expectTypeOf(run.child<string>(bare).output).toEqualTypeOf<string | null>();
  expectTypeOf(run.child(bare, 1).output).toEqualTypeOf<string | null>();
  expectTypeOf(run.child("bare").output).toEqualTypeOf<unknown>();
  await run.child(order).signal("decision", { approved: true });
  // @ts-expect-error the schema of the child's signal says what it brings
  await run.child(order).signal("decision", 5);
}
