/** Workflows that the tests of traces, costs and the log drive. */
import { defineWorkflow } from "../../../src/index.ts";

/** The traceparents that attempts were given, by run and call. */
export const given = new Map<string, string[]>();

function note(run: string, call: string, traceparent: string): void {
  const key = `${run} ${call}`;
  given.set(key, [...(given.get(key) ?? []), traceparent]);
}

const repaired = new Set<string>();

/** What fails in this run works from now on. */
export function mend(run: string): void {
  repaired.add(run);
}

/** A step that succeeds at its second attempt, a nap, a signal, a child. */
const journey = defineWorkflow("traced-journey", {
  retry: { limit: 1, delay: 20, jitter: 0 },
  handler: async (input: { child?: boolean; signal?: boolean }, step) => {
    const { id } = step.info;
    await step.run(
      "first",
      ({ attempt, traceparent }) => {
        note(id, "first", traceparent);
        if (attempt === 1) throw new RangeError("not yet");
        return "a secret";
      },
      { undo: (_result, { traceparent }) => note(id, "undo first", traceparent) },
    );
    await step.sleep("nap", 30);
    if (input.signal === true) await step.waitFor<unknown>("go");
    if (input.child === true) await step.invoke(leg, { of: id });
    return "a secret";
  },
});

const leg = defineWorkflow("traced-leg", {
  handler: async ({ of }: { of: string }, step) => {
    await step.run("walk", ({ traceparent }) => note(of, "walk", traceparent));
  },
});

/** Sends a signal to another run. */
const sender = defineWorkflow("traced-sender", {
  handler: async ({ to }: { to: string }, step) => await step.signal(to, "go", {}),
});

const items = defineWorkflow("traced-items", {
  handler: async (_input: unknown, step) =>
    await step.map("item", [1, 2, 3], (_item, { traceparent }) => note(step.info.id, "item", traceparent)),
});

/** Fails until it is mended. */
const fragile = defineWorkflow("traced-fragile", {
  retries: 0,
  handler: async (_input: unknown, step) => {
    await step.run("whole", ({ traceparent }) => note(step.info.id, "whole", traceparent));
    return await step.run("broken", ({ traceparent }) => {
      note(step.info.id, "broken", traceparent);
      if (!repaired.has(step.info.id)) throw new RangeError("broken");
    });
  },
});

const stairs = defineWorkflow("traced-stairs", {
  handler: async ({ steps }: { steps: number }, step) => {
    for (let i = 0; i < steps; i++) await step.run("stair", () => i);
  },
});

/** Waits for so many signals, one after another. */
export const tracedListener = defineWorkflow("traced-listener", {
  handler: async ({ count }: { count: number }, step) => {
    for (let i = 0; i < count; i++) await step.waitFor<unknown>("go");
  },
});

/** Goes on as new so many times. */
const relay = defineWorkflow("traced-relay", {
  handler: async ({ left }: { left: number }, step): Promise<number> => {
    await step.run("run", ({ traceparent }) => note(step.info.id, "relay", traceparent));
    return left === 0 ? 0 : await step.continueAsNew({ left: left - 1 });
  },
});

/** Goes on as new at once, and is then at work for long. */
const onward = defineWorkflow("traced-onward", {
  handler: async ({ life }: { life: number }, step) => {
    await step.run("step", () => life);
    if (life === 1) return step.continueAsNew({ life: 2 });
    return await step.run("work", () => scheduler.wait(60_000));
  },
});

/** Is kept for a moment only. */
const brief = defineWorkflow("traced-brief", { retention: 300, handler: () => null });

/** A step that takes its time. */
const pause = defineWorkflow("traced-pause", {
  handler: async ({ ms }: { ms: number }, step) => await step.run("pause", () => scheduler.wait(ms)),
});

export const tracedWorkflows = [
  journey,
  leg,
  sender,
  items,
  fragile,
  stairs,
  tracedListener,
  relay,
  onward,
  brief,
  pause,
];
