import { describe, expect, it } from "vitest";
import { formatTrace, givenTrace, parseTrace, runTrace, spotTrace } from "../../src/core/trace/trace.ts";
import type { Origin } from "../../src/core/trace/trace.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const origin: Origin = { id: "run-1", at: 1_700_000_000_000 };

describe("a traceparent", () => {
  it("is read as the specification writes it", () => {
    expect(parseTrace(`00-${traceId}-${spanId}-01`)).toEqual({ traceId, spanId, sampled: true });
    expect(parseTrace(`00-${traceId}-${spanId}-00`)).toEqual({ traceId, spanId, sampled: false });
  });

  it("has one flag that counts, whatever else is set", () => {
    expect(parseTrace(`00-${traceId}-${spanId}-ff`)).toMatchObject({ sampled: true });
    expect(parseTrace(`00-${traceId}-${spanId}-02`)).toMatchObject({ sampled: false });
  });

  it("of a version to come is read as far as it is known", () => {
    expect(parseTrace(`cc-${traceId}-${spanId}-01`)).toMatchObject({ traceId, spanId });
    expect(parseTrace(`cc-${traceId}-${spanId}-01-what-the-future-will-be-like`)).toMatchObject({ traceId, spanId });
    expect(parseTrace(`cc-${traceId}-${spanId}-01.what`)).toBeNull();
  });

  it.for([
    ["nothing", ""],
    ["a version that is forbidden", `ff-${traceId}-${spanId}-01`],
    ["more than version 00 has", `00-${traceId}-${spanId}-01-more`],
    ["a dash behind it", `00-${traceId}-${spanId}-01-`],
    ["a trace of zeros", `00-${"0".repeat(32)}-${spanId}-01`],
    ["a span of zeros", `00-${traceId}-${"0".repeat(16)}-01`],
    ["upper case", `00-${traceId.toUpperCase()}-${spanId}-01`],
    ["a short trace", `00-${traceId.slice(1)}-${spanId}-01`],
    ["a long span", `00-${traceId}-${spanId}a-01`],
    ["a flag of one digit", `00-${traceId}-${spanId}-1`],
    ["a flag that is no number", `00-${traceId}-${spanId}-0x`],
    ["no flags", `00-${traceId}-${spanId}`],
    ["two of them", `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`],
    ["a line break", `00-${traceId}-${spanId}-01\n`],
  ])("with %s is none", ([, text]) => {
    expect(parseTrace(text ?? "")).toBeNull();
  });

  it("is written as it was read", () => {
    const text = `00-${traceId}-${spanId}-01`;
    expect(formatTrace(parseTrace(text) ?? { traceId: "", spanId: "", sampled: false })).toBe(text);
  });
});

describe("the trace of a run", () => {
  it("is that of whoever started it, with a span of its own", () => {
    const started = { ...origin, trace: `00-${traceId}-${spanId}-00` };
    const own = runTrace(started);
    expect(own).toMatchObject({ traceId, sampled: false });
    expect(own.spanId).not.toBe(spanId);
    expect(givenTrace(started)).toMatchObject({ spanId });
  });

  it("is its own where none was given, valid, and the same for ever", () => {
    const own = runTrace(origin);
    expect(parseTrace(formatTrace(own))).toEqual({ ...own, sampled: true });
    expect(runTrace({ ...origin })).toEqual(own);
    // Golden: traces that are out in the world refer to it.
    expect(formatTrace(own)).toBe("00-aff03d18630f476a995f37d86461b97f-947c8234cb5b7b5b-01");
  });

  it("is another for another run, also of the same id", () => {
    const ids = [origin, { ...origin, id: "run-2" }, { ...origin, at: origin.at + 1 }].map((run) => runTrace(run));
    expect(new Set(ids.map(({ traceId }) => traceId)).size).toBe(3);
    expect(new Set(ids.map(({ spanId }) => spanId)).size).toBe(3);
  });

  it("stays when the run goes on as new", () => {
    const renewed = { ...origin, at: origin.at + 5000, continuation: { count: 1, createdAt: origin.at, keys: [] } };
    expect(runTrace(renewed)).toEqual(runTrace(origin));
  });

  it("has a span for every attempt of every call of every life", () => {
    const spots = [origin, { ...origin, at: origin.at + 1 }].flatMap((life) =>
      (["run", "undo", "child", "sleep"] as const).flatMap((kind) =>
        ["a", "a#2", "b"].flatMap((id) =>
          [0, 7].flatMap((episode) => [1, 2].map((attempt) => spotTrace(life, { kind, id, episode, attempt }).spanId)),
        ),
      ),
    );
    expect(new Set(spots).size).toBe(spots.length);
    expect(spots.every((id) => /^[0-9a-f]{16}$/.test(id) && id !== "0".repeat(16))).toBe(true);
  });
});
