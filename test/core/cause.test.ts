/** What failed runs have in common. */
import { describe, expect, test } from "vitest";
import type { StoredError } from "../../src/core/error.ts";
import { Causes, causeOf, familiesOf, isCauseId, originOf, outline } from "../../src/core/listing/cause.ts";
import type { Failure } from "../../src/core/listing/cause.ts";
import type { Cause } from "../../src/core/service/directory.ts";
import { cpuMs } from "./usage.ts";

function failure(run: string, over: Partial<Failure> = {}): Failure {
  return { run, workflow: "pay", error: { message: "no", code: "step_failed", step: "charge" }, at: 1, ...over };
}

describe("the outline of a message", () => {
  test.each([
    ["order 17 failed", "order 4711 failed"],
    ["run 01K3ZABC is gone", "run 01J9QXYZ is gone"],
    ["took 1.5 s", "took 12 s"],
    ["no route to 10.0.0.1:8787", "no route to 192.168.1.20:80"],
    ["id 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "id 9b2d6f0a-1111-4222-8333-abcdefabcdef"],
    ["child run order.mwtahkml.validate.mwtahkmn.pay failed", "child run order.m5x2k1a0.validate.m5x2k1a1.pay failed"],
    ["at 2026-03-01T09:00:00Z", "at 2025-12-24T18:30:00Z"],
    ["", ""],
  ])("is the same for %j and %j", (one, other) => {
    expect(outline(one)).toBe(outline(other));
  });

  test.each([
    ["card declined", "card expired"],
    ["order 17 failed", "invoice 17 failed"],
    ["HTTP 503", "HTTP 503 twice"],
    ["größer", "grösser"],
    ["child run order.m5x2k1a0.validate.m5x2k1a1.pay failed", "child run order.m5x2k1a0.dispatch.m5x2k1a1.pay failed"],
  ])("tells %j from %j", (one, other) => {
    expect(outline(one)).not.toBe(outline(other));
  });

  test("takes no longer for a long message", () => {
    const before = cpuMs();
    outline("a".repeat(5_000_000));
    expect(cpuMs() - before).toBeLessThan(100);
  });
});

describe("the id of a cause", () => {
  const idOf = (over: Partial<Failure>): string => causeOf(failure("r", over));

  test("is fourteen letters and digits, whatever the failure says", () => {
    const errors: (Failure["error"] | null)[] = [
      null,
      { message: "" },
      { message: "größer 😀 \ud800", code: 'odd "code"' },
      { message: "a".repeat(100_000), step: "s#2" },
    ];
    const ids = errors.map((error) => causeOf({ workflow: "pay", error }));
    expect(ids.filter(isCauseId)).toEqual(ids);
    for (const text of ["", "abc", "A".repeat(14), `${ids[0]} `, `${ids[0]}\n`]) expect(isCauseId(text)).toBe(false);
  });

  test("stays what it was: links to it are about", () => {
    expect(idOf({ error: { message: "order 17 was declined", code: "step_failed", step: "charge" } })).toBe(
      "1sst87x1hp4mzq",
    );
    expect(causeOf({ workflow: "pay", error: null })).toBe("038jwyz13fzo2o");
  });

  test("is the same whatever the numbers of the message and the call of the step, and however much of it was kept", () => {
    const one = idOf({ error: { message: "order 7", code: "c", step: "charge" } });
    expect(idOf({ error: { message: "order 4711", code: "c", step: "charge#12" } })).toBe(one);
    const long = `run 7 ${"of many words ".repeat(300)}`;
    expect(idOf({ error: { message: `${long.slice(0, 1000)}…` } })).toBe(idOf({ error: { message: long } }));
    expect(idOf({ error: { message: long.replace("7", "1234567") } })).toBe(idOf({ error: { message: long } }));
    expect(idOf({ error: { message: "" } })).toBe(causeOf({ workflow: "pay", error: null }));
  });

  test("is another one for another workflow, code, step or message", () => {
    const words = Array.from({ length: 3 }, (_, index) => "abc".charAt(index));
    const steps = [undefined, ...words];
    const ids = words.flatMap((workflow) =>
      words.flatMap((message) =>
        steps.flatMap((code) =>
          steps.map((step) =>
            causeOf({
              workflow,
              error: { message, ...(code === undefined ? {} : { code }), ...(step === undefined ? {} : { step }) },
            }),
          ),
        ),
      ),
    );
    expect(new Set(ids).size).toBe(3 * 3 * 4 * 4);
    const letters = (index: number): string => index.toString(26).replace(/\d/g, (digit) => "qrstuvwxyz"[+digit] ?? "");
    const many = Array.from({ length: 100_000 }, (_, index) => idOf({ error: { message: letters(index) } }));
    expect(new Set(many).size).toBe(many.length);
  });
});

/** Of no workflow: an error of a child does not say of which it was. */
function rootOf(error: Failure["error"]): string {
  return causeOf({ workflow: "", error });
}

describe("causes", () => {
  test("count failures, know the first and the newest, and put the most frequent first", () => {
    const causes = new Causes(100);
    causes.add(failure("b", { at: 30, error: { message: "order 2", step: "charge#2", code: "step_failed" } }));
    causes.add(failure("c", { at: 10, error: { message: "order 3", step: "charge", code: "step_failed" } }));
    causes.add(failure("a", { at: 20, error: { message: "order 1", step: "charge#11", code: "step_failed" } }));
    causes.add(failure("d", { at: 99, error: { message: "order 1" } }));
    expect(causes.top(10)).toEqual([
      {
        id: causeOf(failure("b", { error: { message: "order 2", step: "charge", code: "step_failed" } })),
        workflow: "pay",
        code: "step_failed",
        step: "charge",
        message: "order 2",
        count: 3,
        firstAt: 10,
        lastAt: 30,
        run: "b",
        root: rootOf({ message: "order 2", step: "charge", code: "step_failed" }),
        depth: 0,
      },
      {
        id: causeOf(failure("d", { error: { message: "order 1" } })),
        workflow: "pay",
        code: null,
        step: null,
        message: "order 1",
        count: 1,
        firstAt: 99,
        lastAt: 99,
        run: "d",
        root: rootOf({ message: "order 1" }),
        depth: 0,
      },
    ]);
    expect(causes.top(1)).toHaveLength(1);
  });

  test("added up in parts are the same as added up at once, whatever the order", () => {
    const all = Array.from({ length: 300 }, (_, index) =>
      failure(`r${index}`, {
        at: (index * 7919) % 101,
        workflow: `w${index % 3}`,
        error: { message: `${["declined", "lost"][index % 2]} ${index}`, code: `c${index % 5}` },
      }),
    );
    const whole = new Causes(1000);
    for (const each of all) whole.add(each);
    const merged = new Causes(1000);
    for (const remainder of [2, 0, 1]) {
      const part = new Causes(1000);
      for (const [index, each] of all.entries()) if (index % 3 === remainder) part.add(each);
      for (const cause of part.top(1000)) merged.merge(cause);
    }
    expect(merged.top(1000)).toEqual(whole.top(1000));
  });

  test("beyond the limit are left out, and those that are known go on to be counted", () => {
    const causes = new Causes(2);
    for (const message of ["a", "b", "c", "a"]) causes.add(failure("r", { error: { message } }));
    expect(causes.top(10).map(({ message, count }) => [message, count])).toEqual([
      ["a", 2],
      ["b", 1],
    ]);
  });
});

describe("the failure of a child is one, however many runs failed of it", () => {
  const declined: StoredError = { name: "Error", message: "declined", code: "step_failed", step: "charge" };
  const passed = (cause: StoredError, message = `child run r1 failed: ${cause.message}`): StoredError => {
    return { name: "ChildFailed", message, code: "child_failed", step: "pay", child: "r1", cause };
  };
  const familiesIn = (...failures: readonly (readonly [workflow: string, error: StoredError])[]): unknown => {
    const causes = new Causes(100);
    for (const [index, [workflow, error]] of failures.entries())
      causes.add({ run: `r${index}`, workflow, error, at: index });
    return familiesOf(causes.top(100)).map(({ cause, parents }) => [
      `${cause.workflow} ${cause.count}`,
      ...parents.map(({ workflow, count }) => `${workflow} ${count}`),
    ]);
  };

  test("its parents stand with it, also one that failed more often", () => {
    const failures = [
      ["batch", passed(passed(declined))],
      ["order", passed(declined)],
      ["order", passed(declined)],
    ] as const;
    expect(familiesIn(["pay", declined], ...failures)).toEqual([["pay 1", "order 2", "batch 1"]]);
  });

  test("without it, as in a list of one workflow, or where it was cancelled, the nearest parent stands for it", () => {
    expect(familiesIn(["batch", passed(passed(declined))], ["order", passed(declined)])).toEqual([
      ["order 1", "batch 1"],
    ]);
  });

  test("where it may be that of several, each is left to itself", () => {
    expect(familiesIn(["order", passed(declined)], ["pay", declined], ["pay-later", declined])).toEqual([
      ["pay-later 1"],
      ["pay 1"],
      ["order 1"],
    ]);
    expect(familiesIn(["order", passed(declined)], ["pay", { ...declined, message: "lost" }])).toEqual([
      ["pay 1"],
      ["order 1"],
    ]);
  });

  test("where a child did not end in time, or could not be started, it is its parent that failed", () => {
    const message = "child run r1 did not end within the timeout of 5 s";
    const late = passed({ name: "TimeoutError", message, code: "step_timeout" }, message);
    expect(originOf(late)).toBeNull();
    expect(originOf(passed(late))).toEqual({ error: late, run: "r1", depth: 1 });
    const { child: _child, ...refused } = passed({ name: "Error", message: "no such workflow" });
    expect(originOf(refused)).toBeNull();
    expect(originOf(passed(passed(declined)))).toEqual({ error: declined, run: "r1", depth: 2 });
  });

  test("a shard of older code does not tell where a failure began: it is left to itself", () => {
    const causes = new Causes(100);
    causes.add({ run: "r1", workflow: "pay", error: declined, at: 1 });
    const [{ root: _root, depth: _depth, ...told }] = causes.top(1) as [Cause];
    const merged = new Causes(100);
    merged.merge({ ...told, workflow: "other" });
    for (const each of causes.top(1)) merged.merge(each);
    expect(familiesOf(merged.top(10)).map(({ parents }) => parents)).toEqual([[], []]);
  });
});
