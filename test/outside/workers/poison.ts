/** Workflows that are bad neighbours: they never end, eat memory, take a hundred thousand signals. */
import { env } from "cloudflare:workers";
import { NonRetryableError, createWorker, defineWorkflow } from "../../../src/index.ts";
import type { AttemptContext, Step } from "../../../src/index.ts";
import type { Report } from "../ledger.ts";

async function report(step: Pick<Step, "info">, name: string, context: Partial<AttemptContext>): Promise<void> {
  const { LEDGER: ledger } = env as unknown as { LEDGER: string };
  const { attempt = 0, idempotencyKey: key = "" } = context;
  const body: Report = { run: step.info.id, step: name, key, attempt, slotAt: null, ms: 0 };
  await (await fetch(ledger, { method: "POST", body: JSON.stringify(body) })).text();
}

/** Takes so many signals, one after the other; says whether their numbers came in the order of arrival. */
const inbox = defineWorkflow("inbox", {
  handler: async ({ count }: { count: number }, step) => {
    const numbers: number[] = [];
    while (numbers.length < count) numbers.push((await step.waitFor<{ number: number }>("item")).number);
    return { numbers: numbers.length, sum: numbers.reduce((sum, number) => sum + number, 0) };
  },
});

/** So many steps; in the middle of them is one that the ledger hears of. */
const march = defineWorkflow("march", {
  handler: async ({ count }: { count: number }, step) => {
    let sum = 0;
    for (let at = 0; at < count; at++) {
      if (at === count / 2) await step.run("middle", (context) => report(step, "middle", context));
      sum += await step.run("pace", () => at);
    }
    return sum;
  },
});

/** Loops for ever, in a step or in the handler itself. */
const spin = defineWorkflow("spin", {
  handler: async ({ where }: { where: "step" | "handler" }, step) => {
    const loop = async (context: Partial<AttemptContext>): Promise<never> => {
      await report(step, "spin", context);
      for (;;);
    };
    if (where === "handler") await loop({});
    return await step.run("spin", loop);
  },
});

/** Holds on to more and more memory. */
const hoard = defineWorkflow("hoard", {
  handler: async (_input: unknown, step) => {
    const treasure: unknown[] = [];
    return await step.run("hoard", async (context) => {
      await report(step, "hoard", context);
      for (;;) {
        treasure.push(Array.from({ length: 250_000 }, (_unused, index) => ({ index })));
        // Others have their turns, as in a loop over requests.
        await scheduler.wait(1);
      }
    });
  },
});

/** Leaves its failures to nobody. */
const careless = defineWorkflow("careless", {
  handler: async (_input: unknown, step) => {
    void Promise.reject(new Error("nobody listens"));
    void step.run("refused", () => {
      throw new NonRetryableError("nobody listens");
    });
    await step.run("beside", () => 1);
    await step.sleep(20);
    return "done";
  },
});

/** Goes its way, whatever its neighbours do. */
const bystander = defineWorkflow("bystander", {
  handler: async ({ steps }: { steps: number }, step) => {
    for (let at = 0; at < steps; at++) {
      await step.run("walk", (context) => report(step, `walk ${at}`, context));
      await step.sleep(50);
    }
    return (await step.waitFor<{ word: string }>("word")).word;
  },
});

const worker = createWorker({ workflows: [inbox, march, spin, hoard, careless, bystander] });

export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
