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
  // @ts-expect-error what the API has no field for
  await orders.start({ id: "7" }, { notAfter: new Date() });

  expectTypeOf(await (await client.workflow<typeof nightly>("nightly").start()).result()).toEqualTypeOf<bigint>();
  expectTypeOf(await orders.get("order-7").fork()).toEqualTypeOf<typeof run>();
  const unknown = await client.workflow("whatever").start({ any: "thing" });
  expectTypeOf(await unknown.result()).toEqualTypeOf<unknown>();
  for await (const { id, status } of client.runs({ status: ["failed"] })) expectTypeOf([id, status]).not.toBeAny();
}

void clients;
