import { describe, expect, test } from "vitest";
import type { Entry } from "../../src/core/history/entry.ts";
import { createRandom } from "../../src/core/random.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { caught } from "./caught.ts";
import type { Caught } from "./caught.ts";
import { Family } from "./family.ts";
import { Host, act, play, signal, startAt } from "./host.ts";
import { define } from "./memory.ts";
import type { Handler } from "./memory.ts";

function withdrawn(host: Host): string[][] {
  return host.entries("wait.withdrawn").map(({ calls }) => calls.map(({ call, id }) => `${call} ${id}`));
}

describe("the winner", () => {
  test("is the first to settle, by its key", async () => {
    const host = await play((_input, step) =>
      step.race({ slow: () => step.sleep("2 s"), fast: () => step.sleep("1 s"), slowest: () => step.sleep("3 s") }),
    );
    expect(host.output).toEqual({ key: "fast", value: undefined });
    expect(host.clock.at - startAt).toBe(1000);
  });

  test("rejects the race as it rejects", async () => {
    const host = await play(async (_input, step) => {
      const failure = step.race({
        works: () => step.sleep("1 h"),
        fails: () => step.run("x", () => Promise.reject(new TypeError("no")), { retry: { limit: 0 } }),
      });
      const error = await caught(() => failure);
      return [error.name, error.message, error.code];
    });
    expect(host.output).toEqual(["TypeError", "no", "step_failed"]);
    expect(withdrawn(host)).toEqual([["sleep sleep"]]);
  });

  test("may throw before it calls anything, and may be no promise at all", async () => {
    const host = await play(async (_input, step) => {
      const thrown = await caught(() =>
        step.race({
          waits: () => step.sleep("1 h"),
          throws: () => {
            throw new Error("at once");
          },
        }),
      );
      const value = await step.race({ waits: () => step.sleep("1 h"), value: () => 7, other: () => 8 });
      return [thrown.message, value];
    });
    expect(host.output).toEqual(["at once", { key: "value", value: 7 }]);
    expect(host.clock.at).toBe(startAt);
  });

  test("every branch is called, in order, also behind one that has settled", async () => {
    const called: string[] = [];
    await play((_input, step) =>
      step.race({ a: () => called.push("a"), b: () => called.push("b"), c: async () => called.push("c") }),
    );
    expect(called).toEqual(["a", "b", "c"]);
  });

  test.each([[{}], [undefined], [null], [7], [[]], [{ a: 1 }], [{ a: () => 1, b: Promise.resolve() }]])(
    "%j is no race",
    async (branches) => {
      const host = await play(async (_input, step) => (await caught(() => step.race(branches as never))).code);
      expect(host.output).toBe("options_invalid");
    },
  );

  test("a loser that rejects later is no failure of anybody's", async () => {
    const seen: unknown[] = [];
    const note = (error: unknown): void => void seen.push(error);
    process.on("unhandledRejection", note);
    const host: Host = new Host(async (_input, step) => {
      const won = await step.race({
        wins: () => step.sleep(10),
        fails: () =>
          step.run(
            "x",
            async () => {
              await host.clock.after(50);
              throw new Error("late");
            },
            { retry: { limit: 0 } },
          ),
      });
      await step.sleep("1 h");
      return won.key;
    });
    await host.drive();
    // Node tells of such a rejection once the microtasks are done.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    expect([host.output, seen]).toEqual(["wins", []]);
    expect(host.entries("step.failed")).toHaveLength(1);
  });
});

describe("guarantee 5: the losers take no later signal", () => {
  test("a wait that lost leaves the signal to the next", async () => {
    const host = new Host(async (_input, step) => {
      const first = await step.race({ approval: () => step.waitFor("go"), late: () => step.sleep("1 h") });
      return [first.key, await step.waitFor("go")];
    });
    host.signalAt(startAt + 7_200_000, "go", "mine");
    await host.drive();
    expect(host.output).toEqual(["late", "mine"]);
    expect(withdrawn(host)).toEqual([["wait go"]]);
    expect(host.entries("signal.consumed").map(({ call }) => call)).toEqual(["go#2"]);
  });

  test("one entry tells of all of them, and none of what was not on record", async () => {
    const host = new Host(async (_input, step) => {
      await step.race({
        a: () => Promise.all([step.waitFor("x"), step.waitFor("y"), step.sleep("nap", "1 d")]),
        b: () => step.waitFor("z", { timeout: "2 d" }),
        c: () => step.sleep("1 h"),
      });
      return await step.waitFor("end");
    });
    host.signalAt(startAt + 9_000_000, "end", 1);
    await host.drive();
    expect(withdrawn(host)).toEqual([["wait x", "wait y", "sleep nap", "wait z"]]);
  });

  test("what the run waits for no longer shows them, and no alarm is set for them", async () => {
    const host = new Host(async (_input, step) => {
      await step.race({ a: () => step.waitFor("a", { timeout: "1 d" }), b: () => step.waitFor("b") });
      await step.waitFor("end");
    });
    host.signalAt(startAt + 5, "b", 1);
    await host.drive();
    expect(host.snapshot.waitingFor.map(({ name }) => name)).toEqual(["end"]);
    expect(host.run.advance().wakeAt).toBeNull();
    expect(host.run.openWaits("a")).toBe(0);
  });

  test("a branch that lost gets no further than what is at work, and leaves no record of more", async () => {
    const reached: string[] = [];
    const host: Host = new Host(async (_input, step) => {
      await step.race({
        loser: async () => {
          await step.run("work", () => host.clock.after(100));
          reached.push("worked");
          await step.run("more", () => 1);
          reached.push("more");
          await step.waitFor("go");
          reached.push("never");
        },
        winner: () => step.sleep(10),
      });
      await step.sleep("1 h");
      return await step.waitFor("go");
    });
    host.signalAt(startAt + 500, "go", "kept");
    await host.drive();
    expect(host.output).toBe("kept");
    expect(reached).toEqual(["worked"]);
    expect(host.entries("step.completed").map(({ step }) => step)).toEqual(["work"]);
    expect(host.journal.kinds.filter((kind) => kind === "wait.started")).toEqual([]);
    expect(withdrawn(host)).toEqual([]);
  });

  test.each([
    ["bails", (step: Step) => step.bail("lost")],
    ["fails", (step: Step) => step.fail(new Error("lost"))],
    ["goes on as new", (step: Step) => step.continueAsNew("lost")],
  ])("a branch that lost and then %s has no say in how the run goes on", async (_how, leave) => {
    const host: Host = new Host(async (input, step) => {
      const work = async () => {
        await step.run("slow", () => host.clock.after(5000));
        return await leave(step);
      };
      const { key } = await step.race({ work, tired: () => step.sleep("1 s") });
      await step.sleep("1 h");
      return [input ?? null, key];
    });
    await host.drive();
    expect(host.output).toEqual([null, "tired"]);
    expect((await host.reopen({ keep: host.journal.commits.length - 1 }).drive()).output).toEqual([null, "tired"]);
  });

  test("a step of a loser goes on to its end, its retries too", async () => {
    const host: Host = new Host(async (_input, step) => {
      const retry = { delay: 1000, jitter: 0 } as const;
      const loser = (): Promise<number> =>
        step.run("x", ({ attempt }) => (attempt < 3 ? Promise.reject(new Error("not yet")) : attempt), { retry });
      await step.race({ loser, winner: () => step.sleep(10) });
      await step.sleep("1 h");
    });
    await host.drive();
    expect(host.entries("step.completed")[0]).toMatchObject({ step: "x", attempt: 3 });
  });

  test("a webhook whose address comes after it lost is withdrawn as well", async () => {
    const host = new Host(async (_input, step) => {
      await step.sleep(1);
      await step.race({ hook: () => step.webhook("h").then(({ received }) => received()), at: () => 1 });
      await step.waitFor("end");
    });
    await host.drive();
    expect(host.entries("webhook.created")).toHaveLength(1);
    expect(withdrawn(host)).toEqual([["webhook h"]]);
    expect(host.snapshot.waitingFor.map(({ name }) => name)).toEqual(["end"]);
    // It is in the code all the same, wherever the process dies.
    for (let keep = 1; keep < host.journal.commits.length; keep++) {
      const again = await host.reopen({ keep, at: startAt }).drive();
      signal(again.run, "end", 1);
      await again.drive();
      expect([keep, again.status]).toEqual([keep, "completed"]);
      expect(again.journal.kinds.filter((kind) => kind === "step.removed" || kind === "step.added")).toEqual([]);
    }
  });

  test("a webhook that was made outside stays, though waiting for it lost", async () => {
    const host = new Host(async (_input, step) => {
      const hook = await step.webhook("h");
      const { key } = await step.race({ hook: () => hook.received(), late: () => step.sleep("1 h") });
      return [key, await Promise.race([hook.received(), step.sleep("2 h")])];
    });
    await host.drive(startAt + 4_000_000);
    expect(host.snapshot.waitingFor.map(({ kind }) => kind).toSorted()).toEqual(["timer", "webhook"]);
    expect(withdrawn(host)).toEqual([]);
  });

  test("a call that was made outside and is awaited inside stays", async () => {
    const host = new Host(async (_input, step) => {
      const go = step.waitFor("go");
      const { key } = await step.race({ go: () => go, late: () => step.sleep("1 h") });
      return [key, await go];
    });
    host.signalAt(startAt + 7_200_000, "go", "come");
    expect((await host.drive()).output).toEqual(["late", "come"]);
  });
});

describe("races within races", () => {
  test("code of another run that calls back into this one is in no branch of that run's race", async () => {
    let answer = (): unknown => null;
    const asked = new Host(async (_input, step) => {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      answer = () => resolve(step.run("answer", () => "fine"));
      return await promise;
    });
    const driven = asked.drive();
    await play(async (_input, step) => {
      const late = async (): Promise<unknown> => {
        for (let turns = 0; turns < 50; turns++) await Promise.resolve();
        return answer();
      };
      await step.race({ lost: late, won: () => "at once" });
    });
    expect((await driven).output).toBe("fine");
  });

  test("the losers of the outer take those of the inner with them", async () => {
    const host = new Host(async (_input, step) => {
      const won = await step.race({
        deep: () =>
          step.race({
            x: () => step.waitFor("x"),
            deeper: async () => {
              await step.sleep("a moment", 100);
              return await step.race({ y: () => step.waitFor("y"), z: () => step.waitFor("z") });
            },
          }),
        clock: () => step.sleep("1 h"),
      });
      return [won.key, await step.waitFor("x"), await step.waitFor("y")];
    });
    host.signalAt(startAt + 7_000_000, "x", 1);
    host.signalAt(startAt + 7_000_000, "y", 2);
    await host.drive();
    expect(host.output).toEqual(["clock", 1, 2]);
    expect(withdrawn(host)).toEqual([["wait x", "wait y", "wait z"]]);
  });

  test("the inner winner goes on in the outer branch", async () => {
    const host = new Host(async (_input, step) => {
      const won = await step.race({
        branch: async () => {
          const { key } = await step.race({ a: () => step.sleep("a", 10), b: () => step.waitFor("b") });
          await step.waitFor("after");
          return key;
        },
        clock: () => step.sleep("clock", "1 h"),
      });
      return [won.key, await step.waitFor("after")];
    });
    host.signalAt(startAt + 7_000_000, "after", "left");
    await host.drive();
    // The wait behind the inner race belonged to the branch that lost the outer.
    expect(host.output).toEqual(["clock", "left"]);
    expect(withdrawn(host)).toEqual([["wait b"], ["wait after"]]);
  });

  test("a race that a loser lets another branch win goes on outside of both", async () => {
    const host = await play(async (_input, step) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const won = await step.race({
        told: () => promise,
        tells: async () => {
          await step.sleep("a moment", 10);
          resolve("by the other");
          await step.waitFor("never");
        },
      });
      await step.sleep("after", 10);
      return won;
    });
    expect(host.output).toEqual({ key: "told", value: "by the other" });
    expect(withdrawn(host)).toEqual([["wait never"]]);
  });

  test("a race in a loop, a thousand times", async () => {
    const host = await play(async (_input, step) => {
      let wins = 0;
      for (let i = 0; i < 1000; i++) {
        const { key } = await step.race({ go: () => step.waitFor("go"), tick: () => step.sleep("tick", 10) });
        if (key === "tick") wins++;
      }
      return wins;
    });
    expect(host.output).toBe(1000);
    expect(host.entries("wait.withdrawn")).toHaveLength(1000);
  });

  test("a map in a losing branch ends what is at work and begins no more", async () => {
    const host: Host = new Host(async (_input, step) => {
      const items = [1, 2, 3, 4];
      await step.race({
        map: () => step.map("m", items, () => host.clock.after(100), { concurrency: 1 }),
        clock: () => step.sleep(50),
      });
      await step.sleep("1 h");
    });
    await host.drive();
    expect(host.entries("step.completed").map(({ step }) => step)).toEqual(["m"]);
  });

  test("guarantee 5: a call that a branch makes after it awaited something of its own belongs to it", async () => {
    const own = async (): Promise<void> => await Promise.resolve();
    const branches: Record<string, (step: Step) => Promise<unknown>> = {
      "after nothing": (step) => step.waitFor("go"),
      "after a microtask": async (step) => {
        await Promise.resolve();
        return await step.waitFor("go");
      },
      "after helpers of its own": async (step) => {
        for (let i = 0; i < 20; i++) await own();
        return await Promise.all([step.waitFor("go"), own()]);
      },
      "called late, when the race is lost": async (step) => {
        await step.run("work", () => later(50));
        await own();
        return await step.waitFor("go");
      },
    };
    let later = (_ms: number): Promise<void> => Promise.resolve();
    for (const [name, branch] of Object.entries(branches)) {
      const flow = async (_input: never, step: Step): Promise<unknown> => {
        const { key } = await step.race({ lost: () => branch(step), won: () => step.sleep(10) });
        return [key, await step.waitFor("go", { timeout: "1h" })];
      };
      const host: Host = new Host(flow);
      later = (ms) => host.clock.after(ms);
      host.signalAt(startAt + 500, "go", "kept");
      await host.drive();
      expect([name, host.output]).toEqual([name, ["won", "kept"]]);
      const again = host.reopen({ keep: host.journal.commits.length - 1 });
      later = (ms) => again.clock.after(ms);
      await again.drive();
      expect([name, again.output]).toEqual([name, ["won", "kept"]]);
    }
  });
});

describe("child runs in a race", () => {
  const patient = define(async (_input, step) => await step.waitFor("never"), { name: "patient" });

  test("one that is waited for in vain is told to stop, one that is to be left alone is not", async () => {
    const parent = define(
      async (_input, step) => {
        await step.race({
          cancelled: () => step.invoke("patient", 1),
          abandoned: () => step.invoke("patient", 2, { onParentEnd: "abandon" }),
          clock: () => step.sleep("1 m"),
        });
        await step.sleep("2 m");
      },
      { name: "parent" },
    );
    const family = await new Family(patient, parent).begin("parent").drive(startAt + 200_000);
    const [first = "", second = ""] = family.entries("parent", "child.started").map(({ child }) => child.id);
    expect(family.entries("parent", "wait.withdrawn")[0]?.calls.map(({ id }) => id)).toEqual(["patient", "patient#2"]);
    expect([family.snapshot(first).status, family.snapshot(second).status]).toEqual(["cancelled", "waiting"]);
    expect(family.entries("parent", "child.stopped").map(({ child }) => child.id)).toEqual([first]);
    expect(family.snapshot("parent").status).toBe("completed");
  });

  test("one whose start is under way when its branch loses is stopped once it is there", async () => {
    const parent = define(
      async (_input, step) => {
        await step.sleep(1);
        await step.race({ child: () => step.invoke("patient", 1), value: () => 1 });
        await step.sleep("2 m");
      },
      { name: "parent" },
    );
    const family = await new Family(patient, parent).begin("parent").drive(startAt + 200_000);
    const [child] = [...family.made.keys()];
    expect(family.snapshot(child ?? "").status).toBe("cancelled");
    expect(family.entries("parent", "child.stopped")).toHaveLength(1);
  });
});

describe("a retry of what decided it", () => {
  const once = { retry: { limit: 0 } };

  /** Pays once the bank is open. */
  function payer(): { pay: () => string; open: () => void } {
    let isOpen = false;
    const pay = (): string => {
      if (isOpen) return "paid";
      throw new Error("the bank is closed");
    };
    return { pay, open: () => void (isOpen = true) };
  }

  test.each([["lives on"], ["dies"]])(
    "has its losers wait again, and those of no other race: a run that %s",
    async (how) => {
      const { pay, open } = payer();
      const host = await play(async (_input, step) => {
        await step.race({ quick: () => step.run("quick", () => 1), lost: () => step.waitFor("told") });
        return await step.race({
          work: async () => {
            await step.run("pay", pay, once);
            await step.sleep("work", "5 h");
          },
          called: async () => await (await step.webhook("called")).received(),
          told: () => step.waitFor("told", { timeout: "3 h" }),
          late: () => step.sleep("late", "2 h"),
        });
      });
      expect(host.snapshot.error).toMatchObject({ code: "step_failed", step: "pay" });
      open();
      const again = host.reopen({ cold: false });
      void act(again.run, "retry");
      const end = how === "dies" ? again.reopen() : again;
      await end.drive(startAt + 1000);
      expect(end.snapshot.waitingFor.map(({ kind, name }) => `${kind} ${name}`).toSorted()).toEqual([
        "signal told",
        "timer late",
        "timer work",
        "webhook called",
      ]);
      await end.signalAt(startAt + 2000, "told", 7).drive();
      expect(end.output).toEqual({ key: "told", value: 7 });
      expect(withdrawn(end).at(-1)?.toSorted()).toEqual(["sleep late", "sleep work", "webhook called"]);
    },
  );

  test("lets go of them once more where the same branch wins", async () => {
    const { pay, open } = payer();
    const host = await play((_input, step) =>
      step.race({ pay: () => step.run("pay", pay, once), told: () => step.waitFor("told") }),
    );
    open();
    const again = host.reopen({ cold: false });
    void act(again.run, "retry");
    await again.drive();
    expect(again.output).toEqual({ key: "pay", value: "paid" });
    expect(withdrawn(again)).toEqual([["wait told"], ["wait told"]]);
  });

  test.each([["the network holds"], ["a word to stop is lost"]])(
    "leaves no child behind that was started anew and lost again, whenever the process dies: %s",
    async (how) => {
      const patient = define((_input, step) => step.waitFor("never"), { name: "patient" });
      for (let commit = 1; ; commit++) {
        const { pay, open } = payer();
        const parent = define(
          async (_input, step) => {
            const both = { pay: () => step.run("pay", pay, once), child: () => step.invoke("patient") };
            await step.race(both);
            await step.sleep("1 m");
          },
          { name: "parent" },
        );
        const family = await new Family(patient, parent).begin("parent").drive();
        open();
        const before = family.journal("parent").commits.length;
        if (how !== "the network holds") {
          let lost = 0;
          family.fails = (what) => what === "stop" && lost++ === 0;
        }
        family.deaths.push({ id: "parent", commit: before + commit });
        await family.plan(family.clock.at + 1000, () => family.act("parent", "retry")).drive();
        expect(family.snapshot("parent").status).toBe("completed");
        const children = family.ids().filter((id) => id !== "parent");
        const left = children.filter((id) => family.snapshot(id).finishedAt === null);
        expect({ commit, left }).toEqual({ commit, left: [] });
        if (family.deaths.length > 0) break;
      }
    },
  );

  test.each<[string, (step: Step, note: Promise<unknown>) => Record<string, () => Promise<unknown>>]>([
    [
      "a signal that has come",
      (step) => ({ told: () => step.waitFor("told"), clock: () => step.sleep("clock", 1000) }),
    ],
    ["what ended beside it", (step, note) => ({ note: () => note, clock: () => step.sleep("clock", 1000) })],
  ])("guarantee 3: of what was heard before, and %s, the same wins in every life", async (_what, branches) => {
    let isOpen = false;
    const winners: string[] = [];
    const flow: Handler = async (_input, step) => {
      // It ends in the turn in which the payment does, and behind it.
      const work = (): Promise<void> => host.clock.after(2000).then(() => host.clock.after(3000));
      const note = step.run("note", work, once);
      const pay = async (): Promise<void> => {
        if (!isOpen) throw new Error("the bank is closed");
        await host.clock.after(5000);
      };
      const paid = await step.run("pay", pay, once).catch((error: unknown) => error);
      const { key } = await step.race(branches(step, note));
      winners.push(key);
      if (paid instanceof Error) throw paid;
      await step.sleep("1 h");
    };
    let host = new Host(flow);
    await host.drive();
    expect([host.snapshot.error?.step, winners]).toEqual(["pay", ["clock"]]);
    isOpen = true;
    host = host.reopen({ cold: false });
    void act(host.run, "retry");
    const retriedAt = host.clock.at;
    await host.signalAt(retriedAt + 1000, "told", 1).drive(retriedAt + 60_000);
    host = host.reopen();
    await host.drive();
    expect([host.status, winners]).toEqual(["completed", ["clock", "clock", "clock"]]);
  });

  test("starts a child anew that was stopped because it had lost", async () => {
    const { pay, open } = payer();
    const parent = define(
      (_input, step) =>
        step.race({
          work: async () => {
            await step.sleep("1 s");
            await step.run("pay", pay, once);
            await step.sleep("3 m");
          },
          child: () => step.invoke("child", 1, { timeout: "2 m" }),
        }),
      { name: "parent" },
    );
    const child = define((_input, step) => step.sleep("1 m").then(() => "done"), { name: "child" });
    const family = await new Family(parent, child).begin("parent").drive();
    expect(family.snapshot("parent").error).toMatchObject({ step: "pay" });
    open();
    const retriedAt = family.clock.at + 200_000;
    await family.plan(retriedAt, () => family.act("parent", "retry")).drive(retriedAt + 240_000);
    expect(family.output("parent")).toEqual({ key: "child", value: "done" });
    expect(family.entries("parent", "child.started")).toHaveLength(2);
  });
});

describe("the run around it", () => {
  test("a cancelled run's race rejects, and nothing is withdrawn", async () => {
    let error: Caught | undefined;
    const host = new Host(async (_input, step) => {
      error = await caught(() => step.race({ a: () => step.waitFor("a"), b: () => step.waitFor("b") }));
      await step.run("clean up", () => 1);
    });
    host.plan(startAt + 10, (run) => act(run, "cancel"));
    await host.drive();
    expect([host.status, error?.code]).toEqual(["cancelled", "cancelled"]);
    expect(host.entries("step.completed").map(({ step }) => step)).toEqual(["clean up"]);
    expect(withdrawn(host)).toEqual([]);
  });

  test("a race that settles while the run is paused withdraws all the same", async () => {
    const host: Host = new Host(async (_input, step) => {
      const { key } = await step.race({
        work: () => step.run("w", () => host.clock.after(100)),
        a: () => step.waitFor("a"),
      });
      return [key, await step.waitFor("a")];
    });
    host.plan(startAt + 50, (run) => act(run, "pause"));
    host.signalAt(startAt + 200, "a", 1);
    host.plan(startAt + 300, (run) => act(run, "resume"));
    await host.drive();
    expect(host.output).toEqual(["work", 1]);
    expect(withdrawn(host)).toEqual([["wait a"]]);
  });

  test("a line that was logged before the race settled is not logged again after a death", async () => {
    const flow: Handler = async (_input, step) => {
      const branch = async (): Promise<void> => {
        await step.sleep(10);
        step.log.info("won");
      };
      await step.race({ branch, other: () => step.waitFor("x") });
      await step.waitFor("end");
    };
    const host = await new Host(flow).drive();
    const again = await host.reopen().drive();
    expect(again.entries("log.written").map(({ message }) => message)).toEqual(["won"]);
  });
});

describe("guarantees 3 and 5: whenever the process dies", () => {
  /** A flow of races; what it does and sees goes to `trace`. */
  function flow(trace: string[], after: (ms: number) => Promise<void>): (input: never, step: Step) => Promise<unknown> {
    return async (_input, step) => {
      const decision = await step.race({
        decision: () => step.waitFor<string>("decision"),
        both: async () => {
          await step.run("prepare", () => after(30));
          trace.push("prepared");
          const inner = await step.race({ p: () => step.waitFor<string>("p"), q: () => step.sleep("q", 200) });
          trace.push(`inner ${inner.key}`);
          await step.waitFor("decision");
        },
        clock: () => step.sleep("clock", 500),
      });
      trace.push(`outer ${decision.key}`);
      const hook = await step.race({
        hook: () => step.webhook("h").then((made) => made.received()),
        nap: () => step.sleep("nap", 50),
      });
      trace.push(`third ${hook.key}`);
      const rest: unknown[] = [];
      for (let i = 0; i < 2; i++) {
        const next = await step.race({ next: () => step.waitFor("decision"), late: () => step.sleep("late", 10_000) });
        rest.push(next.value);
        trace.push(`loop ${next.key} ${String(next.value)}`);
      }
      return [decision.key, hook.key, rest];
    };
  }

  function life(commits: readonly string[], at: number, signals: readonly [number, string, unknown][]) {
    const trace: string[] = [];
    const host: Host = new Host(
      flow(trace, (ms) => (host.dead ? new Promise(() => {}) : host.clock.after(ms))),
      { commits, at },
    );
    for (const [offset, name, payload] of signals) {
      host.plan(Math.max(at, startAt + offset), (run) => signal(run, name, payload, `${name} ${String(payload)}`));
    }
    return { host, trace };
  }

  const plans: [string, [number, string, unknown][]][] = [
    [
      "nobody comes in time",
      [
        [600, "decision", "a"],
        [700, "decision", "b"],
      ],
    ],
    [
      "the decision comes first",
      [
        [20, "decision", "a"],
        [120, "decision", "b"],
        [800, "decision", "c"],
      ],
    ],
    [
      "the inner race is won",
      [
        [100, "p", 1],
        [300, "decision", "a"],
        [900, "decision", "b"],
        [950, "decision", "c"],
      ],
    ],
    [
      "a tie: all at one instant",
      [
        [500, "decision", "a"],
        [500, "decision", "b"],
        [500, "p", 1],
      ],
    ],
  ];

  test.each(plans)("%s", async (name, signals) => {
    const whole = life([], startAt, signals);
    await whole.host.drive();
    expect(whole.host.status).toBe("completed");
    const { commits, entries } = whole.host.journal;
    for (let keep = 1; keep < commits.length; keep++) {
      const known = commits.slice(0, keep).flatMap((text) => JSON.parse(text) as Entry[]);
      const { host, trace } = life(commits.slice(0, keep), known.at(-1)?.at ?? startAt, signals);
      await host.drive();
      expect([keep, host.status]).toEqual([keep, "completed"]);
      // Who wins of those that are ready at one instant is open until it is on record.
      if (!name.startsWith("a tie")) expect([keep, host.output, trace]).toEqual([keep, whole.host.output, whole.trace]);
      checkWaits(host.journal.entries);
    }
    checkWaits(entries);
  });

  test("programs of races within races", async () => {
    const programs = Number(process.env["RACE_PROGRAMS"] ?? 60);
    const first = Number(process.env["RACE_SEED"] ?? 1);
    let withdrawals = 0;
    for (let seed = first; seed < first + programs; seed++) {
      await checkSeed(seed).then(
        (more) => (withdrawals += more),
        (cause: unknown) => {
          throw new Error(`seed ${seed} fails: RACE_SEED=${seed} RACE_PROGRAMS=1 tries it alone`, { cause });
        },
      );
    }
    expect(withdrawals).toBeGreaterThan(1.5 * programs);
  });

  /** Plays the program whole and after every prefix; answers how many withdrawals it has. */
  async function checkSeed(seed: number): Promise<number> {
    const random = createRandom(`races ${seed}`);
    const branches = Array.from({ length: 3 }, () => makeBranch(random, 2));
    const signals = Array.from({ length: 6 }, () => ({ at: dice(random, 3000), name: pick(random, names) }));
    const whole = await playRaces(branches, signals, [], startAt);
    const { commits } = whole.host.journal;
    for (let keep = 1; keep < commits.length; keep++) {
      const known = commits.slice(0, keep).flatMap((text) => JSON.parse(text) as Entry[]);
      const last = known.findLast(({ kind }) => outcomes.has(kind))?.seq ?? 0;
      const { host, trace } = await playRaces(branches, signals, commits.slice(0, keep), known.at(-1)?.at ?? startAt);
      const seen = whole.trace.filter(({ outcome }) => outcome <= last).map(({ text }) => text);
      expect([keep, trace.slice(0, seen.length).map(({ text }) => text)]).toEqual([keep, seen]);
      expect([keep, host.status]).toEqual([keep, "completed"]);
      checkWaits(host.journal.entries);
    }
    checkWaits(whole.host.journal.entries);
    return whole.host.entries("wait.withdrawn").length;
  }

  type Op =
    | { readonly kind: "sleep"; readonly ms: number }
    | { readonly kind: "wait"; readonly name: string; readonly ms: number }
    | { readonly kind: "step" }
    | { readonly kind: "race"; readonly branches: readonly (readonly Op[])[] };

  function makeBranch(random: Random, depth: number): Op[] {
    return Array.from({ length: dice(random, 4) }, (): Op => {
      const kind = pick(random, ["sleep", "wait", "step", depth > 0 ? "race" : "wait"] as const);
      if (kind === "sleep") return { kind, ms: dice(random, 800) };
      if (kind === "wait") return { kind, name: pick(random, names), ms: dice(random, 1500) };
      if (kind === "step") return { kind };
      return { kind, branches: Array.from({ length: 1 + dice(random, 2) }, () => makeBranch(random, depth - 1)) };
    });
  }

  type Seen = { readonly text: string; readonly outcome: number };

  async function playRaces(
    branches: readonly (readonly Op[])[],
    signals: readonly { readonly at: number; readonly name: string }[],
    commits: readonly string[],
    at: number,
  ): Promise<{ host: Host; trace: Seen[] }> {
    const trace: Seen[] = [];
    let outcome = 0;
    const run = async (step: Step, ops: readonly Op[], path: string): Promise<string> => {
      for (const [i, op] of ops.entries()) {
        let said: unknown;
        if (op.kind === "sleep") said = await step.sleep(path, op.ms);
        else if (op.kind === "wait") said = await step.waitFor(op.name, { timeout: op.ms });
        else if (op.kind === "step") said = await step.run(path, () => i);
        else said = await compete(step, op.branches, `${path}.${i}`);
        trace.push({ text: `${path} ${i} ${String(said)}`, outcome });
      }
      return path;
    };
    const compete = async (step: Step, from: readonly (readonly Op[])[], path: string): Promise<string> => {
      const entries = from.map((ops, i) => [`b${i}`, () => run(step, ops, `${path}/${i}`)] as const);
      const { key } = await step.race(Object.fromEntries(entries));
      return key;
    };
    const host = new Host(
      async (_input, step) => {
        const won = await compete(step, branches, "r");
        // What was not taken is there for whoever comes later.
        const left: unknown[] = [];
        for (const name of names)
          for (let next: unknown; next !== null; left.push(next))
            next = await step.waitFor(name, { timeout: next === undefined ? 5000 : 1 });
        trace.push({ text: JSON.stringify([won, left]), outcome });
      },
      { commits, at },
    );
    const notice = (entries: readonly Entry[]): void => {
      for (const { kind, seq } of entries) if (outcomes.has(kind)) outcome = seq;
    };
    notice(host.journal.entries);
    host.journal.onAppend = notice;
    for (const [i, { at: offset, name }] of signals.entries())
      host.plan(Math.max(at, startAt + offset), (to) => signal(to, name, i, `key ${i}`));
    await host.drive();
    return { host, trace };
  }

  const names = ["x", "y"] as const;
  const outcomes: ReadonlySet<string> = new Set(["step.completed", "timer.fired", "wait.timed_out", "signal.consumed"]);

  type Random = ReturnType<typeof createRandom>;

  /** 1 to `sides`. */
  function dice(random: Random, sides: number): number {
    return 1 + Math.floor(random.next() * sides);
  }

  function pick<Value>(random: Random, from: readonly [Value, ...Value[]]): Value {
    return from[dice(random, from.length) - 1] ?? from[0];
  }

  /** A withdrawn call has no outcome, an outcome no withdrawal; each is told once; nothing is left open. */
  function checkWaits(entries: readonly Entry[]): void {
    const over: string[] = [];
    const open = new Set<string>();
    for (const entry of entries) {
      if (entry.kind === "wait.started") open.add(`wait ${entry.call}`);
      if (entry.kind === "timer.set") open.add(`sleep ${entry.call}`);
      if (entry.kind === "webhook.created") open.add(`webhook ${entry.call}`);
      if (entry.kind === "signal.consumed" || entry.kind === "wait.timed_out") over.push(`wait ${entry.call}`);
      if (entry.kind === "timer.fired") over.push(`sleep ${entry.call}`);
      if (entry.kind === "wait.withdrawn") for (const { call, id } of entry.calls) over.push(`${call} ${id}`);
    }
    expect(over).toEqual([...new Set(over)]);
    expect([...open].filter((call) => !over.includes(call))).toEqual([]);
    expect(entries.filter(({ kind }) => kind === "step.removed" || kind === "step.added")).toEqual([]);
  }
});
