/**
 * The Worker whose state `test/golden/004-deployment.json` is. That state is replayed by this code, so it is never changed.
 * What a step returns is which release did it: the one that wrote the state is "old".
 */
import { byThisClock } from "../clock.ts";
import { env } from "cloudflare:workers";
import * as z from "zod";
import { createWorker, defineWorkflow } from "../../../src/index.ts";
import type { RunOptions, Step } from "../../../src/index.ts";

const { LEDGER, RELEASE } = env as unknown as { readonly LEDGER: string; readonly RELEASE: string };
const isOld = RELEASE === "old";

const work = (step: Step, name: string, options?: RunOptions<string>): Promise<string> =>
  step.run(name, () => RELEASE, options);

/** In the old release it is at work for ever. */
const slow = async (): Promise<string> => (isOld ? await new Promise<string>(() => {}) : RELEASE);

/** In the old release its only attempt so far has failed. */
const flaky = (): string => {
  if (isOld) throw new Error("not yet");
  return RELEASE;
};
const hourly = { retry: { limit: 1, delay: "1 hour", jitter: 0 } } as const;

const part = defineWorkflow("part", {
  handler: async (_input: unknown, step) => {
    await step.sleep("1 hour");
    return await work(step, "part");
  },
});

const stages: Readonly<Record<string, (step: Step) => Promise<unknown>>> = {
  flight: (step) => step.run("slow", slow),
  retry: (step) => step.run("flaky", flaky, hourly),
  sleep: async (step) => {
    await step.sleep("1 hour");
    return [await step.waitFor("buffered"), await step.waitFor("buffered")];
  },
  signal: (step) => step.waitFor("go", { timeout: "1 day" }),
  timeout: (step) => step.waitFor("never", { timeout: "1 hour" }),
  webhook: async (step) => {
    const hook = await step.webhook("call");
    await step.run("tell", () => hook.url);
    return (await hook.received())?.body;
  },
  child: (step) => step.invoke(part, {}),
  map: (step) => step.map("item", [0, 1, 2], (index) => (index === 1 ? slow() : RELEASE), { concurrency: 2 }),
  race: async (step) => {
    const raced = await step.race({
      nap: () => step.sleep("1 hour"),
      go: () => step.waitFor("go"),
      child: () => step.invoke(part),
    });
    return [raced.key, await step.waitFor("go")];
  },
  undo: async (step) => {
    await work(step, "charge", { undo: flaky, ...hourly });
    step.fail(new RangeError("over"));
  },
  ask: async (step) => {
    let sum = 0;
    step.query("sum", () => sum);
    step.update("add", z.object({ by: z.number() }), ({ by }) => (sum += by));
    step.onSignal<{ by: number }>("more", ({ by }) => (sum += by));
    await step.waitFor("go");
    return sum;
  },
  drawn: async (step) => {
    const drawn = [step.patched("before"), step.random(), step.uuid(), step.now()];
    const told = await step.run("told", () => drawn);
    await step.waitFor("go");
    return JSON.stringify(told) === JSON.stringify(drawn);
  },
  fetch: async (step) => {
    const report = { run: step.info.id, step: "far", attempt: 0, slotAt: null, ms: isOld ? 600_000 : 0 };
    const { status } = await step.fetch("far", { url: LEDGER, method: "POST", body: report });
    return [status, RELEASE];
  },
  exhausted: (step) => step.run("flaky", flaky, { retry: { limit: 0 }, onExhausted: "pause" }),
  broadcast: (step) => step.waitFor("everybody"),
  late: (step) => step.waitFor("kept"),
  fail: (step) => step.run("flaky", flaky, { retry: { limit: 0 } }),
  none: () => Promise.resolve(null),
};

const stage = defineWorkflow("stage", {
  input: z.object({ at: z.string() }),
  labels: ({ at }) => ({ at }),
  handler: async ({ at }, step): Promise<unknown> => {
    const first = await work(step, "first");
    const got = await stages[at]?.(step);
    return [first, got, await work(step, "last")];
  },
});

const renewed = defineWorkflow("renewed", {
  handler: async (round: number, step): Promise<unknown> => {
    const done = await work(step, "round");
    if (round === 1) await step.waitFor("go");
    return round < 2 ? await step.continueAsNew(round + 1) : [round, done, await step.waitFor("go")];
  },
});

const going = (name: string, options: object) =>
  defineWorkflow(name, {
    ...options,
    handler: async (input: unknown, step) => [input, await step.waitFor("go"), await work(step, "last")],
  });
const k = ({ k }: { readonly k: string }): string => k;

const worker = createWorker({
  workflows: [
    ...[
      stage,
      part,
      renewed,
      going("turn", {}),
      going("lined", { concurrency: { limit: 1, hold: true, key: () => "all" } }),
    ],
    ...[
      going("docked", { lane: { name: "dock", limit: 1 } }),
      going("throttled", { throttle: { limit: 1, period: "1 hour" } }),
    ],
    ...[
      going("single", { singleton: { mode: "skip", key: k } }),
      going("bounced", { debounce: { period: "1 hour", key: k } }),
    ],
    going("nightly", { schedule: { cron: "0 3 * * *", id: "nightly", overlap: "allow-all" } }),
  ],
});

export default worker;
export const RunObject = byThisClock(worker.objects.RunObject);
export const DirectoryObject = byThisClock(worker.objects.DirectoryObject);
export const SchedulerObject = byThisClock(worker.objects.SchedulerObject);
export const LaneObject = byThisClock(worker.objects.LaneObject);
