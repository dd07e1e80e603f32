/**
 * The engine and the model of a run, on the same programs with the same things happening to them. MODEL_SEED
 * says where to begin, MODEL_COUNT how many are tried.
 */
import { expect, test } from "vitest";
import { compare } from "./comparison.ts";
import { makeCancelledProgram, makeProgram, makeRenewedProgram } from "./program.ts";
import { makeReceivingProgram } from "./receiving.ts";
import { explain } from "./report.ts";
import { stage } from "./stage.ts";

const count = Number(process.env["MODEL_COUNT"] ?? 400);
const firstSeed = Number(process.env["MODEL_SEED"] ?? 1);
const unitMs = 60_000;

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** @returns what was compared */
async function check(seed: number, make = makeProgram): Promise<{ runs: number; entries: number }> {
  const program = make(seed, unitMs);
  const observations = await stage(program);
  // A death keeps a run from what is due for a second.
  const slackMs = program.history.some(({ what }) => what === "death") ? 10_000 : 0;
  for (const { looks, ...told } of observations) {
    // Within one that is longer than a unit, nobody can say how the run looks.
    const observed = { ...told, looks: slackMs > program.input.unitMs ? [] : looks };
    await compare(observed, slackMs, turn).catch((error: unknown) => explain(error, program, observed));
  }
  return { runs: observations.length, entries: observations.reduce((sum, { history }) => sum + history.length, 0) };
}

test.each([
  ["a branch begins to clean up before the handler has settled", 52809],
  ["a branch that hears of the cancellation first wins the race", 63160],
  ["a branch refused its wait goes on before the handler has settled", 106292],
  ["a step that was left behind still holds the run that it paused", 203497],
  ["a step that was cut off in a pause waits for another suspect", 1139233],
  ["a suspect waits for another in a life that a deadline woke", 1165922],
  ["an attempt falls due at the instant of a cancellation, and has begun", 1100209],
])("a run that the model once took for wrong: %s", async (_what, seed) => {
  expect((await check(seed)).runs).toBeGreaterThan(0);
});

test.each([
  ["lines before what is done once more were said again", 73],
  ["what the handler leaves behind as it ends once more was begun for that", 326],
  ["a step was taken for added, of which the code was as it is", 8164],
  ["a child owed the news of an end that its retry had taken back, for ever", 11798],
  ["what is kept was not undone where the handler ended as it asked for it", 11864],
  ["deaths before a retry were held against what was in flight in them", 13352],
])("a run that has failed and is retried, found wanting by the model: %s", async (_what, seed) => {
  expect((await check(seed)).runs).toBeGreaterThan(0);
});

test.each([
  ["a suspect that can be undone was forgotten as the run was to end", 9043],
  ["a child that the handler left as it ended was taken for added", 8540],
])("a run that is cancelled as steps end, found wanting by the model: %s", async (_what, seed) => {
  expect((await check(seed, makeCancelledProgram)).runs).toBeGreaterThan(0);
});

test.each([
  ["what a death cut off begins again", 77100165, makeCancelledProgram],
  ["what runs at most once was at work in a death", 88101407, makeRenewedProgram],
  ["what a death cut off begins again as its handler fails", 90102899, makeCancelledProgram],
  ["what a death cuts off on the way to the end begins again in the pause", 56871, makeCancelledProgram],
  ["a death cut something off in a pause behind which it would have gone on as new", 910281, makeRenewedProgram],
  ["once it is retried, what begins to hear signals is on record behind the pause", 4919558, makeReceivingProgram],
] as const)("a run that ends in a pause, which the model once took for wrong: %s", async (_what, seed, make) => {
  expect((await check(seed, make)).runs).toBeGreaterThan(0);
});

test.each([
  ["a pause at the very instant of the retry holds what has not begun", 1054],
  ["a wait that has lost its race again shows as open until then", 166],
  ["what nobody has come to cannot be undone", 547],
  ["a signal that came before the retry", 899],
  ["a signal that came while the handler had not come to its wait again", 3581],
  ["a deadline is moved by a pause while the run is undone", 15106],
  ["an attempt that is due as the handler ends may not have begun", 75668],
  ["what another call is given in its place says nothing of how it is undone", 141356],
])("a run that has failed and is retried, which the model once took for wrong: %s", async (_what, seed) => {
  expect((await check(seed)).runs).toBeGreaterThan(0);
});

test.each([
  ["", makeProgram],
  [", also of one that goes on as new", makeRenewedProgram],
  [", also of one that takes calls and hears signals", makeReceivingProgram],
  [", also of one that is cancelled while steps are about to end", makeCancelledProgram],
])(
  "guarantees 1 to 5 and 8: the engine does what the model of a run says%s",
  { timeout: 3_600_000 },
  async (_what, make) => {
    let [runs, entries] = [0, 0];
    for (let seed = firstSeed; seed < firstSeed + count; seed++) {
      const checked = await check(seed, make);
      runs += checked.runs;
      entries += checked.entries;
    }
    if (count > 1000) console.warn(`${count} programs, ${runs} runs, ${entries} entries`);
    expect(runs).toBeGreaterThanOrEqual(count);
  },
);
