/**
 * Models of a run against real ones over HTTP, workerd being killed with -9 in the middle: the programs of
 * test/model, and concurrent clients whose answers must be those of a run that was called by one after another.
 * MODEL_SEED and MODEL_COUNT, LINEAR_SEED and LINEAR_ROUNDS say where to begin and how much is tried.
 */
import { setTimeout as pause } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { callOnce } from "../model/caller.ts";
import { compare } from "../model/comparison.ts";
import { drive } from "../model/drive.ts";
import type { Call, Reply } from "../model/drive.ts";
import { makeProgram } from "../model/program.ts";
import { explain } from "../model/report.ts";
import { checkLinear } from "./linearity.ts";
import { callAtRandom } from "./linearclient.ts";
import { tally } from "./linearmodel.ts";
import type { State } from "./linearmodel.ts";
import { build, ledger, runtime } from "./stage.ts";

const firstSeed = Number(process.env["MODEL_SEED"] ?? 1);
const count = Number(process.env["MODEL_COUNT"] ?? 12);
const linearSeed = Number(process.env["LINEAR_SEED"] ?? 1);
const rounds = Number(process.env["LINEAR_ROUNDS"] ?? 4);
const clients = 6;
const callsEach = 20;
const atOnce = 16;
/** `kill -9` in the middle, and again in long runs. */
const kills = Math.max(1, Math.floor(rounds / 8));
const patienceMs = 120_000 + 10_000 * (rounds + count);
const unitMs = 4;

let lives = 0;
/** Calls of the concurrent clients that were answered. */
let answered = 0;

build("../model/worker.ts");
beforeAll(() => runtime.start());

async function ask(call: Call): Promise<Reply> {
  const giveUpAt = Date.now() + 60_000;
  for (let tries = 0; Date.now() < giveUpAt; tries++) {
    const reply = await callOnce(runtime.origin, call);
    if (reply !== null) return { ...reply, again: tries > 0 };
    await pause(100);
  }
  throw new Error(`no answer: ${JSON.stringify(call)}`);
}

async function checkProgram(seed: number): Promise<number> {
  const program = makeProgram(seed, unitMs);
  const effectsOf = (id: string) =>
    ledger.of(id).map(({ run, step: path, attempt, key }) => ({ run, path, attempt, key, ms: 0 }));
  // Nobody can end the life of one object here: the kill ends all of them.
  const observations = await drive(program, `model-${seed}`, {
    ask,
    disturb: async () => {},
    effectsOf,
  });
  const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
  for (const observed of observations) {
    await compare({ ...observed, isLossy: true }, Infinity, turn).catch((error: unknown) =>
      explain(error, program, observed),
    );
  }
  return observations.length;
}

async function checkPrograms(): Promise<number> {
  let next = firstSeed;
  let runs = 0;
  const work = async (): Promise<void> => {
    while (next < firstSeed + count) {
      const checked = await checkProgram(next++);
      runs += checked;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return runs;
}

/** One try; whoever got no answer waits until somebody is there again. */
async function askOnce(call: Call): Promise<Omit<Reply, "again"> | null> {
  const reply = await callOnce(runtime.origin, call);
  if (reply === null) await ask({ method: "GET", path: "/health" });
  else answered++;
  return reply;
}

type Checked = { readonly calls: number; readonly unanswered: number };

/** Rounds go on one after another, and each has runs of its own. */
async function checkRounds(): Promise<Checked> {
  let [calls, unanswered] = [0, 0];
  for (let round = linearSeed; round < linearSeed + rounds; round++) {
    const runs = [0, 1, 2].map((number) => `tally-${round}-${number}`);
    const seed = `linear ${round}`;
    const recorded = await callAtRandom({ seed, runs, clients, calls: callsEach, ask: askOnce });
    for (const [run, operations] of recorded) {
      const verdict = checkLinear<
        State,
        (typeof operations)[number]["request"],
        NonNullable<(typeof operations)[number]["answer"]>
      >(operations, null, tally);
      calls += operations.length;
      unanswered += operations.filter(({ answer }) => answer === null).length;
      if (verdict.ok) continue;
      const lines = (each: readonly object[]): string => each.map((one) => JSON.stringify(one)).join("\n");
      const tried = `LINEAR_SEED=${round} LINEAR_ROUNDS=1 tries it alone`;
      const told = `explained, in order:\n${lines(verdict.done)}\nnone of these can be next:\n${lines(verdict.stuck)}`;
      throw new Error(`the answers of run ${run} are those of no order of its calls: ${tried}\n${told}`);
    }
  }
  return { calls, unanswered };
}

/** Kills the Worker each time it has answered some more, and starts it again. */
async function killAgain(): Promise<void> {
  for (; lives < kills; lives++) {
    const from = answered;
    const some = Math.min(200, (0.4 * rounds * clients * callsEach) / kills);
    await ledger.until("the Worker is busy", patienceMs, () => answered - from > some && ledger.effects.length > 10);
    await runtime.kill();
    await runtime.start();
  }
}

describe("over HTTP, killed with -9 in the middle", { timeout: patienceMs }, () => {
  let programs: Promise<number>;
  let linear: Promise<Checked>;
  let killing: Promise<void>;

  beforeAll(async () => {
    await ask({ method: "GET", path: "/health" });
    [programs, linear, killing] = [checkPrograms(), checkRounds(), killAgain()];
    // Awaited by the tests.
    for (const each of [programs, linear, killing]) each.catch(() => {});
  });

  test("guarantees 1 to 5 and 8: runs do what the model of a run says", async () => {
    const runs = await programs;
    if (count > 50) console.warn(`model: ${count} programs, ${runs} runs, ${ledger.effects.length} effects`);
    expect(runs).toBeGreaterThanOrEqual(count);
  });

  test("guarantees 1 and 5: start, signal, update, pause, resume, cancel and reads are linearizable", async () => {
    const { calls, unanswered } = await linear;
    await killing;
    console.warn(`linear: ${rounds} rounds, ${calls} calls, ${unanswered} without an answer, ${lives} kills`);
    expect(calls).toBe(rounds * clients * callsEach);
    expect(lives).toBe(kills);
  });
});
