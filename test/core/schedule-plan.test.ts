/** Schedules made by requests: fields, sameness, changes, pauses. */
import { describe, expect, test } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import * as firing from "../../src/core/schedule/firing.ts";
import type { ScheduleState } from "../../src/core/schedule/firing.ts";
import { changeRule, changesMoreThanPause, isSamePlan, makePlan } from "../../src/core/schedule/plan.ts";
import { firingRunId, runIdPrefix, triggerRunId } from "../../src/core/schedule/schedule.ts";
import type { Rule, ScheduleFields, ScheduleRequest } from "../../src/core/service/schedules.ts";
import { encode } from "../../src/core/value/value.ts";

const hourMs = 3_600_000;
const noon = Date.UTC(2026, 0, 1, 12);
const token = "0123456789ABCDEFGHJKMNPQRS";
const asked = { by: "admin", reason: null };
const request: ScheduleRequest = { id: "made", workflow: "report", cron: "0 * * * *", ...asked };

function refusalOf(act: () => unknown): HoldfastError {
  try {
    act();
  } catch (error) {
    if (error instanceof HoldfastError) return error;
  }
  throw new Error("it was not refused");
}

function ruleOf(change: Partial<ScheduleRequest> = {}): Rule {
  return makePlan({ ...request, ...change }).rule;
}

describe("a request", () => {
  test("has the defaults of a rule in the code", () => {
    expect(makePlan(request)).toEqual({
      rule: {
        id: "made",
        workflow: "report",
        cron: "0 * * * *",
        timezone: "UTC",
        input: undefined,
        overlap: "skip",
        catchUpMs: hourMs,
        jitterMs: 0,
        pauseOnFailure: false,
        source: "api",
      },
      madePaused: false,
    });
  });

  test.each<[string, Partial<ScheduleRequest>]>([
    ["cron", { cron: "61 * * * *" }],
    ["cron", { cron: "0 0 31 2 *" }],
    ["timezone", { timezone: "Mars/Olympus" }],
    ["catchUp", { catchUp: "soon" }],
    ["jitter", { jitter: -1 }],
    ["overlap", { overlap: "queue" as never }],
  ])("with a bad %s is refused and the field named", (field, change) => {
    const made = refusalOf(() => makePlan({ ...request, ...change }));
    expect(made).toMatchObject({ code: "schedule_invalid", issues: [{ path: `/${field}` }] });
    const changed = refusalOf(() => changeRule(ruleOf(), change));
    expect(changed).toMatchObject({ code: "schedule_invalid", issues: [{ path: `/${field}` }] });
  });

  test("with a large input is refused, with one up to the limit taken", () => {
    const large = encode("x".repeat(65_536), "it");
    expect(refusalOf(() => makePlan({ ...request, input: large })).code).toBe("value_too_large");
    expect(refusalOf(() => changeRule(ruleOf(), { input: large })).code).toBe("value_too_large");
    expect(ruleOf({ input: encode("x".repeat(65_500), "it") }).input).toBeDefined();
  });

  test("is the same whatever the order of keys and the spelling of spans", () => {
    const one = makePlan({ ...request, input: encode({ a: 1, b: 2 }, "it"), catchUp: "1 hour", timezone: "UTC" });
    expect(isSamePlan(one, makePlan({ ...request, input: encode({ b: 2, a: 1 }, "it"), catchUp: hourMs }))).toBe(true);
  });

  test.each<Partial<ScheduleRequest>>([
    { workflow: "other" },
    { cron: "1 * * * *" },
    { timezone: "Europe/Berlin" },
    { input: encode(1, "it") },
    { overlap: "allow-all" },
    { catchUp: "2 h" },
    { jitter: "1 s" },
    { pauseOnFailure: true },
    { paused: true },
  ])("is another with %o", (change) => {
    expect(isSamePlan(makePlan(request), makePlan({ ...request, ...change }))).toBe(false);
  });
});

describe("a change", () => {
  test("keeps what it does not name, and is none where nothing changes", () => {
    const rule = ruleOf({ timezone: "Europe/Berlin", input: encode(1, "it"), catchUp: "5 m", jitter: "3 s" });
    expect(changeRule(rule, { cron: "5 * * * *" })).toEqual({ ...rule, cron: "5 * * * *" });
    expect(changeRule(rule, { jitter: "3000ms", paused: true })).toBe(rule);
  });

  test.each<[ScheduleFields, boolean]>([
    [{}, false],
    [{ paused: true }, false],
    [{ paused: false, jitter: 0 }, true],
    [{ input: encode(null, "it") }, true],
  ])("%o says more than a pause: %s", (change, more) => {
    expect(changesMoreThanPause(change)).toBe(more);
  });
});

describe("guarantee 6: while a schedule is paused nothing fires, and nothing of that time after it", () => {
  const rule = ruleOf();
  const seen = firing.stateFor(rule, undefined, noon);

  test("slots of the pause are passed over, those after it fire", () => {
    const paused = firing.pause(seen, { by: "admin", reason: "holidays" }, noon);
    expect(paused.paused).toEqual({ at: noon, by: "admin", reason: "holidays" });
    expect(firing.judge(rule, paused, noon + hourMs).due).toBeNull();
    expect(firing.wakeAt(rule, paused, noon)).toBeNull();
    const resumed = firing.resume(paused, noon + 2 * hourMs + 1);
    expect(firing.judge(rule, resumed, noon + 2 * hourMs + 1).due).toBeNull();
    expect(firing.judge(rule, resumed, noon + 3 * hourMs)).toMatchObject({ due: noon + 3 * hourMs, missed: null });
  });

  test("what waits is kept, stops nobody, and starts after it", () => {
    const waiting: ScheduleState = { ...seen, queue: [noon], running: ["a"] };
    const paused = firing.pause(waiting, { by: "admin", reason: null }, noon);
    expect(firing.release(rule, firing.end(paused, ["a"]), noon)).toMatchObject({ queue: [noon], starting: [] });
    expect(firing.toStop(ruleOf({ overlap: "cancel-other" }), paused)).toBeNull();
    const resumed = firing.resume(firing.end(paused, ["a"]), noon + 1);
    expect(firing.wakeAt(rule, resumed, noon + 1)).toBe(noon + 1);
    expect(firing.release(rule, resumed, noon + 1).starting).toMatchObject([{ slotAt: noon }]);
  });

  test("a second pause and a second resumption change nothing", () => {
    const paused = firing.pause(seen, { by: "admin", reason: "first" }, noon);
    expect(firing.pause(paused, { by: "other", reason: "second" }, noon + 1)).toBe(paused);
    expect(firing.resume(seen, noon)).toBe(seen);
  });
});

describe("a run that fails", () => {
  const rule = ruleOf({ pauseOnFailure: true });
  const made = firing.make(rule, undefined, noon);

  test("pauses its schedule, which says why", () => {
    const reason = "run a failed";
    expect(firing.fail(rule, made, "a", noon + 1, noon + 2).paused).toEqual({ at: noon + 2, by: "schedule", reason });
  });

  test("does not where the rule does not say so, nor when it failed before the schedule was resumed", () => {
    expect(firing.fail(ruleOf(), made, "a", noon + 1, noon + 2)).toBe(made);
    const resumed = firing.resume(firing.pause(made, { by: "admin", reason: null }, noon + 5), noon + 9);
    expect(firing.fail(rule, resumed, "a", noon + 9, noon + 10)).toBe(resumed);
    expect(firing.fail(rule, resumed, "a", noon + 10, noon + 10).paused).not.toBeNull();
  });
});

test("of several that wait, only the newest starts once the rule stops others", () => {
  const rule = ruleOf({ overlap: "cancel-other" });
  const state = { ...firing.stateFor(rule, undefined, noon), queue: [1_000, 2_000, 3_000] };
  expect(firing.release(rule, state, noon)).toMatchObject({ queue: [], starting: [{ slotAt: 3_000 }] });
});

test("runs started by hand are in the way of firings, the newest hundred of them", () => {
  const rule = ruleOf();
  let state = firing.stateFor(rule, undefined, noon);
  for (let i = 0; i < 150; i += 1) state = firing.adopt(state, `run-${i}`, noon);
  expect([state.running.length, state.running.at(-1)]).toEqual([100, "run-149"]);
  expect(firing.adopt(state, "run-149", noon)).toEqual(state);
  expect(firing.admit(rule, state, noon).skipped).toBe(true);
});

test("a schedule made again under the id of one that was removed fires nothing twice", () => {
  const rule = ruleOf();
  const fired = firing.judge(rule, firing.make(rule, undefined, noon), noon).state;
  const removed = firing.retire(firing.pause(fired, { by: "admin", reason: null }, noon), noon) ?? undefined;
  const again = firing.make(rule, removed, noon);
  expect(again).toMatchObject({ paused: null, lastError: null, removedAt: null, lastSlotAt: noon });
  expect(firing.judge(rule, again, noon).due).toBeNull();
});

test("the id of a run started by hand is one that a run may have, and no firing's", () => {
  for (const id of ["nightly", "a#2", "é", "x".repeat(256), `${"x".repeat(127)}-`]) {
    expect(triggerRunId(id, token)).toMatch(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/);
    expect(triggerRunId(id, token)).not.toBe(firingRunId(id, noon));
  }
  expect(triggerRunId("nightly", token)).toBe(`nightly:trigger.${token}`);
});

test.each(["nightly", "nightly#2", "böse", "n".repeat(256)])(
  "all runs of a schedule have one beginning of their ids: %s",
  (id) => {
    const prefix = runIdPrefix(id);
    expect(prefix).toMatch(/^.+:$/);
    expect(firingRunId(id, noon).startsWith(prefix)).toBe(true);
    expect(triggerRunId(id, token).startsWith(prefix)).toBe(true);
  },
);
