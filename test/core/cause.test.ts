/** What failed runs have in common. */
import { describe, expect, test } from "vitest";
import { Causes, outline } from "../../src/core/cause.ts";
import type { Failure } from "../../src/core/cause.ts";

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
  ])("tells %j from %j", (one, other) => {
    expect(outline(one)).not.toBe(outline(other));
  });

  test("takes no longer for a long message", () => {
    const begunAt = performance.now();
    outline("a".repeat(5_000_000));
    expect(performance.now() - begunAt).toBeLessThan(100);
  });
});

describe("causes", () => {
  test("count failures, know the first and the newest, and put the most frequent first", () => {
    const causes = new Causes(100);
    causes.add(failure("b", { at: 30, error: { message: "order 2", step: "charge#2", code: "step_failed" } }));
    causes.add(failure("c", { at: 10, error: { message: "order 3", step: "charge", code: "step_failed" } }));
    causes.add(failure("a", { at: 20, error: { message: "order 1", step: "charge#11", code: "step_failed" } }));
    causes.add(failure("d", { at: 99, error: { message: "order 1" } }));
    expect(causes.top(10)).toEqual([
      {
        workflow: "pay",
        code: "step_failed",
        step: "charge",
        message: "order 2",
        count: 3,
        firstAt: 10,
        lastAt: 30,
        run: "b",
      },
      { workflow: "pay", code: null, step: null, message: "order 1", count: 1, firstAt: 99, lastAt: 99, run: "d" },
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
