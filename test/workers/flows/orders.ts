/** Workflows whose requests are made elsewhere. */
import { defineWorkflow } from "../../../src/index.ts";
import type { FetchOptions, FetchRequest, Step } from "../../../src/index.ts";

type Asks = {
  readonly target: string | FetchRequest;
  readonly options?: FetchOptions;
  /** So many at once. */
  readonly times?: number;
};

/** Answers what was answered, or how it failed. */
const asks = defineWorkflow("asks", {
  handler: async ({ target, options, times = 1 }: Asks, step) => {
    const answers = Array.from({ length: times }, () => step.fetch("ask", target, options));
    return times === 1 ? await answers[0] : (await Promise.all(answers)).map(({ status }) => status);
  },
});

/** Two requests around a step of its own. */
const asksTwice = defineWorkflow("asks-twice", {
  retry: { delay: 50 },
  handler: async (target: string, step) => {
    const first = await step.fetch<number>("first", target);
    const next = await step.run("next", () => first.body + 1);
    const second = await step.fetch<number>("second", { url: target, method: "POST", body: { next } });
    return [first.body, next, second.body];
  },
});

const ask = async (target: string, step: Step) => (await step.fetch("ask", target)).body;

/** One run of them, or one step of theirs, is at work at a time. */
const asksAlone = (["run", "step"] as const).map((scope) =>
  defineWorkflow(`asks-alone-${scope}`, { concurrency: { limit: 1, scope }, handler: ask }),
);

export const orderWorkflows = [asks, asksTwice, ...asksAlone];
