import { describe, expect, test } from "vitest";
import * as z from "zod";
import { childId } from "../../src/core/lifecycle/child.ts";
import type { Definition } from "../../src/core/definition/definition.ts";
import { NonRetryableError } from "../../src/core/error.ts";
import type { ChildPolicy } from "../../src/core/run/origin.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { encode } from "../../src/core/value/value.ts";
import { receiveNews } from "../../src/engine/child/news.ts";
import type { ChildNews } from "../../src/engine/child/news.ts";
import { Family } from "./family.ts";
import { Host, startAt } from "./host.ts";
import { define } from "./memory.ts";
import { stayMs } from "../../src/engine/next.ts";
import type { Handler } from "./memory.ts";

const minuteMs = 60_000;
const dayMs = 86_400_000;

function flow(name: string, handler: Handler, options: Partial<Definition> = {}): Definition {
  return define(handler, { name, retry: { limit: 0 }, ...options });
}

const double = flow("double", async (n: number, step) => await step.run("double", () => n * 2));
const broken = flow("broken", async (_input, step) => {
  await step.run("break", () => {
    throw new NonRetryableError("it broke", { cause: new Error("rust") });
  });
});
/** Waits to be told what it returns. */
const patient = flow("patient", async (_input, step) => await step.waitFor("go"));

/** The error a call rejects with, as far as it says something. */
const why = async (call: Promise<unknown>): Promise<unknown> =>
  await call.then(
    (value) => ({ value }),
    (error: Error & Record<string, unknown>) => ({
      name: error.name,
      message: error.message,
      ...{ code: error["code"], step: error["step"], child: error["child"] },
      cause: error.cause instanceof Error ? `${String(Reflect.get(error.cause, "code"))} ${error.cause.message}` : null,
    }),
  );

function idOf(step: string, parent = "parent", createdAt = startAt): string {
  return childId({ parent, createdAt, step, episode: 0 });
}

function kinds(family: Family, id: string): string[] {
  return family.journal(id).kinds;
}

async function signalled(family: Family, id: string, payload: unknown, at = family.clock.at + 1000): Promise<Family> {
  return await family
    .plan(at, () => {
      family.run(id).signal({ name: "go", payload: encode(payload, "a payload"), by: "test" });
      family.wake(id);
    })
    .drive(at + 4 * minuteMs);
}

describe("invoke", () => {
  test("guarantee 8: waits for the child's output, and both journals tell of it", async () => {
    const family = await new Family(
      double,
      flow("parent", async (_input, step) => [await step.invoke("double", 4), await step.invoke<number>("double", 5)]),
    )
      .begin("parent")
      .drive();
    expect(family.output("parent")).toEqual([8, 10]);
    const child = { id: idOf("double"), workflow: "double" };
    expect(family.entries("parent", "child.started")[0]).toMatchObject({
      step: "double",
      child,
      until: null,
      policy: "cancel",
    });
    expect(family.entries("parent", "child.completed")).toMatchObject([
      { step: "double", child },
      { step: "double#2" },
    ]);
    expect(family.snapshot(child.id)).toMatchObject({
      parent: { id: "parent", workflow: "parent" },
      status: "completed",
    });
    expect(kinds(family, "parent")).toEqual([
      ...["run.created", "run.started"],
      ...["child.started", "child.completed", "child.started", "child.completed"],
      "run.completed",
    ]);
  });

  test("a child that fails, fails the call with its error as cause; one that was cancelled as well", async () => {
    const family = new Family(
      broken,
      patient,
      flow("parent", async (_input, step) => [
        await why(step.invoke(broken as never, 1 as never)),
        await why(step.invoke("patient")),
      ]),
    ).begin("parent");
    await family.drive();
    const waits = idOf("patient");
    expect(family.snapshot("parent")).toMatchObject({ status: "waiting", waitingFor: [{ kind: "run", name: waits }] });
    await family.plan(family.clock.at + 1000, () => family.act(waits, "cancel")).drive();
    expect(family.output("parent")).toEqual([
      {
        name: "ChildFailed",
        message: `child run ${idOf("broken")} of workflow broken failed: it broke`,
        ...{ code: "child_failed", step: "broken", child: idOf("broken") },
        cause: "non_retryable it broke",
      },
      {
        name: "ChildFailed",
        message: `child run ${waits} of workflow patient was cancelled: the run was cancelled`,
        ...{ code: "child_failed", step: "patient", child: waits },
        cause: "cancelled the run was cancelled",
      },
    ]);
  });

  test("a child's failure that nobody catches fails the parent, which tells of the whole chain", async () => {
    const family = await new Family(
      broken,
      flow("middle", async (_input, step) => await step.invoke("broken")),
      flow("parent", async (_input, step) => await step.invoke("middle")),
    )
      .begin("parent")
      .drive();
    const middle = idOf("middle");
    expect(family.snapshot("parent").error).toMatchObject({
      ...{ code: "child_failed", step: "middle", child: middle },
      cause: {
        ...{ code: "child_failed", step: "broken", child: idOf("broken", middle) },
        cause: { code: "non_retryable", message: "it broke", step: "break", cause: { message: "rust" } },
      },
    });
  });

  test("a start that is refused fails the call, and no child is on record", async () => {
    const strict = flow("strict", () => 1, { input: z.object({ n: z.number() }) });
    const family = await new Family(
      strict,
      flow("parent", async (_input, step) => [
        await why(step.invoke("nowhere")),
        await why(step.invoke("strict", { n: "x" })),
        await why(step.start("strict", {})),
      ]),
    )
      .begin("parent")
      .drive();
    expect(family.output("parent")).toMatchObject([
      { code: "child_failed", step: "nowhere", cause: "workflow_not_found no workflow is called nowhere" },
      { code: "child_failed", step: "strict", cause: expect.stringMatching(/^input_invalid/) },
      { code: "child_failed", step: "strict#2", cause: expect.stringMatching(/^input_invalid/) },
    ]);
    expect(family.entries("parent", "child.failed").map(({ child }) => child)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(family.ids()).toEqual(["parent"]);
  });

  test("says that it starts it, while the start is under way, or is to be tried again", async () => {
    const parent = flow("parent", async (_input, step) => await step.invoke("kid", null, { id: "kid-1" }));
    const family = new Family(
      parent,
      flow("kid", () => 1),
    ).begin("parent");
    let isDown = true;
    family.fails = () => isDown;
    family.lag = () => 100;
    await family.drive(family.clock.at + 50);
    const says = { status: "running", reason: "starting run kid-1 of workflow kid" };
    expect(family.snapshot("parent")).toMatchObject(says);
    await family.drive(family.clock.at + 500);
    expect(family.snapshot("parent")).toMatchObject(says);
    isDown = false;
    await family.drive();
    expect(family.snapshot("parent")).toMatchObject({ status: "completed" });
  });

  test("arguments that cannot be meant are refused with what is wrong with them", async () => {
    const family = await new Family(
      double,
      flow("parent", async (_input, step) => {
        const loose = step as unknown as Record<"invoke" | "start", (...args: unknown[]) => Promise<unknown>> & Step;
        return [
          await why(loose.invoke(undefined)),
          await why(loose.invoke("double", 1, { tiemout: 5 })),
          await why(loose.start("double", 1, { timeout: 5 })),
          await why(loose.invoke("double", 1, { timeout: "soon" })),
          await why(loose.invoke("double", 1, { id: "no blanks" })),
          await why(loose.invoke("double", 1, { onParentEnd: "kill" })),
          await why(loose.invoke("double", 1, { labels: { n: 1 } })),
          await why(loose.invoke("double", () => 1)),
          await why(step.signal("no blanks", "go")),
          await why(step.signal("run", "")),
        ];
      }),
    )
      .begin("parent")
      .drive();
    expect((family.output("parent") as { code: string }[]).map(({ code }) => code)).toEqual([
      ...["name_invalid", "options_invalid", "options_invalid", "duration_invalid", "id_invalid"],
      ...["options_invalid", "options_invalid", "value_uncloneable", "id_invalid", "name_invalid"],
    ]);
    expect(family.ids()).toEqual(["parent"]);
  });

  test("guarantee 4: past its timeout it rejects, and the child is stopped as its policy says", async () => {
    const give = async (step: Step, onParentEnd: ChildPolicy): Promise<unknown> =>
      await why(step.invoke("patient", null, { timeout: "90 s", onParentEnd }));
    const family = await new Family(
      patient,
      flow("parent", async (_input, step) => {
        const all = [await give(step, "cancel"), await give(step, "terminate"), await give(step, "abandon")];
        await step.sleep("1 day");
        return all;
      }),
    )
      .begin("parent")
      .drive(startAt + 2 * dayMs);
    expect(family.output("parent")).toMatchObject([
      {
        code: "child_failed",
        message: `child run ${idOf("patient")} of workflow patient did not end within the timeout of 1 min 30 s`,
        child: idOf("patient"),
        cause: expect.stringMatching(/^step_timeout/),
      },
      { code: "child_failed", child: idOf("patient#2") },
      { code: "child_failed", child: idOf("patient#3") },
    ]);
    expect(family.snapshot(idOf("patient"))).toMatchObject({ status: "cancelled", error: { code: "cancelled" } });
    expect(family.snapshot(idOf("patient#2"))).toMatchObject({ status: "cancelled", error: { code: "terminated" } });
    expect(family.snapshot(idOf("patient#3")).status).toBe("waiting");
    const [cancelled] = family.entries(idOf("patient"), "run.cancelled");
    expect(cancelled).toMatchObject({ by: "parent parent" });
    expect(cancelled?.at).toBeLessThan(startAt + 91_000);
    expect(family.entries("parent", "child.stopped")).toMatchObject([
      { child: { id: idOf("patient") }, policy: "cancel" },
      { child: { id: idOf("patient#2") }, policy: "terminate" },
    ]);
    expect(family.run("parent").state.orphans.size).toBe(0);
  });

  test("with an id of its own finds a run that others started, also one that has ended", async () => {
    const family = await new Family(
      double,
      patient,
      flow("parent", async (_input, step) => [
        await step.invoke("double", null, { id: "done-before" }),
        await step.invoke("patient", null, { id: "under-way" }),
      ]),
    )
      .begin("double", null, "done-before")
      .begin("patient", null, "under-way")
      .drive();
    family.begin("parent");
    await family.drive(startAt + 1000);
    await signalled(family, "under-way", "told", startAt + 40_000);
    expect(family.output("parent")).toEqual([0, "told"]);
    // Whoever started it does not tell this run: it asks, and more often than it would ask its own child.
    expect(family.entries("parent", "run.completed")[0]?.at).toBeLessThan(startAt + 2 * 40_000);
  });

  test("a run that would wait for itself is told so (guarantee 4)", async () => {
    const family = await new Family(
      flow("parent", async (_input, step) => await why(step.invoke("parent", {}, { id: step.info.id }))),
    )
      .begin("parent", {})
      .drive();
    expect(family.output("parent")).toMatchObject({
      code: "child_failed",
      cause: "run_exists the run parent cannot wait for itself",
    });
  });

  test("one that several calls wait for is stopped once none of them does (guarantee 8)", async () => {
    const parent = flow("parent", async (_input, step) => {
      const wait = (timeout: string): Promise<unknown> => why(step.invoke("patient", null, { id: "shared", timeout }));
      const raced = step.race({
        child: () => step.invoke("patient", null, { id: "shared" }),
        late: () => step.sleep(9),
      });
      return await Promise.all([wait("1 h"), wait("2 m"), raced]);
    });
    const answered = await new Family(patient, parent).begin("parent").drive(startAt + 10 * minuteMs);
    expect(answered.snapshot("shared").status).toBe("waiting");
    await (await signalled(answered, "shared", "told")).drive(startAt + 50 * minuteMs);
    expect(answered.output("parent")).toMatchObject([{ value: "told" }, { code: "child_failed" }, { key: "late" }]);
    expect(kinds(answered, "parent")).not.toContain("child.stopped");

    const given = await new Family(patient, parent).begin("parent").drive(startAt + 2 * 60 * minuteMs);
    expect(given.output("parent")).toMatchObject([{ code: "child_failed" }, { code: "child_failed" }, { key: "late" }]);
    const [cancelled] = given.entries("shared", "run.cancelled");
    expect(cancelled?.at).toBeGreaterThanOrEqual(startAt + 60 * minuteMs);
  });

  test("a child that is open as its parent fails is stopped before the parent's steps have been undone (guarantee 8)", async () => {
    let tries = 0;
    const undo = async (): Promise<void> => {
      if (++tries < 3) throw new Error("not yet");
    };
    const handler: Handler = async (_input, step) => {
      await step.run("a", () => 1, { undo });
      void step.invoke("patient", null);
      await step.sleep("1 m");
      throw new Error("it broke");
    };
    const parent = flow("parent", handler, { retry: { limit: 2, delay: "10 m" } });
    const family = await new Family(patient, parent).begin("parent").drive(startAt + 60 * minuteMs);
    expect(kinds(family, "parent").slice(-2)).toEqual(["undo.completed", "run.failed"]);
    expect(family.entries(idOf("patient"), "run.cancelled")[0]?.at).toBeLessThan(startAt + 2 * minuteMs);
  });

  test("a thousand at once: each is made once, and few calls are under way at a time", async () => {
    const family = new Family(
      double,
      flow("parent", async (_input, step) =>
        (await Promise.all(Array.from({ length: 1000 }, (_, i) => step.invoke<number>("double", i)))).reduce(
          (a, b) => a + b,
        ),
      ),
    ).begin("parent");
    await family.drive();
    expect(family.output("parent")).toBe(999_000);
    expect(new Set(family.made.values())).toEqual(new Set([1]));
  });
});

describe("start", () => {
  test("answers the id at once, and leaves the child alone", async () => {
    const family = await new Family(
      patient,
      flow("parent", async (_input, step) => [
        await step.start("patient", null),
        await step.start("patient", null, { id: "mine", labels: { a: "b" } }),
      ]),
    )
      .begin("parent")
      .drive();
    expect(family.output("parent")).toEqual([{ id: idOf("patient") }, { id: "mine" }]);
    expect(family.entries("parent", "child.started")).toMatchObject([{ detached: true, policy: "abandon" }, {}]);
    expect(family.snapshot("mine")).toMatchObject({ status: "waiting", labels: { a: "b" }, parent: { id: "parent" } });
    await signalled(family, "mine", 1);
    expect(family.calls.filter((call) => call.startsWith("hear"))).toEqual([]);
  });

  test("stops the child at the parent's end where it was told to", async () => {
    const family = await new Family(
      patient,
      flow("parent", async (_input, step) => {
        await step.start("patient", null, { id: "c-1", onParentEnd: "cancel" });
        await step.start("patient", null, { id: "c-2", onParentEnd: "terminate" });
        await step.sleep(5000);
        return "over";
      }),
    )
      .begin("parent")
      .drive(startAt + 4000);
    expect(family.snapshot("c-1").status).toBe("waiting");
    await family.drive();
    expect(family.output("parent")).toBe("over");
    expect([family.snapshot("c-1"), family.snapshot("c-2")]).toMatchObject([
      { status: "cancelled", error: { code: "cancelled" } },
      { status: "cancelled", error: { code: "terminated" } },
    ]);
  });
});

describe("a parent that ends before its child", () => {
  const parent = (onParentEnd: ChildPolicy): Definition =>
    flow("parent", async (_input, step) => {
      const child = step.invoke("patient", null, { onParentEnd });
      await Promise.race([child, step.waitFor("enough")]);
    });

  test.for(["terminate", "cancel"] as const)("stops it when the parent is told to %s", async (kind) => {
    for (const policy of ["cancel", "terminate", "abandon"] as const) {
      const family = await new Family(patient, parent(policy)).begin("parent").drive();
      await family.plan(startAt + 1000, () => family.act("parent", kind)).drive();
      expect(family.snapshot("parent")).toMatchObject({ status: "cancelled" });
      const code = { cancel: "cancelled", terminate: "terminated", abandon: undefined }[policy];
      expect(family.snapshot(idOf("patient")).error?.code).toBe(code);
    }
  });

  test("guarantee 4: it is stopped also when the first tries do not get through, and the run dies", async () => {
    const family = await new Family(patient, parent("cancel")).begin("parent").drive();
    family.fails = (what) => what === "stop" && family.clock.at < startAt + minuteMs;
    await family.plan(startAt + 1000, () => family.act("parent", "terminate")).drive(startAt + 5000);
    expect(family.snapshot(idOf("patient")).status).toBe("waiting");
    family.kill("parent");
    await family.drive();
    expect(family.snapshot(idOf("patient")).status).toBe("cancelled");
  });

  test("a run that others started is waited for, and never stopped", async () => {
    const waits = (policy: ChildPolicy): Definition =>
      flow(policy, async (_input, step) => {
        await why(step.invoke("patient", null, { id: "shared", timeout: "1 minute", onParentEnd: policy }));
        await step.start("patient", null, { id: "shared", onParentEnd: policy });
        await step.waitFor("never");
      });
    const family = new Family(patient, waits("cancel"), waits("terminate")).begin("patient", null, "shared");
    // Of this one the answer to its start is lost, and with it whose run it found.
    family.fails = (what) => what === "started" && family.has("terminate");
    await family.begin("cancel").drive();
    await family.plan(family.clock.at + 1000, () => family.act("cancel", "terminate")).drive();
    await family.begin("terminate").drive(family.clock.at + 2000);
    await family.plan(family.clock.at + 1000, () => family.act("terminate", "terminate")).drive();
    expect([family.snapshot("cancel"), family.snapshot("terminate")]).toMatchObject([
      { status: "cancelled" },
      { status: "cancelled" },
    ]);
    expect(family.entries("cancel", "child.started").map(({ policy }) => policy)).toEqual(["abandon", "abandon"]);
    expect(family.calls).toContain("stop shared");
    expect(family.snapshot("shared").status).toBe("waiting");
  });

  test("a child that was just being started is stopped all the same", async () => {
    const family = new Family(
      patient,
      flow("parent", async (_input, step) => {
        void step.invoke("patient");
        await step.run("something else", () => 1);
        return "over";
      }),
    ).begin("parent");
    await family.drive();
    expect(family.output("parent")).toBe("over");
    expect(family.snapshot(idOf("patient")).status).toBe("cancelled");
  });

  test("what cleans up after a cancellation waits for no child, and can still start one", async () => {
    const family = await new Family(
      patient,
      double,
      flow("parent", async (_input, step) => {
        try {
          await step.invoke("patient");
        } finally {
          const refused = await why(step.invoke("double", 1));
          step.log.info("clean", { refused, started: await step.start("double", 2) });
        }
      }),
    )
      .begin("parent")
      .drive();
    await family.plan(startAt + 1000, () => family.act("parent", "cancel")).drive();
    expect(family.snapshot("parent")).toMatchObject({ status: "cancelled", error: { code: "cancelled" } });
    expect(family.snapshot(idOf("patient")).status).toBe("cancelled");
    expect(family.entries("parent", "log.written")[0]?.data).toContain(idOf("double#2"));
    expect(family.ids()).not.toContain(idOf("double"));
  });
});

describe("a race that a child loses", () => {
  const racing = (ms: number): Definition =>
    flow("parent", async (_input, step) => {
      const won = await step.race({ child: () => step.invoke("patient"), nap: () => step.sleep(ms) });
      await step.sleep("after", "1 minute");
      return won.key;
    });

  test("guarantee 4: stops it, however early the race is lost, and wherever the parent dies", async () => {
    for (const ms of [0, 1, 900]) {
      for (let commit = 0; commit <= 9; commit++) {
        const family = new Family(patient, racing(ms));
        family.deaths.push({ id: "parent", commit });
        await family.begin("parent").drive();
        expect(family.output("parent")).toBe("nap");
        const child = family.has(idOf("patient")) ? family.snapshot(idOf("patient")).status : "never there";
        expect({ ms, commit, child: child === "waiting" }).toEqual({ ms, commit, child: false });
        // It was stopped when the race was lost, and not only at the parent's end.
        expect(family.run("parent").state.orphans.size).toBe(0);
      }
    }
  });
});

describe("news of a child's end", () => {
  test("guarantee 4: that comes before the parent knows that the child was started is kept", async () => {
    const family = new Family(
      double,
      flow("parent", async (_input, step) => await step.invoke("double", 2)),
    ).begin("parent");
    // The answer to the start is lost: the child runs, ends and tells while the parent starts it again.
    let lost = 0;
    family.fails = (what) => what === "started" && lost++ === 0;
    await family.drive();
    expect(family.output("parent")).toBe(4);
    expect(family.made.get(idOf("double"))).toBe(1);
    expect(family.entries("parent", "child.completed")).toHaveLength(1);
    expect(family.clock.at).toBeLessThan(startAt + minuteMs);
  });

  test("guarantee 4: is told again with growing pauses until it is heard", async () => {
    const family = await new Family(
      patient,
      flow("parent", async (_input, step) => await step.invoke("patient")),
    )
      .begin("parent")
      .drive();
    family.fails = (what) => what === "hear" && family.clock.at < startAt + 3 * minuteMs;
    await signalled(family, idOf("patient"), "late");
    await family.drive(startAt + 10 * minuteMs);
    expect(family.output("parent")).toBe("late");
    const tries = family.calls.filter((call) => call.startsWith("hear"));
    expect(tries.length).toBeGreaterThan(5);
    expect(tries.length).toBeLessThan(15);
  });

  /** A parent whose child never tells of its end. */
  function unheard(): Family {
    const family = new Family(
      patient,
      flow("parent", async (_input, step) => await step.invoke("patient")),
    ).begin("parent");
    family.mute.add(idOf("patient"));
    return family;
  }

  test("that never comes is asked for: five minutes later, and then ever more rarely", async () => {
    const family = unheard();
    await family.drive(startAt + dayMs);
    // At 5, 15, 35, 75, 155, 315, 635 and 1275 minutes.
    expect(family.calls.filter((call) => call.startsWith("end"))).toHaveLength(8);
    expect(kinds(family, "parent")).toEqual(["run.created", "run.started", "child.started"]);
    await signalled(family, idOf("patient"), "found", startAt + dayMs + 1);
    await family.drive(startAt + 3 * dayMs);
    expect(family.output("parent")).toBe("found");
  });

  test.each([false, true])(
    "is asked for as the run goes on after a pause, in a new memory: %s, and then as at first",
    async (isNew) => {
      const family = unheard();
      const at = (minutes: number, act: () => unknown) => family.plan(startAt + minutes * minuteMs, act);
      const asked = async (upTo: number): Promise<number> => {
        family.calls = [];
        await family.drive(startAt + upTo * minuteMs);
        return family.calls.filter((call) => call.startsWith("end")).length;
      };
      at(100, () => family.act("parent", "pause"));
      expect(await asked(100)).toBe(4);
      if (isNew) family.evict("parent");
      at(100.5, () => family.wake("parent"));
      at(101, () => family.act("parent", "resume"));
      for (const [upTo, times] of [
        [101, 1],
        [105, 0],
        [106, 1],
        [115, 0],
        [116, 1],
      ] as const) {
        expect([upTo, await asked(upTo)]).toEqual([upTo, times]);
        if (isNew) family.evict("parent");
      }
      expect(kinds(family, "parent")).not.toContain("run.interrupted");
      at(118, () => family.act("parent", "pause"));
      await signalled(family, idOf("patient"), "found", startAt + 119 * minuteMs);
      at(124, () => family.act("parent", "resume"));
      expect([await asked(124), family.output("parent")]).toEqual([1, "found"]);
    },
  );

  test("that the network swallows is asked for once more a moment later", async () => {
    const family = unheard();
    await family.drive(startAt + minuteMs);
    let lost = 0;
    family.fails = (what) => what === "end" && lost++ < 3;
    await signalled(family, idOf("patient"), "found", startAt + 2 * minuteMs);
    expect([family.output("parent"), lost]).toEqual(["found", 4]);
  });

  test("guarantee 4: an alarm to ask is no death of the run, in whichever life it rings", async () => {
    const family = unheard();
    await family.drive(startAt + minuteMs);
    for (const minutes of [10, 20, 40, 80, 160, 320, 640]) {
      family.evict("parent");
      await family.drive(startAt + minutes * minuteMs);
    }
    expect(family.calls.filter((call) => call.startsWith("end"))).toHaveLength(7);
    expect(kinds(family, "parent")).toEqual(["run.created", "run.started", "child.started"]);
  });

  test("a parent that waits for its child is waiting, also in a new memory long after it began to wait", async () => {
    const family = unheard();
    await family.drive(startAt + minuteMs);
    family.evict("parent");
    family.clock.at = startAt + 9 * minuteMs;
    const waits = { status: "waiting", waitingFor: [{ kind: "run", name: idOf("patient") }] };
    expect(family.snapshot("parent")).toMatchObject(waits);
    // Whoever looks does not set it to work: its alarm asks the child.
    expect(family.run("parent").isDue()).toBe(false);
    await family.drive(startAt + 10 * minuteMs);
    expect(family.snapshot("parent")).toMatchObject(waits);
  });

  test("of a child that was removed: the call fails", async () => {
    const family = await new Family(
      patient,
      flow("parent", async (_input, step) => await why(step.invoke("patient"))),
    )
      .begin("parent")
      .drive();
    family.remove(idOf("patient"));
    await family.drive(Infinity);
    expect(family.output("parent")).toMatchObject({
      code: "child_failed",
      child: idOf("patient"),
      cause: "run_not_found the run was removed before its end was known",
    });
    expect(family.clock.at).toBe(startAt + 5 * minuteMs);
  });

  test("guarantee 4: is put on record by a parent that is paused, and goes on from there", async () => {
    const family = new Family(
      patient,
      flow("parent", async (_input, step) => {
        // A pause puts its end off.
        const told = await step.invoke("patient", null, { timeout: "1 minute" });
        return await step.run("after", () => told);
      }),
    ).begin("parent");
    await family.plan(startAt + 1000, () => family.act("parent", "pause")).drive();
    await signalled(family, idOf("patient"), "news", startAt + 2 * minuteMs);
    expect(family.snapshot("parent").status).toBe("paused");
    expect(family.entries("parent", "child.completed")).toHaveLength(1);
    expect(family.entries("parent", "step.completed")).toHaveLength(0);
    await family.plan(family.clock.at + 1000, () => family.act("parent", "resume")).drive();
    expect(family.output("parent")).toBe("news");
  });

  test("guarantee 4: that comes after the call's time is too late, though nobody could tell it then", async () => {
    const parent = flow(
      "parent",
      async (_input, step) => await why(step.invoke("patient", 1, { timeout: "1 minute" })),
    );
    const family = await new Family(patient, parent).begin("parent").drive(startAt + 1000);
    const child = idOf("patient");
    family.clock.set(startAt + minuteMs + 1);
    const end = { kind: "completed", output: encode("late", "") } as const;
    const news = { child, createdAt: startAt, step: "patient", end };
    await receiveNews(family.run("parent"), news);
    await family.drive();
    expect(family.output("parent")).toMatchObject({
      code: "child_failed",
      cause: expect.stringContaining("step_timeout"),
    });
    expect(family.snapshot(child).status).toBe("cancelled");
  });

  test("that came while its call seemed removed is asked for when the call is made after all", async () => {
    const child = flow("child", async (_input, step) => {
      await step.sleep("90 s");
      return "done";
    });
    const family = await new Family(
      flow("parent", async (_input, step) => await step.invoke("child")),
      child,
    )
      .begin("parent")
      .drive(startAt + 1000);
    const later: Handler = async (_input, step) => {
      for (const name of ["one", "two"]) await step.sleep(name, "1 minute");
      return await step.invoke("child");
    };
    family.definitions.set("parent", flow("parent", later));
    family.evict("parent");
    family.wake("parent");
    await family.drive(startAt + 130_000);
    expect(family.output("parent")).toBe("done");
  });

  test("to a parent whose code is gone is told once it is back", async () => {
    const parent = flow("parent", async (_input, step) => await step.invoke("patient"));
    const family = await new Family(patient, parent).begin("parent").drive();
    family.evict("parent");
    family.definitions.delete("parent");
    await signalled(family, idOf("patient"), "back", startAt + 1000);
    expect(family.entries("parent", "child.completed")).toHaveLength(0);
    family.definitions.set("parent", parent);
    await family.drive(startAt + dayMs);
    expect(family.output("parent")).toBe("back");
  });

  test("that nobody asked for changes nothing", async () => {
    const family = await new Family(
      double,
      patient,
      flow("parent", async (_input, step) => {
        await step.invoke("double", 1);
        await step.waitFor("more");
      }),
    )
      .begin("parent")
      .drive();
    const before = [...family.journal("parent").commits];
    const end = { kind: "completed", output: encode(1, "an output") } as const;
    const news = { createdAt: startAt, step: "double", child: idOf("double"), end };
    const others: readonly Partial<ChildNews>[] = [{}, { createdAt: 1 }, { step: "never" }, { child: "other" }];
    for (const other of others) {
      const hearing = receiveNews(family.run("parent"), { ...news, ...other });
      await family.drive();
      await hearing;
    }
    expect(family.journal("parent").commits).toEqual(before);
  });
});

test("guarantee 2: a child whose start was answered to nobody is started once, though an attempt is made now meanwhile", async () => {
  const family = new Family(
    flow("child", async (_input, step) => await step.sleep("1 h")),
    flow("parent", async (_input, step) => {
      const act = ({ attempt }: { attempt: number }): number => {
        if (attempt === 1) throw new Error("not now");
        return attempt;
      };
      await Promise.all([step.run("flaky", act, { retry: { limit: 1, delay: "1 d" } }), step.invoke("child")]);
    }),
  ).begin("parent");
  family.fails = (what) => what === "started" && family.clock.at < startAt + 100;
  family.plan(startAt + 100, () => family.act("parent", "retry"));
  await family.drive(startAt + 7_200_000);
  expect([family.snapshot("parent").status, family.ids()]).toEqual(["completed", ["parent", idOf("child")]]);
});

describe("a parent that is tried again", () => {
  /** Fails until it is told that it may succeed. */
  const moody = (mood: { good: boolean }): Definition =>
    flow("moody", async (_input, step) => {
      await step.run("first", () => 1);
      return await step.run("second", () => {
        if (!mood.good) throw new Error("bad mood");
        return "good mood";
      });
    });

  test("guarantee 2: the child that failed goes on from what failed, under its old id", async () => {
    const mood = { good: false };
    const family = await new Family(
      moody(mood),
      flow("parent", async (_input, step) => [await step.run("second", () => "mine"), await step.invoke("moody")]),
    )
      .begin("parent")
      .drive();
    expect(family.snapshot("parent").status).toBe("failed");
    mood.good = true;
    await family.plan(family.clock.at + 1000, () => family.act("parent", "retry")).drive();
    expect(family.output("parent")).toEqual(["mine", "good mood"]);
    expect(family.ids()).toEqual(["parent", idOf("moody")]);
    expect(family.entries(idOf("moody"), "step.completed").map(({ step }) => step)).toEqual(["first", "second"]);
    // A step of the parent's that is called as the child's own was not run again.
    expect(family.entries("parent", "run.retried")[0]?.cleared).toEqual(["moody"]);
    expect(family.entries("parent", "step.completed")).toHaveLength(1);
  });

  test("guarantee 2: a step that shares its id with the child that failed keeps its result", async () => {
    const mood = { good: false };
    let ran = 0;
    const family = await new Family(
      moody(mood),
      flow("parent", async (_input, step) => [await step.run("moody", () => ++ran), await step.invoke("moody")]),
    )
      .begin("parent")
      .drive();
    expect(family.snapshot("parent").status).toBe("failed");
    mood.good = true;
    await family.plan(family.clock.at + 1000, () => family.act("parent", "retry")).drive();
    expect(family.output("parent")).toEqual([1, "good mood"]);
    expect(ran).toBe(1);
    expect(family.entries("parent", "step.completed")).toHaveLength(1);
  });

  test("the child that could not tell of its end, and is tried again, owes nothing of it", async () => {
    const mood = { good: false };
    const family = new Family(
      moody(mood),
      flow("parent", async (_input, step) => await step.invoke("moody")),
    ).begin("parent");
    family.fails = (what) => what === "hear";
    // Its parent asks by itself.
    await family.drive(startAt + 1_800_000);
    expect(family.snapshot("parent").status).toBe("failed");
    mood.good = true;
    await family.plan(family.clock.at + 1000, () => family.act("parent", "retry")).drive(startAt + 7_200_000);
    expect(family.output("parent")).toBe("good mood");
  });

  test("again and again, each time once", async () => {
    const mood = { good: false };
    const family = await new Family(
      moody(mood),
      flow("parent", async (_input, step) => await step.invoke("moody")),
    )
      .begin("parent")
      .drive();
    await family.plan(family.clock.at + 1000, () => family.act("parent", "retry")).drive();
    expect(family.snapshot("parent").status).toBe("failed");
    mood.good = true;
    await family.plan(family.clock.at + 1000, () => family.act("parent", "retry")).drive();
    expect(family.output("parent")).toBe("good mood");
    expect(family.entries(idOf("moody"), "run.retried")).toHaveLength(2);
  });

  test("a child that was cancelled, or stopped with its parent, is started anew", async () => {
    const family = await new Family(
      patient,
      broken,
      flow(
        "parent",
        async (_input, step) => await Promise.all([step.invoke("patient"), step.waitFor("x"), step.invoke("broken")]),
      ),
    )
      .begin("parent")
      .drive();
    expect(family.snapshot("parent").status).toBe("failed");
    expect(family.snapshot(idOf("patient")).status).toBe("cancelled");
    await family.plan(family.clock.at + 1000, () => family.act("parent", "retry")).drive();
    const [again] = family
      .entries("parent", "child.started")
      .filter(({ child }) => child.id.startsWith(`${idOf("patient")}.`));
    expect(again).toMatchObject({ step: "patient" });
    expect(family.entries(idOf("broken"), "run.retried")).toHaveLength(1);
  });

  test.each(["is stopped with its parent", "was cancelled by somebody"])(
    "one of a given id that %s is started anew under another: that one is taken",
    async (how) => {
      const mood = { good: false };
      const parent = flow("parent", async (_input, step) => {
        return await Promise.all([step.invoke("patient", null, { id: "kid" }), step.invoke("moody")]);
      });
      const family = new Family(patient, moody(mood), parent).begin("parent");
      if (how === "was cancelled by somebody") {
        mood.good = true;
        await family.drive();
        await family.plan(family.clock.at + 1000, () => family.act("kid", "cancel")).drive();
      } else await family.drive();
      expect([family.snapshot("parent").status, family.snapshot("kid").status]).toEqual(["failed", "cancelled"]);
      mood.good = true;
      await family.plan(family.clock.at + 1000, () => family.act("parent", "retry")).drive();
      const ids = family
        .entries("parent", "child.started")
        .flatMap(({ step, child }) => (step === "patient" ? [child.id] : []));
      expect(ids).toEqual(["kid", expect.stringMatching(/^parent\..*\.patient\.\d+$/)]);
      await signalled(family, ids[1] ?? "", "again");
      expect(family.output("parent")).toEqual(["again", "good mood"]);
    },
  );

  test("a child that ended while its parent had failed is found", async () => {
    const mood = { good: false };
    const family = await new Family(
      moody(mood),
      patient,
      flow(
        "parent",
        async (_input, step) =>
          await Promise.all([step.invoke("patient", null, { onParentEnd: "abandon" }), step.invoke("moody")]),
      ),
    )
      .begin("parent")
      .drive();
    expect(family.snapshot("parent").status).toBe("failed");
    await signalled(family, idOf("patient"), "meanwhile");
    mood.good = true;
    const retriedAt = family.clock.at + 1000;
    await family.plan(retriedAt, () => family.act("parent", "retry")).drive();
    expect(family.output("parent")).toEqual(["meanwhile", "good mood"]);
    expect(family.clock.at).toBe(retriedAt);
  });
});

test("guarantee 4: a start that does not get through is tried again, also by a later life", async () => {
  const family = new Family(
    double,
    flow("parent", async (_input, step) => await step.invoke("double", 3)),
  ).begin("parent");
  family.fails = (what) => what === "start" && family.clock.at < startAt + 10 * minuteMs;
  await family.drive(startAt + 2 * minuteMs);
  expect(family.snapshot("parent").status).toBe("running");
  family.kill("parent");
  await family.drive(Infinity);
  expect(family.output("parent")).toBe(6);
  expect(family.clock.at).toBeLessThan(startAt + 20 * minuteMs);
});

test("such a start is tried again before the parent could be evicted, which would pass for a death", async () => {
  const family = new Family(
    double,
    flow("parent", async (_input, step) => await step.invoke("double", 3)),
  ).begin("parent");
  const tries: number[] = [];
  family.fails = (what) => what === "start" && tries.push(family.clock.at) > 0;
  await family.drive(startAt + 5 * minuteMs);
  expect(tries.length).toBeGreaterThan(5);
  for (const [index, at] of tries.slice(1).entries()) expect(at - (tries[index] ?? 0)).toBeLessThan(stayMs);
});

test("a child is called for before it is there, also where a later life finds it", async () => {
  const family = new Family(
    patient,
    flow("parent", async (_input, step) => {
      await step.sleep("a while", "5 seconds");
      return await step.invoke("patient");
    }),
  ).begin("parent");
  family.fails = (what) => what === "started" && family.clock.at < startAt + minuteMs;
  await family.drive(startAt + 30_000);
  expect(family.entries("parent", "child.started")).toEqual([]);
  family.kill("parent");
  await family.drive();
  const { createdAt } = family.snapshot(idOf("patient"));
  expect(family.entries("parent", "child.started")).toMatchObject([{ startedAt: createdAt }]);
  expect(createdAt).toBe(startAt + 5000);
});

test("a run that was there before its call is not called for before that", async () => {
  const family = await new Family(
    patient,
    flow("parent", async (_input, step) => {
      await step.sleep("a while", "5 seconds");
      return await step.invoke("patient", null, { id: "patient" });
    }),
  )
    .begin("patient")
    .begin("parent")
    .drive();
  expect(family.entries("parent", "child.started")).toMatchObject([{ startedAt: startAt + 5000 }]);
});

test("children of children, ten deep, all bear good ids", async () => {
  const deep = flow("deep", async (n: number, step) =>
    n === 0 ? [step.info.id] : [step.info.id, ...(await step.invoke<string[]>("deep", n - 1))],
  );
  const family = await new Family(deep).begin("deep", 10).drive();
  expect(new Set(family.output("deep") as string[]).size).toBe(11);
});

describe("a signal to another run", () => {
  test("guarantee 5: arrives once, whoever dies, and says who sent it", async () => {
    const family = new Family(
      patient,
      flow("parent", async (_input, step) => {
        await step.signal("receiver", "go", { n: 1 });
        await step.signal("receiver", "go", { n: 2 });
        await step.run("last", () => 1);
      }),
      flow("receiver", async (_input, step) => [
        await step.waitFor("go"),
        await step.waitFor("go"),
        await step.waitFor("end", { timeout: "1 h" }),
      ]),
    );
    for (let commit = 1; commit <= 5; commit++)
      family.deaths.push({ id: "parent", commit }, { id: "receiver", commit });
    await family.begin("receiver").begin("parent").drive(Infinity);
    expect(family.lives).toBeGreaterThan(5);
    expect(family.output("receiver")).toEqual([{ n: 1 }, { n: 2 }, null]);
    expect(family.entries("receiver", "signal.received")).toMatchObject([{ by: "run parent" }, { by: "run parent" }]);
    expect(family.entries("parent", "step.completed").map(({ step }) => step)).toEqual([
      "signal go to receiver",
      "signal go to receiver#2",
      "last",
    ]);
  });

  test("that is refused fails at once, with the code of the refusal", async () => {
    const family = await new Family(
      double,
      flow("parent", async (_input, step) => [
        await why(step.signal("nobody", "go")),
        await why(step.signal("double", "go", 1)),
      ]),
    )
      .begin("double", 1)
      .drive();
    await family.begin("parent").drive();
    expect(family.output("parent")).toMatchObject([
      { code: "run_not_found", step: "signal go to nobody" },
      { code: "run_ended", step: "signal go to double" },
    ]);
    expect(family.entries("parent", "step.failed").map(({ attempt }) => attempt)).toEqual([1, 1]);
  });

  test("has a name for its step, however long the signal's own is", async () => {
    const name = "ä".repeat(256);
    const host = await new Host(
      async (_input: never, step: Step) => await why(step.signal("x".repeat(128), name)),
    ).drive();
    expect((host.output as { step: string }).step).toMatch(/^signal ä+… to x+$/);
  });
});
