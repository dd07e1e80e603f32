/**
 * A Worker as it is before and after a deployment: by the variable CODE its code is the old or the new. Every step
 * tells the ledger which code it is of.
 */
import { byThisClock } from "../clock.ts";
import { env } from "cloudflare:workers";
import * as z from "zod";
import { createWorker, defineWorkflow } from "../../../src/index.ts";
import type { AttemptContext, RunOptions, Step } from "../../../src/index.ts";
import type { Report } from "../ledger.ts";

const { LEDGER, LIFE, CODE } = env as unknown as { LEDGER: string; LIFE: string; CODE: "old" | "new" };

type Caller = Pick<Step, "info" | "run">;

function effect(step: Caller, name: string, ms = 0, options: RunOptions<number> = {}, fails = 0): Promise<number> {
  const work = async ({ attempt, idempotencyKey: key }: AttemptContext): Promise<number> => {
    const { id, schedule, workflow, version } = step.info;
    const note = workflow === "laned" ? "lane" : `${CODE} ${version}`;
    const body: Report = {
      run: id,
      step: name,
      key,
      attempt,
      slotAt: schedule?.at ?? null,
      ms,
      life: Number(LIFE),
      note,
    };
    const answer = await fetch(LEDGER, { method: "POST", body: JSON.stringify(body) });
    if (attempt <= fails) throw new Error("not yet");
    return ((await answer.json()) as { value: number }).value;
  };
  return step.run<Promise<number>>(name, work, options);
}

const stages = ["step", "sleep", "retry", "signal", "webhook", "child", "paused"] as const;
const stage = z.object({ at: z.enum(stages), ms: z.number() });

/** One version of it is in the old code, another in the new: each keeps to its own. */
const order = (version: string) =>
  defineWorkflow("order", {
    version,
    input: stage,
    handler: async ({ at, ms }, step) => {
      const first = await effect(step, "first");
      // The ledger does not answer before the process is replaced.
      if (at === "step") await effect(step, "long", LIFE === "1" ? 600_000 : 0);
      if (at === "sleep") await step.sleep(ms);
      if (at === "retry") await effect(step, "flaky", 0, { retry: { limit: 1, delay: ms, jitter: 0 } }, 1);
      if (at === "signal" || at === "paused") await step.waitFor("go");
      if (at === "child") await step.invoke("part", { ms });
      if (at === "webhook") {
        const hook = await step.webhook("call");
        await step.run("tell", () => hook.url);
        await hook.received();
      }
      return { version, first, last: await effect(step, "last") };
    },
  });

const part = defineWorkflow("part", {
  handler: async ({ ms }: { ms: number }, step) => {
    await step.sleep(ms);
    return await effect(step, "part");
  },
});

/** The same version of other code: a step more, a step less, another order, and another input. */
const oldAdopted = defineWorkflow("adopted", {
  input: z.object({ count: z.number() }),
  handler: async (_input, step) => {
    const [a, b] = [await effect(step, "a"), await effect(step, "b")];
    await step.waitFor("go");
    return { code: "old", a, b, last: await effect(step, "c") };
  },
});
const newAdopted = defineWorkflow("adopted", {
  input: z.object({ count: z.number(), unit: z.string() }),
  handler: async (_input, step) => {
    const [c, a] = [await effect(step, "added"), await effect(step, "a")];
    await step.waitFor("go");
    return { code: "new", a, added: c, last: await effect(step, "d") };
  },
});

const retired = defineWorkflow("retired", {
  handler: async ({ ms }: { ms: number }, step) => {
    await effect(step, "first");
    await step.sleep(ms);
    return { last: await effect(step, "last") };
  },
});

/** What waits for a signal in the old code is a step in the new. */
const oldTurned = defineWorkflow("turned", {
  handler: async (_input: unknown, step) => {
    await effect(step, "first");
    await step.waitFor("thing");
    return { last: await effect(step, "last") };
  },
});
const newTurned = defineWorkflow("turned", {
  handler: async (_input: unknown, step) => {
    await effect(step, "first");
    return { last: await effect(step, "thing") };
  },
});

const laned = defineWorkflow("laned", {
  concurrency: 3,
  handler: async (_input: unknown, step) => ({ last: await effect(step, "last", 120) }),
});

const beat = defineWorkflow("beat", {
  schedule: { cron: CODE === "old" ? "* * * * * *" : "*/2 * * * * *", id: "beat", overlap: "allow-all" },
  handler: async (_input: unknown, step) => await effect(step, "beat"),
});

const workflows =
  CODE === "old"
    ? [order("1"), oldAdopted, retired, oldTurned, part, laned, beat]
    : [order("2"), newAdopted, newTurned, part, laned, beat];
const worker = createWorker({ workflows });

export default worker;
export const RunObject = byThisClock(worker.objects.RunObject);
export const DirectoryObject = byThisClock(worker.objects.DirectoryObject);
export const SchedulerObject = byThisClock(worker.objects.SchedulerObject);
export const LaneObject = byThisClock(worker.objects.LaneObject);
