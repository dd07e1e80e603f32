/**
 * One class, written for Cloudflare Workflows and against their types, as it runs in both worlds: each program tells
 * what it saw, so that the answers can be compared.
 */
import type { WorkflowEvent, WorkflowStep } from "cloudflare:workers";

/** What a file imports from the one or the other. */
export type World = {
  readonly WorkflowEntrypoint: typeof import("cloudflare:workers").WorkflowEntrypoint;
  readonly NonRetryableError: new (message: string, name?: string) => Error;
};

type Env = { readonly GREETING: string };
export type Program = keyof typeof programs;
export type Params = { readonly program?: Program; readonly given?: unknown };
type Scene = World & {
  readonly event: Readonly<WorkflowEvent<Params>>;
  readonly step: WorkflowStep;
  readonly env: Env;
  readonly ctx: ExecutionContext;
};

const quick = { retries: { limit: 2, delay: 1, backoff: "constant" } } as const;
const once = { retries: { limit: 0, delay: 1 } } as const;

/** How often something was done, in this process. */
const counts = new Map<string, number>();
/** What was rolled back since it was last asked for. */
const undone: unknown[] = [];

function count(what: string): number {
  const times = (counts.get(what) ?? 0) + 1;
  counts.set(what, times);
  return times;
}

function told(error: unknown) {
  return error instanceof Error ? { name: error.name, message: error.message } : { thrown: error };
}

const caught = (promise: Promise<unknown>) => promise.then((value) => ({ value }), told);

function rollback(what: string) {
  return {
    rollback: async ({ ctx, error, output, stepName }: Parameters<Rollback>[0]) => {
      undone.push({ what, name: error.name, output, stepName, of: ctx.step, limit: ctx.config.retries?.limit });
    },
  };
}
type Rollback = import("cloudflare:workers").WorkflowRollbackHandler;

const fail = (message: string) => async (): Promise<never> => {
  throw new Error(message);
};

export const programs = {
  names: async ({ step }: Scene) => {
    const look = (name: string) => step.do(name, async (ctx) => [ctx.step.name, ctx.step.count, ctx.attempt]);
    const first = [
      await look("a"),
      await look("a"),
      await look("b"),
      await look("a#2"),
      await look("é"),
      await look("é"),
    ];
    await step.sleep("a", 1);
    return [...first, await look("a"), ...(await Promise.all([look("b"), look("c")]))];
  },
  context: async ({ step }: Scene) => {
    const config = { retries: { limit: 3, delay: "2 seconds", backoff: "linear" }, timeout: "1 minute" } as const;
    const { config: usual, ...rest } = await step.do("usual", async (ctx) => ctx);
    const { delay: _delay, ...retries } = { delay: 0, ...usual.retries };
    return {
      usual: { ...rest, config: { ...usual, retries } },
      full: await step.do("full", config, async (ctx) => ctx),
      partly: (await step.do("partly", { retries: { limit: 1, delay: 5 } }, async (ctx) => ctx)).config,
      timed: (await step.do("timed", { timeout: 2000 }, async (ctx) => ctx)).config.timeout,
      asked: (await step.do("asked", { retries: { limit: 1, delay: () => 1 } }, async (ctx) => ctx)).config,
      secret: (await step.do("secret", { sensitive: "output" }, async (ctx) => ctx)).config.sensitive,
    };
  },
  retried: ({ step }: Scene) =>
    step.do("flaky", quick, async ({ attempt }) => {
      if (attempt < 3) throw new Error(`attempt ${attempt}`);
      return attempt;
    }),
  exhausted: async ({ step }: Scene) => {
    let attempts = 0;
    const broken = step.do("broken", quick, async () => {
      attempts++;
      throw new TypeError(`no ${attempts}`);
    });
    return { error: await caught(broken), attempts };
  },
  delays: async ({ step }: Scene) => {
    const asked: unknown[] = [];
    const ask = ({ ctx, error }: { ctx: { attempt: number }; error: Error }) => {
      asked.push([ctx.attempt, error.message]);
      return 2 * ctx.attempt;
    };
    for (const backoff of ["constant", "linear", "exponential"] as const)
      await caught(step.do(backoff, { retries: { limit: 3, delay: 3, backoff } }, fail("no")));
    await caught(step.do("unsaid", { retries: { limit: 3, delay: 3 } }, fail("no")));
    await caught(step.do("asked", { retries: { limit: 3, delay: ask } }, fail("no")));
    await caught(step.do("asked, constant", { retries: { limit: 3, delay: ask, backoff: "constant" } }, fail("no")));
    return asked;
  },
  delayedLater: async ({ step }: Scene) => {
    const asked: unknown[] = [];
    const delay = async ({ ctx, error }: { ctx: { attempt: number }; error: Error }) => {
      await Promise.resolve();
      asked.push([ctx.attempt, error.message]);
      return ctx.attempt;
    };
    const error = await caught(step.do("asked", { retries: { limit: 2, delay } }, fail("no")));
    return [asked, error];
  },
  delayRefused: async ({ step }: Scene) => {
    let attempts = 0;
    const count = async (): Promise<never> => {
      throw new Error(`no ${++attempts}`);
    };
    for (const delay of [() => fail("no delay")() as never, fail("no delay") as never])
      await caught(step.do("asked", { retries: { limit: 2, delay } }, count));
    return attempts;
  },
  late: ({ step }: Scene) => caught(step.do("late", { ...once, timeout: 40 }, () => new Promise<never>(() => {}))),
  lateOnce: ({ step }: Scene) =>
    step.do("late", { retries: { limit: 1, delay: 1 }, timeout: "1 second" }, async ({ attempt }) => {
      if (attempt === 1) await new Promise(() => {});
      return attempt;
    }),
  refused: async ({ step, NonRetryableError }: Scene) => {
    let attempts = 0;
    const refused = step.do("refused", quick, async () => {
      attempts++;
      throw new NonRetryableError("declined");
    });
    return { error: await caught(refused), attempts };
  },
  uncaughtRefusal: ({ step, NonRetryableError }: Scene) =>
    step.do("refused", quick, async () => {
      throw new NonRetryableError("declined");
    }),
  uncaught: ({ step }: Scene) =>
    step.do("broken", once, async () => {
      throw new RangeError("too far");
    }),
  thrown: async () => {
    throw new Error("outside of every step");
  },
  thrownText: async () => {
    // oxlint-disable-next-line no-throw-literal
    throw "only text";
  },
  values: async ({ step }: Scene) => {
    const nothing = await step.do("nothing", async () => {});
    const none = await step.do("null", async () => null);
    const [at, map, bytes, gap] = await step.do("rich", async () => {
      const rich: [Date, Map<string, Set<number>>, Uint8Array, { a?: number | undefined }] = [
        ...([new Date(7), new Map([["k", new Set([1])]])] as const),
        ...([new Uint8Array([1, 2]), { a: undefined }] as const),
      ];
      return rich;
    });
    return [typeof nothing, none, at.getTime(), [...(map.get("k") ?? [])], [...bytes], Object.keys(gap)];
  },
  streams: async ({ step }: Scene) => {
    const read = (stream: unknown) => new Response(stream as ReadableStream).text();
    const body = await step.do("body", async () => new Response("some text").body as never);
    const chunks = new ReadableStream({
      start: (controller) => {
        for (const chunk of [new Uint8Array([104, 105]), new Uint16Array([0x2121]), new ArrayBuffer(0)])
          controller.enqueue(chunk);
        controller.close();
      },
    });
    const made = await step.do("made", { retries: { limit: 1, delay: () => 1 } }, async () => chunks as never);
    const none = await step.do("none", async () => new Response("").body as never);
    await step.sleep("nap", 1);
    return [(body as unknown) instanceof ReadableStream, await read(body), await read(made), await read(none)];
  },
  streamUndone: async ({ step }: Scene) => {
    await step.do("body", async () => new Response("some text").body as never, {
      rollback: async ({ output }) => void undone.push(await new Response(output).text()),
    });
    await step.do("broken", once, fail("no"));
  },
  streamHeld: async ({ step }: Scene) => {
    const body = await step.do("body", async () => new Response("some text").body as never);
    await step.waitForEvent("for the go", { type: "go" });
    return await new Response(body).text();
  },
  silent: async ({ step }: Scene) => {
    await step.do("one", async () => 1);
  },
  noTime: async ({ step }: Scene) => {
    await step.sleep("number", -5);
    await step.sleep("text", "-5 seconds");
    await step.sleep("digits", "5" as "5 seconds");
    const quick = await step.do("quick", { timeout: "5000" as "5 seconds" }, async () => "in time");
    return [quick, await caught(step.waitForEvent("in vain", { type: "never", timeout: -5 }))];
  },
  sleeps: async ({ step }: Scene) => {
    const slept = await step.sleep("nap", 5);
    await step.sleep("nap", "1 second");
    await step.sleepUntil("date", new Date(Date.now() + 60));
    await step.sleepUntil("number", Date.now() + 60);
    return typeof slept;
  },
  past: ({ step }: Scene) => caught(step.sleepUntil("past", Date.now() - 60_000)),
  event: async ({ event, env, ctx }: Scene) => {
    const { timestamp, ...rest } = event;
    ctx.waitUntil(Promise.resolve());
    return { ...rest, dated: timestamp instanceof Date, keys: Object.keys(event).toSorted(), env: env.GREETING };
  },
  wait: async ({ step }: Scene) => {
    const event = await step.waitForEvent<string>("for the go", { type: "go", timeout: "1 hour" });
    const { payload, type, timestamp } = event;
    return [payload ?? typeof payload, type, timestamp instanceof Date, Object.keys(event).toSorted()];
  },
  stamp: async ({ step }: Scene) => {
    await step.waitForEvent("to be ready", { type: "ready" });
    return (await step.waitForEvent("for the go", { type: "go" })).timestamp.getTime();
  },
  waits: async ({ step }: Scene) => {
    const wait = async (name: string, type: string) =>
      (await step.waitForEvent<string>(name, { type, timeout: "1 hour" })).payload;
    const both = await Promise.all([wait("one", "a"), wait("two", "a")]);
    return [...both, await wait("one", "b"), await wait("one", "a")];
  },
  waitInVain: ({ step }: Scene) => caught(step.waitForEvent("in vain", { type: "never", timeout: 30 })),
  waitInVainUncaught: ({ step }: Scene) => step.waitForEvent("in vain", { type: "never", timeout: 30 }),
  again: async ({ event, step }: Scene) => {
    const times = await step.do("count", async () => count(event.instanceId));
    return { times, given: event.payload.given };
  },
  stages: async ({ event, step }: Scene) => {
    const tick = (name: string) => step.do(name, async () => count(`${event.instanceId} ${name}`));
    const first = await tick("first");
    await step.sleep("nap", 1);
    const each = [await tick("each"), await tick("each")];
    const events = [];
    for (const type of ["go", "on"])
      events.push((await step.waitForEvent<string>("for news", { type, timeout: "1 hour" })).payload);
    return [first, each, events, await tick("last")];
  },
  stuck: async ({ event, step }: Scene) => {
    const before = await step.do("before", async () => count(event.instanceId));
    const times = await step.do("hang", async () => {
      const time = count(`${event.instanceId} hang`);
      if (time === 1) await new Promise(() => {});
      return time;
    });
    return [before, times];
  },
  mended: async ({ event, step }: Scene) => {
    const times = [
      await step.do("plain", async () => count(`${event.instanceId} plain`)),
      await step.do("undone", async () => count(`${event.instanceId} undone`), rollback("undone")),
    ];
    await step.do("mend", once, async () => {
      if (count(`${event.instanceId} mend`) === 1) throw new Error("broken");
    });
    return times;
  },
  held: async ({ event, step }: Scene) => {
    const before = await step.do("count", async () => count(event.instanceId));
    const { payload } = await step.waitForEvent<string>("for the go", { type: "go" });
    return [before, payload, await step.do("count", async (ctx) => [count(event.instanceId), ctx.step.count])];
  },
  undone: async ({ step }: Scene) => {
    await step.do("twice", async () => 1, rollback("one"));
    await step.do("twice", once, async () => 2, rollback("two"));
    await step.do("plain", async () => 3);
    await caught(step.do("caught", once, fail("no"), rollback("three")));
    await step.do("broken", once, fail("no"), rollback("four"));
  },
  notUndone: async ({ step }: Scene) => {
    await step.do("kept", async () => 1, { rollback: fail("no refund"), rollbackConfig: once });
    await step.do("made", async () => 1, { rollback: async () => {} });
    throw new Error("enough");
  },
  undoneAgain: async ({ event, step }: Scene) => {
    const flaky = (name: string, times: number) => ({
      rollback: async () => {
        const attempt = count(`${event.instanceId} ${name}`);
        if (attempt < times) throw new Error("not yet");
        undone.push([name, attempt]);
      },
    });
    await step.do("own", once, async () => 1, { ...flaky("own", 3), rollbackConfig: quick });
    await step.do("usual", once, async () => 1, flaky("usual", 1));
    const slow = async () => {
      if (count(event.instanceId) === 1) await new Promise(() => {});
      undone.push("slow");
    };
    await step.do("slow", async () => 1, { rollback: slow, rollbackConfig: { ...quick, timeout: 40 } });
    await step.do("broken", once, fail("no"), { ...flaky("broken", 2), rollbackConfig: quick });
  },
  told: async ({ step }: Scene) => {
    await step.do("twice", async () => ({ first: true }));
    await step.do("twice", { sensitive: "output" }, async () => "secret");
    await step.do("nothing", async () => {});
    await step.sleep("nap", 20);
    await step.waitForEvent("for the go", { type: "go" });
    await caught(step.waitForEvent("for the go", { type: "never", timeout: 20 }));
    return await step.do("flaky", quick, async ({ attempt }) => {
      if (attempt < 2) throw new TypeError("not yet");
      return attempt;
    });
  },
  toldUndone: async ({ event, step }: Scene) => {
    const flaky = async (): Promise<void> => {
      if (count(event.instanceId) < 2) throw new Error("not undone yet");
    };
    await step.do("made", async () => 1, { rollback: flaky, rollbackConfig: quick });
    await step.do("broken", once, fail("no"), rollback("broken"));
  },
  toldAtLength: async ({ step }: Scene) => {
    const name = "long".repeat(60);
    await caught(step.do(name, once, fail("no")));
    await Promise.allSettled([2, 3].map((at) => step.do(name, once, fail(`no ${at}`), rollback(`long ${at}`))));
    throw new Error("enough");
  },
  unwound: async ({ event, step }: Scene) => {
    await step.do("one", async () => 1, rollback("one"));
    count(event.instanceId);
    await step.waitForEvent("in vain", { type: "never" });
  },
  nested: ({ step }: Scene) => caught(step.do("outer", once, () => step.do("inner", async () => 1))),
  misnamed: ({ step }: Scene) => caught(step.do("x".repeat(300), async () => 1)),
  misconfigured: ({ step }: Scene) => caught(step.do("x", { retries: { limit: -1, delay: 1 } }, async () => 1)),
  mistyped: ({ step }: Scene) => caught(step.do("x", { timeOut: 1 } as never, async () => 1)),
  function: ({ step }: Scene) => caught(step.do("x", once, async () => (() => 1) as never)),
  streamOfThenable: async ({ step }: Scene) => {
    const { body } = new Response("some text");
    const kept: unknown = await step.do(
      "body",
      () => ({ then: (give: (value: unknown) => void) => give(body) }) as never,
    );
    return await new Response(kept as ReadableStream).text();
  },
  streamCut: async ({ event, step }: Scene) => {
    const half = new ReadableStream({
      start: (controller) => {
        controller.enqueue(new Uint8Array([104, 105]));
        count(event.instanceId);
      },
    });
    await step.do("half", async () => half as never, rollback("half"));
  },
  streamLate: async ({ step }: Scene) => {
    let give = (): void => {};
    const stopped = new Promise<string>((resolve) => {
      const late = new ReadableStream({ cancel: () => resolve("stopped") });
      const wait = () => new Promise<never>((answer) => (give = () => answer(late as never)));
      void caught(step.do("late", { ...once, timeout: 40 }, wait)).then(() => give());
    });
    return await step.do("seen", { ...once, timeout: "20 seconds" }, () => stopped);
  },
  textStream: ({ step }: Scene) => {
    const text = new ReadableStream({
      start: (controller) => {
        controller.enqueue("text");
        controller.close();
      },
    });
    return caught(step.do("x", once, async () => text as never));
  },
  lockedStream: ({ step }: Scene) => {
    const { body } = new Response("read");
    body?.getReader();
    return caught(step.do("x", once, async () => body as never));
  },
  largeStream: ({ step }: Scene) => {
    const chunk = new Uint8Array(1_000_000);
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(chunk) });
    return caught(step.do("x", once, async () => endless as never));
  },
  renamed: async ({ step, NonRetryableError }: Scene) => {
    let attempts = 0;
    const refused = step.do("refused", quick, async () => {
      attempts++;
      throw new NonRetryableError("declined", "Declined");
    });
    return { error: await caught(refused), attempts };
  },
} as const;

/** What is waited for before each attempt but the first, by the steps of the program `delays`. */
export const delays = {
  constant: [3, 3, 3],
  linear: [3, 6, 9],
  exponential: [3, 6, 12],
  unsaid: [3, 6, 12],
  asked: [2, 8, 24],
  "asked, constant": [2, 4, 6],
};

/** The class as a project has it. */
export function defineMain(world: World) {
  return class Main extends world.WorkflowEntrypoint<Env, Params> {
    override async run(event: Readonly<WorkflowEvent<Params>>, step: WorkflowStep): Promise<unknown> {
      const { program = "event" } = event.payload;
      const { env, ctx } = this;
      return await programs[program]({ ...world, event, step, env, ctx });
    }
  };
}

export type Call = {
  readonly op:
    | "create"
    | "createBatch"
    | "deleteBatch"
    | "get"
    | "counted"
    | "delays"
    | "events"
    | "eventsAtOnce"
    | "eventsOfRestart"
    | "firstEvent"
    | "rollback"
    | "undone"
    | InstanceCall;
  readonly id: string;
  readonly argument?: unknown;
};
type InstanceCall = "status" | "pause" | "resume" | "terminate" | "restart" | "sendEvent" | "delete";

/** What a test does through the binding, whoever made it. */
export async function answer(request: Request, binding: Workflow<Params>): Promise<Response> {
  const call = await request.json<Call>();
  const { value, error } = await act(binding, call).then(
    (done) => ({ value: done, error: null }),
    (thrown: unknown) => ({ value: null, error: { ...told(thrown), code: codeOf(thrown) } }),
  );
  return Response.json({ value, error });
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error && "code" in thrown ? thrown.code : null;
}

async function act(binding: Workflow<Params>, { op, id, argument }: Call): Promise<unknown> {
  switch (op) {
    case "create":
      return (await binding.create(argument as WorkflowInstanceCreateOptions<Params>)).id;
    case "createBatch": {
      if (Array.isArray(argument)) return (await binding.createBatch(argument)).map((made) => made.id);
      const { created, errors } = await binding.createBatch(argument as WorkflowBatchCreateOptions<Params>);
      return {
        created: created.map((made) => made.id),
        errors: errors.map((each) => [each.index, each.id, each.code]),
      };
    }
    case "deleteBatch": {
      const { deleted, errors } = await binding.deleteBatch(argument as string[]);
      return { deleted: deleted.map((each) => each.id), errors: errors.map((each) => [each.id, each.code]) };
    }
    case "get":
      return (await binding.get(id)).id;
    case "delays":
      return await delaysOf(await binding.get(id));
    case "events":
      return await eventsOf(await binding.get(id), argument as WorkflowInstanceSubscribeOptions);
    case "eventsAtOnce":
      return await eventsAtOnce(await binding.get(id));
    case "eventsOfRestart":
      return await eventsOfRestart(await binding.get(id));
    case "firstEvent":
      return await firstEventOf(await binding.get(id));
    case "counted":
      return counts.get(id) ?? 0;
    case "undone":
      return undone.splice(0);
    case "rollback": {
      // Which the types of Cloudflare lack, and its local emulator too.
      const status: object = await (await binding.get(id)).status();
      return "rollback" in status ? status.rollback : undefined;
    }
    case "status": {
      const { status, output, error = null } = await (await binding.get(id)).status();
      return { status, output, error };
    }
    default:
      return await (await binding.get(id))[op](argument as never);
  }
}

/** All that its subscribers are told, to its end. */
async function eventsOf(instance: WorkflowInstance, options: WorkflowInstanceSubscribeOptions): Promise<unknown> {
  const told: WorkflowInstanceEvent[] = [];
  using events = await instance.subscribe(options);
  for (;;) {
    const { done, value } = await events.next();
    if (done === true) return told;
    told.push(value);
  }
}

/** The first three events, asked for before any has come. */
async function eventsAtOnce(instance: WorkflowInstance): Promise<unknown> {
  using events = await instance.subscribe();
  const next = async (): Promise<unknown> => (await events.next()).value?.type;
  return await Promise.all([next(), next(), next()]);
}

/** What a subscriber who was there before is told of an instance that starts again at its wait, to its end. */
async function eventsOfRestart(instance: WorkflowInstance): Promise<unknown> {
  let told: unknown[] = [];
  using events = await instance.subscribe();
  for (let isFirst = true; ;) {
    const { done, value } = await events.next();
    if (done === true) return told;
    told = value.type === "workflow_queued" ? [value.type] : [...told, value.type];
    if (value.type !== "wait_started" || !isFirst) continue;
    isFirst = false;
    await instance.restart();
    await instance.sendEvent({ type: "go", payload: "now" });
  }
}

/** The first event, and what whoever unsubscribes then is told. */
async function firstEventOf(instance: WorkflowInstance): Promise<unknown> {
  const events = await instance.subscribe();
  const first = await events.next();
  events[Symbol.dispose]();
  return [first.value?.type, await events.next()];
}

/** What was waited for before each attempt but the first, by step, as the hosted product tells it. */
async function delaysOf(instance: WorkflowInstance): Promise<unknown> {
  const delays: Record<string, number[]> = {};
  using events = await instance.subscribe();
  for (;;) {
    const { value } = await events.next();
    if (value === undefined || value.type === "workflow_completed") return delays;
    if (value.type !== "attempt_errored" || value.retryDelayMs === undefined) continue;
    const name = value.stepName.replace(/-1$/, "");
    (delays[name] ??= []).push(value.retryDelayMs);
  }
}
