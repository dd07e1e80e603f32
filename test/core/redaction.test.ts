/** What a narrower sight leaves of things: no words and no values, whatever their form, and nothing that is new. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import type { StoredError } from "../../src/core/error.ts";
import type { RunSummary } from "../../src/core/run/run.ts";
import type { LaneInfo } from "../../src/core/service/lanes.ts";
import { outlineOf } from "../../src/core/value/shape.ts";
import { sentenceOf } from "../../src/core/sentence/sentence.ts";
import type { Bar, Story, Timeline } from "../../src/core/timeline/timeline.ts";
import type { ScheduleInfo } from "../../src/core/service/schedules.ts";
import { encode, undefinedValue } from "../../src/core/value/value.ts";
import { redactions } from "../../src/core/redaction/redaction.ts";
import { viewEntry } from "../../src/http/view.ts";
import { createPick, randomValue } from "./sample.ts";

const { shapes, unaddressed } = redactions;
const word = "canary";
const stored = encode({ word }, "it");
const base = { seq: 1, at: 0 };

function says(thing: unknown): boolean {
  return JSON.stringify(thing).includes(word);
}

/** An error that says the word wherever one may, but in its name and its codes. */
const error: StoredError = {
  name: "RangeError",
  message: word,
  code: "step_failed",
  step: "charge",
  attempts: 2,
  stack: word,
  cause: { name: "Error", message: word, cause: { name: "Error", message: "", stack: word } },
  errors: [{ name: "Error", message: word, index: 3 }],
  undone: ["reserve"],
  notUndone: [{ step: "ship", message: word }],
};

test("an error keeps its names, codes and places, all the way down", () => {
  const entry = shapes.entry({ ...base, kind: "run.failed", error });
  expect(says(entry)).toBe(false);
  expect(entry).toMatchObject({
    error: {
      ...{ name: "RangeError", code: "step_failed", step: "charge", attempts: 2, undone: ["reserve"] },
      ...{ cause: { name: "Error", cause: { name: "Error" } }, errors: [{ name: "Error", index: 3 }] },
      notUndone: [{ step: "ship" }],
    },
  });
});

describe("entries", () => {
  const folder = join(import.meta.dirname, "../golden");
  const golden = readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as { commits?: Entry[][] })
    // That of a whole deployment is none of a journal.
    .flatMap(({ commits = [] }) => commits.flat());

  test("of every kind on record are told with the word in each of their payloads, and never tell it", () => {
    const worded = golden.map((entry) => {
      const told: Record<string, unknown> = { ...entry };
      for (const name of ["input", "sent", "result", "payload", "request", "data", "value", "output", "argument"]) {
        if (name in told) told[name] = stored;
      }
      if ("error" in told) told["error"] = error;
      for (const name of ["reason", "message"]) if (typeof told[name] === "string") told[name] = word;
      return told as Entry;
    });
    expect(new Set(golden.map(({ kind }) => kind)).size).toBeGreaterThan(25);
    for (const entry of worded) {
      const [whole, blind] = [viewEntry(entry), viewEntry(shapes.entry(entry))];
      expect(says(blind)).toBe(false);
      expect([entry.kind, String(blind["text"]).length > 0]).toEqual([entry.kind, true]);
      expect(Object.keys(whole).filter((name) => !(name in blind))).toEqual([]);
    }
    expect(worded.filter((entry) => says(viewEntry(entry))).length).toBeGreaterThan(15);
  });

  test("of a fork, and of a run that went on as new, leave out what they bring along", () => {
    const created: Entry = {
      ...{ ...base, kind: "run.created", id: "a", workflow: "flow", version: "1", input: stored, labels: {} },
      ...{ parent: null, schedule: null, startAt: null, notAfter: null, origin: word, by: "ana", notify: [word] },
      fork: { id: "b", step: "charge", upTo: 3, reason: word, print: word },
      continuation: {
        ...{ count: 2, createdAt: 0, keys: [{ key: "k", name: "go", payload: stored }] },
        updates: [{ key: "k", id: "u", name: "echo", sent: stored, end: { kind: "completed", result: stored } }],
      },
      seed: word,
    };
    expect(says(shapes.entry(created))).toBe(false);
    expect(shapes.entry(created)).toMatchObject({ fork: { id: "b", step: "charge", upTo: 3 } });
    expect(sentenceOf(shapes.entry(created))).toContain("forked run b from charge on");
  });

  test("have no field that this deployment does not know", () => {
    const newer = { ...base, kind: "run.recovered", remark: word } as unknown as Entry;
    expect(shapes.entry(newer)).toEqual({ ...base, kind: "run.recovered" });
  });

  test("name a webhook without its address below the role operate, and are whole otherwise", () => {
    const made: Entry = { ...base, kind: "webhook.created", name: "open", call: "open", url: word, until: null };
    expect(says(unaddressed.entry(made))).toBe(false);
    const log: Entry = { ...base, kind: "log.written", level: "info", message: word, data: stored };
    expect(unaddressed.entry(log)).toEqual(log);
  });
});

describe("the sentence of a run", () => {
  const summary: RunSummary = {
    ...{ id: "a", workflow: "flow", version: "1", status: "waiting", error: null, labels: {}, parent: null },
    ...{ schedule: null, fork: null, createdAt: 0, startedAt: 0, updatedAt: 0, finishedAt: null, waitingFor: [] },
    ...{ reason: word, steps: { completed: 0, failed: 0, running: 0 }, tallies: {}, trace: "00", seq: 1 },
    usage: { rowsWritten: 0, requests: 0, awakeMs: 0, bytesStored: 0 },
  };
  const retry = { kind: "retry", name: "charge", since: 0, until: 60_000, attempt: 2, of: 3, error: word } as const;
  const signal = { kind: "signal", name: "go", since: 0, until: null } as const;

  test.each<[string, Partial<RunSummary>, string | null]>([
    ["waits", { waitingFor: [signal], lead: null }, "waiting for signal go since 00:00"],
    [
      "will try again",
      { waitingFor: [retry], lead: null },
      "next attempt of charge in 1 min (attempt 2 of 3: (hidden))",
    ],
    [
      "is being cancelled",
      { waitingFor: [signal], lead: word },
      "on its way to its end; waiting for signal go since 00:00",
    ],
    [
      "is at work",
      { status: "running", lead: null, reason: "running charge since 14:02" },
      "running charge since 14:02",
    ],
    ["is being undone", { status: "running", lead: word }, "on its way to its end"],
    ["is about to start", { status: "queued", lead: null, reason: "about to start" }, "about to start"],
    ["cannot be driven", {}, "waiting"],
    ["was paused", { status: "paused" }, "paused"],
    ["failed", { status: "failed", error }, "failed (step_failed)"],
    [
      "was cancelled",
      { status: "cancelled", error: { name: "Error", message: word, code: "bailed" } },
      "cancelled (bailed)",
    ],
    ["completed", { status: "completed" }, null],
    ["was listed by an older deployment", { status: "running", reason: word }, "running"],
  ])("that %s says so, and not why", (_, change, reason) => {
    const shown = shapes.summary({ ...summary, ...change }, 0);
    expect(shown.reason).toBe(reason);
    expect(says(shown)).toBe(false);
    expect(says(unaddressed.summary({ ...summary, ...change, reason: word }, 0))).toBe(true);
  });
});

test("a schedule keeps its rule and its times, and a lane its numbers", () => {
  const schedule: ScheduleInfo = {
    ...{ id: "a", workflow: "flow", cron: "* * * * *", timezone: "UTC", input: stored, overlap: "skip" },
    ...{ catchUpMs: 1, jitterMs: 0, pauseOnFailure: false, source: "api", backfills: [], next: [1] },
    paused: { at: 1, by: "ana", role: "admin", reason: word },
    lastError: { at: 2, slotAt: 1, message: word },
  };
  const shown = shapes.schedule(schedule);
  expect(says(shown)).toBe(false);
  expect(shown).toMatchObject({ paused: { at: 1, by: "ana" }, lastError: { at: 2, slotAt: 1 }, next: [1] });
  const setting = { by: "ana", at: 1, reason: word };
  const lane: LaneInfo = {
    ...{ name: "a", limit: 1, override: 1, setting, periodMs: null, used: 0, waiting: 0, holders: [], queue: [] },
  };
  expect(says(shapes.lane(lane))).toBe(false);
  expect(shapes.lane(lane)).toMatchObject({ limit: 1, setting: { by: "ana", at: 1 } });
});

test("a bar keeps its times and its attempts, and says neither what went wrong nor why a call was refused", () => {
  const bar: Bar = {
    ...{ index: 0, key: "webhook:open", kind: "webhook", name: "open", status: "failed", startedAt: 1, endedAt: 4 },
    attempts: [{ attempt: 1, startedAt: 1, endedAt: 2, error, interrupted: false, retryAt: 3 }],
    ...{ until: null, attemptCount: 1, attemptLimit: 2, child: null, error, firstSeq: 1, lastSeq: 2 },
    rejected: [
      { at: 2, reason: word, code: "webhook_rejected" },
      { at: 3, reason: word },
    ],
  };
  const place = { row: 0, within: null };
  const story: Story = { bar, place, input: stored, output: stored, sensitive: false, idempotencyKey: "k" };
  const timeline: Timeline = {
    bars: [bar],
    from: 0,
    total: 1,
    count: 1,
    startedAt: 1,
    endedAt: 4,
    ended: true,
    idle: [],
  };
  expect([says(shapes.story(story)), says(shapes.timeline(timeline))]).toEqual([false, false]);
  expect(shapes.timeline(timeline).bars).toMatchObject([
    {
      ...{ key: "webhook:open", attempts: [{ attempt: 1, retryAt: 3, error: { name: "RangeError" } }] },
      rejected: [
        { at: 2, reason: "(hidden)", code: "webhook_rejected" },
        { at: 3, reason: "(hidden)" },
      ],
    },
  ]);
});

test("a refusal that may quote what is stored says its code only; any other is as it was", () => {
  const issues = [{ path: "/word", message: word }];
  for (const code of ["input_invalid", "notify_invalid"] as const) {
    const shown = shapes.refusal(new HoldfastError(code, word, { issues })) as HoldfastError;
    expect([shown.code, says(shown.message), shown.issues]).toEqual([code, false, undefined]);
  }
  const plain = new HoldfastError("run_not_found", "no run has this id");
  expect(shapes.refusal(plain)).toBe(plain);
});

const seed = process.env["REDACTION_SEED"] ?? "redaction";

test("no text of a value is in its shape, wherever it stands in it", () => {
  const pick = createPick(seed);
  for (let round = 0; round < 500; round += 1) {
    const inner = [word, [word], { [`k${round}`]: word }, new Map([[word, word]]), new Set([word]), new Error(word)];
    const value = { first: randomValue(pick), second: pick.of(inner), third: [randomValue(pick), pick.of(inner)] };
    const shape = JSON.stringify(outlineOf(value));
    expect([seed, round, shape.includes(word)]).toEqual([seed, round, false]);
  }
  expect(JSON.stringify(shapes.entry({ ...base, kind: "run.completed", output: undefinedValue }))).toContain("nothing");
});
