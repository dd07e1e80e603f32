import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { timelineOf } from "../../src/core/timeline/chart.ts";
import type { Present } from "../../src/core/timeline/chart.ts";
import type { Entry, Fact } from "../../src/core/history/entry.ts";
import { fold } from "../../src/core/state/fold.ts";
import { RunState } from "../../src/core/state/state.ts";
import { storyOf } from "../../src/core/timeline/story.ts";
import { sentenceOf } from "../../src/core/sentence/sentence.ts";
import type { Bar, Timeline } from "../../src/core/timeline/timeline.ts";
import { decode, encode } from "../../src/core/value/value.ts";
import { finish, hostProgram } from "../engine/crash.ts";
import { act, Host, play, startAt } from "../engine/host.ts";
import { define } from "../engine/memory.ts";
import { makeProgram } from "../engine/program.ts";
import { createdFact } from "./created.ts";

const second = 1000;
const day = 86_400_000;

function presentAt(now: number, underway: Present["underway"] = []): Present {
  return { now, underway };
}

function draw(host: Host, underway: Present["underway"] = []): Timeline {
  return timelineOf(host.journal.entries, presentAt(host.clock.at, underway), { from: 0, limit: 1000 });
}

function bar({ bars }: Timeline, key: string): Bar {
  const found = bars.find((each) => each.key === key);
  if (found === undefined) throw new Error(`no bar ${key} among ${bars.map((each) => each.key).join(", ")}`);
  return found;
}

/** A journal written by hand: facts with the seconds at which they happened. */
function journal(...facts: readonly (readonly [seconds: number, fact: Fact])[]): Entry[] {
  return facts.map(([seconds, fact], index) => ({ ...fact, seq: index + 1, at: startAt + seconds * second }));
}

const startedFact: Fact = { kind: "run.started", deployment: "one" };
const asked = { by: "ana", reason: null };
const broken = { name: "Error", message: "no" };

const busy = define(
  async (_input, step) => {
    await step.run("first", () => "one");
    let tries = 0;
    await step.run("flaky", () => {
      if (++tries < 3) throw new Error(`try ${tries}`);
      return "at last";
    });
    await step.sleep("rest", "3 days");
    const answer = await step.waitFor("answer", { timeout: "1 day" });
    const silence = await step.waitFor("silence", { timeout: "2 hours" });
    await step.run("charge", () => ({ answer, silence }));
    await step.run("charge", () => "again");
  },
  { retry: { limit: 5, delay: 10 * second, backoff: "constant", maxDelay: day, jitter: 0 } as never },
);

describe("a run's timeline", () => {
  test("begins with a step that began before the first entry, as those that a fork keeps", () => {
    const kept = { kind: "step.completed", step: "charge", attempt: 1, startedAt: startAt + second } as const;
    const entries = journal([10, createdFact], [10, { ...kept, result: encode(1, "it") }]);
    const timeline = timelineOf(entries, presentAt(startAt + 20 * second), { from: 0, limit: 10 });
    expect(timeline.startedAt).toBe(startAt + second);
  });

  test("has a bar for each call, in the order in which they began", async () => {
    const host = await new Host(busy).signalAt(startAt + 3 * day + 3600 * second, "answer", { ok: true }).drive();
    const timeline = draw(host);
    expect(timeline.bars.map(({ key, status, index }) => [index, key, status])).toEqual([
      [0, "run:first", "completed"],
      [1, "run:flaky", "completed"],
      [2, "sleep:rest", "completed"],
      [3, "wait:answer", "completed"],
      [4, "wait:silence", "timed_out"],
      [5, "run:charge", "completed"],
      [6, "run:charge#2", "completed"],
    ]);
    expect(timeline).toMatchObject({ total: 7, startedAt: startAt, endedAt: host.clock.at, ended: true });
    const rest = bar(timeline, "sleep:rest");
    expect((rest.endedAt ?? 0) - rest.startedAt).toBe(3 * day);
    expect(rest.until).toBe(rest.endedAt);
  });

  test("a step's bar has each attempt with its error, and when the next one was to begin", async () => {
    const host = await new Host(busy).signalAt(startAt + 3 * day + 60 * second, "answer", 1).drive();
    const { attempts, attemptCount } = bar(draw(host), "run:flaky");
    expect(attemptCount).toBe(3);
    expect(attempts.map(({ attempt, error }) => [attempt, error?.message ?? null])).toEqual([
      [1, "try 1"],
      [2, "try 2"],
      [3, null],
    ]);
    for (const [index, each] of attempts.entries()) {
      expect(each.endedAt).not.toBeNull();
      if (index > 0) expect(each.startedAt).toBe(attempts[index - 1]?.retryAt);
    }
  });

  test("long spans in which nothing happened are named, and short ones are not", async () => {
    const host = await new Host(busy).signalAt(startAt + 3 * day + 3600 * second, "answer", 1).drive();
    const { idle } = draw(host);
    expect(idle.map(({ fromAt, untilAt }) => untilAt - fromAt)).toEqual([
      10 * second,
      10 * second,
      3 * day,
      3600 * second - 20 * second,
      7200 * second,
    ]);
    for (const [index, { fromAt }] of idle.entries())
      expect(fromAt).toBeGreaterThanOrEqual(idle[index - 1]?.untilAt ?? 0);
  });

  test("no span is idle while an attempt is in flight", () => {
    const entries = journal([0, createdFact], [0, startedFact]);
    const underway = [{ step: "slow", attempt: 2, since: startAt + second, until: startAt + 601 * second }];
    const timeline = timelineOf(entries, presentAt(startAt + 600 * second, underway), { from: 0, limit: 10 });
    expect(timeline.idle).toEqual([]);
    expect(bar(timeline, "run:slow")).toMatchObject({
      status: "open",
      endedAt: null,
      until: startAt + 601 * second,
      attempts: [{ attempt: 2, startedAt: startAt + second, endedAt: null, interrupted: false }],
    });
    const parked = timelineOf(entries, presentAt(startAt + 600 * second), { from: 0, limit: 10 });
    expect(parked.idle).toEqual([{ fromAt: startAt, untilAt: startAt + 600 * second }]);
  });

  test("comes in parts that make the whole", async () => {
    const host = await play(async (_input, step) => {
      for (let i = 0; i < 250; i++) await step.run("item", () => i);
    });
    const whole = draw(host);
    const parts = [0, 100, 200].map((from) =>
      timelineOf(host.journal.entries, presentAt(host.clock.at), { from, limit: 100 }),
    );
    expect(parts.flatMap(({ bars }) => bars)).toEqual(whole.bars);
    expect(parts.map(({ total, from }) => [total, from])).toEqual([
      [250, 0],
      [250, 100],
      [250, 200],
    ]);
    expect(timelineOf(host.journal.entries, presentAt(0), { from: 250, limit: 100 }).bars).toEqual([]);
  });

  test("many calls of one name are one bar where they are folded, with those that failed below it", async () => {
    const host = await play(async (_input, step) => {
      await step.run("before", () => 1);
      await step.map(
        "resize",
        Array.from({ length: 300 }, (_, index) => index),
        (item) => {
          if (item === 222) throw new Error("a broken picture");
        },
        { settled: true, retry: { limit: 0 } },
      );
      await step.run("after", () => 1);
    });
    const present = presentAt(host.clock.at);
    const window = { from: 0, limit: 100 };
    const folded = timelineOf(host.journal.entries, present, { ...window, grouping: { kind: "folded" } });
    expect(folded.bars.map(({ key, status }) => [key, status])).toEqual([
      ["run:before", "completed"],
      ["calls:run:resize", "failed"],
      ["run:resize#223", "failed"],
      ["run:after", "completed"],
    ]);
    expect([folded.total, folded.count]).toEqual([4, 302]);
    const calls = { key: "run:resize", total: 300, completed: 299, failed: 1, open: 0 };
    expect(bar(folded, "calls:run:resize")).toMatchObject({ name: "resize", index: 1, attempts: [], calls });
    const grouping = { kind: "within", key: calls.key } as const;
    const within = timelineOf(host.journal.entries, present, { from: 200, limit: 100, grouping });
    expect([within.bars[0]?.key, within.bars.length, within.total]).toEqual(["run:resize#201", 100, 300]);
    const placeOf = (key: string) => storyOf(host.journal.entries, present, key)?.place;
    expect(placeOf("resize#100")).toEqual({ row: 1, within: { key: "run:resize", call: 99 } });
    expect(placeOf("resize#223")).toEqual({ row: 2, within: null });
    expect(placeOf("after")).toEqual({ row: 3, within: null });
  });

  test("calls of one name are folded once there are more of them than can be looked over, and open while one is", () => {
    const ticks = Array.from({ length: 21 }, (_, index): readonly [number, Fact] => [
      index,
      { kind: "wait.started", name: "tick", call: index === 0 ? "tick" : `tick#${index + 1}`, until: null },
    ]);
    const fold = (count: number) => {
      const entries = journal([0, createdFact], [0, startedFact], ...ticks.slice(0, count));
      const window = { from: 0, limit: 100, grouping: { kind: "folded" } } as const;
      return timelineOf(entries, presentAt(startAt + 99 * second), window);
    };
    expect(fold(20).bars.map(({ key }) => key)).toEqual(fold(20).bars.map(({ name }) => `wait:${name}`));
    expect(fold(20).total).toBe(20);
    expect(fold(21).bars).toMatchObject([
      { key: "calls:wait:tick", status: "open", endedAt: null, calls: { open: 21 } },
    ]);
  });

  test("a run that is waiting has open bars with their limits", async () => {
    const host = await new Host(busy).drive(startAt + 3 * day + 30 * second);
    expect(bar(draw(host), "wait:answer")).toMatchObject({ status: "open", endedAt: null });
    expect(draw(host).ended).toBe(false);
  });

  test("a pause is a bar, and moves the limits of what is open", () => {
    const entries = journal(
      [0, createdFact],
      [0, startedFact],
      [1, { kind: "wait.started", name: "answer", call: "answer", until: startAt + 100 * second }],
      [10, { kind: "run.paused", ...asked }],
      [40, { kind: "run.resumed", ...asked, shiftMs: 30 * second }],
      [50, { kind: "run.paused", ...asked }],
    );
    const timeline = timelineOf(entries, presentAt(startAt + 60 * second), { from: 0, limit: 10 });
    expect(bar(timeline, "wait:answer").until).toBe(startAt + 130 * second);
    expect(bar(timeline, "pause:ana")).toMatchObject({ status: "completed", endedAt: startAt + 40 * second });
    expect(bar(timeline, "pause:ana#2")).toMatchObject({ status: "open", startedAt: startAt + 50 * second });
  });

  test.each<[string, Fact, readonly Fact[]]>([
    [
      "lost a race",
      { kind: "wait.withdrawn", calls: [{ call: "wait", id: "x" }] },
      [{ kind: "step.added", call: "wait", step: "x" }],
    ],
    ["was removed", { kind: "step.removed", call: "wait", step: "x" }, []],
  ])("a wait that %s is open again where other code waits for it once more", (_, gone, back) => {
    const started = (at: number): Fact => ({
      kind: "wait.started",
      name: "x",
      call: "x",
      until: startAt + at * second,
    });
    const before = [
      [0, createdFact],
      [0, startedFact],
      [1, started(100)],
      [2, gone],
    ] as const;
    const window = { from: 0, limit: 10 };
    const drawn = timelineOf(journal(...before), presentAt(startAt + 5 * second), window);
    expect(bar(drawn, "wait:x")).toMatchObject({ status: "withdrawn", endedAt: startAt + 2 * second });
    const again = [...back, started(200)].map((fact) => [9, fact] as const);
    const after = timelineOf(journal(...before, ...again), presentAt(startAt + 10 * second), window);
    expect(bar(after, "wait:x")).toMatchObject({ status: "open", endedAt: null, until: startAt + 200 * second });
  });

  test("what is still open when the run ends was withdrawn, and a retry opens it again", () => {
    const failed: readonly (readonly [number, Fact])[] = [
      [0, createdFact],
      [0, startedFact],
      [1, { kind: "wait.started", name: "answer", call: "answer", until: null }],
      [2, { kind: "step.failed", step: "charge", attempt: 1, startedAt: startAt + second, error: broken }],
      [3, { kind: "run.failed", error: broken }],
    ];
    const window = { from: 0, limit: 10 };
    const before = timelineOf(journal(...failed), presentAt(startAt + 9 * second), window);
    expect(bar(before, "wait:answer")).toMatchObject({ status: "withdrawn", endedAt: startAt + 3 * second });
    expect(before.endedAt).toBe(startAt + 3 * second);
    const retried: readonly (readonly [number, Fact])[] = [
      ...failed,
      [20, { kind: "run.retried", ...asked, cleared: ["charge"] }],
    ];
    const after = timelineOf(journal(...retried), presentAt(startAt + 25 * second), window);
    expect(bar(after, "wait:answer")).toMatchObject({ status: "open", endedAt: null });
    expect(bar(after, "run:charge")).toMatchObject({ status: "open", error: null, attemptCount: 1 });
    const completed = { kind: "step.completed", step: "charge", attempt: 1, startedAt: startAt + 20 * second } as const;
    const again = journal(...retried, [21, { ...completed, result: encode("ok", "it") }]);
    expect(bar(timelineOf(again, presentAt(startAt + 25 * second), window), "run:charge")).toMatchObject({
      status: "completed",
      attemptCount: 2,
    });
  });

  test("what lost a race to a step that is retried waits again, and what had lost before does not", () => {
    const lost = (id: string): Fact => ({ kind: "wait.withdrawn", calls: [{ call: "wait", id }] });
    const entries = journal(
      [0, createdFact],
      [0, startedFact],
      [1, { kind: "wait.started", name: "early", call: "early", until: null }],
      [1, lost("early")],
      [1, { kind: "wait.started", name: "answer", call: "answer", until: null }],
      [2, { kind: "step.failed", step: "charge", attempt: 1, startedAt: startAt + second, error: broken }],
      [2, lost("answer")],
      [3, { kind: "run.failed", error: broken }],
      [20, { kind: "run.retried", ...asked, cleared: ["charge"] }],
    );
    const timeline = timelineOf(entries, presentAt(startAt + 25 * second), { from: 0, limit: 10 });
    expect(bar(timeline, "wait:answer")).toMatchObject({ status: "open", endedAt: null });
    expect(bar(timeline, "wait:early")).toMatchObject({ status: "withdrawn", endedAt: startAt + second });
  });

  test("a wait is given what its schema made of the signal, and has failed where that refused it", () => {
    const signal: Fact = { kind: "signal.received", name: "go", payload: encode("sent", "it"), by: "test" };
    const entries = journal(
      [0, createdFact],
      [0, startedFact],
      [1, signal],
      [2, { kind: "signal.consumed", name: "go", call: "go", signal: 3, value: encode("made", "it") }],
      [3, signal],
      [4, { kind: "signal.consumed", name: "go", call: "go#2", signal: 5, error: broken }],
    );
    const timeline = timelineOf(entries, presentAt(startAt + 9 * second), { from: 0, limit: 10 });
    expect(bar(timeline, "wait:go")).toMatchObject({ status: "completed", error: null });
    expect(bar(timeline, "wait:go#2")).toMatchObject({ status: "failed", error: { message: broken.message } });
    const given = (key: string) => storyOf(entries, presentAt(startAt), key)?.output;
    expect([given("wait:go"), given("wait:go#2")]).toEqual([encode("made", "it"), encode("sent", "it")]);
  });

  test("a webhook that had lost before is not open again for a call that was refused since", () => {
    const entries = journal(
      [0, createdFact],
      [0, startedFact],
      [1, { kind: "webhook.created", name: "early", call: "early", url: "https://example.com/hooks/t", until: null }],
      [1, { kind: "wait.withdrawn", calls: [{ call: "webhook", id: "early" }] }],
      [2, { kind: "step.failed", step: "charge", attempt: 1, startedAt: startAt + second, error: broken }],
      [3, { kind: "run.failed", error: broken }],
      [4, { kind: "webhook.rejected", name: "early", call: "early", reason: "too late", code: "webhook_expired" }],
      [20, { kind: "run.retried", ...asked, cleared: ["charge"] }],
    );
    const timeline = timelineOf(entries, presentAt(startAt + 25 * second), { from: 0, limit: 10 });
    expect(bar(timeline, "webhook:early")).toMatchObject({ status: "withdrawn", endedAt: startAt + second });
  });

  test("a call that is refused while the run is undone opens no bar, a death under a step that was given up does", () => {
    const undoing = { kind: "undo.started", error: broken, steps: ["charge"], ends: "failed", by: "engine" } as const;
    const entries = journal(
      [0, createdFact],
      [0, startedFact],
      [1, { kind: "webhook.created", name: "early", call: "early", url: "https://example.com/hooks/t", until: null }],
      [1, { kind: "step.attempt_started", step: "once", attempt: 1 }],
      [2, { kind: "step.removed", call: "run", step: "once" }],
      [3, { kind: "step.interrupted", step: "once", deployment: "two", held: true }],
    );
    const window = { from: 0, limit: 10 };
    expect(bar(timelineOf(entries, presentAt(startAt), window), "run:once")).toMatchObject({ status: "open" });
    const ending = journal(
      [0, createdFact],
      [0, startedFact],
      [1, { kind: "webhook.created", name: "early", call: "early", url: "https://example.com/hooks/t", until: null }],
      [2, { ...undoing, reason: null }],
      [3, { kind: "webhook.rejected", name: "early", call: "early", reason: "too late", code: "webhook_expired" }],
    );
    const drawn = bar(timelineOf(ending, presentAt(startAt), window), "webhook:early");
    expect([drawn.status, drawn.rejected.length]).toEqual(["withdrawn", 1]);
  });

  test("an attempt that was cut off by a death is told, with no time made up for its end", () => {
    const entries = journal(
      [0, createdFact],
      [0, startedFact],
      [1, { kind: "step.attempt_started", step: "once", attempt: 1 }],
      [7, { kind: "step.interrupted", step: "once", deployment: "two", held: true }],
      [
        9,
        { kind: "step.completed", step: "once", attempt: 1, startedAt: startAt + 7 * second, result: encode(1, "it") },
      ],
    );
    const { attempts } = bar(timelineOf(entries, presentAt(startAt), { from: 0, limit: 10 }), "run:once");
    expect(attempts).toMatchObject([
      { attempt: 1, startedAt: startAt + second, endedAt: null, interrupted: true },
      { attempt: 1, startedAt: startAt + 7 * second, endedAt: startAt + 9 * second, interrupted: false },
    ]);
  });

  test("an attempt that began again after a death is told beside the one that was cut off, while it is in flight", () => {
    const entries = journal(
      [0, createdFact],
      [0, startedFact],
      [7, { kind: "step.interrupted", step: "once", deployment: "two", held: true }],
    );
    const underway = [{ step: "once", attempt: 1, since: startAt + 7 * second }];
    const timeline = timelineOf(entries, presentAt(startAt + 9 * second, underway), { from: 0, limit: 10 });
    expect(bar(timeline, "run:once")).toMatchObject({
      attemptCount: 2,
      attempts: [
        { attempt: 1, interrupted: true },
        { attempt: 1, startedAt: startAt + 7 * second, endedAt: null, interrupted: false },
      ],
    });
  });

  test("each time that a lane holds the run, or a step, is a bar", () => {
    const entries = journal(
      [0, createdFact],
      [0, { kind: "lane.queued", lane: "mail", step: null }],
      [5, { kind: "lane.entered", lane: "mail", step: null }],
      [5, startedFact],
      [6, { kind: "lane.queued", lane: "mail", step: null }],
      [6, { kind: "lane.queued", lane: "bank", step: "charge" }],
    );
    const { bars } = timelineOf(entries, presentAt(startAt + 9 * second), { from: 0, limit: 10 });
    expect(bars.map(({ key, status }) => [key, status])).toEqual([
      ["lane:mail", "completed"],
      ["lane:mail#2", "open"],
      ["lane:bank · charge", "open"],
    ]);
  });

  test("a delayed start is a bar until the run starts", () => {
    const delayed = { ...createdFact, startAt: startAt + 60 * second } as Fact;
    const open = timelineOf(journal([0, delayed]), presentAt(startAt + second), { from: 0, limit: 9 });
    expect(open.bars).toMatchObject([{ key: "delay:start", status: "open", until: startAt + 60 * second }]);
    const begun = timelineOf(journal([0, delayed], [61, startedFact]), presentAt(startAt), { from: 0, limit: 9 });
    expect(begun.bars).toMatchObject([{ status: "completed", endedAt: startAt + 61 * second }]);
  });

  test("of refused calls of a webhook the newest twenty are kept", () => {
    const refused = Array.from({ length: 25 }, (_, i): [number, Fact] => [
      i + 2,
      { kind: "webhook.rejected", name: "paid", call: "paid", reason: `no ${i}` },
    ]);
    const entries = journal(
      [0, createdFact],
      [0, startedFact],
      [1, { kind: "webhook.created", name: "paid", call: "paid", url: "http://x/hooks/1", until: null }],
      ...refused,
    );
    const { rejected } = bar(timelineOf(entries, presentAt(startAt), { from: 0, limit: 9 }), "webhook:paid");
    expect([rejected.length, rejected[0]?.reason, rejected.at(-1)?.reason]).toEqual([20, "no 5", "no 24"]);
  });

  test("an answer stays small, however many attempts there were and however much they said", () => {
    const failures = Array.from({ length: 500 }, (_, i): [number, Fact] => [
      i + 1,
      {
        ...{ kind: "step.attempt_failed", step: "bad", attempt: i + 1, startedAt: startAt + i * second },
        ...{ retryAt: startAt + (i + 1) * second, limit: 1000 },
        error: { name: "Error", message: "x".repeat(50_000), stack: "s".repeat(8000), cause: broken },
      },
    ]);
    const entries = journal([0, createdFact], [0, startedFact], ...failures);
    const timeline = timelineOf(entries, presentAt(startAt + 500 * second), { from: 0, limit: 200 });
    const { attempts, attemptCount, attemptLimit, until } = bar(timeline, "run:bad");
    expect([attempts.length, attemptCount, attemptLimit, until]).toEqual([40, 500, 1000, startAt + 500 * second]);
    expect(attempts.at(-1)?.attempt).toBe(500);
    expect(JSON.stringify(timeline).length).toBeLessThan(40_000);
    const story = storyOf(entries, presentAt(startAt), "bad");
    expect(story?.bar.attempts.length).toBe(200);
    expect(story?.bar.attempts.at(-1)?.error?.stack).toHaveLength(8000);
    expect(JSON.stringify(story).length).toBeLessThan(2_200_000);
  });

  test("every kind of entry of the golden journal finds its bar", () => {
    const file = join(import.meta.dirname, "../golden/001-every-kind.json");
    const { commits } = JSON.parse(readFileSync(file, "utf8")) as { commits: Entry[][] };
    checkAgainstFold(commits.flat());
  });

  test("says of every call what the run itself knows, at every entry of random programs", async () => {
    // The last are those whose deadlines it once had wrong behind a retry, or whose calls it had open while they were undone.
    for (const seed of [...Array(60).keys(), 176, 253, 485]) {
      const hosted = hostProgram(makeProgram(seed), [], startAt);
      await finish(hosted);
      const { entries } = hosted.host.journal;
      for (let keep = 1; keep <= entries.length; keep++) checkAgainstFold(entries.slice(0, keep));
    }
  });
});

/** Calls that are over, and how, are the same in the run's own state as in its timeline. */
function checkAgainstFold(entries: readonly Entry[]): void {
  const state = new RunState();
  for (const entry of entries) fold(state, entry);
  const timeline = timelineOf(entries, presentAt(0), { from: 0, limit: Infinity });
  const bars = new Map(timeline.bars.map((each) => [each.key, each]));
  expect(bars.size).toBe(timeline.total);
  const ended = state.end !== null;
  for (const [key, call] of state.calls) {
    const drawn = bars.get(key);
    const over = drawn !== undefined && drawn.status !== "open";
    const stopped = ended || (state.ending !== null && call.kind !== "undo");
    expect([key, over]).toEqual([key, call.done || stopped || state.marked.has(`step.removed:${key}`)]);
    if (call.done && call.failed) expect([key, drawn?.status]).toEqual([key, "failed"]);
    if (drawn !== undefined && !over && call.retryAt !== null) expect(drawn.until).toBe(call.retryAt);
    if (drawn !== undefined && !over && call.until !== null) expect([key, drawn.until]).toEqual([key, call.until]);
  }
  expect(timeline.ended).toBe(ended);
  const isPaused = timeline.bars.some(({ kind, status }) => kind === "pause" && status === "open");
  expect(isPaused).toBe(state.paused !== null && !ended);
}

describe("the story of one call", () => {
  test("is found by its key and by its id", async () => {
    const host = await new Host(busy).signalAt(startAt + 3 * day + 60 * second, "answer", { ok: true }).drive();
    const find = (key: string) => storyOf(host.journal.entries, presentAt(host.clock.at), key);
    expect(decode(find("run:charge#2")?.output ?? encode(null, "it"))).toBe("again");
    expect(find("charge#2")).toEqual(find("run:charge#2"));
    expect(decode(find("answer")?.output ?? encode(null, "it"))).toEqual({ ok: true });
    expect(find("silence")).toMatchObject({ output: null, bar: { status: "timed_out" } });
    expect(find("flaky")?.bar.attempts[0]?.error?.stack).toContain("try 1");
    expect(find("nothing")).toBeNull();
    expect(find("charge")?.bar).toEqual(bar(draw(host), "run:charge"));
  });

  test("never tells a sensitive result", async () => {
    const host = await play(async (_input, step) => {
      await step.run("secret", () => "hunter2", { sensitive: true });
    });
    const story = storyOf(host.journal.entries, presentAt(0), "secret");
    expect(story).toMatchObject({ sensitive: true, output: null });
    expect(JSON.stringify([story, draw(host)])).not.toContain("hunter2");
  });

  test("an update's argument and answer are told", async () => {
    const input = encode({ add: 2 }, "it");
    const entries = journal(
      [0, createdFact],
      [0, startedFact],
      [1, { kind: "update.accepted", name: "add", update: "u1", argument: input, by: "ana" }],
      [2, { kind: "update.completed", name: "add", update: "u1", result: encode(4, "it") }],
    );
    expect(storyOf(entries, presentAt(0), "update:u1")).toMatchObject({
      input,
      output: encode(4, "it"),
      bar: { name: "add", status: "completed" },
    });
  });

  test("of a step that a retry set free nothing that came of it before is told", async () => {
    let works = false;
    const host = await play(async (_input, step) => {
      await step.run("charge", () => "ok", { undo: () => {} });
      await step.run(
        "ship",
        () => {
          if (!works) throw new Error("no");
        },
        { retry: { limit: 0 } },
      );
    });
    expect(host.status).toBe("failed");
    expect(bar(draw(host), "undo:charge").status).toBe("completed");
    works = true;
    void act(host.run, "retry");
    const story = storyOf(host.journal.entries, presentAt(0), "run:charge");
    expect(story).toMatchObject({ output: null, bar: { status: "open" } });
    await host.drive();
    expect(host.status).toBe("completed");
    expect(bar(draw(host), "run:charge")).toMatchObject({ status: "completed", attemptCount: 2 });
  });

  test("attempts that a person granted anew come on top of those that there may be", async () => {
    let works = false;
    const refuse = () => {
      if (!works) throw new Error("503");
    };
    const host = await play(
      async (_input, step) =>
        await step.run("charge", refuse, { retry: { limit: 1, delay: second, jitter: 0 }, onExhausted: "pause" }),
    );
    const tries = () => {
      const { attemptCount, attemptLimit } = bar(draw(host), "run:charge");
      return `${attemptCount} of ${attemptLimit}`;
    };
    expect(tries()).toBe("2 of 2");
    void act(host.run, "retry");
    expect(tries()).toBe("2 of 4");
    await host.drive();
    expect(tries()).toBe("4 of 4");
    expect(host.journal.entries.filter(({ kind }) => kind === "step.attempt_failed").map(sentenceOf)).toEqual([
      "charge: attempt 1 of 2 failed after 0 ms (503); next in 1 s",
      "charge: attempt 2 of 2 failed after 0 ms (503); no attempt is left",
      "charge: attempt 3 of 4 failed after 0 ms (503); next in 1 s",
      "charge: attempt 4 of 4 failed after 0 ms (503); no attempt is left",
    ]);
    void act(host.run, "resume");
    expect(tries()).toBe("4 of 6");
    works = true;
    await host.drive();
    expect([host.status, tries()]).toEqual(["completed", "5 of 6"]);
  });

  test("a step that failed and is done again has all its attempts once more, beside those before", async () => {
    const host = await play(
      async (_input, step) =>
        await step.run(
          "charge",
          () => {
            throw new Error("503");
          },
          { retry: { limit: 1, delay: second, jitter: 0 } },
        ),
    );
    const tries = () => {
      const { attemptCount, attemptLimit } = bar(draw(host), "run:charge");
      return `${attemptCount} of ${attemptLimit}`;
    };
    expect([host.status, tries()]).toEqual(["failed", "2 of 2"]);
    void act(host.run, "retry");
    expect(tries()).toBe("2 of 4");
    await host.drive();
    expect([host.status, tries()]).toEqual(["failed", "4 of 4"]);
  });

  test("a child's bar begins with the call; of an entry that does not know it, with the entry", () => {
    const child = { id: "kid", workflow: "mail" };
    const begun = { kind: "child.started", step: "mail", child, until: null, policy: "cancel" } as const;
    const entries = (fact: Fact) => journal([0, createdFact], [0, startedFact], [5, fact]);
    const began = (fact: Fact) =>
      bar(timelineOf(entries(fact), presentAt(startAt), { from: 0, limit: 9 }), "child:mail").startedAt - startAt;
    expect([began({ ...begun, startedAt: startAt + 2 * second }), began(begun)]).toEqual([2 * second, 5 * second]);
  });
});
