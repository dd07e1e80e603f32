/** Runs that hold a secret word, given as their input, in every place there is for one. */
import * as z from "zod";
import { defineWorkflow } from "../../../src/index.ts";

/** The result of a step that is never shown. */
export const sensitiveWord = "sensitive-3b1f9c7e5d20";

type Given = { readonly word: string; readonly ends?: "whole" | "broken" | "bailed" };

/** An error that says the word in its message, its stack, its cause and its members. */
function wordy(word: string): Error {
  const cause = new Error(`cause ${word}`, { cause: new AggregateError([new Error(`member ${word}`)], word) });
  return new RangeError(`message ${word}`, { cause });
}

/** Takes its time over what it says, so that this is on record. */
const judged = z.string().transform(async (word, context) => {
  if (word.startsWith("refused ")) context.addIssue(`not ${word}`);
  return Promise.resolve({ judged: word });
});

const child = defineWorkflow("redaction-child", {
  lane: { name: "redaction-lane", limit: 50 },
  retries: 0,
  handler: (input: { word: string; broken?: boolean }, step) => {
    if (input.broken === true) throw wordy(input.word);
    step.progress(input.word);
    return { answer: input.word };
  },
});

const all = defineWorkflow("redaction-all", {
  signals: { typed: z.object({ word: z.string() }) },
  retry: { delay: "1 hour", limit: 3 },
  handler: async (input: Given, step) => {
    const { word, ends } = input;
    const bytes = new TextEncoder().encode(word);
    step.progress({ seen: word, bytes });
    step.log.warn(`log ${word}`, { data: word });
    step.query("word", () => ({ word, bytes }));
    step.query("broken", () => {
      throw wordy(word);
    });
    step.update("echo", null, (said: unknown) => ({ said, word }));
    step.update("broken", null, () => {
      throw wordy(word);
    });
    // Its schema quotes what the run knows.
    step.update("strict", z.string().startsWith(word, `does not begin with ${word}`), (said) => said);
    step.onSignal("note", () => undefined);
    await step.run("result", () => ({ word, bytes, many: new Map([[word, new Set([word])]]), list: [word, [word]] }));
    await step.run("sensitive", () => sensitiveWord, { sensitive: true });
    await step.run("flaky", ({ attempt }) => attempt > 1 || fail(word), { retry: { limit: 1, delay: 0 } });
    await step.run("lost", () => fail(word), { retry: { limit: 0 } }).catch(() => undefined);
    await step.map("items", [word, "other"], (item) => (item === word ? fail(word) : item), {
      retry: { limit: 0 },
      settled: true,
    });
    await step.invoke(child, { word }, { id: `${step.info.id}-child` });
    await step.invoke(child, { word, broken: true }, { id: `${step.info.id}-broken` }).catch(() => undefined);
    const early = await step.webhook("early", { verify: ({ headers }) => headers["x-forged"] === undefined });
    await step.waitFor("typed");
    await step.waitFor("judged", { schema: judged });
    await step.waitFor("refused", { schema: judged }).catch(() => undefined);
    await early.received();
    if (ends === "broken") throw wordy(word);
    if (ends === "bailed") return step.bail(`bail ${word}`);
    if (ends === "whole") return { word, error: wordy(word), bytes };
    const hook = await step.webhook("open");
    await Promise.all([hook.received(), step.waitFor("never"), step.run("again", () => fail(word))]);
    return null;
  },
});

function fail(word: string): never {
  throw wordy(word);
}

/** Goes on as new with a signal that came with a key, and the word as its input. */
const again = defineWorkflow("redaction-again", {
  handler: async (input: { word: string; turn: number }, step) => {
    const heard = await step.waitFor<unknown>("go");
    if (input.turn === 0) return await step.continueAsNew({ word: input.word, turn: 1 });
    return heard;
  },
});

/** Its schema quotes what it refuses. */
const strict = defineWorkflow("redaction-strict", {
  input: z.object({ word: z.string() }).superRefine(({ word }, context) => context.addIssue(`not ${word}`)),
  handler: () => null,
});

export const redactionWorkflows = [all, child, again, strict];
