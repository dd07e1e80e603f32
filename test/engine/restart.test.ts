/** Runs that somebody has begin once more, from their start or from one of their steps. */
import { describe, expect, test } from "vitest";
import type { CallKind, Entry } from "../../src/core/history/entry.ts";
import { NonRetryableError } from "../../src/core/error.ts";
import { needsOf } from "../../src/core/lane/flow.ts";
import { planFork } from "../../src/core/lifecycle/fork.ts";
import type { StepRef } from "../../src/core/lifecycle/restart.ts";
import { sentenceOf } from "../../src/core/sentence/sentence.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { decode } from "../../src/core/value/value.ts";
import { Run } from "../../src/engine/run.ts";
import { finish, hostProgram, logsOf, seen } from "./crash.ts";
import { checkEffects } from "./effects.ts";
import { checkJournal } from "./lives.ts";
import { Family } from "./family.ts";
import { LaneSimulation, need } from "./simulation.ts";
import { Host, act, play, signal, startAt } from "./host.ts";
import { define, ManualClock, MemoryJournal, memoryWorld } from "./memory.ts";
import type { Handler } from "./memory.ts";
import { makeProgram } from "./program.ts";

const minuteMs = 60_000;
const author = { by: "test", reason: null };

const counted = (): { readonly handler: Handler; readonly done: number[] } => {
  const done: number[] = [];
  const handler: Handler = async (input: number, step) => {
    await step.run("work", () => done.push(input));
    return await step.waitFor("go");
  };
  return { handler, done };
};

describe("a run that begins once more", () => {
  test("does all of it again with its id and its input; nothing of before is left, and no signal", async () => {
    const { handler, done } = counted();
    const host = await new Host(handler, { input: 7 }).signalAt(startAt, "go", 1).signalAt(startAt, "go", 2).drive();
    expect([host.status, host.output, done]).toEqual(["completed", 1, [7]]);
    host.run.prepareRestart("1", { by: "somebody", reason: "once more" })();
    await host.drive();
    expect([host.status, done]).toEqual(["waiting", [7, 7]]);
    expect(host.journal.kinds).toEqual(["run.created", "run.started", "step.completed", "wait.started"]);
    expect(host.snapshot).toMatchObject({ id: "run-1", createdAt: startAt, output: null, finishedAt: null });
    expect(decode(host.snapshot.input)).toBe(7);
    expect(host.entries("run.created")).toMatchObject([{ by: "somebody", reason: "once more" }]);
    signal(host.run, "go", 3);
    expect((await host.drive()).output).toBe(3);
  });

  test.each(["waiting", "paused"] as const)("is stopped for it where it is %s", async (status) => {
    const { handler, done } = counted();
    const host = await play(handler, { input: 7 });
    if (status === "paused") void act(host.run, "pause");
    expect((await host.drive()).status).toBe(status);
    host.run.prepareRestart("1", author)();
    expect([(await host.drive()).status, done]).toEqual(["waiting", [7, 7]]);
  });

  test.each([false, true])(
    "hears of a cancellation that was under way, also where its memory was new: %s",
    async (isNew) => {
      const heard: unknown[] = [];
      const handler: Handler = async (_, step) => {
        try {
          await step.run("work", () => 1);
          await step.waitFor("go");
        } catch (error) {
          heard.push(error);
          await step.run("clean up", () => 2);
          throw error;
        }
      };
      const parked = await play(handler);
      const host = isNew ? parked.reopen() : parked;
      const cancelled = host.run.act({ ...author, kind: "cancel" });
      host.run.prepareRestart("1", author)();
      host.run.advance();
      await cancelled;
      await host.drive();
      expect([host.status, heard]).toEqual(["cancelled", [expect.objectContaining({ code: "cancelled" })]]);
      expect(host.journal.kinds.slice(-3)).toEqual(["run.cancel_requested", "step.completed", "run.cancelled"]);
    },
  );

  test("is not taken for one that cannot go on by whoever called it before", async () => {
    const host = (await play(counted().handler, { input: 7 })).reopen();
    const awake = host.run.awake();
    host.run.prepareRestart("1", author)();
    expect(await awake).toBe(host.run.execution);
    expect((await host.drive()).status).toBe("waiting");
  });

  test("has the code of the version that it is to begin with; where that is not there it is left as it was", async () => {
    const host = await play(async (_, step) => await step.waitFor("go"));
    const before = host.journal.commits.length;
    expect(() => host.run.prepareRestart("2", author)).toThrow(expect.objectContaining({ code: "version_missing" }));
    expect([host.status, host.journal.commits.length]).toEqual(["waiting", before]);
    host.definition = define(() => "new", { version: "2" });
    host.run.prepareRestart("2", author)();
    expect([(await host.drive()).output, host.snapshot.version]).toEqual(["new", "2"]);
  });

  test("has the old history or the new one, whenever it dies", async () => {
    const { handler } = counted();
    const host = await new Host(handler, { input: 7 }).signalAt(startAt, "go", 1).drive();
    host.journal.beforeAppend = () => {
      throw new Error("the disk is gone");
    };
    expect(() => host.run.prepareRestart("1", author)()).toThrow("the disk is gone");
    const again = host.reopen();
    expect([again.status, again.output]).toEqual(["completed", 1]);
    again.run.prepareRestart("1", author)();
    const last = again.reopen();
    expect([(await last.drive()).status, last.journal.kinds.slice(0, 2)]).toEqual([
      "waiting",
      ["run.created", "run.started"],
    ]);
  });

  test("asks its lanes again for the slots that it gave back", async () => {
    const host = await play(define(() => "done"));
    host.definition = define(() => "done", { flow: { concurrency: 1 } });
    host.run.prepareRestart("1", author)();
    expect([host.status, host.journal.kinds]).toEqual(["queued", ["run.created"]]);
  });

  test("has those of its children stopped that nobody waits for any more", async () => {
    const child = define((_, step) => step.waitFor("never"), { name: "child" });
    const parent = define((_, step) => step.invoke("child", 1), { name: "parent" });
    const family = await new Family(child, parent).begin("parent").drive(startAt + minuteMs);
    family.run("parent").prepareRestart("1", author)();
    await family.drive(startAt + 2 * minuteMs);
    expect([...family.made.keys()].map((id) => family.snapshot(id).status)).toEqual(["cancelled", "waiting"]);
    expect([family.snapshot("parent").status, family.run("parent").state.orphans.size]).toEqual(["waiting", 0]);
  });
});

test("a run that begins once more while it is at work gives back the slots of its steps, and those that it needs no more", async () => {
  const simulation = new LaneSimulation();
  const needs = [need("mail", 1, { hold: true }), need("steps", 1, { scope: "step" })];
  let lives = 0;
  const handler: Handler = async (_, step) => {
    if (++lives === 1) await step.run("old", () => simulation.clock.after(60 * minuteMs));
    else await step.waitFor("never");
  };
  const a = simulation.add("a", handler, needs);
  await simulation.drive(minuteMs);
  expect([simulation.lane("mail").used, simulation.lane("steps").used]).toEqual([1, 1]);
  a.run.prepareRestart("1", author)();
  simulation.add("b", (_, step) => step.run("work", () => 1), needs);
  await simulation.drive(10 * minuteMs);
  expect([...simulation.runs.values()].map(({ status }) => status)).toEqual(["waiting", "completed"]);
});

test("a run that begins once more in line for its lane says so, and is let in", async () => {
  const simulation = new LaneSimulation();
  const flow = { concurrency: { limit: 1, hold: true } };
  const add = (id: string, handler: Handler) => {
    const definition = define(handler, { flow });
    return simulation.add(id, definition, needsOf(definition, null));
  };
  const first = add("first", (_, step) => step.waitFor("never"));
  await simulation.drive(minuteMs);
  const second = add("second", (_, step) => step.run("work", () => 1));
  await simulation.drive(minuteMs);
  second.act((run) => run.prepareRestart("1", author)());
  await simulation.drive(1000);
  expect(second.run.snapshot()).toMatchObject({ status: "queued", waitingFor: [{ kind: "lane" }] });
  first.act((run) => act(run, "terminate"));
  await simulation.drive(minuteMs);
  expect([first.status, second.status]).toEqual(["cancelled", "completed"]);
});

const ref = (id: string, ...[kind, ...others]: readonly CallKind[]): StepRef => {
  return { id, kinds: kind === undefined ? ["run", "sleep", "wait"] : [kind, ...others] };
};

/** Begins once more from there, an hour later. */
function restartFrom(host: Host, from: StepRef): Host {
  host.clock.set(host.clock.at + 60 * minuteMs);
  host.run.prepareRestart("1", author, from)();
  return host;
}

describe("a run that begins once more from a step", () => {
  const ran: string[] = [];
  const work = (step: Step, name: string) =>
    step.run(name, ({ idempotencyKey }) => {
      ran.push(name);
      return idempotencyKey;
    });
  const ranSince = async (act: () => Promise<unknown>): Promise<string[]> => {
    ran.length = 0;
    await act();
    return [...ran];
  };
  const chain = async (_input: unknown, step: Step): Promise<unknown> => {
    const a = await work(step, "a");
    const early = [step.random(), step.uuid()];
    step.log.info("early");
    await step.sleep("nap", "1 day");
    const go = await step.waitFor("go", { label: "the go" });
    const b = await work(step, "b");
    const c = await work(step, "c");
    step.log.info("late");
    return { a, early, go, b, c };
  };
  const original = async () => await new Host(chain).signalAt(startAt + 5, "go", "first").drive();
  type Output = Record<string, unknown>;

  test("guarantee 2: runs nothing again that was over before it, and all that came after", async () => {
    const host = await original();
    const before = host.output as Output;
    expect(await ranSince(async () => await restartFrom(host, ref("b")).drive())).toEqual(["b", "c"]);
    const after = host.output as Output;
    expect(after).toMatchObject({ a: before["a"], early: before["early"], go: "first" });
    expect(after["b"]).not.toBe(before["b"]);
    expect(host.journal.kinds).toEqual([
      ...["run.created", "step.completed", "log.written", "signal.received", "timer.fired", "signal.consumed"],
      ...["run.started", "step.completed", "step.completed", "log.written", "run.completed"],
    ]);
    expect(host.snapshot).toMatchObject({ id: "run-1", createdAt: startAt, fork: null, steps: { completed: 3 } });
  });

  test("guarantee 8: its history says who had it begin, and from where; its steps are counted once each time", async () => {
    const host = restartFrom(await original(), ref("b"));
    const [created] = host.entries("run.created");
    expect(created?.continuation).toMatchObject({ count: 1, restarted: { step: "b", upTo: 18 } });
    expect(created && sentenceOf(created)).toBe("test had the run begin once more from b on: flow (version 1)");
    expect((await host.drive()).snapshot.tallies).toMatchObject({
      a: { completed: 1 },
      b: { completed: 2 },
      c: { completed: 2 },
    });
    host.run.prepareRestart("1", author)();
    const [anew] = host.entries("run.created");
    expect(anew && sentenceOf(anew)).toBe("test had the run begin once more from its start: flow (version 1)");
  });

  test("guarantee 2: survives its death anywhere", async () => {
    const host = restartFrom(await original(), ref("b"));
    const copied = host.journal.commits.length;
    await host.drive();
    for (let keep = copied; keep < host.journal.commits.length; keep++) {
      const reopened = host.reopen({ keep });
      const again = await ranSince(async () => await reopened.drive());
      expect(again).toEqual(["b", "c"].slice(Math.min(2, Math.max(0, keep - copied))));
      expect(reopened.output).toEqual(host.output);
    }
  });

  test("has its sleeps and waits that were over; others begin anew, and no signal is left", async () => {
    const host = await original();
    signal(restartFrom(host, ref("the go", "wait")).run, "go", "second");
    expect((await host.drive()).output).toMatchObject({ go: "second" });
    // Its label is what the code calls it, and its signal what it is on record as.
    expect(() => host.run.prepareRestart("1", author, ref("go", "wait"))).toThrow("not in the history");
    const at = restartFrom(host, ref("nap", "sleep")).clock.at;
    await host.drive(at + minuteMs);
    expect(host.snapshot.waitingFor).toMatchObject([{ kind: "timer", name: "nap", until: at + 24 * 60 * minuteMs }]);
    expect((await host.drive()).snapshot.waitingFor).toMatchObject([{ kind: "signal", name: "go" }]);
  });

  test("knows each wait that was over by its label, whatever it kept of it", async () => {
    const host = await new Host(async (_, step) => {
      const first = await step.waitFor("go", { label: "in vain", timeout: "1 minute" });
      const second = await step.waitFor("go", { label: "at once", timeout: 0 });
      return [first, second, await work(step, "last")];
    }).drive();
    for (const from of ["last", "at once", "last", "in vain"]) {
      await restartFrom(host, ref(from)).drive();
      expect(host.output).toEqual([null, null, expect.any(String)]);
    }
  });

  test("keeps a signal that was taken before, of several, also from the life of another restart", async () => {
    const handler: Handler = async (_, step) => {
      const taken = [await step.waitFor("go"), await step.waitFor("go")];
      await work(step, "last");
      return taken;
    };
    const host = await new Host(handler)
      .signalAt(startAt, "go", 1)
      .signalAt(startAt, "go", 2)
      .signalAt(startAt, "go", 3)
      .drive();
    for (let times = 0; times < 3; times++) {
      expect((await restartFrom(host, ref("last")).drive()).output).toEqual([1, 2]);
      expect(host.entries("signal.received").map(({ payload }) => decode(payload))).toEqual([1, 2]);
    }
    signal(restartFrom(host, ref("go#2")).run, "go", 4);
    expect((await host.drive()).output).toEqual([1, 4]);
  });

  test.each(["waiting", "paused", "in flight"] as const)("is stopped for it where it is %s", async (how) => {
    let lives = 0;
    const handler: Handler = async (_, step) => {
      const a = await work(step, "a");
      const held = await step.run("held", () => (lives++ === 0 && how === "in flight" ? new Promise(() => {}) : lives));
      return [a, held, await step.waitFor("go")];
    };
    const host = await new Host(handler).drive(startAt);
    if (how === "paused") void act(host.run, "pause");
    restartFrom(await host.drive(startAt), ref("held"));
    signal(host.run, "go", 1);
    expect(await ranSince(async () => await host.drive())).toEqual([]);
    expect(host.output).toEqual([expect.any(String), 2, 1]);
  });

  test("is left as it is where it has no such step, or nobody knows its result any more", async () => {
    const host = await new Host(chain).drive(startAt);
    const before = host.journal.commits.length;
    for (const from of [ref("none"), ref("a#2"), ref("a", "sleep"), ref("b")]) {
      expect(() => host.run.prepareRestart("1", author, from)).toThrow(
        expect.objectContaining({ code: "fork_invalid" }),
      );
    }
    expect([host.status, host.journal.commits.length]).toEqual(["waiting", before]);
  });

  test("does again what was undone, and undoes what it kept should it fail again", async () => {
    const undone: string[] = [];
    let fails = true;
    const handler: Handler = async (_, step) => {
      const undo = (name: string) => ({ undo: () => void undone.push(name), retry: { limit: 0 } });
      await step.run("kept", () => ran.push("kept"), { retry: { limit: 0 } });
      await step.run("undone", () => ran.push("undone"), undo("undone"));
      await step.waitFor("go");
      await step.run("last", () => {
        if (fails) throw new Error("no");
      });
      return "done";
    };
    const host = await new Host(define(handler, { retry: { limit: 0 } })).signalAt(startAt, "go", 1).drive();
    expect([host.status, undone]).toEqual(["failed", ["undone"]]);
    expect(await ranSince(async () => await restartFrom(host, ref("last")).drive())).toEqual(["undone"]);
    expect([host.status, undone]).toEqual(["failed", ["undone", "undone"]]);
    // Stopped without being undone, it keeps all of it.
    fails = false;
    await restartFrom(host, ref("last")).drive();
    restartFrom(host, ref("last"));
    fails = true;
    expect(await ranSince(async () => await host.drive())).toEqual([]);
    expect([host.status, undone]).toEqual(["failed", ["undone", "undone", "undone"]]);
  });

  /** A payment that is about to be refunded: how it was refunded so far, and a handler that fails after it once. */
  function refunding(refund: (times: number) => unknown): { readonly handler: Handler; readonly paid: number[] } {
    const paid: number[] = [];
    let refunds = 0;
    const handler: Handler = async (_, step) => {
      await step.run("early", () => ran.push("early"), { undo: () => void ran.push("not early") });
      const undo = () => refund(++refunds);
      await step.run("pay", () => paid.push(1), { undo, undoPolicy: { retry: { delay: "1 hour", jitter: 0 } } });
      return await step.run("ship", () => {
        if (paid.length === 1 && refunds === 0) throw new NonRetryableError("no");
        return "shipped";
      });
    };
    return { handler, paid };
  }

  test.each(["at work", "reopened", "terminated"] as const)(
    "does again what may have been undone, because that was under way: %s",
    async (how) => {
      const { handler, paid } = refunding(() => new Promise(() => {}));
      const host = await new Host(handler).drive(startAt);
      if (how === "terminated") void act(host.run, "terminate");
      const stopped = how === "at work" ? host : host.reopen();
      expect(stopped.journal.kinds).toContain("undo.started");
      expect(await ranSince(async () => await restartFrom(stopped, ref("ship")).drive())).toEqual([]);
      expect([stopped.output, paid]).toEqual(["shipped", [1, 1]]);
    },
  );

  test("keeps what was not undone, because the attempt failed and waits for the next", async () => {
    const { handler, paid } = refunding((times) => {
      if (times === 1) throw new Error("not yet");
    });
    const host = await new Host(handler).drive(startAt + minuteMs);
    expect(host.journal.kinds.at(-1)).toBe("undo.attempt_failed");
    host.run.prepareRestart("1", author, ref("ship"))();
    expect([(await host.drive()).output, paid]).toEqual(["shipped", [1]]);
  });

  test("begins there once more although it has not come there yet, keeping all that it has", async () => {
    const host = await original();
    const beside = async (input: unknown, step: Step): Promise<unknown> => {
      await step.waitFor("open");
      return await chain(input, step);
    };
    restartFrom(host, ref("b"));
    host.definition = define(beside);
    await host.drive(host.clock.at + minuteMs);
    expect(host.journal.kinds.at(-1)).toBe("wait.started");
    expect(() => host.run.prepareRestart("1", author, ref("c"))).toThrow("not in the history");
    for (let times = 0; times < 2; times++) restartFrom(host, ref("b"));
    host.definition = define(chain);
    expect(await ranSince(async () => await host.drive())).toEqual(["b", "c"]);
    expect(host.output).toMatchObject({ go: "first" });
    expect(host.entries("run.created")).toMatchObject([{ continuation: { count: 3, restarted: { step: "b" } } }]);
  });

  test("asks its lanes for the slots first, and then goes on with what it kept", async () => {
    const simulation = new LaneSimulation();
    const handler: Handler = async (_, step) => [await work(step, "a"), await work(step, "b")];
    const simulated = simulation.add("a", define(handler, { flow: { concurrency: 1 } }), []);
    await simulation.drive();
    expect(simulated.status).toBe("completed");
    simulated.act((run) => run.prepareRestart("1", author, ref("b"))());
    expect(simulated.status).toBe("queued");
    expect(await ranSince(async () => await simulation.drive())).toEqual(["b"]);
    expect(simulated.status).toBe("completed");
  });

  test("keeps the outcome of a child, leaves one alone that it only started, and has others stopped", async () => {
    const child = define((input: number, step) => (input === 1 ? "one" : step.waitFor("never")), { name: "child" });
    const parent = define(
      async (_, step) => {
        const one = await step.invoke("child", 1);
        await step.start("child", 2, { onParentEnd: "cancel" });
        const last = await step.run("last", () => one);
        return [last, await step.invoke("child", 3)];
      },
      { name: "parent" },
    );
    const family = await new Family(child, parent).begin("parent").drive(startAt + minuteMs);
    family.run("parent").prepareRestart("1", author, ref("last"))();
    await family.drive(startAt + 2 * minuteMs);
    expect([...family.made.keys()].map((id) => family.snapshot(id).status)).toEqual([
      "completed",
      "waiting",
      "cancelled",
      "waiting",
    ]);
    expect(family.snapshot("parent")).toMatchObject({ status: "waiting", steps: { completed: 1 } });
  });
});

/** As a journal that begins with 1. */
function fromOne(entries: readonly Entry[]): Entry[] {
  const before = (entries[0]?.seq ?? 1) - 1;
  return entries.map((entry) => {
    const signal = entry.kind === "signal.consumed" ? { signal: entry.signal - before } : {};
    return { ...entry, seq: entry.seq - before, ...signal };
  });
}

/** Has the program begin once more from every call of its history, ended or not; answers how often. */
async function checkRestarts(seed: number): Promise<number> {
  const program = makeProgram(seed);
  const reference = hostProgram(program, [], startAt);
  await finish(reference);
  const { journal } = reference.host;
  const { rerun } = planFork(journal.entries, { from: null, given: [] });
  for (const from of new Set(rerun)) {
    const at = reference.host.clock.at + 60 * minuteMs;
    const begun = new MemoryJournal(journal.commits);
    const run = new Run(begun, memoryWorld(new ManualClock(at)), () => reference.host.definition);
    const { copied } = planFork(journal.entries, { from, given: [] });
    run.prepareRestart("1", author, { id: from, kinds: ["run", "sleep", "wait", "webhook", "child"] })();
    const restarted = hostProgram(program, begun.commits, at, false);
    await finish(restarted);
    checkJournal(fromOne(restarted.host.journal.entries));
    checkEffects(restarted.host.journal.entries, restarted.life.effects);
    if (!program.tame) continue;
    expect(restarted.host.status).toBe(reference.host.status);
    expect(restarted.host.journal.kinds).not.toContain("step.added");
    const isUndone = journal.kinds.includes("undo.completed");
    if (!isUndone) expect(logsOf(restarted)).toEqual(logsOf(reference));
    const was = isUndone ? [] : seen(reference, "last", copied.at(-1) ?? 0);
    expect(seen(restarted, "first").slice(0, was.length)).toEqual(was);
  }
  return rerun.length;
}

test("guarantee 3: from any call it sees what it saw before, in that order", async () => {
  let restarts = 0;
  for (let seed = 0; seed < 160; seed++) restarts += await checkRestarts(seed);
  expect(restarts).toBeGreaterThan(200);
});
