/** What queries, updates and listeners infer; checked by tsc, never run. */
import { expectTypeOf } from "vitest";
import * as z from "zod";
import { defineWorkflow, getRun } from "../../src/index.ts";

const cart = defineWorkflow("cart", {
  signals: { note: z.object({ text: z.string() }) },
  handler: async (_input: { n: number }, step) => {
    const items: string[] = [];
    step.query("items", () => items);
    step.update("add", z.object({ item: z.string(), count: z.number().default(1) }), ({ item, count }) => {
      expectTypeOf(item).toEqualTypeOf<string>();
      expectTypeOf(count).toEqualTypeOf<number>();
      return items.push(item);
    });
    step.update("any", null, (argument) => {
      expectTypeOf(argument).toEqualTypeOf<unknown>();
    });
    step.update("told", null, async (argument: { x: 1 }) => argument.x);
    // A declared signal is typed by its schema.
    step.onSignal("note", (note) => {
      expectTypeOf(note).toEqualTypeOf<{ text: string }>();
    });
    step.onSignal<number>("other", (payload) => {
      expectTypeOf(payload).toEqualTypeOf<number>();
    });
    expectTypeOf(step.query).returns.toEqualTypeOf<void>();

    // @ts-expect-error the schema of the signal says what it brings
    step.onSignal("note", (note: string) => items.push(note));
    step.onSignal("told", (told: string) => items.push(told));
    step.onSignal(`told:${items.length}`, (told: string) => items.push(told));

    // @ts-expect-error an update says by its schema, or null, what it takes
    step.update("none", () => 1);
    // @ts-expect-error a query takes no argument
    step.query("with", (argument: string) => argument);
    await step.waitFor("note");
    return items;
  },
});

async function handles(): Promise<void> {
  const run = await cart.start({ n: 1 }, { id: "c-1", signal: { name: "note", payload: { text: "hi" } } });
  expectTypeOf(await run.query("items")).toEqualTypeOf<unknown>();
  expectTypeOf(await run.query<string[]>("items")).toEqualTypeOf<string[]>();
  expectTypeOf(await run.update<number>("add", { item: "tea" }, { idempotencyKey: "k" })).toEqualTypeOf<number>();
  expectTypeOf(await getRun("c-1").update("add")).toEqualTypeOf<unknown>();
  for (const act of [run.terminate, run.pause, run.resume, run.retry]) await act("because");
  // @ts-expect-error a signal has a name
  await cart.start({ n: 1 }, { signal: { payload: 1 } });
}

void handles;
