/** What a start is compared with, also where an older version of Holdfast wrote it down. */
import { describe, expect, test } from "vitest";
import type { EntryOf } from "../../src/core/history/entry.ts";
import { isSameStart, wordingOf } from "../../src/core/lifecycle/start.ts";
import { encode } from "../../src/core/value/value.ts";
import { createdFact } from "./created.ts";

const input = encode(1, "");
const labels = { city: "Bremen", made: "one" };

const created: EntryOf<"run.created"> = {
  ...createdFact,
  ...{ seq: 1, at: 0, id: "run", input, labels, key: "k" },
};

/** With the key of the run, and the labels that its workflow makes by now. */
function isSame(asked: Record<string, string>, print: string, run = created): boolean {
  const start = {
    workflow: "flow",
    input,
    labels: { ...asked, made: "two" },
    key: "k",
    wish: { labels: asked, print },
  };
  return isSameStart(run, start);
}

describe("a start with the key of a run", () => {
  test("is the same where it asks for the same, whatever its workflow adds", () => {
    const run = { ...created, print: "asked" };
    expect(isSame({}, "asked", run)).toBe(true);
    expect(isSame({ city: "Bremen" }, "another", run)).toBe(false);
  });

  test("is the same where an older journal has every label that is asked for", () => {
    expect(isSame({ city: "Bremen" }, "asked")).toBe(true);
    expect(isSame({ city: "Kiel" }, "asked")).toBe(false);
    expect(isSame({ street: "Am Wall" }, "asked")).toBe(false);
  });

  test("asks for the same whatever the order of its labels, and whenever its delay is over", () => {
    const one = wordingOf({ labels: { a: "1", b: "2" }, delayMs: 5, startAt: 1005 });
    expect(wordingOf({ labels: { b: "2", a: "1" }, delayMs: 5, startAt: 2005 })).toBe(one);
    expect(wordingOf({ labels: { a: "1", b: "2" }, startAt: 1005 })).not.toBe(one);
  });
});
