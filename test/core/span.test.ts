import { describe, expect, it } from "vitest";
import type { Entry, Fact } from "../../src/core/history/entry.ts";
import { toOtlp } from "../../src/core/trace/otlp.ts";
import type { Span } from "../../src/core/trace/span.ts";
import { runTrace, spotTrace } from "../../src/core/trace/trace.ts";
import { encode } from "../../src/core/value/value.ts";
import { spansOf } from "../../src/core/trace/tracer.ts";
import { createdFact } from "./created.ts";

const startAt = 1_700_000_000_000;
const caller = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
const sender = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" };

const secret = encode(["a secret"], "");
const one = encode(1, "");

const created: Extract<Fact, { kind: "run.created" }> = {
  ...createdFact,
  ...{ workflow: "order", version: "2", input: secret, labels: { customer: "a secret" } },
};
const traced: Fact = { ...created, trace: `00-${caller.traceId}-${caller.spanId}-01` };
const started: Fact = { kind: "run.started", deployment: "one" };
const boom = { name: "BankError", message: "503", code: "step_failed", stack: "at pay" };

/** A second between each and the next. */
function journal(...facts: readonly Fact[]): Entry[] {
  return facts.map((fact, index) => ({ seq: index + 1, at: startAt + index * 1000, ...fact }));
}

function spans(entries: readonly Entry[], episode = 0): Span[] {
  return [...spansOf(entries, { episode, end: entries.at(-1)?.seq ?? 0 })];
}

function originOf([first]: readonly Entry[]) {
  if (first?.kind !== "run.created") throw new Error("a journal begins with run.created");
  return first;
}

const named = (all: readonly Span[], name: string) => all.filter((span) => span.name === name);

describe("the spans of a run", () => {
  it("are the run, under whoever started it, and every attempt of every step", () => {
    const entries = journal(
      traced,
      started,
      { kind: "step.attempt_failed", step: "pay", attempt: 1, startedAt: startAt + 1500, error: boom, retryAt: 0 },
      { kind: "step.completed", step: "pay", attempt: 2, startedAt: startAt + 2500, result: secret },
      { kind: "run.completed", output: secret },
    );
    const [first, second, run, ...more] = spans(entries);
    expect(more).toEqual([]);
    expect(first).toMatchObject({ name: "pay", startAt: startAt + 1500, endAt: startAt + 2000, error: boom });
    expect(first?.attributes).toMatchObject({ "holdfast.step": "pay", "holdfast.attempt": 1, "holdfast.run": "run-1" });
    expect(first?.events).toEqual([
      {
        name: "exception",
        at: startAt + 2000,
        attributes: { "exception.type": "BankError", "exception.message": "503", "exception.stacktrace": "at pay" },
      },
    ]);
    expect(second).toMatchObject({ name: "pay", error: null, events: [], attributes: { "holdfast.attempt": 2 } });
    expect(run).toMatchObject({
      name: "order",
      trace: runTrace(originOf(entries)),
      parentId: caller.spanId,
      startAt,
      endAt: startAt + 4000,
      attributes: { "holdfast.status": "completed", "holdfast.version": "2" },
    });
    expect([first?.parentId, second?.parentId]).toEqual([run?.trace.spanId, run?.trace.spanId]);
  });

  it("have the ids that the attempts themselves were given", () => {
    const entries = journal(
      created,
      { kind: "step.completed", step: "pay#2", attempt: 3, startedAt: startAt, result: one },
      { kind: "undo.completed", step: "pay#2", attempt: 1, startedAt: startAt },
      { kind: "run.failed", error: boom },
    );
    const call = { id: "pay#2", episode: 0 };
    const [step, undo] = spans(entries);
    expect(step?.trace).toEqual(spotTrace(originOf(entries), { ...call, kind: "run", attempt: 3 }));
    expect(undo?.trace).toEqual(spotTrace(originOf(entries), { ...call, kind: "undo", attempt: 1 }));
  });

  it("tell how long it waited, for what, and how that ended", () => {
    const child = { id: "kid", workflow: "mail" };
    const entries = journal(
      created,
      { kind: "timer.set", name: "nap", call: "nap", wakeAt: 0 },
      { kind: "timer.fired", name: "nap", call: "nap" },
      { kind: "wait.started", name: "yes", call: "yes", until: null },
      { kind: "wait.timed_out", name: "yes", call: "yes", wait: "signal" },
      { kind: "webhook.created", name: "hook", call: "hook", url: "https://a.example/secret", until: null },
      { kind: "webhook.received", name: "hook", call: "hook", request: secret },
      { kind: "child.started", step: "mail", child, until: null, policy: "cancel", startedAt: startAt + 6500 },
      { kind: "child.failed", step: "mail", child, error: boom },
      { kind: "lane.queued", lane: "bank", step: "pay" },
      { kind: "lane.entered", lane: "bank", step: "pay" },
      { kind: "wait.started", name: "no", call: "no", until: null },
      { kind: "wait.withdrawn", calls: [{ call: "wait", id: "no" }] },
      { kind: "timer.set", name: "long", call: "long", wakeAt: 0 },
      { kind: "run.cancelled", error: { name: "Cancelled", message: "", code: "cancelled" }, by: "ana", reason: null },
    );
    const seen = spans(entries).map(({ name, attributes, endAt, startAt }) => [
      name,
      attributes["holdfast.outcome"],
      endAt - startAt,
    ]);
    expect(seen).toEqual([
      ["sleep nap", "fired", 1000],
      ["wait for yes", "timed_out", 1000],
      ["webhook hook", "received", 1000],
      ["run mail", "failed", 1500],
      ["lane bank", "entered", 1000],
      ["wait for no", "withdrawn", 1000],
      ["sleep long", "left", 1000],
      ["order", undefined, 14_000],
    ]);
  });

  it("link to the traces that signals came with, waited for, early or never consumed", () => {
    const trace = `00-${sender.traceId}-${sender.spanId}-01`;
    const signal: Fact = { kind: "signal.received", name: "yes", payload: one, by: "ana", trace };
    const entries = journal(
      created,
      { kind: "wait.started", name: "yes", call: "yes", until: null },
      signal,
      { kind: "signal.consumed", name: "yes", call: "yes", signal: 3 },
      signal,
      { kind: "signal.consumed", name: "yes", call: "yes#2", signal: 5 },
      signal,
      { kind: "run.completed", output: one },
    );
    expect(spans(entries).map(({ name, links }) => [name, links])).toEqual([
      ["wait for yes", [{ ...sender, sampled: true }]],
      ["signal yes", [{ ...sender, sampled: true }]],
      ["order", [{ ...sender, sampled: true }]],
    ]);
  });

  it("of a signal that its schema refused tell why", () => {
    const signal: Fact = { kind: "signal.received", name: "yes", payload: one, by: "ana" };
    const entries = journal(
      created,
      { kind: "wait.started", name: "yes", call: "yes", until: null },
      signal,
      { kind: "signal.consumed", name: "yes", call: "yes", signal: 3, error: boom },
      signal,
      { kind: "signal.consumed", name: "yes", call: "yes#2", signal: 5, error: boom },
      { kind: "run.completed", output: one },
    );
    expect(spans(entries).map(({ name, error }) => [name, error?.message])).toEqual([
      ["wait for yes", boom.message],
      ["signal yes", boom.message],
      ["order", undefined],
    ]);
  });

  it("of a run that went on after its failure are told once, in two parts", () => {
    const failed = journal(
      created,
      { kind: "wait.started", name: "yes", call: "yes", until: null },
      { kind: "step.failed", step: "pay", attempt: 1, startedAt: startAt, error: boom },
      { kind: "run.failed", error: boom },
    );
    const more: Fact[] = [
      { kind: "run.retried", by: "ana", reason: null, cleared: ["pay"] },
      { kind: "step.completed", step: "pay", attempt: 1, startedAt: startAt + 5000, result: one },
      { kind: "run.completed", output: one },
    ];
    const whole = [...failed, ...more.map((fact, i): Entry => ({ seq: i + 5, at: startAt + (i + 4) * 1000, ...fact }))];
    const first = spans(failed);
    const second = spans(whole, 5);
    expect(first.map(({ name }) => name)).toEqual(["pay", "wait for yes", "order"]);
    expect(second.map(({ name }) => name)).toEqual(["pay", "wait for yes", "order retried"]);
    const ids = [...first, ...second].map(({ trace }) => trace.spanId);
    expect(new Set(ids).size).toBe(ids.length);
    const run = named(first, "order")[0];
    const retried = named(second, "order retried")[0];
    expect(retried).toMatchObject({ parentId: run?.trace.spanId, startAt: startAt + 4000, endAt: startAt + 6000 });
    expect(named(second, "wait for yes")[0]).toMatchObject({ startAt: startAt + 4000 });
    expect(named(second, "pay")[0]?.trace).toEqual(
      spotTrace(originOf(whole), { kind: "run", id: "pay", episode: 5, attempt: 1 }),
    );
  });

  it("leave out what a fork copied", () => {
    const fork = { id: "run-0", step: "ship", upTo: 2, reason: null };
    const entries = journal(
      { ...created, fork },
      { kind: "step.completed", step: "pay", attempt: 1, startedAt: startAt, result: one },
      { kind: "step.completed", step: "ship", attempt: 1, startedAt: startAt, result: one },
      { kind: "run.completed", output: one },
    );
    expect(spans(entries).map(({ name }) => name)).toEqual(["ship", "order"]);
  });

  it("are linear in the journal", () => {
    const steps = Array.from({ length: 20_000 }, (_, index): Fact => {
      return { kind: "step.completed", step: `s#${index + 1}`, attempt: 1, startedAt: startAt, result: one };
    });
    const all = spans(journal(created, ...steps, { kind: "run.completed", output: one }));
    expect(new Set(all.map(({ trace }) => trace.spanId)).size).toBe(20_001);
  });
});

describe("spans on the wire", () => {
  const entries = journal(
    traced,
    started,
    { kind: "step.failed", step: "pay", attempt: 1, startedAt: startAt + 1500, error: boom },
    { kind: "run.failed", error: boom },
  );

  it("have the shape of OTLP's JSON", () => {
    const run = runTrace(originOf(entries));
    const json = toOtlp(spans(entries), "shop");
    expect(JSON.parse(JSON.stringify(json))).toEqual({
      resourceSpans: [
        {
          resource: { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] },
          scopeSpans: [
            {
              scope: { name: "holdfast" },
              spans: [
                {
                  traceId: caller.traceId,
                  spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
                  parentSpanId: run.spanId,
                  name: "pay",
                  kind: 1,
                  startTimeUnixNano: `${startAt + 1500}000000`,
                  endTimeUnixNano: `${startAt + 2000}000000`,
                  attributes: expect.arrayContaining([
                    { key: "holdfast.attempt", value: { intValue: "1" } },
                    { key: "error.type", value: { stringValue: "step_failed" } },
                  ]),
                  events: [expect.objectContaining({ name: "exception", timeUnixNano: `${startAt + 2000}000000` })],
                  status: { code: 2, message: "503" },
                },
                expect.objectContaining({ spanId: run.spanId, parentSpanId: caller.spanId, name: "order" }),
              ],
            },
          ],
        },
      ],
    });
  });

  it("hold no value of the run", () => {
    expect(JSON.stringify(toOtlp(spans(entries), "shop"))).not.toContain("a secret");
  });
});
