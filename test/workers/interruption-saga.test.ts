/** Runs that are undone, cancelled, held up and repaired, whose process ends wherever it can. */
import { describe, expect, it } from "vitest";
import { deeds } from "./flows/interruption.ts";
import { acted, is, outputOf } from "./driver.ts";
import type { Program, When } from "./driver.ts";
import { interrupted } from "./stage.ts";
import { deedsOf } from "./trace.ts";

const pausedTimes =
  (times: number): When =>
  (entry, index, all) =>
    is("run.paused")(entry) && all.slice(0, index + 1).filter(is("run.paused")).length === times;

const onceEndings: unknown[] = [];

const programs: readonly Program[] = [
  // First, because it takes longest.
  { title: "a saga that takes too long", workflow: "mortal-timed", input: () => ({}), calls: [], length: 14 },
  { title: "a saga that fails", workflow: "mortal-saga", input: () => ({ end: "throw" }), calls: [] },
  { title: "a saga that ends itself", workflow: "mortal-saga", input: () => ({ end: "fail" }), calls: [] },
  { title: "a saga that bails out", workflow: "mortal-saga", input: () => ({ end: "bail" }), calls: [] },
  {
    title: "a saga that fails and is tried again",
    workflow: "mortal-saga",
    input: () => ({ end: "heal" }),
    calls: [{ ...acted(is("run.failed"), "retry", "retry"), late: true }],
  },
  {
    title: "a saga that is cancelled while it is parked",
    workflow: "mortal-cancelled",
    input: () => ({}),
    calls: [acted(is("wait.started", "never"), "cancel", "cancel")],
  },
  {
    title: "a step that nobody but a person helps",
    workflow: "mortal-exhausted",
    input: () => ({}),
    calls: [acted(pausedTimes(1), "retry", "first"), acted(pausedTimes(2), "retry", "second")],
  },
  {
    title: "steps that run at most once",
    workflow: "mortal-once",
    input: () => ({}),
    calls: [],
    // Which of them a death cut off is told by chance; how often each was made, and what was made of it, is not.
    trace: ({ run }) => {
      const output = outputOf(run) as string[];
      onceEndings.push(...output.slice(0, 3));
      const made = deedsOf(run.id).filter(({ step }) => step !== "beside" && step !== "last");
      const attempts = made.map(({ step, attempt }) => `${step} ${attempt}`);
      return {
        status: run.status,
        twice: attempts.filter((each, i) => attempts.indexOf(each) < i),
        output: output.map((each) => (each === "step_interrupted" ? "done" : each)),
        // What was told to have been done was done.
        missing: ["first", "second", "slow"].filter(
          (step, i) => output[i] === "done" && !made.some((each) => each.step === step),
        ),
      };
    },
  },
];

describe("in this order", { shuffle: false }, () => {
  interrupted(programs);

  it("steps that run at most once were cut off, and were not", () => {
    expect(onceEndings).toContain("step_interrupted");
    expect(onceEndings).toContain("done");
    expect(deeds.length).toBeGreaterThan(0);
  });
});
