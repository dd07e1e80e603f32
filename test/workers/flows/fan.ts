/** Workflows that fan out, race and go on as new. */
import * as z from "zod";
import { NonRetryableError, defineWorkflow } from "../../../src/index.ts";
import { contexts } from "./engine.ts";

/** How often the function of each item was called, by run. */
export const calls = new Map<string, Map<number, number>>();
/** After how many items the run's object is ended, by run. */
export const deathsAt = new Map<string, number[]>();
/** Runs whose failures are over. */
export const healed = new Set<string>();

function count(run: string, item: number): void {
  const items = calls.get(run) ?? new Map<number, number>();
  calls.set(run, items);
  items.set(item, (items.get(item) ?? 0) + 1);
}

/** The object is ended where the test says so. */
const wide = defineWorkflow("wide", {
  input: z.object({
    items: z.number(),
    concurrency: z.number(),
    broken: z.array(z.number()).default([]),
    tolerate: z.number().default(0),
  }),
  handler: async ({ items, concurrency, broken, tolerate }, step) => {
    const { id } = step.info;
    const list = Array.from({ length: items }, (_unused, i) => i);
    const work = async (item: number): Promise<number> => {
      count(id, item);
      if (item % 10 === 0) await scheduler.wait(0);
      const [death = Infinity, ...later] = deathsAt.get(id) ?? [];
      if ((calls.get(id)?.size ?? 0) >= death) {
        deathsAt.set(id, later);
        // In a turn of its own: what is written in the turn that ends the object is lost with it.
        await scheduler.wait(0);
        contexts.get(id)?.abort("struck in the middle of a map");
      }
      if (broken.includes(item) && !healed.has(id)) throw new NonRetryableError(`no ${item}`);
      return item;
    };
    const results = await step.map("item", list, work, { concurrency, tolerate });
    return results.reduce<number>((sum, each) => sum + (each ?? 0), 0);
  },
});

const triple = defineWorkflow("triple", {
  handler: async (n: number, step) => {
    if (n < 0) throw new NonRetryableError("negative");
    return await step.run("triple", () => n * 3);
  },
});

const tripled = defineWorkflow("tripled", {
  handler: async (input: { numbers: number[]; tolerate: number }, step) =>
    await step.map("child", input.numbers, triple, { concurrency: 4, tolerate: input.tolerate }),
});

/** Adds up the numbers it is sent, so many in each of its lives. */
const adder = defineWorkflow("adder", {
  input: z.object({ left: z.number(), each: z.number(), sum: z.number().default(0) }),
  signals: { add: z.object({ n: z.number() }) },
  handler: async ({ left, each, sum }, step) => {
    let total = sum;
    for (let i = 0; i < each; i++) {
      const { n } = await step.waitFor("add");
      total += await step.run("check", ({ idempotencyKey }) => {
        count(step.info.id, n);
        checks.push({ run: step.info.id, n, key: idempotencyKey });
        return n;
      });
    }
    if (left > 1) return await step.continueAsNew({ left: left - 1, each, sum: total });
    return { sum: total, continued: step.info.continued };
  },
});

/** What the steps of `adder` were called with. */
export const checks: { run: string; n: number; key: string }[] = [];

/** Goes on as new as often as it is told, and then waits. */
const phoenix = defineWorkflow("phoenix", {
  handler: async (input: { lives: number }, step) => {
    if (input.lives > 0) return await step.continueAsNew({ lives: input.lives - 1 });
    const hook = await step.webhook("ash");
    step.progress({ url: hook.url });
    if ((await step.waitFor<string>("word")) === "again") return await step.continueAsNew({ lives: 0 });
    return step.info.continued;
  },
});

/** Goes on as new under the next key, and keeps the slot of each while it waits there. */
const nomad = defineWorkflow("nomad", {
  labels: (input: { key: string; next?: string }) => ({ tenant: input.key }),
  concurrency: { limit: 1, key: (input: { key: string }) => input.key, hold: true },
  handler: async ({ key, next }, step) => {
    await step.waitFor("go");
    return next === undefined ? key : await step.continueAsNew({ key: next });
  },
});

/** Takes one shot, in one of its rounds or after them. */
const duel = defineWorkflow("duel", {
  handler: async (_input: unknown, step) => {
    const shots: unknown[] = [];
    for (let round = 0; round < 6; round++) {
      const won = await step.race({
        shot: () => step.waitFor("shot"),
        bell: async () => {
          await step.sleep(20);
          return await step.run("ring", () => round);
        },
      });
      if (won.key === "shot") shots.push(won.value);
    }
    if (shots.length === 0) shots.push(await step.waitFor("shot"));
    return [...shots, await step.waitFor("last")];
  },
});

export const fanWorkflows = [wide, triple, tripled, adder, phoenix, nomad, duel];
