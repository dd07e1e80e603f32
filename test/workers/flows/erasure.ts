/** A run that leaves its word wherever a run can: what is left of it once it is gone is looked for. */
import * as z from "zod";
import { defineWorkflow } from "../../../src/index.ts";

const said = z.object({ word: z.string(), urls: z.array(z.string()) });
type Said = z.infer<typeof said>;
const key = ({ word }: Said): string => `of ${word}`;

const part = defineWorkflow("erased-part", {
  input: z.object({ word: z.string() }),
  handler: async ({ word }, step) => await step.run("part", () => `part of ${word}`),
});

/** With every limit there is, kept apart by the word. */
const everything = defineWorkflow("erased", {
  input: said,
  retry: { limit: 1, delay: 1, jitter: 0 },
  labels: ({ word }) => ({ word }),
  notify: ({ urls }) => urls,
  lane: { name: "erased lane", limit: 50 },
  concurrency: { limit: 5, key },
  rateLimit: { limit: 100, period: "1 hour", key },
  throttle: { limit: 100, period: "1 hour", key },
  singleton: { mode: "queue", key },
  priority: 1,
  handler: async ({ word }, step) => {
    step.progress({ word });
    step.log.info(`log ${word}`, { word });
    step.update("turn", z.object({ word: z.string() }), (turned) => turned.word);
    const large = await step.run("large", () => word.repeat(Math.ceil(2_000_000 / word.length)));
    await step.run("hidden", () => word, { sensitive: true });
    await step.run("flaky", ({ attempt }) => {
      if (attempt === 1) throw new Error(`flaky ${word}`);
    });
    await step.invoke(part, { word }, { id: `${step.info.id}-part` });
    const hook = await step.webhook("hooked");
    await hook.received();
    await step.waitFor(`go ${word}`);
    await step.waitFor("go");
    return { word, length: large.length };
  },
});

/** Words that nothing can be made of. */
export const broken = new Set<string>();

/** Not kept at all once it has ended. */
const fleeting = defineWorkflow("erased-at-once", {
  input: said,
  retention: 0,
  labels: ({ word }) => ({ word }),
  notify: ({ urls }) => urls,
  concurrency: { limit: 5, key },
  retries: 0,
  handler: async ({ word }, step) =>
    await step.run("only", () => {
      if (broken.has(word)) throw new Error("it broke");
      return word;
    }),
});

export const erasureWorkflows = [part, everything, fleeting];
