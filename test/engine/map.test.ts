import { describe, expect, test } from "vitest";
import { NonRetryableError } from "../../src/core/error.ts";
import type { MapOptions } from "../../src/core/definition/options.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { cpuMs } from "../core/usage.ts";
import { caught } from "./caught.ts";
import type { Caught } from "./caught.ts";
import { Family } from "./family.ts";
import { Host, act, play, startAt } from "./host.ts";
import { define } from "./memory.ts";

const once = { retry: { limit: 0 } } as const;

/** Items from 0 on. */
function count(items: number): number[] {
  return Array.from({ length: items }, (_unused, i) => i);
}

/** A function that fails for these items. */
function failing(...bad: number[]): (item: number) => number {
  return (item) => {
    if (bad.includes(item)) throw new Error(`no ${item}`);
    return item * 10;
  };
}

describe("items", () => {
  test("guarantee 2: each is a step of its own, in the order of the items", async () => {
    const host = await play(async (_input, step) => {
      const seen: unknown[] = [];
      const results = await step.map("square", [3, 4, 5], (item, { index, attempt, idempotencyKey, signal }) => {
        seen.push([item, index, attempt, idempotencyKey.split(":").at(-1), signal.aborted]);
        return item ** 2;
      });
      return { results, seen };
    });
    expect(host.output).toEqual({
      results: [9, 16, 25],
      seen: [
        [3, 0, 1, "square", false],
        [4, 1, 1, "square#2", false],
        [5, 2, 1, "square#3", false],
      ],
    });
    expect(host.entries("step.completed").map(({ step }) => step)).toEqual(["square", "square#2", "square#3"]);
  });

  test("another map of the same name, and steps of that name, are counted on", async () => {
    const host = await play(async (_input, step) => {
      await step.map("a", [1, 2], (item) => item);
      await step.run("a", () => 3);
      await step.map("a", [4], (item) => item);
    });
    expect(host.entries("step.completed").map(({ step }) => step)).toEqual(["a", "a#2", "a#3", "a#4"]);
  });

  test("none are no steps", async () => {
    const host = await play(async (_input, step) => [
      await step.map("none", [], () => 1),
      await step.map("none", [], () => 1, { settled: true }),
    ]);
    expect(host.output).toEqual([[], []]);
    expect(host.snapshot.steps.completed).toBe(0);
  });

  test("what can be gone through is taken once, as it was when the map was called", async () => {
    const host = await play(async (_input, step) => {
      const items = [1, 2, 3];
      const mapped = step.map("array", items, (item) => item, { concurrency: 1 });
      items.length = 0;
      return [await mapped, await step.map("set", new Set(["a", "b"]) as never, (item: string) => item)];
    });
    expect(host.output).toEqual([
      [1, 2, 3],
      ["a", "b"],
    ]);
  });

  test("results that are not there, and holes, keep their places", async () => {
    // oxlint-disable-next-line no-sparse-arrays
    const host = await play((_input, step) => step.map("x", [1, , 3] as unknown[], (item) => item));
    expect(host.output).toEqual([1, undefined, 3]);
  });
});

describe("what is not right is refused", () => {
  const refusals: [string, unknown[]][] = [
    ["name_invalid", ["", [1], () => 1]],
    ["name_invalid", [7, [1], () => 1]],
    ["options_invalid", ["x", undefined, () => 1]],
    ["options_invalid", ["x", 3, () => 1]],
    ["options_invalid", ["x", "text", () => 1]],
    ["options_invalid", ["x", { length: 2 }, () => 1]],
    ["options_invalid", ["x", [1], undefined]],
    ["options_invalid", ["x", [1], { id: "no workflow" }]],
    ["options_invalid", ["x", [1], () => 1, null]],
    ["options_invalid", ["x", [1], () => 1, 5]],
    ["options_invalid", ["x", [1], () => 1, { window: 5 }]],
    ["options_invalid", ["x", [1], () => 1, { concurrency: 0 }]],
    ["options_invalid", ["x", [1], () => 1, { concurrency: 1.5 }]],
    ["options_invalid", ["x", [1], () => 1, { concurrency: null }]],
    ["options_invalid", ["x", [1], () => 1, { tolerate: -1 }]],
    ["options_invalid", ["x", [1], () => 1, { tolerate: -0.1 }]],
    ["options_invalid", ["x", [1], () => 1, { tolerate: Number.NaN }]],
    ["options_invalid", ["x", [1], () => 1, { tolerate: 1.5 }]],
    ["options_invalid", ["x", [1], () => 1, { tolerate: "5%" }]],
    ["options_invalid", ["x", [1], () => 1, { settled: 1 }]],
    ["options_invalid", ["x", [1], () => 1, { retry: { limit: -1 } }]],
    ["duration_invalid", ["x", [1], () => 1, { timeout: "soon" }]],
    ["options_invalid", ["x", [], () => 1, { concurrency: 0 }]],
  ];
  test.each(refusals)("%s: %j", async (code, args) => {
    const host = await play(async (_input, step) => {
      const map = step.map as (...args: unknown[]) => Promise<unknown>;
      return (await caught(() => map(...args))).code;
    });
    expect(host.output).toBe(code);
    expect(host.journal.kinds).not.toContain("step.completed");
  });
});

describe("concurrency", () => {
  /** How many items were at work at once, for items that take some time. */
  async function width(
    items: number,
    options: Pick<MapOptions, "concurrency"> = {},
  ): Promise<{ most: number; order: number[] }> {
    let now = 0;
    let most = 0;
    const order: number[] = [];
    const host: Host = new Host((_input, step) =>
      step.map(
        "x",
        count(items),
        async (item) => {
          order.push(item);
          most = Math.max(most, ++now);
          await host.clock.after(((item * 7) % 5) * 100 + 1);
          now--;
        },
        options,
      ),
    );
    await host.drive();
    expect(host.status).toBe("completed");
    return { most, order };
  }

  test.each([
    [undefined, 40, 10],
    [{ concurrency: 1 }, 5, 1],
    [{ concurrency: 3 }, 40, 3],
    [{ concurrency: 1000 }, 40, 40],
    [{ concurrency: Infinity }, 40, 40],
  ])("%j: of %i items, %i at once", async (options, items, expected) => {
    const { most, order } = await width(items, options);
    expect(most).toBe(expected);
    expect(order).toEqual(count(items));
  });

  test("the next begins as soon as one settles, whichever it is", async () => {
    const host: Host = new Host((_input, step) =>
      step.map("x", [1000, 100, 100, 100], async (ms) => host.clock.after(ms), { concurrency: 2 }),
    );
    await host.drive();
    expect(host.entries("step.completed").map(({ step, at }) => [step, at - startAt])).toEqual([
      ["x#2", 100],
      ["x#3", 200],
      ["x#4", 300],
      ["x", 1000],
    ]);
  });

  test("an item that waits for its next attempt keeps its place", async () => {
    const host: Host = new Host((_input, step) =>
      step.map(
        "x",
        [1, 2, 3],
        (item, { attempt }) => {
          if (item === 1 && attempt === 1) throw new Error("once");
          return host.clock.at - startAt;
        },
        { concurrency: 1, retry: { delay: 5000, jitter: 0 } },
      ),
    );
    await host.drive();
    expect(host.output).toEqual([5000, 5000, 5000]);
  });
});

describe("failures", () => {
  test("the first ends the map: what has not begun never begins, what is in flight ends", async () => {
    const begun: number[] = [];
    const host: Host = new Host(async (_input, step) => {
      const error = await caught(() =>
        step.map(
          "pay",
          count(9),
          async (item) => {
            begun.push(item);
            await host.clock.after(item === 1 ? 10 : 50);
            if (item === 1) throw new Error("declined", { cause: new TypeError("no card") });
          },
          { ...once, concurrency: 3 },
        ),
      );
      return { error, index: error.errors?.map(({ index }) => index), at: host.clock.at - startAt };
    });
    await host.drive();
    expect(begun).toEqual([0, 1, 2]);
    expect(host.entries("step.completed").map(({ step }) => step)).toEqual(["pay", "pay#3"]);
    expect(host.output).toMatchObject({ at: 50 });
  });

  test("the error tells how many, of what, and each by its index", async () => {
    let error: Caught | undefined;
    await play(async (_input, step) => {
      error = await caught(() => step.map("pay", count(1000), failing(7, 400, 900), { ...once, tolerate: 2 }));
    });
    expect(error).toMatchObject({ name: "HoldfastError", code: "map_failed", step: "pay" });
    expect(error?.message).toBe('3 of 1000 items of "pay" failed; the first: no 7');
    const { errors = [] } = error ?? {};
    expect(Object.keys(errors)).toEqual(["7", "400", "900"]);
    expect(errors[400]).toMatchObject({
      message: "no 400",
      index: 400,
      code: "step_failed",
      step: "pay#401",
      attempts: 1,
    });
    expect(error).toBeInstanceOf(Error);
  });

  test("guarantee 8: a run that fails of it says so, and its error comes back sparse", async () => {
    const { reviveError } = await import("../../src/core/error.ts");
    const host = await play((_input, step) => step.map("pay", count(20), failing(3, 11), { ...once, concurrency: 20 }));
    expect(host.status).toBe("failed");
    const stored = host.snapshot.error;
    expect(stored).toMatchObject({
      code: "map_failed",
      step: "pay",
      message: '2 of 20 items of "pay" failed; the first: no 3',
      errors: [
        { index: 3, step: "pay#4", code: "step_failed" },
        { index: 11, step: "pay#12", code: "step_failed" },
      ],
    });
    const revived = stored === null ? undefined : (reviveError(stored) as Caught);
    expect(Object.keys(revived?.errors ?? [])).toEqual(["3", "11"]);
    expect(revived?.errors?.[11]).toMatchObject({ index: 11, message: "no 11" });
  });

  test("an item fails for good only after its attempts", async () => {
    const host = await play((_input, step) =>
      step.map(
        "x",
        [1, 2],
        (_item, { attempt, index }) => {
          if (index === 1 && attempt < 3) throw new Error("not yet");
          return attempt;
        },
        { retry: { limit: 2 } },
      ),
    );
    expect(host.output).toEqual([1, 3]);
  });

  test("calls beyond a limit fail as items do", async () => {
    const flow = define(
      async (_input, step) =>
        await caught(() => step.map("x", count(8), (item) => item)).then((error) => [
          error.code,
          error.errors?.[5]?.code,
        ]),
      { limits: { steps: 100, perStep: { x: 5 } } },
    );
    expect((await play(flow)).output).toEqual(["map_failed", "limit_exceeded"]);
  });
});

describe("tolerance", () => {
  const all = { ...once, concurrency: 1 };

  test.each([
    [2, [1, 3], "within"],
    [2, [1, 3, 5], "beyond"],
    [0, [0], "beyond"],
    [0.05, [1], "within"],
    [0.05, [1, 2], "beyond"],
    [0.29, count(5), "within"],
    [0.29, count(6), "beyond"],
    [0.04, [0], "beyond"],
    [Infinity, count(20), "within"],
    [1, [4], "within"],
    [1, [4, 5], "beyond"],
  ])("of 20 items %d may fail: %j is %s", async (tolerate, bad, expected) => {
    const host = await play(async (_input, step) => {
      const results = step.map("x", count(20), failing(...bad), { ...all, tolerate });
      return await results.catch((error: Caught) => error.code);
    });
    const within = count(20).map((item) => (bad.includes(item) ? undefined : item * 10));
    expect(host.output).toEqual(expected === "within" ? within : "map_failed");
  });

  test("a share of many items is what it is in decimals", async () => {
    const host = await play(async (_input, step) => {
      const bad = failing(...count(29));
      return (await step.map("x", count(100), bad, { ...all, tolerate: 0.29 })).filter((each) => each !== undefined)
        .length;
    });
    expect(host.output).toBe(71);
  });

  test("settled answers as Promise.allSettled does and does not reject", async () => {
    const host = await play(async (_input, step) => {
      const settled = await step.map("x", count(3), failing(0, 2), { ...all, settled: true });
      return settled.map((each) => (each.status === "fulfilled" ? each.value : (each.reason as Error).message));
    });
    expect(host.output).toEqual(["no 0", 10, "no 2"]);
  });

  test("settled rejects where a tolerance is given and passed", async () => {
    const host = await play(async (_input, step) => {
      const some = await step.map("x", count(3), failing(0), { ...all, settled: true, tolerate: 1 });
      const error = await caught(() => step.map("x", count(3), failing(0), { ...all, settled: true, tolerate: 0 }));
      return [some.map(({ status }) => status), error.code];
    });
    expect(host.output).toEqual([["rejected", "fulfilled", "fulfilled"], "map_failed"]);
  });
});

describe("options of its steps", () => {
  test("undo hears of the item, the last completed first", async () => {
    const undone: unknown[] = [];
    const host = await play(async (_input, step) => {
      await step.map("book", ["a", "b", "c"], (item) => `${item}!`, {
        concurrency: 1,
        undo: (result, { item, index, attempt }) => void undone.push([result, item, index, attempt]),
      });
      throw new NonRetryableError("too late");
    });
    expect(host.status).toBe("failed");
    expect(undone).toEqual([
      ["c!", "c", 2, 1],
      ["b!", "b", 1, 1],
      ["a!", "a", 0, 1],
    ]);
  });

  test("sensitive, atMostOnce and onExhausted are theirs", async () => {
    const host = await play((_input, step) =>
      step.map("x", [1, 2], failing(2), { ...once, sensitive: true, atMostOnce: true, onExhausted: "pause" }),
    );
    expect(host.status).toBe("paused");
    expect(host.entries("step.completed")[0]).toMatchObject({ step: "x", sensitive: true });
    expect(host.entries("step.attempt_started").map(({ step }) => step)).toEqual(["x", "x#2"]);
  });

  test("the timeout is of each attempt", async () => {
    const host: Host = new Host(async (_input, step) => {
      const slow = (ms: number) => host.clock.after(ms);
      const error = await caught(() => step.map("x", [10, 500], slow, { ...once, timeout: 100 }));
      return error.errors?.[1]?.code;
    });
    expect((await host.drive()).output).toBe("step_timeout");
  });
});

describe("a run that is cancelled", () => {
  test.each([{ settled: true as const }, { tolerate: 0.9 }])("begins no further item: %j", async (options) => {
    const begun: number[] = [];
    let ended: Caught | undefined;
    const host: Host = new Host(async (_input, step) => {
      const work = (item: number): Promise<void> => {
        begun.push(item);
        return host.clock.after(1000);
      };
      ended = await caught(() => step.map("x", count(30), work, { ...options, concurrency: 3 }));
      throw ended;
    });
    host.plan(startAt + 1500, (run) => act(run, "cancel"));
    await host.drive();
    expect(begun).toEqual([0, 1, 2, 3, 4, 5]);
    expect(ended?.code).toBe("cancelled");
    expect(host.status).toBe("cancelled");
  });
});

describe("a run that is retried", () => {
  test("guarantee 2: only failed items and those not begun run again", async () => {
    const ran: number[] = [];
    let healed = false;
    const host = new Host(async (_input, step: Step) => {
      const work = (item: number): number => {
        ran.push(item);
        if (!healed && (item === 2 || item === 5)) throw new NonRetryableError("not yet");
        return item;
      };
      return await step.map("x", count(30), work, { concurrency: 4, tolerate: 1 });
    });
    await host.drive();
    expect(host.status).toBe("failed");
    const first = ran.splice(0);
    expect(first.length).toBeLessThan(30);
    healed = true;
    await act(host.run, "retry");
    await host.drive();
    expect(host.output).toEqual(count(30));
    expect(ran.toSorted((one, other) => one - other)).toEqual(
      count(30).filter((item) => item === 2 || item === 5 || !first.includes(item)),
    );
  });

  test("also where more items failed than the run's error tells of", async () => {
    let healed = false;
    const ran: number[] = [];
    const work = (item: number): number => {
      ran.push(item);
      if (!healed && item % 2 === 1) throw new NonRetryableError(`no ${item}`);
      return item;
    };
    const host = new Host((_input, step) => step.map("x", count(1000), work, { concurrency: 1000 }));
    await host.drive();
    expect(host.snapshot.error?.errors?.length).toBeLessThan(300);
    healed = true;
    ran.length = 0;
    await act(host.run, "retry");
    await host.drive();
    expect(host.status).toBe("completed");
    expect(ran).toEqual(count(1000).filter((item) => item % 2 === 1));
  });

  test("the map's error as a cause is enough", async () => {
    let healed = false;
    const host = new Host(async (_input, step) => {
      await step
        .map("x", [1, 2], (item) => (item === 2 && !healed ? Promise.reject(new NonRetryableError("no")) : item))
        .catch((cause: unknown) => {
          throw new Error("the batch failed", { cause });
        });
      return "done";
    });
    await host.drive();
    expect(host.entries("run.failed")[0]?.error).toMatchObject({
      code: "handler_failed",
      cause: { code: "map_failed" },
    });
    healed = true;
    await act(host.run, "retry");
    expect(host.entries("run.retried")[0]?.cleared).toEqual(["x#2"]);
    expect((await host.drive()).output).toBe("done");
  });

  test("an error of the handler's own that tells of no step frees every step that failed", async () => {
    let healed = false;
    const host = new Host(async (_input, step) => {
      const work = (): string => {
        if (!healed) throw new NonRetryableError("no");
        return "yes";
      };
      const [one, two] = await Promise.allSettled([
        step.run("one", work),
        step.run("two", work),
        step.run("three", () => 3),
      ]);
      if (one.status === "rejected" || two.status === "rejected") throw new Error("some are missing");
      return [one.value, two.value];
    });
    await host.drive();
    healed = true;
    await act(host.run, "retry");
    expect(host.entries("run.retried")[0]?.cleared).toEqual(["one", "two"]);
    expect((await host.drive()).output).toEqual(["yes", "yes"]);
  });

  test("a step that failed beside the one that the error tells of is freed with it; one that was dealt with before is not", async () => {
    let healed = false;
    const work = (): string => {
      if (!healed) throw new NonRetryableError("no");
      return "yes";
    };
    const host = new Host(async (_input, step) => {
      const found = await step.run("find", work).catch(() => "made");
      const both = await Promise.all([step.run("one", work), step.run("two", work)]);
      return [found, ...both];
    });
    await host.drive();
    expect(host.snapshot.error).toMatchObject({ code: "non_retryable", step: "one" });
    healed = true;
    await act(host.run, "retry");
    expect(host.entries("run.retried")[0]?.cleared).toEqual(["one", "two"]);
    expect((await host.drive()).output).toEqual(["made", "yes", "yes"]);
  });

  test("a run that timed out keeps the failures it had dealt with", async () => {
    const flow = define(
      async (_input, step) => {
        const found = await step.run("find", () => Promise.reject(new NonRetryableError("gone"))).catch(() => "made");
        await step.sleep("1 h");
        return found;
      },
      { timeoutMs: 3_000_000 },
    );
    const host = await new Host(flow).drive(startAt + 3_500_000);
    expect(host.snapshot.error?.code).toBe("run_timeout");
    await act(host.run, "retry");
    expect(host.entries("run.retried")[0]?.cleared).toEqual([]);
    expect((await host.drive()).output).toBe("made");
  });
});

describe("a workflow instead of a function", () => {
  const triple = define(
    async (n: number, step) => {
      if (n < 0) throw new NonRetryableError("negative");
      await step.sleep("1 s");
      return n * 3;
    },
    { name: "triple" },
  );

  /** A run that maps these over `triple`. */
  function mapping(numbers: readonly number[], options?: object): Family {
    const parent = define(
      async (_input, step) => {
        const map = step.map as (...args: unknown[]) => Promise<unknown>;
        return await map("child", numbers, { name: "triple" }, options).catch((error: Caught) => [
          error.code,
          error.step,
          error.errors?.map(({ index, code, step: id }) => [index, code, id]),
        ]);
      },
      { name: "parent" },
    );
    return new Family(triple, parent).begin("parent");
  }

  test("makes each item a child run, in the order of the items", async () => {
    const family = await mapping([1, 2, 3, 4, 5], { concurrency: 2 }).drive();
    expect(family.output("parent")).toEqual([3, 6, 9, 12, 15]);
    expect(family.entries("parent", "child.started").map(({ step }) => step)).toEqual([
      "child",
      "child#2",
      "child#3",
      "child#4",
      "child#5",
    ]);
    expect(family.clock.at - startAt).toBeGreaterThanOrEqual(3000);
    expect([...family.made.values()]).toEqual([1, 1, 1, 1, 1]);
  });

  test("tells which child failed", async () => {
    const family = await mapping([1, -2, 3], { concurrency: 1 }).drive();
    expect(family.output("parent")).toEqual(["map_failed", "child", [, [1, "child_failed", "child#2"]]]);
    expect(family.entries("parent", "child.started")).toHaveLength(2);
    const within = await mapping([1, -2, 3], { tolerate: 0.5 }).drive();
    expect(within.output("parent")).toEqual([3, undefined, 9]);
  });

  test.each([
    [{ id: "one-for-all" }, "options_invalid"],
    [{ undo: () => 1 }, "options_invalid"],
    [{ timeout: "soon" }, "duration_invalid"],
    [{ onParentEnd: "forget" }, "options_invalid"],
  ])("%j is refused", async (options, code) => {
    expect((await mapping([1], options).drive()).output("parent")).toEqual([code, undefined, undefined]);
    expect((await mapping([], options).drive()).output("parent")).toEqual([code, undefined, undefined]);
  });

  test("a retry of the run starts only what failed", async () => {
    let healed = false;
    const fragile = define((n: number) => (n === 2 && !healed ? Promise.reject(new Error("no")) : n), {
      name: "fragile",
    });
    const parent = define((_input, step) => step.map("child", [1, 2, 3], "fragile"), { name: "parent" });
    const family = await new Family(fragile, parent).begin("parent").drive();
    expect(family.snapshot("parent").error).toMatchObject({ code: "map_failed", errors: [{ code: "child_failed" }] });
    healed = true;
    await family.act("parent", "retry");
    await family.drive();
    expect(family.output("parent")).toEqual([1, 2, 3]);
    expect([...family.made.values()]).toEqual([1, 1, 1]);
  });
});

describe("guarantee 3: replay", () => {
  test("a map dies after every prefix of its journal, and only what was in flight runs again", async () => {
    const life = (commits: readonly string[], at: number) => {
      const ran: number[] = [];
      const host: Host = new Host(
        async (_input, step) => {
          const results = await step.map(
            "x",
            count(12),
            async (item, { attempt }) => {
              ran.push(item);
              await host.clock.after((item * 37) % 11);
              if (item % 5 === 1 && attempt === 1) throw new Error("once");
              if (item === 7) throw new NonRetryableError("never");
              return item;
            },
            { concurrency: 4, tolerate: 2, retry: { delay: 7, jitter: 0 } },
          );
          return results;
        },
        { commits, at },
      );
      return { host, ran };
    };
    const whole = life([], startAt);
    await whole.host.drive();
    const expected = count(12).map((item) => (item === 7 ? undefined : item));
    expect(whole.host.output).toEqual(expected);
    const { commits, entries } = whole.host.journal;
    for (let keep = 1; keep < commits.length; keep++) {
      const known = entries.slice(0, commits.slice(0, keep).flatMap((text) => JSON.parse(text) as unknown[]).length);
      const done = known.flatMap((entry) =>
        entry.kind === "step.completed" || entry.kind === "step.failed" ? [itemOf(entry.step)] : [],
      );
      const { host, ran } = life(commits.slice(0, keep), known.at(-1)?.at ?? startAt);
      await host.drive();
      expect(host.output).toEqual(expected);
      expect(ran.filter((item) => done.includes(item))).toEqual([]);
    }
  });

  function itemOf(step: string): number {
    return Number(/#(\d+)$/.exec(step)?.[1] ?? 1) - 1;
  }

  test("10,000 items cost ten times what 1,000 cost, live and in replay", async () => {
    const cost = async (items: number) => {
      const flow = define((_input, step) => step.map("x", count(items), (item) => item, { concurrency: 50 }));
      const host = new Host(flow);
      const live = await timed(() => host.drive());
      expect(host.status).toBe("completed");
      const again = host.reopen({ keep: host.journal.commits.length - 1 });
      const replay = await timed(() => again.drive());
      expect(again.status).toBe("completed");
      return { live, replay, turns: host.clock.turns, commits: host.journal.commits.length };
    };
    await cost(1000);
    const small = await cost(1000);
    const large = await cost(10_000);
    expect(large.commits).toBeLessThanOrEqual(10_002);
    expect(large.turns).toBeLessThan(small.turns * 10.5);
    // Linear would be 10; quadratic 100.
    expect(large.live).toBeLessThan(small.live * 30);
    expect(large.replay).toBeLessThan(small.replay * 30);
  });

  async function timed(work: () => Promise<unknown>): Promise<number> {
    const before = cpuMs();
    await work();
    return cpuMs() - before;
  }
});
