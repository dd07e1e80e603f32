/** Inference from end to end; checked by tsc, never run. */
import type { Context } from "hono";
import { expectTypeOf } from "vitest";
import * as z from "zod";
import { createWorker, defineWorkflow, getRun, signal } from "../../src/index.ts";
import type { FetchAnswer, RunHandle, RunView, Step, WebhookCall } from "../../src/index.ts";

const order = defineWorkflow("order", {
  input: z.object({ id: z.string(), total: z.number().default(0), due: z.coerce.date() }),
  signals: { decision: z.object({ approved: z.boolean() }) },
  retries: 4,
  labels: (input) => ({ id: input.id }),
  handler: async (input, step) => {
    // The handler gets what the schema makes of the input.
    expectTypeOf(input).toEqualTypeOf<{ id: string; total: number; due: Date }>();
    const charge = await step.run("charge", async ({ attempt, idempotencyKey, signal: aborted }) => {
      expectTypeOf(attempt).toEqualTypeOf<number>();
      expectTypeOf(idempotencyKey).toEqualTypeOf<string>();
      expectTypeOf(aborted).toEqualTypeOf<AbortSignal>();
      return { receipt: String(attempt) };
    });
    expectTypeOf(charge).toEqualTypeOf<{ receipt: string }>();
    expectTypeOf(await step.run("sync", () => step.now())).toEqualTypeOf<number>();

    const page = await step.fetch<{ text: string }>("page", "https://example.com", {
      acceptStatus: [404],
      undo: ({ body }) => expectTypeOf(body).toEqualTypeOf<{ text: string }>(),
    });
    expectTypeOf(page).toEqualTypeOf<FetchAnswer<{ text: string }>>();
    expectTypeOf(
      (await step.fetch("any", { url: new URL("https://example.com"), body: [1] })).body,
    ).toEqualTypeOf<unknown>();
    // @ts-expect-error nobody can promise it of a request that another process makes
    void step.fetch("once", "https://example.com", { atMostOnce: true });

    // A declared signal is typed by its schema; null only where there is a timeout.
    expectTypeOf(await step.waitFor("decision")).toEqualTypeOf<{ approved: boolean }>();
    expectTypeOf(await step.waitFor("decision", { timeout: "7 days" })).toEqualTypeOf<{ approved: boolean } | null>();
    // A schema of the wait's own says what it gives, also where the workflow has another for the name.
    expectTypeOf(await step.waitFor("decision", { schema: z.string() })).toEqualTypeOf<string>();
    expectTypeOf(await step.waitFor("decision", { schema: z.date(), timeout: 5 })).toEqualTypeOf<Date | null>();
    expectTypeOf(await step.waitFor<{ x: 1 }>(`other:${input.id}`)).toEqualTypeOf<{ x: 1 }>();
    expectTypeOf(await step.waitFor<{ x: 1 }>("other", { timeout: 5 })).toEqualTypeOf<{ x: 1 } | null>();

    const hook = await step.webhook("callback", { timeout: "1 h" });
    expectTypeOf(hook.url).toEqualTypeOf<string>();
    expectTypeOf(await hook.received()).toEqualTypeOf<WebhookCall | null>();

    expectTypeOf(step.now()).toEqualTypeOf<number>();
    expectTypeOf(step.random()).toEqualTypeOf<number>();
    expectTypeOf(step.uuid()).toEqualTypeOf<string>();
    expectTypeOf(step.info.id).toEqualTypeOf<string>();
    expectTypeOf(step.info.author.role).toEqualTypeOf<string | undefined>();
    expectTypeOf(step.bail).returns.toBeNever();
    expectTypeOf(step.fail).returns.toBeNever();
    const decision = await step.waitFor<{ approved: boolean }>("late", { timeout: "1 d" });
    // TypeScript follows a call that never returns only where `step` is annotated; `return` always works.
    if (decision === null) return step.bail("timed out");
    expectTypeOf(decision).toEqualTypeOf<{ approved: boolean }>();

    // @ts-expect-error a step needs a name and a function
    void step.run(() => 1);
    // @ts-expect-error attempts are not an option
    void step.run("x", () => 1, { attempts: 3 });
    return { receipt: charge.receipt, approved: decision.approved };
  },
});

const plain = defineWorkflow("plain", { handler: async (input: { n: number }) => input.n * 2 });
const bare = defineWorkflow("bare", { handler: () => "done" });

// From the handler to result(), and from the schema's input to start().
async function handles(): Promise<void> {
  const run = await order.start({ id: "1", due: "2026-01-01" }, { id: "o-1", delay: "5 m", labels: { tier: "gold" } });
  expectTypeOf(await run.result()).toEqualTypeOf<{ receipt: string; approved: boolean }>();
  expectTypeOf(await run.status()).toEqualTypeOf<RunView<{ receipt: string; approved: boolean }>>();
  await run.signal("decision", { approved: true });
  await run.cancel("no longer needed");
  expectTypeOf(await (await plain.start({ n: 1 })).result()).toEqualTypeOf<number>();
  expectTypeOf(await (await bare.start()).result()).toEqualTypeOf<string>();
  expectTypeOf(order.get("o-1")).toExtend<RunHandle<{ receipt: string; approved: boolean }>>();

  // @ts-expect-error the id is missing
  await order.start({ due: "2026-01-01" });
  // @ts-expect-error the input is missing
  await plain.start();
  // @ts-expect-error n is a number
  await plain.start({ n: "1" });

  expectTypeOf(await getRun<string>("o-1").result()).toEqualTypeOf<string>();
  await getRun("o-1").signal("decision", { approved: true }, { idempotencyKey: "k" });
  const told = await signal("decision", { approved: true }, { idempotencyKey: "k" });
  expectTypeOf(told).toEqualTypeOf<{ readonly delivered: number; readonly buffered: boolean }>();
}

const worker = createWorker({ workflows: [order, plain, bare] });
// A route of Hono has a context of its own type.
void ((context: Context) => worker.fetch(context.req.raw, context.env, context.executionCtx));
void ((request: Request) => worker.fetch(request));
expectTypeOf(worker.objects).toHaveProperty("RunObject");
expectTypeOf(worker.objects).toHaveProperty("DirectoryObject");
export default worker satisfies ExportedHandler;

// @ts-expect-error a workflow needs a handler
defineWorkflow("none", {});
// What is wrong is said where it is, with a schema as without.
defineWorkflow("typo", {
  input: z.object({}),
  // @ts-expect-error no such option
  retrys: 3,
  handler: () => 1,
});
defineWorkflow("typo", {
  input: z.object({}),
  // @ts-expect-error no such answer to an overlap
  schedule: { cron: "0 7 * * *", overlap: "wait" },
  handler: () => 1,
});
// What a schedule starts its runs with is an input as any start gives, before the schema has made of it what it makes.
defineWorkflow("nightly", {
  input: z.object({ kind: z.string(), days: z.coerce.number<string>() }),
  schedule: ["0 * * * *", { cron: "0 7 * * *", input: { kind: "morning", days: "1" } }],
  handler: (input) => input.days,
});
defineWorkflow("nightly", {
  input: z.object({ kind: z.string() }),
  // @ts-expect-error an input that the schema does not take
  schedule: { cron: "0 7 * * *", input: { kind: 7 } },
  handler: () => 1,
});
defineWorkflow("nightly", {
  schedule: ["0 * * * *", { cron: "0 7 * * *", input: { kind: 7 } }],
  // @ts-expect-error the schedule has an input that the handler does not take
  handler: (input: { kind: string } | undefined) => input?.kind,
});
// @ts-expect-error what the handler returns must fit the output schema
defineWorkflow("mismatch", { input: z.object({}), output: z.object({ n: z.number() }), handler: () => ({ n: "1" }) });

void handles;

/** Options that are known only at run time, and payloads as they are sent and as they arrive. */
const told = defineWorkflow("told", {
  signals: {
    at: z.coerce.date<string>(),
    note: z.string().optional(),
    leave: z.object({ why: z.string().optional() }),
  },
  handler: async (input: { timeout?: "1 h"; settled: boolean }, step) => {
    expectTypeOf(await step.waitFor("at")).toEqualTypeOf<Date>();
    const { timeout } = input;
    expectTypeOf(await step.waitFor("at", timeout === undefined ? {} : { timeout })).toEqualTypeOf<Date | null>();
    expectTypeOf(await step.waitFor<number>("other", { timeout: "1 h" })).toEqualTypeOf<number | null>();
    expectTypeOf(await step.map("all", [1], (n) => n, { settled: input.settled })).toEqualTypeOf<
      (number | undefined)[] | PromiseSettledResult<number>[]
    >();
    expectTypeOf(await step.map("some", [1], (n) => n, { tolerate: 1 })).toEqualTypeOf<(number | undefined)[]>();
  },
});

async function tells(): Promise<void> {
  const run = told.get("told-1");
  await run.signal("at", "2026-01-01");
  await run.signal("note");
  // Without a payload it is `{}`.
  await run.signal("leave");
  await run.signal("leave", undefined, { idempotencyKey: "k" });
  await run.signal("undeclared", { any: 1 });
  await getRun("told-1").signal("at");
  // @ts-expect-error what is sent is what the schema takes
  await run.signal("at", 7);
  // @ts-expect-error the payload is missing
  await run.signal("at");
  await run.signal("undeclared", 1, {
    // @ts-expect-error what is wrong is said where it is
    key: "k",
  });
  await order.get("o-1").signal("decision", {
    // @ts-expect-error
    approved: "yes",
  });
}

void tells;

/** An input of continueAsNew is one as any start gives; a helper that takes any step does not say which. */
defineWorkflow("counts", {
  input: z.object({ n: z.number(), step: z.number().default(1) }),
  signals: { stop: z.object({ by: z.string() }) },
  handler: async ({ n }, step) => {
    await again(step);
    // @ts-expect-error an input that the schema does not take
    if (n > 2) await step.continueAsNew({ m: n });
    return await step.continueAsNew({ n: n + 1 });
  },
});
defineWorkflow("counts", {
  handler: async (n: number | undefined, step) => {
    if (n === undefined) await step.continueAsNew();
    // @ts-expect-error the handler takes a number
    return await step.continueAsNew("1");
  },
});
// @ts-expect-error the workflow declares no signal of which its handler could know the type
defineWorkflow("undeclared", { handler: (_: unknown, step: Step<{ stop: { by: string } }>) => step.waitFor("stop") });

function again(step: Step): Promise<never> {
  return step.continueAsNew({ any: 1 });
}
