/** The audit of the chaos can see: whatever guarantee is broken in a history that was sound, it says so. */
import { describe, expect, test } from "vitest";
import type { Effect } from "../outside/ledger.ts";
import { auditFirings, auditLanes, auditPlanned } from "./audit.ts";
import type { Ended, Told } from "./audit.ts";
import type { Sight } from "./drive.ts";
import { planLife, planRun } from "./plan.ts";
import type { RunPlan } from "./plan.ts";

const createdAt = 1_795_000_000_000;
const birth = createdAt.toString(36);

function effect(step: string, value: number, more: Partial<Effect> = {}): Effect {
  const key = `r:${birth}:${step}`;
  return { run: "r", step, key, attempt: 1, slotAt: null, ms: 10, life: 0, note: "", value, at: value, ...more };
}

const plan: RunPlan = {
  id: "r",
  workflow: "voyage",
  input: {
    ops: [
      { t: "step", name: "s0", ms: 1, fails: 1, undo: true },
      { t: "wait" },
      { t: "race", name: "s1", ms: [1, 2] },
      { t: "map", name: "s2", ms: [1, 2], concurrency: 2 },
    ],
    updates: 1,
    end: "return",
    rounds: 0,
    lane: "",
  },
  startAfterMs: 0,
  acts: [{ afterMs: 0, do: { t: "signal", number: 1, twice: true } }],
};

type Case = { sight: Sight; view: Ended["view"]; entries: Told[]; effects: Effect[] };

/** One in which nothing is wrong, though a death made it repeat an effect. */
function sound(): Case {
  const told = (kind: string, more: Partial<Told> = {}): Omit<Told, "seq"> => ({
    at: new Date(createdAt).toISOString(),
    kind,
    ...more,
  });
  const done = (step: string, result: number, more: Partial<Told> = {}) =>
    told("step.completed", { step, result, ...more });
  const entries = [
    told("run.created"),
    told("step.interrupted", { step: "s0", held: true }),
    told("step.attempt_failed", { step: "s0" }),
    done("s0", 3, { undo: true }),
    told("signal.received", { name: "approval", key: "r/1" }),
    told("signal.consumed", { name: "approval", signal: 5 }),
    done("add-1", 4),
    done("s1-1", 5),
    done("s2#2", 6),
    done("s2", 7),
    done("end", 8),
  ].map((entry, index) => ({ ...entry, seq: index + 1 }));
  const heard = [
    ["s0", 3],
    ["approval", { number: 1 }],
    ["add-1", 4],
    ["s1-1", 5],
    ["s1", "s1-1"],
    ["s2", [7, 6]],
    ["end", 8],
  ];
  const effects = [
    effect("s0", 1),
    effect("s0", 2, { life: 1 }),
    effect("s0", 3, { life: 1, attempt: 2 }),
    effect("add-1", 4),
    effect("s1-1", 5),
    effect("s2#2", 6),
    effect("s2", 7),
    effect("end", 8),
  ];
  const view = {
    id: "r",
    workflow: "voyage",
    version: "1",
    status: "completed",
    output: { heard },
    reason: null,
    waitingFor: [],
    error: null,
  };
  return {
    sight: { plan, updates: new Map([[1, { number: 1, value: 4 }]]), seen: entries.slice(0, 4), wrong: [] },
    view,
    entries,
    effects,
  };
}

function audit({ sight, ...ended }: Case): string[] {
  return auditPlanned(sight, ended);
}

/** The guarantees that the audit says are broken. */
function broken(change: (one: Case) => Partial<Case>): string {
  const one = sound();
  return audit({ ...one, ...change(one) })
    .map((what) => what.slice(0, 3))
    .join(" ");
}

test("a history in which nothing is wrong is found to be so", () => {
  expect(audit(sound())).toEqual([]);
});

describe("what is broken is seen", () => {
  const without = (entries: readonly Told[], kind: string): Told[] =>
    entries.filter((entry) => entry.kind !== kind).map((entry, index) => ({ ...entry, seq: index + 1 }));
  const cases: readonly (readonly [what: string, guarantee: string, change: (one: Case) => Partial<Case>])[] = [
    [
      "a completed step has one more effect",
      "(2)",
      ({ effects }) => ({ effects: [...effects, effect("s1-1", 99, { life: 3 })] }),
    ],
    ["an attempt has two effects in one life", "(2)", ({ effects }) => ({ effects: [effect("s0", 0), ...effects] })],
    [
      "an effect was repeated and no mark tells of it",
      "(8)",
      ({ entries }) => ({ entries: without(entries, "step.interrupted") }),
    ],
    [
      "a step completed twice",
      "(2)",
      ({ entries }) => ({ entries: [...entries, { ...(entries[3] as Told), seq: 12 }] }),
    ],
    [
      "a gap in the history",
      "(8)",
      ({ entries }) => ({ entries: entries.map((entry) => ({ ...entry, seq: entry.seq * 2 })) }),
    ],
    [
      "a signal that was answered is gone",
      "(1)",
      ({ entries }) => ({ entries: entries.filter(({ kind }) => !kind.startsWith("signal")) }),
    ],
    [
      "a signal that was taken twice",
      "(5)",
      ({ entries }) => ({ entries: [...entries, { ...(entries[5] as Told), seq: 12 }] }),
    ],
    [
      "what was shown is gone",
      "(1)",
      ({ sight }) => ({ sight: { ...sight, seen: [{ seq: 1, at: "", kind: "other" }] } }),
    ],
    [
      "another winner of the race",
      "(3)",
      ({ entries }) => ({
        entries: entries.map((entry) => (entry.step === "s1-1" ? { ...entry, step: "s1-0" } : entry)),
      }),
    ],
    [
      "an update answered otherwise",
      "(1)",
      ({ sight }) => ({ sight: { ...sight, updates: new Map([[1, { number: 1, value: 5 }]]) } }),
    ],
    [
      "a failed attempt that was forgotten",
      "(2)",
      ({ entries }) => ({ entries: without(entries, "step.attempt_failed") }),
    ],
    [
      "a step that is undone though the run completed",
      "(8)",
      ({ entries }) => ({ entries: [...entries, { seq: 12, at: "", kind: "undo.completed", step: "s0" }] }),
    ],
    ["a run that does not end", "(4)", ({ view }) => ({ view: { ...view, status: "waiting" } })],
    ["another end", "(8)", ({ view }) => ({ view: { ...view, status: "failed" } })],
    ["code of another version", "(7)", ({ effects }) => ({ effects: [...effects, effect("code-2", 9)] })],
    [
      "a crash that nothing tells of",
      "(4)",
      ({ view }) => ({ view: { ...view, status: "failed", error: { message: "", code: "step_crashed", step: "s0" } } }),
    ],
  ];

  test.each(cases)("%s: %s", (_what, guarantee, change) => {
    expect(broken(change)).toContain(guarantee);
  });

  test("what a courier sent: an answer of another request, one request too many", () => {
    const asked = (values: readonly number[], recorded: number, failures = 0): string[] => {
      const one = sound();
      const told = (kind: string, more: Partial<Told> = {}) => ({ at: "", kind, step: "s4", ...more });
      const failed = Array.from({ length: failures }, () => told("step.attempt_failed"));
      const answer = { status: 200, headers: {}, body: { value: recorded } };
      const entries = [...one.entries, ...failed, told("step.completed", { result: answer })];
      const effects = values.map((value, index) => effect("s4", value, { attempt: 0, life: index < 2 ? 0 : 1 }));
      return audit({
        ...one,
        entries: entries.map((entry, index) => ({ ...entry, seq: index + 1 })),
        effects: [...one.effects, ...effects],
      });
    };
    expect(asked([9], 9)).toEqual([]);
    expect(asked([9], 8).join()).toContain("(2)");
    expect(asked([9, 10], 10).join()).toContain("(2)");
    // The next life, or another attempt, may make it again.
    expect(asked([9, 10, 11], 11, 1)).toEqual([]);
    expect(asked([9, 10], 9, 1)).toEqual([]);
    expect(asked([9, 10], 8, 1).join()).toContain("(2)");
  });

  test("a firing that started two runs, a lane that held three", () => {
    const fired = [effect("tick", 1, { slotAt: 1000 }), effect("tick", 2, { slotAt: 1000, run: "other" })];
    expect(auditFirings(fired).join()).toContain("(6)");
    expect(auditFirings(fired.slice(1))).toEqual([]);
    const held = ["a", "b", "c"].map((run, index) => effect("s", index, { run, note: "north", at: index }));
    expect(auditLanes(held, 2)).not.toEqual([]);
    expect(auditLanes(held, 3)).toEqual([]);
    const ended = (at: number) => [...held, effect("end", 9, { run: "a", note: "north", at, ms: 0 })];
    expect(auditLanes(ended(2), 2)).toEqual([]);
    expect(auditLanes(ended(3), 2)).not.toEqual([]);
  });
});

test("the same seed is the same plan, whatever was drawn before; another seed is another", () => {
  const plans = (seed: string) => JSON.stringify([planRun(seed, 7), planLife(seed, 3), planRun(seed, 1)]);
  planRun("one", 6);
  expect(plans("one")).toBe(plans("one"));
  expect(plans("one")).not.toBe(plans("two"));
});
