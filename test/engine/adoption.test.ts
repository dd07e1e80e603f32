import { beforeEach, describe, expect, test } from "vitest";
import type { Step } from "../../src/core/definition/step.ts";
import { Host, act, startAt } from "./host.ts";
import { pass } from "../../src/engine/turn/microtask.ts";
import { define } from "./memory.ts";

type Flow = (input: never, step: Step) => unknown;

/** Names of the steps whose functions ran. */
let ran: string[] = [];

function run(step: Step, name: string): Promise<string> {
  return step.run(name, () => {
    ran.push(name);
    return name;
  });
}

/** The old code runs until it parks; the new one goes on from its journal, after `go` was sent. */
async function change(before: Flow, after: Flow): Promise<Host> {
  ran = [];
  const old = await new Host(before).drive(startAt);
  expect(old.run.state.end).toBe(null);
  ran = [];
  const host = old.reopen({ definition: after, deployment: "two", cold: false });
  return await host.signalAt(startAt + 1000, "go", "went").drive();
}

const original: Flow = async (_input, step) => {
  const results = [await run(step, "a"), await run(step, "b")];
  return [...results, await step.waitFor("go", { timeout: "1 h" })];
};

function marks(host: Host): string[] {
  return host.journal.entries.flatMap((entry) =>
    entry.kind === "step.added" || entry.kind === "step.removed"
      ? [`${entry.kind.slice(5)} ${entry.call} ${entry.step}`]
      : [],
  );
}

describe("guarantee 7: within a version", () => {
  test("the same code is no change", async () => {
    const host = await change(original, original);
    expect([host.output, ran, marks(host)]).toEqual([["a", "b", "went"], [], []]);
  });

  test("a step added between recorded ones runs, is marked, and the others keep their results and deadlines", async () => {
    const host = await change(original, async (_input, step) => {
      const results = [await run(step, "a"), await run(step, "x"), await run(step, "b")];
      return [...results, await step.waitFor("go", { timeout: "1 h" })];
    });
    expect([host.output, ran, marks(host)]).toEqual([["a", "x", "b", "went"], ["x"], ["added run x"]]);
    expect(host.entries("wait.started")).toHaveLength(1);
    expect(host.entries("step.interrupted")).toEqual([]);
  });

  test("each of several steps added one after another is marked, until the code has come to where the run stood", async () => {
    const host = await change(original, async (_input, step) => {
      const results = [await run(step, "a"), await run(step, "x"), await run(step, "b"), await run(step, "y")];
      return [...results, await step.waitFor("go", { timeout: "1 h" }), await run(step, "later")];
    });
    expect(host.output).toEqual(["a", "x", "b", "y", "went", "later"]);
    expect([ran, marks(host)]).toEqual([
      ["x", "y", "later"],
      ["added run x", "added run y"],
    ]);
  });

  test("a removed step is marked, and its result forgotten", async () => {
    const host = await change(original, async (_input, step) => [await run(step, "b"), await step.waitFor("go")]);
    expect([host.output, ran, marks(host)]).toEqual([["b", "went"], [], ["removed run a"]]);
  });

  test("a moved step keeps its result", async () => {
    const host = await change(original, async (_input, step) => [
      await run(step, "b"),
      await run(step, "a"),
      await step.waitFor("go"),
    ]);
    expect([host.output, ran, marks(host)]).toEqual([["b", "a", "went"], [], []]);
  });

  test("a renamed step is one removed and one added", async () => {
    const host = await change(original, async (_input, step) => [
      await run(step, "a"),
      await run(step, "b2"),
      await step.waitFor("go"),
    ]);
    expect([host.output, ran]).toEqual([["a", "b2", "went"], ["b2"]]);
    expect(marks(host).sort()).toEqual(["added run b2", "removed run b"]);
  });

  test("a wait that was removed no longer shows, and no longer holds the run", async () => {
    const host = await change(original, async (_input, step) => {
      await run(step, "a");
      await step.sleep("2 h");
      return "slept";
    });
    expect(host.output).toBe("slept");
    expect(marks(host).sort()).toEqual(["added sleep sleep", "removed run b", "removed wait go"]);
  });

  test("a wait in whose place the code has others is marked once those are past, or at the end", async () => {
    const gone: Flow = async (_input, step) => await step.waitFor("gone");
    const host = await change(gone, async (_input, step) => [await step.waitFor("go"), await step.waitFor("third")]);
    expect(host.snapshot.waitingFor).toMatchObject([{ kind: "signal", name: "third" }]);
    expect(marks(host)).toEqual(["added wait go", "removed wait gone"]);
    const ended = await change(gone, async (_input, step) => await step.waitFor("go"));
    expect([ended.output, marks(ended)]).toEqual(["went", ["added wait go", "removed wait gone"]]);
  });

  test("what was taken for removed and comes later after all is waited for again, visibly", async () => {
    const flaky = (step: Step): Promise<never> =>
      step.run("flaky", () => Promise.reject(new Error("no")), { retry: { delay: "1 h", jitter: 0 } });
    const received = async (step: Step): Promise<unknown> => await (await step.webhook("pay")).received();
    for (const [call, kind] of [
      [flaky, "retry"],
      [received, "webhook"],
    ] as const) {
      const old = await new Host(async (_input, step) => await call(step)).drive(startAt);
      const later: Flow = async (_input, step) => {
        for (const name of ["one", "two"]) await step.sleep(name, "1 m");
        return await call(step);
      };
      const host = old.reopen({ definition: later, deployment: "two", cold: false });
      await host.drive(startAt + 10 * 60_000);
      expect(host.entries("step.removed")).toHaveLength(1);
      expect(host.snapshot.waitingFor).toMatchObject([{ kind }]);
    }
  });

  test("guarantee 8: a mark that cannot be written is a failure of the journal's, and no rejection that nobody hears", async () => {
    const old = await new Host(async (_input, step) => await step.waitFor("gone")).drive(startAt);
    const after: Flow = async (_input, step) => [await step.waitFor("go"), await step.waitFor("third")];
    const host = old.reopen({ definition: after, deployment: "two", cold: false });
    host.journal.beforeAppend = (entries) => {
      if (entries.some(({ kind }) => kind === "step.removed")) throw new Error("the disk is full");
    };
    await expect(host.signalAt(startAt + 1000, "go", 1).drive()).rejects.toThrow("the disk is full");
  });

  test("a step that is no longer in the code is undone as far as the code knows how, and has not changed its kind", async () => {
    const before: Flow = async (_input, step) => {
      await step.run("charge", () => 1, { undo: () => {} });
      await step.waitFor("go");
    };
    const host = await change(before, async (_input, step) => {
      await step.waitFor("go");
      step.fail(new Error("no use"));
    });
    expect(host.snapshot).toMatchObject({ status: "failed", error: { message: "no use", undone: [] } });
    expect(host.entries("undo.failed")).toMatchObject([{ step: "charge", error: { code: "undo_missing" } }]);
    expect(marks(host)).toEqual(["removed run charge"]);
  });

  test("a wait that comes only later in the new code keeps its deadline", async () => {
    ran = [];
    const old = await new Host(original).drive(startAt);
    const host = old.reopen({
      cold: false,
      definition: async (_input, step) => {
        await step.sleep("nap", "30 m");
        return await original(_input, step);
      },
    });
    await host.drive();
    expect(host.clock.at).toBe(startAt + 3_600_000);
    expect(host.output).toEqual(["a", "b", null]);
  });

  test("a wait that the code drops and brings back keeps its deadline and is shown again", async () => {
    const old = await new Host(
      async (_input, step) => await Promise.all([step.waitFor("go", { timeout: "1 h" }), step.waitFor("end")]),
    ).drive(startAt);
    const without = await old
      .reopen({ cold: false, definition: async (_input, step) => await step.waitFor("end") })
      .drive(startAt);
    expect(marks(without)).toEqual(["removed wait go"]);
    expect(without.snapshot.waitingFor.map(({ name }) => name)).toEqual(["end"]);
    const again = await without
      .reopen({ at: startAt + 600_000, cold: false, definition: old.definition as never })
      .drive(startAt + 600_000);
    expect(again.snapshot.waitingFor.map(({ name, until }) => [name, until])).toEqual([
      ["go", startAt + 3_600_000],
      ["end", null],
    ]);
    await again.drive();
    expect([again.clock.at, again.status]).toEqual([startAt + 3_600_000, "waiting"]);
  });

  test.each<[string, (step: Step) => unknown, unknown]>([
    ["a wait, which begins anew", (step) => step.waitFor("x", { timeout: "1 h" }), null],
    ["a sleep, which begins anew", (step) => step.sleep("x", "1 h"), undefined],
    ["a webhook", async (step) => await (await step.webhook("x", { timeout: "1 h" })).received(), null],
  ])("guarantee 4: what lost a race and is in none any more is waited for: %s", async (_, wait, value) => {
    const old = await new Host(async (_input, step) => {
      await step.race({ x: () => wait(step), t: () => step.sleep("1 s") });
      return [await step.waitFor("go")];
    }).drive(startAt + 60_000);
    expect(old.entries("wait.withdrawn")).toHaveLength(1);
    const after: Flow = async (_input, step) => [await wait(step), await step.waitFor("go")];
    let host = await old.reopen({ definition: after, deployment: "two" }).drive(startAt + 60_000);
    expect(host.snapshot.waitingFor.map(({ name }) => name)).toContain("x");
    // In the next life it is the same wait.
    host = await host.reopen({ definition: after }).drive(startAt + 120_000);
    await host.signalAt(startAt + 120_000, "go", "went").drive();
    expect([host.output, marks(host).filter((mark) => mark.endsWith(" x"))]).toEqual([
      [value, "went"],
      [expect.stringMatching(/^added .* x$/)],
    ]);
    expect(host.entries("timer.fired").length + host.entries("wait.timed_out").length).toBe(2);
  });

  test("marks are made once, however often the run is replayed", async () => {
    const changed: Flow = async (_input, step) => [
      await run(step, "a"),
      await run(step, "b2"),
      await step.waitFor("go"),
      await step.waitFor("end"),
    ];
    let host = await change(original, changed);
    for (let life = 0; life < 4; life++) host = await host.reopen({ cold: false }).drive();
    await host.signalAt(host.clock.at, "end", 1).drive();
    expect(marks(host).sort()).toEqual(["added run b2", "removed run b"]);
  });
});

test("guarantees 4 and 7: a step that ended with a cancellation, and that new code cleans up by, is tried again", async () => {
  const before: Flow = async (_input, step) => await step.run("b", () => new Promise(() => {}));
  let tries = 0;
  const after: Flow = async (_input, step) => {
    await step.waitFor("never").catch(() => {});
    await step.run("b", () => (++tries === 1 ? Promise.reject(new Error("not yet")) : tries));
  };
  const old = await new Host(before).drive(startAt);
  // What was at work as its process died is on record.
  const dead = await old.reopen({ cold: true }).drive(startAt);
  const host = await dead.reopen({ definition: after, deployment: "two" }).drive(startAt);
  void act(host.run, "cancel");
  await host.drive();
  expect([host.status, tries]).toEqual(["cancelled", 2]);
});

describe("guarantee 7: a name that changed its kind", () => {
  const changed: Flow = async (_input, step) => [
    await run(step, "a"),
    await step.sleep("b", "1 m"),
    await step.waitFor("go"),
  ];

  test("pauses the run with step_kind_changed, and the right code goes on", async () => {
    const host = await change(original, changed);
    expect(host.snapshot).toMatchObject({ status: "paused", error: { code: "step_kind_changed" } });
    expect(host.snapshot.reason).toContain("b is a step in this run's journal and a sleep in the code");
    expect(() => act(host.run, "retry")).toThrow("it waits for no attempt; it is paused: resume it");
    void act(host.run, "resume");
    await host.drive();
    expect(host.status).toBe("paused");
    const fixed = host.reopen({ definition: original, cold: false });
    void act(fixed.run, "resume");
    await fixed.drive();
    expect([fixed.output, ran]).toEqual([["a", "b", "went"], []]);
  });

  test("also where the call comes only after others", async () => {
    const host = await change(original, async (_input, step) => [await run(step, "x"), await step.waitFor("a")]);
    expect(host.snapshot).toMatchObject({ status: "paused", error: { code: "step_kind_changed" } });
  });

  test.each<[string, Flow, Flow]>([
    ["is over", (_input, step) => run(step, "rest"), (_input, step) => step.sleep("rest", "1 h")],
    ["is waited for", (_input, step) => void step.waitFor("rest"), (_input, step) => void step.sleep("rest", "1 h")],
  ])("also of what %s in a run that is told to make its next attempt now", async (_what, before, after) => {
    const around = (rest: Flow): Flow => {
      return async (input, step) => {
        await rest(input, step);
        await step.run("work", () => Promise.reject(new Error("not now")));
      };
    };
    const host = await new Host(around(before)).drive(startAt);
    await act(host.run, "retry");
    const changed = await host.reopen({ definition: around(after) }).drive(startAt);
    expect(changed.snapshot).toMatchObject({ status: "paused", error: { code: "step_kind_changed" } });
  });

  describe("and the run, which it pauses, is cancelled", () => {
    const seen: string[] = [];
    beforeEach(() => void seen.splice(0));

    /** A step that takes a second and can be undone, beside what it is given. */
    const beside =
      (host: () => Host, rest: Flow): Flow =>
      async (input, step) => {
        const charge = (): Promise<void> => {
          seen.push("charged");
          return host().clock.after(1000);
        };
        const undo = (): void => void seen.push("refunded");
        await Promise.all([step.run("charge", charge, { undo }), rest(input, step)]);
      };
    const nap: Flow = (_input, step) => step.sleep("nap", "1 h");
    const changedNap: Flow = (_input, step) => run(step, "nap");

    test.each<[string, Flow, number, number]>([
      ["when its process died", changedNap, 1, 2],
      ["when its process died, twice", changedNap, 2, 3],
      ["as it was paused", async (input, step) => [await run(step, "first"), await changedNap(input, step)], 1, 3],
      [
        "when its process died, and never what has another kind now,",
        (_input, step) => step.run("nap", () => seen.push("napped"), { undo: () => {} }),
        1,
        2,
      ],
    ])("guarantees 2, 8: what was at work %s is undone", async (_what, rest, deaths, times) => {
      let host: Host = new Host(beside(() => host, nap));
      for (let death = 0; death < deaths; death++) host = (await host.drive(host.clock.at + 500)).reopen();
      host = host.reopen({ definition: define(beside(() => host, rest)) });
      for (let pauses = 0; pauses < 2; pauses++) {
        await host.drive(host.clock.at + 500);
        expect(host.snapshot).toMatchObject({ status: "paused", error: { code: "step_kind_changed" } });
        if (pauses === 0) void act(host.run, "resume");
      }
      await act(host.run, "cancel");
      await host.drive();
      expect(host.snapshot).toMatchObject({ status: "cancelled", error: { undone: ["charge"] } });
      expect(seen).toEqual([...Array.from({ length: times }, () => "charged"), "refunded"]);
    });

    test("guarantees 2, 8: so is what was at work as its process died in a pause, where new code only drops a call", async () => {
      let host: Host = new Host(beside(() => host, nap));
      host.plan(startAt + 200, (run) => act(run, "pause"));
      await host.drive(startAt + 500);
      host = host.reopen({
        definition: define(
          beside(
            () => host,
            () => {},
          ),
        ),
      });
      await act(host.run, "cancel");
      await host.drive();
      expect(host.snapshot).toMatchObject({ status: "cancelled", error: { undone: ["charge"] } });
      expect(seen).toEqual(["charged", "charged", "refunded"]);
    });

    test("guarantee 8: where the code is gone as well, it is told of which steps nobody knows how they ended", async () => {
      let host: Host = new Host(beside(() => host, nap));
      for (let death = 0; death < 2; death++) host = (await host.drive(host.clock.at + 500)).reopen();
      host.definition = undefined;
      await act(host.run, "cancel");
      const message = "the run was cancelled; it is not known how step charge ended";
      expect(host.snapshot).toMatchObject({ status: "cancelled", error: { code: "cancelled", message } });
    });

    test("what waits for its next attempt is not made once more, and a run with nothing at work ends at once", async () => {
      const failing: Flow = (_input, step) =>
        step.run("charge", () => Promise.reject(new Error(`no ${seen.push("charged")}`)), {
          undo: () => {},
          retry: { delay: "1 m" },
        });
      let host = new Host(async (input, step) => void (await Promise.all([failing(input, step), nap(input, step)])));
      await host.drive(startAt + 500);
      host = host.reopen({
        definition: define(async (input, step) => void (await Promise.all([failing(input, step), run(step, "nap")]))),
      });
      await host.drive(startAt + 500);
      expect(host.status).toBe("paused");
      await act(host.run, "cancel");
      await host.drive();
      expect([host.status, seen, host.clock.at]).toEqual(["cancelled", ["charged"], startAt]);
    });
  });

  test("a name used for two kinds by the same code is no change", async () => {
    const both: Flow = async (_input, step) => [await run(step, "go"), await step.waitFor("go")];
    const host = await change(both, both);
    expect([host.output, ran]).toEqual([["go", "went"], []]);
  });
});

test("guarantee 7: a step in flight when the process died is not taken for one that new code added", async () => {
  const old = await new Host(original).drive(startAt);
  const flow: Flow = async (_input, step) => {
    await run(step, "b");
    await step.waitFor("go");
    return await step.run("long", () => new Promise((resolve) => setImmediate(() => resolve("done"))));
  };
  const host = old.reopen({ definition: flow, cold: false });
  await host.signalAt(startAt + 1, "go", 1).drive(startAt);
  host.run.signal({ name: "go", payload: "[1]" as never, by: "test" });
  host.run.advance();
  await host.clock.idle();
  const again = await host.reopen().drive();
  expect(again.output).toBe("done");
  expect(marks(again)).toEqual(["removed run a"]);
});

test("guarantees 2, 8: a completed step that new code comes to late was not interrupted, at whichever moment it does", async () => {
  for (let microtasks = 0; microtasks <= 64; microtasks++) {
    const host = await change(original, async (_input, step) => {
      await run(step, "b");
      const go = step.waitFor("go", { timeout: "1 h" });
      await pass(microtasks);
      return [await run(step, "a"), await go];
    });
    expect([microtasks, host.output, ran]).toEqual([microtasks, ["a", "went"], []]);
    expect([microtasks, ...host.entries("step.interrupted")]).toEqual([microtasks]);
  }
});

test("guarantee 3: what new code does before it is given what it asks for late is the same in every life, however long it takes", async () => {
  for (let microtasks = 0; microtasks <= 32; microtasks += 4) {
    const flow =
      (seen: string[]): Flow =>
      async (_input, step) => {
        await step.waitFor("go", { timeout: "1 h" });
        await pass(microtasks);
        const both = ["a", "b"].map((name) => run(step, name).then((done) => seen.push(done)));
        await pass(32);
        seen.push("its own");
        await Promise.all(both);
        await step.waitFor("never");
      };
    const [before, after]: [string[], string[]] = [[], []];
    const host = await change(original, flow(before));
    await host.reopen({ definition: define(flow(after)) }).drive();
    expect([microtasks, before, ran]).toEqual([microtasks, ["its own", "a", "b"], []]);
    expect([microtasks, after]).toEqual([microtasks, before]);
  }
});
