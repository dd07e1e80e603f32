/** Workflows that wait for calls, and webhooks that start runs. */
import { z } from "zod";
import { defineWebhook, defineWorkflow, verify } from "../../../src/index.ts";
import type { Step } from "../../../src/index.ts";

/** What a function makes that never says anything. */
const never = new Promise<never>(() => {});

type Waits = {
  readonly timeout?: string;
  readonly secret?: string;
  readonly names?: readonly string[];
  readonly end?: boolean;
  /** Says nothing of a call that has no body. */
  readonly silent?: boolean;
  readonly broken?: boolean;
};

function throws(): never {
  throw new Error("a secret of the author's");
}

/** Waits for the first call of each of its webhooks; then, unless it is to end, for a signal. */
const awaitsCalls = defineWorkflow("awaits-calls", {
  handler: async (input: Waits, step: Step) => {
    const { names = ["paid"], secret, timeout, end = true, silent = false, broken = false } = input;
    const hooks = [];
    for (const name of names) {
      hooks.push(
        await step.webhook(name, {
          ...(timeout === undefined ? {} : { timeout }),
          ...(secret === undefined ? {} : { verify: verify.github(secret) }),
          ...(broken ? { verify: throws } : {}),
          ...(silent ? { verify: ({ body }) => (body === null ? never : true), respond: () => never } : {}),
        }),
      );
    }
    const calls = await Promise.all(hooks.map((hook) => hook.received()));
    if (!end) await step.waitFor("end");
    return calls.map((call) => call?.body ?? null);
  },
});

/** What was done, by delivery: a run that is started twice does it twice. */
export const effects: string[] = [];

const takesDelivery = defineWorkflow("takes-delivery", {
  input: z.object({ n: z.number(), by: z.string().optional() }),
  handler: async (input, step) => {
    await step.run("note", () => void effects.push(`${step.info.id} ${input.n}`));
    return input;
  },
});

const takesFew = defineWorkflow("takes-few", {
  rateLimit: { limit: 1, period: "1 hour" },
  handler: async (input: unknown) => input,
});

const takesOne = defineWorkflow("takes-one", {
  singleton: { mode: "skip" },
  handler: async (_input: unknown, step) => await step.waitFor("end"),
});

const takesAnything = defineWorkflow("takes-anything", { handler: async (input: unknown) => input });

export const webhookWorkflows = [awaitsCalls, takesDelivery, takesFew, takesOne, takesAnything];

export const githubSecret = ["the secret of GitHub", "the one before"];
export const standardSecret = "whsec_YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcywgb2s=";

export const webhooks = [
  defineWebhook("github", { verify: verify.github(githubSecret), workflow: takesDelivery }),
  defineWebhook("standard", {
    verify: verify.standardWebhooks(standardSecret),
    workflow: takesDelivery,
    // Differs with each attempt of the sender's.
    input: ({ body, headers }) => ({ n: (body as { n: number }).n, by: headers["x-attempt"] ?? "" }),
  }),
  defineWebhook("slack", {
    verify: verify.slack("the secret of Slack"),
    workflow: takesAnything,
    input: ({ body }) => ((body as { type?: string }).type === "url_verification" ? null : body),
    respond: ({ body }, run) => {
      const { challenge } = body as { challenge?: string };
      return run === null ? { body: { challenge } } : { status: 200, body: { run: run.id, duplicate: run.duplicate } };
    },
  }),
  defineWebhook("open", { verify: "none", workflow: takesAnything, methods: ["POST", "PUT"], maxBytes: 100 }),
  defineWebhook("numbered", {
    verify: "none",
    workflow: takesAnything,
    id: ({ query }) => query["id"] ?? null,
    input: ({ raw, query }) => {
      if (query["broken"] !== undefined) throw new Error("a secret of the author's");
      return { bytes: raw.length, query };
    },
  }),
  defineWebhook("few", { verify: verify.token({ token: "the token" }), workflow: takesFew }),
  defineWebhook("one", {
    verify: verify.token({ token: "the token" }),
    workflow: takesOne,
    id: ({ query }) => query["id"] ?? null,
    respond: (_call, run) => ({ body: run }),
  }),
  // One of its functions says nothing: that of which the call speaks.
  defineWebhook("silent", {
    verify: ({ query }) => (query["silent"] === "verify" ? never : true),
    workflow: takesAnything,
    input: ({ query }) => (query["silent"] === "input" ? never : query),
    id: ({ query }) => (query["silent"] === "id" ? never : null),
    respond: ({ query }) => (query["silent"] === "respond" ? never : {}),
  }),
];
