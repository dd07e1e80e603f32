/** What a client infers of a definition; checked by tsc, never run. */
import { expectTypeOf } from "vitest";
import * as z from "zod";
import { createClient } from "../../src/client.ts";
import { defineWorkflow } from "../../src/index.ts";

const order = defineWorkflow("order", {
  input: z.object({ id: z.string(), count: z.number().default(1) }),
  signals: { paid: z.object({ cents: z.number() }) },
  handler: async ({ id }) => ({ id, at: new Date(0) }),
});

const nightly = defineWorkflow("nightly", { handler: async (_input: undefined) => 7n });

const shipment = defineWorkflow("shipment", {
  input: z
    .union([z.object({ by: z.literal("sea"), days: z.string().transform(Number) }), z.object({ by: z.literal("air") })])
    .default({ by: "air" }),
  signals: { left: z.undefined(), seen: z.object({ at: z.coerce.date() }), weighed: z.number().optional() },
  handler: async (input) => (input.by === "sea" ? input.days : null),
});

async function inferred(token: string | undefined, signal: AbortSignal | undefined): Promise<void> {
  const shipments = createClient({ url: "http://localhost:8787", token }).workflow<typeof shipment>("shipment");
  await shipments.start({ by: "sea", days: "12" }, { delay: "1 hour" });
  // @ts-expect-error what is sent is what the schema takes, not what it makes of it
  await shipments.start({ by: "sea", days: 12 });
  const run = await shipments.start();
  expectTypeOf(await run.result({ signal })).toEqualTypeOf<number | null>();
  const { active } = await run.status();
  // No more than the API tells.
  expectTypeOf<keyof (typeof active)[number]>().toEqualTypeOf<"step" | "attempt" | "since">();
  await run.signal("left");
  await run.signal("weighed", 7, { idempotencyKey: "scales" });
  // @ts-expect-error a signal whose schema needs something
  await run.signal("seen");
  for await (const { seq } of run.events({ signal })) expectTypeOf(seq).toEqualTypeOf<number>();
}

async function clients(): Promise<void> {
  const client = createClient({ url: "http://localhost:8787", token: "t" });
  const orders = client.workflow<typeof order>("order");
  const run = await orders.start({ id: "7" }, { id: "order-7", startAt: new Date() });
  expectTypeOf(await run.result()).toEqualTypeOf<{ id: string; at: Date }>();
  expectTypeOf((await run.status()).output).toEqualTypeOf<{ id: string; at: Date } | null>();
  await run.signal("paid", { cents: 12 });
  await run.signal("undeclared", 5);
  // @ts-expect-error the schema of the signal says what it is sent
  await run.signal("paid", { euros: 12 });
  // @ts-expect-error the input's schema says what a start takes
  await orders.start({ id: 7 });
  // @ts-expect-error an order needs its input
  await orders.start();
  // @ts-expect-error an update is made with the handle
  await orders.start({ id: "7" }, { update: { name: "count" } });
  const [first] = await orders.startMany([{ input: { id: "7" }, id: "order-7", notAfter: new Date() }], {
    idempotencyKey: "morning",
  });
  if (first?.status === "fulfilled") expectTypeOf(first.value).toEqualTypeOf<typeof run>();
  // @ts-expect-error each needs its input
  await orders.startMany([{ id: "order-7" }]);
  // @ts-expect-error one key for all of them
  await orders.startMany([{ input: { id: "7" }, idempotencyKey: "own" }]);

  await client.workflow<typeof nightly>("nightly").startMany([{}, { delay: "1 hour" }]);
  expectTypeOf(await (await client.workflow<typeof nightly>("nightly").start()).result()).toEqualTypeOf<bigint>();
  expectTypeOf(await orders.get("order-7").fork()).toEqualTypeOf<typeof run>();
  const unknown = await client.workflow("whatever").start({ any: "thing" });
  expectTypeOf(await unknown.result()).toEqualTypeOf<unknown>();
  for await (const { id, status } of client.runs({ status: ["failed"] })) expectTypeOf([id, status]).not.toBeAny();
}

void clients;
void inferred;
