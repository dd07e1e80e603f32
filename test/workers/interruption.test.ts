/**
 * Runs whose process ends wherever it can: at every write of the journal, at every rest, twice, and
 * in the middle of a resume. Nobody calls them meanwhile but the signals and webhooks they wait for.
 */
import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import anomalous from "../../examples/documents/samples/anomalous-invoice.json" with { type: "json" };
import broken from "../../examples/documents/samples/broken-invoice.json" with { type: "json" };
import invoice from "../../examples/documents/samples/clean-invoice.json" with { type: "json" };
import { clicked, is, pause, play, pollMs, sent, traceOf } from "./play.ts";
import type { Ending, Poke, Program } from "./play.ts";
import { watched } from "./saboteur.ts";
import type { Blow } from "./saboteur.ts";

const settings = env as unknown as Record<string, string | undefined>;
/** Runs that are played at a time: more would starve the timers of the tests themselves. */
const stages = 64;
let made = 0;

beforeAll(() => {
  settings["AUTH"] = "none";
});
afterAll(() => {
  settings["AUTH"] = "token";
});

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
  {
    title: "an order with a bad card",
    workflow: "order",
    input: (email) => ({ ...card, email, card: "declined" }),
    calls: [],
  },
  {
    title: "an order that cannot be shipped",
    workflow: "order",
    input: (email) => ({ ...card, email, undeliverable: true }),
    calls: [],
  },
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

/** How the program is played, by name, once it is known how many entries it makes. */
type Plan = (length: number) => readonly (readonly [name: string, blows: readonly Blow[], poke?: Poke])[];

let playing = 0;

/** `play`, once there is room. */
async function playInTurn(program: Program, id: string, blows: readonly Blow[], poke?: Poke): Promise<Ending> {
  while (playing >= stages) await pause(pollMs);
  playing++;
  return await play(program, id, blows, poke).finally(() => playing--);
}

const wholes = new Map<Program, Promise<Ending>>();

/** The program undisturbed; played once. */
function wholeOf(program: Program): Promise<Ending> {
  const known = wholes.get(program) ?? playInTurn(program, `whole-${++made}`, []);
  wholes.set(program, known);
  return known;
}

/** Plays the program as the plan says, side by side; each time it must leave the trace of the undisturbed run. */
async function playAll(program: Program, plan: Plan): Promise<void> {
  const whole = await wholeOf(program);
  const name = `cut-${++made}`;
  const reference = traceOf(whole);
  const traces = plan(whole.entries.length).map(async ([how, blows, poke]) => {
    return [how, traceOf(await playInTurn(program, `${name}-${how}`, blows, poke))] as const;
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
      upTo(length).flatMap((at): ReturnType<Plan> => {
        const lost = [`lost-${at}`, [{ at, how: "lost" }]] as const;
        // What is lost at one write was kept at the one before: every second is enough to see the other way.
        return at % 2 === 0 ? [lost] : [lost, [`kept-${at}`, [{ at, how: "kept" }]]];
      }),
  },
  {
    how: "again and again, and while it resumes (guarantee 4)",
    plan: (length) =>
      upTo(length)
        .filter((at) => at % 5 === 1)
        .flatMap((at) => [
          [
            `twice-${at}`,
            [
              { at, how: "lost" },
              { at, how: "lost" },
            ],
          ],
          [`wake-${at}`, [{ at, how: "kept" }, { at: "wake" }]],
        ]),
  },
  { how: "wherever it rests (guarantees 2 and 4)", plan: () => [["evicted", [], evicting()]] },
  {
    how: "nowhere, but whose alarms come early and twice (guarantee 4)",
    plan: () => [
      ["alarms", [], alarming],
      ["more", [], alarming],
    ],
  },
];

describe("a run whose process ends", () => {
  const played = new Map<string, Promise<void>>();
  const cases = plans.flatMap(({ how, plan }) =>
    programs.map((program) => ({ name: `${how}: ${program.title}`, program, plan })),
  );

  // All of them side by side: most of the time is spent waiting for alarms.
  beforeAll(() => {
    for (const { name, program, plan } of cases) {
      const outcome = playAll(program, plan);
      outcome.catch(() => {});
      played.set(name, outcome);
    }
  });

  it.for(cases)("$name", { timeout: 100_000 }, async ({ name }) => {
    await played.get(name);
  });
});

describe("everything at once ends again and again", () => {
  it(
    "every run, every mail and the directory, and all ends well (guarantees 1 to 5)",
    { timeout: 100_000 },
    async () => {
      const name = `storm-${++made}`;
      const undisturbed = await Promise.all(programs.map(wholeOf));
      let over = false;
      const storm = (async () => {
        for (let times = 0; times < 8 && !over; times++) {
          await pause(100 + Math.random() * 900);
          await abortAllDurableObjects();
        }
      })();
      const played = await Promise.all(programs.map((program, index) => play(program, `${name}-${index}`, [])));
      over = true;
      await storm;
      // A mail whose own object ended failed, and was sent again: attempts may differ, nothing else.
      const rough = (ending: Ending) => {
        const { end, mails: letters, repeated } = traceOf(ending);
        return { end, mails: letters, repeated };
      };
      expect(played.map(rough)).toEqual(undisturbed.map(rough));
    },
  );
});
