/** A journal that is damaged or comes from the future is refused, whatever is wrong with it, and says where. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readCommit } from "../../src/core/history/commit.ts";
import type { Before } from "../../src/core/history/commit.ts";
import type { Entry } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { createRandom } from "../../src/core/random.ts";
import { decode } from "../../src/core/value/value.ts";
import type { Stored } from "../../src/core/value/value.ts";

const seed = process.env["COMMIT_SEED"] ?? String(Date.now());
const flips = Number(process.env["COMMIT_FLIPS"] ?? 3000);

const golden = ["001-every-kind.json", "002-cancelled.json"].flatMap((file) => {
  const text = readFileSync(join(import.meta.dirname, "../golden", file), "utf8");
  const { commits } = JSON.parse(text) as { commits: Entry[][] };
  return commits.map((entries, at) => ({ entries, before: commits[at - 1]?.at(-1) ?? null }));
});

function read(entries: unknown, first = 1, before: Before | null = null): string {
  return refusal(typeof entries === "string" ? entries : JSON.stringify(entries), first, before);
}

function refusal(text: string, first: number, before: Before | null): string {
  try {
    readCommit(text, first, before);
    return "read";
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

const entry = (fields: object) => ({ seq: 1, at: 5, kind: "log.written", level: "info", message: "a", ...fields });

describe("a commit", () => {
  it("of any journal that was ever written is read as it is", () => {
    for (const { entries, before } of golden) {
      expect(readCommit(JSON.stringify(entries), entries[0]?.seq ?? 0, before)).toEqual(entries);
    }
  });

  it.each([
    ["no JSON", "[{", /^journal_corrupt: .*begins with entry 1 is cut off or is no JSON/],
    ["no list", "{}", /^journal_corrupt: .*is no list of entries/],
    ["no entries", "[]", /^journal_corrupt: .*is no list of entries/],
    ["no object", "[null]", /^journal_corrupt: .*where entry 1 belongs, there is another/],
    ["an entry of another place", [entry({ seq: 2 })], /^journal_corrupt: .*where entry 1 belongs/],
    ["a gap within it", [entry({}), entry({ seq: 3 })], /^journal_corrupt: .*where entry 2 belongs/],
    ["no time", [entry({ at: "now" })], /^journal_corrupt: .*entry 1 has no time/],
    ["a time that goes back", [entry({}), entry({ seq: 2, at: 4 })], /^journal_corrupt: .*entry 2 has no time, or one/],
    ["no kind", [entry({ kind: undefined })], /^journal_corrupt: .*entry 1 is of no kind/],
    ["a kind that is no word", [entry({ kind: "Log Written!" })], /^journal_corrupt: .*entry 1 is of no kind/],
    [
      "a kind of the future",
      [entry({ kind: "step.teleported" })],
      /^journal_newer: .*entry 1 is of the kind step\.teleported.*deploy/,
    ],
    ["a kind of Object's own", [entry({ kind: "constructor.name" })], /^journal_newer/],
    [
      "a field that is missing",
      [entry({ message: undefined })],
      /^journal_corrupt: .*entry 1, log\.written: its field message/,
    ],
    ["a word of the future", [entry({ level: "trace" })], /^journal_newer: .*entry 1, log\.written: its field level/],
    [
      "a call kind of the future",
      [entry({ kind: "step.added", step: "s", call: "teleport" })],
      /^journal_newer: .*its field call/,
    ],
    [
      "a call kind of the future within a list",
      [entry({ kind: "wait.withdrawn", calls: [{ call: "teleport", id: "a" }] })],
      /^journal_corrupt: .*its field calls/,
    ],
    ["a value in a form of the future", [entry({ data: "v2:AAEC" })], /^journal_newer: .*its field data/],
  ])("with %s is refused", (_what, entries, said) => {
    expect(read(entries)).toMatch(said);
  });

  it("of one plain step is read as its JSON, whatever stands in it, and where it is none it is refused", () => {
    const step = { seq: 1, at: 5, kind: "step.completed", step: "charge#2", attempt: 1, startedAt: 4, result: "[1]" };
    const odd = ['[{"a":1},"\\"\\\\\\n"]', '["é😀\u2028\ud800"]', "-1", `["${"x".repeat(3000)}"]`, '["\\u0000"]'];
    const whole = [step, ...odd.map((result) => ({ ...step, result })), { ...step, step: 'a "b" \\ \n\u0000' }];
    for (const entry of [...whole, { ...step, at: 5.5 }, { ...step, undo: true }, { ...step, more: [1] }]) {
      expect(readCommit(JSON.stringify([entry]), 1, null)).toEqual([entry]);
    }
    const text = JSON.stringify([step]);
    for (const [from, to] of [
      ["charge", "char\u0001ge"],
      ["charge", "char\nge"],
      ["charge", "char\\xge"],
      ["charge#2", "charge\\"],
      ['"at":5', '"at":05'],
      ['"at":5', '"at":5.'],
      ['"at":5', '"at":+5'],
      ["}]", "}],"],
    ] as const) {
      expect([from, to, read(text.replace(from, to))]).toEqual([from, to, expect.stringMatching(/^journal_corrupt/)]);
    }
    for (const fields of [{ result: "v2:x" }, { result: "" }, { seq: 2 }, { at: -1 }, { attempt: -1 }]) {
      expect(read([{ ...step, ...fields }])).toMatch(/^journal_/);
    }
  });

  it("behind a gap is refused, and the entry that is missing named", () => {
    expect(read([entry({ seq: 9 })], 9, { seq: 7, at: 1 })).toMatch(
      /^journal_corrupt: .*entry 8 is missing: after 7 comes 9/,
    );
  });

  it("is not refused for fields that it does not know", () => {
    expect(read([entry({ flavour: "new" })])).toBe("read");
  });

  it("with bytes changed at random is refused, or all it says is of its kind; nothing else is ever thrown", () => {
    const random = createRandom(`commit ${seed}`);
    const pick = (limit: number) => Math.floor(random.next() * limit);
    let refused = 0;
    for (let times = 0; times < flips; times++) {
      const { entries, before } = golden[pick(golden.length)] ?? { entries: [], before: null };
      const text = JSON.stringify(entries);
      const at = pick(text.length);
      const changed =
        text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << pick(7))) + text.slice(at + 1);
      const said = refusal(changed, entries[0]?.seq ?? 0, before);
      if (said !== "read") refused++;
      expect(said, `seed ${seed}`).toMatch(/^(?:read|journal_(?:corrupt|newer): )/);
    }
    expect(refused).toBeGreaterThan(flips / 3);
  });
});

describe("a stored value", () => {
  it.each([
    ['[["Wormhole",1],"x"]', "journal_newer", /of the type Wormhole/],
    ['[{"a":1', "journal_corrupt", /damaged/],
    ["nothing", "journal_corrupt", /damaged/],
    ['[{"a":7}]', "journal_corrupt", /damaged/],
  ])("that cannot be read says why: %s", (stored, code, message) => {
    expect(() => decode(stored as Stored)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});
