/** A workflow that puts one word wherever a run can put one, for the tests of what is stored. */
import * as z from "zod";
import { defineWorkflow, NonRetryableError } from "../../../src/index.ts";

const said = z.object({ word: z.string() });

/** Takes its time over what it says, so that this is on record. */
const judged = said.transform(({ word }) => Promise.resolve(`judged ${word}`));

const child = defineWorkflow("canary-child", {
  input: said,
  handler: async ({ word }, step) => {
    const made = await step.run("make", () => `made ${word}`);
    if (word.startsWith("fail ")) throw new Error(`the child ${word}`);
    return made;
  },
});

/** Waits for what is sent to it, and fails at the end. */
const everywhere = defineWorkflow("canary-everywhere", {
  input: said,
  retry: { limit: 1, delay: 1, jitter: 0 },
  lane: { name: "canary lane", limit: 50 },
  handler: async ({ word }, step) => {
    step.progress({ word });
    step.log.info(`log ${word}`, { word });
    step.query("word", () => word);
    step.update("turn", said, (turned) => ({ turned: turned.word }));
    step.update("stumble", said, (turned) => {
      throw new TypeError(`stumbled over ${turned.word}`);
    });
    const made = await step.run("result", () => ({ text: word, bytes: new TextEncoder().encode(word) }));
    await step.run("hidden", () => word, { sensitive: true });
    await step.run("flaky", ({ attempt }) => {
      if (attempt === 1) throw new Error(`flaky ${word}`, { cause: new RangeError(`cause ${word}`) });
      return 1;
    });
    const caught = (error: unknown): string => String(error);
    await step.run("caught", () => Promise.reject(new NonRetryableError(`caught ${word}`))).catch(caught);
    await step.map("mapped", [word, "other"], (item) => Promise.reject(new NonRetryableError(item))).catch(caught);
    await step.invoke(child, { word });
    await step.invoke(child, { word: `fail ${word}` }).catch(caught);
    const hook = await step.webhook("hooked");
    await hook.received();
    await step.waitFor("go", { schema: judged });
    throw new Error(`the end of ${made.text}`, { cause: new Error(`its cause ${word}`) });
  },
});

/** Parks on a signal, or between two attempts, and goes on as new when it is told. */
const parked = defineWorkflow("canary-parked", {
  input: z.object({ word: z.string(), life: z.number().optional(), fails: z.boolean().optional() }),
  retry: { limit: 3, delay: "1 hour" },
  handler: async ({ word, life = 1, fails = false }, step) => {
    if (fails) await step.run("retried", () => Promise.reject(new Error(`waits after ${word}`)));
    const before = await step.run("before", () => `before ${word}`);
    await step.waitFor("go");
    if (life < 2) return step.continueAsNew({ word, life: life + 1 });
    return { before, after: await step.run("after", () => `after ${word}`) };
  },
});

/** The latest start within the period counts. */
const late = defineWorkflow("canary-late", {
  input: said,
  debounce: { period: 3_600_000, key: ({ word }) => word.slice(-2) },
  handler: ({ word }) => Promise.resolve(word),
});

export const canaryWorkflows = [child, everywhere, parked, late];
