import { beforeEach, describe, expect, test } from "vitest";
import * as z from "zod";
import type { Entry } from "../../src/core/history/entry.ts";
import { checkSameStart } from "../../src/core/lifecycle/start.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { decode, encode } from "../../src/core/value/value.ts";
import { Family } from "./family.ts";
import { Host, act, created, play, signal, startAt } from "./host.ts";
import { define } from "./memory.ts";
import type { Handler } from "./memory.ts";

type Caught = Error & { code?: string };

/** Goes on as new until it has done so this often. */
function times(limit: number, before: (step: Step, round: number) => unknown = () => {}): Handler {
  return async (input: { round: number } | undefined, step) => {
    const round = input?.round ?? 0;
    await before(step, round);
    if (round < limit) await step.continueAsNew({ round: round + 1 });
    return { round, continued: step.info.continued };
  };
}

describe("a run that goes on as new", () => {
  test("has its id, another input and an empty journal", async () => {
    const host = await play(times(3, (step, round) => step.run("work", () => round)));
    expect(host.output).toEqual({ round: 3, continued: 3 });
    expect(host.journal.kinds).toEqual(["run.created", "run.started", "step.completed", "run.completed"]);
    expect(host.snapshot).toMatchObject({ id: "run-1", workflow: "flow", createdAt: startAt, steps: { completed: 1 } });
    expect(decode(host.snapshot.input)).toEqual({ round: 3 });
  });

  test("was accepted once, in its first life, as it is shown", async () => {
    const told: number[] = [];
    const host = await play(times(3, (step) => told.push(step.info.createdAt)));
    expect(new Set(told)).toEqual(new Set([host.snapshot.createdAt]));
  });

  test("counts on: what is newer has a higher seq, and no two lives were created at one instant", async () => {
    const lives: { seq: number; at: number }[] = [];
    const host = new Host(times(5));
    host.journal.onAppend = ([first]) => {
      if (first?.kind === "run.created") lives.push({ seq: first.seq, at: first.at });
    };
    await host.drive();
    expect(lives.map(({ seq }) => seq)).toEqual([3, 5, 7, 9, 11]);
    expect(lives.map(({ at }) => at - startAt)).toEqual([1, 2, 3, 4, 5]);
    expect(host.journal.entries.map(({ seq }) => seq)).toEqual([11, 12, 13]);
    expect(host.journal.page(0, 2).map(({ seq }) => seq)).toEqual([11, 12]);
  });

  test("guarantee 2: its steps have keys, and its handler numbers, of their own in each life", async () => {
    const keys: string[] = [];
    const drawn: unknown[] = [];
    await play(
      times(3, async (step) => {
        await step.run("work", ({ idempotencyKey }) => keys.push(idempotencyKey));
        drawn.push(step.random(), step.uuid());
      }),
    );
    expect(new Set(keys).size).toBe(4);
    expect(new Set(drawn).size).toBe(8);
  });

  test("draws numbers of its own also where it began as a fork of another", async () => {
    const forked = { ...created(undefined), seed: "another:1" };
    const entries = [
      { seq: 1, at: startAt, kind: "run.created", ...forked },
      { seq: 2, at: startAt, kind: "run.started", deployment: "one" },
    ];
    const drawn: number[] = [];
    const flow = times(2, (step) => void drawn.push(step.random()));
    await new Host(flow, { commits: [JSON.stringify(entries)] }).drive();
    expect(new Set(drawn).size).toBe(3);
  });

  test("keeps what it was started with, so that a repeated start finds it", async () => {
    const first = { ...created({ round: 0 }), labels: { tier: "gold" }, key: "k", parent: { id: "p", workflow: "w" } };
    const journal = [JSON.stringify([{ seq: 1, at: startAt, kind: "run.created", ...first, startAt: startAt + 9 }])];
    const host = await new Host(times(2), { commits: journal, cold: false }).drive();
    const now = host.run.state.created;
    if (now === null) throw new Error("it is gone");
    expect(now).toMatchObject({ labels: first.labels, key: "k", parent: first.parent, startAt: null });
    expect(now.continuation).toEqual({ count: 2, createdAt: startAt, keys: [] });
    const start = { workflow: "flow", input: encode({ round: 0 }, "x"), labels: first.labels };
    expect(() => checkSameStart(now, start)).not.toThrow();
    expect(() => checkSameStart(now, { ...start, input: encode({ round: 2 }, "x") })).toThrow(
      "another workflow or input",
    );
  });

  test("knows the actions of the lives before by their keys, and takes none of them again", async () => {
    const host = await new Host(times(2, (step) => step.waitFor("next"))).drive();
    await act(host.run, "pause", "p");
    await act(host.run, "resume", "r");
    for (let life = 0; life < 2; life++) {
      signal(host.run, "next", life);
      await host.drive();
      expect(host.run.state.created?.continuation?.actions?.map(({ key }) => key)).toEqual(["p", "r"]);
      for (const { run } of [host, host.reopen()]) {
        await act(run, "pause", "p");
        expect(run.state.paused).toBeNull();
      }
      expect(() => act(host.run, "pause", "r")).toThrow("was used to resume");
    }
    await act(host.run, "pause", "another");
    expect(host.status).toBe("paused");
  });

  test("has the labels of its input now, those given at its start, and is found by a repeated start", async () => {
    const flow = define(times(2), { labels: ({ round }: { round: number }) => ({ round: `${round}` }) });
    const labels = { round: "0", tier: "gold" };
    const first = { ...created({ round: 0 }), labels, key: "k" };
    const journal = [JSON.stringify([{ seq: 1, at: startAt, kind: "run.created", ...first }])];
    const host = await new Host(flow, { commits: journal, cold: false }).drive();
    const now = host.run.state.created;
    if (now === null) throw new Error("it is gone");
    expect([now.labels, now.continuation?.labels]).toEqual([{ round: "2", tier: "gold" }, labels]);
    const start = { workflow: "flow", input: encode({ round: 0 }, "x"), labels, key: "k" };
    expect(() => checkSameStart(now, start)).not.toThrow();
    expect(() => checkSameStart(now, { ...start, labels: now.labels })).toThrow("another run");
  });

  test("keeps those that it has from before there were so many rules for them", async () => {
    const flow = define(times(2), { labels: () => ({ tenant: "\ud800" }) });
    const labels = { tenant: "\ud800", tier: "gold\0" };
    const journal = [JSON.stringify([{ seq: 1, at: startAt, kind: "run.created", ...created({ round: 0 }), labels }])];
    const host = await new Host(flow, { commits: journal, cold: false }).drive();
    expect([host.status, host.run.state.created?.labels]).toEqual(["completed", labels]);
  });

  test("has them too where the lives before kept those of the first input", async () => {
    const flow = define(times(2), { labels: ({ round }: { round: number }) => ({ round: `${round}` }) });
    const first = { ...created({ round: 1 }), sent: encode({ round: 0 }, "x"), labels: { round: "0", tier: "gold" } };
    const continuation = { count: 1, createdAt: startAt - 5, keys: [] };
    const entries = [
      { seq: 5, at: startAt, kind: "run.created", ...first, continuation },
      { seq: 6, at: startAt, kind: "run.started", deployment: "one" },
    ];
    const host = await new Host(flow, { commits: [JSON.stringify(entries)] }).drive();
    expect(host.snapshot.labels).toEqual({ round: "2", tier: "gold" });
  });

  test("hears of an input that no label or key can be made from", async () => {
    const handler: Handler = async (_input, step) =>
      await step.continueAsNew(null).catch((error: Caught) => error.code);
    const make = (({ key }: { key: string }) => ({ key })) as never;
    expect((await play(define(handler, { labels: make }))).output).toBe("label_invalid");
    const flow = { concurrency: { limit: 1, key: (({ key }: { key: string }) => key) as never } };
    expect((await play(define(handler, { flow }))).output).toBe("input_invalid");
  });

  test("never hears of it: nothing is thrown through its handler, nothing of it goes on", async () => {
    const heard: string[] = [];
    const host = await play(async (input: number | undefined, step) => {
      if (input === 1) return heard;
      try {
        await step.continueAsNew(1);
      } catch {
        heard.push("caught");
      } finally {
        heard.push("finally");
      }
      return "never";
    });
    expect(host.output).toEqual([]);
  });

  test("goes on also where its handler does not wait for it, or asks twice", async () => {
    const host = await play((input: number | undefined, step) => {
      if (input !== undefined) return input;
      void step.continueAsNew(1);
      void step.continueAsNew(2);
      return "returned";
    });
    expect(host.output).toBe(1);
  });

  test("leaves what was in flight, and undoes nothing of the lives before", async () => {
    const undone: number[] = [];
    let aborted: unknown = null;
    const host = new Host(async (input: number | undefined, step) => {
      await step.run("book", () => input ?? 0, { undo: (booked: number) => void undone.push(booked) });
      if (input !== undefined) throw new Error("too late");
      void step.run("slow", ({ signal: stop }) => {
        stop.addEventListener("abort", () => (aborted = (stop.reason as Error).message));
        return new Promise(() => {});
      });
      void step.waitFor("never");
      await step.sleep(10);
      return await step.continueAsNew(1);
    });
    await host.drive();
    expect(aborted).toBe("the run goes on as new");
    expect(undone).toEqual([1]);
    expect(host.status).toBe("failed");
  });

  test("has its limits and its timeout anew", async () => {
    const flow = define(
      times(4, (step) => step.sleep("40 m")),
      { limits: { steps: 1, perStep: {} }, timeoutMs: 3_600_000 },
    );
    expect((await play(flow)).output).toMatchObject({ round: 4 });
  });

  test("is retried in the life that failed", async () => {
    let healed = false;
    const host = await play(
      times(2, (step, round) =>
        step.run("work", () => (round < 2 || healed ? round : Promise.reject(new Error("no"))), {
          retry: { limit: 0 },
        }),
      ),
    );
    expect(host.status).toBe("failed");
    healed = true;
    await act(host.run, "retry");
    expect((await host.drive()).output).toEqual({ round: 2, continued: 2 });
  });

  test("takes the new side of a change", async () => {
    const host = await play(times(1, (step, round) => void (round === 1 && step.patched("change"))));
    expect(host.entries("patch.adopted")).toHaveLength(1);
  });

  test("ten thousand times leaves a journal of three entries, in linear time", async () => {
    const host = new Host(times(10_000));
    let longest = 0;
    host.journal.onAppend = () => (longest = Math.max(longest, host.journal.commits.length));
    await host.drive();
    expect(host.output).toEqual({ round: 10_000, continued: 10_000 });
    expect(longest).toBe(3);
    expect(host.journal.commits.join("").length).toBeLessThan(1500);
    expect(host.clock.turns).toBeLessThan(100_000);
  });
});

describe("its input", () => {
  const schema = z.object({ round: z.number(), note: z.string().default("none") });

  test("is what the workflow's schema makes of it", async () => {
    const flow = define(
      async (input: { round: number; note: string }, step) => {
        if (input.round === 0) await step.continueAsNew({ round: 1 });
        return input;
      },
      { input: schema },
    );
    expect((await play(flow, { input: { round: 0, note: "first" } })).output).toEqual({ round: 1, note: "none" });
  });

  test("may be validated in its own time", async () => {
    const later = {
      "~standard": { version: 1, vendor: "test", validate: (value: unknown) => Promise.resolve({ value: [value] }) },
    } as const;
    const flow = define(async (input: unknown, step) => (input === undefined ? step.continueAsNew(1) : input), {
      input: later,
    });
    expect((await play(flow)).output).toEqual([1]);
  });

  test.each([
    ["input_invalid", { round: "one" }],
    ["input_invalid", undefined],
    ["value_uncloneable", { round: 1, fn: () => 1 }],
  ])("%s: %j is refused, and the run goes on as it was", async (code, input) => {
    const loose = code === "value_uncloneable" ? { input: undefined } : { input: schema };
    const flow = define(async (_input: unknown, step) => {
      const error = await step.continueAsNew(input).catch((refused: Caught) => refused);
      return [error.code, await step.run("after", () => step.info.continued)];
    }, loose);
    expect((await play(flow, { input: { round: 0 } })).output).toEqual([code, 0]);
  });

  test("that is refused fails a run that does not catch it", async () => {
    const flow = define((_input: unknown, step) => step.continueAsNew({}), { input: schema });
    expect((await play(flow, { input: { round: 0 } })).snapshot.error?.code).toBe("input_invalid");
  });
});

describe("guarantee 5: its signals", () => {
  test("that nobody consumed go along, in the order in which they came, with their keys", async () => {
    const host = new Host(async (input: number | undefined, step) => {
      const first = await step.waitFor("go");
      if (input === undefined) {
        await step.sleep(100);
        return await step.continueAsNew(1);
      }
      return [first, await step.waitFor("go"), await step.waitFor("other"), await step.waitFor("go")];
    });
    for (const [i, name] of ["go", "go", "other", "go"].entries()) host.signalAt(startAt + 10 + i, name, i, `key ${i}`);
    host.plan(startAt + 500, (run) => {
      // Consumed before, consumed after, and the same key for something else.
      expect(signal(run, "go", 0, "key 0")).toEqual({ duplicate: true });
      expect(signal(run, "go", 3, "key 3")).toEqual({ duplicate: true });
      expect(() => signal(run, "go", 7, "key 0")).toThrow("used for another signal");
      expect(signal(run, "go", "last", "key 9")).toEqual({ duplicate: false });
    });
    await host.drive();
    expect(host.entries("signal.received").map(({ name, key, by }) => [name, key, by])).toEqual([
      ["go", "key 1", "test"],
      ["other", "key 2", "test"],
      ["go", "key 3", "test"],
      ["go", "key 9", "test"],
    ]);
    expect(host.output).toEqual([1, 3, 2, "last"]);
  });

  test("are known by their keys, the newest thousand, whatever they weigh up to a limit", async () => {
    const host = new Host(
      times(1, async (step, round) => {
        for (let i = 0; round === 0 && i < 1200; i++) await step.waitFor("go");
      }),
    );
    for (let i = 0; i < 1200; i++) signal(host.run, "go", i, `key ${i}`);
    await host.drive();
    const { keys = [] } = host.run.state.created?.continuation ?? {};
    expect([keys.length, keys[0]?.key, keys.at(-1)?.key]).toEqual([1000, "key 200", "key 1199"]);

    const heavy = new Host(
      times(1, async (step, round) => {
        for (let i = 0; round === 0 && i < 9; i++) await step.waitFor("go");
      }),
    );
    for (let i = 0; i < 9; i++) signal(heavy.run, "go", "x".repeat(300_000), `key ${i}`);
    await heavy.drive();
    expect(heavy.run.state.created?.continuation?.keys.map(({ key }) => key)).toEqual(["key 6", "key 7", "key 8"]);
  });

  test("the ones that came while it was renewed are in the one journal or the other", async () => {
    const host = new Host(
      times(200, async (step) => {
        await step.sleep(1);
      }),
    );
    for (let i = 0; i < 150; i++) host.signalAt(startAt + i, "go", i, `key ${i}`);
    await host.drive();
    const inbox = host.run.state.inboxes.get("go");
    expect(inbox?.items.map(({ payload }) => decode(payload))).toEqual(Array.from({ length: 150 }, (_unused, i) => i));
  });
});

describe("its children and its parent", () => {
  const minuteMs = 60_000;
  const slow = define(
    async (ms: number, step) => {
      await step.sleep(ms);
      return ms;
    },
    { name: "slow" },
  );

  test("guarantee 2: a call of one life never hears of the child of another", async () => {
    const parent = define(
      async (input: number | null, step) => {
        const ms = input === null ? 2 * minuteMs : 3 * minuteMs;
        const first = step.invoke("slow", ms);
        if (input !== null) return await first;
        await step.sleep(minuteMs);
        return await step.continueAsNew(1);
      },
      { name: "parent" },
    );
    const family = await new Family(slow, parent).begin("parent").drive(startAt + 10 * minuteMs);
    expect(family.output("parent")).toBe(3 * minuteMs);
    // The child of the first life was left alone.
    expect([...family.made.values()]).toEqual([1, 1]);
    for (const id of family.made.keys()) expect(family.snapshot(id).status).toBe("completed");
    expect(family.entries("parent", "child.started")).toHaveLength(1);
  });

  test("its parent hears of its end, however often it went on as new", async () => {
    const child = define(
      times(3, (step) => step.sleep(minuteMs)),
      { name: "child" },
    );
    const parent = define((_input, step) => step.invoke("child", { round: 0 }), { name: "parent" });
    const family = await new Family(child, parent).begin("parent").drive(startAt + 10 * minuteMs);
    expect(family.output("parent")).toEqual({ round: 3, continued: 3 });
    expect(family.calls.filter((call) => call.startsWith("hear"))).toHaveLength(1);
  });

  test("a child that went on as new is found by its parent, which starts it once more", async () => {
    const child = define(times(2), { name: "child" });
    const parent = define((_input, step) => step.invoke("child", { round: 0 }), { name: "parent" });
    const family = new Family(child, parent);
    // It was started, and its parent does not hear of that.
    family.fails = (what) => what === "started" && family.calls.filter((call) => call.startsWith(what)).length === 1;
    await family.begin("parent").drive(startAt + 10 * minuteMs);
    expect(family.calls.filter((call) => call.startsWith("started"))).toHaveLength(2);
    expect(family.output("parent")).toEqual({ round: 2, continued: 2 });
    expect([...family.made.values()]).toEqual([1]);
  });

  test("a child that was to be stopped is stopped, though its parent goes on as new first", async () => {
    const patient = define((_input, step) => step.waitFor("never"), { name: "patient" });
    const parent = define(
      async (input: number | null, step) => {
        if (input !== null) return await step.sleep("2 m");
        const children = (): Promise<unknown> => Promise.all([step.invoke("patient", 1), step.invoke("patient", 2)]);
        await step.race({ children, clock: () => step.sleep("1 m") });
        return await step.continueAsNew(1);
      },
      { name: "parent" },
    );
    const family = await new Family(patient, parent).begin("parent").drive(startAt + 10 * minuteMs);
    expect(family.snapshot("parent").status).toBe("completed");
    expect([...family.made.keys()].map((id) => family.snapshot(id).status)).toEqual(["cancelled", "cancelled"]);
    expect(family.run("parent").state.orphans.size).toBe(0);
  });
});

describe("what comes between", () => {
  test("a pause holds it back until the run is resumed", async () => {
    const host: Host = new Host(
      times(1, (step, round) => (round === 0 ? step.run("w", () => host.clock.after(100)) : undefined)),
    );
    host.plan(startAt + 50, (run) => act(run, "pause"));
    await host.drive(startAt + 1000);
    expect([host.status, host.run.state.created?.continuation]).toEqual(["paused", undefined]);
    expect(host.run.advance()).toMatchObject({ busy: false, wakeAt: null });
    await act(host.run, "resume");
    expect((await host.drive()).output).toEqual({ round: 1, continued: 1 });
  });

  test("a paused one that is cancelled hears of it and cleans up", async () => {
    const host: Host = new Host(async (_input, step) => {
      await step.run("w", () => host.clock.after(100));
      const error = await step.continueAsNew(1).catch((refused: Caught) => refused);
      await step.run(`after ${error.code}`, () => 1);
      throw error;
    });
    host.plan(startAt + 50, (run) => act(run, "pause"));
    host.plan(startAt + 200, (run) => act(run, "cancel"));
    await host.drive();
    expect(host.status).toBe("cancelled");
    expect(host.entries("step.completed").map(({ step }) => step)).toEqual(["w", "after cancelled"]);
  });

  test.each([false, true])(
    "guarantee 5: what a cancelled one listens to is on record, and it hears what came meanwhile (died before: %s)",
    async (hasDied) => {
      const heard: unknown[] = [];
      const handler: Handler = async (_input: number, step) => {
        await step.run("first", () => 1);
        step.onSignal("word", (word) => void heard.push(word));
        await step.continueAsNew(1).catch(() => step.run("clean", () => host.clock.after(5000)));
      };
      let host = new Host(define(handler), { input: 0 });
      host.journal.onAppend = (entries) => {
        if (entries.some(({ kind }) => kind === "step.completed")) void act(host.run, "pause");
        if (hasDied && entries.some(({ kind }) => kind === "run.paused")) host.dead = true;
      };
      await host.drive();
      if (hasDied) host = host.reopen();
      signal(host.run, "word", "early");
      await act(host.run, "cancel");
      host.signalAt(host.clock.at + 1000, "word", "late");
      await host.drive();
      expect([host.status, host.entries("listener.added").map(({ name }) => name)]).toEqual(["cancelled", ["word"]]);
      expect(heard).toEqual(["early", "late"]);
    },
  );

  test("guarantee 3: a cancelled run refuses in the order in which it is asked, however long inputs are looked at", async () => {
    const refused: string[] = [];
    const input = z.number().transform(async (ms) => {
      await host.clock.after(ms);
      return ms;
    });
    const handler: Handler = async (_input, step) => {
      await step.waitFor("never").catch(() => {});
      const ask = (ms: number) =>
        step.continueAsNew(ms).catch(({ code }: Caught) => void refused.push(`${code} ${ms}`));
      await Promise.all([ask(2000), ask(1000)]);
    };
    const host: Host = new Host(define(handler, { input }), { input: 0 });
    host.plan(startAt + 50, (run) => act(run, "cancel"));
    await host.drive();
    expect([host.status, refused]).toEqual(["cancelled", ["cancelled 2000", "cancelled 1000"]]);
  });

  test("a cancelled run lets everyone hear of it who had asked", async () => {
    const host: Host = new Host(async (_input, step) => {
      await step.run("w", () => host.clock.after(100));
      const asked = await Promise.allSettled([step.continueAsNew(1), step.continueAsNew(2)]);
      await step.run("after", () => asked.map((each) => each.status));
    });
    host.plan(startAt + 50, (run) => act(run, "pause"));
    host.plan(startAt + 200, (run) => act(run, "cancel"));
    await host.drive();
    expect(host.entries("step.completed").map(({ result }) => decode(result))).toEqual([
      undefined,
      ["rejected", "rejected"],
    ]);
    expect(host.entries("run.cancelled").map(({ at, givenUp }) => [at - startAt, givenUp])).toEqual([[200, undefined]]);
  });

  test("a cancelled run whose handler had returned meanwhile ends at once", async () => {
    const host: Host = new Host(async (_input, step) => {
      await step.run("w", () => host.clock.after(100));
      void step.continueAsNew(1).catch(() => {});
      return "done";
    });
    host.plan(startAt + 50, (run) => act(run, "pause"));
    host.plan(startAt + 200, (run) => act(run, "cancel"));
    await host.drive();
    expect(host.entries("run.cancelled").map(({ at, givenUp }) => [at - startAt, givenUp])).toEqual([[200, undefined]]);
  });

  test("a run that is being undone is undone, though a branch asks in vain to go on as new", async () => {
    const host = new Host(async (_input, step) => {
      await step.run("book", () => 1, { undo: () => {} });
      const bail = async (): Promise<void> => step.bail("no");
      await Promise.allSettled([bail(), step.continueAsNew(1)]);
    });
    await host.drive();
    const died = host.journal.commits.findIndex((text) => text.includes("undo.started")) + 1;
    for (const each of [host, await host.reopen({ keep: died }).drive()]) {
      expect(each.status).toBe("cancelled");
      expect(each.entries("undo.completed")).toHaveLength(1);
    }
  });

  describe("invariant 3: nothing of a life begins any more", () => {
    const begun: string[] = [];
    const note = (name: string) => (): void => void begun.push(name);
    beforeEach(() => void begun.splice(0));

    test("that its handler calls once it is to go on as new", async () => {
      const host = await play(async (input: number | undefined, step) => {
        if (input === 1) return "new";
        void step.continueAsNew(1);
        return await Promise.all([step.run("a", note("a")), step.run("b", note("b"), { atMostOnce: true })]);
      });
      expect([host.output, begun]).toEqual(["new", []]);
    });

    test("that a pause held back, once that is over", async () => {
      const host: Host = new Host(async (input: number | undefined, step) => {
        if (input === 1) return "new";
        await step.run("w", () => host.clock.after(100));
        void step.run("beside", note("beside"));
        return await step.continueAsNew(1);
      });
      host.plan(startAt + 50, (run) => act(run, "pause"));
      host.plan(startAt + 200, (run) => act(run, "resume"));
      expect([(await host.drive()).output, begun]).toEqual(["new", []]);
    });

    test("that was at work when the process died: neither that nor a mark of it", async () => {
      const handler: Handler = async (input: number | undefined, step) => {
        if (input === 1) return "new";
        await step.run("first", () => 1);
        void step.run("beside", async () => {
          begun.push("beside");
          await host.clock.after(100);
        });
        return await step.continueAsNew(1);
      };
      const host: Host = new Host(handler);
      let commits: readonly string[] = [];
      host.journal.onAppend = ([first]) => {
        if (first?.kind === "step.completed") commits = [...host.journal.commits];
      };
      await host.drive();
      begun.length = 0;
      const again = new Host(handler, { commits });
      const kinds: string[] = [];
      again.journal.onAppend = (entries) => kinds.push(...entries.map(({ kind }) => kind));
      expect([(await again.drive()).output, begun]).toEqual(["new", []]);
      expect(kinds.slice(0, 2)).toEqual(["run.interrupted", "run.created"]);
    });
  });

  test("a cancelled run does not escape by going on as new", async () => {
    const host = new Host(async (_input, step) => {
      try {
        await step.waitFor("never");
      } finally {
        await step.continueAsNew(1);
      }
    });
    host.plan(startAt + 50, (run) => act(run, "cancel"));
    await host.drive();
    expect(host.status).toBe("cancelled");
    expect(host.run.state.created?.continuation).toBeUndefined();
  });

  test.each(["cancel", "terminate", "pause"] as const)(
    "guarantee 1: a %s is never lost, whenever it comes",
    async (kind) => {
      for (let writes = 1; writes <= 25; writes++) {
        const host = new Host(times(30, (step) => step.run("work", () => 1)));
        let asked: unknown = null;
        let count = 0;
        host.journal.onAppend = () => {
          if (++count !== writes) return;
          // In a turn of its own, as a request comes.
          setImmediate(() => {
            asked = act(host.run, kind);
          });
        };
        await host.drive();
        await asked;
        expect([writes, host.status]).toEqual([writes, kind === "pause" ? "paused" : "cancelled"]);
      }
    },
  );
});

describe("guarantees 1, 2 and 5: whenever the process dies", () => {
  type Sum = { round: number; sum: number };
  const rounds = 4;

  function life(commits: readonly string[], at: number) {
    const ran: string[] = [];
    const flow: Handler = async (input: Sum, step) => {
      const { round, sum } = input;
      const one = await step.waitFor<number>("add");
      const doubled = await step.run("double", ({ idempotencyKey }) => {
        ran.push(idempotencyKey);
        return one * 2;
      });
      const other = await step.waitFor<number>("add");
      await step.sleep(10);
      if (round < rounds) return await step.continueAsNew({ round: round + 1, sum: sum + doubled + other });
      return { sum: sum + doubled + other, continued: step.info.continued };
    };
    const host = new Host(flow, { commits, at, input: { round: 0, sum: 0 } });
    for (let i = 0; i <= rounds * 2 + 1; i++)
      host.plan(Math.max(at, startAt + 7 * i), (run) => signal(run, "add", 10 ** i, `key ${i}`));
    return { host, ran };
  }

  test("its journal is that of one life, and what every life did counts once", async () => {
    const whole = life([], startAt);
    const deaths: { commits: readonly string[]; at: number }[] = [];
    whole.host.journal.onAppend = () =>
      deaths.push({ commits: [...whole.host.journal.commits], at: whole.host.clock.at });
    await whole.host.drive();
    // Every even power of ten is doubled.
    const added = Array.from({ length: rounds * 2 + 2 }, (_unused, i) => 10 ** i * (i % 2 === 0 ? 2 : 1));
    const expected = { sum: added.reduce((sum, each) => sum + each), continued: rounds };
    expect(whole.host.output).toEqual(expected);
    expect(deaths.length).toBeGreaterThan(30);
    for (const { commits, at } of deaths) {
      const entries = commits.flatMap((text) => JSON.parse(text) as Entry[]);
      expect(entries.filter(({ kind }) => kind === "run.created")).toHaveLength(1);
      expect(entries[0]?.kind).toBe("run.created");
      const { host, ran } = life(commits, at);
      await host.drive();
      expect(host.output).toEqual(expected);
      const { created: now } = new Host(undefined, { commits, at }).run.state;
      const done = entries.some((entry) => entry.kind === "step.completed");
      const key = `${now?.id}:${now?.at.toString(36)}:double`;
      if (done) expect(ran).not.toContain(key);
    }
  });

  test("a journal that cannot be replaced is left as it was", async () => {
    const host = new Host(times(1, (step) => step.run("work", () => 1)));
    host.journal.beforeAppend = (entries) => {
      if (entries[0]?.kind === "run.created" && entries[0].seq > 1) throw new Error("the disk is full");
    };
    await expect(host.drive()).rejects.toThrow("the disk is full");
    expect(host.journal.kinds).toEqual(["run.created", "run.started", "step.completed"]);
    const again = await host.reopen().drive();
    expect(again.output).toEqual({ round: 1, continued: 1 });
  });
});
