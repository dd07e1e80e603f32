/** Workflows that go through faults. Every effect takes a number, so that it shows which of them was recorded. */
import * as z from "zod";
import { defineWorkflow } from "../../../src/index.ts";
import type { Step } from "../../../src/index.ts";
import { mourn } from "../faults/injector.ts";

type Deed = { readonly number: number; readonly run: string; readonly step: string; readonly at: number };

/** What the steps did to the world, in its order. */
export const deeds: Deed[] = [];
/** What must never have happened, in words. */
export const wrongs: string[] = [];
/** Who is in a place where only one may be. */
const inside = new Map<string, string>();

// Whoever died in a place comes back to it: its slot is still its own.
mourn((object) => {
  for (const [place, run] of inside) if (run === object) inside.delete(place);
});

type Acting = { readonly info: Step["info"] };

function deed(step: Acting, name: string): number {
  const number = deeds.length + 1;
  deeds.push({ number, run: step.info.id, step: name, at: Date.now() });
  return number;
}

const act = (step: Step, name: string): Promise<number> => step.run(name, () => deed(step, name));

const keyed = z.object({ key: z.string() });

/** Steps one after another and side by side, a sleep, one that has to be tried again. */
const steps = defineWorkflow("fault-steps", {
  input: keyed,
  retry: { limit: 3, delay: 10, jitter: 0 },
  handler: async (_input, step) => {
    const first = await act(step, "first");
    const both = await Promise.all([act(step, "left"), act(step, "right")]);
    await step.sleep("nap", 20);
    const flaky = await step.run("flaky", ({ attempt }) => {
      const number = deed(step, "flaky");
      if (attempt === 1) throw new Error("not yet");
      return number;
    });
    step.progress({ done: true });
    return [first, ...both, flaky];
  },
});

/** Signals, an update, a webhook, a listener. */
const talk = defineWorkflow("fault-talk", {
  input: keyed,
  handler: async (_input, step) => {
    let sum = 0;
    step.update("add", z.number(), (value) => {
      sum += value;
      return sum;
    });
    step.query("sum", () => sum);
    const first = await step.waitFor<{ n: number }>("go", { timeout: "1 hour" });
    const made = await act(step, "between");
    const second = await step.waitFor<{ n: number }>("go");
    return { first, second, made, sum };
  },
});

const child = defineWorkflow("fault-child", {
  input: z.object({ name: z.string(), fails: z.boolean().optional() }),
  handler: async ({ name, fails }, step) => {
    const made = await act(step, name);
    await step.sleep("rest", 15);
    if (fails === true) step.fail(new Error("it was to fail"));
    return made;
  },
});

/** Two children side by side, one that fails, one that nobody waits for, and a signal to oneself. */
const family = defineWorkflow("fault-family", {
  input: keyed,
  handler: async (_input, step) => {
    const both = await Promise.all(["a", "b"].map((name) => step.invoke(child, { name })));
    const failed = await step.invoke(child, { name: "c", fails: true }).catch((error: { code?: string }) => error.code);
    await step.start(child, { name: "d" });
    await step.signal(step.info.id, "self", { n: 1 });
    const self = await step.waitFor("self");
    return { both, failed, self };
  },
});

/** In a place where only one may be, for so long. */
async function stay(step: Acting, place: string, ms: number): Promise<number> {
  const run = step.info.id;
  const other = inside.get(place);
  if (other !== undefined && other !== run) wrongs.push(`${run} was let into ${place} beside ${other}`);
  inside.set(place, run);
  const number = deed(step, "stay");
  await scheduler.wait(ms);
  if (inside.get(place) === run) inside.delete(place);
  return number;
}

/** One at a time for each key: the run as a whole. */
const single = defineWorkflow("fault-single", {
  input: keyed,
  concurrency: { limit: 1, key: ({ key }) => key },
  handler: async ({ key }, step) => {
    const stayed = await step.run("stay", () => stay(step, key, 10));
    await step.sleep("out", 15);
    return [stayed, await step.run("again", () => stay(step, key, 5))];
  },
});

/** One at a time for each key: its steps. */
const singleStep = defineWorkflow("fault-single-step", {
  input: keyed,
  concurrency: { limit: 1, key: ({ key }) => key, scope: "step" },
  handler: async ({ key }, step) => {
    return await step.run("stay", () => stay(step, key, 10));
  },
});

/** So many starts for each key in an hour. */
const rated = defineWorkflow("fault-rated", {
  input: keyed,
  rateLimit: { limit: 2, period: "1 hour", key: ({ key }) => key },
  handler: (_input, step) => act(step, "rated"),
});

/** One run for each key; others find it. */
const unique = defineWorkflow("fault-unique", {
  input: keyed,
  singleton: { key: ({ key }) => key, mode: "skip" },
  handler: async (_input, step) => {
    const made = await act(step, "unique");
    await step.waitFor("go", { timeout: "1 hour" });
    return made;
  },
});

const debounced = defineWorkflow("fault-debounced", {
  input: z.object({ key: z.string(), n: z.number() }),
  debounce: { period: 150, key: ({ key }) => key },
  handler: async ({ n }, step) => [n, await act(step, "debounced")],
});

/** Undone when it is cancelled; waits to be. */
const undoing = defineWorkflow("fault-undoing", {
  input: keyed,
  handler: async (_input, step) => {
    await step.run("book", () => deed(step, "book"), {
      undo: () => void deed(step, "unbook"),
    });
    await step.waitFor("never");
  },
});

/** Fails until it is told otherwise, and pauses then. */
const repaired = new Set<string>();

export function repair(key: string): void {
  repaired.add(key);
}

const failing = defineWorkflow("fault-failing", {
  input: keyed,
  handler: async ({ key }, step) => {
    const before = await act(step, "before");
    const after = await step.run(
      "broken",
      () => {
        const number = deed(step, "broken");
        if (!repaired.has(key)) throw new Error("it is broken");
        return number;
      },
      { retry: { limit: 0 } },
    );
    return [before, after];
  },
});

/** Goes on as new, three times. */
const renewing = defineWorkflow("fault-renewing", {
  input: z.object({ key: z.string(), life: z.number() }),
  handler: async ({ key, life }, step) => {
    const made = await act(step, `life${life}`);
    await step.sleep("between", 10);
    if (life < 3) return await step.continueAsNew({ key, life: life + 1 });
    return made;
  },
});

/** Kept for a moment only. */
const fleeting = defineWorkflow("fault-fleeting", {
  input: keyed,
  retention: 50,
  handler: (_input, step) => act(step, "fleeting"),
});

/** Waits for a signal that is for anybody of its key. */
const listening = defineWorkflow("fault-listening", {
  input: keyed,
  handler: async ({ key }, step) => {
    const heard = await step.waitFor<{ n: number }>(`call-${key}`);
    return [heard?.n, await act(step, "heard")];
  },
});

/** Sleeps for as long as it is told. */
const sleeping = defineWorkflow("fault-sleeping", {
  input: z.object({ key: z.string(), ms: z.number(), timeout: z.number().optional() }),
  handler: async ({ ms, timeout }, step) => {
    const before = await act(step, "asleep");
    if (timeout === undefined) await step.sleep("long", ms);
    else await step.waitFor("nothing", { timeout });
    return [before, await act(step, "awake")];
  },
});

/** One step that takes so long. */
const slow = defineWorkflow("fault-slow", {
  input: z.object({ key: z.string(), ms: z.number() }),
  handler: ({ ms }, step) =>
    step.run("slow", async () => {
      const number = deed(step, "slow");
      await scheduler.wait(ms);
      return number;
    }),
});

/** Requests that couriers make, one after another and side by side. */
const fetching = defineWorkflow("fault-fetching", {
  input: z.object({ target: z.string() }),
  retry: { limit: 3, delay: 10, jitter: 0 },
  handler: async ({ target }, step) => {
    const ask = async (name: string) => (await step.fetch<number>(name, target + name)).body;
    const first = await ask("first");
    return [first, ...(await Promise.all([ask("left"), ask("right")]))];
  },
});

/** What a schedule starts. */
const fired = defineWorkflow("fault-fired", {
  input: keyed,
  handler: (_input, step) => act(step, "fired"),
});

export const faultWorkflows = [
  steps,
  talk,
  child,
  family,
  single,
  singleStep,
  rated,
  unique,
  debounced,
  undoing,
  failing,
  renewing,
  fleeting,
  listening,
  sleeping,
  slow,
  fetching,
  fired,
];
