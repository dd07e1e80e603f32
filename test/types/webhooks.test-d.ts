/** What the compiler says to authors of webhooks. */
import { expectTypeOf, test } from "vitest";
import { z } from "zod";
import { defineWebhook, defineWorkflow, verify } from "../../src/index.ts";
import type { Delivery, InboundWebhook } from "../../src/index.ts";

const typed = defineWorkflow("typed", { input: z.object({ n: z.number() }), handler: async ({ n }) => n });
const loose = defineWorkflow("loose", { handler: async (input: { readonly text: string }) => input.text });
const signalled = defineWorkflow("signalled", { signals: { go: z.string() }, handler: async () => "done" });

test("a handshake is told apart by a schema, for a body is unknown", () => {
  const handshake = z.object({ type: z.literal("url_verification"), challenge: z.string() });
  const slackEvent = z.object({ event: z.unknown() });
  const onEvent = defineWorkflow("on-event", { input: slackEvent, handler: async () => {} });
  defineWebhook("slack", {
    verify: verify.slack("secret"),
    workflow: onEvent,
    input: ({ body }) => (handshake.safeParse(body).success ? null : (body as z.input<typeof slackEvent>)),
    respond: ({ body }) => {
      const { data } = handshake.safeParse(body);
      return data === undefined ? { status: 200 } : { body: { challenge: data.challenge } };
    },
  });
  // @ts-expect-error nobody knows what a body is
  defineWebhook("seven", { verify: "none", workflow: onEvent, input: ({ body }) => body.event });
});

test("a webhook is typed by the workflow it starts", () => {
  const made = defineWebhook("one", {
    verify: verify.github("s"),
    workflow: typed,
    input: (call) => {
      expectTypeOf(call).toEqualTypeOf<Delivery>();
      return call.body === null ? null : { n: 1 };
    },
    respond: (_call, run) => {
      expectTypeOf(run).toEqualTypeOf<{ readonly id: string; readonly duplicate: boolean } | null>();
      return { status: 200 };
    },
  });
  expectTypeOf(made).toEqualTypeOf<InboundWebhook>();
  defineWebhook("two", { verify: "none", workflow: loose, input: async ({ raw }) => ({ text: String(raw.length) }) });
  defineWebhook("three", { verify: ({ at, headers }) => at > 0 && headers["x"] === "y", workflow: signalled });
  // @ts-expect-error the workflow takes a number
  defineWebhook("four", { verify: "none", workflow: typed, input: () => ({ n: "1" }) });
  // @ts-expect-error who may call has to be said
  defineWebhook("five", { workflow: typed });
  // @ts-expect-error an open webhook is called none
  defineWebhook("six", { verify: "open", workflow: typed });
});
