/** What a retry does with children that its run did not need any more. */
import { expect, test } from "vitest";
import { NonRetryableError } from "../../src/core/error.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { Family } from "./family.ts";
import { startAt } from "./host.ts";
import { define } from "./memory.ts";

const minuteMs = 60_000;

/** A parent that waits for a minute for a child, which fails by itself after two and needs another two the next time. */
function impatient(): Family {
  let times = 0;
  const child = async (_input: unknown, step: Step): Promise<unknown> => {
    await step.sleep("first", 2 * minuteMs);
    await step.run("work", () => {
      if (++times === 1) throw new NonRetryableError("not yet");
    });
    return await step.sleep("then", 2 * minuteMs);
  };
  const parent = async (_input: unknown, step: Step): Promise<unknown> => {
    return await step.invoke("child", null, { timeout: times === 0 ? minuteMs : 5 * minuteMs });
  };
  return new Family(define(child, { name: "child" }), define(parent, { name: "parent" })).begin("parent");
}

test("a child that a retry has go on is not stopped for what its parent gave up before (guarantee 4)", async () => {
  const family = impatient();
  let isDown = true;
  family.fails = (what) => what === "stop" && isDown;
  await family.drive(startAt + 4 * minuteMs);
  expect(family.snapshot("parent").status).toBe("failed");
  family.plan(startAt + 10 * minuteMs, () => family.act("parent", "retry"));
  family.plan(startAt + 11 * minuteMs, () => (isDown = false));
  await family.drive(startAt + 30 * minuteMs);
  expect(family.snapshot("parent").status).toBe("completed");
});

test("a child that goes on and is given up again is stopped again (guarantee 8)", async () => {
  let times = 0;
  const child = async (_input: unknown, step: Step): Promise<unknown> => {
    await step.run("work", () => {
      if (++times === 1) throw new NonRetryableError("not yet");
    });
    return await step.waitFor("never");
  };
  const parent = async (_input: unknown, step: Step): Promise<unknown> => {
    await step.run("before", () => {});
    return await step.invoke("child", null, { timeout: minuteMs });
  };
  const family = new Family(define(child, { name: "child" }), define(parent, { name: "parent" })).begin("parent");
  // Its parent gives it up before it hears that it has failed.
  family.fails = (what) => what === "hear" && family.clock.at < startAt + 5 * minuteMs;
  await family.drive(startAt + 4 * minuteMs);
  const [, id = ""] = family.ids();
  expect([family.snapshot("parent").status, family.snapshot(id).status]).toEqual(["failed", "failed"]);
  family.plan(startAt + 10 * minuteMs, () => family.act("parent", "retry"));
  await family.drive(startAt + 30 * minuteMs);
  expect([family.snapshot("parent").status, family.snapshot(id).status]).toEqual(["failed", "cancelled"]);
});

test("a child that was to be stopped as its run failed is, though a retry of the run makes no call for it (guarantee 8)", async () => {
  let isFirst = true;
  const child = (_input: unknown, step: Step): Promise<unknown> => step.waitFor("never");
  const parent = async (_input: unknown, step: Step): Promise<unknown> => {
    const called = isFirst ? step.invoke("child") : step.sleep("instead", 60 * minuteMs);
    await step.sleep("before", minuteMs);
    await step.run("work", () => {
      if (isFirst) throw new NonRetryableError("not yet");
    });
    return await called;
  };
  const family = new Family(define(child, { name: "child" }), define(parent, { name: "parent" })).begin("parent");
  family.fails = (what) => what === "stop" && family.clock.at < startAt + 11 * minuteMs;
  await family.drive(startAt + 4 * minuteMs);
  expect(family.ids().map((id) => family.snapshot(id).status)).toEqual(["failed", "waiting"]);
  isFirst = false;
  family.plan(startAt + 10 * minuteMs, () => family.act("parent", "retry"));
  await family.drive(startAt + 30 * minuteMs);
  expect(family.ids().map((id) => family.snapshot(id).status)).toEqual(["waiting", "cancelled"]);
});

test("a child whose start never came through, of a race that a retry opens again, is started (guarantee 4)", async () => {
  let isGood = false;
  const parent = async (_input: unknown, step: Step): Promise<unknown> => {
    const work = async (): Promise<void> => {
      await step.sleep(minuteMs);
      if (!isGood) await step.run("work", () => Promise.reject(new NonRetryableError("not yet")));
      return await step.sleep("more", minuteMs);
    };
    return await step.race({ child: () => step.invoke("child", null, { onParentEnd: "abandon" }), work });
  };
  const family = new Family(
    define(() => "born", { name: "child" }),
    define(parent, { name: "parent" }),
  ).begin("parent");
  let isDown = true;
  family.fails = (what) => what === "start" && isDown;
  await family.drive(startAt + 4 * minuteMs);
  expect([family.ids(), family.snapshot("parent").status]).toEqual([["parent"], "failed"]);
  [isGood, isDown] = [true, false];
  family.plan(startAt + 10 * minuteMs, () => family.act("parent", "retry"));
  await family.drive(startAt + 30 * minuteMs);
  expect(family.entries("parent", "child.failed")).toEqual([]);
  expect(family.output("parent")).toEqual({ key: "child", value: "born" });
});

test("a child that nobody waits for, whose start came through unheard before its parent failed, is started once (guarantee 2)", async () => {
  let isGood = false;
  const parent = async (_input: unknown, step: Step): Promise<unknown> => {
    const started = step.start("child", null);
    await step.run("work", () => {
      if (!isGood) throw new NonRetryableError("not yet");
    });
    return await started;
  };
  const family = new Family(
    define(() => "born", { name: "child" }),
    define(parent, { name: "parent" }),
  ).begin("parent");
  let isDown = true;
  family.fails = (what) => what === "started" && isDown;
  await family.drive(startAt + 4 * minuteMs);
  expect(family.snapshot("parent").status).toBe("failed");
  const before = family.ids();
  [isGood, isDown] = [true, false];
  family.plan(startAt + 10 * minuteMs, () => family.act("parent", "retry"));
  await family.drive(startAt + 30 * minuteMs);
  expect([family.ids(), family.output("parent")]).toEqual([before, { id: before[1] }]);
});

test("a child whose start gets there once its run has given it up and gone on as new is stopped (guarantee 8)", async () => {
  const parent = async (again: boolean, step: Step): Promise<unknown> => {
    if (again) return await step.sleep(5 * minuteMs);
    await step.race({ child: () => step.invoke("child"), work: () => step.run("work", () => {}) });
    return await step.continueAsNew(true);
  };
  const child = (_input: unknown, step: Step): Promise<unknown> => step.waitFor("never");
  const family = new Family(define(child, { name: "child" }), define(parent, { name: "parent" }));
  family.lag = (what) => (what === "start" ? 3000 : 0);
  await family.begin("parent", false).drive(startAt + 30 * minuteMs);
  expect(family.ids().map((id) => family.snapshot(id).status)).toEqual(["completed", "cancelled"]);
});

test("so is one whose run a person has begin once more meanwhile", async () => {
  const parent = async (_input: unknown, step: Step): Promise<unknown> => {
    if (step.info.continued === 0) return await step.invoke("child", null, { timeout: 10 * minuteMs });
    return await step.sleep(minuteMs);
  };
  const child = (_input: unknown, step: Step): Promise<unknown> => step.waitFor("never");
  const family = new Family(define(child, { name: "child" }), define(parent, { name: "parent" })).begin("parent");
  family.lag = (what) => (what === "start" ? 3000 : 0);
  family.plan(startAt + 1000, () => {
    family.run("parent").prepareRestart("1", { by: "test", reason: null })();
    family.wake("parent");
  });
  await family.drive(startAt + 30 * minuteMs);
  expect(family.ids().map((id) => family.snapshot(id).status)).toEqual(["completed", "cancelled"]);
});

test("so is one that was given up as its start was under way, the answer to which is lost", async () => {
  const parent = async (_input: unknown, step: Step): Promise<unknown> => {
    await step.race({ child: () => step.invoke("child"), work: () => step.run("work", () => {}) });
    return await step.sleep(minuteMs);
  };
  const child = (_input: unknown, step: Step): Promise<unknown> => step.waitFor("never");
  const family = new Family(define(child, { name: "child" }), define(parent, { name: "parent" })).begin("parent");
  family.lag = (what) => (what === "start" ? 3000 : 0);
  family.fails = (what) => what === "started";
  await family.drive(startAt + 30 * minuteMs);
  expect(family.ids().map((id) => family.snapshot(id).status)).toEqual(["completed", "cancelled"]);
});

test.each(["answered", "unanswered"] as const)(
  "so is one whose start, %s, gets there late, however often the stop of it is lost",
  async (how) => {
    const parent = async (_input: unknown, step: Step): Promise<unknown> => {
      await step.race({ child: () => step.invoke("child"), work: () => step.run("work", () => {}) });
      return await step.sleep(60 * minuteMs);
    };
    const child = (_input: unknown, step: Step): Promise<unknown> => step.waitFor("never");
    const family = new Family(define(child, { name: "child" }), define(parent, { name: "parent" })).begin("parent");
    family.lag = (what) => (what === "start" ? 3000 : 0);
    let lost = 0;
    family.fails = (what) =>
      (what === "started" && how === "unanswered") || (what === "stop" && family.clock.at > startAt && lost++ < 5);
    await family.drive(startAt + 30 * minuteMs);
    expect(lost).toBeGreaterThan(5);
    expect(family.ids().map((id) => family.snapshot(id).status)).toEqual(["waiting", "cancelled"]);
    expect(family.entries("parent", "child.stopped")).toHaveLength(1);
  },
);

test("so is one whose start was under way as the process of its run died, and gets there after the stop", async () => {
  const parent = (_input: unknown, step: Step): Promise<unknown> => step.invoke("child");
  const child = (_input: unknown, step: Step): Promise<unknown> => step.waitFor("never");
  const family = new Family(define(child, { name: "child" }), define(parent, { name: "parent" })).begin("parent");
  family.lag = (what) => (what === "start" ? 10_000 : 0);
  family.plan(startAt + 1000, () => family.act("parent", "cancel"));
  family.plan(startAt + 2000, () => family.kill("parent"));
  await family.drive(startAt + 30 * minuteMs);
  expect(family.ids().map((id) => family.snapshot(id).status)).toEqual(["cancelled", "cancelled"]);
});

test("a child that a retry starts anew for a race, and that ends before its run hears of that, is heard (guarantee 4)", async () => {
  let isGood = false;
  const parent = async (_input: unknown, step: Step): Promise<unknown> => {
    const work = async (): Promise<unknown> => {
      await step.sleep("1 s");
      if (!isGood) await step.run("work", () => Promise.reject(new NonRetryableError("not yet")));
      return await step.sleep("more", "10 minutes");
    };
    return await step.race({ child: () => step.invoke("child"), work });
  };
  const child = async (_input: unknown, step: Step): Promise<unknown> =>
    isGood ? "born" : await step.waitFor("never");
  const family = new Family(define(child, { name: "child" }), define(parent, { name: "parent" })).begin("parent");
  await family.drive(startAt + minuteMs);
  expect(family.ids().map((id) => family.snapshot(id).status)).toEqual(["failed", "cancelled"]);
  isGood = true;
  family.lag = (what) => (what === "started" ? 3000 : 0);
  family.plan(startAt + 2 * minuteMs, () => family.act("parent", "retry"));
  await family.drive(startAt + 3 * minuteMs);
  expect(family.output("parent")).toEqual({ key: "child", value: "born" });
});

test("a child that a retry is about to have go on, as its run begins once more and calls for it again, is stopped, and that is heard (guarantee 8)", async () => {
  let times = 0;
  const child = async (_input: unknown, step: Step): Promise<unknown> => {
    await step.run("work", () => {
      if (++times === 1) throw new NonRetryableError("not yet");
    });
    return await step.waitFor("never");
  };
  const parent = (_input: unknown, step: Step): Promise<unknown> => step.invoke("child", null, { id: "born" });
  const family = new Family(define(child, { name: "child" }), define(parent, { name: "parent" })).begin("parent");
  family.lag = (what) => (what === "retry" ? 3000 : 0);
  family.plan(startAt + minuteMs, () => family.act("parent", "retry"));
  family.plan(startAt + minuteMs + 1000, () => {
    family.run("parent").prepareRestart("1", { by: "test", reason: null })();
    family.wake("parent");
  });
  await family.drive(startAt + 30 * minuteMs);
  expect(family.ids().map((id) => family.snapshot(id).status)).toEqual(["failed", "cancelled"]);
  expect(family.snapshot("parent").error?.message).toContain("was cancelled");
});

test("a child that one call gives up while the start of another's is under way goes on (guarantee 4)", async () => {
  const parent = async (_input: unknown, step: Step): Promise<unknown> => {
    const first = step.invoke("child", null, { id: "born", timeout: minuteMs }).catch(() => "given up");
    await step.sleep(minuteMs - 1000);
    return await Promise.all([first, step.invoke("child", null, { id: "born" })]);
  };
  const child = (_input: unknown, step: Step): Promise<unknown> => step.sleep(5 * minuteMs);
  const family = new Family(define(child, { name: "child" }), define(parent, { name: "parent" })).begin("parent");
  family.lag = (what) => (what === "start" || what === "started" ? 3000 : 0);
  await family.drive(startAt + 30 * minuteMs);
  expect(family.ids().map((id) => family.snapshot(id).status)).toEqual(["completed", "completed"]);
});

test.each([
  ["waits for", 0],
  ["is having started", 3000],
])("a child that one call gave up and another %s is left alone as its run goes on as new", async (_what, lagMs) => {
  const parent = async (again: boolean, step: Step): Promise<unknown> => {
    if (again) return await step.sleep(20 * minuteMs);
    const first = step.invoke("child", null, { id: "born", timeout: minuteMs }).catch(() => "given up");
    await step.sleep(minuteMs - 1000);
    void step.invoke("child", null, { id: "born" });
    await first;
    return await step.continueAsNew(true);
  };
  const child = (_input: unknown, step: Step): Promise<unknown> => step.sleep(5 * minuteMs);
  const family = new Family(define(child, { name: "child" }), define(parent, { name: "parent" }));
  family.lag = (what) => (what === "start" || what === "started" ? lagMs : 0);
  await family.begin("parent", false).drive(startAt + 40 * minuteMs);
  expect(family.ids().map((id) => family.snapshot(id).status)).toEqual(["completed", "completed"]);
});
