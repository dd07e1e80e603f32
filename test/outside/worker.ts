/** The Worker that is killed: every step of its workflows reports to the ledger before it returns. */
import { env } from "cloudflare:workers";
import * as z from "zod";
import { createWorker, defineWorkflow } from "../../src/index.ts";
import type { AttemptContext, Step } from "../../src/index.ts";
import type { Report } from "./ledger.ts";

/** @returns the value the ledger gave; no two reports are given the same */
async function report(step: Step, name: string, context: AttemptContext, ms: number): Promise<number> {
  const { id, schedule } = step.info;
  const { attempt, idempotencyKey: key } = context;
  const { LEDGER: ledger, LIFE } = env as unknown as { readonly LEDGER: string; readonly LIFE?: string };
  const life = LIFE === undefined ? {} : { life: Number(LIFE) };
  const body: Report = { run: id, step: name, key, attempt, slotAt: schedule?.at ?? null, ms, ...life };
  const answer = await fetch(ledger, { method: "POST", body: JSON.stringify(body) });
  return ((await answer.json()) as { value: number }).value;
}

/** Steps one after another, side by side and against each other; a sleep, two signals, a failure. */
const voyage = defineWorkflow("voyage", {
  input: z.object({ paceMs: z.number(), napMs: z.number() }),
  signals: { approval: z.object({ number: z.number() }) },
  retry: { limit: 3, delay: 100, jitter: 0 },
  handler: async ({ paceMs, napMs }, step) => {
    const effect = (name: string, id = name): Promise<number> => {
      const ms = Math.floor(step.random() * paceMs);
      return step.run(name, (context) => report(step, id, context, ms));
    };
    const first = await effect("charge");
    const branches = await Promise.all([effect("left"), effect("middle"), effect("right")]);
    await step.sleep("nap", napMs);
    const one = await step.waitFor("approval");
    const flaky = await step.run("flaky", async (context) => {
      const value = await report(step, "flaky", context, paceMs / 4);
      if (context.attempt === 1) throw new Error("declined once");
      return value;
    });
    const runners = [effect("hare"), effect("tortoise")];
    const winner = await Promise.race(runners);
    const two = await step.waitFor("approval");
    const raced = await Promise.all(runners);
    const last = await effect("charge", "charge#2");
    return { charges: [first, last], branches, flaky, raced, winner, approvals: [one.number, two.number] };
  },
});

/** At `at` the run is in the middle of a long step, of a sleep, or of the wait for its next attempt. */
const stay = defineWorkflow("stay", {
  input: z.object({ at: z.enum(["step", "sleep", "retry"]), ms: z.number() }),
  handler: async ({ at, ms }, step) => {
    await step.run("before", (context) => report(step, "before", context, 0));
    if (at === "sleep") await step.sleep("nap", ms);
    return await step.run(
      "after",
      async (context) => {
        const value = await report(step, "after", context, at === "step" ? ms : 0);
        if (at === "retry" && context.attempt === 1) throw new Error("declined once");
        return value;
      },
      { retry: { limit: 1, delay: ms, jitter: 0 } },
    );
  },
});

const tick = defineWorkflow("tick", {
  schedule: { cron: "*/4 * * * * *", id: "every-4s", overlap: "allow-all" },
  handler: async (_input: unknown, step) => await step.run("tick", (context) => report(step, "tick", context, 0)),
});

/** Ends, fails, or parks where only the world can move it. */
const parcel = defineWorkflow("parcel", {
  input: z.object({ fate: z.enum(["end", "fail", "wait", "nap"]) }),
  handler: async ({ fate }, step) => {
    await step.run("weigh", () => 1);
    if (fate === "wait") await step.waitFor("collected");
    if (fate === "nap") await step.sleep("1 day");
    if (fate === "fail") throw new Error("lost in the post");
    return fate;
  },
});

/** In the Worker's first life its 50th start is held up by the ledger before there is a run. */
const convoy = defineWorkflow("convoy", {
  input: z.object({ ship: z.number() }).refine(async ({ ship }) => {
    const { LEDGER: ledger, LIFE } = env as unknown as { readonly LEDGER: string; readonly LIFE?: string };
    const held = { run: "convoy", step: "held", key: "held", attempt: 0, slotAt: null, ms: 60_000 } satisfies Report;
    if (ship === 50 && LIFE === "0") await fetch(ledger, { method: "POST", body: JSON.stringify(held) });
    return true;
  }),
  handler: async ({ ship }, step) => {
    await step.run("sail", (context) => report(step, "sail", context, 0));
    await step.sleep("at sea", 100);
    return ship;
  },
});

const worker = createWorker({ workflows: [voyage, stay, tick, parcel, convoy] });

export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
