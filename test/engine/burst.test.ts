/** What shares a commit, and what must be on record before anything else begins. */
import { describe, expect, test } from "vitest";
import type { Step } from "../../src/core/definition/step.ts";
import { Pace } from "../../src/engine/turn/pace.ts";
import { Queue } from "../../src/engine/turn/queue.ts";
import { Run } from "../../src/engine/run.ts";
import { Host, created, signal, startAt } from "./host.ts";
import { ManualClock, MemoryJournal, define, memoryWorld } from "./memory.ts";

/** What was appended, made durable and begun, in order. */
class Watched extends MemoryJournal {
  readonly seen: string[] = [];

  override append(entries: Parameters<MemoryJournal["append"]>[0]): void {
    super.append(entries);
    this.#see(entries);
  }

  override restart(entries: Parameters<MemoryJournal["restart"]>[0]): void {
    super.restart(entries);
    this.#see(entries);
  }

  #see(entries: Parameters<MemoryJournal["append"]>[0]): void {
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

  test("what waits for nothing behind that is not made durable again and again (budget)", async () => {
    const { seen } = await watched(async (step) => {
      await step.run("slow", async () => await pause());
      for (let index = 0; index < 5; index++) await step.run("quick", () => index);
    });
    expect(seen.filter((what) => what === "durable")).toHaveLength(1);
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

test("guarantee 4: after a death, the run's next life is durable before its first step can kill the process again", async () => {
  const journal = new Watched();
  const { seen } = journal;
  const flow = define(async (life: number | undefined, step) => {
    await step.run(`step ${life ?? 0}`, () => void seen.push(`begun ${life ?? 0}`));
    if (life === undefined) await step.continueAsNew(1);
  });
  const { commits } = new Host(flow).journal;
  const host = new Host(flow, { commits, journal: Object.assign(journal, { commits: [...commits] }) });
  await host.drive();
  expect(seen.slice(seen.indexOf("begun 0"))).toEqual([
    ...["begun 0", "step.completed step 0", "durable", "run.created", "run.started", "durable", "begun 1"],
    ...["step.completed step 1", "durable", "run.completed"],
  ]);
});

describe("guarantee 4: what sets a handler going is committed with what it leads to", () => {
  test.each(["its start", "a signal", "a timer"])("%s and the quick steps behind it are one burst", async (cause) => {
    const turns: number[] = [];
    const host: Host = new Host(async (_input, step) => {
      if (cause === "a signal") await step.waitFor("go");
      if (cause === "a timer") await step.sleep("1 h");
      for (let index = 0; index < 3; index++) await step.run("quick", () => turns.push(host.clock.turns));
    });
    const rest = host.run.advance();
    await host.run.yielded();
    if (cause !== "its start") {
      await host.clock.idle();
      host.clock.set(rest.wakeAt ?? startAt + 3_600_000);
      if (cause === "a signal") signal(host.run, "go", {});
      const before = host.clock.turns;
      host.run.advance();
      expect(host.run.isBurst).toBe(true);
      await host.run.yielded();
      expect(turns).toEqual([before, before, before]);
    }
    expect(turns).toEqual([turns[0], turns[0], turns[0]]);
    expect(host.run.state.end?.kind).toBe("run.completed");
    expect(host.run.isBurst).toBe(false);
  });

  test.each(["a signal", "a timer"])(
    "so is what is replayed before, after %s that finds no memory of it",
    async (cause) => {
      const host: Host = new Host(async (_input, step) => {
        for (let index = 0; index < 600; index++) await step.run("quick", () => index);
        if (cause === "a signal") await step.waitFor("go");
        else await step.sleep("1 h");
        for (let index = 0; index < 3; index++) await step.run("behind", () => index);
      });
      await host.drive(startAt);
      const again = host.reopen({ cold: false, at: startAt + 3_600_000 });
      if (cause === "a signal") signal(again.run, "go", {});
      again.run.advance();
      expect(again.run.isBurst).toBe(true);
      while (again.run.isBurst) {
        await again.run.yielded();
        again.run.advance();
      }
      expect(again.clock.turns).toBe(0);
      expect(again.run.state.end?.kind).toBe("run.completed");
    },
  );

  test("what takes a replay more than microtasks is known to who hosts it, and may be committed", async () => {
    const own = Promise.withResolvers<void>();
    const host: Host = new Host(async (_input, step) => {
      await step.run("quick", () => 0);
      await own.promise;
      await step.waitFor("go");
    });
    void host.drive(startAt);
    await host.clock.idle();
    const again = host.reopen({ cold: false });
    again.run.advance();
    while (again.run.isBurst) await again.run.yielded();
    expect(again.run.execution?.course.live).toBe(false);
    own.resolve();
    await again.drive(startAt);
    expect(again.status).toBe("waiting");
  });

  test("who hosts the run hears of it before a burst lets anything be committed", async () => {
    let isGuarded = false;
    const seen: boolean[] = [];
    const host: Host = new Host(async (_input, step) => {
      for (let index = 0; index < 200; index++) await step.run("quick", () => index);
      await Promise.all([step.run("slow", pause), step.run("beside", () => 0)]);
    });
    const turn = host.clock.turn.bind(host.clock);
    host.clock.turn = async () => {
      await turn();
      // Microtasks are over by then, and the storage has committed.
      seen.push(isGuarded);
    };
    host.run.advance();
    while (host.run.isBurst) await host.run.yielded();
    isGuarded = true;
    await host.drive();
    expect(seen.length).toBeGreaterThan(3);
    expect(seen).not.toContain(false);
    expect(host.status).toBe("completed");
  });
});

describe("guarantee 4: a step that kills its process is counted", () => {
  const killer = async (step: Step, log: string[]) => {
    await step.run("killer", () => void log.push("begun"));
    await step.waitFor("go");
    await step.run("other", () => void log.push("begun"));
    await step.waitFor("on");
    await step.run("last", () => void log.push("begun"));
  };

  test("a start that its object has died of before is durable before the first step begins", async () => {
    const journal = new Watched();
    const run = new Run(journal, memoryWorld(new ManualClock(startAt)), () =>
      define(async (_input, step) => await killer(step, journal.seen)),
    );
    run.create(created(null), undefined, true);
    run.advance();
    while (!journal.seen.includes("begun")) await pause();
    expect(journal.seen).toEqual(["run.created", "run.started", "run.interrupted", "durable", "begun"]);
  });

  test("so is whatever comes first after a recovery, in that life and in the next", async () => {
    const { host } = await watched(killer);
    const { host: recovered, seen } = await watched(killer, host.journal.commits);
    expect(recovered.journal.entries.slice(-2).map(({ kind }) => kind)).toEqual(["run.interrupted", "run.recovered"]);
    const resumed = new Watched(recovered.journal.commits);
    const next = new Host(async (_input, step) => await killer(step, resumed.seen), {
      commits: recovered.journal.commits,
      journal: resumed,
      cold: false,
    });
    for (const [life, log] of [
      [recovered, seen],
      [next, resumed.seen],
    ] as const) {
      signal(life.run, "go", {});
      await life.drive();
      const from = log.indexOf("signal.received");
      expect(log.slice(from, log.indexOf("begun"))).toContain("durable");
      signal(life.run, "on", {});
      await life.drive();
      expect(log.slice(log.lastIndexOf("signal.received"))).not.toContain("durable");
    }
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
    const pace = new Pace({ now: () => startAt, turn }, { needsFullTurns: true, yields: () => {} });
    const drained = Promise.withResolvers<void>();
    const nothing = { recordAll: () => {}, durable: async () => {} };
    const owner = { ...nothing, moreToCome: true, careful: false, drained: () => drained.resolve() };
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

  test("so does a map of them; what the handler does beside it has each outcome delivered in a turn of its own", async () => {
    const items = Array.from({ length: 640 });
    const turnsOf = async (flow: (step: Step) => Promise<unknown>): Promise<number> => {
      const host = new Host((_input, step) => flow(step));
      await host.drive();
      expect(host.status).toBe("completed");
      return host.clock.turns;
    };
    const none = await turnsOf((step) => step.map("item", [], () => 0));
    const mapped = await turnsOf((step) => step.map("item", items, () => 0));
    expect(mapped - none).toBe(10);
    const twice = await turnsOf(async (step) => [
      await step.map("a", items, () => 0),
      await step.map("b", items, () => 0),
    ]);
    expect(twice - none).toBe(20);
    const beside = (other: (step: Step) => Promise<unknown>) =>
      turnsOf((step) => Promise.all([step.map("item", items, () => 0), other(step)]));
    expect(await beside((step) => step.run("other", () => 0))).toBeGreaterThan(640);
    expect(await beside((step) => step.map("other", [0], () => 0))).toBeGreaterThan(640);
    expect(await turnsOf((step) => Promise.all(items.map(() => step.run("each", () => 0))))).toBeGreaterThan(640);
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
