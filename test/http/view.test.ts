/** How stored things look in JSON. */
import { expect, test } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import type { RunSnapshot } from "../../src/core/run/run.ts";
import { sentenceOf } from "../../src/core/sentence/sentence.ts";
import { noUsage } from "../../src/core/run/usage.ts";
import { encode } from "../../src/core/value/value.ts";
import { viewUpdate } from "../../src/http/routes/ask.ts";
import { viewEntry, viewRun, viewSummary } from "../../src/http/view.ts";

const at = Date.UTC(2026, 2, 1, 9, 0, 0, 123);
const rfc = "2026-03-01T09:00:00.123Z";

const run: RunSnapshot = {
  id: "order-7",
  workflow: "approve-order",
  version: "1",
  status: "waiting",
  input: encode({ when: new Date(at) }, "input"),
  output: null,
  error: null,
  labels: { city: "Bremen" },
  progress: encode(new Map([["done", 1n]]), "progress"),
  parent: null,
  schedule: null,
  fork: null,
  createdAt: at,
  startedAt: null,
  updatedAt: at,
  finishedAt: null,
  waitingFor: [
    { kind: "signal", name: "approval:7", since: at, until: null },
    { kind: "webhook", name: "paid", since: at, until: at, url: "https://example.com/hooks/x" },
  ],
  reason: "waiting for signal approval:7",
  steps: { completed: 1, failed: 0, running: 0 },
  seq: 9,
  active: [{ step: "charge", attempt: 2, since: at }],
  usage: noUsage,
  tallies: {},
  trace: "",
};

const fields = [
  ...["id", "workflow", "version", "status", "input", "output", "error", "labels", "progress", "parent"],
  ...["createdAt", "startedAt", "updatedAt", "finishedAt", "waitingFor", "reason", "steps", "active"],
  ...["trace", "cost"],
];

test("a run has the fields of the contract, in its order", () => {
  const view = viewRun(run);
  expect(Object.keys(view)).toEqual(fields);
  expect(view).toEqual({
    id: "order-7",
    workflow: "approve-order",
    version: "1",
    status: "waiting",
    input: { when: { $type: "Date", value: rfc } },
    output: null,
    error: null,
    labels: { city: "Bremen" },
    progress: { $type: "Map", value: [["done", { $type: "BigInt", value: "1" }]] },
    parent: null,
    createdAt: rfc,
    startedAt: null,
    updatedAt: rfc,
    finishedAt: null,
    waitingFor: [
      { kind: "signal", name: "approval:7", since: rfc, until: null },
      { kind: "webhook", name: "paid", since: rfc, until: rfc, url: "https://example.com/hooks/x" },
    ],
    reason: "waiting for signal approval:7",
    steps: { completed: 1, failed: 0, running: 0 },
    active: [{ step: "charge", attempt: 2, since: rfc }],
    trace: "",
    cost: { rowsWritten: 0, requests: 0, secondsAwake: 0, bytesStored: 0, usd: 0 },
  });
});

test("a listed run has the same fields but its values, and not what is at work", () => {
  const values = ["input", "output", "progress", "active"];
  expect(Object.keys(viewSummary(run))).toEqual(fields.filter((name) => !values.includes(name)));
});

test.each<[Entry, unknown]>([
  [
    {
      seq: 1,
      at,
      kind: "run.created",
      id: "a",
      workflow: "w",
      version: "1",
      input: encode(undefined, "input"),
      labels: {},
      parent: null,
      schedule: { id: "w", at },
      startAt: at,
      notAfter: null,
      origin: "https://inner.example",
      key: "k",
      by: "operate",
    },
    {
      seq: 1,
      at: rfc,
      kind: "run.created",
      id: "a",
      workflow: "w",
      version: "1",
      input: { $type: "undefined" },
      labels: {},
      parent: null,
      schedule: { id: "w", at: rfc },
      startAt: rfc,
      notAfter: null,
      key: "k",
      by: "operate",
    },
  ],
  [
    { seq: 2, at, kind: "step.completed", step: "charge#2", attempt: 1, startedAt: at, result: encode(7n, "it") },
    {
      seq: 2,
      at: rfc,
      kind: "step.completed",
      step: "charge#2",
      attempt: 1,
      startedAt: rfc,
      result: { $type: "BigInt", value: "7" },
    },
  ],
  [
    { seq: 3, at, kind: "timer.set", name: "nap", call: "nap", wakeAt: Date.UTC(12_000, 0) },
    { seq: 3, at: rfc, kind: "timer.set", name: "nap", call: "nap", wakeAt: "9999-12-31T23:59:59.999Z" },
  ],
  [
    { seq: 4, at, kind: "signal.received", name: "go", payload: encode({ $type: "Date" }, "it"), by: "admin" },
    {
      seq: 4,
      at: rfc,
      kind: "signal.received",
      name: "go",
      payload: { $type: "Object", value: { $type: "Date" } },
      by: "admin",
    },
  ],
  [
    {
      seq: 5,
      at,
      kind: "run.failed",
      error: { name: "Error", message: "no", code: "step_failed", step: "a", attempts: 3 },
    },
    {
      seq: 5,
      at: rfc,
      kind: "run.failed",
      error: { name: "Error", message: "no", code: "step_failed", step: "a", attempts: 3 },
    },
  ],
])("entry %#", (entry, view) => {
  expect(viewEntry(entry)).toEqual({ ...(view as object), text: sentenceOf(entry) });
  expect(Object.keys(viewEntry(entry)).slice(0, 4)).toEqual(["seq", "at", "kind", "text"]);
});

test("a field that only a newer deployment knows is left out", () => {
  const entry = {
    seq: 1,
    at,
    kind: "timer.fired",
    name: "nap",
    call: "nap",
    toString: "x",
    later: 1,
  } as unknown as Entry;
  expect(viewEntry(entry)).toEqual({
    ...{ seq: 1, at: rfc, kind: "timer.fired", text: "woke up (nap)", name: "nap", call: "nap" },
  });
});

test("what a value repeats is written, however often, if it is short: up to 64 MiB, beside eight times what is stored", () => {
  const none = {};
  const result = encode(
    Array.from({ length: 2_500_000 }, () => none),
    "result",
  );
  expect(JSON.stringify(viewUpdate("tidy", { kind: "completed", update: "tidy", result }))).not.toContain("Cut");
});

test("a value is whole, also where others of the same answer have used up the room for repetitions", () => {
  const entry = { seq: 1, at, kind: "run.completed", output: encode({ ok: [{}, {}] }, "output") } as const;
  expect(viewEntry(entry, { left: -1_000_000 })).toMatchObject({ output: { ok: [{}, {}] } });
});
