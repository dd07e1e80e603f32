/** Schemas that take their time: a fetch, a timer. */
import { describe, expect, test } from "vitest";
import * as z from "zod";
import type { Schema } from "../../src/core/definition/schema.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { decode } from "../../src/core/value/value.ts";
import { caught } from "./caught.ts";
import { pass } from "../../src/engine/turn/microtask.ts";
import { Host, act, signal, startAt } from "./host.ts";
import type { HostOptions } from "./host.ts";
import { MemoryJournal, define } from "./memory.ts";
import type { Handler } from "./memory.ts";

const limitMs = 30_000;

/** A schema that takes as long as it is told, by the clock of the life that asks it. */
class Slow {
  /** What it was asked. */
  readonly asked: unknown[] = [];
  ms = 0;
  make: (value: unknown) => unknown = (value) => value;
  host: Host | null = null;
  readonly schema: Schema<unknown, never> = {
    "~standard": { version: 1, vendor: "test", validate: (value) => this.#judge(value) },
  };

  in(handler: Handler | ReturnType<typeof define>, options: HostOptions = {}): Host {
    this.host = new Host(handler, options);
    return this.host;
  }

  /** Another life, in which it takes so long. */
  again(host: Host, ms: number, options: Parameters<Host["reopen"]>[0] = {}): Host {
    this.ms = ms;
    this.asked.length = 0;
    this.host = host.reopen(options);
    return this.host;
  }

  async #judge(value: unknown): Promise<{ value: never } | { issues: { message: string }[] }> {
    this.asked.push(value);
    if (this.ms === Infinity) return await new Promise(() => {});
    await this.host?.clock.after(this.ms);
    const made = this.make(value);
    return made === "bad" ? { issues: [{ message: "it is bad" }] } : { value: made as never };
  }
}

const told = ({ host }: { host: Host }) => host.entries("log.written").map(({ message }) => message);

describe("of a wait", () => {
  /** A wait beside a sleep of a second; what comes first is told by a step. */
  const beside =
    (slow: Slow, options: { readonly timeout?: string } = {}): Handler =>
    async (_input, step) => {
      const order: unknown[] = [];
      const go = step.waitFor("go", { schema: slow.schema, ...options }).then((value) => order.push(value));
      await Promise.all([go, step.sleep("1 s").then(() => order.push("slept"))]);
      await step.waitFor("end");
      return order;
    };

  test("guarantee 2: a schema makes no calls of step, which the handler of no other life would make", async () => {
    const flow: Handler = async (_input, step) => {
      const ask = async (): Promise<{ value: never }> => ({
        value: (await step.run("check", () => "the schema's")) as never,
      });
      const schema: Schema<unknown, never> = { "~standard": { version: 1, vendor: "test", validate: ask } };
      const refused = await caught(() => step.waitFor("go", { schema }));
      step.log.info(await step.run("check", () => "its own"));
      await step.sleep("1 h");
      return refused;
    };
    const host = await new Host(flow).signalAt(startAt, "go", 1).drive(startAt);
    const again = await host.reopen().drive();
    expect(again.output).toMatchObject({
      code: "signal_invalid",
      message: expect.stringContaining("check was called inside of the schema of signal go"),
    });
    expect(told({ host: again })).toEqual(["its own"]);
  });

  test("a schema that answers at once writes its lines once, also where replay asks it again", async () => {
    const flow: Handler = async (_input, step) => {
      const validate = (value: unknown): { value: never } => {
        step.log.info(`saw ${String(value)}`);
        return { value: value as never };
      };
      const schema: Schema<unknown, never> = { "~standard": { version: 1, vendor: "test", validate } };
      await step.waitFor("go", { schema });
      step.log.info("went");
      await step.waitFor("go", { schema });
      step.log.info("went");
      await step.sleep("1 h");
    };
    const host = await new Host(flow).signalAt(startAt, "go", 1).drive(startAt);
    const again = await host.reopen().signalAt(startAt, "go", 2).drive(startAt);
    const last = await again.reopen().drive();
    expect(told({ host: last })).toEqual(["saw 1", "went", "saw 2", "went"]);
  });

  test("guarantee 3: a schema that answers at once is shown the same time in every life", async () => {
    const seen: number[] = [];
    const flow: Handler = async (_input, step) => {
      const validate = (): { value: never } => ({ value: seen.push(step.now()) as never });
      await step.waitFor("go", { schema: { "~standard": { version: 1, vendor: "test", validate } } });
      await step.sleep("1 h");
    };
    const host = await new Host(flow).signalAt(startAt + 1000, "go", 1).drive(startAt + 1000);
    await host.reopen().drive();
    expect(seen).toEqual([startAt + 1000, startAt + 1000]);
  });

  test.each([
    [2000, 0, ["slept", "x"]],
    [0, 2000, ["x", "slept"]],
  ])("guarantee 3: what it overtook or not in one life (%i ms) is so in another (%i ms)", async (ms, later, order) => {
    const slow = new Slow();
    slow.ms = ms;
    const host = await slow
      .in(beside(slow))
      .signalAt(startAt + 500, "go", "x")
      .drive();
    expect(host.status).toBe("waiting");
    const again = await slow
      .again(host, later)
      .signalAt(startAt + 10_000, "end", 1)
      .drive();
    expect(again.output).toEqual(order);
  });

  test("guarantee 3: an answer that took its time is on record with the signal, and no other life asks the schema", async () => {
    const slow = new Slow();
    slow.make = (value) => new Map([[value, 1]]);
    const host = await slow
      .in(beside(slow))
      .signalAt(startAt + 500, "go", "x")
      .drive();
    const [consumed] = host.entries("signal.consumed");
    expect(decode(consumed?.value ?? ("" as never))).toEqual(new Map([["x", 1]]));
    expect(slow.asked).toEqual(["x"]);
    const again = await slow
      .again(host, 0)
      .signalAt(startAt + 10_000, "end", 1)
      .drive();
    expect([again.output, slow.asked]).toEqual([[new Map([["x", 1]]), "slept"], []]);
    expect(again.journal.kinds.filter((kind) => kind.startsWith("signal."))).toHaveLength(4);
  });

  test("a schema that answers at once leaves nothing on record, and is asked once a life", async () => {
    let asked = 0;
    const schema = z.string().transform((text) => `${text}${++asked}`);
    const flow: Handler = async (_input, step) => [await step.waitFor("go", { schema }), await step.waitFor("end")];
    const host = await new Host(flow).signalAt(startAt + 1, "go", "x").drive();
    expect(host.entries("signal.consumed").map((entry) => Object.keys(entry).sort())).toEqual([
      ["at", "call", "kind", "name", "seq", "signal"],
    ]);
    expect(asked).toBe(1);
    const again = await host
      .reopen()
      .signalAt(startAt + 10, "end", 1)
      .drive();
    expect(again.output).toEqual(["x2", 1]);
  });

  test.each([
    ["a refusal", "bad", "signal_invalid", "the payload of signal go is not valid: it is bad"],
    ["what cannot be kept", () => {}, "value_uncloneable", "the payload of signal go cannot be kept: it is a function"],
  ])("%s is on record, rejects the call, and stays so", async (_what, made, code, message) => {
    const slow = new Slow();
    slow.make = () => made;
    const flow: Handler = async (_input, step) => {
      const { code: refusal, message: why } = await caught(() => step.waitFor("go", { schema: slow.schema }));
      await step.waitFor("end");
      return [refusal, why];
    };
    const host = await slow
      .in(flow)
      .signalAt(startAt + 1, "go", "x")
      .drive();
    expect(host.entries("signal.consumed")).toMatchObject([{ name: "go", error: { code } }]);
    slow.make = (value) => value;
    const again = await slow
      .again(host, 0)
      .signalAt(startAt + 10, "end", 1)
      .drive();
    expect(again.output).toEqual([code, expect.stringContaining(message)]);
    expect(slow.asked).toEqual([]);
  });

  test("guarantee 4: a schema that never answers is waited for half a minute; then the call rejects", async () => {
    const slow = new Slow();
    slow.ms = Infinity;
    const flow: Handler = async (_input, step) => {
      const beside = step.waitFor("never", { timeout: "1 d" });
      const error = await caught(() => step.waitFor("go", { schema: slow.schema }));
      return [error.message, step.now() - startAt, await beside];
    };
    const host = await slow
      .in(flow)
      .signalAt(startAt + 1000, "go", "x")
      .drive();
    const why = "the payload of signal go is not valid: its schema did not answer within 30 s";
    expect(host.output).toEqual([why, 1000 + limitMs, null]);
  });

  test("guarantee 4: a run whose process dies meanwhile is not taken for one that is parked on signals", async () => {
    const slow = new Slow();
    slow.ms = 2000;
    const flow: Handler = async (_input, step) => {
      const other = step.waitFor("other");
      await step.waitFor("go", { schema: slow.schema });
      return await other;
    };
    const host = slow
      .in(flow)
      .signalAt(startAt + 1, "go", "x")
      .signalAt(startAt + 9000, "other", "y");
    await host.drive(startAt + 1000);
    expect([host.run.advance().busy, host.status]).toEqual([true, "running"]);
    const again = await slow.again(host, 1).drive();
    expect([again.output, slow.asked]).toEqual(["y", ["x"]]);
  });

  test("guarantee 4: a signal that came in time is the wait's, even if the wait times out while it is validated", async () => {
    const slow = new Slow();
    slow.ms = 5000;
    const host = await slow
      .in(beside(slow, { timeout: "2 s" }))
      .signalAt(startAt + 1900, "go", "x")
      .drive(startAt + 8000);
    expect(host.entries("signal.consumed")).toHaveLength(1);
    expect(host.entries("wait.timed_out")).toEqual([]);
  });

  test("guarantee 5: a race that is lost while a signal is validated swallows no signal", async () => {
    const slow = new Slow();
    slow.ms = 2000;
    const flow: Handler = async (_input, step) => {
      const go = () => step.waitFor("go", { schema: slow.schema });
      const { key } = await step.race({ go, nap: () => step.sleep("1 s") });
      return [key, await step.waitFor("go")];
    };
    const host = await slow
      .in(flow)
      .signalAt(startAt + 500, "go", "x")
      .drive();
    expect([host.output, host.clock.at]).toEqual([["nap", "x"], startAt + 1000]);
  });

  test("guarantee 4: a race that is lost while a signal is validated has the run come to rest, and its host is told", async () => {
    const slow = new Slow();
    slow.ms = 20_000;
    const host = slow
      .in(async (_input, step) => {
        const go = () => step.waitFor("go", { schema: slow.schema });
        // The race is over a moment after the line of events is empty.
        const work = () => step.run("work", () => slow.host?.clock.after(1000)).then(() => pass(10));
        return await Promise.all([step.sleep("1 h"), step.race({ go, work }).then(({ key }) => key)]);
      })
      .signalAt(startAt + 500, "go", 1);
    // The host of this test throws where it is told nothing.
    expect((await host.drive()).output).toEqual([undefined, "work"]);
  });

  test("guarantee 5: a pause while a signal is validated loses nothing: the schema is asked once more", async () => {
    const slow = new Slow();
    slow.ms = 2000;
    const host = slow.in(beside(slow, { timeout: "1 m" })).signalAt(startAt + 500, "go", "x");
    host.plan(startAt + 1500, (run) => act(run, "pause")).plan(startAt + 100_000, (run) => act(run, "resume"));
    await host.signalAt(startAt + 200_000, "end", 1).drive();
    expect([host.output, slow.asked]).toEqual([
      ["slept", "x"],
      ["x", "x"],
    ]);
    expect(host.entries("signal.consumed").map(({ at }) => at - startAt)).toEqual([102_000, 200_000]);
  });

  test("guarantee 5: behind a signal that is being validated the next of its name wait, each for its own wait", async () => {
    const slow = new Slow();
    slow.ms = 2000;
    const flow: Handler = async (_input, step) => {
      const first = step.waitFor("go", { schema: slow.schema });
      return await Promise.all([first, step.waitFor("go"), step.waitFor("go", { timeout: "1 s" })]);
    };
    const host = slow
      .in(flow)
      .signalAt(startAt + 500, "go", "a")
      .signalAt(startAt + 600, "go", "b");
    await host.drive();
    expect(host.output).toEqual(["a", "b", null]);
    expect(host.entries("wait.timed_out").map(({ at, call }) => [at - startAt, call])).toEqual([[1000, "go#3"]]);
  });

  test("guarantee 4: of early signals, a wait behind one that is being validated counts its deadline from its beginning", async () => {
    const slow = new Slow();
    slow.ms = 10_000;
    const flow: Handler = async (_input, step) => {
      await step.sleep("1 s");
      return await Promise.all([
        step.waitFor("go", { schema: slow.schema }),
        step.waitFor("go", { timeout: "2 s" }).then((value) => [value, step.now() - startAt]),
      ]);
    };
    const host = await slow
      .in(flow)
      .signalAt(startAt + 1, "go", "a")
      .drive();
    expect(host.output).toEqual(["a", [null, 3000]]);
  });

  test("guarantee 5: a listener that is registered while a signal is validated takes it, and the wait goes on without it", async () => {
    const slow = new Slow();
    slow.ms = 2000;
    const flow: Handler = async (_input, step) => {
      const heard: unknown[] = [];
      const go = step.waitFor("go", { schema: slow.schema, timeout: "5 s" });
      await step.sleep("1 s");
      step.onSignal("go", (value) => heard.push(value));
      return [await go, heard];
    };
    const host = await slow
      .in(flow)
      .signalAt(startAt + 500, "go", "x")
      .drive();
    expect([host.output, host.clock.at]).toEqual([[null, ["x"]], startAt + 5000]);
  });

  test("a cancellation does not wait for a schema", async () => {
    const slow = new Slow();
    slow.ms = Infinity;
    const host = slow.in(beside(slow)).signalAt(startAt + 500, "go", "x");
    await host.plan(startAt + 600, (run) => act(run, "cancel")).drive();
    expect([host.status, host.clock.at, host.entries("signal.consumed")]).toEqual(["cancelled", startAt + 600, []]);
  });

  test("what came in a pause, and what fell due after it, keep their order when the run goes on", async () => {
    const slow = new Slow();
    slow.ms = 200;
    const host = slow.in(beside(slow));
    host.plan(startAt + 100, (run) => act(run, "pause")).signalAt(startAt + 200, "go", "x");
    await host.drive(startAt + 5000);
    const again = slow.again(host, 200, { at: startAt + 5000, cold: false });
    // Of a pause nothing falls due; after a time in which nobody was there, it does.
    again.plan(startAt + 5000, (run) => act(run, "resume"));
    await again.signalAt(startAt + 90_000, "end", 1).drive();
    expect(again.output).toEqual(["x", "slept"]);
    const alone = await slow.in(beside(slow)).drive(startAt);
    signal(alone.run, "go", "x");
    const late = slow.again(alone, 200, { at: startAt + 60_000, cold: false });
    await late.signalAt(startAt + 90_000, "end", 1).drive();
    expect(late.output).toEqual(["x", "slept"]);
  });
});

describe("of waits without end", () => {
  test("guarantee 4: what fell due while nobody was there waits for signals that came before, and for no others", async () => {
    const slow = new Slow();
    slow.ms = 5000;
    const flow: Handler = async (_input, step) => {
      let over = false;
      const take = async (name: string) => {
        while (!over) await step.waitFor(name, { schema: slow.schema, timeout: "1 m" });
      };
      const due = step.sleep("10 s").then(() => step.log.info("slept"));
      await Promise.all([take("a"), take("b"), step.sleep("1 m").then(() => (over = true)), due]);
    };
    const host = await slow.in(flow).drive(startAt);
    signal(host.run, "a", 0);
    const late = slow.again(host, 5000, { at: startAt + 20_000, cold: false });
    for (let s = 23; s < 60; s += 8)
      late.signalAt(startAt + s * 1000, "b", s).signalAt(startAt + (s + 4) * 1000, "a", s);
    await late.drive();
    expect(late.status).toBe("completed");
    expect(late.entries("timer.fired").map(({ at }) => at - startAt)).toEqual([25_000, 60_000]);
  });
});

describe("of a wait whose schema's answer an older life did not put on record", () => {
  const flow =
    (slow: Slow): Handler =>
    async (_input, step) => {
      const go = step.waitFor("go", { schema: slow.schema }).then((value) => step.log.info(`go ${String(value)}`));
      await Promise.all([go, step.sleep("1 s").then(() => step.log.info("slept"))]);
      return await step.waitFor("end");
    };

  /** A run that has heard the signal, then slept. */
  async function older(slow: Slow): Promise<Host> {
    const host = await slow
      .in(flow(slow))
      .signalAt(startAt + 500, "go", "x")
      .drive();
    expect(told({ host })).toEqual(["go x", "slept"]);
    const commits = host.journal.commits.map((commit) => commit.replace(/,"value":"(?:[^"\\]|\\.)*"/, ""));
    expect(new MemoryJournal(commits).entries).not.toEqual(host.journal.entries);
    return new Host(host.definition, { commits, at: host.clock.at, cold: false });
  }

  test("guarantee 3: replay gives the handler nothing else until the schema has answered", async () => {
    const slow = new Slow();
    const order: string[] = [];
    const before = await older(slow);
    before.definition = define(async (_input, step) => {
      const go = step.waitFor("go", { schema: slow.schema }).then(() => order.push("go"));
      await Promise.all([go, step.sleep("1 s").then(() => order.push("slept"))]);
      return await step.waitFor("end");
    });
    const again = await slow.again(before, 2000, { cold: false }).drive();
    expect([order, slow.asked, again.status]).toEqual([["go", "slept"], ["x"], "waiting"]);
  });

  test("guarantee 8: a schema that never answers pauses the run, which says so and can go on", async () => {
    const slow = new Slow();
    const again = await slow.again(await older(slow), Infinity, { cold: false }).drive();
    expect([again.status, again.snapshot.error?.message, again.clock.at - startAt]).toEqual([
      "paused",
      "the payload of signal go is not valid: its schema did not answer within 30 s",
      1000 + limitMs,
    ]);
    const later = slow.again(again, 0, { cold: false }).plan(again.clock.at + 1, (run) => act(run, "resume"));
    expect((await later.signalAt(again.clock.at + 2, "end", "done").drive()).output).toBe("done");
  });
});

describe("of the handler's own values", () => {
  test("guarantee 4: a run whose output is being validated is at work, though a call is open", async () => {
    const slow = new Slow();
    slow.ms = 5000;
    const handler: Handler = (_input, step) => {
      void step.waitFor("never");
      return "done";
    };
    const host = await slow.in(define(handler, { output: slow.schema })).drive(startAt + 1000);
    expect(host.run.advance().busy).toBe(true);
    const again = await slow.again(host, 0).drive();
    expect([again.status, again.output]).toEqual(["completed", "done"]);
  });

  test("an output whose schema never answers fails the run", async () => {
    const slow = new Slow();
    slow.ms = Infinity;
    const host = await slow.in(define(() => "done", { output: slow.schema })).drive();
    expect([host.status, host.snapshot.error]).toMatchObject([
      "failed",
      { code: "output_invalid", message: "the output is not valid: its schema did not answer within 30 s" },
    ]);
  });

  test("guarantee 3: nothing overtakes the input of a run that goes on as new", async () => {
    const slow = new Slow();
    slow.ms = 2000;
    slow.make = () => "bad";
    const lives: string[][] = [];
    const handler: Handler = async (_input, step) => {
      const order: string[] = [];
      lives.push(order);
      const slept = step.sleep("1 s").then(() => order.push("slept"));
      await step.continueAsNew("again").catch(({ code }) => order.push(code));
      await Promise.all([slept, step.waitFor("end")]);
      return order;
    };
    const host = await slow.in(define(handler, { input: slow.schema })).drive(startAt + 10_000);
    const again = slow.again(host, 0).signalAt(startAt + 20_000, "end", 1);
    expect((await again.drive()).output).toEqual(["input_invalid", "slept"]);
    expect(lives).toEqual([
      ["input_invalid", "slept"],
      ["input_invalid", "slept"],
    ]);
  });

  test("guarantee 3: of two inputs to go on with, the first counts, however long each is looked at", async () => {
    for (const longer of [1, 2]) {
      const wait = async (value: unknown): Promise<{ value: never }> => {
        await host.clock.after(value === longer ? 2000 : 0);
        return { value: value as never };
      };
      const input: Schema<unknown, never> = { "~standard": { version: 1, vendor: "test", validate: wait } };
      const flow: Handler = async (life: number | undefined, step) =>
        life ?? (await Promise.all([step.continueAsNew(1), step.continueAsNew(2)]));
      const host: Host = new Host(define(flow, { input }));
      expect((await host.drive()).output).toBe(1);
    }
  });

  describe("beside a schema that looks at the input of a run that goes on as new", () => {
    /** Ends as it is told in the turn in which it asks to go on as new; the schema takes `ms`, or mere microtasks for null. */
    async function ending(how: "bail" | "fail" | "throw" | "return", ms: number | null, isBad = false): Promise<Host> {
      const validate = async (): Promise<{ value: never } | { issues: { message: string }[] }> => {
        if (ms !== null) await host.clock.after(ms);
        return isBad ? { issues: [{ message: "it is bad" }] } : { value: 1 as never };
      };
      const input: Schema<unknown, never> = { "~standard": { version: 1, vendor: "test", validate } };
      const flow: Handler = async (life: number | undefined, step) => {
        if (life === 1) return "new";
        await step.run("book", () => "booked", { undo: () => {} });
        step.continueAsNew(1).catch(() => {});
        // Longer than a schema takes that waits for nothing.
        await pass(20);
        if (how === "bail") step.bail("left");
        if (how === "fail") step.fail(new Error("left"));
        if (how === "throw") throw new Error("left");
        return "left";
      };
      const host: Host = new Host(define(flow, { input }));
      return await host.drive();
    }

    test.each(["bail", "fail", "throw", "return"] as const)(
      "guarantee 3: an end that the handler comes to behind that does not count, however long it takes (%s)",
      async (how) => {
        for (const ms of [null, 0, 2000]) {
          const host = await ending(how, ms);
          expect([ms, host.status, host.output]).toEqual([ms, "completed", "new"]);
        }
      },
    );

    test.each([
      ["bail", "cancelled", "left", ["book"]],
      ["fail", "failed", "left", ["book"]],
      ["throw", "failed", "left", ["book"]],
      ["return", "completed", undefined, undefined],
    ] as const)(
      "guarantee 3: that end counts where the input is refused (%s)",
      async (how, status, message, undone) => {
        for (const ms of [null, 0, 2000]) {
          const { snapshot } = await ending(how, ms, true);
          const { error } = snapshot;
          expect([ms, snapshot.status, error?.message, error?.undone]).toEqual([ms, status, message, undone]);
        }
      },
    );

    /** Asks to go on with 1, ends as `leave` has it, and goes on beside that, also to ask for 2. */
    function leaving(leave: (step: Step) => unknown, isBad: boolean): { readonly host: Host; readonly seen: string[] } {
      const seen: string[] = [];
      const validate = async (value: unknown): Promise<{ value: never } | { issues: { message: string }[] }> => {
        await host.clock.after(2000);
        return isBad && value === 1 ? { issues: [{ message: "it is bad" }] } : { value: value as never };
      };
      const input: Schema<unknown, never> = { "~standard": { version: 1, vendor: "test", validate } };
      const flow: Handler = async (life: number | undefined, step) => {
        if (life !== undefined) return `new ${life}`;
        step.continueAsNew(1).catch(() => {});
        void (async () => {
          await pass(20);
          step.log.info("told");
          step.continueAsNew(2).catch(() => {});
          await step.run("late", () => seen.push("late"));
        })();
        return await leave(step);
      };
      const host: Host = new Host(define(flow, { input }));
      return { host, seen };
    }

    test.each<[string, (step: Step) => unknown]>([
      ["cancelled", (step) => step.bail("left")],
      ["failed", () => Promise.reject(new Error("left"))],
      ["completed", () => "left"],
    ])("nothing begins behind an end that waits for it, and nothing is told (%s)", async (status, leave) => {
      for (const isBad of [false, true]) {
        const { host, seen } = leaving(leave, isBad);
        await host.drive();
        expect([host.status, host.output]).toEqual(
          isBad ? [status, status === "completed" ? "left" : null] : ["completed", "new 1"],
        );
        expect([seen, host.entries("log.written"), host.entries("step.abandoned")]).toEqual([[], [], []]);
      }
    });

    test("a run that was to go on as new, had its handler not bailed behind that, ends at once where it is cancelled instead", async () => {
      const { host } = leaving(async (step) => {
        try {
          step.bail("left");
        } finally {
          await step.sleep("1 d");
        }
      }, false);
      host.plan(startAt + 1000, (run) => act(run, "pause")).plan(startAt + 3000, (run) => act(run, "cancel"));
      await host.drive();
      expect([host.snapshot.error?.code, host.clock.at]).toEqual(["cancelled", startAt + 3000]);
    });

    test("guarantee 3: what the handler does in the same turn comes before its answer, however quick that is", async () => {
      for (const ms of [null, 2000]) {
        const order: string[] = [];
        const validate = async (): Promise<{ issues: { message: string }[] }> => {
          if (ms !== null) await host.clock.after(ms);
          return { issues: [{ message: "it is bad" }] };
        };
        const input: Schema<unknown, never> = { "~standard": { version: 1, vendor: "test", validate } };
        const flow: Handler = async (_input, step) => {
          const refused = step.continueAsNew(1).catch(() => order.push("refused"));
          await pass(20);
          order.push("beside");
          await refused;
        };
        const host: Host = new Host(define(flow, { input }));
        await host.drive();
        expect([ms, order]).toEqual([ms, ["beside", "refused"]]);
      }
    });
  });

  test("guarantee 4: no deadline is due of a step that has ended, and waits with its outcome for the schema", async () => {
    const slow = new Slow();
    const flow: Handler = async (input: number | undefined, step) => {
      if (input === 1) return "new";
      await step.sleep("1 s");
      const quick = step.run("quick", () => 1, { timeout: "2 s" });
      const late = step.run("late", () => slow.host?.clock.after(60_000), { timeout: "3 s" });
      return await Promise.all([quick, late, step.continueAsNew(1)]);
    };
    const host = slow.in(define(flow, { input: slow.schema }));
    slow.ms = 20_000;
    await host.drive(startAt + 1500);
    host.clock.set(startAt + 10_000);
    host.run.advance();
    await host.clock.idle();
    expect(host.run.advance()).toMatchObject({ busy: true, wakeAt: startAt + 1000 + limitMs });
    expect((await host.drive()).output).toBe("new");
  });
});
