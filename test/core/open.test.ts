/** What a run still waits for is known without a look at all that is over. */
import { describe, expect, test } from "vitest";
import type { Fact } from "../../src/core/history/entry.ts";
import { fold } from "../../src/core/state/fold.ts";
import { snapshot } from "../../src/core/run/snapshot.ts";
import { RunState, openCalls } from "../../src/core/state/state.ts";
import { encode } from "../../src/core/value/value.ts";
import { createdFact } from "./created.ts";

const nothing = encode(null, "nothing");
const failure = { name: "Error", message: "no" };
const idle = { running: 0, inFlight: new Map(), busy: false, stuck: null };

const created: Fact = { ...createdFact, id: "open", workflow: "open", input: nothing };
const beginning: readonly Fact[] = [created, { kind: "run.started", deployment: "one" }];

function stateOf(facts: readonly Fact[]): RunState {
  const state = new RunState();
  for (const [index, fact] of facts.entries()) fold(state, { seq: index + 1, at: index, ...fact });
  return state;
}

function done(step: string): Fact {
  return { kind: "step.completed", step, attempt: 1, startedAt: 0, result: nothing };
}

function waiting(call: string): Fact {
  return { kind: "wait.started", name: "go", call, until: null };
}

/** What a look at every call would do. */
function searched({ calls }: RunState): unknown {
  return [...calls.values()].filter((call) => !call.done);
}

test("showing a run, and telling what is open, look at no call that is over: the 100,000th costs what the 10th does", () => {
  const state = stateOf([...beginning, ...Array.from({ length: 50 }, (_, n) => done(`step#${n + 1}`)), waiting("go")]);
  state.calls[Symbol.iterator] = () => {
    throw new Error("every call was looked at");
  };
  state.calls.values = state.calls.keys = state.calls.entries = state.calls[Symbol.iterator] as never;
  state.calls.forEach = state.calls[Symbol.iterator] as never;
  expect(snapshot(state, idle, 100).waitingFor).toMatchObject([{ kind: "signal", name: "go" }]);
  expect(openCalls(state).map(({ id }) => id)).toEqual(["go"]);
});

describe("what is open is what a look at every call finds", () => {
  const failed: Fact = { kind: "step.failed", step: "bad", attempt: 1, startedAt: 0, error: failure };
  const by = { by: "test", reason: null } as const;
  const child = { kind: "child.started", step: "kid", child: { id: "kid-1", workflow: "kid" } } as const;
  const cases: readonly (readonly [string, readonly Fact[], open: number])[] = [
    ["steps that ended, waits that have not", [done("a"), waiting("go"), failed, waiting("go#2")], 2],
    [
      "a signal",
      [
        waiting("go"),
        { kind: "signal.received", name: "go", payload: nothing, by: "test" },
        { kind: "signal.consumed", name: "go", call: "go", signal: 4 },
      ],
      0,
    ],
    ["a wait that was withdrawn", [waiting("go"), { kind: "wait.withdrawn", calls: [{ call: "wait", id: "go" }] }], 0],
    [
      "an attempt that failed",
      [{ kind: "step.attempt_failed", step: "a", attempt: 1, startedAt: 0, error: failure, retryAt: 9 }],
      1,
    ],
    [
      "a sleep that ended",
      [
        { kind: "timer.set", name: "nap", call: "nap", wakeAt: 3 },
        { kind: "timer.fired", name: "nap", call: "nap" },
      ],
      0,
    ],
    [
      "a child of a run that failed and is retried",
      [
        { ...child, policy: "cancel", until: null },
        failed,
        { kind: "run.failed", error: { ...failure, step: "bad" } },
        { kind: "run.retried", cleared: ["bad"], ...by },
      ],
      0,
    ],
    [
      "a step that is undone, and a retry",
      [
        { ...done("a"), undo: true } as Fact,
        {
          kind: "undo.started",
          error: failure,
          end: "run.failed",
          steps: ["a"],
          by: "workflow",
          reason: null,
        } as unknown as Fact,
        { kind: "undo.attempt_failed", step: "a", attempt: 1, startedAt: 0, error: failure, retryAt: 9 },
        { kind: "run.failed", error: failure },
        { kind: "run.retried", cleared: [], ...by },
      ],
      0,
    ],
  ];

  test.each(cases)("%s", (_what, facts, open) => {
    const state = stateOf([...beginning, ...facts]);
    expect([...state.open]).toEqual(searched(state));
    expect(state.open.size).toBe(open);
  });
});
