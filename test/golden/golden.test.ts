/**
 * Journals that were written by an earlier version of Holdfast and must replay for ever. The files are
 * never written again: a test that fails here says that runs in production would come to harm.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import { decode } from "../../src/core/value/value.ts";
import type { Run } from "../../src/engine/run.ts";
import { Host, act } from "../engine/host.ts";
import type { Handler } from "../engine/memory.ts";
import { golden, ran } from "./001.ts";
import * as more from "./003.ts";

function commitsOf(file: string): Entry[][] {
  const text = readFileSync(join(import.meta.dirname, file), "utf8");
  return (JSON.parse(text) as { commits: Entry[][] }).commits;
}

/** Steps succeed at once: whatever ran would show in `ran`. */
const program = golden({ die: () => Promise.resolve("lived"), repaired: () => true, older: false });

function open(commits: readonly (readonly Entry[])[], handler: Handler = program): Host {
  ran.length = 0;
  const at = commits.at(-1)?.at(-1)?.at ?? 0;
  return new Host(handler, { commits: commits.map((entries) => JSON.stringify(entries)), at, deployment: "two", cold: false });
}

describe("golden journal 001", () => {
  const commits = commitsOf("001-every-kind.json");
  const entries = commits.flat();
  const end = entries.at(-1);
  if (end?.kind !== "run.completed") throw new Error("golden journal 001 ends with run.completed");

  test("has every kind of entry but one", () => {
    expect([...new Set(entries.map(({ kind }) => kind))].sort()).toHaveLength(26);
  });

  test("guarantee 2: replays to its recorded end, and runs nothing again", async () => {
    const host = await open(commits.slice(0, -1)).drive();
    expect(ran).toEqual([]);
    expect(host.output).toEqual(decode(end.output));
    expect(host.journal.entries.slice(0, entries.length - 1)).toEqual(entries.slice(0, -1));
    expect(host.journal.kinds.slice(entries.length - 1)).toEqual(["run.completed"]);
  });

  test("is shown as it was", () => {
    expect(open(commits).snapshot).toMatchObject({
      status: "completed",
      output: end.output,
      progress: "[0.5]",
      startedAt: 1767603600000,
      finishedAt: 1767690127000,
      steps: { completed: 6, failed: 1, running: 0 },
      seq: 43,
    });
  });

  test("guarantee 8: its failure before the retry is told too", () => {
    const failed = commits.findIndex((commit) => commit.some(({ kind }) => kind === "run.failed"));
    expect(open(commits.slice(0, failed + 1)).snapshot).toMatchObject({
      status: "failed",
      error: { name: "RangeError", message: "broken", code: "step_failed", step: "fragile", attempts: 2 },
    });
  });

  test("every prefix of it can be opened, and driven on", async () => {
    for (let keep = 1; keep < commits.length; keep++) {
      const host = open(commits.slice(0, keep));
      const paused = host.run.state.paused !== null;
      if (paused) void act(host.run, "resume");
      await host.drive();
      expect(["waiting", "completed", "failed"]).toContain(host.status);
    }
  });
});

test("golden journal 002: a cancelled run is shown as it was, and stays so", async () => {
  const host = await open(commitsOf("002-cancelled.json")).drive();
  expect(host.journal.entries).toHaveLength(4);
  expect(host.snapshot).toMatchObject({
    status: "cancelled",
    error: { name: "Cancelled", message: "no longer needed", code: "cancelled" },
    labels: { team: "sales" },
    parent: { id: "parent-1", workflow: "outer" },
    schedule: { id: "daily", at: 1767603600000 },
    createdAt: 1767603600000,
    startedAt: 1767603660000,
    finishedAt: 1767603700000,
    waitingFor: [],
  });
});

/** Gives the run the slots of lanes that it asks for. */
function letIn({ lanes }: Run): void {
  for (const request of lanes.takeRequests()) {
    if (request.kind === "enter") lanes.answered(request.slot, { granted: true, turn: 1 });
  }
}

describe("golden journal 003", () => {
  const commits = commitsOf("003-more-kinds.json");
  const entries = commits.flat();
  let got: unknown[] = [];
  let undone: string[] = [];
  const handler = more.golden({
    undo: (_step, key) => undone.push(key),
    tell: (value) => got.push(value),
  });

  /** The run as it is opened after this many commits. */
  function cut(keep = commits.length): Host {
    [got, undone, more.ran.length] = [[], [], 0];
    return open(commits.slice(0, keep), handler);
  }

  test("guarantees 2 and 7: replays as it was, with a label longer than any new one may be, and undoes what is left", async () => {
    const host = await cut().drive();
    expect(more.ran).toEqual([]);
    const last = entries.find((entry) => entry.kind === "step.completed" && entry.step === "last");
    expect(got).toEqual([last?.kind === "step.completed" ? decode(last.result) : null]);
    expect(undone).toEqual(["run-3:mwsmp6lj.undo:charge"]);
    expect(host.journal.entries.slice(0, entries.length)).toEqual(entries);
    expect(host.journal.kinds.slice(entries.length)).toEqual(["undo.completed", "run.failed"]);
    expect(host.snapshot).toMatchObject({ status: "failed", error: { name: "RangeError", message: "over" } });
  });

  test("guarantee 7: its wait with that label is given a signal", async () => {
    const waits = entries.findIndex((entry) => entry.kind === "wait.started" && entry.label !== undefined) + 1;
    const host = cut(commits.findIndex((commit) => commit.at(-1)?.seq === waits) + 1);
    const { at } = host.clock;
    await host.signalAt(at, "go", { yes: true }).plan(at + 1, letIn).drive();
    expect(host.journal.kinds.slice(waits)).toEqual(["signal.received", "signal.consumed", "wait.started"]);
    expect(host.status).toBe("waiting");
  });

  test("every prefix of it can be opened and shown", () => {
    for (let keep = 1; keep <= commits.length; keep++) {
      expect(["queued", "running", "waiting", "paused"]).toContain(cut(keep).snapshot.status);
    }
  });
});
