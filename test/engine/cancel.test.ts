import { describe, expect, test } from "vitest";
import type { Step } from "../../src/core/definition/step.ts";
import type { Run } from "../../src/engine/run.ts";
import { Host, act, signal, startAt } from "./host.ts";
import { define } from "./memory.ts";
import type { Handler } from "./memory.ts";

/** Driven until somebody cancels it a second after its start, and on to its end. */
async function cancelled(flow: Handler): Promise<Host> {
  const host = new Host(flow);
  host.plan(startAt + 1000, (run) => act(run, "cancel"));
  return await host.drive();
}

describe("cancel", () => {
  test("reaches running attempts through their signal, and the handler through its calls", async () => {
    const seen: string[] = [];
    const host = await cancelled(async (_input, step) => {
      await step
        .run("long", ({ signal }) => {
          signal.addEventListener("abort", () => seen.push("aborted"));
          return new Promise(() => {});
        })
        .catch((error: { code: string }) => {
          seen.push(error.code);
          throw error;
        });
    });
    expect(seen).toEqual(["aborted", "cancelled"]);
    expect(host.snapshot).toMatchObject({ status: "cancelled", error: { code: "cancelled" } });
    expect(host.journal.kinds.slice(-2)).toEqual(["run.cancel_requested", "run.cancelled"]);
  });

  test("a step in flight that can be undone is waited for, and what would have come after it does not begin", async () => {
    const flow =
      (seen: string[]): Handler =>
      async (_input, step) => {
        const hold = () => host.clock.after(2000).then(() => void seen.push("held"));
        try {
          await step.map("hold", [1, 2], hold, { concurrency: 1, undo: () => void seen.push("let go") });
          await step.run("ship", () => void seen.push("shipped"));
        } catch (error) {
          await step.run("tell", () => void seen.push((error as { code: string }).code));
        }
      };
    const seen: string[] = [];
    let host = new Host(flow(seen));
    host.plan(startAt + 1000, (run) => act(run, "cancel"));
    await host.drive();
    expect(seen).toEqual(["held", "cancelled", "let go"]);
    expect(host.snapshot).toMatchObject({ status: "cancelled", error: { code: "cancelled", undone: ["hold"] } });
    const { commits } = host.journal;
    const from = commits.findIndex((text) => text.includes("run.cancel_requested"));
    for (let keep = from + 1; keep < commits.length; keep++) {
      const again: string[] = [];
      host = new Host(flow(again), { commits: commits.slice(0, keep) });
      await host.drive();
      expect([keep, host.snapshot.error?.undone]).toEqual([keep, ["hold"]]);
      expect(again).not.toContain("shipped");
    }
  });

  test("guarantee 7: an older journal has the handler go on with what such a step brings, as it did then", async () => {
    const seen: string[] = [];
    const flow: Handler = async (_input, step) => {
      const act = (name: string) => step.run(name, () => host.clock.after(2000), { undo: () => void seen.push(name) });
      await act("charge");
      await act("ship");
    };
    let host = new Host(flow);
    host.plan(startAt + 1000, (run) => act(run, "cancel"));
    await host.drive(startAt + 1500);
    const commits = host.journal.commits.map((text) => text.replace(',"told":true', ""));
    expect(commits).not.toEqual(host.journal.commits);
    host = new Host(flow, { commits });
    await host.drive();
    expect([host.snapshot.status, seen]).toEqual(["cancelled", ["ship", "charge"]]);
  });

  test("clean-up code still runs steps, with their retries", async () => {
    const seen: number[] = [];
    const host = await cancelled(async (_input, step) => {
      try {
        await step.waitFor("never");
      } finally {
        await step.run("clean up", ({ attempt }) => {
          seen.push(attempt);
          if (attempt < 3) throw new Error("once more");
        });
      }
    });
    expect(seen).toEqual([1, 2, 3]);
    expect(host.snapshot).toMatchObject({ status: "cancelled", steps: { completed: 1 } });
  });

  test("clean-up code waits for nothing: waits are refused at once", async () => {
    const codes: unknown[] = [];
    const host = await cancelled(async (_input, step) => {
      const note = (call: Promise<unknown>) => call.catch((error: { code: string }) => codes.push(error.code));
      await note(step.sleep("1 d"));
      await note(step.sleep("1 d"));
      await note(step.waitFor("x"));
      await note(step.webhook("y"));
      return "a result nobody asked for";
    });
    expect(codes).toEqual(["cancelled", "cancelled", "cancelled", "cancelled"]);
    expect(host.snapshot).toMatchObject({ status: "cancelled", output: null });
    expect(host.clock.at).toBe(startAt + 1000);
  });

  test("clean-up code may await what is its own between its steps", async () => {
    const own = async (depth: number): Promise<void> => (depth === 0 ? undefined : await own(depth - 1));
    const seen: string[] = [];
    const host: Host = new Host(async (_input, step) => {
      const helper = async (): Promise<void> => await step.sleep("1 d");
      try {
        await helper();
      } catch {
        await own(20);
        await step.run("first", () => void seen.push("first"));
        await host.clock.after(3000);
        await step.run("second", () => void seen.push("second"));
      }
    });
    host.plan(startAt + 1000, (run) => act(run, "cancel"));
    await host.drive();
    expect(seen).toEqual(["first", "second"]);
    expect(host.entries("run.cancelled")[0]).not.toHaveProperty("givenUp");
  });

  test("a handler that asks for waits in circles, or hangs, is given up after ten seconds, visibly", async () => {
    const circles = await cancelled(async (_input, step) => {
      for (;;) await step.sleep("1 d").catch(() => {});
    });
    expect(circles.status).toBe("cancelled");
    expect(circles.clock.at).toBe(startAt + 11_000);
    expect(circles.entries("run.cancelled")).toMatchObject([{ givenUp: true, error: { code: "cancelled" } }]);
    const hangs = await cancelled(async (_input, step) => {
      await step.sleep("1 d").catch(() => new Promise(() => {}));
    });
    expect(hangs.status).toBe("cancelled");
  });

  test.each([
    ["had been cancelled before its process died", 1500, 1],
    ["is cancelled while its replay waits for that", 5000, 2],
  ])(
    "guarantee 4: so is one that awaits something of its own, for ever, which %s",
    async (_what, cancelledMs, from) => {
      const seen: string[] = [];
      let lives = 0;
      let host = new Host(async (_input, step) => {
        lives++;
        await step.run("charge", () => {}, { undo: () => void seen.push("refunded") });
        if (lives >= from) await new Promise(() => {});
        await step.sleep("1 d");
      });
      host.plan(startAt + cancelledMs, (run) => act(run, "cancel"));
      await host.drive(startAt + 3000);
      host = await host.reopen().drive();
      expect(host.snapshot).toMatchObject({ status: "cancelled", error: { undone: ["charge"] } });
      expect([seen, host.clock.at]).toEqual([["refunded"], startAt + cancelledMs + 10_000]);
    },
  );

  test("guarantee 8: one that awaited something of its own in its replay for a while hears of the cancellation", async () => {
    const seen: string[] = [];
    let host: Host = new Host(async (_input, step) => {
      await host.clock.after(5000);
      await step.sleep("1 d").catch(({ code }: { code: string }) => void seen.push(code));
      await step.run("clean", () => void seen.push("cleaned"));
    });
    await host.drive(startAt + 6000);
    host = host.reopen();
    await host.plan(startAt + 7000, (run) => act(run, "cancel")).drive();
    expect([host.status, seen, host.clock.at]).toEqual(["cancelled", ["cancelled", "cleaned"], startAt + 10_000]);
  });

  test.each([1, 2])(
    "guarantees 2, 8: what %i deaths cut off is undone where the cancellation came as the replay stood still",
    async (deaths) => {
      const seen: string[] = [];
      let lives = 0;
      let host: Host = new Host(async (_input, step) => {
        const isLast = ++lives > deaths;
        if (isLast) await host.clock.after(5000);
        const charge = () => (isLast ? void seen.push("charged") : new Promise(() => {}));
        await Promise.all([
          step.run("charge", charge, { undo: () => void seen.push("refunded") }),
          step.run("ship", () => Promise.reject(new Error("no")), { retry: { limit: 0 } }),
        ]);
      });
      for (let life = 0; life < deaths; life++) host = (await host.drive(host.clock.at + 100)).reopen();
      let isAnswered = false;
      host.plan(host.clock.at + 2000, async (run) => {
        await act(run, "cancel");
        isAnswered = true;
      });
      await host.drive();
      expect([seen, host.snapshot.error?.undone]).toEqual([["charged", "refunded"], ["charge"]]);
      expect(isAnswered).toBe(true);
    },
  );

  test("guarantee 4: the first call that reaches a run in its next life cancels it, though its replay stands still", async () => {
    let lives = 0;
    let host = new Host(async (_input, step) => {
      if (++lives > 1) await new Promise(() => {});
      await step.sleep("1 d");
    });
    host = (await host.drive(startAt + 1000)).reopen({ cold: false });
    // Whoever asks for the same again meanwhile is answered alike.
    const answers = ["once", "once", "other"].map(async (key) => await act(host.run, "cancel", key));
    await host.drive();
    await Promise.all(answers);
    expect([host.status, host.clock.at]).toEqual(["cancelled", startAt + 10_000]);
    expect(host.entries("run.cancelled")).toMatchObject([{ givenUp: true }]);
    expect(host.entries("run.action_noted")).toMatchObject([{ key: "other" }]);
    expect(act(host.run, "cancel", "once")).toBeUndefined();
  });

  test.each([
    ["goes on", 1000, 2000],
    ["stands still", Infinity, 13_000],
  ])(
    "guarantee 5: one whose key is used for a pause while it waits for a replay that %s is refused, and changes nothing",
    async (_what, ms, untilMs) => {
      let lives = 0;
      let host = new Host(async (_input, step) => {
        if (++lives > 1) await host.clock.after(ms);
        await step.sleep("1 d");
      });
      host = (await host.drive(startAt + 1000)).reopen({ at: startAt + 1000, cold: false });
      const asked = Promise.allSettled([act(host.run, "cancel", "once")]);
      void act(host.run, "pause", "once");
      await host.drive(startAt + untilMs);
      expect(await asked).toMatchObject([{ reason: { message: "the key once was used to pause" } }]);
      expect(host.status).toBe("paused");
    },
  );

  test("guarantee 2: what a cancellation waited for is not done again where the handler bails before it is told of that", async () => {
    const seen: string[] = [];
    const host = await cancelled(async (_input, step) => {
      const both = ["ship", "charge"].map((name) => {
        const work = ({ signal }: { readonly signal: AbortSignal }): Promise<void> => {
          seen.push(name);
          return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
        };
        return step.run(name, work, { undo: () => {} });
      });
      await both[0]?.catch(() => step.bail("left"));
      await both[1];
    });
    expect(host.snapshot).toMatchObject({ status: "cancelled", error: { undone: ["charge", "ship"] } });
    expect(seen).toEqual(["ship", "charge"]);
  });

  test.each([
    ["stands still", Infinity, [], 12_000],
    ["goes on", 4000, ["cancelled"], 5000],
  ])(
    "guarantees 1, 8: a timeout that falls due while a cancellation waits for a replay that %s comes too late",
    async (_what, ms, told, endedMs) => {
      const seen: string[] = [];
      let lives = 0;
      const handler: Handler = async (_input, step) => {
        if (++lives > 1) await host.clock.after(ms);
        await step.sleep("1 d").catch(({ code }: { code: string }) => void seen.push(code));
      };
      let host = new Host(define(handler, { timeoutMs: 3000 }));
      host = (await host.drive(startAt + 1000)).reopen({ at: startAt + 1000, cold: false });
      await host.plan(startAt + 2000, (run) => act(run, "cancel")).drive();
      expect([host.snapshot.error?.code, seen, host.clock.at]).toEqual(["cancelled", told, startAt + endedMs]);
    },
  );

  test("bail and fail in clean-up code do not change how it ends", async () => {
    for (const end of [(step: Step) => step.bail("other"), (step: Step) => step.fail(new Error("other"))]) {
      const host = await cancelled(async (_input, step) => {
        await step.sleep("1 d").catch(() => {});
        return end(step);
      });
      expect(host.snapshot).toMatchObject({ status: "cancelled", error: { code: "cancelled" } });
    }
  });

  test("a step that runs at most once does not begin any more whose start is not yet durable", async () => {
    let begun = 0;
    const host: Host = new Host((_input, step) => step.run("once", () => ++begun, { atMostOnce: true }));
    host.journal.durable = () => host.clock.after(1000);
    await host.plan(startAt + 500, (run) => act(run, "cancel")).drive();
    expect([host.status, begun]).toEqual(["cancelled", 0]);
  });

  test("a paused run is cancelled; a delayed one at once", async () => {
    const seen: string[] = [];
    const paused = new Host(async (_input, step) => {
      try {
        await step.waitFor("never");
      } finally {
        await step.run("clean up", () => void seen.push("clean"));
      }
    });
    paused.plan(startAt + 500, (run) => act(run, "pause")).plan(startAt + 1000, (run) => act(run, "cancel"));
    await paused.drive();
    expect(paused.status).toBe("cancelled");
    expect(seen).toEqual(["clean"]);
  });

  test("whoever comes too late is told in a sentence that it has been cancelled", async () => {
    const { run } = await cancelled(async (_input, step) => await step.waitFor("never"));
    expect(() => signal(run, "go", 1)).toThrow("run run-1 has been cancelled and cannot be signalled");
    expect(() => act(run, "pause")).toThrow("run run-1 has been cancelled and cannot be paused");
  });

  test("a second cancellation, and one while the run is being undone, change nothing", async () => {
    const host: Host = new Host(async (_input, step) => {
      await step.run("a", () => 1, { undo: () => host.clock.after(5000) });
      await step.waitFor("never");
    });
    for (const at of [1000, 2000, 3000]) host.plan(startAt + at, (run) => act(run, "cancel", `key ${at}`));
    await host.drive();
    expect(host.snapshot).toMatchObject({ status: "cancelled", error: { undone: ["a"] } });
    expect(host.entries("run.cancel_requested")).toHaveLength(1);
    expect(host.entries("run.action_noted").map(({ action, key }) => [action, key])).toEqual([
      ["cancel", "key 2000"],
      ["cancel", "key 3000"],
    ]);
    // Each was answered, and is when it is repeated after the end.
    for (const at of [1000, 2000, 3000]) await act(host.run, "cancel", `key ${at}`);
    await expect(async () => act(host.run, "pause", "key 2000")).rejects.toThrow("was used to cancel");
    expect(host.entries("run.action_noted")).toHaveLength(2);
  });

  test("guarantee 3: one that comes while a failed run waits for a step in flight changes nothing, in any life", async () => {
    const seen: string[] = [];
    let host: Host;
    const flow: Handler = async (_input, step) => {
      void step.waitFor("never").catch(({ code }: { code: string }) => void seen.push(code));
      void step.run("slow", () => host.clock.after(2000), { undo: () => void seen.push("undone") });
      await step.sleep(500);
      throw new Error("no use");
    };
    host = new Host(flow);
    host.plan(startAt + 1000, (run) => act(run, "cancel"));
    await host.drive();
    const died = host.journal.commits.findIndex((text) => text.includes("undo.started"));
    for (const keep of [host.journal.commits.length, died, died - 1, died - 2]) {
      host = host.reopen({ keep });
      await host.drive();
      expect(host.snapshot).toMatchObject({ status: "failed", error: { message: "no use", undone: ["slow"] } });
      expect(host.entries("run.cancel_requested")).toEqual([]);
    }
    expect(seen).not.toContain("cancelled");
  });

  test("guarantees 5, 8: one that comes too late is on record, and with its key is the same one ever after", async () => {
    const host: Host = new Host(async (_input, step) => {
      void step.run("slow", () => host.clock.after(2000), { undo: () => host.clock.after(2000) });
      await step.sleep(500);
      throw new Error("no use");
    });
    const late = (run: Run): Promise<unknown> => {
      return Promise.all([act(run, "cancel"), act(run, "cancel"), act(run, "cancel", "k"), act(run, "cancel", "k")]);
    };
    // The handler has ended, and its step is waited for; then the run is being undone.
    for (const at of [1000, 3000]) host.plan(startAt + at, late);
    await host.drive();
    expect(host.snapshot).toMatchObject({ status: "failed", error: { undone: ["slow"] } });
    expect(host.entries("run.action_noted").map(({ at, by, action, key }) => [at - startAt, by, action, key])).toEqual([
      [1000, "test", "cancel", undefined],
      [1000, "test", "cancel", "k"],
    ]);
    await act(host.run, "cancel", "k");
    await expect(async () => act(host.run, "cancel", "other")).rejects.toMatchObject({ code: "run_ended" });
  });

  test("guarantee 8: one that comes when its run has just come to its end is told so", async () => {
    let cancelled: Promise<unknown> | undefined;
    const host: Host = new Host(async (_input, step) => {
      await step.sleep(1000);
      // The handler's end stands in line before it.
      queueMicrotask(() => {
        cancelled = Promise.resolve(act(host.run, "cancel", "k"));
        cancelled.catch(() => {});
      });
      return "done";
    });
    await host.drive();
    expect([host.status, host.journal.kinds.slice(-2)]).toEqual(["completed", ["timer.fired", "run.completed"]]);
    await expect(cancelled).rejects.toMatchObject({ code: "run_ended" });
  });

  test("a run whose code is gone ends at once", async () => {
    const host = await new Host(async (_input, step) => await step.waitFor("never")).drive();
    const orphan = host.reopen();
    orphan.definition = undefined;
    await act(orphan.run, "cancel");
    expect(orphan.snapshot).toMatchObject({ status: "cancelled", error: { code: "cancelled" } });
  });

  test("with something to undo it waits for its code, visibly", async () => {
    const seen: string[] = [];
    const flow: Handler = async (_input, step) => {
      await step.run("a", () => 1, { undo: () => void seen.push("undone") });
      await step.waitFor("never");
    };
    const host = await new Host(flow).drive();
    const orphan = host.reopen();
    orphan.definition = undefined;
    await act(orphan.run, "cancel");
    await orphan.drive(orphan.clock.at + 60_000);
    expect(orphan.snapshot.status).toBe("waiting");
    const back = orphan.reopen({ definition: flow });
    await back.drive();
    expect(back.snapshot).toMatchObject({ status: "cancelled", error: { undone: ["a"] } });
    expect(seen).toEqual(["undone"]);
  });

  test("of a run whose code is gone reaches the handler once it is back, in the same memory too", async () => {
    const seen: string[] = [];
    const before = await new Host(async (_input, step) => {
      await step.run("a", () => 1, { undo: () => {} });
      await step.sleep("1 d").catch((error: { code: string }) => seen.push(error.code));
      await step.run("tidy", () => seen.push("tidied"));
    }).drive(startAt);
    const { definition } = before;
    const host = before.reopen({ cold: false });
    host.definition = undefined;
    await act(host.run, "cancel");
    host.definition = definition;
    await host.drive();
    expect([host.clock.at, seen]).toEqual([startAt, ["cancelled", "tidied"]]);
    expect(host.snapshot).toMatchObject({ status: "cancelled", error: { undone: ["a"] } });
  });

  test("guarantees 2, 3: a run killed at every entry of its cancellation ends the same", async () => {
    const flow =
      (seen: string[]): Handler =>
      async (_input, step) => {
        await step.run("a", () => void seen.push("a"), { undo: () => void seen.push("not a") });
        try {
          await Promise.all([step.waitFor("never"), step.sleep("1 d"), step.webhook("hook").then((h) => h.received())]);
        } catch (error) {
          step.log.info((error as { code: string }).code);
          await step.run("b", () => void seen.push("b"), { undo: () => void seen.push("not b") });
          await step.run("c", () => void seen.push("c"));
        }
      };
    const reference = await cancelled(flow([]));
    const { commits } = reference.journal;
    const from = commits.findIndex((text) => text.includes("run.cancel_requested"));
    for (let keep = from + 1; keep < commits.length; keep++) {
      const seen: string[] = [];
      const host = await new Host(flow(seen), { commits: commits.slice(0, keep) }).drive();
      expect(host.snapshot.error).toEqual(reference.snapshot.error);
      const last = host.journal.kinds.filter((kind) => !/interrupted|recovered/.test(kind));
      expect(last).toEqual(reference.journal.kinds);
      expect(host.snapshot.error?.undone).toEqual(["b", "a"]);
    }
  });

  test("guarantee 4: a run cancelled as it made a webhook is undone to its end, whenever its process dies", async () => {
    const flow: Handler = async (_input, step) => {
      await step.run("book", () => 1, { undo: () => {} });
      await step.waitFor("go");
      await step.webhook("paid");
    };
    const reference = new Host(flow);
    reference.plan(startAt + 1000, (run) => {
      signal(run, "go", 1);
      return act(run, "cancel");
    });
    await reference.drive();
    const { commits, kinds } = reference.journal;
    const asked = kinds.indexOf("run.cancel_requested");
    // Its address was on its way.
    expect(kinds.slice(asked)).toEqual([
      ...["run.cancel_requested", "webhook.created", "undo.started", "undo.completed", "run.cancelled"],
    ]);
    const from = commits.findIndex((text) => text.includes("run.cancel_requested"));
    for (let keep = from + 1; keep < commits.length; keep++) {
      const again = await new Host(flow, { commits: commits.slice(0, keep) }).drive();
      expect([keep, again.status, again.snapshot.error?.undone]).toEqual([keep, "cancelled", ["book"]]);
    }
  });
});
