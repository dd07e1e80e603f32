/**
 * The interruptions that every program has to get through: its process ends at every write of the
 * journal, at every rest, twice, and in the middle of a resume.
 */
import { abortAllDurableObjects, evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ask, pause, drive } from "./driver.ts";
import type { Ending, Poke, Program } from "./driver.ts";
import { watched } from "./crashpoint.ts";
import type { CrashPoint } from "./crashpoint.ts";
import { settings } from "./settings.ts";
import { traceOf } from "./trace.ts";

/** Runs that are played at a time: more would starve the timers of the tests themselves. */
const stages = 96;
/** Each program says by itself that it does not end; all of them side by side take what a busy machine needs. */
const limitMs = 1_800_000;
/** A program with more entries is ended at every second one. */
const longest = 16;
/** Which of them, is another one each time. */
const seed = Math.floor(Math.random() * 60);
let made = 0;

/** How the program is played, by name, once it is known how many entries it makes. */
type Plan = (length: number) => readonly Way[];
type Way = readonly [name: string, blows: readonly CrashPoint[], poke?: (program: Program) => Poke];

let playing = 0;
/** Who waits for room, in order. */
const line: (() => void)[] = [];

/** `play`, once there is room; with its twin beside it, if it has one. */
async function playInTurn(program: Program, id: string, blows: readonly CrashPoint[], poke?: Poke): Promise<Ending[]> {
  if (playing < stages) playing++;
  else await new Promise<void>((resolve) => line.push(resolve));
  return await playTogether(program, id, blows, poke).finally(leave);
}

/** Whoever is next takes the room. */
function leave(): void {
  const next = line.shift();
  if (next === undefined) playing--;
  else next();
}

async function playTogether(
  program: Program,
  id: string,
  blows: readonly CrashPoint[],
  poke?: Poke,
): Promise<Ending[]> {
  const twin = program.twin === true ? [drive(program, `${id}-twin`, [])] : [];
  const endings = await Promise.all([drive(program, id, blows, poke), ...twin]);
  const isLate = program.isLate !== undefined && endings.some(program.isLate);
  return isLate ? await playTogether(program, `${id}-again`, blows, poke) : endings;
}

const wholes = new Map<Program, Promise<Ending[]>>();

/** The program undisturbed; played once. */
async function playWhole(program: Program): Promise<Ending[]> {
  const known = wholes.get(program) ?? playInTurn(program, `whole-${++made}`, []);
  wholes.set(program, known);
  return await known;
}

/** How many entries the program makes. */
async function lengthOf(program: Program): Promise<number> {
  if (program.length !== undefined) return program.length;
  const [whole] = await playWhole(program);
  return watched(whole?.run.id ?? "").entries.length;
}

/** Plays the program as the plan says, side by side; each time it must leave the trace of the undisturbed run. */
async function playAll(program: Program, plan: Plan): Promise<void> {
  const name = `cut-${++made}`;
  const tracesOf = (endings: readonly Ending[]) => endings.map(program.trace ?? traceOf);
  const undisturbed = playWhole(program);
  const traces = plan(await lengthOf(program)).map(async ([how, blows, poke]) => {
    const played = playInTurn(program, `${name}-${how}`, blows, poke?.(program));
    return [how, await played.then(tracesOf, (error: unknown) => String(error))] as const;
  });
  const played = await Promise.all(traces);
  const whole = await undisturbed;
  const reference = tracesOf(whole);
  expect(Object.fromEntries(played)).toEqual(Object.fromEntries(played.map(([how]) => [how, reference])));
  expect(await lengthOf(program)).toBe(watched(whole[0]?.run.id ?? "").entries.length);
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

/** Alarms that come early, late and twice. None is awaited: it waits for its run, which may wait for a call of ours. */
const alarming = (): Poke => async (id) => {
  if (Math.random() < 0.5) return;
  const ring = () => void runDurableObjectAlarm(env.RUNS.getByName(id)).catch(() => {});
  ring();
  if (Math.random() < 0.5) ring();
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
  beforeAll(() => {
    settings["AUTH"] = "none";
  });
  afterAll(() => {
    settings["AUTH"] = "token";
  });

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

    it.for(cases)("$name", { timeout: limitMs }, async ({ name }) => {
      await played.get(name);
    });
  });

  describe("everything at once ends again and again", () => {
    it(
      "runs, mails, lanes and the directory, and all ends well (guarantees 1 to 5)",
      { timeout: limitMs },
      async () => {
        const undisturbed = await Promise.all(programs.map(playWhole));
        const id = `storm-${++made}`;
        const storm = new AbortController();
        const over = rage(storm.signal);
        const played = await Promise.all(programs.map((program, i) => playTogether(program, `${id}-${i}`, [])));
        storm.abort();
        await over;
        const traced = (endings: readonly Ending[], i: number) => endings.map(programs[i]?.trace ?? roughly);
        expect(played.map(traced)).toEqual(undisturbed.map(traced));
      },
    );
  });
}

/** Ends every object there is, again and again. */
async function rage(calm: AbortSignal): Promise<void> {
  for (let times = 0; times < 6 && !calm.aborted; times++) {
    await pause(100 + Math.random() * 900);
    await abortAllDurableObjects();
  }
}

/** A mail whose own object ended failed, and was sent again: attempts may differ, nothing else. */
function roughly(ending: Ending) {
  const { end, mails, repeated, undone, doubled, steps, answers } = traceOf(ending);
  return { end, mails, repeated, undone, doubled, steps, answers };
}
