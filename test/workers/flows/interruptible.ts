/** Workflows that use the words of composition and control, to be interrupted wherever they can be. */
import * as z from "zod";
import { NonRetryableError, defineWorkflow } from "../../../src/index.ts";
import type { AttemptContext, RunOptions, Step } from "../../../src/index.ts";
import { watched } from "../crashpoint.ts";
import { act, note } from "./interruption.ts";

const retry = { limit: 3, delay: 15, jitter: 0 };

/** Undoes a step; its first `failures` attempts fail, all of them if it is `fatal`. */
function undoing(step: Pick<Step, "info">, failures = 0, fatal = false) {
  return {
    undo: (_result: unknown, context: AttemptContext): void => {
      note(step.info.id, context);
      if (fatal) throw new NonRetryableError("it cannot be undone");
      if (context.attempt <= failures) throw new Error(`failure ${context.attempt} to undo`);
    },
  } satisfies RunOptions<unknown>;
}

/** Three steps to be undone: one that is, one after two failures, and one that cannot be. */
async function reserve(step: Pick<Step, "run" | "info">): Promise<void> {
  await act(step, "reserve", "reserved", 0, undoing(step));
  await act(step, "charge", "charged", 1, undoing(step, 2));
  await act(step, "book", "booked", 0, undoing(step, 0, true));
}

/** Whatever the handler tries on its way out is of no use to it. */
async function stubbornly(step: Pick<Step, "run" | "info">, end: () => never): Promise<string> {
  try {
    return end();
  } catch {
    await act(step, "catch", "caught");
    return "caught";
  } finally {
    await act(step, "finally", "done");
  }
}

const saga = defineWorkflow("mortal-saga", {
  retry,
  handler: async (input: { end: "throw" | "fail" | "bail" | "heal" }, step) => {
    await reserve(step);
    if (input.end === "bail") return await stubbornly(step, () => step.bail("enough"));
    if (input.end === "fail") return await stubbornly(step, () => step.fail(new RangeError("too much")));
    return await step.run("ship", (context) => {
      note(step.info.id, context);
      const isRetried = watched(step.info.id).entries.some(({ kind }) => kind === "run.retried");
      if (input.end === "throw" || !isRetried) throw new NonRetryableError("no ship");
      return "shipped";
    });
  },
});

/** Parked until it is cancelled; then it cleans up. */
const cancelled = defineWorkflow("mortal-cancelled", {
  retry,
  handler: async (_input: unknown, step) => {
    const heard: unknown[] = [];
    const codeOf = (error: unknown): void => void heard.push((error as { code?: string }).code);
    try {
      await reserve(step);
      await Promise.all([step.waitFor("never"), step.sleep("1 day")]);
    } catch (error) {
      codeOf(error);
      await step.sleep("rest", 10).catch(codeOf);
      await step.waitFor("nothing").catch(codeOf);
      await act(step, "clean", "cleaned", 1);
    } finally {
      await act(step, "tidy", "tidied");
      step.progress(heard);
    }
    return "for nothing";
  },
});

/** Longer than the deaths before it waits can take. */
const timed = defineWorkflow("mortal-timed", {
  retry,
  timeout: "15 s",
  handler: async (_input: unknown, step) => {
    await reserve(step);
    try {
      return await step.waitFor("never");
    } finally {
      await act(step, "finally", "done");
    }
  },
});

/** Twice without an attempt left, and then it works; beside it the run has something else to do. */
const exhausted = defineWorkflow("mortal-exhausted", {
  retry: { ...retry, limit: 1 },
  handler: async (_input: unknown, step) => {
    const before = await act(step, "before", "before", 0, undoing(step));
    const [stubborn, beside] = await Promise.all([
      act(step, "stubborn", "at last", 4, { onExhausted: "pause" }),
      step.sleep("nap", 30).then(() => act(step, "beside", "beside", 1)),
    ]);
    return [before, stubborn, beside];
  },
});

/** Steps that run at most once: one at once, one in the second attempt, and one that takes a while. */
const once = defineWorkflow("mortal-once", {
  retry,
  handler: async (_input: unknown, step) => {
    const codeOf = (error: unknown) => (error as { code?: string }).code;
    const first = await act(step, "first", "done", 0, { atMostOnce: true }).catch(codeOf);
    const second = await act(step, "second", "done", 1, { atMostOnce: true }).catch(codeOf);
    const slow = step.run(
      "slow",
      async (context) => {
        note(step.info.id, context);
        await scheduler.wait(10);
        return "done";
      },
      { atMostOnce: true },
    );
    const third = await Promise.all([slow.catch(codeOf), act(step, "beside", "done")]);
    return [first, second, ...third, await act(step, "last", "done")];
  },
});

/** Twelve items, some of which fail at first and some for good; and four, the second of which ends it. */
const fanned = defineWorkflow("mortal-map", {
  retry,
  handler: async (_input: unknown, step) => {
    const items = Array.from({ length: 12 }, (_unused, i) => i);
    const work = (item: number, context: AttemptContext & { index: number }): string => {
      note(step.info.id, context);
      if (item % 5 === 3) throw new NonRetryableError(`no ${item}`);
      if (item % 4 === 1 && context.attempt === 1) throw new Error(`not yet ${item}`);
      return `${item} at ${context.index}`;
    };
    const some = await step.map("item", items, work, { concurrency: 4, tolerate: 2 });
    const settled = await step.map("each", [3, 4], work, { settled: true });
    const none = await step.map("strict", [2, 3, 4, 5], work, { concurrency: 1 }).catch((error: unknown) => {
      const { code, errors } = error as { code: string; errors: (Error | undefined)[] };
      return [code, errors.map((each) => each?.message)];
    });
    return [some.map((value) => value ?? "nothing"), settled.map(({ status }) => status), none];
  },
});

/** Races of a wait, a sleep and a step, each won by another. */
const raced = defineWorkflow("mortal-race", {
  retry,
  signals: { bell: z.object({ n: z.number() }) },
  handler: async (_input: unknown, step) => {
    const never = { onExhausted: "fail", retry: { delay: "1 day", limit: 5, jitter: 0 } } as const;
    const race = (round: number) =>
      step.race({
        bell: () => step.waitFor("bell"),
        sleep: () => step.sleep(`sleep-${round}`, round === 2 ? 40 : "1 day").then(() => act(step, "woke", round)),
        // It fails once, and its next attempt is a day away, but in the first round.
        step: () => act(step, `work-${round}`, round, round === 1 ? 0 : 1, never),
      });
    const first = await race(1);
    const second = await race(2);
    const third = await race(3);
    const last = await step.waitFor("bell");
    return [first, second, third, last];
  },
});

/** Is asked and told all along. */
const told = defineWorkflow("mortal-asks", {
  retry,
  signals: { note: z.object({ text: z.string() }) },
  handler: async (_input: unknown, step) => {
    const lines: string[] = [];
    step.query("lines", () => lines);
    step.onSignal("note", ({ text }) => void lines.push(text));
    step.update("add", z.object({ item: z.string().toUpperCase() }), async ({ item }) => {
      lines.push(await act(step, "price", `${item} at 3`, 1));
      return { lines: lines.length };
    });
    step.update("refuse", null, () => {
      lines.push("refused");
      throw new TypeError("not on a Sunday");
    });
    const closed = new Promise<void>((resolve) => step.update("close", null, () => resolve()));
    await act(step, "open", "opened");
    await closed;
    await act(step, "shut", "shut");
    return lines;
  },
});

/** Three rounds, each with the next two signals. */
const rounds = defineWorkflow("mortal-rounds", {
  retry,
  input: z.object({ seen: z.array(z.number()).default([]) }),
  signals: { item: z.object({ n: z.number() }) },
  handler: async ({ seen }, step) => {
    const round = step.info.continued;
    step.query("seen", () => [round, ...seen]);
    const mine = [...seen];
    for (let i = 0; i < 2; i++) {
      const { n } = await step.waitFor("item");
      mine.push(await act(step, "count", n));
    }
    if (round < 2) return await step.continueAsNew({ seen: mine });
    await step.waitFor("end");
    return mine;
  },
});

/** Both places of one change of the code, asked twice. */
const patched = defineWorkflow("mortal-patched", {
  handler: async (_input: unknown, step) => {
    const early = step.patched("early");
    await act(step, early ? "new" : "old", null);
    await step.sleep(20);
    const again = step.patched("early");
    const late = step.patched("late");
    await act(step, late ? "new" : "old", null);
    return [early, again, late];
  },
});

/** The code is changed when its first process ends: what stood there before is in each run's first life alone. */
const changed = defineWorkflow("mortal-changed", {
  handler: async (_input: unknown, step) => {
    const isOld = watched(step.info.id).lives === 1;
    // Each waits for something, as what changes the world does: it is durable before the next side is taken.
    const deed = (name: string) =>
      step.run(name, async (context) => {
        note(step.info.id, context);
        await scheduler.wait(1);
      });
    await deed("before");
    const first = !isOld && step.patched("change");
    await deed(first ? "new" : "old");
    await step.sleep(20);
    // The second place of the same change: the run keeps to its answer.
    const second = !isOld && step.patched("change");
    await deed(second ? "new" : "old");
    return [first, second];
  },
});

/** What is at work by the key of its limit, and in which of its run's lives it began. */
const working = new Map<string, Set<{ readonly run: string; readonly life: number }>>();
/** Runs that were at work side by side though they must not be. */
export const overlaps: string[] = [];

async function alone(key: string, run: string): Promise<void> {
  const { lives } = watched(run);
  const mine = { run, life: lives };
  const all = working.get(key) ?? new Set();
  working.set(key, all.add(mine));
  // What a life that is over was doing is done by nobody.
  const others = [...all].filter((each) => each.run !== run && each.life === watched(each.run).lives);
  overlaps.push(...others.map((each) => `${run} beside ${each.run}`));
  await scheduler.wait(5);
  all.delete(mine);
}

/** Two of them share one slot; a run that sleeps gives it to the other. */
const laned = defineWorkflow("mortal-laned", {
  retry,
  concurrency: { limit: 1, key: ({ key }: { key: string }) => key },
  handler: async ({ key }: { key: string }, step) => {
    for (let round = 0; round < 3; round++) {
      await step.run("work", async (context) => {
        note(step.info.id, context);
        await alone(key, step.info.id);
      });
      await step.sleep(10);
    }
    return "both";
  },
});

export const mortalWorkflows = [
  saga,
  cancelled,
  timed,
  exhausted,
  once,
  fanned,
  raced,
  told,
  rounds,
  patched,
  changed,
  laned,
];
