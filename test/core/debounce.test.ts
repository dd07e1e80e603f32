import { describe, expect, test } from "vitest";
import { continuationOf } from "../../src/core/lifecycle/continuation.ts";
import { beginAt, decideMerge } from "../../src/core/lane/debounce.ts";
import type { DebouncedStart } from "../../src/core/lane/debounce.ts";
import type { EntryOf, Fact } from "../../src/core/history/entry.ts";
import { fold } from "../../src/core/state/fold.ts";
import type { LaneNeed } from "../../src/core/lane/need.ts";
import { glance } from "../../src/core/run/snapshot.ts";
import { RunState } from "../../src/core/state/state.ts";
import { encode } from "../../src/core/value/value.ts";
import { createdFact } from "./created.ts";

const stored = (value: unknown) => encode(value, "the input");
const lane: LaneNeed = { lane: "l", scope: "run", limit: 1, periodMs: null, priority: 0, hold: false };
const firstAt = 1_000_000;

function append(state: RunState, at: number, fact: Fact): void {
  fold(state, { seq: state.seq + 1, at, ...fact });
}

/** A run that was started for the first time at `firstAt`, with a period of a second. */
function waiting(fields: Partial<EntryOf<"run.created">> = {}): RunState {
  const state = new RunState();
  append(state, firstAt, {
    ...createdFact,
    ...{ id: "one", workflow: "orders", input: stored(1), sent: stored("1"), labels: { n: "1" } },
    ...{ startAt: firstAt + 1000, lanes: [lane] },
    ...fields,
  });
  return state;
}

function again(n: number, fields: Partial<DebouncedStart> = {}): DebouncedStart {
  return {
    workflow: "orders",
    version: "1",
    input: stored(n),
    labels: { n: String(n) },
    periodMs: 1000,
    maxMs: null,
    by: "test",
    ...fields,
  };
}

/** Merges if the run lets it; answers whether it did. */
function merge(state: RunState, start: DebouncedStart, now: number): boolean {
  const decided = decideMerge(state, start, now);
  if (decided.kind === "merged" && decided.fact !== null) append(state, now, decided.fact);
  return decided.kind === "merged";
}

describe("a start that is merged", () => {
  test("makes the run what it would be had it been created by it, but for its id and its age", () => {
    const state = waiting({ key: "k1" });
    const other = { ...lane, lane: "m" };
    expect(merge(state, again(2, { version: "2", lanes: [other], by: "somebody" }), firstAt + 600)).toBe(true);
    expect(state.created).toEqual({
      seq: 1,
      at: firstAt,
      kind: "run.created",
      id: "one",
      workflow: "orders",
      version: "2",
      input: stored(2),
      labels: { n: "2" },
      parent: null,
      schedule: null,
      startAt: firstAt + 1600,
      notAfter: null,
      origin: null,
      by: "test",
      key: "k1",
      lanes: [other],
    });
  });

  test("has the limit of the newest start, and none of an earlier one", () => {
    const state = waiting({ notAfter: firstAt + 700 });
    expect(merge(state, again(2), firstAt + 500)).toBe(true);
    expect(state.created?.notAfter).toBe(null);
    expect(merge(state, again(3, { notAfter: firstAt + 9000 }), firstAt + 600)).toBe(true);
    expect(state.created?.notAfter).toBe(firstAt + 9000);
  });

  test("is kept as long as the newest start says, or else as its workflow says", () => {
    const state = waiting({ retention: { completedMs: 1, failedMs: 2 } });
    expect(merge(state, again(2, { retention: { failedMs: 3 } }), firstAt + 500)).toBe(true);
    expect(state.created?.retention).toEqual({ failedMs: 3 });
    expect(merge(state, again(3), firstAt + 600)).toBe(true);
    expect(state.created?.retention).toBe(undefined);
  });

  test("begins a period later, but no later after the first than the maximum, nor sooner than it wished", () => {
    const state = waiting();
    for (const after of [900, 1800, 2700]) {
      expect(merge(state, again(after, { maxMs: 3000 }), firstAt + after)).toBe(true);
      expect(state.created?.startAt).toBe(firstAt + Math.min(after + 1000, 3000));
    }
    expect(merge(state, again(4, { maxMs: 3000, startAt: firstAt + 9000 }), firstAt + 2900)).toBe(true);
    expect(state.created?.startAt).toBe(firstAt + 9000);
    expect(beginAt({ periodMs: 5000, maxMs: 3000 }, firstAt, firstAt)).toBe(firstAt + 3000);
  });

  test("is what the run waits for since then, in a pause as well: as long as that it begins after the pause", () => {
    const state = waiting();
    const asked = { by: "test", reason: null };
    append(state, firstAt + 100, { kind: "run.paused", ...asked });
    expect(merge(state, again(2), firstAt + 800)).toBe(true);
    const memory = { running: 0, inFlight: new Map(), busy: false, stuck: null };
    const waits = () => glance(state, memory).waitingFor.map(({ since, until }) => [since, until]);
    expect(waits()).toEqual([[firstAt + 800, firstAt + 1800]]);
    append(state, firstAt + 5000, { kind: "run.resumed", shiftMs: 4900, ...asked });
    expect(waits()).toEqual([[firstAt + 800, firstAt + 6000]]);
  });

  test("comes too late once the run has begun, is being cancelled or has ended, and to another workflow's", () => {
    const begun = waiting();
    append(begun, firstAt + 1000, { kind: "run.started", deployment: "one" });
    const ended = waiting();
    const error = { name: "Cancelled", message: "no", code: "cancelled" };
    append(ended, firstAt + 500, { kind: "run.cancelled", error, by: "test", reason: null });
    const continued = waiting({ continuation: { count: 1, createdAt: 0, keys: [] } });
    for (const state of [begun, ended, continued, new RunState(), waiting({ workflow: "others" })]) {
      expect(decideMerge(state, again(2), firstAt + 600)).toEqual({ kind: "late" });
    }
  });

  test("guarantee 5: is merged once, however often it comes, and counts as merged after the run began", () => {
    const state = waiting();
    expect(merge(state, again(2, { key: "k2" }), firstAt + 100)).toBe(true);
    expect(merge(state, again(3, { key: "k3" }), firstAt + 200)).toBe(true);
    expect(decideMerge(state, again(2, { key: "k2" }), firstAt + 300)).toEqual({ kind: "merged", fact: null });
    expect(state.created).toMatchObject({ input: stored(3), startAt: firstAt + 1200 });
    append(state, firstAt + 1200, { kind: "run.started", deployment: "one" });
    expect(decideMerge(state, again(3, { key: "k3" }), firstAt + 9000)).toEqual({ kind: "merged", fact: null });
    expect(decideMerge(state, again(4, { key: "k4" }), firstAt + 9000)).toEqual({ kind: "late" });
  });

  test("guarantee 5: does not keep the first start, when that is repeated, from finding a run that went on as new", () => {
    const state = waiting();
    merge(state, again(2, { sent: stored("2"), key: "other" }), firstAt);
    append(state, firstAt + 2000, { kind: "run.started", deployment: "one" });
    const [renewed] = continuationOf(state, { input: stored(3), labels: {} }, "one", []);
    expect(renewed).toMatchObject({ input: stored(3), sent: stored("1"), continuation: { debounced: ["other"] } });
    const next = new RunState();
    if (renewed !== undefined) append(next, firstAt + 3000, renewed);
    expect(decideMerge(next, again(2, { key: "other" }), firstAt + 3000)).toEqual({ kind: "merged", fact: null });
  });

  test("leaves a run that is due its place in line, and changes what it begins with", () => {
    const state = waiting();
    expect(merge(state, again(2, { lanes: [{ ...lane, lane: "m" }] }), firstAt + 5000)).toBe(true);
    expect(state.created).toMatchObject({ input: stored(2), startAt: firstAt + 1000, lanes: [lane] });
  });

  test("counts from its own instant in a run that was paused before it was due, and is not due since", () => {
    const state = waiting();
    append(state, firstAt + 500, { kind: "run.paused", by: "test", reason: null });
    expect(merge(state, again(2), firstAt + 5000)).toBe(true);
    expect(state.created).toMatchObject({ input: stored(2), startAt: firstAt + 6000 });
  });
});
