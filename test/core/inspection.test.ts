/** What entries from elsewhere must be: each way in which a text may lie, and what is said of it. */
import { describe, expect, it } from "vitest";
import { Inspection } from "../../src/core/transfer/inspection.ts";
import type { Entry, Fact } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { readManifest, readTrailer } from "../../src/core/transfer/manifest.ts";
import { encode } from "../../src/core/value/value.ts";
import type { Stored } from "../../src/core/value/value.ts";

const born = Date.UTC(2026, 0, 2);
const now = born + 60_000;
const signal = { name: "go", payload: encode({ go: "on" }, "payload"), by: "operate" } as const;
const result = encode({ map: new Map([["a", 1n]]), at: new Date(0) }, "result");

const facts: readonly Fact[] = [
  {
    ...{ kind: "run.created", id: "run-1", workflow: "wanderer", version: "1", input: encode({}, "input") },
    ...{ labels: { team: "north" }, parent: { id: "outer", workflow: "guide" }, schedule: { id: "daily", at: born } },
    ...{ startAt: null, notAfter: null, origin: null, by: "operate", shards: 4, notify: ["https://example.com/"] },
  },
  { kind: "run.started", deployment: "one" },
  { kind: "signal.received", ...signal },
  { kind: "step.completed", step: "first", attempt: 1, startedAt: born, result },
  { kind: "log.written", level: "info", message: "on its way" },
  { kind: "signal.consumed", name: "go", call: "go", signal: 3 },
  { kind: "step.completed", step: "last", attempt: 1, startedAt: born, result: "-1" as Stored },
  { kind: "run.completed", output: encode(1, "output") },
];
const entries: readonly Entry[] = facts.map((fact, index) => ({ ...fact, seq: index + 1, at: born + index }));

const manifest = {
  ...{ format: "holdfast.run", version: 1, run: "run-1", workflow: "wanderer", workflowVersion: "1" },
  ...{ status: "completed", seq: entries.length },
};

type Lines = Record<string, unknown>[];
const whole = (): Lines => structuredClone([manifest, ...entries]);
const at = (lines: Lines, kind: string): number => lines.findIndex((line) => line["kind"] === kind);
const set = (lines: Lines, kind: string, fields: object): Lines =>
  lines.map((line, index) => (index === at(lines, kind) ? { ...line, ...fields } : line));
const deep = (depth: number): unknown => (depth === 0 ? 1 : [deep(depth - 1)]);

/** As an import goes through a text. */
function verdict(lines: Lines, count = lines.length - 1): string {
  const closed = (): never => {
    throw new HoldfastError("key_missing", "there is no key");
  };
  try {
    const texts = lines.map((line) => JSON.stringify(line));
    const inspection = new Inspection(readManifest(texts[0] ?? ""), now, closed);
    for (const [index, text] of texts.entries()) if (index > 0) inspection.admit(text, index + 1);
    inspection.finish({ entries: count, sha256: "" }, lines.length + 1);
    return `taken, ${inspection.state.seq}`;
  } catch (error) {
    return error instanceof HoldfastError ? `${error.code} ${error.message}` : `thrown ${String(error)}`;
  }
}

it.each([
  ["empty", ""],
  ["half of a surrogate pair", "\ud800"],
  ["longer than any name", "long ".repeat(1000)],
])("the label of a wait may be %s, as its handler said it", (_what, label) => {
  expect(verdict(set(whole(), "signal.consumed", { label }))).toBe("taken, 8");
});

it("a text that is one is taken, whatever fields entries have", () => {
  expect(verdict(whole())).toBe("taken, 8");
  const error = {
    name: "E",
    message: "m",
    code: "c",
    step: "s#2",
    attempts: 3,
    stack: "at",
    cause: { name: "C", message: "w" },
  };
  const failed = {
    kind: "run.failed",
    output: undefined,
    error: { ...error, undone: ["a"], notUndone: [{ step: "b", message: "x" }] },
  };
  expect(verdict(set([{ ...manifest, status: "failed" }, ...whole().slice(1)], "run.completed", failed))).toBe(
    "taken, 8",
  );
  const keys = [{ key: "k", name: "go", payload: "[1]" }];
  const updates = [{ key: "k", id: "u", name: "n", sent: "[1]", end: { kind: "failed", error } }];
  const revoked = { key: "r", kind: "revoke", reason: null, url: "https://here.example.com/hooks/x" };
  const actions = [{ key: "p", kind: "pause", reason: "why" }, revoked];
  const tallies = [["first", { completed: 1, failed: 0, failedAttempts: 0, ms: 5 }]];
  const more = {
    ...{
      continuation: { count: 1, createdAt: born, keys, updates, actions, tallies, restarted: { step: "a", upTo: 7 } },
      retention: { completedMs: 1, failedMs: 2 },
      seed: "s",
      claims: ["a"],
      key: "k",
    },
    ...{ fork: { id: "x", step: "a", upTo: 1, reason: null }, reply: { createdAt: 1, step: "a" }, role: "operate" },
    ...{ lanes: [{ lane: "a", scope: "run" }], used: { rowsWritten: 1, requests: 1, awakeMs: 1, bytesStored: 1 } },
  };
  expect(verdict(set(whole(), "run.created", more))).toBe("taken, 8");
  expect(verdict(set(whole(), "signal.consumed", { value: result }))).toBe("taken, 8");
  expect(verdict(set(whole(), "signal.consumed", { error }))).toBe("taken, 8");
});

it("a run that is paused is taken, and one with an open child is not", () => {
  const paused = { kind: "run.paused", output: undefined, by: "ana", reason: null };
  const lines = set([{ ...manifest, status: "paused" }, ...whole().slice(1)], "run.completed", paused);
  expect(verdict(lines)).toBe("taken, 8");
  const child = { kind: "child.started", child: { id: "a", workflow: "b" }, until: null, policy: "cancel" };
  const none = { attempt: undefined, startedAt: undefined, result: undefined };
  expect(verdict(set(lines, "step.completed", { ...child, ...none }))).toMatch(/child "first" is still open/);
  expect(verdict(set(whole(), "step.completed", { ...child, ...none }))).toBe("taken, 8");
});

describe("no other is", () => {
  /** Each with the beginning of what is said of it. */
  const hostile: readonly (readonly [string, RegExp, (lines: Lines) => Lines])[] = [
    ["another format", /^line 1: its format/, (lines) => [{ ...lines[0], format: "tar" }, ...lines.slice(1)]],
    ["a later version", /^line 1: its version/, (lines) => [{ ...lines[0], version: 2 }, ...lines.slice(1)]],
    ["more in its first line", /^line 1: it has a field/, (lines) => [{ ...lines[0], more: 1 }, ...lines.slice(1)]],
    [
      "another run in its first line",
      /^line 2: line 1 tells/,
      (lines) => [{ ...lines[0], workflow: "x" }, ...lines.slice(1)],
    ],
    [
      "another status",
      /^line 1: its status is failed/,
      (lines) => [{ ...lines[0], status: "failed" }, ...lines.slice(1)],
    ],
    ["no entries", /^line 1: the last entry is not entry 8/, (lines) => lines.slice(0, 1)],
    ["no run.created", /^line 2: the first entry must be/, (lines) => [lines[0] ?? {}, ...lines.slice(2)]],
    ["two of them", /^line 3: there is a second/, (lines) => [...lines.slice(0, 2), ...lines.slice(1)]],
    ["a line swapped", /^line 3: after entry 1 comes 3/, ([a, b, c, d, ...rest]) => [a, b, d, c, ...rest] as Lines],
    ["a line twice", /^line 4: after entry 2 comes 2/, ([a, b, c, ...rest]) => [a, b, c, c, ...rest] as Lines],
    ["a line left out", /^line 4: after entry 2 comes 4/, (lines) => lines.filter((_, index) => index !== 3)],
    ["its end left out", /the last entry is not entry/, (lines) => lines.slice(0, -1)],
    [
      "an unfinished history",
      /travels only while it is paused/,
      (lines) => [{ ...lines[0], seq: lines.length - 2 }, ...lines.slice(1, -1)],
    ],
    [
      "a kind of later versions",
      /^line \d+: entries of kind "step.dreamt"/,
      (lines) => set(lines, "step.completed", { kind: "step.dreamt" }),
    ],
    [
      "a kind of the prototype's",
      /^line \d+: entries of kind "constructor"/,
      (lines) => set(lines, "step.completed", { kind: "constructor" }),
    ],
    [
      "a field of later versions",
      /^line \d+: step.completed has a field/,
      (lines) => set(lines, "step.completed", { colour: "red" }),
    ],
    [
      "a field of another kind",
      /^line \d+: run.started has a field/,
      (lines) => set(lines, "run.started", { url: "x" }),
    ],
    ["a missing field", /^line \d+: its field result/, (lines) => set(lines, "step.completed", { result: undefined })],
    ["a time that is none", /^line \d+: its at/, (lines) => set(lines, "run.started", { at: "now" })],
    ["a time that goes back", /^line \d+: its at/, (lines) => set(lines, "step.completed", { at: 1 })],
    ["a time to come", /^line \d+: its at has not come/, (lines) => set(lines, "run.completed", { at: now + 9e5 })],
    [
      "an instant past all",
      /^line \d+: its field startedAt is no time/,
      (lines) => set(lines, "step.completed", { startedAt: 1e300 }),
    ],
    [
      "a signal that never came",
      /^line \d+: the journal consumes/,
      (lines) =>
        set(lines, "signal.received", { kind: "listener.added", payload: undefined, by: undefined, role: undefined }),
    ],
    [
      "a value that is no text",
      /^line \d+: its field input/,
      (lines) => set(lines, "run.created", { input: { a: 1 } }),
    ],
    [
      "a value that cannot be read",
      /^line \d+: its field result is no stored/,
      (lines) => set(lines, "step.completed", { result: '[["Nobody",1]]' }),
    ],
    [
      "a value that refers to nothing",
      /^line \d+: its field result is no stored/,
      (lines) => set(lines, "step.completed", { result: '[{"a":7}]' }),
    ],
    [
      "a value of a type that is not kept",
      /^line \d+: its field result is no stored/,
      (lines) => set(lines, "step.completed", { result: '[["URL","https://example.com"]]' }),
    ],
    [
      "a value that changes a prototype",
      /^line \d+: its field result is no stored/,
      (lines) => set(lines, "step.completed", { result: '[{"__proto__":1},{"polluted":2},true]' }),
    ],
    [
      "a value that is too deep",
      /^line \d+: its field result is no stored/,
      (lines) => set(lines, "step.completed", { result: JSON.stringify([deep(3000)]) }),
    ],
    [
      "a label of the prototype's",
      /^line 2: its field labels/,
      (lines) => set(lines, "run.created", { labels: JSON.parse('{"__proto__":"x"}') as object }),
    ],
    [
      "labels that are no text",
      /^line 2: its field labels/,
      (lines) => set(lines, "run.created", { labels: { a: 1 } }),
    ],
    [
      "a parent that is none",
      /^line 2: its field parent/,
      (lines) => set(lines, "run.created", { parent: { id: "../x" } }),
    ],
    [
      "a parent with more",
      /^line 2: its field parent/,
      (lines) => set(lines, "run.created", { parent: { id: "x", workflow: "y", more: 1 } }),
    ],
    [
      "a continuation that is none",
      /^line 2: its field continuation/,
      (lines) => set(lines, "run.created", { continuation: { count: 1, createdAt: 1, keys: [{}] } }),
    ],
    [
      "a continuation with an action that is none",
      /^line 2: its field continuation/,
      (lines) => set(lines, "run.created", { continuation: { count: 1, createdAt: 1, keys: [], actions: [{}] } }),
    ],
    [
      "an address that is a script",
      /^line 2: its field notify/,
      (lines) => set(lines, "run.created", { notify: ["javascript:alert(1)"] }),
    ],
    [
      "a result that stayed behind and is there",
      /^line \d+: its field omitted/,
      (lines) => set(lines, "step.completed", { omitted: true }),
    ],
    [
      "a time between two milliseconds, which no directory can keep",
      /^line \d+: its at/,
      (lines) => lines.map((line) => (typeof line["at"] === "number" ? { ...line, at: line["at"] + 0.5 } : line)),
    ],
    [
      "entries after which none can be numbered",
      /^line 2: its seq is none/,
      ([first, ...rest]) => {
        const from = Number.MAX_SAFE_INTEGER - rest.length;
        return [
          { ...first, seq: from + rest.length },
          ...rest.map((line, index) => ({ ...line, seq: from + 1 + index })),
        ];
      },
    ],
    [
      "a step with half a surrogate pair in its name",
      /^line \d+: its field step is no name/,
      (lines) => set(lines, "step.completed", { step: "first \ud800" }),
    ],
    ["a step without a name", /^line \d+: its field step/, (lines) => set(lines, "step.completed", { step: "" })],
    [
      "a signal of a name that is longer than names are",
      /^line \d+: its field name is no name/,
      (lines) => set(lines, "signal.received", { name: "n".repeat(5000) }),
    ],
    [
      "a label with half a surrogate pair",
      /^line 2: its field labels/,
      (lines) => set(lines, "run.created", { labels: { team: "\udfff" } }),
    ],
    [
      "a label under half a surrogate pair",
      /^line 2: its field labels/,
      (lines) => set(lines, "run.created", { labels: { "\udfff": "north" } }),
    ],
    [
      "a number that takes too long to read",
      /^line \d+: its field result has a number/,
      (lines) => set(lines, "step.completed", { result: `[["BigInt","${"9".repeat(100_001)}"]]` }),
    ],
    ["another id in its history", /^line 2: line 1 tells/, (lines) => set(lines, "run.created", { id: "other" })],
  ];

  it.each(hostile)("%s", (_, why, change) => {
    const said = verdict(change(whole()));
    expect(said).toMatch(/^import_invalid /);
    expect(said.slice("import_invalid ".length)).toMatch(why);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });

  it("another number of entries in its last line", () => {
    expect(verdict(whole(), 7)).toBe("import_invalid line 10: it says 7 entries, and there are 8");
  });

  it("a sealed result without its key, which is no fault of the text", () => {
    expect(verdict(set(whole(), "step.completed", { sensitive: true, result: "enc1.k.AAAA" }))).toMatch(
      /^key_missing /,
    );
  });

  it("any field of any entry in a form that is not its", () => {
    const odd: readonly unknown[] = [undefined, null, true, -1, 1.5, "", "odd", [], {}, [[]], { $type: "Date" }, 1e300];
    let refused = 0;
    for (const [index, line] of whole().entries()) {
      for (const field of Object.keys(line)) {
        for (const value of odd) {
          const lines = whole();
          lines[index] = { ...line, [field]: value };
          const said = verdict(lines);
          expect(said).toMatch(/^(?:import_invalid line \d+: |taken, )/);
          if (said.startsWith("import_invalid")) refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(400);
  });

  it("a last line that is none", () => {
    const none = [
      "",
      "{}",
      '{"entries":1}',
      '{"entries":-1,"sha256":"00"}',
      '{"entries":1,"sha256":"XYZ"}',
      "[]",
      "null",
    ];
    for (const text of none) expect(() => readTrailer(text, 9)).toThrow(/^line 9: /);
    const trailer = { entries: 1, sha256: "0".repeat(64) };
    expect(readTrailer(JSON.stringify(trailer), 9)).toEqual(trailer);
    expect(() => readTrailer(JSON.stringify({ ...trailer, more: 1 }), 9)).toThrow(/^line 9: /);
  });
});
