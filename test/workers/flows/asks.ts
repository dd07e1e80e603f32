/** Workflows that are asked and told while they go on. */
import * as z from "zod";
import { defineWorkflow, getRun } from "../../../src/index.ts";

/** How often the functions of a run were called, in all its lives and by all who asked. */
export const calls = new Map<string, number>();

/** Runs whose work is over. */
export const done = new Set<string>();

function count(what: string): void {
  calls.set(what, (calls.get(what) ?? 0) + 1);
}

/** A cart that is told what to put in, and closed. */
const cart = defineWorkflow("asks-cart", {
  handler: async (_input: unknown, step) => {
    const items: string[] = [];
    step.query("items", () => items);
    step.query("spoil", () => items.push("spoilt"));
    step.query("impure", () => step.run("never", () => 1));
    step.query("never", () => new Promise(() => {}));
    step.query("broken", () => {
      throw new RangeError("no such shelf");
    });
    step.update("add", z.object({ item: z.string().min(2) }), async ({ item }) => {
      const priced = await step.run("price", () => {
        count(`${step.info.id} price`);
        return `${item} at 3`;
      });
      items.push(priced);
      return { items: items.length, at: new Date(0) };
    });
    step.update("refuse", null, () => {
      throw new TypeError("not on a Sunday");
    });
    step.update("wait", null, async () => {
      await step.waitFor("go on");
      return "went on";
    });
    step.onSignal<string>("note", (note) => void items.push(note));
    await new Promise<void>((resolve) => step.update("close", null, () => resolve()));
    return items;
  },
});

/** Waits for nothing but updates. */
const till = defineWorkflow("asks-till", {
  handler: async (_input: unknown, step) => {
    let cents = 0;
    step.update("pay", z.number(), (more) => (cents += more));
    await new Promise<void>((resolve) => step.update("close", null, () => resolve()));
    return cents;
  },
});

async function untilDone(id: string): Promise<void> {
  while (!done.has(id)) await scheduler.wait(10);
}

/** Waits for nothing but an update or a listener, one run at a time, or holds the slot. */
const booth = defineWorkflow("asks-booth", {
  concurrency: { limit: 1, key: ({ place }: { place: string }) => place },
  handler: async ({ way }: { place: string; way: "update" | "listener" | "work" }, step) => {
    if (way === "work") return await step.run("work", () => untilDone(step.info.id));
    await new Promise<void>((resolve) => {
      if (way === "update") step.update("close", null, () => resolve());
      else step.onSignal("close", () => resolve());
    });
  },
});

/** Hears words until it is told the end, and has a payload that its schema changes. */
const hearer = defineWorkflow("asks-hearer", {
  signals: { word: z.object({ text: z.string().transform((text) => text.toUpperCase()) }) },
  handler: async (_input: unknown, step) => {
    const words: string[] = [];
    step.onSignal("word", ({ text }) => void words.push(text));
    step.query("words", () => words);
    await step.waitFor("end");
    return words;
  },
});

/** Begins with a step, and with a signal that came with the start. */
const greeted = defineWorkflow("asks-greeted", {
  handler: async (input: { n: number }, step) => {
    const heard: unknown[] = [];
    step.update("say", z.string(), (word) => heard.push(word));
    const first = await step.waitFor<unknown>("hello");
    heard.push(first);
    await step.waitFor("end");
    return { n: input.n, heard };
  },
});

/** Ends at once, in each of the ways there are. */
const brief = defineWorkflow("asks-brief", {
  handler: async (how: string, step) => {
    let at = 0;
    step.query("at", () => at);
    step.update("late", null, () => 1);
    at = await step.run("one", () => 1);
    if (how === "fail") throw new Error("no");
    if (how === "bail") step.bail("enough");
    if (how === "wait") await step.waitFor("end");
    return at;
  },
});

/** Hears signals of the name it is given. */
const eavesdropper = defineWorkflow("asks-eavesdropper", {
  handler: async (input: { name: string }, step) => {
    const heard: unknown[] = [];
    step.onSignal(input.name, (payload) => void heard.push(payload));
    step.query("heard", () => heard);
    await step.waitFor("end");
  },
});

/** Queries itself: in the handler, in a step, or to answer a query. */
const narcissus = defineWorkflow("asks-narcissus", {
  handler: async (where: "handler" | "step" | "query", step) => {
    const look = (): Promise<unknown> => getRun(step.info.id).query("face");
    step.query("face", () => (where === "query" ? look() : "his own"));
    return where === "step" ? await step.run("look", look) : where === "handler" && (await look());
  },
});

export const askWorkflows = [cart, hearer, greeted, brief, eavesdropper, till, booth, narcissus] as const;
