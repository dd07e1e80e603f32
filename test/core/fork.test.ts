/** What a fork keeps of a history, and how it has it on record. */
import { describe, expect, test } from "vitest";
import type { Entry, Fact } from "../../src/core/history/entry.ts";
import { fold } from "../../src/core/state/fold.ts";
import { planFork } from "../../src/core/lifecycle/fork.ts";
import { RunState } from "../../src/core/state/state.ts";
import { forkedFacts } from "../../src/core/history/transcript.ts";
import { encode } from "../../src/core/value/value.ts";
import type { Stored } from "../../src/core/value/value.ts";
import { createdFact } from "./created.ts";

const error = { name: "Error", message: "broken", code: "step_failed" };
const forkedAt = 50_000;

const created = { ...createdFact, id: "original", input: encode(1, "") } as const;

function historyOf(...facts: readonly Fact[]): Entry[] {
  return [created, { kind: "run.started", deployment: "one" } as const, ...facts].map((fact, i) => ({
    seq: i + 1,
    at: 1000 * (i + 1),
    ...fact,
  }));
}

const value = (result: unknown): Stored => encode(result, "a result");

const completed = (step: string, result: unknown = step): Fact => ({
  kind: "step.completed",
  step,
  attempt: 1,
  startedAt: 500,
  result: value(result),
});

const failed = (step: string): Fact => ({ kind: "step.failed", step, attempt: 2, startedAt: 500, error });

const attemptFailed = (step: string): Fact => ({
  kind: "step.attempt_failed",
  step,
  attempt: 1,
  startedAt: 500,
  error,
  retryAt: 9000,
});

const received = (name: string, payload: unknown): Fact => ({
  kind: "signal.received",
  name,
  payload: value(payload),
  by: "test",
});

const consumed = (call: string, signal: number, name = call): Fact => ({ kind: "signal.consumed", name, call, signal });
const timer = (call: string): Fact => ({ kind: "timer.set", name: call, call, wakeAt: 99_000 });
const fired = (call: string): Fact => ({ kind: "timer.fired", name: call, call });
const waits = (call: string): Fact => ({ kind: "wait.started", name: call, call, until: null });

type Given = Readonly<Record<string, unknown>>;

/** The facts of the fork behind its `run.created`. */
function forkOf(entries: readonly Entry[], from: string | null, given: Given = {}): readonly Fact[] {
  const results = new Map(Object.entries(given).map(([step, result]) => [step, value(result)]));
  return forkedFacts(entries, planFork(entries, { from, given: [...results.keys()] }), results, forkedAt);
}

function preview(entries: readonly Entry[], from: string | null, given: readonly string[] = []) {
  const { kept, rerun } = planFork(entries, { from, given });
  return { kept, rerun };
}

/** What the fork's journal folds to. */
function stateOf(facts: readonly Fact[]): RunState {
  const state = new RunState();
  const fork = { id: "original", step: null, upTo: facts.length + 1, reason: null };
  const all: readonly Fact[] = [{ ...created, fork }, ...facts];
  for (const [i, fact] of all.entries()) fold(state, { seq: i + 1, at: forkedAt, ...fact });
  return state;
}

function kindsOf(facts: readonly Fact[]): string[] {
  return facts.map((fact) => ("step" in fact ? `${fact.kind} ${fact.step}` : fact.kind));
}

describe("the cut", () => {
  const entries = historyOf(
    completed("a"),
    timer("nap"),
    fired("nap"),
    attemptFailed("b"),
    completed("b"),
    completed("c"),
    completed("b#2"),
    { kind: "run.completed", output: value(null) },
  );

  test.each([
    { from: null, kept: [], rerun: ["a", "nap", "b", "c", "b#2"] },
    { from: "a", kept: [], rerun: ["a", "nap", "b", "c", "b#2"] },
    { from: "nap", kept: ["a"], rerun: ["nap", "b", "c", "b#2"] },
    { from: "b", kept: ["a", "nap"], rerun: ["b", "c", "b#2"] },
    { from: "c", kept: ["a", "nap", "b"], rerun: ["c", "b#2"] },
    { from: "b#2", kept: ["a", "nap", "b", "c"], rerun: ["b#2"] },
  ])("from $from keeps $kept", ({ from, kept, rerun }) => {
    expect(preview(entries, from)).toEqual({ kept, rerun });
  });

  test("is at the first entry about the step, of any kind: what was open there runs again", () => {
    const parallel = historyOf(
      attemptFailed("slow"),
      completed("quick"),
      timer("nap"),
      completed("slow"),
      fired("nap"),
    );
    expect(preview(parallel, "slow")).toEqual({ kept: [], rerun: ["slow", "quick", "nap"] });
    expect(preview(parallel, "nap")).toEqual({ kept: ["quick"], rerun: ["slow", "nap"] });
    expect(kindsOf(forkOf(parallel, "nap"))).toEqual(["step.completed quick"]);
  });

  test("copies outcomes, not how they came about; what the handler said comes along", () => {
    const log: Fact = { kind: "log.written", level: "info", message: "on it" };
    const progress: Fact = { kind: "progress.published", value: value(0.5) };
    const history = historyOf(log, attemptFailed("a"), completed("a"), progress, completed("b"), log);
    expect(kindsOf(forkOf(history, "b"))).toEqual(["log.written", "step.completed a", "progress.published"]);
    expect(stateOf(forkOf(history, "b"))).toMatchObject({ progress: value(0.5), steps: { completed: 1, failed: 0 } });
  });

  test("a step keeps how long it took", () => {
    const [copy] = forkOf(historyOf(completed("a"), completed("b")), "b");
    expect(copy).toEqual({ ...completed("a"), startedAt: forkedAt - (3000 - 500) });
  });

  test("a failure is kept as well", () => {
    const history = historyOf(failed("a"), completed("b"));
    expect(forkOf(history, "b")).toMatchObject([{ kind: "step.failed", step: "a", error }]);
  });

  test("pauses, deaths, ends and limits of the original are its own", () => {
    const history = historyOf(
      { kind: "run.interrupted", deployment: "one", held: true },
      completed("a"),
      { kind: "run.paused", by: "x", reason: null },
      { kind: "run.resumed", by: "x", reason: null, shiftMs: 5 },
      { kind: "lane.queued", lane: "l", step: null },
      { kind: "lane.entered", lane: "l", step: null },
      { kind: "step.added", step: "b", call: "run" },
      completed("b"),
      completed("c"),
    );
    expect(kindsOf(forkOf(history, "c"))).toEqual(["step.completed a", "step.completed b"]);
    expect(preview(history, "b")).toEqual({ kept: ["a"], rerun: ["b", "c"] });
  });

  test("what was done on being cancelled belongs to the cancellation", () => {
    const history = historyOf(
      completed("a"),
      waits("answer"),
      { kind: "run.cancel_requested", error, by: "x", reason: null, awaited: [] },
      completed("clean"),
      completed("up"),
      { kind: "run.cancelled", error, by: "x", reason: null },
    );
    expect(preview(history, "up")).toEqual({ kept: ["a"], rerun: ["answer", "clean", "up"] });
  });

  test("a step that is on record only as left behind can be gone on from, and given a result", () => {
    const left: Fact = { kind: "step.abandoned", step: "slow", attempt: 1, startedAt: 500 };
    const history = historyOf(completed("a"), left, { kind: "run.failed", error });
    expect(preview(history, "slow")).toEqual({ kept: ["a"], rerun: ["slow"] });
    expect(kindsOf(forkOf(history, "slow"))).toEqual(["step.completed a"]);
    expect(planFork(history, { from: "slow", given: ["slow"] })).toMatchObject({ kept: ["a", "slow"], rerun: [] });
  });

  test("an unknown step is refused, and the known ones are named", () => {
    expect(() => planFork(entries, { from: "d", given: [] })).toThrow(
      expect.objectContaining({ code: "fork_invalid", message: expect.stringMatching(/"d".*a, nap, b, c, b#2/) }),
    );
    expect(() => planFork(historyOf(), { from: "a", given: [] })).toThrow(
      expect.objectContaining({ code: "fork_invalid" }),
    );
  });
});

describe("what was superseded", () => {
  const failure: Fact = { kind: "run.failed", error: { ...error, step: "b" } };
  const retried = (...cleared: string[]): Fact => ({ kind: "run.retried", by: "x", reason: null, cleared });

  test("an outcome that a retry cleared is not kept, the one that followed is", () => {
    const history = historyOf(completed("a"), failed("b"), failure, retried("b"), completed("b", 2), completed("c"));
    expect(forkOf(history, "c")).toMatchObject([
      { kind: "step.completed", step: "a" },
      { kind: "step.completed", step: "b", result: value(2) },
    ]);
    expect(preview(history, "c")).toEqual({ kept: ["a", "b"], rerun: ["c"] });
  });

  test("also where the retry came after the cut", () => {
    const history = historyOf(failed("a"), completed("b"), failure, retried("a"), completed("a"));
    expect(preview(history, "b")).toEqual({ kept: [], rerun: ["a", "b"] });
  });

  test("a child that was cleared is started anew", () => {
    const child = { id: "kid", workflow: "k" };
    const history = historyOf(
      { kind: "child.started", step: "a", child, until: null, policy: "cancel" },
      { kind: "child.failed", step: "a", child, error },
      failure,
      retried("a"),
      completed("b"),
    );
    expect(preview(history, "b")).toEqual({ kept: [], rerun: ["a", "b"] });
  });

  test("a step that was undone is done again, one that could not be undone is kept", () => {
    const history = historyOf(
      { ...completed("a"), undo: true } as Fact,
      { ...completed("b"), undo: true } as Fact,
      completed("c"),
      failed("d"),
      { kind: "undo.started", ends: "failed", error, steps: ["b", "a"], by: "engine", reason: null },
      { kind: "undo.completed", step: "b", attempt: 1, startedAt: 1 },
      { kind: "undo.failed", step: "a", attempt: 1, startedAt: 1, error },
      failure,
    );
    expect(preview(history, "d")).toEqual({ kept: ["a", "c"], rerun: ["b", "d"] });
    expect([...stateOf(forkOf(history, "d")).undoable]).toEqual(["a"]);
  });
});

describe("signals", () => {
  test("guarantee 5: those before the cut come along, and each is consumed by the wait that had it", () => {
    const history = historyOf(
      received("go", 1),
      attemptFailed("a"),
      received("go", 2),
      waits("go"),
      consumed("go", 3),
      completed("a"),
      received("go", 3),
      consumed("go#2", 5, "go"),
      completed("b"),
      received("go", 4),
    );
    const facts = forkOf(history, "b");
    const seqs = new Map(facts.map((fact, i) => [i + 2, fact]));
    const taken = facts.flatMap((fact) =>
      fact.kind === "signal.consumed" ? [[fact.call, seqs.get(fact.signal)]] : [],
    );
    expect(taken).toEqual([
      ["go", received("go", 1)],
      ["go#2", received("go", 2)],
    ]);
    const { inboxes } = stateOf(facts);
    const inbox = inboxes.get("go");
    expect(inbox?.items.slice(inbox.head).map(({ payload }) => payload)).toEqual([value(3)]);
  });

  test("one that was consumed after the cut waits for the fork's own wait", () => {
    const history = historyOf(received("go", 1), completed("a"), consumed("go", 3), completed("b"));
    const state = stateOf(forkOf(history, "go"));
    expect(state.inboxes.get("go")).toMatchObject({ head: 0, items: [{ payload: value(1) }] });
    expect(preview(history, "go")).toEqual({ kept: ["a"], rerun: ["go", "b"] });
  });

  test("what listeners and updates heard is heard again, and how updates ended is known", () => {
    const update = { name: "set", update: "u1" };
    const history = historyOf(
      { kind: "listener.added", name: "tick" },
      received("tick", 1),
      { ...consumed("tick", 4), listener: true } as Fact,
      { kind: "update.accepted", ...update, argument: value(5), by: "x" },
      completed("a"),
      { kind: "update.completed", ...update, result: value(6) },
      { kind: "patch.adopted", patch: "p" },
      completed("b"),
      { kind: "update.accepted", ...update, update: "u2", argument: value(7), by: "x" },
    );
    const state = stateOf(forkOf(history, "b"));
    expect([...state.listeners, ...state.patches]).toEqual(["tick", "p"]);
    expect([...state.updates.values()].map(({ id, end }) => [id, end?.kind])).toEqual([["u1", "completed"]]);
    const inbox = state.inboxes.get("tick");
    expect(inbox?.head).toBe(1);
  });

  test("a wait that timed out is over, an open one begins anew", () => {
    const history = historyOf(
      waits("first"),
      waits("second"),
      { kind: "wait.timed_out", name: "first", call: "first", wait: "signal" },
      completed("a"),
    );
    expect(kindsOf(forkOf(history, "a"))).toEqual(["wait.timed_out"]);
    expect(preview(history, "a")).toEqual({ kept: ["first"], rerun: ["second", "a"] });
  });
});

describe("webhooks, races and children", () => {
  const webhook = (call: string): Fact => ({
    kind: "webhook.created",
    name: call,
    call,
    url: `http://x/${call}`,
    until: null,
  });

  test("a webhook that was called is kept with its address, an open one gets another", () => {
    const history = historyOf(
      webhook("paid"),
      webhook("open"),
      { kind: "webhook.rejected", name: "paid", call: "paid", reason: "forged" },
      { kind: "webhook.received", name: "paid", call: "paid", request: value({}) },
      completed("a"),
    );
    expect(kindsOf(forkOf(history, "a"))).toEqual(["webhook.created", "webhook.received"]);
    expect(preview(history, "a")).toEqual({ kept: ["paid"], rerun: ["open", "a"] });
  });

  test("what lost a race stays withdrawn", () => {
    const history = historyOf(
      timer("nap"),
      waits("answer"),
      received("answer", 1),
      consumed("answer", 5),
      { kind: "wait.withdrawn", calls: [{ call: "sleep", id: "nap" }] },
      completed("a"),
    );
    const facts = forkOf(history, "a");
    expect(kindsOf(facts)).toEqual(["timer.set", "signal.received", "signal.consumed", "wait.withdrawn"]);
    expect([...stateOf(facts).calls.values()].map(({ id, done }) => [id, done])).toEqual([
      ["nap", true],
      ["answer", true],
    ]);
  });

  test("what lost a race to a step that was retried waits again, and what had lost before does not", () => {
    const lost = (id: string): Fact => ({ kind: "wait.withdrawn", calls: [{ call: "wait", id }] });
    const history = historyOf(
      waits("early"),
      lost("early"),
      waits("answer"),
      failed("pay"),
      lost("answer"),
      { kind: "run.failed", error },
      { kind: "run.retried", cleared: ["pay"], by: "test", reason: null },
      completed("a"),
    );
    expect(preview(history, "a")).toEqual({ kept: ["early"], rerun: ["answer", "pay", "a"] });
    const open = [...stateOf(forkOf(history, "a")).calls.values()].map(({ id, done }) => [id, done]);
    expect(open).toEqual([["early", true]]);
  });

  test("what lost a race to a step that was undone waits again, whether or not the run was retried", () => {
    const history = historyOf(
      waits("early"),
      { kind: "wait.withdrawn", calls: [{ call: "wait", id: "early" }] },
      waits("answer"),
      { ...completed("book"), undo: true } as Fact,
      { kind: "wait.withdrawn", calls: [{ call: "wait", id: "answer" }] },
      failed("pay"),
      { kind: "undo.started", ends: "failed", error, steps: ["book"], by: "engine", reason: null },
      { kind: "undo.completed", step: "book", attempt: 1, startedAt: 500 },
      { kind: "run.failed", error },
    );
    const retried = [
      ...history,
      ...historyOf({ kind: "run.retried", cleared: ["pay", "book"], by: "test", reason: null }).slice(2),
    ];
    for (const entries of [history, retried]) {
      expect(preview(entries, "pay")).toEqual({ kept: ["early"], rerun: ["answer", "book", "pay"] });
      expect([...stateOf(forkOf(entries, "pay")).calls.keys()]).toEqual(["wait:early"]);
    }
  });

  test("a step that lost a race and ended all the same is kept with its end", () => {
    const history = historyOf(
      attemptFailed("slow"),
      fired("nap"),
      { kind: "wait.withdrawn", calls: [{ call: "run", id: "slow" }] },
      completed("slow"),
      completed("a"),
    );
    expect(kindsOf(forkOf(history, "a"))).toEqual(["timer.fired", "wait.withdrawn", "step.completed slow"]);
  });

  test("children of the original stay its own: the fork knows how they ended, and stops none", () => {
    const child = { id: "kid", workflow: "k" };
    const started = (step: string, more: object = {}): Fact => ({
      ...{ kind: "child.started", step, child, until: null, policy: "cancel" },
      ...more,
    });
    const history = historyOf(
      started("done"),
      started("open"),
      started("loose", { detached: true }),
      started("lost"),
      { kind: "child.completed", step: "done", child, output: value("out") },
      { kind: "wait.withdrawn", calls: [{ call: "child", id: "lost" }] },
      { kind: "child.failed", step: "late", child, error, left: true },
      completed("a"),
    );
    const facts = forkOf(history, "a");
    expect(kindsOf(facts)).toEqual([
      "child.started loose",
      "child.started lost",
      "child.completed done",
      "wait.withdrawn",
      "child.failed late",
    ]);
    const state = stateOf([...facts, { kind: "run.failed", error }]);
    expect([...state.orphans]).toEqual([]);
    expect(preview(history, "a").rerun).toEqual(["open", "a"]);
  });
});

describe("given results", () => {
  const child = { id: "kid", workflow: "k" };
  const history = historyOf(
    { ...completed("a", 1), undo: true, sensitive: true } as Fact,
    failed("b"),
    { kind: "child.started", step: "kid", child, until: null, policy: "cancel" },
    { kind: "child.failed", step: "kid", child, error },
    completed("c", 3),
    completed("d", 4),
    timer("nap"),
  );

  test("take the place of what a kept step gave, and of its failure", () => {
    const facts = forkOf(history, "c", { a: 10, b: 20, kid: 30 });
    expect(facts).toMatchObject([
      { kind: "step.completed", step: "a", result: value(10), undo: true, sensitive: true },
      { kind: "step.completed", step: "b", attempt: 2, result: value(20) },
      { kind: "child.completed", step: "kid", child, output: value(30) },
    ]);
    expect(facts).toHaveLength(3);
  });

  test("stand for steps that would run again, the first of them and later ones", () => {
    const facts = forkOf(history, "c", { d: 40, c: 30 });
    expect(facts.slice(-2)).toEqual([
      { ...completed("c", 30), startedAt: forkedAt },
      { ...completed("d", 40), startedAt: forkedAt },
    ]);
    expect(preview(history, "c", ["c", "d"])).toEqual({ kept: ["a", "b", "kid", "c", "d"], rerun: ["nap"] });
  });

  test("stand for steps without any history kept, and what was sensitive stays so", () => {
    expect(forkOf(history, null, { a: 10, kid: 5 })).toEqual([
      { ...completed("a", 10), startedAt: forkedAt, sensitive: true },
      { kind: "child.completed", step: "kid", child, output: value(5) },
    ]);
  });

  test.each([
    ["x", /"x".*a, b, kid, c, d$/],
    ["nap", /"nap" is no step and no child run/],
  ])("of %s are refused", (step, message) => {
    expect(() => forkOf(history, "c", { [step]: 1 })).toThrow(
      expect.objectContaining({ code: "fork_invalid", message: expect.stringMatching(message) }),
    );
  });

  test("of a child that nobody waits for are refused", () => {
    const loose: Fact = { kind: "child.started", step: "kid", child, until: null, policy: "abandon", detached: true };
    const never: Fact = { kind: "child.failed", step: "kid", error };
    for (const fact of [loose, never]) {
      expect(() => forkOf(historyOf(fact), null, { kid: 1 })).toThrow(
        expect.objectContaining({ code: "fork_invalid" }),
      );
    }
  });
});

test("a fork of a fork goes on from the copied history", () => {
  const facts = forkOf(historyOf(completed("a"), received("go", 1), consumed("go", 4), completed("b")), "b");
  const fork = { id: "original", step: "b", upTo: facts.length + 1, reason: null };
  const all: readonly Fact[] = [
    { ...created, fork },
    ...facts,
    { kind: "run.started", deployment: "one" },
    completed("b"),
  ];
  const entries = all.map((fact, i): Entry => ({ seq: i + 1, at: forkedAt, ...fact }));
  expect(forkOf(entries, "b").map(({ kind }) => kind)).toEqual([
    "step.completed",
    "signal.received",
    "signal.consumed",
  ]);
  expect(preview(entries, "go")).toEqual({ kept: ["a"], rerun: ["go", "b"] });
});
