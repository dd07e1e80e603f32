/** Workflows that the tests of the run objects drive. */
import * as z from "zod";
import { NonRetryableError, defineWorkflow } from "../../../src/index.ts";

/** What the steps did, kept outside the runs: evictions and aborts do not touch it. */
export const effects: { run: string; step: string; key: string }[] = [];

export function effectsOf(run: string): string[] {
  return effects.filter((effect) => effect.run === run).map((effect) => effect.step);
}

/** Names of gates that are open. An object looks for itself: a promise of the test's is not its own. */
const gates = new Set<string>();

export function openGate(name: string): void {
  gates.add(name);
}

async function passGate(name: string): Promise<void> {
  while (!gates.has(name)) await scheduler.wait(10);
}

/** The contexts of the run objects, by run id: what a step needs to end its own object. */
export const contexts = new Map<string, DurableObjectState>();

const chain = defineWorkflow("chain", {
  input: z.object({ steps: z.number().int() }),
  handler: async ({ steps }, step) => {
    let sum = 0;
    for (let index = 0; index < steps; index++) {
      sum += await step.run("add", ({ idempotencyKey }) => {
        effects.push({ run: step.info.id, step: `add${index}`, key: idempotencyKey });
        return index;
      });
    }
    return sum;
  },
});

const inbox = defineWorkflow("inbox", {
  input: z.object({ count: z.number().int() }),
  handler: async ({ count }, step) => {
    const seen: number[] = [];
    for (let index = 0; index < count; index++) seen.push((await step.waitFor<{ n: number }>("item")).n);
    return seen;
  },
});

const nap = defineWorkflow("nap", {
  handler: async (input: { ms: number }, step) => {
    await step.run("before", () => void effects.push({ run: step.info.id, step: "before", key: "" }));
    await step.sleep("nap", input.ms);
    return await step.run("after", () => {
      effects.push({ run: step.info.id, step: "after", key: "" });
      return step.now();
    });
  },
});

const approval = defineWorkflow("approval", {
  signals: { decision: z.object({ approved: z.boolean() }) },
  handler: async (input: { timeout?: string }, step) => {
    await step.run("ask", () => void effects.push({ run: step.info.id, step: "ask", key: "" }));
    const decision = await step.waitFor("decision", { timeout: input.timeout ?? "7 days" });
    if (decision === null) return step.bail("nobody decided");
    const told = await step.run("tell", () => {
      effects.push({ run: step.info.id, step: "tell", key: "" });
      return decision.approved ? "yes" : "no";
    });
    return { told };
  },
});

const hooked = defineWorkflow("hooked", {
  handler: async (input: { timeout?: string; secret?: string }, step) => {
    const { secret } = input;
    const hook = await step.webhook("callback", {
      ...(input.timeout === undefined ? {} : { timeout: input.timeout }),
      ...(secret === undefined ? {} : { verify: (call) => call.headers["x-secret"] === secret }),
      respond: (call) => ({ status: 200, body: { thanks: call.method } }),
    });
    step.progress({ url: hook.url });
    const call = await hook.received();
    // Ended at once, the run could not tell a second call that it is one.
    await step.sleep(100);
    return call === null ? "nobody called" : { method: call.method, query: call.query, body: call.body };
  },
});

const flaky = defineWorkflow("flaky", {
  retry: { limit: 3, delay: 20, jitter: 0 },
  handler: async (input: { failures: number; fatal?: boolean }, step) => {
    return await step.run("call", ({ attempt, idempotencyKey }) => {
      effects.push({ run: step.info.id, step: `attempt${attempt}`, key: idempotencyKey });
      if (input.fatal) throw new NonRetryableError("declined", { cause: new Error("the bank said no") });
      if (attempt <= input.failures) throw new Error(`failure ${attempt}`);
      return attempt;
    });
  },
});

/** Each branch ends when its gate opens. */
const gated = defineWorkflow("gated", {
  handler: async (input: { gates: string[] }, step) => {
    return await Promise.all(
      input.gates.map((name) =>
        step.run(name, async ({ idempotencyKey }) => {
          effects.push({ run: step.info.id, step: name, key: idempotencyKey });
          await passGate(`${step.info.id}/${name}`);
          return name;
        }),
      ),
    );
  },
});

const poison = defineWorkflow("poison", {
  handler: async (input: { rescue: boolean }, step) => {
    try {
      await step.run("poison", async ({ idempotencyKey }) => {
        effects.push({ run: step.info.id, step: "poison", key: idempotencyKey });
        await scheduler.wait(20);
        contexts.get(step.info.id)?.abort("poison");
        await scheduler.wait(60_000);
      });
      return "alive";
    } catch (error) {
      if (!input.rescue) throw error;
      return { code: (error as { code?: string }).code };
    }
  },
});

/** Its first step, before or behind a signal, kills the object in the very turn in which it was set going. */
const mine = defineWorkflow("mine", {
  handler: async (input: { signal: boolean }, step) => {
    if (input.signal) await step.waitFor("go");
    const mined = step.run("mine", ({ idempotencyKey }) => {
      effects.push({ run: step.info.id, step: "mine", key: idempotencyKey });
      contexts.get(step.info.id)?.abort("mine");
    });
    return await mined.catch((error: unknown) => ({ code: (error as { code?: string }).code }));
  },
});

/** Fails once, and then kills its object in every attempt. */
const relapse = defineWorkflow("relapse", {
  handler: async (_input: unknown, step) => {
    try {
      await step.run(
        "relapse",
        async ({ attempt }) => {
          effects.push({ run: step.info.id, step: `attempt${attempt}`, key: "" });
          if (attempt === 1) throw new Error("the first time it only fails");
          await scheduler.wait(20);
          contexts.get(step.info.id)?.abort("relapse");
          await scheduler.wait(60_000);
        },
        { retry: { limit: 2, delay: 50, jitter: 0 } },
      );
      return "alive";
    } catch (error) {
      return { code: (error as { code?: string }).code };
    }
  },
});

const echo = defineWorkflow("echo", {
  handler: async (input: unknown, step) => await step.run("echo", () => input),
});

const big = defineWorkflow("big", {
  handler: async (input: { bytes: number }, step) => {
    const bytes = await step.run("make", () => new Uint8Array(input.bytes).fill(7));
    await step.waitFor("go");
    return { length: bytes.length, last: bytes[bytes.length - 1] };
  },
});

const deadline = defineWorkflow("deadline", {
  timeout: 150,
  handler: async (_input: unknown, step) => {
    await step.waitFor("never");
  },
});

const unkept = defineWorkflow("unkept", {
  retention: 0,
  handler: async (input: number, step) => await step.run("echo", () => input),
});

/** Begins to wait while a step of its own is at work. */
const engaged = defineWorkflow("engaged", {
  handler: async (input: { gate: string; signal: string }, step) => {
    const work = step.run("work", () => passGate(`${step.info.id}/${input.gate}`));
    await step.run("first", () => scheduler.wait(400));
    const payload = await step.waitFor(input.signal);
    await work;
    return payload;
  },
});

/** The promise that a schema makes of "hangs" never settles. Its values have a field more once they are validated. */
const noted = z
  .object({ text: z.string(), note: z.string().default("none") })
  .transform((said) => (said.text === "hangs" ? new Promise<typeof said>(() => {}) : said));

const notes = defineWorkflow("notes", {
  input: noted,
  signals: { note: noted },
  handler: async ({ text }, step) => text.length + (await step.waitFor("note")).text.length,
});

export const engineWorkflows = [
  notes,
  chain,
  inbox,
  nap,
  approval,
  hooked,
  flaky,
  gated,
  poison,
  mine,
  relapse,
  echo,
  big,
  deadline,
  unkept,
  engaged,
];

/** How often each run's object was made. */
export const lives = new Map<string, number>();
