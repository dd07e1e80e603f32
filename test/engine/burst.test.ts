/** What shares a commit, and what must be on record before anything else begins. */
import { describe, expect, test } from "vitest";
import type { Step } from "../../src/core/step.ts";
import { Pace } from "../../src/engine/pace.ts";
import { Queue } from "../../src/engine/queue.ts";
import { Host, startAt } from "./host.ts";
import { ManualClock, MemoryJournal } from "./memory.ts";

/** What was appended, made durable and begun, in order. */
class Watched extends MemoryJournal {
  readonly seen: string[] = [];

  override append(entries: Parameters<MemoryJournal["append"]>[0]): void {
    super.append(entries);
    this.seen.push(...entries.map((entry) => ("step" in entry ? `${entry.kind} ${entry.step}` : entry.kind)));
  }

  override durable(): Promise<void> {
    this.seen.push("durable");
    return super.durable();
  }
}

async function watched(flow: (step: Step, seen: string[]) => Promise<unknown>, commits: readonly string[] = []) {
  const journal = new Watched(commits);
  const host = new Host(async (_input, step) => await flow(step, journal.seen), { commits, journal });
  await host.drive();
  return { host, seen: journal.seen };
}

const pause = () => new Promise((resolve) => setImmediate(resolve));

describe("guarantee 2: a completed step never runs again", () => {
  test("what waited for something is durable before the handler hears of it", async () => {
    const { seen } = await watched(async (step, log) => {
      await step.run("slow", async () => await pause());
      log.push("heard");
      await step.run("next", () => void log.push("begun"));
    });
    const from = seen.indexOf("step.completed slow");
    expect(seen.slice(from, from + 4)).toEqual(["step.completed slow", "durable", "heard", "begun"]);
  });

  test("what waited for nothing shares a commit with what follows: nobody outside can know of it yet", async () => {
    const { seen } = await watched(async (step) => {
      for (let index = 0; index < 5; index++) await step.run("quick", async () => index);
    });
    expect(seen).not.toContain("durable");
    expect(seen.filter((what) => what.startsWith("step.completed"))).toHaveLength(5);
  });

  test("after a death each outcome is durable before the next step begins, until the run has come to rest", async () => {
    const flow = async (step: Step, log: string[]) => {
      for (const name of ["a", "b"]) {
        await step.run(name, () => void log.push(`begun ${name}`));
      }
      await step.sleep("1 h");
      for (const name of ["c", "d"]) await step.run(name, () => void log.push(`begun ${name}`));
    };
    const { host } = await watched(flow);
    const { seen } = await watched(flow, host.journal.commits.slice(0, 1));
    expect(seen.slice(seen.indexOf("begun a"))).toEqual([
      ...["begun a", "step.completed a", "durable", "begun b", "step.completed b", "durable", "timer.set"],
      ...["timer.fired", "begun c", "step.completed c", "begun d", "step.completed d", "run.completed"],
    ]);
  });
});

describe("guarantee 4: what sets a handler going is committed before a step may kill the process", () => {
  test.each(["its start", "a signal", "a timer"])("%s", async (cause) => {
    let turns = -1;
    const host: Host = new Host(async (_input, step) => {
      if (cause === "a signal") await step.waitFor("go");
      if (cause === "a timer") await step.sleep("1 h");
      await step.run("killer", () => {
        turns = host.clock.turns;
      });
    });
    let before = 0;
    host.journal.onAppend = (entries) => {
      if (entries.some(({ kind }) => /^(?:signal\.consumed|timer\.fired)$/.test(kind))) before = host.clock.turns - 1;
    };
    await host.signalAt(startAt + 1000, "go", {}).drive();
    expect(turns).toBeGreaterThan(before);
  });
});

test("guarantee 4: a first step that runs at most once has its timeout, though it begins after the handler", async () => {
  const host = new Host(async (_input, step) => {
    const never = () => new Promise(() => {});
    return await step.run("once", never, { atMostOnce: true, timeout: "1 h", retry: { limit: 0 } });
  });
  await host.drive();
  expect(host.snapshot).toMatchObject({ status: "failed", error: { code: "step_timeout" } });
  expect(host.run.state.end?.at).toBe(startAt + 3_600_000);
});

describe("guarantee 3: one thing a turn", () => {
  test("events that speak to the handler themselves have a turn each, and so have outcomes", async () => {
    const told: string[] = [];
    const clock = new ManualClock(startAt);
    const turn = async (): Promise<void> => {
      await clock.turn();
      told.push("turn");
    };
    const pace = new Pace({ now: () => startAt, turn }, { exacting: true });
    const drained = Promise.withResolvers<void>();
    const nothing = { recordAll: () => {}, durable: async () => {} };
    const owner = { ...nothing, expecting: true, careful: false, drained: () => drained.resolve() };
    const queue = new Queue(pace, owner);
    for (const event of ["one", "two"]) queue.post(() => void told.push(event));
    queue.post(() => {
      for (const outcome of ["three", "four"]) queue.deliver(() => void told.push(outcome));
    });
    await drained.promise;
    expect(told).toEqual(["turn", "one", "turn", "two", "turn", "three", "turn", "four"]);
  });
});

describe("cost", () => {
  test("a burst of quick steps takes a turn of the event loop for each 64th", async () => {
    const turnsFor = async (count: number): Promise<number> => {
      const host = new Host(async (_input, step) => {
        for (let index = 0; index < count; index++) await step.run("quick", () => index);
      });
      await host.drive();
      return host.clock.turns;
    };
    const few = await turnsFor(1);
    expect(few).toBeLessThan(4);
    expect((await turnsFor(1 + 64 * 10)) - few).toBe(10);
  });

  test("steps that end together are one commit; those with large results are several", async () => {
    const commitsOf = async (size: number): Promise<number> => {
      const host = new Host(async (_input, step) => {
        const all = Array.from({ length: 100 }, () => step.run("each", () => "x".repeat(size)));
        return (await Promise.all(all)).length;
      });
      await host.drive();
      expect(host.output).toBe(100);
      return host.journal.commits.length;
    };
    expect(await commitsOf(10)).toBe(3);
    expect(await commitsOf(100_000)).toBeGreaterThan(25);
  });
});
