/** Workflows that the tests of the HTTP API drive. */
import * as z from "zod";
import { defineWorkflow } from "../../../src/index.ts";

/** Waits for an approval; its input and its signal have schemas. */
const order = defineWorkflow("web-order", {
  input: z.object({ id: z.string(), total: z.number() }),
  signals: { approval: z.object({ approved: z.boolean() }) },
  labels: ({ id }) => ({ order: id }),
  handler: async (order, step) => {
    const charge = await step.run("charge", () => ({ amount: order.total, at: new Date(0) }));
    const decision = await step.waitFor("approval", { timeout: "7 days" });
    if (decision === null) return step.bail("approval timed out");
    return { charge, approved: decision.approved };
  },
});

/** Answers with what it was given, and publishes it. */
const echo = defineWorkflow("web-echo", {
  handler: async (input: unknown, step) => {
    step.progress({ seen: input });
    return await step.run("echo", () => input);
  },
});

/** Waits for a signal of any name and payload. */
const listen = defineWorkflow("web-listen", {
  handler: async (input: { name: string }, step) => await step.waitFor<unknown>(input.name),
});

const sleeper = defineWorkflow("web-sleeper", {
  handler: async (_input: unknown, step) => await step.sleep("nap", "1 day"),
});

/** Hands out an address and answers with the call that came. */
const hook = defineWorkflow("web-hook", {
  handler: async (input: { html?: boolean }, step) => {
    const { url, received } = await step.webhook("callback", {
      timeout: "1 hour",
      verify: ({ headers }) => headers["x-forged"] === undefined,
      ...(input.html === true
        ? { respond: () => ({ status: 201, headers: { "content-type": "text/html" }, body: "<p>thanks</p>" }) }
        : {}),
    });
    return { url, call: await received() };
  },
});

/** The same, and stays until it is told to end. */
const openHook = defineWorkflow("web-open-hook", {
  handler: async (input: { timeout?: string }, step) => {
    const { received } = await step.webhook("callback", { timeout: input.timeout ?? "1 hour" });
    const call = await received();
    await step.waitFor("end");
    return call;
  },
});

const repaired = new Set<string>();

/** What fails in this run works from now on. */
export function repair(run: string): void {
  repaired.add(run);
}

const fragile = defineWorkflow("web-fragile", {
  retries: 0,
  handler: async (_input: unknown, step) => {
    await step.run("first", () => 1);
    return await step.run("second", () => {
      if (repaired.has(step.info.id)) return "whole";
      throw new RangeError("broken", { cause: new Error("dropped") });
    });
  },
});

/** Fails in its own code, between what is kept and what it waits for. */
const stumbling = defineWorkflow("web-stumbling", {
  handler: async (_input: unknown, step) => {
    for (const name of ["first", "second", "third"]) await step.run(name, () => 1);
    if (!repaired.has(step.info.id)) throw new RangeError("broken");
    return await step.waitFor("go");
  },
});

const planned = defineWorkflow("web-planned", {
  schedule: { cron: "0 3 1 1 *", id: "web-yearly", timezone: "Europe/Berlin", input: { year: true } },
  handler: () => null,
});

/** Its labels take for granted what no schema checks. */
const labelled = defineWorkflow("web-labelled", {
  labels: (input: { who: { name: string } }) => ({ name: input.who.name }),
  handler: () => null,
});

/** What its schemas make of a text may throw. */
const parsed = z.string().transform((text): unknown => JSON.parse(text));
const brittle = defineWorkflow("web-brittle", {
  input: parsed,
  signals: { go: parsed },
  handler: async (input, step) => [input, await step.waitFor("go")],
});

export const httpWorkflows = [
  order,
  echo,
  listen,
  sleeper,
  hook,
  openHook,
  fragile,
  stumbling,
  planned,
  labelled,
  brittle,
];
