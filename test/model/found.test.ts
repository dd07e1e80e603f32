/** What the comparison with the model found, each as a test of its own. */
import { expect, test } from "vitest";
import { Host, act, play, startAt } from "../engine/host.ts";
import type { Step } from "../../src/core/definition/step.ts";
import type { Handler } from "../engine/memory.ts";

const minuteMs = 60_000;

test("a step in flight that can be undone has thirty seconds once the handler has failed, though nothing else is due", async () => {
  const host: Host = new Host(async (_input: never, step: Step) => {
    const deaf = step.run("deaf", () => host.clock.after(9 * minuteMs), { undo: () => {} });
    await Promise.all([
      deaf,
      step.run("doomed", () => host.clock.after(minuteMs).then(refuse), { retry: { limit: 0 } }),
    ]);
  });
  await host.drive();
  expect(host.entries("step.failed").map(({ step, at }) => [step, at - startAt])).toEqual([
    ["doomed", minuteMs],
    ["deaf", 1.5 * minuteMs],
  ]);
});

test("a paused run that is replayed keeps the time of its next attempt, later by the pause (guarantee 4)", async () => {
  const attempts: number[] = [];
  const handler = async (_input: never, step: Step): Promise<unknown> => {
    const act = (attempt: number): string => {
      attempts.push(host.clock.at - startAt);
      return attempt === 1 ? refuse() : "done";
    };
    return await step.run("again", ({ attempt }) => act(attempt), { retry: { delay: 20 * minuteMs, jitter: 0 } });
  };
  let host: Host = new Host(handler);
  host.plan(startAt + 5 * minuteMs, (run) => act(run, "pause"));
  await host.drive(startAt + 10 * minuteMs);
  host = host.reopen({ at: startAt + 60 * minuteMs, cold: false });
  // Somebody asks something of it, for which its handler is needed.
  await host.run.awake();
  expect(host.entries("step.attempt_started")).toEqual([]);
  host.plan(startAt + 65 * minuteMs, (run) => act(run, "resume"));
  await host.drive();
  expect(attempts).toEqual([0, 80 * minuteMs]);
});

test("a pause lasts from when the first thing paused the run, whatever else does meanwhile (guarantee 4)", async () => {
  const host: Host = new Host(async (_input: never, step: Step) => {
    const options = { retry: { limit: 0 }, onExhausted: "pause" } as const;
    const one = step.run("one", () => host.clock.after(5 * minuteMs).then(refuse), options);
    const other = step.run("other", () => host.clock.after(8 * minuteMs).then(refuse), options);
    await Promise.race([one, other, step.sleep("nap", 60 * minuteMs)]);
  });
  host.plan(startAt + 30 * minuteMs, (run) => act(run, "resume"));
  await host.drive(startAt + 31 * minuteMs);
  expect(host.entries("run.resumed").map(({ shiftMs }) => shiftMs)).toEqual([25 * minuteMs]);
});

test("a run that is being undone waits for no attempt of a step that its handler has left behind", async () => {
  const host: Host = new Host(async (_input: never, step: Step) => {
    void step.run("behind", refuse, { retry: { delay: 60 * minuteMs } }).catch(() => {});
    await step.run("done", () => {}, { undo: () => host.clock.after(5 * minuteMs) });
    await step.sleep(minuteMs);
    refuse();
  });
  await host.drive(startAt + 2 * minuteMs);
  expect(host.entries("undo.started")).toHaveLength(1);
  expect(() => act(host.run, "retry")).toThrow(expect.objectContaining({ code: "not_retryable" }));
});

test("a wait that a handler leaves behind as it bails out was not removed from the code (guarantee 7)", async () => {
  const host: Host = new Host(async (_input: never, step: Step) => {
    void step.waitFor("never");
    await step.run("work", () => {});
    step.bail("enough");
  });
  await host.drive();
  const died = host.journal.commits.findIndex((text) => text.includes("step.completed")) + 1;
  const again = await host.reopen({ keep: died }).drive();
  expect(again.journal.kinds.slice(-2)).toEqual(["run.interrupted", "run.cancelled"]);
});

test.each<[string, Handler, number]>([
  ["a sleep", (_input, step) => step.sleep(minuteMs), minuteMs],
  ["a sleep of no time", (_input, step) => step.sleep(0), 0],
  ["a wait", (_input, step) => step.waitFor("go", { timeout: minuteMs }), minuteMs],
  [
    "an attempt",
    (_input, step) =>
      step.run("again", ({ attempt }) => (attempt === 1 ? refuse() : "done"), {
        retry: { delay: minuteMs, jitter: 0 },
      }),
    minuteMs,
  ],
])("%s that is due at the instant of a pause is held until it is over (guarantee 4)", async (_what, handler, dueMs) => {
  const host = new Host(handler);
  if (dueMs > 0) await host.drive(startAt + dueMs - 1);
  host.clock.set(startAt + dueMs);
  // What is due waits for its turn, and the pause comes before that.
  host.run.advance(false);
  await act(host.run, "pause");
  await host.clock.idle();
  const { length } = host.journal.entries;
  expect(host.journal.kinds.at(-1)).toBe("run.paused");
  await host.plan(startAt + 60 * minuteMs, (run) => act(run, "resume")).drive();
  expect([host.status, host.journal.kinds[length]]).toEqual(["completed", "run.resumed"]);
});

test("a step that a death cut off, and that is not made again, has failed on record before anything is undone (guarantee 8)", async () => {
  const host: Host = new Host(async (_input: never, step: Step) => {
    await step.run("done", () => {}, { undo: () => {} });
    const once = { atMostOnce: true, undo: () => {} } as const;
    void step.run("once", () => host.clock.after(5 * minuteMs), once).catch(() => {});
    await step.sleep(minuteMs);
    refuse();
  });
  await host.drive(startAt + minuteMs + 1000);
  const again = await host.reopen().drive();
  expect(again.snapshot.error?.undone).toEqual(["done"]);
  const kinds = again.journal.kinds.filter((kind) => /^(step|undo)\./.test(kind)).slice(-3);
  expect(kinds).toEqual(["step.failed", "undo.started", "undo.completed"]);
});

test.each(["fail", "bail"] as const)(
  "a handler that has returned is not made to %s by what it left behind",
  async (end) => {
    const { status, output } = await play(async (_input, step) => {
      await step.race({
        first: () => step.run("first", () => {}),
        second: async () => {
          await step.run("second", () => {});
          step[end]("too late");
        },
      });
      return "done";
    });
    expect([status, output]).toEqual(["completed", "done"]);
  },
);

function refuse(): never {
  throw new Error("not now");
}
