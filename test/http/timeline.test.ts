/** What the timeline's page is made of: the scale with its folds, and the differences between errors. */
import { describe, expect, test } from "vitest";
import { createPick } from "../core/sample.ts";
import { diffLines } from "../../src/http/pages/diff.ts";
import { readable } from "../../src/http/pages/label.ts";
import { Scale } from "../../src/http/pages/scale.ts";
import { inText, leftText } from "../../src/http/pages/span.ts";
import { Track } from "../../src/http/pages/track.tsx";
import type { Bar } from "../../src/core/timeline/timeline.ts";

const day = 86_400_000;

describe("the scale of a timeline", () => {
  test("without folds it is linear, from 0 to 100", () => {
    const scale = new Scale({ startedAt: 1000, endedAt: 3000, idle: [] });
    expect([500, 1000, 1500, 2000, 3000, 9000].map((at) => scale.at(at))).toEqual([0, 0, 25, 50, 100, 100]);
  });

  test("a fold is as wide as the order of its length, and the rest is linear", () => {
    const idle = [{ fromAt: 1000, untilAt: 1000 + 2_000_000 }];
    const scale = new Scale({ startedAt: 0, endedAt: 2_002_000, idle });
    expect(scale.folds).toEqual([{ x: 25, width: 50, ms: 2_000_000 }]);
    expect(scale.at(2_001_000)).toBeCloseTo(75);
    expect(scale.at(500)).toBeCloseTo(12.5);
    expect(scale.at(2_002_000)).toBeCloseTo(100);
    // A short one is as wide as it is long.
    const [short] = new Scale({ startedAt: 0, endedAt: 4000, idle: [{ fromAt: 1000, untilAt: 2000 }] }).folds;
    expect(short?.width).toBeCloseTo(25);
  });

  test("of two folds the longer is the wider, and together they leave half of the width", () => {
    const endedAt = 3 * day + 60_100;
    const idle = [
      { fromAt: 50, untilAt: 60_050 },
      { fromAt: 60_060, untilAt: 3 * day + 60_060 },
    ];
    const { folds } = new Scale({ startedAt: 0, endedAt, idle });
    const [minute = 0, days = 0] = folds.map(({ width }) => width);
    expect(days).toBeGreaterThan(minute);
    expect(minute + days).toBeCloseTo(50);
  });

  test.each([1, 5, 40])("%d ms before a wait of 20 minutes never look longer than it", (ms) => {
    const scale = new Scale({ startedAt: 0, endedAt: ms + 1_200_000, idle: [{ fromAt: ms, untilAt: ms + 1_200_000 }] });
    expect(scale.at(ms)).toBeCloseTo(ms);
    expect(scale.folds[0]?.width).toBeCloseTo(100 - ms);
  });

  test("on a phone no label touches the next or the edge, at any zoom, and zooming brings more of them", () => {
    const perLetter = 6;
    for (const ms of [1, 7, 260, 312, 4000, 61_000, 3_700_000, 3 * day]) {
      const idle = ms > 50_000 ? [{ fromAt: 20_000, untilAt: ms - 20_000 }] : [];
      const labels = readable(new Scale({ startedAt: 0, endedAt: ms, idle }).ticks());
      let before = 0;
      for (let zoom = 0; zoom < 6; zoom++) {
        const shown = labels.filter(({ fitsAt }) => fitsAt !== null && fitsAt <= zoom);
        expect(shown.length).toBeGreaterThanOrEqual(Math.max(1, before));
        before = shown.length;
        const track = 170 * 2 ** zoom;
        const ends = shown.map(({ x, label }) => (x / 100) * track + 4 + label.length * perLetter);
        const begins = [...shown.slice(1).map(({ x }) => (x / 100) * track), track];
        for (const [index, end] of ends.entries()) expect(end).toBeLessThanOrEqual(begins[index] ?? 0);
      }
    }
  });

  test("of any timeline, what is later is never further left, and its ticks are in order and on it", () => {
    for (let seed = 0; seed < 200; seed++) {
      const pick = createPick(`scale ${seed}`);
      const idle: { fromAt: number; untilAt: number }[] = [];
      let at = pick.below(1000);
      const startedAt = at;
      for (let count = pick.below(40); count > 0; count--) {
        const fromAt = at + pick.below(5000);
        at = fromAt + 1000 + pick.below(10 * day);
        idle.push({ fromAt, untilAt: at });
      }
      const endedAt = at + pick.below(3) * pick.below(100_000);
      const scale = new Scale({ startedAt, endedAt, idle });
      const instants = Array.from({ length: 100 }, () => startedAt + pick.below(endedAt - startedAt + 1));
      const places = instants.sort((one, other) => one - other).map((instant) => scale.at(instant));
      for (const [index, x] of places.entries()) {
        expect(x).toBeGreaterThanOrEqual(places[index - 1] ?? 0);
        expect(x).toBeLessThanOrEqual(100);
      }
      const ticks = scale.ticks();
      expect(ticks.length).toBeLessThan(3000);
      for (const [index, { x }] of ticks.entries()) expect(x).toBeGreaterThanOrEqual(ticks[index - 1]?.x ?? 0);
    }
  });

  test("who waits to this day goes through the fold that ends there, however long both are", () => {
    for (let ms = 1; ms < 3000; ms++) {
      const scale = new Scale({ startedAt: 0, endedAt: 7 + ms, idle: [{ fromAt: 7, untilAt: 7 + ms }] });
      expect(scale.foldsWithin(3, 7 + ms)).toEqual(scale.folds);
      expect([scale.foldsWithin(3, 6 + ms), scale.foldsWithin(8, 7 + ms)]).toEqual([[], []]);
    }
  });

  test("zooming adds ticks and takes none away", () => {
    const ticks = new Scale({ startedAt: 0, endedAt: 60_000, idle: [] }).ticks();
    expect(ticks.filter(({ level }) => level === 0).map(({ label }) => label)).toEqual([
      "0 ms",
      "10 s",
      "20 s",
      "30 s",
      "40 s",
      "50 s",
      "1 min",
    ]);
    const counts = [0, 1, 2, 3].map((most) => ticks.filter(({ level }) => level <= most).length);
    expect(counts).toEqual([...counts].sort((one, other) => one - other));
  });

  test("a run in which no time has passed has a scale as well", () => {
    const scale = new Scale({ startedAt: 5, endedAt: 5, idle: [] });
    expect([scale.at(5), scale.ticks().length > 0]).toEqual([0, true]);
  });
});

test("what is left of many days is told with its hours, so that 30 days do not begin as 29", () => {
  expect(leftText(30 * day - 5000)).toBe("29 days 23 h");
  expect(leftText(30 * day)).toBe("30 days");
  expect(inText(252_000, 0)).toBe("in 4 min 12 s");
  expect(inText(5, 5)).toBe("now");
});

describe("the differences between two texts", () => {
  const draw = (before: string, after: string): string[] =>
    diffLines(before, after).map(({ kind, text }) => `${{ same: " ", removed: "-", added: "+" }[kind]}${text}`);

  test("name what went, what came and what stayed", () => {
    expect(draw("a\nb\nc", "a\nx\nc\nd")).toEqual([" a", "-b", "+x", " c", "+d"]);
    expect(draw("", "a")).toEqual(["+a"]);
    expect(draw("a", "")).toEqual(["-a"]);
    expect(draw("same", "same")).toEqual([" same"]);
  });

  test("make the one text of the other, whatever they are", () => {
    for (let seed = 0; seed < 300; seed++) {
      const pick = createPick(`diff ${seed}`);
      const text = () => Array.from({ length: pick.below(12) }, () => pick.of(["a", "b", "c"])).join("\n");
      const [before, after] = [text(), text()];
      const lines = diffLines(before, after);
      const keep = (not: string) => lines.filter(({ kind }) => kind !== not).map((line) => line.text);
      expect(keep("added").join("\n")).toBe(before);
      expect(keep("removed").join("\n")).toBe(after);
    }
  });
});

test("the error of a step stands where its bar leaves room for it", async () => {
  const scale = new Scale({ startedAt: 0, endedAt: 1000, idle: [] });
  const drawn = async (startedAt: number, endedAt: number) => {
    const error = { name: "Error", message: "503" };
    const draft: Bar = {
      ...{
        index: 0,
        key: "run:a",
        kind: "run",
        name: "a",
        status: "failed",
        startedAt,
        endedAt,
        until: null,
        child: null,
      },
      ...{ attempts: [], attemptCount: 1, attemptLimit: null, error, rejected: [], firstSeq: 1, lastSeq: 2 },
    };
    return String(await Track({ bar: draft, scale, now: 1000, why: error.message }));
  };
  expect(await drawn(0, 400)).toMatch(/<text class="why" y="22" x="40.000%" dx="8">503<\/text>/);
  expect(await drawn(600, 1000)).toMatch(/<text class="why" y="22" x="60.000%" dx="-8" text-anchor="end">503<\/text>/);
  expect(await drawn(300, 700)).not.toContain("503");
});
