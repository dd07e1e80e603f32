import { describe, expect, test } from "vitest";
import { z } from "zod";
import { HoldfastError, NonRetryableError } from "../../src/core/error.ts";
import type { UpdateAnswer } from "../../src/core/service/service.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { decode, encode } from "../../src/core/value/value.ts";
import { receiveUpdate } from "../../src/engine/ask/update.ts";
import { Host, act, play, signal, startAt } from "./host.ts";
import type { Handler } from "./memory.ts";

type Options = { readonly key?: string; readonly isWanted?: () => boolean };

/** Asks for the update; the run is left to whoever drives it. */
async function begin({ run }: Host, name: string, argument: unknown, options: Options = {}): Promise<unknown> {
  const { key, isWanted = () => true } = options;
  const request = { name, argument: encode(argument, "argument"), by: "test", ...(key === undefined ? {} : { key }) };
  try {
    const { end } = await receiveUpdate(run, request, isWanted);
    return read(await end);
  } catch (error) {
    if (error instanceof HoldfastError) return error.code;
    throw error;
  }
}

function read(answer: UpdateAnswer): unknown {
  if (answer.kind === "completed") return decode(answer.result);
  return answer.kind === "failed" ? answer.error : answer.kind;
}

/** The same, with the run driven to rest. */
async function update(host: Host, name: string, argument: unknown, options?: Options): Promise<unknown> {
  const answer = begin(host, name, argument, options);
  await host.drive();
  return await answer;
}

/** Takes additions until it is closed. */
async function account(_input: never, step: Step) {
  let total = 0;
  step.query("total", () => total);
  step.update("add", z.number(), (amount) => {
    if (amount < 0) throw new RangeError("an amount is never negative");
    total += amount;
    return total;
  });
  step.update("charge", null, async (amount: number) => {
    const id = await step.run("charge", () => `paid ${amount}`);
    total += amount;
    return id;
  });
  await new Promise<void>((resolve) => step.update("close", null, () => resolve()));
  return total;
}

/** Something of the handler's own that is ready after a moment. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe("an update", () => {
  test("guarantee 1: is on record before it is answered, and changes the handler's variables", async () => {
    const host = await new Host(account).drive();
    expect(await update(host, "add", 5)).toBe(5);
    expect(await update(host, "add", 2)).toBe(7);
    expect(host.entries("update.accepted")).toMatchObject([
      { name: "add", update: "update-1", by: "test" },
      { name: "add", update: "update-2" },
    ]);
    expect(host.entries("update.completed").map(({ update: id, result }) => [id, decode(result)])).toEqual([
      ["update-1", 5],
      ["update-2", 7],
    ]);
    expect(await update(host, "close", undefined)).toBeUndefined();
    expect([host.status, host.output]).toEqual(["completed", 7]);
  });

  test("guarantee 2: what it did is there in every later life, and is done once", async () => {
    const host = await new Host(account).drive();
    await update(host, "add", 5);
    await update(host, "charge", 3);
    const later = host.reopen({ cold: false });
    expect(await update(later, "charge", 4)).toBe("paid 4");
    await update(later, "close", undefined);
    expect([later.status, later.output]).toEqual(["completed", 12]);
    expect(later.entries("step.completed").map(({ step }) => step)).toEqual(["charge", "charge#2"]);
  });

  test("is refused by its schema before anything is on record, and takes what the schema makes of it", async () => {
    const flow = async (_input: never, step: Step) => {
      step.update("at", z.coerce.date(), (at) => at);
      step.update(
        "slow",
        z.string().refine((text) => Promise.resolve(text === "good")),
        (text) => text,
      );
      step.update("broken", { "~standard": { version: 1, vendor: "test", validate: broken } }, () => 1);
      await step.waitFor("end");
    };
    const broken = (): never => {
      throw new TypeError("the schema is broken");
    };
    const host = await new Host(flow).drive();
    const commits = [...host.journal.commits];
    const invalid = receiveUpdate(host.run, { name: "at", argument: encode("no date", ""), by: "test" }, () => true);
    await expect(invalid).rejects.toMatchObject({ code: "update_invalid", issues: [{ path: "" }] });
    expect(await update(host, "slow", "bad")).toBe("update_invalid");
    expect(await update(host, "broken", 1)).toBe("update_invalid");
    expect(host.journal.commits).toEqual(commits);
    expect(await update(host, "slow", "good")).toBe("good");
    expect(await update(host, "at", "2026-01-01", { key: "k" })).toEqual(new Date("2026-01-01"));
    // The key is compared with what was sent, not with what became of it.
    expect(await update(host, "at", "2026-01-01", { key: "k" })).toEqual(new Date("2026-01-01"));
    expect(host.entries("update.accepted")).toHaveLength(2);
    expect(await update(host, "at", "2026-01-02", { key: "k" })).toBe("idempotency_conflict");
  });

  test("answers with what its function throws, and changes nothing else", async () => {
    const host = await new Host(async (_input: never, step: Step) => {
      step.update("plain", null, () => {
        throw "text";
      });
      step.update("final", null, () => Promise.reject(new NonRetryableError("never")));
      step.update("ours", null, () => {
        throw new HoldfastError("limit_exceeded", "too much");
      });
      step.update("step", null, () =>
        step.run(
          "fails",
          () => {
            throw new RangeError("no");
          },
          { retry: { limit: 0 } },
        ),
      );
      step.update("uncloneable", null, () => () => 1);
      await step.waitFor("end");
      return "unharmed";
    }).drive();
    expect(await update(host, "plain", 1)).toMatchObject({ name: "Error", message: "text" });
    expect(await update(host, "final", 1)).toMatchObject({ name: "NonRetryableError", message: "never" });
    expect(await update(host, "ours", 1)).toMatchObject({ name: "HoldfastError", code: "limit_exceeded" });
    expect(await update(host, "step", 1)).toMatchObject({ name: "RangeError", code: "step_failed", step: "fails" });
    expect(await update(host, "uncloneable", 1)).toMatchObject({ code: "value_uncloneable" });
    expect(host.entries("update.failed")).toHaveLength(5);
    signal(host.run, "end", {});
    await host.drive();
    expect(host.output).toBe("unharmed");
  });

  test("guarantee 5: the same key is the same update, after a restart and after the end too", async () => {
    const host = await new Host(account).drive();
    const twice = await Promise.all([
      begin(host, "add", 5, { key: "k" }),
      begin(host, "add", 5, { key: "k" }),
      host.drive(),
    ]);
    expect(twice.slice(0, 2)).toEqual([5, 5]);
    expect(await update(host, "add", 6, { key: "k" })).toBe("idempotency_conflict");
    expect(await update(host, "close", 5, { key: "k" })).toBe("idempotency_conflict");
    const later = host.reopen({ cold: false });
    expect(await update(later, "add", 5, { key: "k" })).toBe(5);
    await update(later, "close", undefined, { key: "c" });
    expect([later.output, await update(later, "add", 5, { key: "k" })]).toEqual([5, 5]);
    const ended = later.reopen();
    expect(await update(ended, "add", 5, { key: "k" })).toBe(5);
    expect(await update(ended, "close", undefined, { key: "c" })).toBeUndefined();
    expect(await update(ended, "add", 5)).toBe("run_ended");
    expect(ended.entries("update.accepted")).toHaveLength(2);
    expect(ended.journal.commits).toEqual(later.journal.commits);
  });

  test("guarantee 4: accepted and cut off by a death, it goes on, and its key waits for it", async () => {
    const host = await new Host(account).drive();
    host.journal.onAppend = (entries) => {
      if (entries.some(({ kind }) => kind === "update.accepted")) host.dead = true;
    };
    void begin(host, "charge", 3, { key: "k" });
    await host.drive();
    expect(host.journal.kinds.at(-1)).toBe("update.accepted");
    const later = host.reopen();
    expect(await update(later, "charge", 3, { key: "k" })).toBe("paid 3");
    expect(later.entries("update.accepted")).toHaveLength(1);
    expect(later.entries("update.completed")).toHaveLength(1);
  });

  test("one whose end was lost with the process ends when its function does once more", async () => {
    const host = await new Host(account).drive();
    await update(host, "add", 3, { key: "k" });
    const later = await host.reopen({ keep: host.journal.commits.length - 1 }).drive();
    expect(later.entries("update.completed")).toMatchObject([{ update: "update-1" }]);
    expect(await update(later, "add", 3, { key: "k" })).toBe(3);
  });

  test("may wait for days, and for another update", async () => {
    const host = await new Host(async (_input: never, step: Step) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      step.update("patient", null, async () => {
        await step.sleep("3 days");
        return await promise;
      });
      step.update("release", null, (how: string) => resolve(how));
      await step.waitFor("end");
    }).drive();
    const answer = begin(host, "patient", 1, { key: "k" });
    await host.drive(startAt + 1000);
    expect(host.snapshot.waitingFor).toMatchObject([{ kind: "signal" }, { kind: "timer" }]);
    const later = host.reopen({ cold: false });
    const again = begin(later, "patient", 1, { key: "k" });
    await later.drive();
    expect(later.clock.at).toBe(startAt + 3 * 86_400_000);
    await update(later, "release", "done");
    expect(await again).toBe("done");
    void answer;
  });

  test("is refused where there is none of its name, while paused, and after the end", async () => {
    const host = await new Host(account).drive();
    expect(await update(host, "missing", 1)).toBe("update_not_found");
    const known = receiveUpdate(host.run, { name: "x", argument: encode(1, ""), by: "test" }, () => true);
    await expect(known).rejects.toThrow("it has add, charge, close");
    await act(host.run, "pause");
    expect(await update(host, "add", 1)).toBe("run_paused");
    await act(host.run, "resume");
    expect(await update(host, "add", 1)).toBe(1);
    expect(await update(host, "add", 1, { isWanted: () => false })).toBe("run_ended");
    await act(host.run, "terminate");
    expect(await update(host, "add", 1)).toBe("run_ended");
    expect(host.entries("update.accepted")).toHaveLength(1);
  });

  test.each(["returns", "is terminated", "is cancelled"])(
    "guarantee 8: under way when the run %s, it is answered so and has an end on record",
    async (how) => {
      const host = await new Host(async (_input: never, step: Step) => {
        step.update("never", null, () => new Promise(() => {}));
        await step.waitFor("end");
      }).drive();
      const answer = begin(host, "never", 1, { key: "k" });
      await host.drive();
      if (how === "returns") signal(host.run, "end", {});
      else await act(host.run, how === "is terminated" ? "terminate" : "cancel");
      await host.drive();
      expect(host.run.state.end).not.toBeNull();
      expect(await answer).toBe("run_ended");
      expect(await update(host.reopen(), "never", 1, { key: "k" })).toBe("run_ended");
      const ends = host.entries("update.failed").map(({ error }) => error.code);
      expect(ends).toEqual(how === "is terminated" ? [] : ["run_ended"]);
    },
  );

  test("that ends the run is answered before it", async () => {
    const host = await new Host(async (_input: never, step: Step) => {
      await new Promise<void>((resolve) => step.update("finish", null, () => resolve()));
    }).drive();
    expect(await update(host, "finish", 1)).toBeUndefined();
    expect(host.journal.kinds.slice(-3)).toEqual(["update.accepted", "update.completed", "run.completed"]);
  });

  test("whose function ends the run is answered so, whoever dies, and whatever is undone first", async () => {
    for (const undo of [undefined, () => new Promise(() => {})]) {
      const flow: Handler = async (_input, step) => {
        step.update("bail", null, () => step.bail("enough"));
        await step.run("work", () => 1, undo === undefined ? {} : { undo });
        await step.waitFor("never");
      };
      const host = await new Host(flow).drive();
      const answer = begin(host, "bail", 1, { key: "k" });
      await host.drive(startAt + 1000);
      expect(await answer).toBe("run_ended");
      // The process dies once the update is accepted, and nothing else of it is on record.
      const accepted = host.journal.commits.findIndex((commit) => commit.includes('"update.accepted"'));
      const again = host.reopen({ keep: accepted + 1 });
      await again.drive(startAt + 1000);
      expect(again.entries("update.failed").map(({ error }) => error.code)).toEqual(["run_ended"]);
      expect(await begin(again, "bail", 1, { key: "k" })).toBe("run_ended");
    }
  });

  test("whose function bails out ends the run", async () => {
    const host = await new Host(async (_input: never, step: Step) => {
      step.update("bail", null, () => step.bail("enough"));
      await step.waitFor("end");
    }).drive();
    expect(await update(host, "bail", 1)).toBe("run_ended");
    expect([host.status, host.snapshot.error?.message]).toEqual(["cancelled", "enough"]);
  });

  test("a hundred at once come one after the other", async () => {
    const host = await new Host(account).drive();
    const answers = Array.from({ length: 100 }, (_, i) => begin(host, "add", 1, { key: `k${i}` }));
    await host.drive();
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(await host.run.replica().answer("total")).toMatchObject({ result: encode(100, "") });
  });
});

describe("a run that goes on as new", () => {
  type Ledger = { readonly total: number };

  /** Begins anew after every third addition. */
  const entity = async (input: Ledger | undefined, step: Step) => {
    let { total } = input ?? { total: 0 };
    let additions = 0;
    step.query("total", () => total);
    const full = new Promise<void>((resolve) => {
      step.update("add", z.coerce.number(), (amount) => {
        total += amount;
        if (++additions === 3) resolve();
        return total;
      });
    });
    step.update("close", null, () => step.bail("closed"));
    await full;
    return await step.continueAsNew({ total });
  };

  test("guarantee 5: takes every update once, and knows their keys in its next lives", async () => {
    const host = await new Host(entity).drive();
    const keys = Array.from({ length: 20 }, (_, i) => `key-${i}`);
    const answers = keys.map((key) => begin(host, "add", "1", { key }));
    await host.drive();
    expect(await Promise.all(answers)).toEqual(keys.map((_, i) => i + 1));
    expect(host.run.state.created?.continuation?.count).toBe(6);
    const later = host.reopen({ cold: false });
    const again = keys.map((key) => begin(later, "add", "1", { key }));
    await later.drive();
    expect(await Promise.all(again)).toEqual(keys.map((_, i) => i + 1));
    expect(await update(later, "add", "2", { key: "key-1" })).toBe("idempotency_conflict");
    expect(await update(later, "add", "5")).toBe(25);
    // Each key stands for an update of its own, whichever life it is from.
    expect(new Set(later.run.state.updateKeys.values()).size).toBe(20);
  });
});

describe("an update that is under way as the run goes on as new", () => {
  /** Books, and goes on as new: by the update itself, or beside it. */
  const renewing =
    (booked: number[], beside: boolean): Handler =>
    async (_input, step) => {
      const { continued } = step.info;
      const done = new Promise<void>((resolve) => {
        step.update("book", null, async (amount: number) => {
          await step.run("book", () => booked.push(amount));
          if (!beside && continued === 0) await step.continueAsNew();
          resolve();
          await step.waitFor("never");
        });
      });
      await done;
      return continued === 0 ? await step.continueAsNew() : await step.waitFor("end");
    };

  test.each([false, true])("guarantee 5: is not done once more by who asks again (beside it: %s)", async (beside) => {
    const booked: number[] = [];
    const host = await new Host(renewing(booked, beside)).drive();
    const first = begin(host, "book", 7, { key: "k" });
    await host.drive();
    expect(await first).toBe("run_ended");
    expect(host.run.state.created?.continuation?.count).toBe(1);
    const again = begin(host, "book", 7, { key: "k" });
    await host.drive();
    expect([await again, booked]).toEqual(["run_ended", [7]]);
    expect(await update(host, "book", 8, { key: "k" })).toBe("idempotency_conflict");
  });
});

describe("a listener", () => {
  const collector =
    (register = (step: Step, hear: (value: string) => void): void => step.onSignal("word", hear)): Handler =>
    async (_input, step) => {
      const heard: string[] = [];
      register(step, (value) => void heard.push(value));
      await step.waitFor("end");
      return heard;
    };

  test("guarantee 5: takes every signal of its name once and in order, those from before it too", async () => {
    const host = new Host(collector());
    signal(host.run, "word", "early", "a");
    signal(host.run, "word", "bird", "b");
    await host.drive();
    signal(host.run, "word", "late", "c");
    signal(host.run, "word", "late", "c");
    await host.drive();
    signal(host.run, "end", {});
    await host.drive();
    expect(host.output).toEqual(["early", "bird", "late"]);
    expect(host.entries("listener.added")).toHaveLength(1);
    expect(host.entries("signal.consumed").map(({ name, listener }) => [name, listener])).toEqual([
      ["word", true],
      ["word", true],
      ["word", true],
      ["end", undefined],
    ]);
  });

  test("guarantee 4: hears after an eviction, a pause and a death what came meanwhile", async () => {
    const host = await new Host(collector()).drive();
    const evicted = host.reopen({ cold: false });
    signal(evicted.run, "word", "one");
    await evicted.drive();
    await act(evicted.run, "pause");
    signal(evicted.run, "word", "two");
    signal(evicted.run, "word", "three");
    await evicted.drive();
    expect(evicted.entries("signal.consumed")).toHaveLength(1);
    await act(evicted.run, "resume");
    await evicted.drive();
    const died = await evicted.reopen({ keep: evicted.journal.commits.length - 1 }).drive();
    signal(died.run, "end", {});
    await died.drive();
    expect(died.output).toEqual(["one", "two", "three"]);
    expect(died.entries("listener.added")).toHaveLength(1);
  });

  test("is shown as waiting, reaches broadcasts while evicted, and takes any number of them", async () => {
    const host = await new Host(collector()).drive();
    expect(host.snapshot.waitingFor).toMatchObject([
      { kind: "signal", name: "end" },
      { kind: "signal", name: "word" },
    ]);
    const evicted = host.reopen({ cold: false });
    expect([evicted.run.openWaits("word"), evicted.run.openWaits("other")]).toEqual([Infinity, 0]);
    await act(evicted.run, "terminate");
    expect(evicted.run.openWaits("word")).toBe(0);
  });

  test("comes before any wait for the same name, whichever was there first", async () => {
    const host = await new Host(async (_input: never, step: Step) => {
      const heard: string[] = [];
      const first = step.waitFor("word", { timeout: "1 h" });
      await step.sleep("1 s");
      step.onSignal<string>("word", (word) => void heard.push(word));
      const second = step.waitFor("word", { timeout: "1 h" });
      return [await first, await second, heard];
    })
      .signalAt(startAt + 60_000, "word", "a")
      .signalAt(startAt + 61_000, "word", "b")
      .drive();
    expect(host.output).toEqual([null, null, ["a", "b"]]);
    const waits = host.entries("wait.started").map(({ call }) => call);
    expect(waits).toEqual(["word", "word#2"]);
  });

  test("comes before a wait that a pause held back with it", async () => {
    const host = await new Host(async (_input: never, step: Step) => {
      const heard: string[] = [];
      step.onSignal<string>("word", (word) => void heard.push(word));
      await step.waitFor("word", { timeout: "1 h" });
      return heard;
    }).drive(startAt);
    await act(host.run, "pause");
    signal(host.run, "word", "a");
    await act(host.run, "resume");
    await host.drive();
    expect(host.output).toEqual(["a"]);
  });

  test("guarantee 3: is told what time it is, in every life", async () => {
    const flow = async (_input: never, step: Step) => {
      const times: number[] = [];
      step.onSignal("tick", () => void times.push(step.now()));
      step.update("now", null, () => step.now());
      await step.waitFor("end");
      return times;
    };
    const host = await new Host(flow).signalAt(startAt + 5000, "tick", 1).drive();
    expect(await update(host, "now", 1)).toBe(startAt + 5000);
    const later = host.reopen({ cold: false, at: startAt + 9000 });
    signal(later.run, "end", {});
    await later.drive();
    expect(later.output).toEqual([startAt + 5000]);
  });

  test("guarantee 3: the next signal does not wait for an async listener; replay tells it the same way", async () => {
    const trace: string[] = [];
    const flow = async (_input: never, step: Step) => {
      const told: string[] = [];
      step.onSignal<string>("word", async (word) => {
        told.push(`${word} in`);
        await step.run("think", () => word);
        told.push(`${word} out`);
      });
      await step.waitFor("end");
      trace.push(told.join(", "));
      return told;
    };
    const host = new Host(flow);
    for (const word of ["a", "b"]) signal(host.run, "word", word);
    await host.drive();
    signal(host.run, "end", {});
    await host.drive();
    await host.reopen({ keep: host.journal.commits.length - 1 }).drive();
    expect(host.entries("step.completed").map(({ step }) => step)).toEqual(["think", "think#2"]);
    expect(trace).toEqual(["a in, b in, a out, b out", "a in, b in, a out, b out"]);
  });

  test.each(["throws", "rejects"])("that %s fails the run", async (how) => {
    const host = await new Host(async (_input: never, step: Step) => {
      step.onSignal("word", () => {
        if (how === "rejects") return Promise.reject(new RangeError("no such word"));
        throw new RangeError("no such word");
      });
      await step.waitFor("end");
    }).drive();
    signal(host.run, "word", "x");
    await host.drive();
    expect(host.snapshot).toMatchObject({
      status: "failed",
      error: { name: "RangeError", message: "no such word", code: "handler_failed" },
    });
    const again = await host.reopen({ keep: host.journal.commits.length - 1 }).drive();
    expect(again.snapshot.error).toEqual(expect.objectContaining({ message: "no such word" }));
  });

  test("guarantee 8: a line that it logs for each signal is on record for each, though the process dies of one", async () => {
    const flow = async (_input: never, step: Step) => {
      step.onSignal("news", () => step.log.info("heard"));
      await step.waitFor("end");
    };
    const host = new Host(flow);
    for (const at of [startAt, startAt + 1000]) host.signalAt(at, "news", at);
    await host.drive();
    const isHeard = (text: string): boolean => text.includes("signal.consumed");
    const again = host.reopen({ keep: host.journal.commits.findLastIndex(isHeard) + 1 });
    await again.drive();
    expect(again.entries("log.written").map(({ message }) => message)).toEqual(["heard", "heard"]);
  });

  test.each(["fail", "bail"] as const)("that a handler registers after it has left by %s is not heard", async (end) => {
    const host = await play(async (_input, step) => {
      await step.run("work", () => {}, { undo: () => {} });
      try {
        step[end]("enough");
      } catch {
        step.onSignal("news", () => {});
      }
    });
    expect(host.journal.kinds).not.toContain("listener.added");
  });

  test("still at work when the handler ends is let go", async () => {
    const host = await new Host(async (_input: never, step: Step) => {
      step.onSignal("word", async () => {
        await step.sleep("1 day");
        throw new Error("too late");
      });
      await step.waitFor("end");
      return "ended";
    }).drive();
    signal(host.run, "word", "x");
    await host.drive(startAt);
    signal(host.run, "end", {});
    await host.drive();
    expect([host.status, host.output, host.clock.at]).toEqual(["completed", "ended", startAt]);
  });

  test("does not end a cancelled run before its handler has cleaned up", async () => {
    const host = await new Host(async (_input: never, step: Step) => {
      step.onSignal("word", () => step.sleep("1 day"));
      try {
        await step.waitFor("end");
      } finally {
        await step.run("clean", () => 1);
        await step.run("leave", () => 1);
      }
    }).drive();
    signal(host.run, "word", "x");
    await host.drive(startAt);
    await act(host.run, "cancel");
    await host.drive();
    expect([host.status, host.entries("step.completed").map(({ step }) => step)]).toEqual([
      "cancelled",
      ["clean", "leave"],
    ]);
  });
});

describe("a handler that awaits promises of its own", () => {
  const parked = async (_input: never, step: Step) => {
    const done = new Promise<string>((resolve) => step.onSignal<string>("done", resolve));
    const first = await step.run("first", () => 1);
    const how = await done;
    return [first, how, await step.run("last", () => 2)];
  };

  test("guarantee 4: is parked where somebody may move it, and comes back by replay", async () => {
    const host = await new Host(parked).drive();
    expect(host.run.advance()).toEqual({ busy: false, wakeAt: null, expired: false });
    expect(host.status).toBe("waiting");
    const evicted = host.reopen({ cold: false });
    signal(evicted.run, "done", "well");
    await evicted.drive();
    expect(evicted.output).toEqual([1, "well", 2]);
    expect(evicted.entries("run.interrupted")).toEqual([]);
  });

  test("takes no update any more while it cleans up after a cancellation", async () => {
    const host: Host = new Host(async (_input, step) => {
      step.update("add", null, () => 1);
      await step.sleep("1 h").catch(() => step.run("clean up", () => host.clock.after(1000)));
    });
    const answers: Promise<unknown>[] = [];
    host.plan(startAt + 100, (run) => act(run, "cancel"));
    host.plan(startAt + 200, () => answers.push(begin(host, "add", null)));
    await host.drive();
    expect([host.status, await Promise.all(answers)]).toEqual(["cancelled", ["run_ended"]]);
    expect(host.entries("update.accepted")).toEqual([]);
  });

  test("is cancelled at once", async () => {
    const host = await new Host(parked).drive();
    await act(host.run, "cancel");
    await host.drive();
    expect(host.status).toBe("cancelled");
  });

  test("is at work where nobody can move it", async () => {
    const host = new Host(async (_input: never, step: Step) => {
      step.query("nothing", () => 1);
      await new Promise(() => {});
    });
    await host.drive();
    expect(host.run.advance().busy).toBe(true);
  });

  test("guarantee 3: what is ready in a moment is waited for in replay before the next outcome", async () => {
    const flow = async (_input: never, step: Step) => {
      const told: string[] = [];
      step.onSignal("word", () => void told.push("word"));
      await turns(200);
      told.push(await step.run("step", () => "step"));
      await step.waitFor("end");
      return told;
    };
    const host = await new Host(flow).drive();
    // To the run it is parked meanwhile; it goes on when the handler does.
    expect(host.run.advance().busy).toBe(false);
    await turns(300);
    await host.drive();
    signal(host.run, "word", "x");
    await host.drive();
    const later = host.reopen({ cold: false });
    signal(later.run, "end", {});
    await later.drive();
    expect(later.output).toEqual(["step", "word"]);
    expect(later.entries("step.completed")).toHaveLength(1);
  });

  test("guarantee 7: replay under code that lacks a step goes on without it", async () => {
    const host = await new Host(parked).drive();
    const without = async (_input: never, step: Step) => {
      return await new Promise((resolve) => step.onSignal("done", resolve));
    };
    const later = host.reopen({ cold: false, definition: without });
    signal(later.run, "done", "well");
    await later.drive();
    expect(later.output).toBe("well");
    expect(later.entries("step.removed")).toMatchObject([{ step: "first" }]);
  });
});

test("guarantee 7: code that registers later hears what came before it did", async () => {
  const flow = (late: boolean) => async (_input: never, step: Step) => {
    const told: string[] = [];
    const register = (): void => {
      step.onSignal<string>("word", (word) => void told.push(word));
      step.update("tell", null, (word: string) => told.push(word));
    };
    if (!late) register();
    await step.run("step", () => 1);
    if (late) register();
    await step.waitFor("end");
    return told;
  };
  const host = new Host(flow(false));
  signal(host.run, "word", "a");
  const told = begin(host, "tell", "b");
  await host.drive();
  expect([await told, host.entries("step.completed").length]).toEqual([expect.any(Number), 1]);
  const later = host.reopen({ cold: false, definition: flow(true) });
  signal(later.run, "end", {});
  await later.drive();
  expect((later.output as string[]).toSorted()).toEqual(["a", "b"]);
});
