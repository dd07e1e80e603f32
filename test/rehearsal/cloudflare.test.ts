/** Classes written for Cloudflare Workflows, in virtual time: what takes hours there, and every death. */
import type { WorkflowEvent, WorkflowStep } from "cloudflare:workers";
import { NonRetryableError, toWorkflow, WorkflowEntrypoint } from "holdfast/cloudflare";
import { hang, rehearse } from "holdfast/testing";
import { expect, test } from "vitest";
import { defineMain, delays } from "../outside/cloudflare/programs.ts";
import type { Params } from "../outside/cloudflare/programs.ts";

const dayMs = 86_400_000;

/** A workflow of one handler, and what stands in the history of a run of it. */
function define<Output>(run: (step: WorkflowStep, event: Readonly<WorkflowEvent<unknown>>) => Promise<Output>) {
  class Main extends WorkflowEntrypoint<object, unknown> {
    override async run(event: Readonly<WorkflowEvent<unknown>>, step: WorkflowStep): Promise<Output> {
      return await run(step, event);
    }
  }
  return toWorkflow("main", Main);
}

async function rest(workflow: ReturnType<typeof define>) {
  const run = await rehearse(workflow, undefined);
  await run.end();
  return run;
}

const fail = async (): Promise<never> => {
  throw new Error("no");
};

/** What was waited for before each attempt but the first. */
function delaysOf(run: Awaited<ReturnType<typeof rest>>): number[] {
  return run.history.flatMap((each) =>
    each.kind === "step.attempt_failed" ? [Number(each["retryAt"]) - Number(each.at)] : [],
  );
}

test("a step that says nothing is tried again five times, after 10 s, doubling, exactly", async () => {
  const run = await rest(define((step) => step.do("broken", fail)));
  expect(delaysOf(run)).toEqual([10_000, 20_000, 40_000, 80_000, 160_000]);
  expect([run.status, run.error]).toMatchObject(["failed", { code: "step_failed", step: "broken", attempts: 6 }]);
});

test("delays grow as the backoff says, those that a function says too, as they do there", async () => {
  const main = toWorkflow("main", defineMain({ WorkflowEntrypoint, NonRetryableError }));
  const params: Params = { program: "delays" };
  const run = await rehearse(main, params);
  await run.end();
  const seen: Record<string, number[]> = {};
  for (const { kind, at, ...entry } of run.history)
    if (kind === "step.attempt_failed")
      (seen[String(entry["step"])] ??= []).push(Number(entry["retryAt"]) - Number(at));
  expect(seen).toEqual(delays);
});

test("a delay may be a promise; where that is refused, no attempt follows", async () => {
  const later = async ({ ctx }: { ctx: { attempt: number } }): Promise<"1 hour" | number> => {
    return ctx.attempt === 1 ? "1 hour" : 5;
  };
  const run = await rest(define((step) => step.do("broken", { retries: { limit: 2, delay: later } }, fail)));
  expect([delaysOf(run), run.error?.code]).toEqual([[3_600_000, 10], "step_failed"]);
  const refused = await rest(define((step) => step.do("broken", { retries: { limit: 2, delay: fail } }, fail)));
  expect([delaysOf(refused), refused.error?.message]).toEqual([[], "no"]);
});

test("of an attempt that took too long nobody waits for what a delay says: without it, it is ten seconds", async () => {
  const seen: unknown[] = [];
  const late = async (delay: () => number | Promise<number>): Promise<number[]> => {
    const main = define((step) => step.do("late", { timeout: "1 minute", retries: { limit: 1, delay } }, fail));
    const run = await rehearse(main, undefined, { steps: { late: hang } });
    await run.end();
    return delaysOf(run);
  };
  expect(await late(() => seen.push("asked"))).toEqual([1]);
  expect(await late(async () => 1)).toEqual([10_000]);
  expect(await late(fail)).toEqual([10_000]);
  expect(seen).toEqual(["asked"]);
});

test("a rollback that says nothing is tried again as a step that says nothing, whatever its own step says", async () => {
  const main = define(async (step) => {
    const config = { retries: { limit: 0, delay: 1 }, timeout: 5 } as const;
    await step.do("made", config, async () => {}, { rollback: fail });
    await fail();
  });
  const run = await rest(main);
  const tries = run.history.flatMap((each) =>
    each.kind === "undo.attempt_failed" ? [Number(each["retryAt"]) - Number(each.at)] : [],
  );
  expect(tries).toEqual([10_000, 20_000, 40_000, 80_000, 160_000]);
});

test("a delay is never cut short", async () => {
  const retries = { limit: 3, delay: "1 month", backoff: "linear" } as const;
  const run = await rest(define((step) => step.do("broken", { retries }, fail)));
  expect(delaysOf(run)).toEqual([30 * dayMs, 60 * dayMs, 90 * dayMs]);
});

test.each([
  [1500, 1500],
  ["90 seconds", 90_000],
  ["1 week", 7 * dayMs],
  ["1 month", 30 * dayMs],
  ["0.5 years", 182.625 * dayMs],
] as const)("a sleep of %s", async (duration, ms) => {
  const run = await rehearse(
    define((step) => step.sleep("long", duration)),
    undefined,
  );
  const [wait] = run.waitingFor;
  expect((wait?.until ?? 0) - (wait?.since ?? 0)).toBe(ms);
});

test.each([[undefined], [0]])("a wait that says %s for its timeout waits a day, and then throws", async (timeout) => {
  const options = { type: "go", ...(timeout === undefined ? {} : { timeout }) };
  const run = await rehearse(
    define((step) => step.waitForEvent("for the go", options)),
    undefined,
  );
  const [wait] = run.waitingFor;
  expect([wait?.name, (wait?.until ?? 0) - (wait?.since ?? 0)]).toEqual(["go", dayMs]);
  await run.end();
  expect([run.status, run.error?.message]).toEqual([
    "failed",
    `the wait for an event of type go timed out after ${dayMs} ms`,
  ]);
});

test("an attempt has ten minutes unless its step says otherwise", async () => {
  const late = define((step) => step.do("late", { retries: { limit: 0, delay: 1 } }, fail));
  const run = await rehearse(late, undefined, { steps: { late: hang } });
  await run.end();
  expect(run.error?.message).toMatch(/timeout of 600000 ms$/);
});

test("the event has the instant of creation, and the rule of the schedule that started the run", async () => {
  class Main extends WorkflowEntrypoint<object, unknown> {
    override async run({ timestamp, schedule }: Readonly<WorkflowEvent<unknown>>): Promise<unknown> {
      return { timestamp, schedule };
    }
  }
  const main = toWorkflow("main", Main, { schedule: ["0 9 * * 1", { cron: "0 10 * * *", id: "late" }] });
  const startAt = "2026-03-02T09:00:05Z";
  const at = Date.parse("2026-03-02T09:00:00Z");
  const output = async (id?: string) =>
    (await rehearse(main, undefined, { startAt, ...(id === undefined ? {} : { schedule: { id, at } }) })).output;
  const timestamp = new Date(startAt);
  expect(await output()).toEqual({ timestamp, schedule: undefined });
  expect(await output("main")).toEqual({ timestamp, schedule: { cron: "0 9 * * 1", scheduledTime: at } });
  expect(await output("late")).toEqual({ timestamp, schedule: { cron: "0 10 * * *", scheduledTime: at } });
  expect(await output("made elsewhere")).toEqual({ timestamp, schedule: undefined });
});

test("wherever the process dies, it comes to the same", async () => {
  const rolled: string[] = [];
  const rollback = (what: string) => ({ rollback: async () => void rolled.push(what) });
  const main = define(async (step) => {
    const first = await step.do("step", async ({ step: { count } }) => count, rollback("first"));
    const retries = { limit: 2, delay: "1 minute", backoff: "constant" } as const;
    const [second] = await Promise.all([
      step.do("step", { retries }, async ({ step: { count }, attempt }) => {
        if (attempt < 3) throw new Error("not yet");
        return count;
      }),
      step.sleep("step", "1 hour"),
    ]);
    const { payload } = await step.waitForEvent<string>("step", { type: "go" });
    const refused = step.do(
      "refused",
      async () => {
        throw new NonRetryableError(`${first}, ${second}, ${payload}`, "Refusal");
      },
      rollback("refused"),
    );
    return await refused;
  });
  const run = await rehearse(main, undefined);
  await run.skip("2 hours");
  await run.signal("go", "now");
  await run.end();
  expect([run.status, run.error?.name, run.error?.message]).toEqual(["failed", "Refusal", "1, 2, now"]);
  expect(rolled).toEqual(["refused", "first"]);
  const { deaths } = await run.crashEverywhere();
  expect(deaths).toBeGreaterThan(10);
});

test("steps that ran beside each other are rolled back in the reverse order of their ends", async () => {
  const rolled: string[] = [];
  const both = define(async (step) => {
    const run = (name: string, callback: () => Promise<void>) =>
      step.do(name, callback, { rollback: async () => void rolled.push(name) });
    let end = (): void => {};
    const slow = run("slow", async () => await new Promise<void>((resolve) => (end = resolve)));
    await run("quick", async () => {});
    end();
    await slow;
    await fail();
  });
  await rest(both);
  expect(rolled).toEqual(["slow", "quick"]);
});

test("a class of another WorkflowEntrypoint is refused", () => {
  class Stranger {
    async run(): Promise<void> {}
  }
  expect(() => toWorkflow("stranger", Stranger)).toThrow(expect.objectContaining({ code: "options_invalid" }));
});

test("waits of one name that is too long for a label are told apart", async () => {
  const name = `${"n".repeat(239)}🙂${"n".repeat(60)}`;
  const main = define(async (step) => [
    (await step.waitForEvent<number>(name, { type: "go" })).payload,
    (await step.waitForEvent<number>(name, { type: "go" })).payload,
  ]);
  const run = await rehearse(main, undefined);
  for (const count of [1, 2]) await run.signal("go", count);
  expect(await run.result()).toEqual([1, 2]);
  const labels = run.history.flatMap((entry) => (entry.kind === "signal.consumed" ? [entry["label"]] : []));
  expect(labels).toEqual([`${"n".repeat(239)}\ufffd`, `${"n".repeat(239)}\ufffd#2`]);
});
