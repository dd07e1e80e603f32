import { describe, expect, test } from "vitest";
import { describeMs, toInstant, toMs } from "../../src/core/duration.ts";

const invalid = expect.objectContaining({ name: "HoldfastError", code: "duration_invalid" });

describe("durations", () => {
  test.each<[unknown, number]>([
    [0, 0],
    [-0, 0],
    [1.4, 1],
    [250, 250],
    ["5ms", 5],
    ["90s", 90_000],
    ["1 second", 1000],
    ["1.5 Seconds", 1500],
    ["1.1 s", 1100],
    [".5 m", 30_000],
    ["2 minutes", 120_000],
    ["1 MINUTE", 60_000],
    ["2h", 7_200_000],
    ["1 hour", 3_600_000],
    ["3 days", 259_200_000],
    [" 1 d ", 86_400_000],
    ["2 weeks", 1_209_600_000],
    ["1w", 604_800_000],
    ["0 s", 0],
  ])("%o is %d ms", (duration, ms) => expect(toMs(duration)).toBe(ms));

  test.each<[unknown]>([
    [-1],
    [Number.NaN],
    [Infinity],
    [""],
    [" "],
    ["5"],
    ["s"],
    ["-5 s"],
    ["+5 s"],
    ["5 parsecs"],
    ["5 s 3 ms"],
    ["1e3 s"],
    ["1,5 s"],
    ["101 years"],
    ["5300 weeks"],
    ["9".repeat(400) + "s"],
    [null],
    [undefined],
    [{}],
    [[5]],
    [5n],
    [new Date()],
  ])("%o is refused", (duration) => expect(() => toMs(duration)).toThrow(invalid));

  test("the message names what was given", () => {
    expect(() => toMs("soon", "retry.delay")).toThrow(/retry\.delay "soon"/);
    expect(() => toMs(-5)).toThrow(/-5/);
    expect(() => toMs({})).toThrow("(an object)");
    expect(() => toMs(null)).toThrow("null");
    expect(() => toMs("é".repeat(81))).toThrow(`"${"é".repeat(80)}…"`);
    expect(() => toMs("é".repeat(80))).toThrow(`"${"é".repeat(80)}"`);
  });
});

describe("instants", () => {
  test.each<[unknown, number]>([
    [new Date(5), 5],
    [0, 0],
    [-1.5, -1],
    [8.64e15, 8.64e15],
    ["1970-01-01T00:00:00Z", 0],
    ["1970-01-01t00:00:01.5z", 1500],
    ["1970-01-01T00:00:00.123456Z", 123],
    ["1970-01-01T02:00:00+02:00", 0],
    ["2024-02-29T23:59:59-00:30", Date.UTC(2024, 2, 1, 0, 29, 59)],
    ["0000-01-01T00:00:00Z", -62_167_219_200_000],
  ])("%o is %d", (instant, at) => expect(toInstant(instant)).toBe(at));

  test.each<[unknown]>([
    [new Date(Number.NaN)],
    [Number.NaN],
    [8.64e15 + 1],
    [-Infinity],
    [""],
    ["tomorrow"],
    ["2024-01-01"],
    ["2024-01-01T00:00:00"],
    ["2024-01-01T00:00Z"],
    ["2023-02-29T00:00:00Z"],
    ["2024-04-31T00:00:00Z"],
    ["2024-13-01T00:00:00Z"],
    ["2024-00-01T00:00:00Z"],
    ["2024-01-00T00:00:00Z"],
    ["2024-01-01T24:00:00Z"],
    ["2024-01-01T00:00:00+24:00"],
    [null],
    [{}],
    [5n],
  ])("%o is refused", (instant) => expect(() => toInstant(instant)).toThrow(invalid));
});

test.each<[number, string]>([
  [0, "0 ms"],
  [-5, "0 ms"],
  [250, "250 ms"],
  [999.7, "1 s"],
  [12_000, "12 s"],
  [59_999, "1 min"],
  [252_000, "4 min 12 s"],
  [7_200_000, "2 h"],
  [7_260_000, "2 h 1 min"],
  [86_400_000, "1 day"],
  [97_200_000, "1 day 3 h"],
  [3.9 * 86_400_000, "3 days"],
])("%d ms reads %s", (ms, text) => expect(describeMs(ms)).toBe(text));
