import { describe, expect, test } from "vitest";
import { createRandom } from "../../src/core/random.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { pass } from "../../src/engine/turn/microtask.ts";
import { cpuMs } from "../core/usage.ts";
import { Host, play, startAt } from "./host.ts";
import type { Handler } from "./memory.ts";

test("guarantee 2: now, random and uuid are the same in every replay, and cost no entries", async () => {
  const lives: unknown[][] = [];
  const flow: Handler = async (_input, step) => {
    const seen: unknown[] = [];
    lives.push(seen);
    seen.push(step.now(), step.random(), step.uuid());
    await step.sleep("1 h");
    seen.push(step.now(), step.random(), step.uuid());
    await step.run("a", () => 1);
    seen.push(step.now(), step.random(), step.uuid(), step.info);
  };
  const host = await play(flow);
  const { journal } = host;
  expect(journal.kinds).toEqual([
    "run.created",
    "run.started",
    "timer.set",
    "timer.fired",
    "step.completed",
    "run.completed",
  ]);
  for (let keep = 1; keep < journal.commits.length; keep++)
    await host.reopen({ keep, at: startAt + 5_000_000 * keep }).drive();
  const [first, ...others] = lives;
  for (const [i, seen] of others.entries()) {
    // Up to the last outcome on record, the time seen is the same too.
    const known = [3, 3, 6, 9][i];
    expect(seen.slice(0, known)).toEqual(first?.slice(0, known));
    expect([seen[1], seen[2], seen[4], seen[5], seen[7], seen[8]]).toEqual([
      first?.[1],
      first?.[2],
      first?.[4],
      first?.[5],
      first?.[7],
      first?.[8],
    ]);
  }
  expect(first?.[2]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  expect(first?.[9]).toMatchObject({ id: "run-1", workflow: "flow", version: "1", startedAt: startAt, parent: null });
});

test("guarantee 3: what a handler does of its own beside a step is done as soon in every replay", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const lives: string[][] = [];
    const flow: Handler = async (_input, step) => {
      const seen: string[] = [];
      lives.push(seen);
      const random = createRandom(`beside ${seed}`);
      for (let index = 0; index < 12; index++) {
        const call = step.run(`s${index}`, () => index);
        const length = Math.floor(random.next() * 24);
        void call.then(async () => {
          await pass(length);
          seen.push(`beside ${index}`);
        });
        await call;
        seen.push(`after ${index}`);
      }
    };
    const host = await play(flow);
    for (let keep = 1; keep < host.journal.commits.length; keep++) await host.reopen({ keep, cold: false }).drive();
    for (const seen of lives) expect(seen, `seed ${seed}`).toEqual(lives[0]);
  }
});

test("cost: a replay of quick steps takes a turn of the event loop for each 8,192nd", async () => {
  const turnsFor = async (count: number): Promise<number> => {
    const flow: Handler = async (_input, step) => {
      for (let index = 0; index < count; index++) await step.run("quick", () => index);
      await step.waitFor("go");
    };
    const again = (await play(flow)).reopen({ cold: false });
    await again.drive();
    return again.clock.turns;
  };
  expect((await turnsFor(1 + 8192 * 2)) - (await turnsFor(1))).toBe(2);
});

describe("log and progress", () => {
  const flow: Handler = async (_input, step) => {
    step.log.info("begins");
    await step.run("a", () => {
      step.log.debug("inside a");
      step.log.debug("inside a");
    });
    step.log.warn("after a", { at: 1 });
    step.progress(0.5);
    await step.run("b", () => step.progress("inside b"));
    step.log.info("after b");
    step.log.info("after b");
    await step.sleep("1 h");
    step.log.error("the end");
    step.progress(1);
  };
  const lines = ["begins", "inside a", "inside a", "after a", "after b", "after b", "the end"];

  test("guarantee 8: each line is one entry, and silent in every replay, whatever steps say themselves", async () => {
    const host = await play(flow);
    expect(host.entries("log.written").map(({ message }) => message)).toEqual(lines);
    expect(host.snapshot.progress).toBe("[1]");
    for (let keep = 1; keep < host.journal.commits.length; keep++) {
      const again = await host.reopen({ keep }).drive();
      // A step that runs again may speak again.
      const messages = again.entries("log.written").map(({ message }) => message);
      expect(messages.filter((message) => message !== "inside a")).toEqual(
        lines.filter((message) => message !== "inside a"),
      );
      expect(messages.length).toBeGreaterThanOrEqual(lines.length);
    }
  });

  test("guarantee 8: a line of an object, or of an error, says what is in it, and is silent in every replay", async () => {
    const structured: Handler = async (_input, step) => {
      step.log.info({ order: 7 });
      await step.run("a", () => step.log.warn({ order: 7 }, "inside a"));
      step.log.error(new TypeError("boom"));
      await step.sleep("1 h");
      step.log.debug("over", 1, 2);
    };
    const said = (host: Host) => host.entries("log.written").map(({ level, message, data }) => [level, message, data]);
    const host = await play(structured);
    expect(said(host)).toEqual([
      ["info", '{"order":7}', '[{"order":1},7]'],
      ["warn", "inside a", '[{"order":1},7]'],
      ["error", "TypeError: boom", expect.stringContaining('"boom"')],
      ["debug", "over", "[[1,2],1,2]"],
    ]);
    for (let keep = 4; keep < host.journal.commits.length; keep++) {
      expect(said(await host.reopen({ keep }).drive())).toEqual(said(host));
    }
  });

  test("guarantee 8: an error that is logged is one line, also where a deployment has moved its code", async () => {
    const park: Handler = async (_input, step) => await step.waitFor("go");
    const failure = (message: string): Error => new Error(message, { cause: new RangeError("why") });
    const before: Handler = async (input, step) => {
      step.log.error(failure("odd"));
      step.progress({ failure: failure("odd") });
      return await park(input, step);
    };
    const after: Handler = async (input, step) => {
      const [moved, other] = [failure("odd"), failure("even")];
      step.log.error(moved);
      step.progress({ failure: moved });
      step.log.error(other);
      return await park(input, step);
    };
    const said = (host: Host) => host.entries("log.written").map(({ message }) => message);
    const host = await new Host(before).drive(startAt);
    const same = await host.reopen({ cold: false }).drive();
    expect([said(same), same.entries("progress.published").length]).toEqual([["Error: odd"], 1]);
    const moved = await host.reopen({ definition: after, cold: false }).drive();
    expect([said(moved), moved.entries("progress.published").length]).toEqual([["Error: odd", "Error: even"], 1]);
  });

  test("guarantee 4: thousands of values that no earlier life published do not hold up the replay", async () => {
    let life = 0;
    const many: Handler = async (_input, step) => {
      life++;
      for (let done = 0; done < 3000; done++) step.progress({ done, life });
      return await step.waitFor("go");
    };
    const host = await new Host(many).drive(startAt);
    const before = cpuMs();
    const next = await host.reopen({ cold: false }).drive();
    expect(next.entries("progress.published").length).toBe(6000);
    // Nine million comparisons: with two values parsed for each they took ten seconds.
    expect(cpuMs() - before).toBeLessThan(4000);
  });

  test("a line that cannot be kept is the caller's error", async () => {
    const host = await play((_input, step) => step.log.info("x", () => 1));
    expect(host.snapshot.error?.code).toBe("value_uncloneable");
  });
});

describe("cost", () => {
  const many =
    (steps: number): Handler =>
    async (_input, step) => {
      for (let i = 0; i < steps; i++) await step.run("s", () => i);
    };

  test("step 10,000 costs what step 10 costs: one row, one turn, and nothing read", async () => {
    const host: Host = new Host(many(10_000));
    const turns: number[] = [];
    host.journal.onAppend = () => turns.push(host.clock.turns);
    await host.drive();
    expect(host.journal.commits).toHaveLength(10_002);
    expect(host.journal.reads).toBe(0);
    expect((turns.at(-2) ?? 0) - (turns.at(-12) ?? 0)).toBe((turns[11] ?? 0) - (turns[1] ?? 0));
    expect(turns.at(-1)).toBeLessThanOrEqual(10_010);
  });

  test("a replay reads each entry once and takes one turn an outcome", async () => {
    for (const steps of [100, 5000]) {
      const host = await play(many(steps));
      const again = await host.reopen({ keep: steps + 1 }).drive();
      expect(again.status).toBe("completed");
      expect(again.journal.reads).toBe(steps + 2);
      expect(again.clock.turns).toBeLessThan(steps + 20);
    }
  });

  test("1,000 parallel steps take one turn each, and one look at the run now and then", async () => {
    const host = new Host(
      async (_input, step) =>
        (await Promise.all(Array.from({ length: 1000 }, (_unused, i) => step.run("p", () => i)))).length,
    );
    let looks = 0;
    const advance = host.run.advance.bind(host.run);
    host.run.advance = (cold) => {
      looks++;
      return advance(cold);
    };
    await host.drive();
    expect(host.output).toBe(1000);
    expect(host.clock.turns).toBeLessThan(1005);
    expect(looks).toBeLessThan(10);
  });

  test("2,000 signals to one run cost one entry each to receive and one to consume", async () => {
    const host = new Host(async (_input, step) => {
      for (let i = 0; i < 2000; i++) await step.waitFor("n");
    });
    for (let i = 0; i < 2000; i++) host.signalAt(startAt + 1, "n", i);
    await host.drive();
    expect(host.journal.entries.length).toBeLessThanOrEqual(2 + 1 + 4000 + 1);
    expect(host.clock.turns).toBeLessThan(8100);
  });
});

test("guarantee 3: calls that follow something the handler awaits by itself are found in replay", async () => {
  const ran: string[] = [];
  const flow: Handler = async (_input, step) => {
    const other = step.waitFor("go");
    for (const name of ["a", "b", "c"]) {
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
      await step.run(name, () => ran.push(name));
    }
    return await other;
  };
  const host = new Host(flow);
  host.run.advance();
  for (let i = 0; i < 200; i++) await host.clock.turn();
  const again = host.reopen();
  again.run.advance(true);
  for (let i = 0; i < 400; i++) await again.clock.turn();
  await again.signalAt(startAt, "go", 1).drive();
  expect([again.output, ran]).toEqual([1, ["a", "b", "c"]]);
  expect(again.entries("step.removed")).toEqual([]);
});

test("guarantee 7: what went on record beside the outcome upon which the handler ended is no change of the code", async () => {
  const never = () => new Promise(() => {});
  const undo = () => {};
  const handler = async (_input: unknown, step: Step) => {
    const ending = step.run("first", () => 1).then(() => step.bail("enough"));
    const beside = [
      step.run("second", () => 2),
      step.run("slow", never, { undo }),
      step.run("slower", never, { undo }),
    ];
    await Promise.all([ending, ...beside]);
  };
  const host = await new Host(handler).drive(startAt + 1000);
  expect(host.journal.kinds.slice(-2)).toEqual(["step.completed", "step.completed"]);
  const resumed = await host.reopen().drive();
  expect(resumed.status).toBe("cancelled");
  expect(resumed.journal.kinds.filter((kind) => /^step\.(?:added|removed)$/.test(kind))).toEqual([]);
});

test("guarantee 3: a handler that ended its run by itself hears no more in a replay than it did, also while it is undone", async () => {
  const lives: string[][] = [];
  const flow: Handler = async (_input, step) => {
    const heard: string[] = [];
    lives.push(heard);
    const hears = async (name: string, options = {}): Promise<void> => {
      await step.run(name, () => {}, options);
      heard.push(name);
    };
    const first = hears("first");
    void hears("second");
    void hears("undone", { undo: () => {} });
    await first;
    step.fail(new Error("that is enough"));
  };
  const host = await play(flow);
  const begun = host.journal.commits.findIndex((text) => text.includes("undo.started"));
  expect(host.entries("step.completed").map(({ step }) => step)).toEqual(["first", "second", "undone"]);
  await host.reopen({ keep: begun + 1 }).drive();
  // What can be undone is waited for.
  expect(lives).toEqual([
    ["first", "undone"],
    ["first", "undone"],
  ]);
});
