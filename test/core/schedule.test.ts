import { describe, expect, test } from "vitest";
import * as z from "zod";
import type { Definition, ScheduleRule } from "../../src/core/definition/definition.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { cronOf } from "../../src/core/schedule/cron.ts";
import * as firing from "../../src/core/schedule/firing.ts";
import type { ScheduleState } from "../../src/core/schedule/firing.ts";
import { createRandom } from "../../src/core/random.ts";
import {
  checkRule,
  collectSchedules,
  firingRunId,
  firingStartAt,
  nextSlots,
} from "../../src/core/schedule/schedule.ts";
import type { Schema } from "../../src/core/definition/schema.ts";
import type { Overlap, Rule } from "../../src/core/service/schedules.ts";
import { decode } from "../../src/core/value/value.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const noon = Date.UTC(2026, 0, 1, 12);

function ruleOf(change: Partial<Rule> = {}): Rule {
  return {
    id: "nightly",
    workflow: "nightly",
    cron: "0 * * * *",
    timezone: "UTC",
    input: undefined,
    overlap: "skip",
    catchUpMs: hourMs,
    jitterMs: 0,
    pauseOnFailure: false,
    source: "code",
    ...change,
  };
}

function definitionOf(name: string, schedules: readonly ScheduleRule[], version = "1"): Definition {
  return {
    name,
    version,
    handler: () => undefined,
    input: undefined,
    output: undefined,
    signals: {},
    retry: undefined,
    timeoutMs: null,
    schedules,
    retentionMs: dayMs,
    labels: undefined,
    limits: { steps: 1, perStep: {} },
    flow: {},
  };
}

/** What the ticks fired, in order. */
function fired(rule: Rule, ticks: readonly number[]): number[] {
  let state = firing.stateFor(rule, undefined, ticks[0] ?? 0);
  return ticks.flatMap((now) => {
    const judged = firing.judge(rule, state, now);
    state = judged.state;
    return judged.due ?? [];
  });
}

describe("guarantee 6: a firing is decided about once", () => {
  test("at its time, and not again when ticks repeat or come late", () => {
    const ticks = [noon - 1, noon, noon, noon + 5, noon + hourMs - 1, noon + hourMs + 20_000, noon + hourMs];
    expect(fired(ruleOf(), ticks)).toEqual([noon, noon + hourMs]);
  });

  test("never for times before it was first seen, and for the very instant", () => {
    expect(fired(ruleOf(), [noon + 1, noon + 2])).toEqual([]);
    expect(fired(ruleOf(), [noon, noon + 1])).toEqual([noon]);
  });

  test("of missed firings only the latest runs, and only within catch-up", () => {
    const rule = ruleOf({ cron: "*/10 * * * *", catchUpMs: 5 * 60_000 });
    const state = firing.stateFor(rule, undefined, noon);
    const back = firing.judge(rule, state, noon + hourMs + 5 * 60_000);
    expect(back.due).toBe(noon + hourMs);
    expect(back.missed).toEqual({ fromAt: noon, toAt: noon + 50 * 60_000 });
    const late = firing.judge(rule, state, noon + hourMs + 5 * 60_000 + 1);
    expect(late.due).toBeNull();
    expect(late.missed).toEqual({ fromAt: noon, toAt: noon + hourMs });
    expect(firing.judge(rule, late.state, noon + hourMs).due).toBeNull();
  });

  test("a firing less than a second late is on time, even without catch-up", () => {
    expect(fired(ruleOf({ catchUpMs: 0 }), [noon - 1, noon + 1_000])).toEqual([noon]);
    expect(fired(ruleOf({ catchUpMs: 0 }), [noon - 1, noon + 1_001])).toEqual([]);
  });

  test("a clock set back fires nothing twice", () => {
    const ticks = [noon, noon + hourMs, noon, noon - dayMs, noon + hourMs, noon + 2 * hourMs];
    expect(fired(ruleOf(), ticks)).toEqual([noon, noon + hourMs, noon + 2 * hourMs]);
  });

  test("a changed cron fires nothing for the past, and no slot again", () => {
    const before = ruleOf({ cron: "0 12 * * *" });
    const fresh = firing.judge(before, firing.stateFor(before, undefined, noon), noon).state;
    const after = ruleOf({ cron: "0 11,12 * * *" });
    const changed = firing.stateFor(after, fresh, noon + 1_000);
    expect(firing.judge(after, changed, noon + 1_000).due).toBeNull();
    expect(firing.judge(after, changed, noon + 23 * hourMs).due).toBe(noon + 23 * hourMs);
  });

  test("a schedule that was gone for a while fires nothing for that while, and is forgotten after 7 days", () => {
    const rule = ruleOf();
    const seen = firing.judge(rule, firing.stateFor(rule, undefined, noon), noon).state;
    const gone = firing.retire({ ...seen, queue: [noon] }, noon + 1);
    if (gone === null) throw new Error("forgotten at once");
    expect(gone).toMatchObject({ queue: [], lastSlotAt: noon });
    const again = firing.stateFor(rule, gone, noon + hourMs + 60_000);
    expect(firing.judge(rule, again, noon + hourMs + 60_000).due).toBeNull();
    expect(firing.judge(rule, firing.stateFor(rule, gone, noon), noon).due).toBeNull();
    expect(firing.retire(gone, noon + 1 + 7 * dayMs)).toBe(gone);
    expect(firing.retire(gone, noon + 2 + 7 * dayMs)).toBeNull();
  });
});

describe("guarantee 6: seeded rules and ticks against a plain list of the slots", () => {
  /** With the length of a usual step between ticks. */
  const crons: readonly (readonly [string, number])[] = [
    ["*/5 * * * * *", 5_000],
    ["* * * * *", 60_000],
    ["*/7 * * * *", 10 * 60_000],
    ["0 * * * *", 30 * 60_000],
    ["30 2 * * *", 8 * hourMs],
    ["15 1,13 * * 1-5", 8 * hourMs],
    ["0 0 1 * *", 4 * dayMs],
  ];
  const zones = ["UTC", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Beirut", "America/Nuuk"];
  const changes = [Date.UTC(2026, 2, 8), Date.UTC(2026, 2, 28), Date.UTC(2026, 3, 5), Date.UTC(2026, 9, 25)];

  test.each(Array.from({ length: 60 }, (_, seed) => seed))("seed %i", (seed) => {
    const random = createRandom(`schedule ${seed}`);
    const pick = <Value>(from: readonly Value[]): Value => from[Math.floor(random.next() * from.length)] as Value;
    const [cron, stepMs] = pick(crons);
    const rule = ruleOf({
      cron,
      timezone: pick(zones),
      catchUpMs: pick([0, 30_000, hourMs, 2 * dayMs]),
    });
    const startAt = pick(changes) + Math.floor(random.next() * dayMs);
    const ticks = [startAt];
    let now = startAt;
    for (let i = 0; i < 120; i += 1) {
      // Mostly onward, now and then doubled, out of order, or with the clock set back.
      const kind = random.next();
      if (kind < 0.75) now += Math.floor(random.next() * stepMs * 2);
      else if (kind < 0.85) now = Math.max(startAt, now - Math.floor(random.next() * stepMs * 3));
      else if (kind < 0.9) now += stepMs * 20;
      ticks.push(now);
    }
    const all: number[] = [];
    const lastAt = Math.max(...ticks);
    for (let slot = cronOf(rule).next(startAt - 1); slot !== null && slot <= lastAt; slot = cronOf(rule).next(slot)) {
      all.push(slot);
    }
    const expected: number[] = [];
    let decided = Number.NEGATIVE_INFINITY;
    for (const tick of ticks) {
      const open = all.filter((slot) => slot > decided && slot <= tick);
      const slot = open.at(-1);
      if (slot === undefined) continue;
      decided = slot;
      if (tick - slot <= Math.max(rule.catchUpMs, 1_000)) expected.push(slot);
    }
    const got = fired(rule, ticks);
    expect(got).toEqual(expected);
    expect(new Set(got).size).toBe(got.length);
  });
});

function startingOf(state: ScheduleState): firing.Starting {
  const [one] = state.starting;
  if (one === undefined) throw new Error("nothing is starting");
  return one;
}

describe("overlap", () => {
  /** One slot admitted while `running` runs go on and `queue` waits. */
  function met(overlap: Overlap, running: readonly string[], queue: readonly number[] = []): ScheduleState {
    const rule = ruleOf({ overlap });
    const state = { ...firing.stateFor(rule, undefined, noon), running, queue };
    return firing.release(rule, firing.admit(rule, state, noon).state, noon);
  }
  const begun = (state: ScheduleState): number[] => state.starting.map((one) => one.slotAt);

  test.each<Overlap>(["skip", "buffer-one", "buffer-all", "cancel-other", "terminate-other", "allow-all"])(
    "%s starts at once when nothing goes on",
    (overlap) => {
      const state = met(overlap, []);
      expect(begun(state)).toEqual([noon]);
      expect(state).toMatchObject({ queue: [], checkAt: null });
    },
  );

  test("skip drops it", () => {
    expect(met("skip", ["a"])).toMatchObject({ queue: [], starting: [] });
  });

  test("buffer-one keeps the first, buffer-all every one", () => {
    expect(met("buffer-one", ["a"]).queue).toEqual([noon]);
    expect(met("buffer-one", ["a"], [1]).queue).toEqual([1]);
    expect(met("buffer-all", ["a"], [1, 2]).queue).toEqual([1, 2, noon]);
    expect(met("buffer-all", ["a"]).checkAt).toBe(noon + 1_000);
  });

  test("cancel-other and terminate-other keep the newest and name what to stop", () => {
    for (const [overlap, kind] of [
      ["cancel-other", "cancel"],
      ["terminate-other", "terminate"],
    ] as const) {
      const state = met(overlap, ["a"], [1]);
      expect(state.queue).toEqual([noon]);
      expect(firing.toStop(ruleOf({ overlap }), state)).toEqual({ kind, runIds: ["a"] });
      const freed = firing.release(ruleOf({ overlap }), firing.end(state, ["a"]), noon);
      expect(begun(freed)).toEqual([noon]);
      expect(firing.toStop(ruleOf({ overlap }), freed)).toBeNull();
    }
  });

  test("allow-all starts beside the others", () => {
    expect(begun(met("allow-all", ["a"]))).toEqual([noon]);
  });

  test("a start that is not acknowledged counts as going on", () => {
    const rule = ruleOf();
    const state = met("skip", []);
    expect(firing.admit(rule, state, noon + hourMs).skipped).toBe(true);
  });

  test("what waits starts one by one as runs end", () => {
    const rule = ruleOf({ overlap: "buffer-all" });
    let state = met("buffer-all", ["a"], [1, 2]);
    state = firing.release(rule, firing.end(state, ["a"]), noon);
    expect(begun(state)).toEqual([1]);
    const runId = firingRunId(rule.id, 1);
    state = firing.release(rule, firing.acknowledge(state, startingOf(state)), noon);
    expect(state).toMatchObject({ running: [runId], starting: [], queue: [2, noon] });
    state = firing.release(rule, firing.end(state, [runId]), noon);
    expect(begun(state)).toEqual([2]);
  });

  test("a run that ends before its start is acknowledged is not taken to go on", () => {
    const rule = ruleOf();
    const owed = met("skip", []);
    const state = firing.acknowledge(firing.end(owed, [firingRunId(rule.id, noon)]), startingOf(owed));
    expect(state).toMatchObject({ running: [], starting: [] });
  });

  test("the end of a run that is not known changes nothing", () => {
    const state = met("skip", []);
    expect(firing.end(state, ["other"])).toBe(state);
  });
});

describe("starts that fail", () => {
  const rule = ruleOf();
  const owed = firing.release(rule, { ...firing.stateFor(rule, undefined, noon), queue: [noon] }, noon);

  test("are made again, later each time, until it is too late for them", () => {
    const waits: number[] = [];
    let state = owed;
    let now = noon;
    while (state.starting.length > 0) {
      state = firing.defer(rule, state, startingOf(state), "no answer", now);
      if (state.starting.length === 0) break;
      waits.push(startingOf(state).retryAt - now);
      expect(firing.wakeAt(rule, { ...state, lastSlotAt: noon + dayMs }, now)).toBe(startingOf(state).retryAt);
      now = startingOf(state).retryAt;
    }
    expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(Math.max(...waits)).toBe(300_000);
    expect(now - noon).toBeGreaterThan(hourMs);
    expect(state.lastError).toEqual({ at: now, slotAt: noon, message: "no answer" });
  });

  test("are not made again when they were refused", () => {
    const state = firing.refuse(owed, startingOf(owed), "input_invalid", noon);
    expect(state.starting).toEqual([]);
    expect(firing.wakeAt(rule, { ...state, lastSlotAt: noon }, noon)).toBe(noon + hourMs);
  });

  test("are forgotten once a later firing has its run, also one that has ended before that was heard of", () => {
    const next = noon + hourMs;
    const refused = firing.refuse(owed, startingOf(owed), "input_invalid", noon);
    const later = firing.release(rule, { ...refused, queue: [next] }, next);
    expect(firing.acknowledge(later, startingOf(later)).lastError).toBeNull();
    const ended = firing.end(later, [startingOf(later).runId]);
    expect(firing.acknowledge(ended, startingOf(later)).lastError).toBeNull();
    const newer = { ...later, lastError: { at: next, slotAt: next + 1, message: "no" } };
    expect(firing.acknowledge(newer, startingOf(later)).lastError).toEqual(newer.lastError);
  });

  test("are not put off for years by a clock that was set back", () => {
    const now = noon - 365 * dayMs;
    expect(firing.isReached(startingOf(owed).retryAt, now)).toBe(true);
    expect(firing.wakeAt(rule, owed, now)).toBeLessThanOrEqual(now + 300_000);
  });
});

describe("rules", () => {
  test.each<[string, unknown]>([
    ["schedule.cron", { cron: "61 * * * *" }],
    ["schedule.cron", { cron: "0 0 31 2 *" }],
    ["schedule.cron", {}],
    ["schedule.timezone", { cron: "* * * * *", timezone: "Mars/Olympus" }],
    ["schedule.overlap", { cron: "* * * * *", overlap: "queue" }],
    ["schedule.catchUp", { cron: "* * * * *", catchUp: "soon" }],
    ["schedule.jitter", { cron: "* * * * *", jitter: -1 }],
    ["schedule.pauseOnFailure", { cron: "* * * * *", pauseOnFailure: "yes" }],
    ["schedule.id", { cron: "* * * * *", id: "" }],
    ["schedule.id", { cron: "* * * * *", id: ".." }],
    ['schedule has no option "catchup"; it takes cron,', { cron: "* * * * *", catchup: "1 day" }],
    ["schedule", null],
  ])("a bad %s is refused and named", (field, rule) => {
    expect(() => checkRule(rule as ScheduleRule, "report")).toThrow(`workflow "report": ${field} `);
    expect(() => checkRule(rule as ScheduleRule, "report")).toThrow(HoldfastError);
  });

  test("an input that cannot be stored is refused and named", () => {
    const bad = definitionOf("report", [{ cron: "* * * * *", input: () => 1 }]);
    expect(() => collectSchedules([bad])).toThrow('workflow "report": schedule.input ');
  });

  test("an input that the workflow's schema refuses is refused, with the schedule named", () => {
    const input = z.object({ n: z.number() });
    const planned =
      (rule: Partial<ScheduleRule>, schema: Schema = input) =>
      () =>
        collectSchedules([{ ...definitionOf("report", [{ cron: "* * * * *", ...rule }]), input: schema }]);
    expect(planned({ input: { n: "1" }, id: "own" })).toThrow(
      'workflow "report": schedule.input of "own": it is not valid: /n',
    );
    expect(planned({})).toThrow(HoldfastError);
    expect(planned({ input: { n: 1 } })()).toHaveLength(1);
    // What waits, or cannot work yet, has its say when a run starts.
    expect(
      planned(
        { input: 1 },
        z.number().refine(() => Promise.resolve(false)),
      )(),
    ).toHaveLength(1);
    const broken = z.unknown().refine(() => {
      throw new Error("not yet");
    });
    expect(planned({ input: 1 }, broken)()).toHaveLength(1);
  });

  test("ids are the workflow's name, numbered from the second, or as given", () => {
    const cron = "* * * * *";
    const rules = collectSchedules([
      definitionOf("a", [{ cron }, { cron, id: "own" }, { cron }, { cron }]),
      definitionOf("b", [{ cron, timezone: "Europe/Berlin", input: { n: 1 }, catchUp: "2 days", jitter: "10 s" }]),
    ]);
    expect(rules.map((rule) => rule.id)).toEqual(["a", "own", "a#2", "a#3", "b"]);
    expect(rules[0]).toEqual(ruleOf({ id: "a", workflow: "a", cron }));
    expect(rules[4]).toMatchObject({ timezone: "Europe/Berlin", catchUpMs: 2 * dayMs, jitterMs: 10_000 });
    expect(decode(rules[4]?.input ?? ("" as never))).toEqual({ n: 1 });
  });

  test("one id for two schedules is refused", () => {
    const cron = "* * * * *";
    expect(() => collectSchedules([definitionOf("a", [{ cron }]), definitionOf("b", [{ cron, id: "a" }])])).toThrow(
      'workflow "b": schedule.id "a"',
    );
  });

  test("of several versions of a workflow the last is scheduled", () => {
    const versions = [definitionOf("a", [{ cron: "0 1 * * *" }]), definitionOf("a", [{ cron: "0 2 * * *" }], "2")];
    expect(collectSchedules(versions).map((rule) => rule.cron)).toEqual(["0 2 * * *"]);
  });

  test("the next firings follow each other", () => {
    expect(nextSlots(ruleOf(), noon, 3)).toEqual([noon + hourMs, noon + 2 * hourMs, noon + 3 * hourMs]);
  });

  test("the next firings are the same however they are asked for", () => {
    const rule = ruleOf();
    for (const [after, count] of [
      [0, 3],
      [30, 2],
      [59, 3],
      [60, 3],
      [60, 5],
      [0, 1],
      [90, 0],
    ] as const) {
      const at = noon + after * 60_000;
      expect(nextSlots(rule, at, count)).toEqual(nextSlots(ruleOf(), at, count));
    }
  });
});

describe("the run of a firing", () => {
  const allowed = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

  test("is named by schedule and slot", () => {
    expect(firingRunId("nightly", noon)).toBe("nightly:20260101T120000Z");
  });

  test("has a name that a run may have, and no other schedule's", () => {
    const ids = ["a#2", "a-2", "a 2", "#2", "é", "ü", "x".repeat(200), `${"x".repeat(200)}y`, "-a", ":"];
    const names = ids.map((id) => firingRunId(id, noon));
    for (const name of names) expect(name).toMatch(allowed);
    expect(new Set(names).size).toBe(ids.length);
    expect(firingRunId("a#2", noon)).toMatch(/^a-2\.[0-9a-f]{12}:20260101T120000Z$/);
  });

  test("begins within the jitter, spread out and always the same", () => {
    const rule = ruleOf({ jitterMs: 60_000 });
    const offsets = Array.from({ length: 200 }, (_, i) => firingStartAt(rule, noon + i * hourMs) - noon - i * hourMs);
    expect(Math.min(...offsets)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...offsets)).toBeLessThanOrEqual(60_000);
    expect(new Set(offsets).size).toBeGreaterThan(190);
    expect(firingStartAt(rule, noon)).toBe(firingStartAt({ ...rule }, noon));
    expect(firingStartAt(ruleOf(), noon)).toBe(noon);
  });
});
