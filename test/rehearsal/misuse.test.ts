/** What JavaScript without types may give to the doors: each is refused where it is given, in words that name it. */
import { toWorkflow, WorkflowEntrypoint } from "holdfast/cloudflare";
import type { WorkflowStep, WorkflowStepConfig, WorkflowStepRollbackOptions } from "holdfast/cloudflare";
import { rehearse } from "holdfast/testing";
import type { CrashOptions, HookCall, RehearsalOptions } from "holdfast/testing";
import { expect, test } from "vitest";
import type { Limits } from "../../src/core/definition/definition.ts";
import type { InvokeOptions, StartChildOptions, WaitOptions } from "../../src/core/definition/options.ts";
import { createWorker, defineWebhook, defineWorkflow, RetryAfterError, verify } from "../../src/index.ts";
import type {
  BasicOptions,
  FetchOptions,
  HmacOptions,
  InboundWebhookOptions,
  MapOptions,
  MapRunsOptions,
  RunOptions,
  Step,
  ToleranceOption,
  TokenOptions,
  WebhookOptions,
  WorkerOptions,
} from "../../src/index.ts";
import type { PlainOptions } from "../../src/objects/deployment/workflow.ts";
import { expectRefusals, refusalOf } from "../core/misuse.ts";

const handler = (): number => 1;
const later = Promise.resolve("late") as never;
const other = defineWorkflow("other", { handler });
const hook = defineWebhook("hook", { verify: "none", workflow: other });

test("definitions", async () => {
  await expectRefusals<PlainOptions<unknown, unknown, never>>(
    (options) => defineWorkflow("w", options),
    { handler },
    {
      ...{ handler: 1, input: {}, output: {}, signals: new Map(), retries: "many", retry: new Map(), timeout: null },
      ...{ schedule: "soon", version: "\ud800", retention: null, labels: {}, notify: "nobody", limits: new Date() },
      ...{ lane: 7, concurrency: 0, rateLimit: 1, throttle: 1, singleton: "skip", debounce: "1 s", priority: "high" },
    },
  );
  const refused: [options: object, why: string][] = [
    [{ schedule: { cron: 5n } }, 'workflow "w": schedule.cron 5n is not text'],
    [{ schedule: "0 7 * *" }, 'schedule.cron "0 7 * *" has 4 fields: it needs five, or six with the seconds first'],
    [{ schedule: { cron: "* * * * *", overlap: Symbol("s") } }, "schedule.overlap a symbol is none of skip"],
    [{ schedule: { cron: "* * * * *", jitter: null } }, "schedule.jitter is not valid: jitter null is not a span"],
    [
      { limits: { perStep: [] } satisfies Record<keyof Limits & "perStep", unknown> },
      "limits.perStep must be an object",
    ],
    [{ throttle: Promise.resolve({ limit: 1 }) }, "throttle must be an object with limit and period"],
    [
      { retry: { limit: 1, dealy: 1 } },
      'retry has no option "dealy"; it takes limit, delay, backoff, maxDelay, jitter',
    ],
  ];
  for (const [options, why] of refused) {
    expect(await refusalOf(() => defineWorkflow("w", { handler, ...options }))).toContain(why);
  }
  expect(await refusalOf(() => defineWorkflow(Promise.resolve("w") as never, { handler }))).toBe(
    "name_invalid: a workflow needs a name that is a string, not a promise: await it first",
  );
});

test("createWorker and webhooks", async () => {
  await expectRefusals<WorkerOptions>(createWorker, { workflows: [other] }, { workflows: { other }, webhooks: null });
  const notMade: [option: string, items: readonly unknown[], why: string][] = [
    ["workflows", [other, { definition: {} }], "workflows[1] is an object, and not what defineWorkflow made"],
    ["workflows", [hook], "workflows[0] is an object, and not what defineWorkflow made"],
    ["workflows", [[other]], "workflows[0] is an array, and not"],
    ["webhooks", [hook, other], "webhooks[1] is an object, and not what defineWebhook made"],
    ["webhooks", [undefined], "webhooks[0] is undefined (do its module and this one import each other?)"],
  ];
  for (const [option, items, why] of notMade) {
    const call = () => createWorker({ workflows: [other], [option]: items as never });
    expect(await refusalOf(call)).toContain(`options_invalid: createWorker: ${why}`);
  }
  await expectRefusals<InboundWebhookOptions>(
    (options) => defineWebhook("w", options),
    { verify: "none", workflow: other },
    {
      ...{ verify: "open", workflow: { ...other, definition: null }, input: 1, id: "x", respond: {} },
      ...{ methods: "POST", maxBytes: "1 MiB" },
    },
  );
});

test("verify", async () => {
  const { standardWebhooks, stripe, slack, hmac, basic, token } = verify;
  for (const make of [standardWebhooks, stripe, slack]) {
    await expectRefusals<ToleranceOption>((options) => make("aGVsbG8=", options), {}, { tolerance: "soon" });
  }
  await expectRefusals<HmacOptions>(
    hmac,
    { secret: "s", header: "h" },
    {
      ...{ secret: "", header: "no header", algorithm: "MD5", encoding: "utf-8", prefix: 7, timestampHeader: null },
      ...{ content: "body", tolerance: -1 },
    },
  );
  await expectRefusals<BasicOptions>(basic, { username: "u", password: "p" }, { username: "a:b", password: [""] });
  await expectRefusals<TokenOptions>(token, { token: "t" }, { token: undefined, header: "a b", scheme: 7 });
});

/** Makes the call in a run, and throws what it throws there. */
async function inRun(call: (step: Step) => unknown): Promise<void> {
  const caught: unknown[] = [];
  const run = await rehearse(
    defineWorkflow("w", {
      handler: async (_input, step) => {
        try {
          await call(step);
        } catch (error) {
          caught.push(error);
        }
      },
    }),
    undefined,
    { lenient: true },
  );
  await run.end();
  if (caught.length > 0) throw caught[0];
}

const act = (): number => 1;
const acts = {
  ...{ retry: { limit: -1 }, timeout: "soon", undo: {}, undoPolicy: { limit: 1 }, onExhausted: "wait" },
  sensitive: "yes",
} as const;
const child = { labels: new Map(), onParentEnd: "kill" } as const;

test("options of step", async () => {
  await expectRefusals<RunOptions>(
    (options) => inRun((step) => step.run("x", act, options)),
    {},
    { ...acts, atMostOnce: 1 },
  );
  await expectRefusals<FetchOptions>(
    (options) => inRun((step) => step.fetch("x", "https://example.com", options)),
    {},
    { ...acts, acceptStatus: 404 },
  );
  await expectRefusals<MapOptions>(
    (options) => inRun((step) => step.map("x", [1], act, options)),
    {},
    { ...acts, atMostOnce: 1, concurrency: 0, tolerate: -1, settled: "yes" },
  );
  await expectRefusals<MapRunsOptions>(
    (options) => inRun((step) => step.map("x", [1], "other", options)),
    {},
    { ...child, timeout: null, concurrency: 0, tolerate: 1.5, settled: 1 },
  );
  await expectRefusals<InvokeOptions>(
    (options) => inRun((step) => step.invoke(other, undefined, options)),
    {},
    { ...child, id: "no id", timeout: null },
  );
  await expectRefusals<StartChildOptions>(
    (options) => inRun((step) => step.start(other, undefined, options)),
    {},
    { ...child, id: "no id" },
  );
  await expectRefusals<WaitOptions>(
    (options) => inRun((step) => step.waitFor("x", options)),
    {},
    { timeout: null, schema: {}, label: 7 },
  );
  await expectRefusals<WebhookOptions>(
    (options) => inRun((step) => step.webhook("x", options)),
    {},
    { timeout: null, verify: "none", respond: {} },
  );
});

test("arguments of step", async () => {
  const none = undefined as never;
  const calls: [call: (step: Step) => unknown, refusal: string][] = [
    [
      (step) => step.run(later, act),
      "name_invalid: a step needs a name that is a string, not a promise: await it first",
    ],
    [(step) => step.run("x", later), "options_invalid: step x needs a function to run"],
    [
      (step) => step.map("x", later, act),
      'options_invalid: map "x" needs an array of items, not a promise: await it first',
    ],
    [
      (step) => step.map("x", [1], later),
      'options_invalid: map "x" needs a function, or a workflow, to give the items to',
    ],
    [(step) => step.race(later), "options_invalid: a race needs an object of one branch or more, each a function"],
    [
      (step) => step.race({ a: later }),
      'options_invalid: branch "a" of a race must be a function, not a promise, which',
    ],
    [(step) => step.invoke(later), "name_invalid: a workflow needs a name that is a string, not a promise: await it"],
    [
      (step) => step.invoke(other, later),
      "value_uncloneable: the input of other cannot be kept: it is a promise: await",
    ],
    [(step) => step.start({} as never), "name_invalid: a workflow needs a name that is a string, not an object"],
    [(step) => step.signal(later, "n"), "id_invalid: a run id is 1 to 128"],
    [(step) => step.signal("r", none), "name_invalid: a signal needs a name that is a string, not undefined"],
    [(step) => step.sleep(none), "duration_invalid: step sleep: undefined is not a span of time"],
    [
      (step) => step.sleep("nap", later),
      "duration_invalid: step nap: (a promise: await it first) is not a span of time",
    ],
    [(step) => step.sleepUntil(5n as never), "duration_invalid: step sleep: 5n is not an instant"],
    [(step) => step.query("q", none), "options_invalid: query q needs a function"],
    [
      (step) => step.update("u", act as never, none),
      "options_invalid: the schema of update u must be a Standard Schema",
    ],
    [(step) => step.onSignal("s", later), "options_invalid: the listener to signal s needs a function"],
    [(step) => step.patched(none), "name_invalid: a patch needs a name that is a string, not undefined"],
    [(step) => step.progress(later), "value_uncloneable: the progress cannot be kept: it is a promise: await it first"],
  ];
  for (const [call, refusal] of calls) expect(await refusalOf(() => inRun(call))).toContain(refusal);
});

test("the delay of a RetryAfterError is not passed over where it is none", async () => {
  const busy = (): never => {
    throw new RetryAfterError("busy", new Date() as never);
  };
  expect(await refusalOf(() => inRun((step) => step.run("x", busy)))).toMatch(
    /^duration_invalid: the delay before the next attempt \(a date\) is not a span of time/,
  );
});

const waiting = defineWorkflow("waiting", {
  handler: async (_input, step) => {
    const { received } = await step.webhook("hook");
    return await received();
  },
});

test("rehearse", async () => {
  await expectRefusals<RehearsalOptions>(
    (options) => rehearse(waiting, undefined, options),
    {},
    {
      ...{ steps: new Map(), undos: [], patches: { patches: 1 }, children: null, id: "no id", startAt: "soon" },
      ...{ labels: null, schedule: { id: "nightly" }, lenient: "yes", patience: null },
    },
  );
  const part: readonly (readonly [part: unknown, why: string])[] = [
    [new Map(), 'children: "c": must be a function, or { workflow, steps, undos, patches }'],
    [{ workflow: waiting.definition }, 'children: "c": workflow must be one, as defineWorkflow makes it'],
    [{ steps: null }, 'children: "c": steps must be an object, not null'],
    [{ patches: { new: "old" } }, 'children: "c": patches: "new" must be true or false, not "old"'],
  ];
  for (const [c, why] of part) {
    expect(await refusalOf(() => rehearse(waiting, undefined, { children: { c } } as object))).toContain(why);
  }
  expect(await refusalOf(() => rehearse(waiting.definition as never))).toMatch(/rehearse takes a workflow/);
});

test("calls of a rehearsal", async () => {
  const run = await rehearse(waiting);
  await expectRefusals<HookCall>(
    (call) => run.call("hook", call),
    {},
    { method: 7, headers: new Headers(), query: "a=b", body: 5n },
  );
  await expectRefusals<CrashOptions>((options) => run.crashEverywhere(options), {}, { compare: "status" });
  const calls: [call: () => unknown, refusal: string][] = [
    [
      () => run.signal<string>(later),
      "name_invalid: a signal needs a name that is a string, not a promise: await it first",
    ],
    [() => run.call(later), "name_invalid: a webhook needs a name that is a string, not a promise: await it first"],
    [() => run.query(7 as never), "name_invalid: a query needs a name that is a string, not 7"],
    [() => run.update(Symbol("u") as never), "name_invalid: an update needs a name that is a string, not a symbol"],
    [() => run.child(undefined as never), "name_invalid: a workflow needs a name that is a string, not undefined"],
    [() => run.skip(later), "duration_invalid: skip (a promise: await it first) is not a span of time"],
    [() => run.pause({} as never), "options_invalid: the reason must be text of 1 to 4096 characters"],
  ];
  for (const [call, refusal] of calls) expect(await refusalOf(call)).toContain(refusal);
});

test("a value that holds itself, and an invalid date, are the same after a death", async () => {
  const looped: { self?: unknown; at: Date } = { at: new Date(Number.NaN) };
  looped.self = looped;
  const run = await rehearse(defineWorkflow("w", { handler: (_input, step) => step.run("loop", () => looped) }));
  expect(await run.crashEverywhere()).toEqual({ deaths: 3 });
});

/** Makes the call in a class that was written for Cloudflare Workflows. */
async function inClass(call: (step: WorkflowStep) => Promise<unknown>): Promise<unknown> {
  class Main extends WorkflowEntrypoint {
    override async run(_event: unknown, step: WorkflowStep): Promise<unknown> {
      return await call(step);
    }
  }
  return await (await rehearse(toWorkflow("main", Main), undefined, { lenient: true })).result();
}

test("toWorkflow", async () => {
  class Main extends WorkflowEntrypoint {
    override async run(): Promise<void> {}
  }
  const calls: [call: () => unknown, refusal: string][] = [
    [() => toWorkflow(later, Main), "name_invalid: a workflow needs a name that is a string, not a promise: await it"],
    [() => toWorkflow("w", undefined as never), "workflow w: the class must be derived from WorkflowEntrypoint"],
    [() => toWorkflow("w", Main, null as never), "the options of workflow w must be a plain object, not null"],
    [() => toWorkflow("w", Main, { retries: 4 } as object), "workflow w: retries is no option here: the class says it"],
    [() => toWorkflow("w", Main, { timeuot: 4 } as object), 'workflow w has no option "timeuot"; it takes handler'],
  ];
  for (const [call, refusal] of calls) expect(await refusalOf(call)).toContain(refusal);
});

test("options of the step of a class", async () => {
  const config = (given: unknown) => inClass((step) => step.do("x", given as WorkflowStepConfig, async () => 1));
  const wrong: [config: unknown, why: string][] = [
    [null, "the options of the config of step x must be a plain object, not null"],
    [new Map(), "the options of the config of step x must be a plain object, not an object of class Map"],
    [{ sensitive: true }, 'the config of step x: sensitive must be "output"'],
    [{ retries: { retries: 3 } }, 'the config of step x: retries has no option "retries"; it takes limit, delay'],
    [{ timeout: null }, "the timeout of step x null is not a span of time"],
  ];
  for (const [given, why] of wrong) expect(await refusalOf(() => config(given))).toContain(why);
  for (const delay of [1, () => 1]) {
    const backoff = "cubic";
    expect(await refusalOf(() => config({ retries: { limit: 1, delay, backoff } }))).toContain("retry.backoff");
  }
  await expectRefusals<WorkflowStepRollbackOptions>(
    (options) => inClass((step) => step.do("x", async () => 1, options)),
    { rollback: act },
    { rollback: "undo", rollbackConfig: { rollbackConfig: 1 } },
  );
  await expectRefusals<Parameters<WorkflowStep["waitForEvent"]>[1]>(
    (options) => inClass((step) => step.waitForEvent("x", options)),
    { type: "go" },
    { type: {}, timeout: "soon" },
  );
  expect(await refusalOf(() => inClass((step) => step.do(later, async () => 1)))).toMatch(/not a promise: await it/);
  expect(await refusalOf(() => inClass((step) => step.do("x", later)))).toMatch(/step x: the callback must be a funct/);
  expect(await refusalOf(() => inClass((step) => step.sleep("x", later)))).toMatch(/^duration_invalid: step x: \(a pr/);
});
