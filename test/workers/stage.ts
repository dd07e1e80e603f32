/**
 * The interruptions that every program has to get through: its process ends at every write of the
 * journal, at every rest, twice, and in the middle of a resume.
 */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask, pause, play, pollMs } from "./play.ts";
import type { Ending, Poke, Program } from "./play.ts";
import { lengthOf, watched } from "./saboteur.ts";
import type { Blow } from "./saboteur.ts";
import { traceOf } from "./trace.ts";

const settings = env as unknown as Record<string, string | undefined>;
/** Runs that are played at a time: more would starve the timers of the tests themselves. */
const stages = 64;
/** A program with more entries is ended at every second one. */
const longest = 16;
/** Which of them, is another one each time. */
const seed = Math.floor(Math.random() * 60);
let made = 0;

/** How the program is played, by name, once it is known how many entries it makes. */
type Plan = (length: number) => readonly Way[];
type Way = readonly [name: string, blows: readonly Blow[], poke?: (program: Program) => Poke];

let playing = 0;

/** `play`, once there is room; with its twin beside it, if it has one. */
async function playInTurn(program: Program, id: string, blows: readonly Blow[], poke?: Poke): Promise<Ending[]> {
  while (playing >= stages) await pause(pollMs);
  playing++;
  const twin = program.twin === true ? [play(program, `${id}-twin`, [])] : [];
  return await Promise.all([play(program, id, blows, poke), ...twin]).finally(() => playing--);
}

const wholes = new Map<Program, Promise<Ending[]>>();

/** The program undisturbed; played once. */
async function playWhole(program: Program): Promise<Ending[]> {
  const known = wholes.get(program) ?? playInTurn(program, `whole-${++made}`, []);
  wholes.set(program, known);
  return await known;
}

/** The program undisturbed. */
export async function wholeOf(program: Program): Promise<Ending> {
  const [ending] = await playWhole(program);
  if (ending === undefined) throw new Error(`${program.title} was not played`);
  return ending;
}

/** Plays the program as the plan says, side by side; each time it must leave the trace of the undisturbed run. */
async function playAll(program: Program, plan: Plan): Promise<void> {
  const whole = await wholeOf(program);
  const name = `cut-${++made}`;
  const tracesOf = (endings: readonly Ending[]) => endings.map(program.trace ?? traceOf);
  const reference = tracesOf(await playWhole(program));
  const traces = plan(lengthOf(watched(whole.run.id))).map(async ([how, blows, poke]) => {
    return [how, tracesOf(await playInTurn(program, `${name}-${how}`, blows, poke?.(program)))] as const;
  });
  const played = await Promise.all(traces);
  expect(Object.fromEntries(played)).toEqual(Object.fromEntries(played.map(([how]) => [how, reference])));
}

/** Every entry of a short program, and of a long one every second. */
function entriesOf(length: number): number[] {
  const every = Array.from({ length }, (_, index) => index + 1);
  return length <= longest ? every : every.filter((at) => (at + seed) % 2 === 0);
}

/** Drops the object from memory whenever it rests, once at each point; what it is asked, it answers alike behind it. */
function evicting({ query }: Program): Poke {
  let evictedAt = 0;
  return async (id) => {
    const { resting, entries } = watched(id);
    if (!resting || entries.length === evictedAt) return;
    evictedAt = entries.length;
    // One that left by itself meanwhile cannot be evicted.
    await evictDurableObject(env.RUNS.getByName(id)).catch(() => {});
    if (query !== undefined) await ask(id, query, true);
  };
}

/** Alarms that come early, late and twice. */
const alarming = (): Poke => async (id) => {
  if (Math.random() < 0.5) return;
  const ring = () => runDurableObjectAlarm(env.RUNS.getByName(id));
  await Promise.all(Math.random() < 0.5 ? [ring()] : [ring(), ring()]);
};

const plans: readonly { readonly how: string; readonly plan: Plan }[] = [
  {
    how: "at any write (guarantees 1 to 5)",
    plan: (length) =>
      entriesOf(length).flatMap((at, index): Way[] => {
        const lost: Way = [`lost-${at}`, [{ at, how: "lost" }]];
        // What is lost at one write was kept at the one before: every second is enough to see the other way.
        return (index + seed) % 2 === 0 ? [lost] : [lost, [`kept-${at}`, [{ at, how: "kept" }]]];
      }),
  },
  {
    how: "again and again, and while it resumes (guarantee 4)",
    plan: (length) =>
      entriesOf(length)
        .filter((_at, index) => (index + seed) % 5 === 0)
        .flatMap((at): Way[] => [
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
  { how: "wherever it rests (guarantees 2 and 4)", plan: () => [["evicted", [], evicting]] },
  {
    how: "nowhere, but whose alarms come early and twice (guarantee 4)",
    plan: () => [
      ["alarms", [], alarming],
      ["more", [], alarming],
    ],
  },
];

/** The tests of these programs, each interrupted in every way. */
export function interrupted(programs: readonly Program[]): void {
  describe("a run whose process ends", () => {
    beforeAll(() => {
      settings["AUTH"] = "none";
    });
    afterAll(() => {
      settings["AUTH"] = "token";
    });

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
}
