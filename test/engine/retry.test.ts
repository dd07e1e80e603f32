/** Runs that have failed and are retried: what was found by the model and by crashes after every prefix, each by itself. */
import { expect, test } from "vitest";
import type { Step } from "../../src/core/definition/step.ts";
import { Host, act, play, startAt } from "./host.ts";
import { define } from "./memory.ts";
import { checkProgram } from "./crash.ts";
import { makeProgram, makeWideProgram } from "./program.ts";

const minuteMs = 60_000;
const once = { retry: { limit: 0 } } as const;

function refuse(): never {
  throw new Error("not now");
}

/** Somebody has it tried again, in a new memory or in the one that it failed in. */
async function retried(host: Host, anew = true): Promise<Host> {
  const again = anew ? host.reopen({ cold: false }) : host;
  await act(again.run, "retry");
  return again;
}

test("guarantee 7: a step is no change of a sleep of its name that the handler has not come to again", async () => {
  let isWell = false;
  const host: Host = new Host(async (_input, step) => {
    await step.run("rest", () => 1, { undo: () => {} });
    const both = [step.run("rest", () => host.clock.after(minuteMs)), step.sleep("rest", "1 h")];
    await step.run("work", () => (isWell ? 1 : refuse()), once);
    await Promise.all(both);
  });
  await host.drive();
  expect(host.snapshot.error).toMatchObject({ step: "work", undone: ["rest"] });
  isWell = true;
  await (await retried(host, false)).drive();
  expect([host.status, host.entries("run.paused")]).toEqual(["completed", []]);
});

test("guarantee 7: what was open when the run had failed is no reason to take a step for added", async () => {
  let isWell = false;
  const flow = async (_input: never, step: Step): Promise<void> => {
    try {
      await step.run("work", () => (isWell ? 1 : refuse()), once);
    } catch {
      void step.sleep("nap", "1 h");
      await step.run("told", () => {});
      refuse();
    }
    await step.run("next", () => host.clock.after(minuteMs));
  };
  let host: Host = new Host(flow);
  await host.drive();
  isWell = true;
  host = await retried(host);
  await host.drive(host.clock.at);
  // Its process dies while the next step is in flight, and again.
  for (let life = 0; life < 2; life++) {
    host = host.reopen();
    await host.drive(host.clock.at);
  }
  await host.drive();
  expect([host.status, host.entries("step.added")]).toEqual(["completed", []]);
});

test("guarantee 7: what is begun in the instant of the retry is held to its kind", async () => {
  let isWell = false;
  const flow = async (_input: never, step: Step): Promise<void> => {
    await step.run("work", () => (isWell ? 1 : refuse()), once);
    await step.waitFor("told");
  };
  const failed = await play(flow);
  isWell = true;
  const host = await retried(failed);
  await host.drive(host.clock.at);
  const changed = host.reopen({
    definition: (_input, step) => step.run("work", refuse).then(() => step.sleep("told", "1 h")),
  });
  await changed.drive();
  expect(changed.snapshot).toMatchObject({ status: "paused", error: { code: "step_kind_changed" } });
});

test("guarantee 4: a step without an attempt left no longer pauses a run that failed beside it and is retried", async () => {
  let isWell = false;
  const host: Host = new Host(async (_input, step) => {
    const work = (ms: number) => host.clock.after(ms).then(() => (isWell ? 1 : refuse()));
    await Promise.all([
      step.run("one", () => work(0), { ...once, onExhausted: "pause" }),
      step.run("other", () => work(minuteMs), once),
    ]);
  });
  await host.drive();
  expect(host.snapshot.error).toMatchObject({ step: "other" });
  isWell = true;
  await (await retried(host, false)).drive();
  expect(host.status).toBe("completed");
});

test("guarantee 4: the time of a pause that outlasts the end of the run counts once", async () => {
  let isWell = false;
  const flow = async (_input: never, step: Step): Promise<void> => {
    const work = (): Promise<unknown> => host.clock.after(8 * minuteMs).then(() => (isWell ? 1 : refuse()));
    await step.run("work", work, once);
    await step.sleep("5 h");
  };
  const host: Host = new Host(define(flow, { timeoutMs: 60 * minuteMs }));
  host.plan(startAt + 5 * minuteMs, (run) => act(run, "pause"));
  await host.drive();
  expect([host.status, host.clock.at]).toEqual(["failed", startAt + 8 * minuteMs]);
  isWell = true;
  host.clock.set(startAt + 18 * minuteMs);
  await retried(host, false);
  expect(host.status).toBe("paused");
  await host.plan(startAt + 28 * minuteMs, (run) => act(run, "resume")).drive();
  expect([host.snapshot.error?.code, host.clock.at]).toEqual(["run_timeout", startAt + 83 * minuteMs]);
});

test("guarantee 8: a retry says nothing twice that it said before what is done once more", async () => {
  let isWell = false;
  const flow = async (_input: never, step: Step): Promise<void> => {
    step.log.info("begins");
    await step.run("first", () => 1);
    step.log.info("goes on");
    await step.run("work", () => (isWell ? 1 : refuse()), once);
    step.log.info("is done");
  };
  const failed = await play(flow);
  isWell = true;
  const host = await (await retried(failed)).drive();
  expect(host.entries("log.written").map(({ message }) => message)).toEqual(["begins", "goes on", "is done"]);
});

test("guarantee 8: a line is not silenced by one of an undoing that was told to make its next attempt at once", async () => {
  let isWell = false;
  const undo = (_result: unknown, { attempt }: { readonly attempt: number }): void => {
    if (attempt === 1) refuse();
    tell("again");
  };
  let tell: (line: string) => void = () => {};
  const host: Host = new Host(async (_input, step) => {
    tell = step.log.info;
    if (isWell) tell("again");
    await step.run("first", () => 1, { undo, retry: { limit: 1, delay: "1 h" } });
    await step.run("work", () => (isWell ? 1 : refuse()), once);
  });
  await host.drive(startAt);
  await act(host.run, "retry");
  await host.drive(startAt);
  expect([host.status, host.snapshot.error?.undone]).toEqual(["failed", ["first"]]);
  isWell = true;
  const again = await (await retried(host)).drive();
  expect(again.entries("log.written").map(({ message }) => message)).toEqual(["again", "again"]);
  expect(again.status).toBe("completed");
});

test("what a handler leaves behind as it comes to its end once more does not begin for that", async () => {
  const ran: string[] = [];
  const host: Host = new Host(async (_input, step) => {
    const slow = (): Promise<void> => {
      ran.push("slow");
      return host.clock.after(10 * minuteMs);
    };
    void step.run("slow", slow, { undo: () => {} }).catch(() => {});
    await step.run("quick", () => ran.push("quick"));
    refuse();
  });
  await host.drive();
  expect(host.entries("step.failed")).toMatchObject([{ step: "slow", error: { code: "step_timeout" } }]);
  await (await retried(host, false)).drive();
  expect([host.snapshot.error?.message, ran]).toEqual(["not now", ["slow", "quick"]]);
});

test("what is kept can be undone, also where the handler ends in the turn in which it asks for it", async () => {
  let isWell = false;
  const host = await play(async (_input, step) => {
    await step.run("first", () => 1, { undo: () => {} });
    void step.run("second", () => 1, { ...once, undo: () => (isWell ? undefined : refuse()) });
    step.fail(new Error("no use"));
  });
  expect(host.snapshot.error).toMatchObject({ undone: ["first"], notUndone: [{ step: "second", message: "not now" }] });
  isWell = true;
  await (await retried(host, false)).drive();
  expect(host.snapshot.error).toMatchObject({ message: "no use", undone: ["first", "second"] });
});

test("guarantee 2: what is on record is not begun where a pause ends before it is given to its call", async () => {
  const ran: string[] = [];
  let isWell = false;
  const host: Host = new Host(async (_input, step) => {
    await step.run("first", () => host.clock.after(minuteMs), { undo: () => {} });
    const second = step.run("second", () => ran.push("second"));
    if (isWell) void act(host.run, "resume");
    await second;
    if (!isWell) refuse();
  });
  await host.drive();
  isWell = true;
  await retried(host, false);
  host.plan(host.clock.at + 1000, (run) => act(run, "pause"));
  await host.drive();
  expect([host.status, ran]).toEqual(["completed", ["second"]]);
});

test("guarantee 4: deaths before a retry are not held against a step that was in flight in them", async () => {
  let isWell = false;
  const flow = async (_input: never, step: Step): Promise<void> => {
    const beside = async (): Promise<void> => {
      await step.sleep("1 m");
      if (!isWell) refuse();
    };
    await Promise.all([step.run("slow", () => host.clock.after(2 * minuteMs)), beside()]);
  };
  let host: Host = new Host(flow);
  const die = async (times: number): Promise<void> => {
    for (let life = 0; life < times; life++) {
      await host.drive(host.clock.at);
      host = host.reopen();
    }
  };
  await die(4);
  await host.drive();
  expect(host.snapshot.error).toMatchObject({ message: "not now" });
  isWell = true;
  host = await retried(host);
  await die(3);
  await host.drive();
  expect([host.status, host.entries("step.failed")]).toEqual(["completed", []]);
});

test("guarantee 2: what the handler asks for while the last marks are made durable is given to it all the same", async () => {
  const ran: string[] = [];
  let goOn = (): void => {};
  let isLate = false;
  const flow = async (_input: never, step: Step): Promise<unknown> => {
    const own = new Promise<void>((resolve) => (goOn = resolve));
    const late = async (): Promise<unknown> => {
      if (isLate) await own;
      return await step.run("late", () => ran.push("late"));
    };
    const slow = ({ attempt }: { attempt: number }) => (attempt === 1 ? refuse() : host.clock.after(minuteMs));
    return await Promise.all([step.run("slow", slow, { retry: { delay: 0 } }), late()]);
  };
  let host: Host = new Host(flow);
  await host.drive(startAt);
  expect(host.entries("step.completed")).toMatchObject([{ step: "late" }]);
  isLate = true;
  host = host.reopen();
  const durable = host.journal.durable.bind(host.journal);
  host.journal.durable = async () => {
    // It is the mark of the attempt that was in flight.
    if (host.entries("step.attempt_started").length > 0) {
      goOn();
      await host.clock.turn();
    }
    await durable();
  };
  await host.drive();
  expect([host.status, ran]).toEqual(["completed", ["late"]]);
});

test("a run that crashed as it cleaned up, and is retried, goes on cleaning up, and ends as cancelled", async () => {
  let isWell = false;
  const tidied: string[] = [];
  let host: Host = new Host(async (_input, step) => {
    try {
      await Promise.all([step.sleep("nap", "1 d"), step.waitFor("never")]);
    } catch (error) {
      if (!isWell) {
        host.dead = true;
        await new Promise(() => {});
      }
      await step.run("tidy", () => tidied.push((error as { code: string }).code));
    }
  });
  host.plan(startAt + 1000, (run) => act(run, "cancel"));
  await host.drive();
  for (let life = 0; host.dead && life < 20; life++) await (host = host.reopen()).drive();
  expect(host.snapshot.error?.code).toBe("handler_crashed");
  isWell = true;
  host = await retried(host);
  await host.drive();
  expect([host.status, host.snapshot.error?.code, tidied]).toEqual(["cancelled", "cancelled", ["cancelled"]]);
});

test.each([
  ["a step of a name that an open sleep has", { ...makeProgram(3080), retries: 1 }],
  ["what was said before the step that is done once more", { ...makeProgram(1240), retries: 2 }],
  ["maps of one name beside each other", { ...makeWideProgram(2271), retries: 1 }],
])("a program that crashes found wanting, after each prefix: %s", async (_what, program) => {
  expect(await checkProgram(program)).toBeGreaterThan(0);
});
