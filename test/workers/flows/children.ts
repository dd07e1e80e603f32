/** Workflows that start and signal each other. */
import * as z from "zod";
import { NonRetryableError, defineWorkflow } from "../../../src/index.ts";

/** Waits to be told what it returns. */
const patient = defineWorkflow("patient", {
  signals: { go: z.object({ say: z.string() }) },
  handler: async (input: { within?: string }, step) => {
    const told = await step.waitFor("go", { timeout: input.within ?? "1 day" });
    return told?.say ?? "nobody said anything";
  },
});

const brief = defineWorkflow("brief", {
  input: z.object({ n: z.number() }),
  // Kept no longer than it runs: its end must be known before it is gone.
  retention: 0,
  handler: async ({ n }, step) => await step.run("double", () => 2 * n),
});

const heavy = defineWorkflow("heavy", {
  handler: (input: { size: number }) => "x".repeat(input.size),
});

const doomed = defineWorkflow("doomed", {
  handler: async (_input: unknown, step) => {
    await step.run("doom", () => {
      throw new NonRetryableError("doomed", { cause: new Error("fate") });
    });
  },
});

/** Names of runs of `moody` that may succeed. */
export const cheered = new Set<string>();
/** What runs of `moody` wait for before they know, by their name. */
export const pondered = new Map<string, Promise<void>>();

const moody = defineWorkflow("moody", {
  retries: 0,
  handler: async (input: { name: string }, step) => {
    await step.run("first", () => 1);
    try {
      return await step.run("second", async () => {
        await pondered.get(input.name);
        if (!cheered.has(input.name)) throw new Error("in a bad mood");
        return "in a good mood";
      });
    } catch (error) {
      if ((error as { code: string }).code === "cancelled") await step.run("sulk", () => pondered.get(input.name));
      throw error;
    }
  },
});

/** Its own step is called as one of the child's. */
const insistent = defineWorkflow("insistent", {
  handler: async (input: { name: string }, step) => {
    const own = await step.run("second", ({ idempotencyKey }) => idempotencyKey);
    const [mood] = await Promise.all([step.invoke<string>("moody", input), step.invoke("brief", { n: 1 })]);
    return [own, mood];
  },
});

/** Invokes what it is told to, all at once, and answers what came of each. */
const caller = defineWorkflow("caller", {
  handler: async (
    input: {
      calls: readonly { workflow: string; input: unknown; id?: string; timeout?: string; onParentEnd?: "abandon" }[];
      then?: string;
    },
    step,
  ) => {
    const calls = input.calls.map(({ workflow, input: given, ...options }) => step.invoke(workflow, given, options));
    const settled = await Promise.allSettled(calls);
    if (input.then !== undefined) await step.sleep(input.then);
    return settled.map((outcome) => {
      if (outcome.status === "fulfilled") return outcome.value;
      const { code, message, child, cause } = outcome.reason as Error & { code: string; child?: string };
      return { code, message, child, cause: (cause as { code?: string } | undefined)?.code };
    });
  },
});

const starter = defineWorkflow("starter", {
  handler: async (input: { id: string; onParentEnd?: "cancel" }, step) => {
    const options = input.onParentEnd === undefined ? {} : { onParentEnd: input.onParentEnd };
    const { id } = await step.start(patient, {}, { id: input.id, labels: { of: step.info.id }, ...options });
    return id;
  },
});

const sender = defineWorkflow("sender", {
  handler: async (input: { to: string }, step) => {
    await step.signal(input.to, "go", { say: "one" });
    const refused = await step.signal(input.to, "go", { say: 1 }).catch((error: { code: string }) => error.code);
    await step.signal(step.info.id, "self", 7);
    const gone = await step.signal("nobody-is-there", "go").catch((error: { code: string }) => error.code);
    return [refused, await step.waitFor("self"), gone];
  },
});

/** Everything a run can do to others, with a child of a known id. */
const family = defineWorkflow("family", {
  retry: { limit: 10, delay: 25, backoff: "constant", jitter: 0 },
  handler: async (_input: unknown, step) => {
    const { id } = step.info;
    const told = step.invoke("member", { name: "told" }, { id: `${id}-told` });
    const { id: started } = await step.start("member", { name: "started" }, { id: `${id}-started` });
    const doom = step.invoke<string>("doomed", null, { id: `${id}-doomed` });
    const failed = await doom.catch((error: Error) => error.message);
    await step.signal(started, "word", "from the family");
    await step.signal(`${id}-told`, "word", "by name");
    const late = await step
      .invoke("member", { name: "late" }, { id: `${id}-late`, timeout: "100 ms" })
      .catch((error: { code: string }) => error.code);
    return [await told, started.replace(id, "ID"), failed.replaceAll(id, "ID"), late];
  },
});

const member = defineWorkflow("member", {
  handler: async (input: { name: string }, step) => {
    await step.run("wake", () => null);
    const word = await step.waitFor<string>("word");
    return await step.run("repeat", () => `${input.name}: ${word}`);
  },
});

export const childWorkflows = [
  patient,
  brief,
  heavy,
  doomed,
  moody,
  insistent,
  caller,
  starter,
  sender,
  family,
  member,
];
