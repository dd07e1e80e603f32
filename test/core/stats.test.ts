/** Statistics: spread, tallies, slices and sums, against the plainest way to work them out. */
import { describe, expect, it, test } from "vitest";
import type { Fact } from "../../src/core/history/entry.ts";
import { fold } from "../../src/core/state/fold.ts";
import { Sampler } from "../../src/core/stats/sample.ts";
import type { Sample, SampledRun, SampleQuery } from "../../src/core/stats/sample.ts";
import { Sketcher } from "../../src/core/stats/sketch.ts";
import { RunState } from "../../src/core/state/state.ts";
import { sliceLength, sumUp } from "../../src/core/stats/summation.ts";
import { foremostTallies, otherSteps } from "../../src/core/state/tally.ts";
import { encode } from "../../src/core/value/value.ts";
import { countsOf, durationsOf, isNear, quantileOf, randomRuns, stepOf } from "./naivestats.ts";
import { createPick } from "./sample.ts";
import { createdFact } from "./created.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const noon = Date.UTC(2026, 2, 1, 12);

describe("a sketch", () => {
  test.each([1, 2, 3, 10, 100, 5000])("of %i values is near the exact quantiles, whatever their size", (count) => {
    for (let seed = 0; seed < 40; seed++) {
      const pick = createPick(`sketch ${count} ${seed}`);
      const values = Array.from({ length: count }, () => pick.below(10 ** (1 + pick.below(15))));
      const sketcher = new Sketcher();
      for (const value of values) sketcher.add(value);
      for (const share of [0, 0.01, 0.5, 0.95, 0.99, 1]) {
        const [seen, exact] = [sketcher.quantile(share) ?? Number.NaN, quantileOf(values, share)];
        expect([share, seen, exact, isNear(seen, exact)]).toEqual([share, seen, exact, true]);
      }
      expect(sketcher.max).toBe(Math.max(...values));
    }
  });

  it("is exact below 128, and keeps the greatest value", () => {
    for (let value = 0; value < 128; value++) {
      const sketcher = new Sketcher();
      sketcher.add(value);
      sketcher.add(1_000_003);
      expect([sketcher.quantile(0.5), sketcher.quantile(1), sketcher.max]).toEqual([value, 1_000_003, 1_000_003]);
    }
    const alike = new Sketcher();
    for (let count = 0; count < 3; count++) alike.add(128);
    expect(alike.quantile(0.5), "no estimate is above it").toBe(128);
  });

  it("is the same however it was put together", () => {
    const pick = createPick("merge");
    const values = Array.from({ length: 3000 }, () => pick.below(10 ** (1 + pick.below(12))));
    const whole = new Sketcher();
    const parts = [new Sketcher(), new Sketcher(), new Sketcher()];
    for (const value of values) {
      whole.add(value);
      parts[pick.below(3)]?.add(value);
    }
    const merged = new Sketcher();
    for (const part of parts) merged.merge(JSON.parse(JSON.stringify(part.toSketch())) as never);
    expect(merged.toSketch()).toEqual(whole.toSketch());
    expect(merged.count).toBe(3000);
  });

  it("stays small, and takes every instant there is", () => {
    const sketcher = new Sketcher();
    for (let value = 1; value < 10_000_000; value += 97) sketcher.add(value);
    expect(sketcher.toSketch().buckets.length).toBeLessThan(1300);
    sketcher.add(Number.MAX_SAFE_INTEGER);
    sketcher.add(-5);
    expect([sketcher.quantile(0), sketcher.quantile(1)]).toEqual([0, Number.MAX_SAFE_INTEGER]);
  });

  it("of nothing has no quantiles", () => {
    expect([new Sketcher().quantile(0.5), new Sketcher().max]).toEqual([null, 0]);
  });
});

describe("slices", () => {
  test("are 24 to 60 of a round length, for every window up to 400 days", () => {
    const pick = createPick("slices");
    for (let index = 0; index < 5000; index++) {
      const length = 24 + pick.below(10 ** (2 + pick.below(9)));
      const from = noon - pick.below(10 ** 11);
      const window = { from, until: from + Math.min(length, 400 * dayMs) };
      const sliceMs = sliceLength(window);
      const { slices } = sumUp({ ...window, sliceMs }, [], []);
      expect([window, slices.length >= 24 && slices.length <= 60]).toEqual([window, true]);
      expect(slices[0]?.at).toBeLessThanOrEqual(window.from);
      expect((slices[0]?.at ?? 0) + sliceMs).toBeGreaterThan(window.from);
      expect((slices.at(-1)?.at ?? 0) + sliceMs).toBeGreaterThanOrEqual(window.until);
      expect(slices.at(-1)?.at).toBeLessThan(window.until);
      expect(slices.every(({ at }) => at % sliceMs === 0)).toBe(true);
    }
  });

  test.each([
    ["an hour", hourMs, 2 * minuteMs],
    ["a day", dayMs, 30 * minuteMs],
    ["a week", 7 * dayMs, 3 * hourMs],
    ["thirty days", 30 * dayMs, dayMs],
    ["400 days", 400 * dayMs, 10 * dayMs],
  ])("of %s are as people would cut it", (_name, windowMs, sliceMs) => {
    expect(sliceLength({ from: noon - windowMs, until: noon })).toBe(sliceMs);
  });

  test("of a window shorter than 24 ms are a millisecond each", () => {
    expect(sliceLength({ from: noon, until: noon + 1 })).toBe(1);
    expect(sumUp({ from: noon, until: noon + 3, sliceMs: 1 }, [], []).slices).toHaveLength(3);
  });
});

describe("the sum over shards", () => {
  const window = { from: noon - 30 * hourMs + 17, until: noon + 3 };
  const query: SampleQuery = { ...window, sliceMs: sliceLength(window) };

  function sampleOf(runs: readonly SampledRun[]): Sample {
    const sampler = new Sampler(query);
    for (const run of runs) sampler.add(run);
    // As it travels between objects.
    return structuredClone(sampler.toSample());
  }

  /** What the sum says of these runs, beside what they come to one by one. */
  function expectSame(said: ReturnType<typeof sumUp>["total"], runs: readonly SampledRun[]): void {
    const { successRate, durations, ...counts } = said;
    const expected = countsOf(runs);
    expect({ ...counts }).toMatchObject(expected);
    const judged = expected.completed + expected.failed;
    expect(successRate).toBe(judged === 0 ? null : expected.completed / judged);
    const exact = durationsOf(runs);
    if (durations === null) return expect(exact).toEqual([]);
    expect(durations.max).toBe(Math.max(...exact));
    expect([durations.p50, quantileOf(exact, 0.5)]).toSatisfy(([seen, wanted]) => isNear(seen, wanted));
    expect([durations.p95, quantileOf(exact, 0.95)]).toSatisfy(([seen, wanted]) => isNear(seen, wanted));
  }

  test.each([1, 2, 3, 4, 5, 6, 7, 8])("is what all the runs come to, one by one (%i)", (seed) => {
    const runs = randomRuns(`runs ${seed}`, 200 * seed, window.from, window.until);
    const shards = [0, 1, 2, 3].map((shard) => runs.filter((_run, index) => index % 4 === shard));
    const stats = sumUp(query, shards.map(sampleOf), ["idle", "order"]);
    expectSame(stats.total, runs);
    expect(stats.workflows.map(({ workflow }) => workflow)).toEqual(["idle", "mail", "order", "report"]);
    for (const { workflow, steps, slices, ...said } of stats.workflows) {
      const own = runs.filter((run) => run.workflow === workflow);
      expectSame(said, own);
      for (const { step, failureRate, meanMs, ...tally } of steps) {
        const exact = stepOf(own, step);
        expect([step, tally]).toEqual([step, exact]);
        const ended = exact.completed + exact.failed;
        expect(failureRate).toBe(ended === 0 ? null : exact.failed / ended);
        expect(meanMs).toBe(ended === 0 ? null : Math.round(exact.ms / ended));
      }
      expect(slices).toEqual(stats.slices.map(({ at }) => countsOf(own.filter(inSlice(at)))));
    }
    for (const { at, durations, ...counts } of stats.slices) {
      expectSame({ ...counts, durations, successRate: rate(runs.filter(inSlice(at))) }, runs.filter(inSlice(at)));
    }
  });

  const inSlice = (at: number) => (run: SampledRun) => run.createdAt >= at && run.createdAt < at + query.sliceMs;
  const rate = (runs: readonly SampledRun[]): number | null => {
    const { completed, failed } = countsOf(runs);
    return completed + failed === 0 ? null : completed / (completed + failed);
  };

  it("is the same over any number of shards", () => {
    const runs = randomRuns("shards", 1000, window.from, window.until);
    const over = (shards: number) => {
      const parts = Array.from({ length: shards }, (_, shard) => runs.filter((_run, i) => i % shards === shard));
      return sumUp(query, parts.map(sampleOf), []);
    };
    expect(over(1)).toEqual(over(7));
    expect(over(2)).toEqual(over(16));
  });

  it("names the twenty steps that fail most, those first", () => {
    const tallies = Object.fromEntries(
      Array.from({ length: 50 }, (_, index) => [
        `step${index}`,
        { completed: 1, failed: index, failedAttempts: index, ms: 1 },
      ]),
    );
    const run: SampledRun = { workflow: "w", status: "failed", createdAt: noon, finishedAt: noon, tallies };
    const [workflow] = sumUp(query, [sampleOf([run, run])], []).workflows;
    expect(workflow?.steps.map(({ step }) => step)).toEqual(Array.from({ length: 20 }, (_, i) => `step${49 - i}`));
    expect(workflow?.steps[0]).toMatchObject({ completed: 2, failed: 98, failureRate: 0.98 });
  });

  it("counts a run in the slice that is told with its instant, wherever in a slice the window begins", () => {
    const at = noon + 20 * minuteMs;
    const [cut, sliceMs] = [{ from: at - 1, until: at + 5 * hourMs }, hourMs / 6];
    const sampler = new Sampler({ ...cut, sliceMs });
    sampler.add({ workflow: "w", status: "running", createdAt: at, finishedAt: null });
    const { slices } = sumUp({ ...cut, sliceMs }, [sampler.toSample()], []);
    expect(slices.filter(({ open }) => open > 0).map((slice) => slice.at)).toEqual([at]);
  });

  it("takes runs that were listed before steps were counted", () => {
    const run: SampledRun = { workflow: "w", status: "completed", createdAt: noon, finishedAt: noon + 5 };
    expect(sumUp(query, [sampleOf([run])], []).workflows).toMatchObject([{ workflow: "w", completed: 1, steps: [] }]);
  });
});

describe("tallies of a run", () => {
  const one = encode(1, "a value");
  const error = { name: "Error", message: "no" };
  const created = { ...createdFact, id: "r", workflow: "w", input: one } as const satisfies Fact;
  const none = { completed: 0, failed: 0, failedAttempts: 0, ms: 0 };

  /** One entry each 10 ms. */
  function talliesOf(...facts: readonly Fact[]) {
    const state = new RunState();
    for (const [index, fact] of facts.entries()) fold(state, { seq: index + 1, at: 10 * index, ...fact });
    return Object.fromEntries(state.tallies);
  }

  const completed = (step: string, startedAt: number): Fact => {
    return { kind: "step.completed", step, attempt: 1, startedAt, result: one };
  };
  const attemptFailed = (step: string, retryAt: number | null = 0): Fact => {
    return { kind: "step.attempt_failed", step, attempt: 1, startedAt: 0, error, retryAt };
  };
  const failed = (step: string, startedAt: number): Fact => {
    return { kind: "step.failed", step, attempt: 1, startedAt, error };
  };

  it("are by name: occurrences of one step are one", () => {
    expect(talliesOf(created, completed("a", 5), completed("a#2", 12), completed("a#2#1", 30))).toEqual({
      a: { ...none, completed: 2, ms: 5 + 8 },
      "a#2": { ...none, completed: 1, ms: 0 },
    });
  });

  it("tell attempts that failed from calls that did", () => {
    const facts = [created, attemptFailed("a"), attemptFailed("a"), completed("a", 28), attemptFailed("b")];
    expect(talliesOf(...facts, failed("b", 45))).toEqual({
      a: { completed: 1, failed: 0, failedAttempts: 2, ms: 2 },
      b: { completed: 0, failed: 1, failedAttempts: 2, ms: 5 },
    });
  });

  it("count no failure where a person decides about the step", () => {
    expect(talliesOf(created, attemptFailed("a", null))).toEqual({ a: { ...none, failedAttempts: 1 } });
  });

  it("keep what happened when the run is retried", () => {
    const retried: Fact = { kind: "run.retried", by: "test", reason: null, cleared: ["a"] };
    const facts = [created, failed("a", 10), { kind: "run.failed", error } as const, retried, completed("a", 33)];
    expect(talliesOf(...facts)).toEqual({ a: { completed: 1, failed: 1, failedAttempts: 1, ms: 7 } });
  });

  it("count children from their start to their end, and none that nobody waits for", () => {
    const child = { id: "c", workflow: "k" };
    const begun = { kind: "child.started", child, until: null, policy: "cancel" } as const;
    expect(
      talliesOf(
        ...[
          created,
          { ...begun, step: "k" },
          { ...begun, step: "k#2" },
          { ...begun, step: "free", detached: true } as const,
        ],
        { kind: "child.completed", step: "k#2", child, output: one },
        { kind: "child.failed", step: "k", child, error },
        { kind: "child.failed", step: "k#3", error },
      ),
    ).toEqual({ k: { completed: 1, failed: 2, failedAttempts: 2, ms: 20 + 40 } });
  });

  it("leave out what is undone", () => {
    const undo = { step: "a", attempt: 1, startedAt: 0 };
    const facts: Fact[] = [
      { kind: "undo.started", ends: "failed", error, steps: ["a"], by: "engine", reason: null },
      { kind: "undo.attempt_failed", ...undo, error, retryAt: 0 },
      { kind: "undo.failed", ...undo, error },
    ];
    expect(talliesOf(created, completed("a", 10), ...facts)).toEqual({ a: { ...none, completed: 1 } });
  });

  it("leave out what a fork has copied", () => {
    const fork = { id: "o", step: "b", upTo: 2, reason: null };
    expect(talliesOf({ ...created, fork }, completed("a", 0), completed("b", 0))).toEqual({
      b: { ...none, completed: 1, ms: 20 },
    });
  });

  it("go on where the run goes on as new", () => {
    const tallies = [["a", { completed: 3, failed: 1, failedAttempts: 4, ms: 50 }]] as const;
    const continuation = { count: 1, createdAt: 0, keys: [], tallies };
    expect(talliesOf({ ...created, continuation }, completed("a", 4))).toEqual({
      a: { completed: 4, failed: 1, failedAttempts: 4, ms: 56 },
    });
  });

  it("of 200 names are told apart; the rest are counted together, and nothing is lost", () => {
    const steps = Array.from({ length: 1000 }, (_, index) => completed(`step ${index % 400}x`, 10 * index));
    const tallies = talliesOf(created, ...steps);
    expect(Object.keys(tallies)).toHaveLength(201);
    expect(Object.values(tallies).reduce((sum, tally) => sum + tally.completed, 0)).toBe(1000);
    expect(tallies[otherSteps]).toMatchObject({ completed: 400 });
  });

  it("that are shown are those that fail most, and the last of them is all the rest", () => {
    const pick = createPick("foremost");
    const tallies = new Map(
      Array.from({ length: 120 }, (_, index) => {
        const failed = pick.below(50);
        return [`s${index}`, { completed: pick.below(9), failed, failedAttempts: failed + pick.below(5), ms: 1 }];
      }),
    );
    const shown = foremostTallies(tallies, 50);
    expect(shown).toHaveLength(50);
    const worst = [...tallies.values()].map(({ failed }) => failed).toSorted((one, other) => other - one);
    expect(shown.slice(0, 49).map(([, { failed }]) => failed)).toEqual(worst.slice(0, 49));
    expect(shown.at(-1)?.[0]).toBe(otherSteps);
    for (const field of ["completed", "failed", "failedAttempts", "ms"] as const) {
      const sum = (list: Iterable<Record<typeof field, number>>) => [...list].reduce((all, one) => all + one[field], 0);
      expect(sum(shown.map(([, tally]) => tally))).toBe(sum(tallies.values()));
    }
    expect(foremostTallies(new Map([...tallies].slice(0, 50)), 50).map(([name]) => name)).not.toContain(otherSteps);
  });
});
