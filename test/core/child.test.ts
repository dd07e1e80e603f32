import { describe, expect, test } from "vitest";
import { childFailure, childId, childTimeout, nextAskAt } from "../../src/core/lifecycle/child.ts";
import { checkRunId } from "../../src/core/name.ts";

const birth = { parent: "order-7", createdAt: Date.UTC(2026, 0, 5), step: "ship", episode: 0 };

describe("the id of a child", () => {
  test("names its parent, the life of it, and the step", () => {
    const life = birth.createdAt.toString(36);
    expect(childId(birth)).toBe(`order-7.${life}.ship`);
    expect(childId({ ...birth, step: "ship#2" })).toBe(`order-7.${life}.ship:2`);
    expect(childId({ ...birth, step: "ship#2", episode: 31 })).toBe(`order-7.${life}.ship:2.31`);
  });

  test("is a run id, and no two calls share one, whatever they are called", () => {
    const steps = [
      "a b",
      "a-b",
      "a_b",
      "a b#2",
      "a:2",
      "a#2",
      "a.2",
      "ä",
      "ö",
      "#1#1",
      "-",
      "x".repeat(256),
      "x".repeat(255),
    ];
    const parents = ["p", "p.1", `p${"q".repeat(127)}`, `p${"q".repeat(126)}r`];
    const ids = parents.flatMap((parent) =>
      [1, 2].flatMap((createdAt) =>
        [0, 9].flatMap((episode) => steps.map((step) => childId({ parent, createdAt, step, episode }))),
      ),
    );
    for (const id of ids) expect(checkRunId(id)).toBe(id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("stays within its length over generations", () => {
    let id = "root";
    for (let depth = 0; depth < 50; depth++) id = checkRunId(childId({ ...birth, parent: id, step: "again#3" }));
  });
});

describe("when a child is asked after", () => {
  const minuteMs = 60_000;

  test("after five minutes, then twice as late each time, at last once a day", () => {
    const asks = [0];
    for (let i = 0; i < 14; i++) asks.push(nextAskAt(0, asks.at(-1) ?? 0, false));
    const pauses = asks.slice(1).map((at, i) => (at - (asks[i] ?? 0)) / minuteMs);
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440, 1440, 1440, 1440]);
  });

  test("sooner where others may have started it", () => {
    expect([nextAskAt(0, 0, true), nextAskAt(0, 500, true), nextAskAt(0, 1500, true)]).toEqual([500, 1500, 3500]);
  });

  test("from any later moment on, the next of the same moments, found at once", () => {
    const year = 365 * 86_400_000;
    const at = nextAskAt(0, year, false);
    expect(at).toBeGreaterThan(year);
    expect(at).toBeLessThanOrEqual(year + 86_400_000);
    expect(nextAskAt(0, at - 1, false)).toBe(at);
    expect(nextAskAt(0, at, false)).toBe(at + 86_400_000);
    expect(nextAskAt(1000, 0, false)).toBe(1000 + 5 * minuteMs);
  });
});

test("a failure names the child and how it ended, and has the child's error as its cause", () => {
  const child = { id: "c-1", workflow: "mail" };
  const cause = { name: "TypeError", message: "no", code: "handler_failed" };
  expect(childFailure("mail#2", child, "cancelled", cause)).toEqual({
    name: "ChildFailed",
    message: "child run c-1 of workflow mail was cancelled: no",
    code: "child_failed",
    step: "mail#2",
    child: "c-1",
    cause,
  });
  expect(childTimeout("mail", child, 90_000).message).toBe(
    "child run c-1 of workflow mail did not end within the timeout of 1 min 30 s",
  );
});
