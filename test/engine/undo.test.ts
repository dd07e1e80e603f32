import { describe, expect, test } from "vitest";
import type { AttemptContext } from "../../src/core/definition/options.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { encode } from "../../src/core/value/value.ts";
import { Host, act, play, startAt } from "./host.ts";
import { define } from "./memory.ts";
import type { Handler } from "./memory.ts";

type Ledger = { readonly done: string[]; readonly keys: Map<string, Set<string>> };

function ledger(): Ledger {
  return { done: [], keys: new Map() };
}

/** A saga of three steps that can be undone; what happened is in the ledger, and every key with it. */
function saga({ done, keys }: Ledger, end: (step: Step) => unknown): Handler {
  const note = (what: string, key: string): string => {
    keys.set(what, (keys.get(what) ?? new Set()).add(key));
    done.push(what);
    return `${what}'s result`;
  };
  return async (_input, step) => {
    for (const name of ["flight", "hotel", "car"]) {
      await step.run(name, ({ idempotencyKey }) => note(name, idempotencyKey), {
        undo: (result, { idempotencyKey }) => note(`not ${result}`, idempotencyKey),
      });
    }
    return await end(step);
  };
}

const all = ["flight", "hotel", "car"];
const undone = ["not car's result", "not hotel's result", "not flight's result"];

describe("undo", () => {
  test.each([
    ["fails", (step: Step) => step.fail(new Error("no")), "failed", "handler_failed"],
    ["throws", () => Promise.reject(new Error("no")), "failed", "handler_failed"],
    ["bails", (step: Step) => step.bail("no"), "cancelled", "bailed"],
  ] as const)("when the run %s, the last completed is undone first", async (_how, end, status, code) => {
    const seen = ledger();
    const host = await play(saga(seen, end));
    expect(seen.done).toEqual([...all, ...undone]);
    expect(host.snapshot).toMatchObject({ status, error: { code, message: "no", undone: all.toReversed() } });
    expect(host.snapshot.error).not.toHaveProperty("notUndone");
    expect(host.journal.kinds.slice(-5)).toEqual([
      "undo.started",
      "undo.completed",
      "undo.completed",
      "undo.completed",
      `run.${status}`,
    ]);
  });

  test("is tried as its step is, unless it has a policy of its own", async () => {
    const tries = async (options: object, plainly = false): Promise<unknown[]> => {
      const broken = { undo: () => Promise.reject(new Error("no undo")), ...options };
      const host = await play(async (_input, step) => {
        if (plainly) await step.run("made", () => 1, { retry: { limit: 0 }, timeout: "5s", ...broken });
        else await step.map("made", [1], () => 1, { retry: { limit: 0 }, timeout: "5s", ...broken });
        step.fail(new Error("the end"));
      });
      const delays = host.entries("undo.attempt_failed").map(({ at, retryAt }) => retryAt - at);
      return [...delays, host.snapshot.error?.message];
    };
    const retry = { limit: 2, delay: "1m", backoff: "constant", jitter: 0 } as const;
    for (const plainly of [true, false]) {
      expect(await tries({}, plainly)).toEqual(["the end"]);
      expect(await tries({ undoPolicy: { retry } }, plainly)).toEqual([60_000, 60_000, "the end"]);
      const hangs = { undo: () => new Promise(() => {}), undoPolicy: { retry, timeout: "1s" } };
      expect(await tries(hangs, plainly)).toEqual([60_000, 60_000, "the end"]);
    }
    expect(await tries({ undoPolicy: { limit: 1 } }, true)).toEqual([
      expect.stringMatching(/^the undoPolicy of step made has no option "limit"/),
    ]);
  });

  test("a run that completes undoes nothing", async () => {
    const seen = ledger();
    const host = await play(saga(seen, () => "fine"));
    expect(seen.done).toEqual(all);
    expect(host.output).toBe("fine");
  });

  test("when the run is cancelled and when it times out; not when it is terminated", async () => {
    const park = async (step: Step) => await step.waitFor("never");
    const cancelled = ledger();
    const one = new Host(saga(cancelled, park));
    one.plan(startAt + 1000, (run) => act(run, "cancel"));
    await one.drive();
    expect(one.snapshot).toMatchObject({ status: "cancelled", error: { code: "cancelled", undone: all.toReversed() } });
    expect(cancelled.done).toEqual([...all, ...undone]);

    const late = ledger();
    const two = new Host({ ...new Host(saga(late, park)).definition, timeoutMs: 5000 } as never);
    await two.drive();
    expect(two.snapshot).toMatchObject({ status: "failed", error: { code: "run_timeout", undone: all.toReversed() } });
    expect(late.done).toEqual([...all, ...undone]);

    const killed = ledger();
    const three = new Host(saga(killed, park));
    three.plan(startAt + 1000, (run) => act(run, "terminate"));
    await three.drive();
    expect(three.snapshot).toMatchObject({ status: "cancelled", error: { code: "terminated" } });
    expect(killed.done).toEqual(all);
  });

  test("order is that of completion, whatever the order of the calls", async () => {
    const seen: string[] = [];
    const host: Host = new Host(async (_input, step) => {
      const slow = (name: string, ms: number) =>
        step.run(name, () => host.clock.after(ms), { undo: () => void seen.push(name) });
      await Promise.all([slow("late", 300), slow("early", 100), slow("middle", 200)]);
      throw new Error("no");
    });
    await host.drive();
    expect(seen).toEqual(["late", "middle", "early"]);
  });

  test("the failed step is not undone, and one without undo neither", async () => {
    const seen: string[] = [];
    const host = await play(async (_input, step) => {
      await step.run("plain", () => 1);
      await step.run("a", () => 1, { undo: () => void seen.push("a") });
      const failing = () => {
        throw new Error("never");
      };
      await step.run("b", failing, { retry: { limit: 0 }, undo: () => void seen.push("b") });
    });
    expect(seen).toEqual(["a"]);
    expect(host.snapshot.error).toMatchObject({ code: "step_failed", step: "b", undone: ["a"] });
  });

  test("an undo is retried as its step; one that fails for good is on record, and the rest still run", async () => {
    let tries = 0;
    const seen: string[] = [];
    const host = await play(async (_input, step) => {
      const retry = { limit: 2, delay: 1000, jitter: 0 };
      await step.run("a", () => 1, { undo: () => void seen.push("a") });
      await step.run("b", () => 1, {
        retry,
        undo: () => {
          tries++;
          throw new Error("cannot be undone");
        },
      });
      const flaky = (_result: unknown, { attempt }: { attempt: number }) => {
        if (attempt === 1) throw new Error("once");
        seen.push(`c at ${attempt}`);
      };
      await step.run("c", () => 1, { retry, undo: flaky });
      throw new Error("no");
    });
    expect(tries).toBe(3);
    expect(seen).toEqual(["c at 2", "a"]);
    expect(host.snapshot.error).toMatchObject({
      message: "no",
      undone: ["c", "a"],
      notUndone: [{ step: "b", message: "cannot be undone" }],
    });
    expect(host.entries("undo.failed")).toMatchObject([{ step: "b", attempt: 3, error: { code: "step_failed" } }]);
  });

  test("a step in flight that can be undone is waited for, told to stop, and undone if it did complete", async () => {
    const seen: string[] = [];
    const host: Host = new Host(async (_input, step) => {
      const charge = step.run(
        "charge",
        async ({ signal }) => {
          signal.addEventListener("abort", () => seen.push("told to stop"));
          await host.clock.after(500);
          seen.push("charged");
        },
        { undo: () => void seen.push("refunded") },
      );
      const stock = step.run("stock", () => Promise.reject(new Error("none left")), { retry: { limit: 0 } });
      await Promise.all([charge, stock]);
    });
    await host.drive();
    expect(seen).toEqual(["told to stop", "charged", "refunded"]);
    expect(host.snapshot).toMatchObject({ status: "failed", error: { step: "stock", undone: ["charge"] } });
  });

  test("guarantee 8: the same where the run times out, also if the process died and that is noticed late", async () => {
    const seen: string[] = [];
    const flow = define(
      async (_input, step) => {
        const charge = () => host.clock.after(1500).then(() => void seen.push("charged"));
        await step.run("charge", charge, { undo: () => void seen.push("refunded") });
      },
      { timeoutMs: 1000 },
    );
    let host = new Host(flow);
    const expectUndone = async () => {
      await host.drive();
      expect(host.snapshot).toMatchObject({ status: "failed", error: { code: "run_timeout", undone: ["charge"] } });
      expect(seen.splice(0)).toEqual(["charged", "refunded"]);
    };
    await expectUndone();
    // A death is known as such only if an alarm finds the run, and not a call.
    for (const cold of [true, false]) {
      host = new Host(flow);
      await host.drive(startAt + 500);
      host = host.reopen({ at: startAt + 5000, cold });
      await expectUndone();
    }
  });

  test.each(["fails", "is cancelled"])(
    "guarantee 8: the same after so many deaths that the steps in flight begin one at a time, where the run %s",
    async (how) => {
      const seen: string[] = [];
      let host: Host = new Host(async (_input, step) => {
        const work = async (name: string): Promise<unknown> => {
          const done = () => host.clock.after(20_000).then(() => void seen.push(name));
          return await step.run(name, done, { undo: () => void seen.push(`un${name}`) });
        };
        await Promise.all([
          work("booked"),
          work("packed"),
          step.sleep("1s").then(() => how === "fails" && step.fail("no")),
        ]);
      });
      await host.drive(startAt + 2000);
      for (let deaths = 0; deaths < 3; deaths++) {
        host = host.reopen();
        await host.drive(host.clock.at + 2000);
      }
      if (how === "is cancelled") host.plan(host.clock.at, (run) => act(run, "cancel"));
      await host.drive();
      const status = how === "fails" ? "failed" : "cancelled";
      expect(host.snapshot).toMatchObject({ status, error: { undone: ["packed", "booked"] } });
      expect(seen).toEqual(["booked", "packed", "unpacked", "unbooked"]);
    },
  );

  test.each([
    ["is cancelled", "in flight", 1],
    ["fails", "in flight", 1],
    ["is cancelled", "one of several suspects", 3],
    ["is cancelled", "about to go on as new", 1],
  ])("guarantee 8: the same where a death cut it off and the run is paused, and %s: %s", async (how, what, deaths) => {
    const seen: string[] = [];
    let host: Host = new Host(async (_input, step) => {
      const work = async (name: string): Promise<unknown> => {
        const done = () => host.clock.after(20_000).then(() => void seen.push(name));
        return await step.run(name, done, { undo: () => void seen.push(`un${name}`) });
      };
      const both = Promise.all([work("booked"), work("packed")]);
      both.catch(() => {});
      // What is in flight may end while the run is paused.
      const stock = () => host.clock.after(1000).then(() => how === "fails" && Promise.reject(new Error("none left")));
      await step.run("stock", stock, { retry: { limit: 0 } });
      if (what === "about to go on as new") await step.continueAsNew({});
      await both;
    });
    const isPausedBefore = deaths === 1;
    if (isPausedBefore) await host.plan(startAt + 500, (run) => act(run, "pause")).drive(startAt + 2000);
    for (let death = 1; death <= deaths; death++) {
      if (!isPausedBefore) await host.drive(host.clock.at + 2000);
      host = host.reopen();
    }
    if (!isPausedBefore) void act(host.run, "pause");
    host.plan(host.clock.at, (run) => (how === "fails" ? run.awake() : act(run, "cancel")));
    await host.drive();
    if (how === "fails") void act(host.run, "resume");
    await host.drive();
    const status = how === "fails" ? "failed" : "cancelled";
    expect(host.snapshot).toMatchObject({ status, error: { undone: ["packed", "booked"] } });
    expect(seen).toEqual(["booked", "packed", "unpacked", "unbooked"]);
  });

  test.each([
    ["in a pause", "pause", "cancel"],
    ["once it was cancelled", "cancel", null],
  ] as const)(
    "guarantee 8: nor does it pause the run that is to end, where it may not run twice: %s",
    async (_when, first, then) => {
      let host = new Host(async (_input, step) => {
        const options = { atMostOnce: true, onExhausted: "pause", undo: () => {} } as const;
        await step.run("charge", () => new Promise(() => {}), options);
      });
      await host.plan(startAt + 500, (run) => act(run, first)).drive(startAt + 1000);
      host = await host
        .reopen()
        .plan(startAt + 2000, (run) => then !== null && act(run, then))
        .drive();
      expect(host.entries("step.failed")).toMatchObject([{ step: "charge", error: { code: "step_interrupted" } }]);
      expect(host.status).toBe("cancelled");
    },
  );

  test.each([
    ["hangs", () => new Promise(() => {}), 30_000],
    ["fails", (host: Host) => host.clock.after(5000).then(() => Promise.reject(new Error("no"))), 5000],
  ])("one that %s in a run that was cancelled is not tried again, also after a death", async (_how, work, afterMs) => {
    const begun: AttemptContext[] = [];
    let host: Host = new Host(async (_input, step) => {
      await step.run("charge", (context) => (begun.push(context), work(host)), { undo: () => {} });
    });
    host.plan(startAt + 1000, (run) => act(run, "cancel"));
    await host.drive(startAt + 2000);
    host = host.reopen({ at: startAt + 3000 });
    await host.drive();
    expect(begun.map(({ attempt, signal }) => [attempt, signal.aborted])).toEqual([
      [1, true],
      [1, true],
    ]);
    expect([host.status, host.clock.at]).toEqual(["cancelled", startAt + 3000 + afterMs]);
  });

  test("guarantee 2: one that ends at the instant at which its run does is not begun again for its end", async () => {
    let begun = 0;
    const host: Host = new Host(async (_input, step) => {
      const failed = step.run("stock", () => host.clock.after(1000)).then(() => step.fail("no"));
      const once = { atMostOnce: true, undo: () => {} } as const;
      await Promise.race([step.run("once", () => host.clock.after(1000).then(() => ++begun), once), failed]);
      await step.sleep("1 h");
    });
    await host.drive();
    expect([begun, host.entries("step.completed").length, host.entries("step.failed")]).toEqual([1, 2, []]);
    expect(host.snapshot).toMatchObject({ status: "failed", error: { undone: ["once"] } });
  });

  test("guarantee 2: one that is done on record, as the handler ends upon what was done beside it, is done no more", async () => {
    const seen: string[] = [];
    const host = await play(async (_input, step) => {
      const once = { atMostOnce: true, undo: () => void seen.push("refunded") } as const;
      await Promise.all([
        step.run("first", () => {}, { atMostOnce: true }).then(() => step.fail("no")),
        step.run("charge", () => void seen.push("charged"), once),
      ]);
    });
    expect(seen).toEqual(["charged", "refunded"]);
    expect(host.entries("step.failed")).toEqual([]);
  });

  test("one whose attempt had failed by then is not tried again while others are waited for", async () => {
    const attempts: number[] = [];
    const host: Host = new Host(async (_input, step) => {
      const flaky = ({ attempt }: { attempt: number }): void => {
        attempts.push(attempt);
        throw new Error("busy");
      };
      await Promise.all([
        step.run("slow", () => host.clock.after(5000), { undo: () => {} }),
        step.run("flaky", flaky, { undo: () => {}, retry: { delay: "1s" } }),
        step.run("stock", () => Promise.reject(new Error("none left")), { retry: { limit: 0 } }),
      ]);
    });
    await host.drive();
    expect(attempts).toEqual([1]);
    expect(host.snapshot).toMatchObject({ status: "failed", error: { step: "stock", undone: ["slow"] } });
  });

  test.each([
    ["in time", undefined, 31_000],
    ["before its own timeout", { timeout: "5s", retry: { limit: 0 } } as const, 5000],
  ])("one that does not stop %s is given up", async (_when, options, afterMs) => {
    const host = await play(async (_input, step) => {
      void step.run("hangs", () => new Promise(() => {}), { undo: () => {}, ...options });
      await step.sleep("1s");
      throw new Error("no");
    });
    expect(host.snapshot).toMatchObject({ status: "failed", error: { message: "no" } });
    expect(host.clock.at - startAt).toBe(afterMs);
    expect(host.entries("step.failed")).toMatchObject([{ step: "hangs", error: { code: "step_timeout" } }]);
  });

  test("guarantee 2: a run killed at every entry undoes every step, with the same keys, none that is on record twice", async () => {
    const end = (step: Step) =>
      step.run("pay", () => Promise.reject(new Error("no")), { retry: { limit: 1, jitter: 0 } });
    const reference = await play(saga(ledger(), end));
    const { commits } = reference.journal;
    for (let keep = 1; keep < commits.length; keep++) {
      const seen = ledger();
      const first = new Host(saga(seen, end), { commits: commits.slice(0, keep) });
      const recorded = new Set(
        first.journal.entries.flatMap((entry) => (entry.kind === "undo.completed" ? [entry.step] : [])),
      );
      await first.drive();
      expect(first.snapshot).toMatchObject({ status: "failed", error: { step: "pay", undone: all.toReversed() } });
      for (const step of recorded) expect(seen.done).not.toContain(`not ${step}'s result`);
      for (const keys of seen.keys.values()) expect(keys.size).toBe(1);
    }
  });

  test("guarantee 7: a step whose undo is gone from the code is named as not undone", async () => {
    const seen = ledger();
    const host = await play(saga(seen, (step) => step.waitFor("go")));
    const without: Handler = async (_input, step) => {
      for (const name of all) await step.run(name, () => 1);
      await step.waitFor("go");
    };
    const next = host.reopen();
    next.definition = new Host(without).definition;
    next.plan(next.clock.at + 1000, (run) => act(run, "cancel"));
    await next.drive();
    expect(next.snapshot.status).toBe("cancelled");
    expect(next.snapshot.error?.notUndone?.map(({ step }) => step)).toEqual(all.toReversed());
    expect(next.entries("undo.failed")).toMatchObject([{ error: { code: "undo_missing" } }, {}, {}]);
  });

  test.each<[string, Handler]>([
    ["throws", () => Promise.reject(new Error("sooner"))],
    [
      "bails",
      async (_input, step) => {
        try {
          step.bail("sooner");
        } finally {
          await step.waitFor("never");
        }
      },
    ],
  ])(
    "guarantees 4 and 7: so is one that the code does not come to any more, where it %s sooner",
    async (_how, sooner) => {
      const host: Host = new Host(saga(ledger(), (step) => step.fail(new Error("no"))));
      host.journal.onAppend = (entries) => {
        if (entries.some(({ kind }) => kind === "undo.started")) host.dead = true;
      };
      await host.drive();
      const changed = await host.reopen({ definition: sooner }).drive();
      expect([changed.status, changed.snapshot.error?.message]).toEqual(["failed", "no"]);
      expect(changed.entries("undo.failed").map(({ step, error }) => [step, error.code])).toEqual(
        all.toReversed().map((step) => [step, "undo_missing"]),
      );
    },
  );

  test("a retry of the run runs again what was undone, and keeps what was not", async () => {
    const seen: string[] = [];
    let broken = true;
    const flow: Handler = async (_input, step) => {
      await step.run("keep", () => void seen.push("keep"));
      await step.run("book", () => void seen.push("book"), { undo: () => void seen.push("unbook") });
      await step.run(
        "pay",
        () => {
          if (broken) throw new Error("no");
          seen.push("pay");
        },
        { retry: { limit: 0 } },
      );
      return "fine";
    };
    const host = await play(flow);
    expect(host.status).toBe("failed");
    broken = false;
    for (const keep of [0, 1]) {
      const again = host.reopen({ cold: false, keep: host.journal.commits.length });
      void act(again.run, "retry");
      // Once in this life, once in one that dies right behind the retry.
      await (keep === 0 ? again : again.reopen()).drive().then((end) => expect(end.output).toBe("fine"));
    }
    expect(seen).toEqual(["keep", "book", "unbook", "book", "pay", "book", "pay"]);
  });

  test("what is done again after it was undone has a key of its own, whatever dies; what only failed keeps its key", async () => {
    const seen = ledger();
    const pays: string[] = [];
    const pay = async (step: Step) => {
      const refuse = ({ idempotencyKey }: { idempotencyKey: string }) => {
        pays.push(idempotencyKey);
        throw new Error("no");
      };
      await step.run("pay", refuse, { retry: { limit: 0 } });
    };
    const host = await play(saga(seen, pay));
    for (const failures of [2, 3]) {
      const again = host.reopen({ keep: host.journal.commits.length });
      void act(again.run, "retry");
      // The one life goes on, the other dies right behind the retry.
      await (failures === 2 ? again : again.reopen()).drive();
      expect(pays).toHaveLength(failures);
    }
    const [first, second, ...others] = seen.keys.get("car") ?? [];
    expect([first, others]).toEqual([expect.stringMatching(/^run-1:[^:.]+:car$/), []]);
    expect(second).toBe(first?.replace(":car", ".1:car"));
    const undone = [first, second].map((key) => key?.replace(":car", ".undo:car"));
    expect([...(seen.keys.get("not car's result") ?? [])]).toEqual(undone);
    expect(new Set(pays).size).toBe(1);
  });

  test("guarantee 8: what undoes a step may speak, once, whatever dies; the handler has no more say", async () => {
    const flow: Handler = async (_input, step) => {
      const undo = (name: string) => () => {
        step.log.info(`undoing ${name}`);
        step.progress(name);
      };
      try {
        for (const name of ["a", "b"]) await step.run(name, () => 1, { undo: undo(name) });
        step.bail("no");
      } finally {
        step.log.info("too late");
      }
    };
    const host = await play(flow);
    const said = (one: Host) => one.entries("log.written").map(({ message }) => message);
    expect(said(host)).toEqual(["undoing b", "undoing a"]);
    expect(host.snapshot.progress).toEqual(encode("a", "the progress"));
    for (let keep = 1; keep < host.journal.commits.length; keep++) {
      expect(said(await host.reopen({ keep }).drive())).toEqual(said(host));
    }
  });

  test("guarantee 8: what an undo says at each attempt is on record, also where the process died between them", async () => {
    let attempts = 0;
    const undo = (_result: unknown, { attempt }: { attempt: number }): void => {
      attempts = attempt;
      step.log.info("undoing");
      if (attempt < 3) throw new Error("not yet");
    };
    let step: Step;
    const flow: Handler = async (_input, given) => {
      step = given;
      await step.run("a", () => 1, { undo, retry: { delay: "1 h", limit: 3, jitter: 0 } });
      step.bail("no");
    };
    const host = (await new Host(flow).drive(startAt + 1000)).reopen();
    await host.drive();
    expect(attempts).toBe(3);
    expect(host.entries("log.written")).toHaveLength(3);
  });

  test("a step that is done again has changed no kind, whatever else has its name", async () => {
    let isWell = false;
    const options = { undo: () => {}, retry: { limit: 0 } };
    const work = (): void => {
      if (!isWell) throw new Error("not yet");
    };
    const host = await play(async (_input, step) => {
      await step.run("first", () => 1, options);
      const both = [step.run("rest", () => 1, options), step.sleep("rest", "1 h")];
      await step.run("work", work, options);
      await Promise.all(both);
    });
    expect(host.snapshot.error).toMatchObject({ step: "work", undone: ["rest", "first"] });
    isWell = true;
    const again = host.reopen({ cold: false });
    void act(again.run, "retry");
    await again.drive();
    expect([again.status, again.entries("run.paused")]).toEqual(["completed", []]);
  });

  test("the undoing of a step has a key that no other step has, whatever that is called", async () => {
    const keys: string[] = [];
    const take = ({ idempotencyKey }: { idempotencyKey: string }) => void keys.push(idempotencyKey);
    await play(async (_input, step) => {
      for (const name of ["a", "a:undo", ".undo:a", "undo:a", "a.undo"]) {
        await step.run(name, take, { undo: (_result, context) => take(context) });
      }
      throw new Error("no");
    });
    expect(keys).toHaveLength(10);
    expect(new Set(keys).size).toBe(10);
  });

  test("an undoing that began under the keys of before goes on under them", async () => {
    const seen = ledger();
    const flow = saga(seen, () => Promise.reject(new Error("no")));
    const host = await play(flow);
    const [key] = seen.keys.get("not car's result") ?? [];
    // As an older version left it, which died in the first of its undos.
    const commits = host.journal.commits.map((commit) => commit.replace('"apart":true,', ""));
    const begun = commits.findIndex((commit) => commit.includes('"undo.started"')) + 1;
    seen.keys.clear();
    const old = new Host(flow, { commits: commits.slice(0, begun), at: host.clock.at });
    await old.drive();
    expect(old.status).toBe("failed");
    expect([...(seen.keys.get("not car's result") ?? [])]).toEqual([`${key?.replace(".undo:", ":")}:undo`]);
  });

  test("the sentence of a run that is being undone says so", async () => {
    const host = new Host(async (_input, step) => {
      const undo = (_result: unknown, { attempt }: { attempt: number }) => {
        if (attempt < 3) throw new Error("the bank is closed");
      };
      await step.run("a", () => 1, { undo, retry: { delay: "1h", jitter: 0 } });
      throw new Error("no");
    });
    await host.drive(startAt + 60_000);
    expect(host.snapshot).toMatchObject({
      status: "waiting",
      waitingFor: [{ kind: "retry", name: "a" }],
      reason:
        "undoing its steps, 0 of 1 so far: no; next attempt to undo a in 1 h (attempt 2 of 6: the bank is closed)",
    });
    // Whoever cannot wait for the bank has it tried at once.
    void act(host.run, "retry");
    await host.drive(startAt + 61_000);
    expect(host.snapshot.waitingFor).toMatchObject([{ kind: "retry", name: "a" }]);
    await host.drive();
    expect(host.snapshot.error).toMatchObject({ message: "no", undone: ["a"] });
  });
});
