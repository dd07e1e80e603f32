/** The counted workflows, each as small as possible. */
import { defineWorkflow } from "../../src/index.ts";
import type { Step } from "../../src/index.ts";

async function quickSteps(step: Step, count: number): Promise<void> {
  for (let index = 1; index <= count; index++) await step.run("step", () => soon(index));
}

/** Waits for a moment, as nearly every real step does. */
async function soon<Value>(value: Value, ms = 1): Promise<Value> {
  await scheduler.wait(ms);
  return value;
}

/** A number of quick steps. */
const quick = defineWorkflow("quick", {
  handler: ({ count }: { count: number }, step) => quickSteps(step, count),
});

/** Removed after a moment: the difference to `quick` is the usage of a removal. */
const brief = defineWorkflow("brief", {
  retention: "2s",
  handler: ({ count }: { count: number }, step) => quickSteps(step, count),
});

/** Five quick steps, a mail, and a person who answers within three days. */
const approval = defineWorkflow("approval", {
  handler: async ({ mail }: { mail: string }, step) => {
    await quickSteps(step, 5);
    const decision = await step.webhook("decision", { timeout: "3 days" });
    await step.run("mail", () => call(mail, { to: "ana@example.com", url: decision.url }));
    await decision.received();
  },
});

/** Twenty steps, then a hundred at once. */
const fan = defineWorkflow("fan", {
  handler: async (_input: unknown, step) => {
    await quickSteps(step, 20);
    const items = Array.from({ length: 100 }, (_, index) => index);
    // Spread over time, because items that end together share a row, which real items seldom do.
    await step.map("item", items, (item) => soon(item, 5 + ((item * 7) % 10) * 5));
  },
});

/** One step that waits for a language model. */
const model = defineWorkflow("model", {
  handler: ({ url }: { url: string }, step) => step.run("ask", () => call(url, { prompt: "…" })),
});

/** The same request, sent by a courier while the run is idle. */
const letter = defineWorkflow("letter", {
  handler: async ({ url }: { url: string }, step) => {
    const { status } = await step.fetch("ask", { url, method: "POST", body: { prompt: "…" } });
    return status;
  },
});

/** One step in a lane that many runs share. */
const laned = defineWorkflow("laned", {
  lane: { name: "mail", limit: 1000 },
  handler: (_input: unknown, step) => quickSteps(step, 1),
});

/** One child that is waited for. */
const parent = defineWorkflow("parent", {
  handler: (_input: unknown, step) => step.invoke(quick, { count: 1 }),
});

async function call(url: string, body: object): Promise<string> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  return await response.text();
}

export const workflows = [quick, brief, approval, fan, model, letter, laned, parent];
