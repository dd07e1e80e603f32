/** What the options of flow control are told of the input; checked by tsc, never run. */
import { expectTypeOf } from "vitest";
import * as z from "zod";
import { defineWorkflow } from "../../src/index.ts";
import type { Concurrency, Debounce, Rate, Singleton } from "../../src/index.ts";

// From the schema: what it makes of the input, as the handler gets it.
defineWorkflow("of-schema", {
  input: z.object({ tenant: z.string(), size: z.coerce.number(), at: z.coerce.date() }),
  lane: { name: "mail", limit: 5 },
  concurrency: {
    limit: 2,
    key: (input) => {
      expectTypeOf(input).toEqualTypeOf<{ tenant: string; size: number; at: Date }>();
      return input.tenant;
    },
    scope: "step",
  },
  rateLimit: { limit: 10, period: "1 m", key: ({ tenant }) => tenant },
  throttle: { limit: 10, period: 250, key: ({ at }) => at.toISOString() },
  singleton: { key: ({ tenant }) => tenant, mode: "replace" },
  debounce: { period: "5 s", key: ({ tenant }) => tenant, max: "1 m" },
  priority: ({ size }) => -size,
  handler: (input) => input.size,
});

// From the handler, where there is no schema.
defineWorkflow("of-handler", {
  handler: (input: { tenant: string }) => input.tenant,
  concurrency: { limit: 2, key: ({ tenant }) => tenant },
  singleton: { mode: "skip", key: ({ tenant }) => tenant },
  priority: ({ tenant }) => tenant.length,
});

const handler = (input: { tenant: string; size: number }): string => input.tenant;

defineWorkflow("plain", { handler, concurrency: 3, lane: "mail", priority: 10, singleton: { mode: "queue" } });
expectTypeOf(defineWorkflow("kept", { handler, concurrency: 3 }).start)
  .parameter(0)
  .toEqualTypeOf<{ tenant: string; size: number }>();

// @ts-expect-error a key is text
defineWorkflow("number", { handler, concurrency: { limit: 1, key: ({ size }) => size } });
// @ts-expect-error there is no such field of the input
defineWorkflow("missing", { handler, debounce: { period: "1 s", key: ({ owner }) => owner } });
// @ts-expect-error a rate has a period
defineWorkflow("endless", { handler, rateLimit: { limit: 1 } });
// @ts-expect-error there is no such mode
defineWorkflow("mode", { handler, singleton: { mode: "drop" } });
// @ts-expect-error a singleton says what becomes of a start beside it
defineWorkflow("modeless", { handler, singleton: {} });
// @ts-expect-error there is no such scope
defineWorkflow("scope", { handler, concurrency: { limit: 1, scope: "attempt" } });
// @ts-expect-error a lane that is given with a limit has both
defineWorkflow("limitless", { handler, lane: { name: "mail" } });
// @ts-expect-error a priority is a number
defineWorkflow("high", { handler, priority: "high" });
// @ts-expect-error and so is what is made of the input
defineWorkflow("higher", { handler, priority: ({ tenant }) => tenant });

// Options may be written apart.
export const options = {
  concurrency: { limit: 1, key: ({ id }) => id } satisfies Concurrency<{ id: string }>,
  throttle: { limit: 1, period: "1 s" } satisfies Rate,
  singleton: { mode: "skip" } satisfies Singleton,
  debounce: { period: "1 s", key: ({ id }) => id } satisfies Debounce<{ id: string }>,
};
