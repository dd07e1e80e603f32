/** Workflows that are interrupted wherever they can be. */
import * as z from "zod";
import { NonRetryableError, defineWorkflow } from "../../../src/index.ts";
import type { RunOptions, Schema, Step } from "../../../src/index.ts";
import { watched } from "../crashpoint.ts";
import { contexts } from "./engine.ts";

type Deed = {
  readonly run: string;
  /** The id of the step, with `:undo` behind it where it was undone. */
  readonly step: string;
  readonly attempt: number;
  readonly key: string;
  /** The step's outcome was on record before: it must never have begun again. */
  readonly repeated: boolean;
};

/** What the steps did to the world. */
export const deeds: Deed[] = [];

/** Takes note of what an attempt is about to do. */
export function note(
  run: string,
  { attempt, idempotencyKey: key }: Pick<Deed, "attempt"> & { idempotencyKey: string },
) {
  const [, life, ...rest] = key.split(":");
  const step = `${rest.join(":")}${life?.endsWith(".undo") === true ? ":undo" : ""}`;
  deeds.push({ run, step, attempt, key, repeated: isOver(run, step) });
}

/** The step has its outcome, and nobody had it made again since. */
function isOver(run: string, done: string): boolean {
  const [step, undo] = done.split(":");
  const noun = undo === undefined ? "step" : "undo";
  let over = false;
  for (const entry of watched(run).entries) {
    // A run that goes on as new has all its steps before it.
    if (entry.kind === "run.created") over = false;
    else if (entry.kind === "run.retried" && entry.cleared.includes(step ?? "")) over = false;
    else if ((entry.kind === `${noun}.completed` || entry.kind === `${noun}.failed`) && "step" in entry) {
      over ||= entry.step === step;
    }
  }
  return over;
}

/** A step with an effect that can be counted; its first `failures` attempts fail. */
export function act<Value>(
  step: Pick<Step, "run" | "info">,
  name: string,
  value: Value,
  failures = 0,
  options: RunOptions<Awaited<Value>> = {},
): Promise<Awaited<Value>> {
  const run = step.info.id;
  return step.run(
    name,
    (context) => {
      note(run, context);
      if (context.attempt <= failures) throw new Error(`failure ${context.attempt}`);
      return value;
    },
    options,
  );
}

/** Everything the step API has, in one run. */
const gauntlet = defineWorkflow("gauntlet", {
  retry: { limit: 3, delay: 15, jitter: 0 },
  signals: { answer: z.object({ n: z.number() }) },
  handler: async (_input: unknown, step) => {
    step.log.info("begun");
    const drawn = { uuid: step.uuid(), random: step.random(), now: step.now() };
    const kept = await act(step, "draw", drawn);
    for (let index = 0; index < 3; index++) await act(step, "repeat", index);
    await step.sleep(20);
    const all = await together(step);
    const caught = await step
      .run("doomed", () => {
        throw new NonRetryableError("no", { cause: new Error("why") });
      })
      .catch((error: Error & { code?: string }) => [error.code, error.message, (error.cause as Error).message]);
    const silence = await step.waitFor("silence", { timeout: 30 });
    const called = await webhooks(step);
    const raced = await races(step);
    step.progress({ percent: 90 });
    const last = await step.waitFor("answer", { timeout: "1 hour" });
    await step.sleepUntil("final", step.now() + 10);
    step.log.warn("over", { last });
    const same = JSON.stringify(kept) === JSON.stringify(drawn);
    return { same, all, caught, silence, called, raced, last };
  },
});

async function together(step: Step): Promise<unknown> {
  step.progress({ percent: 10 });
  return await Promise.all([
    act(step, "left", "left"),
    act(step, "flaky", "at last", 2),
    step.sleep("nap", 30).then(() => act(step, "slept", "slept")),
    step.waitFor("early"),
    step.waitFor("twice").then(async (first) => [first, await step.waitFor("twice")]),
  ]);
}

async function races(step: Step): Promise<unknown> {
  const short = step.sleep("short", 20).then(() => "short");
  const quick = await Promise.race([act(step, "quick", "quick"), step.sleep("long", "1 day")]);
  return [quick, await Promise.race([step.waitFor("never"), short]), await act(step, "after", "after")];
}

async function webhooks(step: Step): Promise<unknown> {
  const unheard = await step.webhook("unheard", { timeout: 30 });
  const hook = await step.webhook("hook", {
    verify: async () => {
      await scheduler.wait(5);
      return true;
    },
    respond: () => ({ body: "thanks" }),
  });
  await act(step, "publish", "published");
  const nobody = await unheard.received();
  const call = await hook.received();
  // Work of the handler's own, outside any step, with nothing open that would bring the run back.
  await scheduler.wait(30);
  return [nobody, call?.query, await act(step, "called", "called")];
}

/** It takes another time in every life. */
const slow: Schema<unknown, { readonly n: number }> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: async (value) => {
      await scheduler.wait(Math.random() * 40);
      return { value: { n: -(value as { readonly n: number }).n } };
    },
  },
};

/** Signals that a schema takes its time over, beside what is quicker and what is slower: what came when, for ever. */
const judged = defineWorkflow("judged", {
  handler: async (_input: unknown, step) => {
    const order: string[] = [];
    const told = (what: string) => (value: unknown) => void order.push(`${what} ${JSON.stringify(value)}`);
    await Promise.all([
      step.waitFor("one", { schema: slow }).then(told("first")),
      step.waitFor("two", { schema: slow, timeout: "1 hour" }).then(told("two")),
      step.waitFor("one", { schema: slow }).then(told("second")),
      step.sleep("nap", 30).then(told("nap")),
      act(step, "beside", 1).then(told("beside")),
    ]);
    const kept = await act(step, "keep", [...order]);
    await step.sleep("later", 20);
    return { same: JSON.stringify(kept) === JSON.stringify(order), told: order.sort() };
  },
});

/** As many waits as it takes to get all the signals, each wait with a deadline. */
const volley = defineWorkflow("volley", {
  input: z.object({ signals: z.number().int(), timeout: z.number() }),
  handler: async ({ signals, timeout }, step) => {
    const seen: number[] = [];
    let silences = 0;
    while (seen.length < signals) {
      const ball = await step.waitFor<{ n: number }>("ball", { timeout });
      if (ball === null) silences++;
      else seen.push(ball.n);
    }
    return { seen, silences };
  },
});

/** Parked on what it was told to be parked on. */
const parked = defineWorkflow("parked", {
  handler: async (input: { sleep?: string; timeout?: string; hook?: string }, step) => {
    await act(step, "before", null);
    const sleep = input.sleep === undefined ? [] : [step.sleep("sleep", input.sleep)];
    const hook =
      input.hook === undefined ? [] : [step.webhook("hook", { timeout: input.hook }).then((made) => made.received())];
    const wait = step.waitFor("go", input.timeout === undefined ? {} : { timeout: input.timeout });
    await Promise.race([wait, ...sleep, ...hook]);
    await act(step, "after", null);
    return "gone";
  },
});

/** Kills its process outside any step in so many of its lives, after those it spares. */
const reckless = defineWorkflow("reckless", {
  handler: async (input: { spared: number; deaths: number; sleep: number }, step) => {
    const { spared, deaths, sleep } = input;
    const { lives } = watched(step.info.id);
    if (lives > spared && lives <= spared + deaths) {
      await scheduler.wait(5);
      contexts.get(step.info.id)?.abort("reckless");
      await scheduler.wait(60_000);
    }
    await step.sleep(sleep);
    return "survived";
  },
});

export const interruptionWorkflows = [gauntlet, judged, volley, parked, reckless];
