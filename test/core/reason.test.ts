/** Why a run does not go on: one true sentence for every status and every kind of wait. */
import { describe, expect, test } from "vitest";
import { describeMs } from "../../src/core/duration.ts";
import type { Fact } from "../../src/core/history/entry.ts";
import { fold } from "../../src/core/state/fold.ts";
import { inLine, timeOf } from "../../src/core/sentence/phrase.ts";
import { piecesAt, reasonAt } from "../../src/core/run/reason.ts";
import { redactRun } from "../../src/core/redaction/run.ts";
import type { RunSnapshot, RunStatus } from "../../src/core/run/run.ts";
import { snapshot } from "../../src/core/run/snapshot.ts";
import type { Activity } from "../../src/core/run/snapshot.ts";
import { RunState } from "../../src/core/state/state.ts";
import { encode } from "../../src/core/value/value.ts";
import { createPick } from "./sample.ts";
import { createdFact } from "./created.ts";

const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
/** 3 November, 14:02 UTC. */
const at = Date.UTC(2026, 10, 3, 14, 2);

const created: Fact = { ...createdFact, id: "order-7", workflow: "order", by: "admin" };
const started: Fact = { kind: "run.started", deployment: "one" };
const error = { name: "Error", message: "503 from the bank" };

/** The state of a run with these facts on record, each at its instant. */
function stateOf(...facts: readonly (Fact | readonly [at: number, fact: Fact])[]): RunState {
  const state = new RunState();
  for (const [i, each] of facts.entries()) {
    const [when, fact] = "kind" in each ? [at, each] : each;
    fold(state, { ...fact, seq: i + 1, at: when });
  }
  return state;
}

const parked: Activity = { running: 0, busy: false, stuck: null, inFlight: new Map() };

function shown(state: RunState, now = at, activity: Partial<Activity> = {}): RunSnapshot {
  return snapshot(state, { ...parked, ...activity }, now);
}

function reasonOf(state: RunState, now?: number, activity?: Partial<Activity>): string | null {
  return shown(state, now, activity).reason;
}

function waits(name: string, until: number | null): Fact {
  return { kind: "wait.started", name, call: name, until };
}

function failed(attempt: number, limit?: number, retryAt: number | null = at + 252_000): Fact {
  const made = { kind: "step.attempt_failed", step: "charge", attempt, startedAt: at, error, retryAt } as const;
  return limit === undefined ? made : { ...made, limit };
}

const paused: Fact = { kind: "run.paused", by: "ana", role: "operate", reason: "checking the invoice" };
const cancelling: Fact = {
  ...{ kind: "run.cancel_requested", by: "ana", reason: "not needed", awaited: [] },
  error: { name: "Cancelled", message: "not needed", code: "cancelled" },
};

describe("a run that waits says for what", () => {
  test.each<[string, number, Fact]>([
    ["waiting for signal approval:7 since 14:02, times out in 6 days", at, waits("approval:7", at + 6.5 * dayMs)],
    ["waiting for signal approval:7 since 14:02", at + hourMs, waits("approval:7", null)],
    ["waiting for signal approval:7 since 3 Nov 14:02", at + dayMs, waits("approval:7", null)],
    ["waiting for signal approval:7 since 3 Nov 2026 14:02", at + 60 * dayMs, waits("approval:7", null)],
    ["waiting for signal approval:7 since 14:02, times out now", at + hourMs, waits("approval:7", at + hourMs)],
    ["waiting for signal go since 14:02", at, { kind: "listener.added", name: "go" }],
    [
      "waiting for webhook paid since 14:02, times out in 55 min",
      at + 5 * minuteMs,
      { kind: "webhook.created", name: "paid", call: "paid", url: "https://example.com", until: at + hourMs },
    ],
    [
      "sleeping (nap) for another 3 days, until 6 Nov 14:02",
      at,
      { kind: "timer.set", name: "nap", call: "nap", wakeAt: at + 3 * dayMs },
    ],
    [
      "sleeping for another 40 s, until 14:03",
      at + 20 * secondMs,
      { kind: "timer.set", name: "sleep", call: "sleep", wakeAt: at + minuteMs },
    ],
    ["sleeping, and due to wake", at + 1, { kind: "timer.set", name: "sleep", call: "sleep", wakeAt: at }],
    [
      "waiting for run item-3 of workflow resize since 14:02, times out in 1 h",
      at,
      {
        ...{ kind: "child.started", step: "resize", child: { id: "item-3", workflow: "resize" } },
        ...{ until: at + hourMs, policy: "cancel" },
      },
    ],
    ["next attempt of charge in 4 min 12 s (attempt 5 of 6: 503 from the bank)", at, failed(4, 6)],
    ["next attempt of charge in 4 min 12 s (attempt 2: 503 from the bank)", at, failed(1)],
    ["next attempt of charge now (attempt 5 of 6: 503 from the bank)", at + hourMs, failed(4, 6)],
  ])("%s", (reason, now, fact) => {
    expect(shown(stateOf(created, started, fact), now)).toMatchObject({ status: "waiting", reason });
  });

  test("of several, the one that a person can end, then the one that ends first; the others are counted", () => {
    const nap: Fact = { kind: "timer.set", name: "nap", call: "nap", wakeAt: at + 1 };
    const state = stateOf(created, started, nap, waits("b", at + dayMs), waits("a", at + hourMs), waits("c", null));
    expect(reasonOf(state)).toBe("waiting for signal a since 14:02, times out in 1 h (and 3 more)");
  });

  test("a signal that is only listened for comes last: it holds nothing up", () => {
    const listens: Fact = { kind: "listener.added", name: "note" };
    const sleeps: Fact = { kind: "timer.set", name: "nap", call: "nap", wakeAt: at + 3 * dayMs };
    expect(reasonOf(stateOf(created, started, listens, failed(4, 6)))).toBe(
      "next attempt of charge in 4 min 12 s (attempt 5 of 6: 503 from the bank) (and 1 more)",
    );
    expect(reasonOf(stateOf(created, started, listens, sleeps))).toBe(
      "sleeping (nap) for another 3 days, until 6 Nov 14:02 (and 1 more)",
    );
    expect(reasonOf(stateOf(created, started, listens, waits("go", null)))).toBe(
      "waiting for signal go since 14:02 (and 1 more)",
    );
    expect(reasonOf(stateOf(created, started, listens))).toBe("waiting for signal note since 14:02");
  });

  test("a pause has moved the deadline, not the wait", () => {
    const resumed: Fact = { kind: "run.resumed", by: "ana", reason: null, shiftMs: hourMs };
    const state = stateOf(created, started, waits("a", at + hourMs), [at, paused], [at + hourMs, resumed]);
    expect(reasonOf(state, at + hourMs)).toBe("waiting for signal a since 14:02, times out in 1 h");
  });

  test("attempts that a person granted anew come on top of those that were made", () => {
    const park: Fact = { kind: "run.paused", by: "engine", reason: "no attempt left", error };
    const retried: Fact = { kind: "run.retried", by: "ana", reason: null, cleared: [] };
    const state = stateOf(created, started, failed(3, 3, null), park, retried);
    expect(reasonOf(state)).toBe("next attempt of charge now (attempt 4 of 6: 503 from the bank)");
  });
});

test("a pause does not move the last instant of all", () => {
  const forever: Fact = { kind: "timer.set", name: "nap", call: "nap", wakeAt: 8.64e15 };
  const resumed: Fact = { kind: "run.resumed", by: "ana", reason: null, shiftMs: hourMs };
  const { reason, waitingFor } = shown(stateOf(created, started, forever, paused, [at + hourMs, resumed]), at + hourMs);
  expect(waitingFor).toMatchObject([{ until: 8.64e15 }]);
  expect(reason).toBe("sleeping (nap) for another 99979239 days, until 13 Sep 275760 00:00");
});

describe("a run that is held says by what", () => {
  const held: Fact = { kind: "lane.queued", lane: "mail", step: null };
  const lanes: Fact = { ...created, lanes: [{ lane: "mail", limit: 10, scope: "run" }] } as unknown as Fact;

  test("its place in the lane, and how full that is", () => {
    const places = new Map([["mail", { position: 37, used: 10, limit: 10 }]]);
    const state = stateOf(lanes, held);
    expect(shown(state, at, { places })).toMatchObject({
      status: "queued",
      reason: "37th in lane mail, 10 of 10 slots in use",
    });
    const free = new Map([["mail", { position: 2, used: 10, limit: null }]]);
    expect(reasonOf(state, at, { places: free })).toBe("2nd in lane mail, 10 slots in use");
    const one = new Map([["mail", { position: 2, used: 1, limit: null }]]);
    expect(reasonOf(state, at, { places: one })).toBe("2nd in lane mail, 1 slot in use");
  });

  test.each([
    [1, "1st"],
    [3, "3rd"],
    [11, "11th"],
    [12, "12th"],
    [21, "21st"],
    [112, "112th"],
    [1003, "1003rd"],
  ])("the place %d is %s", (position, said) => {
    const places = new Map([["mail", { position, used: 1, limit: 1 }]]);
    expect(reasonOf(stateOf(lanes, held), at, { places })).toBe(`${said} in lane mail, 1 of 1 slots in use`);
  });

  test("a lane that has not answered yet", () => {
    expect(reasonOf(stateOf(lanes, held))).toBe("waiting for a slot in lane mail since 14:02");
  });

  test("a step that stands in line does not wait for its retry as well", () => {
    const state = stateOf(created, started, failed(1, 6, at), { kind: "lane.queued", lane: "bank", step: "charge" });
    const { waitingFor, reason } = shown(state, at + 1);
    expect(waitingFor.map(({ kind, name }) => [kind, name])).toEqual([["lane", "bank"]]);
    expect(reason).toBe("waiting for a slot in lane bank since 14:02");
  });

  test("a start that was delayed", () => {
    const delayed = { ...created, startAt: at + 3 * hourMs } as Fact;
    expect(shown(stateOf(delayed))).toMatchObject({ status: "queued", reason: "starts in 3 h" });
    expect(reasonOf(stateOf(delayed), at + 3 * hourMs)).toBe("starts now");
    expect(shown(stateOf(created))).toMatchObject({ status: "queued", reason: "about to start" });
  });

  test("code that is not there", () => {
    const stuck = "waiting for version 1 of workflow order, which is not in this deployment";
    const state = stateOf(created, started, waits("a", null));
    expect(shown(state, at, { stuck })).toMatchObject({ status: "waiting", reason: stuck });
  });

  test.each<[string, Fact]>([
    ["paused by ana: checking the invoice", paused],
    ["paused by ana", { kind: "run.paused", by: "ana", reason: null }],
    [
      "paused by engine: a is a step in this run's journal and a sleep in the code",
      {
        ...{ kind: "run.paused", by: "engine", reason: "a is a step in this run's journal and a sleep in the code" },
        error: { ...error, code: "step_kind_changed" },
      },
    ],
    [
      "paused by engine: step charge has no attempt left after 3: 503 from the bank",
      { kind: "run.paused", by: "engine", reason: "step charge has no attempt left after 3: 503 from the bank", error },
    ],
  ])("%s", (reason, fact) => {
    const state = stateOf(created, started, failed(3, 3, null), waits("a", null), fact);
    expect(shown(state, at + dayMs)).toMatchObject({ status: "paused", reason });
  });
});

describe("a run on its way to its end says so first", () => {
  const undoing: Fact = {
    ...{ kind: "undo.started", ends: "failed", error: { name: "Error", message: "card declined" } },
    ...{ steps: ["ship", "charge"], by: "engine", reason: null },
  };
  const done: Fact = { kind: "undo.completed", step: "ship", attempt: 1, startedAt: at };

  test("being cancelled, at work or waiting for its clean-up", () => {
    const state = stateOf(created, started, waits("a", null), cancelling);
    expect(shown(state, at, { busy: true })).toMatchObject({
      status: "running",
      reason: "being cancelled by ana: not needed",
    });
    fold(state, { ...failed(1, 6), seq: 9, at });
    expect(shown(state)).toMatchObject({
      status: "waiting",
      reason:
        "being cancelled by ana: not needed; next attempt of charge in 4 min 12 s (attempt 2 of 6: 503 from the bank)",
    });
  });

  test("being undone, how far that is, and why", () => {
    const state = stateOf(created, started, undoing, done);
    expect(reasonOf(state, at, { busy: true })).toBe("undoing its steps, 1 of 2 so far: card declined");
    const again: Fact = { ...failed(1, 6), kind: "undo.attempt_failed" } as Fact;
    fold(state, { ...again, seq: 9, at });
    expect(reasonOf(state)).toBe(
      "undoing its steps, 1 of 2 so far: card declined; " +
        "next attempt to undo charge in 4 min 12 s (attempt 2 of 6: 503 from the bank)",
    );
  });
});

describe("a run that has ended says how, and by whom where somebody asked for it", () => {
  const gone = { name: "Cancelled", message: "nothing to do" };
  const cancelled: Extract<Fact, { kind: "run.cancelled" }> = {
    kind: "run.cancelled",
    by: "ana",
    reason: "not needed",
    error: { ...gone, code: "cancelled" },
  };

  test.each<[RunStatus, string | null, Fact]>([
    ["completed", null, { kind: "run.completed", output: encode(1, "it") }],
    ["failed", "503 from the bank", { kind: "run.failed", error }],
    ["failed", "failed without a word of why", { kind: "run.failed", error: { name: "Error", message: " \n" } }],
    ["cancelled", "cancelled by ana: not needed", cancelled],
    ["cancelled", "cancelled by ana", { ...cancelled, reason: null }],
    ["cancelled", "terminated by ana: not needed", { ...cancelled, error: { ...gone, code: "terminated" } }],
    ["cancelled", "nothing to do", { ...cancelled, by: "workflow", error: { ...gone, code: "bailed" } }],
    ["cancelled", "nothing to do", { ...cancelled, by: "engine", error: { ...gone, code: "start_expired" } }],
  ])("%s: %s", (status, reason, fact) => {
    expect(shown(stateOf(created, started, waits("a", at + 1), fact), at + dayMs)).toMatchObject({ status, reason });
  });
});

describe("a run whose handler takes updates", () => {
  const updates = ["add", "close"];

  test("waits for them where it rests and has no other wait; which it has, also on lists, and without its values", () => {
    const run = shown(stateOf(created, started), at, { updates });
    const standing = { status: "waiting", reason: "waiting for update add (and 1 more)", waitingFor: [] };
    expect(run).toMatchObject(standing);
    expect(reasonAt(run, at + dayMs)).toBe(standing.reason);
    expect(redactRun(run, at)).toMatchObject(standing);
    expect(reasonOf(stateOf(created, started), at, { updates: ["a\nb"] })).toBe("waiting for update a b");
  });

  test("says what else it waits for, or is at", () => {
    expect(reasonOf(stateOf(created, started, waits("a", null)), at, { updates })).toBe(
      "waiting for signal a since 14:02",
    );
    const atWork = { status: "running", reason: "running its handler, which is at no step" };
    expect(shown(stateOf(created, started), at, { updates, busy: true })).toMatchObject(atWork);
    const leaving = shown(stateOf(created, started, cancelling), at, { updates });
    expect(leaving.reason).toBe("being cancelled by ana: not needed");
  });
});

describe("a run that goes on by itself says what it is at", () => {
  const flight = (id: string, number: number) => ({ id, attempt: { number, startedAt: at, timeoutAt: Infinity } });

  test("the oldest attempt, its number where it is not the first, and how many more", () => {
    const state = stateOf(created, started, failed(1, 6, at));
    const of = (...flights: ReturnType<typeof flight>[]) => {
      const inFlight = new Map(flights.map((each) => [`run:${each.id}`, each]));
      return reasonOf(state, at + 3000, { busy: true, running: flights.length, inFlight });
    };
    expect(of()).toBe("running its handler, which is at no step");
    const starting = [1, 2].map((i) => ({ id: `order-7.ship:${i}`, workflow: "ship" }));
    const run = shown(state, at, { busy: true, starting });
    expect(run.reason).toBe("starting run order-7.ship:1 of workflow ship (and 1 more)");
    expect(reasonAt(run, at + dayMs)).toBe(run.reason);
    expect(redactRun(run, at).reason).toBe(run.reason);
    expect(of(flight("ship", 1))).toBe("running ship since 14:02");
    expect(of(flight("charge", 2))).toBe("running charge (attempt 2 of 6) since 14:02");
    expect(of(flight("ship", 3), flight("charge", 2), flight("pack", 1))).toBe(
      "running ship (attempt 3) since 14:02 (and 2 more)",
    );
  });

  test("its attempts are shown as well, the oldest first, and never more than 20 of them", () => {
    const one = new Map([["run:charge", flight("charge", 2)]]);
    const state = stateOf(created, started, failed(1, 6, at));
    expect(shown(state, at + 3000, { busy: true, running: 1, inFlight: one })).toMatchObject({
      status: "running",
      waitingFor: [],
      active: [{ step: "charge", attempt: 2, since: at }],
      steps: { running: 1 },
    });
    const many = new Map(Array.from({ length: 1000 }, (_, i) => [`run:${i}`, flight(String(i), 1)] as const));
    const { active, steps } = shown(state, at, { busy: true, running: 1000, inFlight: many });
    expect([active.map(({ step }) => step), steps.running]).toEqual([
      Array.from({ length: 20 }, (_, i) => `${i}`),
      1000,
    ]);
  });
});

describe("whatever a run has been through", () => {
  const texts = ["", "a", "x".repeat(700), "two\nlines\r\n", "😀".repeat(200), "\u2028 \u0000", "\ud800", "e\u202ed"];
  const spans = [0, 1, 999, secondMs, 59_999, hourMs, 26 * hourMs, 6.4 * dayMs, 400 * dayMs];
  const kinds = 9;

  function randomFacts(pick: ReturnType<typeof createPick>): Fact[] {
    const text = (): string => pick.of(texts);
    const soon = (): number => at + pick.of(spans);
    const oops = (): typeof error => ({ name: "Error", message: text() });
    const id = (): string => `${text()}${pick.below(100)}`;
    const facts: readonly (() => Fact)[] = [
      () => ({ kind: "wait.started", name: text(), call: id(), until: pick.of([null, soon()]) }),
      () => ({ kind: "timer.set", name: text(), call: id(), wakeAt: soon() }),
      () => ({ kind: "webhook.created", name: text(), call: id(), url: text(), until: pick.of([null, soon()]) }),
      () => ({ ...failed(1 + pick.below(9), pick.of([6, undefined]), soon()), step: id(), error: oops() }) as Fact,
      () => {
        const child = { id: id(), workflow: text() };
        return { kind: "child.started", step: id(), child, until: pick.of([null, soon()]), policy: "cancel" };
      },
      () => ({ kind: "lane.queued", lane: text(), step: pick.of([null, id()]) }),
      () => ({ kind: "listener.added", name: text() }),
      () => ({ kind: "run.paused", by: text(), reason: pick.of([null, text()]) }),
      () => ({ ...cancelling, by: text(), reason: text() }) as Fact,
    ];
    const chosen = Array.from({ length: pick.below(5) }, () => pick.of(facts)());
    const end: Fact[] = pick.below(5) === 0 ? [{ kind: "run.failed", error: oops() }] : [];
    expect(facts).toHaveLength(kinds);
    return [created, ...(pick.below(8) === 0 ? [] : [started, ...chosen]), ...end];
  }

  /** What the directory keeps of a run that rests is enough to say later what the run itself would say then. */
  function expectListed(run: RunSnapshot, state: RunState, later: number): void {
    if (run.status === "running" || run.reason === "no code") return;
    const listed = JSON.parse(JSON.stringify(run)) as RunSnapshot;
    expect(reasonAt(listed, later)).toBe(reasonOf(state, later));
  }

  test("its reason is one line of 1 to 500 characters, and speaks of what is true at that instant", () => {
    const said = new Set<string>();
    for (let seed = 0; seed < 5000; seed++) {
      const pick = createPick(`reason ${seed}`);
      const facts = randomFacts(pick);
      const state = stateOf(...facts);
      const now = at + pick.of(spans);
      const run = shown(state, now, { busy: pick.below(4) === 0, stuck: pick.of([null, null, null, "no code"]) });
      const { reason, status, waitingFor } = run;
      said.add(`${status} ${reason === null}`);
      expectListed(run, state, now + pick.of(spans));
      if (reason === null) {
        expect(status).toBe("completed");
        continue;
      }
      expect(reason.length).toBeGreaterThan(0);
      expect(reason.length).toBeLessThanOrEqual(500);
      expect(reason).toBe(inLine(reason, 500));
      expect(reason.isWellFormed()).toBe(true);
      const spanSaid = /(?:times out|starts|next attempt of .*) in ((?:\d+ \w+ ?)+)/u.exec(reason)?.[1];
      if (status !== "waiting" || spanSaid === undefined || reason.startsWith("being")) continue;
      const spansLeft = waitingFor.map(({ until }) => (until === null ? "" : describeMs(until - now)));
      // A name may end in what reads like more of the span.
      const isSaid = spansLeft.some((left) => left !== "" && reason.includes(left));
      expect([reason, isSaid]).toEqual([reason, true]);
    }
    expect([...said].toSorted()).toEqual([
      ...["failed false", "paused false", "queued false", "running false", "waiting false"],
    ]);
  });
});

describe("what was told of a run once stays true as time goes by", () => {
  test("its sentence is made anew of what it waits for", () => {
    const { lead: _lead, ...older } = shown(stateOf(created, started, failed(4, 6)));
    const told = shown(stateOf(created, started, failed(4, 6)));
    expect(told.waitingFor).toMatchObject([{ kind: "retry", attempt: 5, of: 6, error: "503 from the bank" }]);
    expect(reasonAt(told, at + 4 * minuteMs)).toBe(
      "next attempt of charge in 12 s (attempt 5 of 6: 503 from the bank)",
    );
    expect(reasonAt(older, at + 4 * minuteMs)).toBe(older.reason);
  });

  test("and what is left of a wait stands apart in it", () => {
    const nap: Fact = { kind: "timer.set", name: "nap", call: "nap", wakeAt: at + 3 * hourMs };
    expect(piecesAt(shown(stateOf(created, started, nap)), at)).toEqual([
      "sleeping (nap) for another ",
      { at: at + 3 * hourMs, form: "left" },
      ", until ",
      { at: at + 3 * hourMs, form: "time" },
    ]);
    expect(piecesAt(shown(stateOf(created, started, waits("a", at + dayMs), nap)), at)).toEqual([
      "waiting for signal a",
      " since ",
      { at, form: "time" },
      ", times out ",
      { at: at + dayMs, form: "in" },
      " (and 1 more)",
    ]);
    const inFlight = new Map([
      ["run:charge", { id: "charge", attempt: { number: 2, startedAt: at, timeoutAt: Infinity } }],
    ]);
    const busy = { busy: true, running: 3, inFlight };
    expect(piecesAt(shown(stateOf(created, started, failed(1, 6, at)), at, busy), at)).toEqual([
      "running charge (attempt 2 of 6) since ",
      { at, form: "time" },
      " (and 2 more)",
    ]);
  });
});

test("an instant is told by the clock of UTC, with its day and year only where they differ", () => {
  const midnight = Date.UTC(2026, 11, 31, 23, 59);
  expect(timeOf(midnight, midnight)).toBe("23:59");
  expect(timeOf(midnight, midnight + minuteMs)).toBe("31 Dec 2026 23:59");
  expect(timeOf(Date.UTC(2026, 0, 31), midnight)).toBe("31 Jan 00:00");
  expect(timeOf(Date.UTC(2026, 11, 3), midnight)).toBe("3 Dec 00:00");
});

test("text is cut between characters, and the cut is seen", () => {
  expect(inLine("a\n\t b", 10)).toBe("a b");
  expect(inLine("abcdef", 6)).toBe("abcdef");
  expect(inLine("abcdefg", 6)).toBe("abcde…");
  expect(inLine("abcd😀fg", 6)).toBe("abcd…");
  expect(inLine(" ".repeat(100), 6)).toBe("…");
  expect(inLine("   ", 6)).toBe("");
});
