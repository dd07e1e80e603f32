import { describe, expect, test } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import { encode } from "../../src/core/value/value.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { Host, act, created, play, startAt } from "./host.ts";
import { define } from "./memory.ts";
import type { Handler } from "./memory.ts";

test("an ended run whose version is gone is kept as long as the newest version says", async () => {
  const dayMs = 86_400_000;
  const host = await new Host(define(() => 1, { retentionMs: 365 * dayMs })).drive(startAt);
  expect(host.run.advance()).toMatchObject({ wakeAt: startAt + 365 * dayMs, expired: false });
  host.definition = define(() => 1, { version: "2", retentionMs: 90 * dayMs });
  host.clock.at = startAt + 31 * dayMs;
  expect(host.run.advance()).toMatchObject({ wakeAt: startAt + 90 * dayMs, expired: false });
  host.definition = undefined;
  expect(host.run.advance()).toMatchObject({ wakeAt: startAt + 30 * dayMs, expired: true });
});

test.each([
  ["completed", () => 1, 2],
  ["failed", (_input, step) => step.fail(new Error("no")), 3],
  ["cancelled", (_input, step) => step.bail("no"), 2],
] as [string, Handler, number][])(
  "one that has %s is kept as long as its start says, also once it was started over",
  async (status, handler, days) => {
    const dayMs = 86_400_000;
    const { journal } = new Host(handler);
    const [first] = journal.entries;
    const kept = { ...first, retention: { completedMs: 2 * dayMs, failedMs: 3 * dayMs } };
    const host = await new Host(handler, {
      commits: [JSON.stringify([kept, ...journal.entries.slice(1)])],
      cold: false,
    }).drive();
    expect([host.status, host.run.advance()]).toMatchObject([
      status,
      { wakeAt: startAt + days * dayMs, expired: false },
    ]);
    host.run.prepareRestart("1", { by: "test", reason: null })();
    await host.drive();
    expect([host.status, host.run.advance().wakeAt]).toEqual([status, startAt + 1 + days * dayMs]);
  },
);

describe("bail and fail", () => {
  test.each([
    ["an error", new RangeError("too far"), "too far"],
    ["a number", 42, "42"],
    ["what JSON cannot carry", 10n, "10"],
    ["nothing", null, "the workflow bailed out"],
  ])("a reason that is %s is told as text", async (_what, reason, message) => {
    const host = await new Host(async (_input, step) => step.bail(reason as never)).drive();
    expect(host.snapshot).toMatchObject({ status: "cancelled", error: { message, code: "bailed" } });
  });

  test.each(["bail", "fail"] as const)("%s ends the run at once, through catch and finally", async (end) => {
    const ran: string[] = [];
    const host = await play(async (_input, step) => {
      try {
        await step.run("a", () => ran.push("a"));
        if (end === "bail") step.bail("enough");
        else step.fail(new TypeError("enough"));
      } catch {
        await step.run("b", () => ran.push("b"));
      } finally {
        await step.run("c", () => ran.push("c"));
      }
      return "went on";
    });
    expect(ran).toEqual(["a"]);
    const ended =
      end === "bail"
        ? { status: "cancelled", error: { message: "enough", code: "bailed" } }
        : { status: "failed", error: { name: "TypeError", message: "enough", code: "handler_failed" } };
    expect(host.snapshot).toMatchObject(ended);
  });

  test("guarantee 8: a crash just before the end is on record leads to the same end", async () => {
    const host = await play(async (_input, step) => {
      await step.run("a", () => 1);
      step.bail("enough");
    });
    const again = await host.reopen({ keep: host.journal.commits.length - 1 }).drive();
    expect(again.snapshot).toMatchObject({ status: "cancelled", error: { code: "bailed" } });
  });
});

test("guarantee 3: suspension never reaches catch or finally", async () => {
  const seen: string[] = [];
  const flow = async (_input: never, step: Step) => {
    try {
      await step.sleep("1 d");
      await step.waitFor("never");
    } catch {
      seen.push("catch");
    } finally {
      seen.push("finally");
    }
  };
  const host = await new Host(flow).drive();
  const second = await host.reopen().drive();
  expect(second.status).toBe("waiting");
  expect(seen).toEqual([]);
  // What does reach them is an end of the wait: somebody cancelled it.
  const terminated = await second.reopen().drive();
  await act(terminated.run, "terminate");
  await terminated.drive();
  expect(seen).toEqual([]);
  const third = await second.reopen().drive();
  await act(third.run, "cancel");
  await third.drive();
  expect(third.snapshot).toMatchObject({ status: "cancelled", error: { code: "cancelled" } });
  expect(seen).toEqual(["catch", "finally"]);
});

describe("cancel, terminate, timeout", () => {
  test.each(["cancel", "terminate"] as const)(
    "%s aborts what is in flight; its late result is ignored",
    async (kind) => {
      const aborted: boolean[] = [];
      const host: Host = new Host(async (_input, step) => {
        await step.run("long", async ({ signal }) => {
          signal.addEventListener("abort", () => aborted.push(true));
          await host.clock.after(60_000);
        });
      });
      host.plan(startAt + 1000, (run) => act(run, kind, "k"));
      await host.drive();
      const entries = host.journal.entries.length;
      host.clock.set(startAt + 120_000);
      await host.clock.idle();
      expect(host.journal.entries).toHaveLength(entries);
      expect(aborted).toEqual([true]);
      expect(host.snapshot).toMatchObject({
        status: "cancelled",
        error: { code: kind === "cancel" ? "cancelled" : "terminated" },
      });
      expect(() => act(host.run, kind, "k")).not.toThrow();
      expect(() => act(host.run, kind)).toThrow(HoldfastError);
    },
  );

  test.each([
    ["lost its memory", 60_000],
    ["kept it", 60_000],
    ["kept it, and is looked at late", 90_000],
  ])("guarantee 8: nothing begins in a run past its timeout that %s", async (how, afterMs) => {
    const begun: string[] = [];
    const retry = { delay: 60_000, jitter: 0, limit: 1 };
    const flow = define(
      async (_input, step) => {
        const fail = ({ attempt }: { readonly attempt: number }) => {
          begun.push(`again ${attempt}`);
          throw new Error("no");
        };
        const again = step.run("again", fail, { retry });
        await Promise.race([again, step.sleep("nap", 60_000)]);
        await step.run("behind", () => begun.push("behind"));
      },
      { timeoutMs: 60_000 },
    );
    let host = await new Host(flow).drive(startAt + 1000);
    if (how === "lost its memory") host = host.reopen({ cold: false });
    host.clock.set(startAt + afterMs);
    await host.drive();
    expect([host.snapshot.error?.code, begun]).toEqual(["run_timeout", ["again 1"]]);
    expect(host.clock.at).toBe(startAt + afterMs);
  });

  test("guarantee 4: a run past its timeout fails though its handler awaits something of its own in its replay, for ever", async () => {
    const undone: string[] = [];
    let lives = 0;
    const flow = define(
      async (_input, step) => {
        lives++;
        await step.run("charge", () => {}, { undo: () => void undone.push("charge") });
        if (lives > 1) await new Promise(() => {});
        await step.run("ship", () => {});
        await step.sleep("1 h");
      },
      { timeoutMs: 60_000 },
    );
    const host = await new Host(flow).drive(startAt + 1000);
    const again = await host.reopen({ at: startAt + 60_000 }).drive();
    expect(again.snapshot).toMatchObject({ status: "failed", error: { code: "run_timeout", undone: ["charge"] } });
    expect([undone, again.clock.at]).toEqual([["charge"], startAt + 70_000]);
  });

  test("guarantee 8: a run past its timeout fails, also one that waits; a pause does not count", async () => {
    const flow = define(async (_input, step) => await step.waitFor("never"), { timeoutMs: 60_000 });
    const host = await new Host(flow).drive();
    expect([host.snapshot.error?.code, host.clock.at]).toEqual(["run_timeout", startAt + 60_000]);
    const paused = new Host(flow);
    paused.plan(startAt + 10_000, (run) => act(run, "pause")).plan(startAt + 500_000, (run) => act(run, "resume"));
    await paused.drive();
    expect([paused.snapshot.error?.code, paused.clock.at]).toEqual(["run_timeout", startAt + 550_000]);
  });

  test("guarantee 4: what fell due during a pause is not held up by all of it once more", async () => {
    const flow = (_input: never, step: Step) =>
      step.run("a", ({ attempt }) => (attempt === 1 ? new Promise(() => {}) : attempt), {
        timeout: 60_000,
        retry: { delay: 1000, jitter: 0 },
      });
    const host = new Host(flow);
    host.plan(startAt + 1000, (run) => act(run, "pause")).plan(startAt + 100_000, (run) => act(run, "resume"));
    await host.drive();
    expect([host.status, host.clock.at]).toEqual(["completed", startAt + 101_000]);

    const retried = new Host(flow);
    retried.plan(startAt + 60_500, (run) => act(run, "pause"));
    retried.plan(startAt + 90_000, (run) => act(run, "retry")).plan(startAt + 100_000, (run) => act(run, "resume"));
    await retried.drive();
    expect([retried.status, retried.clock.at]).toEqual(["completed", startAt + 100_000]);
  });

  test("guarantee 5: a pause that changed nothing is the same one when it is repeated after the run was resumed", async () => {
    const host = await new Host(async (_input, step) => await step.waitFor("never")).drive();
    for (const kind of ["resume", "pause"] as const) {
      // The second finds the run as it wants it.
      await act(host.run, kind, `first ${kind}`);
      await act(host.run, kind, `second ${kind}`);
    }
    await act(host.run, "resume");
    await act(host.run, "pause", "second pause");
    expect(host.run.state.paused).toBeNull();
    await act(host.run, "pause");
    await act(host.run, "resume", "second resume");
    expect(host.run.state.paused).not.toBeNull();
    const noted = host.entries("run.action_noted").map(({ action, key }) => [action, key]);
    expect(noted).toEqual([
      ["resume", "first resume"],
      ["resume", "second resume"],
      ["pause", "second pause"],
    ]);
  });

  test("an attempt in flight times out though the run is paused, and then rests", async () => {
    const host = new Host((_input, step) =>
      step.run("a", () => new Promise(() => {}), { timeout: "1 m", retry: { limit: 1, jitter: 0 } }),
    );
    host.plan(startAt + 1000, (run) => act(run, "pause"));
    await host.drive();
    expect([host.status, host.clock.at, host.run.execution?.busy]).toEqual(["paused", startAt + 60_000, false]);
    void act(host.run, "resume");
    await host.drive();
    expect(host.snapshot.error).toMatchObject({ code: "step_timeout", attempts: 2 });
  });

  test("a delayed run begins when it is due, or is cancelled when that is too late", async () => {
    const make = (notAfter: number | null) => {
      const host = new Host(async (_input, step) => await Promise.resolve(step.now()), {
        commits: ["[]"],
        cold: false,
      });
      host.run.create({ ...created(null), startAt: startAt + 1000, notAfter });
      return host;
    };
    const host = make(null);
    expect(host.snapshot).toMatchObject({ status: "queued", waitingFor: [{ kind: "start", until: startAt + 1000 }] });
    await host.drive();
    expect(host.output).toBe(startAt + 1000);
    const late = make(startAt + 1500);
    late.clock.at = startAt + 2000;
    await late.drive();
    expect(late.snapshot).toMatchObject({ status: "cancelled", error: { code: "start_expired" } });
  });

  test("one that may not begin any more is cancelled then, however late it would be due", async () => {
    const host = new Host(() => 1, { commits: ["[]"], cold: false });
    host.run.create({ ...created(null), startAt: startAt + 86_400_000, notAfter: startAt + 1000 });
    await host.drive(startAt + 60_000);
    expect([host.snapshot, host.clock.at]).toMatchObject([
      { status: "cancelled", error: { code: "start_expired" } },
      startAt + 1001,
    ]);
    const late = host.reopen({ keep: 2, at: startAt + 2000 });
    expect([late.run.isDue(), late.status]).toEqual([true, "queued"]);
  });

  test.each([400, 50_000])("guarantee 4: a pause moves a delayed start, resumed after %i ms", async (resumedMs) => {
    const host = new Host((_input, step) => step.now(), { commits: ["[]"], cold: false });
    host.run.create({ ...created(null), startAt: startAt + 1000 });
    host.plan(startAt + 100, (run) => act(run, "pause")).plan(startAt + resumedMs, (run) => act(run, "resume"));
    await host.drive(startAt + resumedMs);
    const until = startAt + 1000 + resumedMs - 100;
    const again = host.reopen({ at: host.clock.at });
    expect(again.snapshot).toMatchObject({ status: "queued", waitingFor: [{ kind: "start", until }] });
    expect((await again.drive()).output).toBe(until);
  });

  test("guarantee 4: a start that is put off during a pause is moved by the rest of it", async () => {
    const host = new Host((_input, step) => step.now(), { commits: ["[]"], cold: false });
    host.run.create({ ...created(null), startAt: startAt + 1000 });
    const later = { workflow: host.snapshot.workflow, version: "1", input: encode(1, "input"), labels: {}, by: "test" };
    host.plan(startAt + 100, (run) => act(run, "pause"));
    host.plan(startAt + 5000, (run) => run.debounce({ ...later, periodMs: 1000, maxMs: null }));
    host.plan(startAt + 8000, (run) => act(run, "resume"));
    expect((await host.drive()).output).toBe(startAt + 9000);
  });

  test("it is told when it was accepted, and when it began", async () => {
    const host = new Host((_input, step) => [step.info.createdAt, step.info.startedAt], {
      commits: ["[]"],
      cold: false,
    });
    host.run.create({ ...created(null), startAt: startAt + 1000 });
    await host.drive();
    expect(host.output).toEqual([startAt, startAt + 1000]);
  });

  test("nor does one begin that came too late without a delay", async () => {
    const seen: string[] = [];
    const host = new Host(() => seen.push("began"), { commits: ["[]"], cold: false });
    host.run.create({ ...created(null), notAfter: startAt - 1 });
    await host.drive();
    expect(host.snapshot).toMatchObject({ status: "cancelled", startedAt: null, error: { code: "start_expired" } });
    expect(seen).toEqual([]);
  });
});

describe("the end of a handler", () => {
  test.each([
    ["returns", (host: Host) => host],
    ["fails", (host: Host) => host],
    ["is cancelled", (host: Host) => host.plan(startAt + 300, (run) => act(run, "cancel"))],
    ["is terminated", (host: Host) => host.plan(startAt + 300, (run) => act(run, "terminate"))],
  ])("guarantee 8: an attempt at work that a run which %s leaves behind is on record, once", async (how, plan) => {
    const host: Host = new Host(async (_input, step) => {
      void step.run("charge", () => host.clock.after(5000)).catch(() => {});
      void step.run("kept", () => host.clock.after(400), { undo: () => host.clock.after(100) }).catch(() => {});
      await step.sleep(300);
      if (how === "fails") throw new Error("enough");
      if (how !== "returns") await step.sleep(10_000);
    });
    await plan(host).drive();
    const left = host
      .entries("step.abandoned")
      .map(({ step, attempt, startedAt, at }) => [step, attempt, at - startedAt]);
    // What can be undone is waited for, unless nothing is to be undone.
    const kept = how === "returns" || how === "is terminated" ? [["kept", 1, 300]] : [];
    expect(left).toEqual([["charge", 1, 300], ...kept]);
  });

  test("guarantee 8: what is left behind is on record whenever the process dies while another step is waited for", async () => {
    const host: Host = new Host(async (_input, step) => {
      void step.run("charge", () => host.clock.after(5000)).catch(() => {});
      void step.run("kept", () => host.clock.after(400), { undo: () => {} }).catch(() => {});
      await step.sleep(300);
      throw new Error("enough");
    });
    await host.drive(startAt + 350);
    expect(host.journal.kinds.slice(-2)).toEqual(["timer.fired", "step.abandoned"]);
    const again = await host.reopen().drive();
    expect([again.status, again.entries("step.abandoned").map(({ step }) => step)]).toEqual(["failed", ["charge"]]);
  });

  test("steps nobody awaited are let go", async () => {
    const aborted: unknown[] = [];
    const host: Host = new Host((_input, step) => {
      void step.run("loose", async ({ signal }) => {
        signal.addEventListener("abort", () => aborted.push(1));
        await host.clock.after(1000);
      });
      void step.sleep("1 d");
      return "done";
    });
    await host.drive();
    host.clock.set(startAt + 5000);
    await host.clock.idle();
    expect([host.status, host.output, aborted]).toEqual(["completed", "done", [1]]);
    expect(host.journal.kinds.at(-1)).toBe("run.completed");
  });

  test("what the handler awaits besides steps works, and does not keep a parked run awake", async () => {
    const flow = (clock: () => Host["clock"]) => async (_input: never, step: Step) => {
      await clock().after(500);
      const a = await step.run("a", () => 1);
      await clock().after(500);
      const b = await step.waitFor("b");
      await clock().after(500);
      step.log.info("late");
      return [a, b];
    };
    const host: Host = new Host(flow(() => host.clock));
    await host.drive();
    expect([host.status, host.run.execution?.busy, host.clock.at]).toEqual(["waiting", false, startAt + 1000]);
    const later: Host = host.reopen({ definition: flow(() => later.clock) });
    await later.signalAt(startAt + 60_000, "b", 2).drive();
    expect(later.output).toEqual([1, 2]);
    expect(later.journal.kinds.filter((kind) => /step|wait|log|signal/.test(kind))).toEqual([
      "step.completed",
      "wait.started",
      "signal.received",
      "signal.consumed",
      "log.written",
    ]);
  });
});

describe("retry", () => {
  test("guarantee 2: a failed run goes on from what failed and keeps the rest", async () => {
    const ran: string[] = [];
    let broken = true;
    const host = await play(async (_input, step) => {
      const a = await step.run("a", () => ran.push("a"));
      const [b, c] = await Promise.all([
        step.run(
          "b",
          () => {
            ran.push("b");
            if (broken) throw new Error("down");
            return "b";
          },
          { retry: { limit: 0 } },
        ),
        step.run("c", () => ran.push("c")),
      ]);
      return [a, b, c];
    });
    expect(host.status).toBe("failed");
    broken = false;
    const other = host.reopen();
    host.dead = false;
    for (const one of [host, other]) {
      ran.length = 0;
      void act(one.run, "retry");
      await one.drive();
      expect([one.status, one.output]).toEqual(["completed", [1, "b", expect.any(Number)]]);
      expect(ran).not.toContain("a");
      expect(ran.filter((name) => name === "b")).toHaveLength(1);
    }
  });

  test("retries do not hold against a step that it was in flight when the run failed", async () => {
    const host: Host = new Host(async (_input, step) => {
      await Promise.all([
        step.run("slow", () => host.clock.after(60_000)),
        step.run(
          "bad",
          () => {
            throw new Error("down");
          },
          { retry: { limit: 0 } },
        ),
      ]);
    });
    for (let i = 0; i < 8; i++) {
      await host.drive();
      void act(host.run, "retry");
    }
    await host.drive();
    expect(host.snapshot.error).toMatchObject({ code: "step_failed", step: "bad" });
    expect(host.entries("step.interrupted")).toEqual([]);
  });

  test("a run that waits for its next attempt makes it now", async () => {
    const at: number[] = [];
    const host: Host = new Host(async (_input, step) => {
      await step.run(
        "a",
        ({ attempt }) => {
          at.push(host.clock.at);
          if (attempt === 1) throw new Error("no");
        },
        { retry: { delay: "1 d" } },
      );
    });
    host.plan(startAt + 5000, (run) => act(run, "retry"));
    await host.drive();
    expect([host.status, at]).toEqual(["completed", [startAt, startAt + 5000]]);
    expect(() => act(host.run, "retry")).toThrow(HoldfastError);
  });

  test("a run that timed out has all of its time again", async () => {
    const host = await new Host(
      define(async (_input, step) => await step.sleep("90 s"), { timeoutMs: 60_000 }),
    ).drive();
    expect(host.snapshot.error?.code).toBe("run_timeout");
    void act(host.run, "retry");
    await host.drive();
    expect(host.status).toBe("completed");
  });

  test("guarantee 3: a pause and its end in the middle of a replay begin nothing twice", async () => {
    const ran: string[] = [];
    const host = await new Host(async (_input, step) => {
      await step.run("a", () => ran.push("a"));
      await step.run("b", () => ran.push("b"));
      await step.waitFor("go");
    }).drive();
    for (let turns = 0; turns < 8; turns++) {
      const again = host.reopen();
      again.run.advance(true);
      for (let turn = 0; turn < turns; turn++) await again.clock.turn();
      void act(again.run, "pause");
      void act(again.run, "resume");
      await again.drive();
      expect([again.status, ran]).toEqual(["waiting", ["a", "b"]]);
    }
  });
});

test("guarantee 7: a run whose version is gone waits, says why, and goes on once it is back", async () => {
  const flow = define(async (_input, step) => await step.waitFor("go"));
  const host = await new Host(flow).drive();
  const stuck = host.reopen({ cold: false });
  stuck.definition = undefined;
  await stuck.drive(startAt + 30_000);
  expect(stuck.snapshot).toMatchObject({ status: "waiting", reason: expect.stringContaining("version 1") as string });
  stuck.definition = flow;
  await stuck.signalAt(startAt + 60_000, "go", 1).drive();
  expect([stuck.status, stuck.output]).toEqual(["completed", 1]);
});

describe("guarantee 2: a journal that cannot be written", () => {
  test.each(["step.completed", "timer.set", "log.written", "run.completed", "wait.started"])(
    "%s: the memory is given up, nothing runs twice, nothing reaches the handler",
    async (kind) => {
      const ran: string[] = [];
      const flow = async (_input: never, step: Step) => {
        try {
          await step.run("a", () => ran.push("a"));
          step.log.info("hello");
          await step.sleep("1 d");
          await step.waitFor("x", { timeout: "1 d" });
        } catch (error) {
          ran.push(`caught ${String(error)}`);
        }
      };
      const host = new Host(flow);
      host.journal.beforeAppend = (entries) => {
        if (entries.some((entry) => entry.kind === kind)) throw new Error("the disk is full");
      };
      await expect(host.drive()).rejects.toThrow("the disk is full");
      expect(() => host.run.advance()).toThrow("the disk is full");
      const later = await host.reopen().drive();
      expect(later.status).toBe("completed");
      expect(ran).toEqual(kind === "step.completed" ? ["a", "a"] : ["a"]);
    },
  );
});
