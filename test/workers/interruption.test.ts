/**
 * Runs whose process ends wherever it can: at every write of the journal, at every rest, twice, and
 * in the middle of a resume. Nobody calls them meanwhile but the signals and webhooks they wait for.
 */
import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import anomalous from "../../examples/documents/samples/anomalous-invoice.json" with { type: "json" };
import invoice from "../../examples/documents/samples/clean-invoice.json" with { type: "json" };
import broken from "../../examples/documents/samples/broken-invoice.json" with { type: "json" };
import type { Entry } from "../../src/core/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { documentIntake } from "../../examples/documents/intake.ts";
import { order } from "../../examples/orders.ts";
import { dailyReport } from "../../examples/report.ts";
import { Catalog } from "../../src/objects/catalog.ts";
import { createService } from "../../src/objects/service.ts";
import { encode } from "../../src/core/value.ts";
import type { RunSnapshot } from "../../src/core/run.ts";
import { signal } from "../../src/index.ts";
import { deeds, interruptionWorkflows } from "./flows/interruption.ts";
import { mails, watched } from "./saboteur.ts";
import type { Blow } from "./saboteur.ts";

const workflows = [documentIntake, order, dailyReport, ...interruptionWorkflows];
const service = createService(new Catalog(workflows.map(({ definition }) => definition)));
const settings = env as unknown as Record<string, string | undefined>;
const pollMs = 40;
let made = 0;

/** A call from outside, once the journal says it is time for it; it throws when it was not answered. */
type Call = {
  readonly when: (entry: Entry) => boolean;
  readonly make: (id: string, entries: readonly Entry[]) => Promise<unknown>;
};

type Program = {
  readonly title: string;
  readonly workflow: string;
  /** `to` is an address of the run's own. */
  readonly input: (to: string) => unknown;
  readonly calls: readonly Call[];
};

function sent(after: (entry: Entry) => boolean, name: string, payload: object, key: string): Call {
  return { when: after, make: (id) => signal(id, name, payload, { idempotencyKey: `${id}:${key}` }) };
}

/** The address is the newest on record: one that was lost with its process was never given to anybody. */
function clicked(when: (entry: Entry) => boolean, webhook: string, query: Record<string, string>): Call {
  return {
    when,
    make: async (_id, entries) => {
      const created = entries.findLast((entry) => entry.kind === "webhook.created" && entry.name === webhook);
      const url = created?.kind === "webhook.created" ? created.url : "";
      await service.hooks.receive(url.split("/").at(-1) ?? "", { method: "GET", headers: {}, query, body: new Uint8Array() });
    },
  };
}

const is =
  (kind: Entry["kind"], name?: string) =>
  (entry: Entry): boolean =>
    entry.kind === kind && (name === undefined || ("name" in entry && entry.name === name) || ("step" in entry && entry.step === name));

const card = { id: "A-1", address: "12 Quay Street, Galway", totalCents: 8990, card: "4242" };
const programs: readonly Program[] = [
  {
    title: "a document that is in order",
    workflow: "document-intake",
    input: (to) => ({ ...invoice, sender: to }),
    calls: [],
  },
  {
    title: "a document that cannot be read",
    workflow: "document-intake",
    input: (to) => ({ ...broken, sender: to }),
    calls: [],
  },
  {
    title: "a document that is approved",
    workflow: "document-intake",
    input: (to) => ({ ...anomalous, sender: to, reviewer: `r-${to}` }),
    calls: [clicked(is("timer.set", "remind-after"), "review", { decision: "approve" })],
  },
  {
    title: "a document that is rejected after a reminder",
    workflow: "document-intake",
    input: (to) => ({ ...anomalous, sender: to, reviewer: `r-${to}`, remindAfter: "50ms" }),
    calls: [clicked(is("step.completed", "remind-reviewer"), "review", { decision: "reject" })],
  },
  {
    title: "a document that nobody decides on",
    workflow: "document-intake",
    input: (to) => ({ ...anomalous, sender: to, reviewer: `r-${to}`, remindAfter: "50ms", reviewTimeout: "5s" }),
    calls: [],
  },
  { title: "an order", workflow: "order", input: (email) => ({ ...card, email, failPayments: 1 }), calls: [] },
  { title: "an order with a bad card", workflow: "order", input: (email) => ({ ...card, email, card: "declined" }), calls: [] },
  { title: "an order that cannot be shipped", workflow: "order", input: (email) => ({ ...card, email, undeliverable: true }), calls: [] },
  { title: "a report", workflow: "daily-report", input: (to) => ({ to }), calls: [] },
  {
    title: "everything at once",
    workflow: "gauntlet",
    input: () => ({}),
    calls: [
      sent(is("run.started"), "early", { early: true }, "early"),
      sent(is("run.started"), "twice", { n: 1 }, "one"),
      sent(is("step.completed", "slept"), "twice", { n: 2 }, "two"),
      clicked(is("step.completed", "publish"), "hook", { from: "outside" }),
      sent(is("wait.started", "answer"), "answer", { n: 42 }, "answer"),
    ],
  },
];

type Ending = { readonly run: RunSnapshot; readonly entries: readonly Entry[] };

/** What else is done to a run while it goes on. */
type Poke = (id: string) => Promise<void>;

/** Starts the run, makes the calls it needs, each until it is answered, and waits for its end without asking it. */
async function play(program: Program, id: string, blows: readonly Blow[], poke: Poke = async () => {}): Promise<Ending> {
  const sight = watched(id);
  sight.blows = blows;
  await start(program, id);
  const calls = [...program.calls];
  const endsBy = Date.now() + 25_000;
  while (!isOver(id)) {
    if (Date.now() > endsBy) throw new Error(`${id} is stuck: ${JSON.stringify([sight.blows, sight.resting, sight.lives, sight.entries.map((entry) => entry.kind)])}`);
    const [call] = calls;
    if (call !== undefined && sight.entries.some(call.when)) {
      // Unanswered calls are made again; nothing else is ever asked of the run.
      await call.make(id, sight.entries).then(() => calls.shift(), refused);
    }
    await poke(id);
    await pause(pollMs);
  }
  const { entries } = await service.runs.history(id, 0, 200);
  return { run: await service.runs.read(id), entries };
}

async function start({ workflow, input }: Program, id: string): Promise<void> {
  for (;;) {
    try {
      await service.runs.start({ workflow, id, input: encode(input(`${id}@example.com`), "input"), by: "test" });
      return;
    } catch (error) {
      refused(error);
      await pause(pollMs);
    }
  }
}

/** A process that ended while it was asked answers with an error of the platform's; ours would be a refusal. */
function refused(error: unknown): void {
  if (error instanceof HoldfastError && error.code !== "webhook_not_found") throw error;
}

function isOver(id: string): boolean {
  const { entries, blows, resting } = watched(id);
  const last = entries.at(-1)?.kind;
  return blows.length === 0 && resting && (last === "run.completed" || last === "run.failed" || last === "run.cancelled");
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * What happened to each call, in its order, without what only tells of the interruptions. A wait is
 * on record only where it had to wait, so its beginning is no part of it.
 */
const unsaid: ReadonlySet<string> = new Set(["run.interrupted", "run.recovered", "step.interrupted", "wait.started"]);

function storyOf(entries: readonly Entry[]): Record<string, string[]> {
  const story: Record<string, string[]> = {};
  for (const entry of entries) {
    if (unsaid.has(entry.kind)) continue;
    const [noun] = entry.kind.split(".");
    const place = "step" in entry ? entry.step : "call" in entry ? entry.call : "";
    const detail = entry.kind === "log.written" ? ` ${entry.message}` : entry.kind === "signal.received" ? ` ${entry.name}` : "";
    (story[`${noun === "wait" ? "signal" : noun} ${place}`] ??= []).push(`${entry.kind}${detail}`);
  }
  return story;
}

/** The end as it would be under any id and at any time. */
function endOf({ run }: Ending): unknown {
  const text = JSON.stringify([run.status, run.output, run.error, run.progress, run.steps]);
  return text
    .replaceAll(run.id, "ID")
    .replaceAll(/pay_\w{7}|HF\w{7}/g, "CODE")
    .replaceAll(/,\d{12,}(?=[,\]])/g, ",AT")
    .replaceAll(/"stack":"[^"]*"/g, "");
}

/** The mails of the development outbox, where each is a run. */
function mailsOf(id: string): string[] {
  return mails()
    .filter(({ to }) => to === `${id}@example.com` || to === `r-${id}@example.com`)
    .map(({ to, subject }) => `${to} ${subject}`.replaceAll(id, "ID"));
}

/**
 * What was done for the run that was accepted: a start that died unanswered is made again, and what
 * was done under its keys never left the process.
 */
function deedsOf({ id, createdAt }: RunSnapshot): typeof deeds {
  return deeds.filter(({ run, key }) => run === id && key.startsWith(`${id}:${createdAt.toString(36)}:`));
}

beforeAll(() => {
  settings["AUTH"] = "none";
});
afterAll(() => {
  settings["AUTH"] = "token";
});

/** Everything about a run that its interruptions must not change. */
function traceOf(ending: Ending) {
  const done = deedsOf(ending.run);
  const keys = new Set(done.map(({ step, key }) => `${step} ${key}`));
  const attempts = new Set(done.map(({ step, attempt }) => `${step} ${attempt}`));
  return {
    end: endOf(ending),
    story: storyOf(ending.entries),
    mails: mailsOf(ending.run.id),
    attempts: [...attempts].toSorted(),
    steps: [...keys].map((key) => key.split(" ")[0]).toSorted(),
    repeated: done.filter(({ repeated }) => repeated),
  };
}

/** How the program is played, by name, once it is known how many entries it makes. */
type Plan = (length: number) => readonly (readonly [name: string, blows: readonly Blow[], poke?: Poke])[];

/** Plays the program once undisturbed and once for each plan, side by side; all must leave the same trace. */
async function playAll(program: Program, plan: Plan): Promise<void> {
  const name = `cut-${++made}`;
  const whole = await play(program, `${name}-whole`, []);
  const reference = traceOf(whole);
  const traces = plan(whole.entries.length).map(async ([how, blows, poke]) => {
    return [how, traceOf(await play(program, `${name}-${how}`, blows, poke))] as const;
  });
  const played = await Promise.all(traces);
  expect(Object.fromEntries(played)).toEqual(Object.fromEntries(played.map(([how]) => [how, reference])));
}

const upTo = (length: number) => Array.from({ length }, (_, index) => index + 1);

/** Drops the object from memory whenever it rests, once at each point. */
function evicting(): Poke {
  let evictedAt = 0;
  return async (id) => {
    const { resting, entries } = watched(id);
    if (!resting || entries.length === evictedAt) return;
    evictedAt = entries.length;
    // One that left by itself meanwhile cannot be evicted.
    await evictDurableObject(env.RUNS.getByName(id)).catch(() => {});
  };
}

/** Alarms that come early, late and twice. */
const alarming: Poke = async (id) => {
  if (Math.random() < 0.5) return;
  const ring = () => runDurableObjectAlarm(env.RUNS.getByName(id));
  await Promise.all(Math.random() < 0.5 ? [ring()] : [ring(), ring()]);
};

const plans: readonly { readonly how: string; readonly plan: Plan }[] = [
  {
    how: "at any write (guarantees 1 to 5)",
    plan: (length) =>
      upTo(length).flatMap((at) => [
        [`lost-${at}`, [{ at, how: "lost" }]],
        [`kept-${at}`, [{ at, how: "kept" }]],
      ]),
  },
  {
    how: "again and again, and while it resumes (guarantee 4)",
    plan: (length) =>
      upTo(length)
        .filter((at) => at % 3 === 1)
        .flatMap((at) => [
          [`twice-${at}`, [{ at, how: "lost" }, { at, how: "lost" }]],
          [`wake-${at}`, [{ at, how: "kept" }, { at: "wake" }, { at: Math.min(length, at + 1), how: "lost" }]],
        ]),
  },
  { how: "wherever it rests (guarantees 2 and 4)", plan: () => [["evicted", [], evicting()]] },
  { how: "nowhere, but whose alarms come early and twice (guarantee 4)", plan: () => [["alarms", [], alarming], ["more", [], alarming]] },
];

describe("a run whose process ends", () => {
  const played = new Map<string, Promise<void>>();
  const cases = plans.flatMap(({ how, plan }) => programs.map((program) => ({ name: `${how}: ${program.title}`, program, plan })));

  // All of them side by side: most of the time is spent waiting for alarms.
  beforeAll(() => {
    for (const { name, program, plan } of cases) {
      const outcome = playAll(program, plan);
      outcome.catch(() => {});
      played.set(name, outcome);
    }
  });

  it.for(cases)("$name", { timeout: 60_000 }, async ({ name }) => {
    await played.get(name);
  });
});

describe("a handler that kills its process", () => {
  const reckless = (deaths: number): Program => ({ title: "", workflow: "reckless", input: () => ({ deaths }), calls: [] });

  it("outside any step is counted, and at last fails with handler_crashed (guarantee 4)", { timeout: 30_000 }, async () => {
    const { run } = await play(reckless(1000), `reckless-${++made}`, []);
    expect(run.error).toMatchObject({ code: "handler_crashed" });
  });

  it("outside any step goes on once it no longer does", { timeout: 30_000 }, async () => {
    const { run, entries } = await play(reckless(4), `reckless-${++made}`, []);
    expect(run.status).toBe("completed");
    expect(entries.filter(({ kind }) => kind === "run.interrupted")).toHaveLength(4);
  });
});

describe("a parked run", () => {
  async function park(input: object): Promise<{ id: string; stub: DurableObjectStub }> {
    const id = `parked-${++made}`;
    const sight = watched(id);
    await service.runs.start({ workflow: "parked", id, input: encode(input, "input"), by: "test" });
    await vi.waitFor(() => expect([sight.resting, sight.entries.length > 3]).toEqual([true, true]), { interval: 10 });
    return { id, stub: env.RUNS.getByName(id) };
  }

  const alarmOf = (stub: DurableObjectStub) => runInDurableObject(stub, (_object, ctx) => ctx.storage.getAlarm());

  it.each([
    ["a signal", {}],
    ["a signal with a deadline", { timeout: "1 hour" }],
    ["a sleep", { sleep: "2 hours" }],
    ["a webhook with a deadline", { hook: "3 hours" }],
    ["the earliest of them", { timeout: "2 hours", sleep: "90 minutes", hook: "1 day" }],
  ])("has the alarm that it needs and no other: %s (guarantee 4)", async (_what, input) => {
    const { id, stub } = await park(input);
    const { waitingFor } = await service.runs.read(id);
    const deadlines = waitingFor.flatMap(({ until }) => (until === null ? [] : [until]));
    const earliest = deadlines.length === 0 ? null : Math.min(...deadlines);
    expect(await alarmOf(stub)).toBe(earliest);
    await evictDurableObject(stub);
    const { length } = watched(id).entries;
    // Whatever comes without need changes nothing.
    for (let times = 0; times < 10; times++) {
      await runDurableObjectAlarm(stub);
      expect(await alarmOf(stub)).toBe(earliest);
      await evictDurableObject(stub);
    }
    expect(watched(id).entries).toHaveLength(length);
    await signal(id, "go");
    expect((await service.runs.read(id, 5000)).status).toBe("completed");
  });
});
