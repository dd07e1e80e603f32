import { describe, expect, test } from "vitest";
import * as z from "zod";
import type { Entry } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { sentenceOf } from "../../src/core/sentence/sentence.ts";
import { encode } from "../../src/core/value/value.ts";
import { define } from "./memory.ts";
import { Host, act, play, signal, startAt } from "./host.ts";
import type { Handler } from "./memory.ts";

const dayMs = 86_400_000;

describe("sleeps", () => {
  test.each([[0], [1], [250], ["90s"], ["3 days"], ["520 weeks"]])("guarantee 4: %j", async (span) => {
    const host = await play(async (_input, step) => {
      await step.sleep(span);
      return step.now();
    });
    const ms = { "90s": 90_000, "3 days": 3 * dayMs, "520 weeks": 3640 * dayMs }[span] ?? Number(span);
    expect([host.output, host.clock.at]).toEqual([startAt + ms, startAt + ms]);
    expect(host.entries("timer.set").map(({ wakeAt }) => wakeAt)).toEqual(ms === 0 ? [] : [startAt + ms]);
  });

  test("sleepUntil: a date ahead, and one in the past", async () => {
    const host = await play(async (_input, step) => {
      await step.sleepUntil("later", new Date(startAt + dayMs));
      await step.sleepUntil(new Date(0));
    });
    expect(host.clock.at).toBe(startAt + dayMs);
  });

  test("guarantee 4: a pause shifts a deadline by its own length, and replay does not set it anew", async () => {
    const host = new Host(async (_input, step) => await step.sleep("10 m"));
    host.plan(startAt + 60_000, (run) => act(run, "pause"));
    await host.drive(startAt + 120_000);
    expect(host.status).toBe("paused");
    const later = host.reopen();
    later.plan(startAt + dayMs, (run) => act(run, "resume"));
    await later.drive();
    expect(later.clock.at).toBe(startAt + 600_000 + dayMs - 60_000);
    expect(later.entries("run.resumed").map(({ shiftMs }) => shiftMs)).toEqual([dayMs - 60_000]);
    expect(later.entries("timer.set")).toHaveLength(1);
  });

  test("guarantee 4: a deadline that passed while nobody was there fires at once", async () => {
    const host = await new Host(async (_input, step) => await step.sleep("1 h")).drive(startAt);
    const later = await host.reopen({ at: startAt + dayMs, cold: false }).drive();
    expect([later.status, later.clock.at]).toEqual(["completed", startAt + dayMs]);
  });

  test("guarantees 3 and 4: of two that passed meanwhile the earlier fires first, and what it leads to is seen", async () => {
    const flow: Handler = async (_input, step) => {
      const answer = step.waitFor("word", { timeout: "2 h" });
      const silence = step.sleep("1 h").then(() => "silence");
      return [await Promise.race([answer, silence]), await answer];
    };
    const host = await new Host(flow).drive(startAt);
    for (const cold of [false, true]) {
      const later = await host.reopen({ at: startAt + dayMs, cold }).drive();
      expect(later.output).toEqual(["silence", null]);
    }
  });

  test("guarantee 4: a clock set back makes no sleep shorter, and time on record never runs back", async () => {
    const host = await new Host(async (_input, step) => {
      await step.sleep("a", "1 h");
      const before = step.now();
      await step.sleep("b", "1 m");
      return step.now() - before;
    }).drive(startAt);
    host.clock.at = startAt + 3_600_000;
    await host.drive(startAt + 3_600_000);
    expect(host.entries("timer.set")).toHaveLength(2);
    // Once with the second deadline on record when the clock goes back, once without.
    const again = await host.reopen({ at: startAt, cold: false }).drive();
    const back = await host.reopen({ at: startAt, cold: false, keep: host.journal.commits.length - 1 }).drive();
    expect([again.output, back.output, back.clock.at]).toEqual([60_000, 60_000, startAt + 3_660_000]);
    expect(back.journal.entries.every(({ at }, i, all) => at >= (all[i - 1]?.at ?? 0))).toBe(true);
  });

  test("guarantee 4: a clock set forward fires what is due, and nothing else", async () => {
    const host = await new Host(
      async (_input, step) =>
        await Promise.race([step.sleep("a", "1 h").then(() => "a"), step.sleep("b", "2 h").then(() => "b")]),
    ).drive(startAt);
    host.clock.at = startAt + 5_400_000;
    await host.drive();
    expect([host.output, host.clock.at]).toEqual(["a", startAt + 5_400_000]);
  });
});

describe("signals", () => {
  test("guarantee 5: 2,000 early ones are consumed once each, in their order", async () => {
    const host = new Host(async (_input, step) => {
      await step.sleep("1 h");
      const all: number[] = [];
      for (let i = 0; i < 2000; i++) all.push(await step.waitFor<number>("n"));
      return all;
    });
    host.plan(startAt + 1, (run) => {
      for (let i = 0; i < 2000; i++) signal(run, "n", i);
    });
    await host.drive();
    expect(host.output).toEqual(Array.from({ length: 2000 }, (_unused, i) => i));
    const again = await host.reopen({ keep: 2500 }).drive();
    expect(again.output).toEqual(host.output);
  });

  test("guarantee 5: the same key is one signal; another payload or name under it is a conflict", async () => {
    const host = await new Host(async (_input, step) => [await step.waitFor("a"), await step.waitFor("a")]).drive();
    expect(signal(host.run, "a", { x: 1, y: 2 }, "k")).toEqual({ duplicate: false });
    expect(signal(host.run, "a", { y: 2, x: 1 }, "k")).toEqual({ duplicate: true });
    expect(codeOf(() => signal(host.run, "a", { x: 2 }, "k"))).toBe("idempotency_conflict");
    expect(codeOf(() => signal(host.run, "b", { x: 1, y: 2 }, "k"))).toBe("idempotency_conflict");
    await host.drive();
    expect(host.status).toBe("waiting");
    const later = host.reopen();
    expect(signal(later.run, "a", { x: 1, y: 2 }, "k")).toEqual({ duplicate: true });
    signal(later.run, "a", "second");
    await later.drive();
    expect(later.output).toEqual([{ x: 1, y: 2 }, "second"]);
    expect(codeOf(() => signal(later.run, "a", 1))).toBe("run_ended");
    expect(signal(later.run, "a", { x: 1, y: 2 }, "k")).toEqual({ duplicate: true });
  });

  test("guarantee 5: one with a key is compared as it was sent; in an older journal as its schema made it", async () => {
    const go = z.object({ n: z.number() }).transform(({ n }) => ({ n: 2 * n }));
    const flow = { ...define(async (_input, step) => await step.waitFor("a")), signals: { go } };
    const sent = { name: "go", payload: encode({ n: 1 }, ""), key: "k", by: "test" };
    const host = await new Host(flow).drive();
    expect(host.run.isKnown(sent)).toBe(false);
    host.run.signal(await host.run.fitSignal(sent));
    expect(host.entries("signal.received")).toMatchObject([{ payload: encode({ n: 2 }, ""), sent: sent.payload }]);
    expect(host.reopen().run.isKnown(sent)).toBe(true);
    const older = host.journal.commits.map((commit) => commit.replace(/"sent":"(?:[^"\\]|\\.)*",/, ""));
    const { run } = new Host(flow, { commits: older });
    expect(run.isKnown(sent)).toBe(false);
    expect(run.signal(await run.fitSignal(sent))).toEqual({ duplicate: true });
    const other = { ...sent, payload: encode({ n: 3 }, "") };
    expect(codeOf(() => run.signal(other))).toBe("idempotency_conflict");
  });

  test("an empty one is seen as {}, and as nothing by a schema that takes nothing else", async () => {
    const later = <Output>(schema: z.ZodType<Output>) => schema.refine(async () => await Promise.resolve(true));
    const taken = async (schema: z.ZodType | undefined, declared: boolean): Promise<unknown> => {
      const options = declared || schema === undefined ? {} : { schema };
      const flow = define(async (_input, step) => [await step.waitFor("a", options)]);
      const host = await new Host({ ...flow, signals: declared && schema !== undefined ? { a: schema } : {} }).drive();
      host.run.signal(await host.run.fitSignal({ name: "a", payload: encode({}, ""), by: "test" }));
      return (await host.drive()).output;
    };
    for (const declared of [true, false]) {
      expect(await taken(undefined, declared)).toEqual([{}]);
      expect(await taken(z.object({ n: z.number().default(1) }), declared)).toEqual([{ n: 1 }]);
      expect(await taken(z.unknown(), declared)).toEqual([{}]);
      for (const schema of [z.undefined(), later(z.undefined())])
        expect(await taken(schema, declared)).toEqual([undefined]);
      for (const schema of [z.number().default(7), later(z.number().default(7))])
        expect(await taken(schema, declared)).toEqual([7]);
    }
    await expect(taken(z.object({ n: z.number() }), true)).rejects.toMatchObject({ issues: [{ path: "/n" }] });
    await expect(taken(later(z.number()), true)).rejects.toThrow("expected number, received object");
  });

  test("guarantee 5: what was taken once stays so, whatever its schema makes of it now", async () => {
    const flow = define(async (_input, step) => await step.waitFor("a"));
    const sent = { name: "a", payload: encode(1, ""), key: "k", by: "test" };
    const host = await new Host({ ...flow, signals: { a: z.number() } }).drive();
    host.run.signal(await host.run.fitSignal(sent));
    const { run } = new Host({ ...flow, signals: { a: z.string() } }, { commits: host.journal.commits });
    expect(run.signal(await run.fitSignal(sent))).toEqual({ duplicate: true });
    expect(codeOf(() => run.fitSignal({ ...sent, key: "other" }))).toBe("signal_invalid");
  });

  test("one that is for whoever waits is refused where nobody does, unless it came before", async () => {
    const host = await new Host(async (_input, step) => await step.waitFor("a")).drive();
    const sent = { name: "a", payload: encode(1, ""), key: "k", by: "test" };
    const take = (request: typeof sent): unknown => host.run.signal(request, true);
    expect(codeOf(() => take({ ...sent, name: "b" }))).toBe("not_waiting");
    expect(take(sent)).toEqual({ duplicate: false });
    expect(codeOf(() => take({ ...sent, key: "l" }))).toBe("not_waiting");
    expect(take(sent)).toEqual({ duplicate: true });
    expect(codeOf(() => take({ ...sent, payload: encode(2, "") }))).toBe("idempotency_conflict");
    await host.drive();
    expect(codeOf(() => take({ ...sent, key: "l" }))).toBe("not_waiting");
    expect([take(sent), host.output]).toEqual([{ duplicate: true }, 1]);
  });

  test("null is the word for a timeout and no payload; undefined is one", async () => {
    const host = await new Host(async (_input, step) => await step.waitFor("a")).drive();
    expect(codeOf(() => signal(host.run, "a", null))).toBe("signal_invalid");
    signal(host.run, "a", undefined);
    await host.drive();
    expect([host.status, host.output]).toEqual(["completed", undefined]);
  });

  test("what is no schema is told at the call, and no signal is lost to it", async () => {
    const host = new Host(async (_input, step) => {
      const refused: unknown[] = [];
      for (const schema of [{}, null, "text", z.string]) {
        await step.waitFor("a", { schema: schema as never }).catch(({ code }) => refused.push(code));
      }
      return [refused, await step.waitFor("a")];
    });
    await host.signalAt(startAt + 1000, "a", "kept").drive();
    expect(host.output).toEqual([Array(4).fill("options_invalid"), "kept"]);
  });

  test("guarantee 5: a wait that timed out takes no later signal; the next wait does", async () => {
    const host = new Host(async (_input, step) => {
      const first = await step.waitFor("a", { timeout: "1 m" });
      await step.sleep("1 h");
      return [first, await step.waitFor("a")];
    });
    await host.signalAt(startAt + 60_001, "a", "late").drive();
    expect(host.output).toEqual([null, "late"]);
  });

  test("guarantee 4: a signal that came in time counts, though the process died before it was handed over", async () => {
    const flow = async (_input: never, step: import("../../src/core/definition/step.ts").Step) =>
      await step.waitFor("a", { timeout: "1 m" });
    const host = await new Host(flow).drive(startAt);
    const offline = host.reopen({ at: startAt + 59_000 });
    signal(offline.run, "a", "in time");
    const later = await offline.reopen({ at: startAt + dayMs, cold: false }).drive();
    expect(later.output).toBe("in time");
    const missed = host.reopen({ at: startAt + 61_000 });
    signal(missed.run, "a", "too late");
    expect((await missed.reopen({ at: startAt + dayMs, cold: false }).drive()).output).toBe(null);
  });

  test("guarantee 4: what fell due before a signal came is first, and behind one that came before, though nobody was there", async () => {
    const flow: Handler = async (_input, step) =>
      await Promise.race([step.sleep("1 s").then(() => "timer"), step.waitFor("go"), step.waitFor("stop")]);
    const parked = await new Host(flow).drive(startAt);
    for (const [sentAt, winner] of [
      [500, "went"],
      [1000, "went"],
      [1001, "timer"],
    ] as const) {
      const host = parked.reopen({ cold: false });
      host.clock.set(startAt + sentAt);
      signal(host.run, "go", "went");
      host.clock.set(startAt + 5000);
      signal(host.run, "stop", "stopped");
      expect((await host.drive()).output).toBe(winner);
    }
  });

  test("guarantee 4: signals that came in time are heard one after the other, before what fell due after them", async () => {
    const flow: Handler = async (_input, step) => {
      const got: unknown[] = [];
      const { key } = await step.race({
        all: async () => {
          for (let count = 0; count < 3; count++) got.push(await step.waitFor("s"));
        },
        late: () => step.sleep("10s"),
      });
      return [key, got];
    };
    const host = (await new Host(flow).drive(startAt)).reopen({ cold: false });
    for (const n of [1, 2, 3]) {
      host.clock.set(startAt + n * 1000);
      signal(host.run, "s", n);
    }
    host.clock.set(startAt + 11_000);
    expect((await host.drive()).output).toEqual(["all", [1, 2, 3]]);
  });

  test("guarantee 5: a signal too late for the oldest wait goes to the next, also after a pause", async () => {
    const host = await new Host(async (_input, step) => {
      const short = { timeout: "1 m" };
      return await Promise.all([
        step.waitFor("a", short),
        step.waitFor("a", short),
        step.waitFor("a", short),
        step.waitFor("a"),
      ]);
    }).drive(startAt);
    host.clock.at = startAt + 61_000;
    void act(host.run, "pause");
    host.clock.at = startAt + 62_000;
    signal(host.run, "a", "late");
    host.clock.at = startAt + 62_500;
    void act(host.run, "resume");
    await host.drive();
    expect(host.output).toEqual([null, null, null, "late"]);
  });

  test("guarantee 4: a wait begun in the very turn of a pause still times out after it", async () => {
    const host = new Host(async (_input, step) => {
      const both = Promise.all([step.waitFor("a"), step.waitFor("a", { timeout: "1 m" })]);
      return await both;
    });
    signal(host.run, "a", 1);
    host.run.advance();
    for (let i = 0; i < 2; i++) await host.clock.turn();
    void act(host.run, "pause");
    await host.drive();
    host.clock.at += 1000;
    void act(host.run, "resume");
    await host.drive();
    expect(host.output).toEqual([1, null]);
  });

  test("guarantee 5: parallel waits of one name are served in the order they began", async () => {
    const host = new Host(
      async (_input, step) =>
        await Promise.all([step.waitFor("a"), step.waitFor("a"), step.waitFor("a", { timeout: "1 m" })]),
    );
    await host
      .signalAt(startAt + 5, "a", 1)
      .signalAt(startAt + 5, "a", 2)
      .drive();
    expect(host.output).toEqual([1, 2, null]);
  });

  test("guarantee 3: Promise.race over waits is won by the same one in every replay", async () => {
    const host = new Host(async (_input, step) => {
      const winner = await Promise.race([step.waitFor("a"), step.waitFor("b"), step.sleep("1 h").then(() => "timer")]);
      await step.sleep("1 d");
      return [winner, await step.waitFor("c", { timeout: "1 d" })];
    });
    await host
      .signalAt(startAt + 9, "b", "b")
      .signalAt(startAt + 10, "a", "a")
      .drive();
    expect(host.output).toEqual(["b", null]);
    for (let keep = 1; keep < host.journal.commits.length; keep++) {
      const again = host.reopen({ keep });
      if (keep < 6) again.signalAt(host.clock.at, "b", "b").signalAt(host.clock.at, "a", "a");
      expect(["b", "timer"]).toContain(
        (await again.drive()).run.state.end === null ? "stranded" : (again.output as string[])[0],
      );
    }
  });

  test("the label of a wait is recorded with it, whether it had to wait or not, or its schema takes its time", async () => {
    const host = await new Host(async (_input, step) => {
      await step.sleep("1 day");
      await step.waitFor("go", { label: "came early" });
      await step.waitFor("go", { label: "judged", schema: z.any().refine(async () => true) });
      await step.waitFor("go", { label: "came late" });
      await step.waitFor("go");
      return await step.waitFor("go", { label: 7 as never }).catch(codeOfError);
    })
      .signalAt(startAt, "go", 1)
      .signalAt(startAt, "go", 2)
      .signalAt(startAt + 2 * dayMs, "go", 3)
      .signalAt(startAt + 2 * dayMs, "go", 4)
      .drive();
    expect(host.output).toBe("options_invalid");
    expect(host.entries("wait.started").map(({ label }) => label)).toEqual(["came late"]);
    const labels = ["came early", "judged", "came late", undefined];
    expect(host.entries("signal.consumed").map(({ label }) => label)).toEqual(labels);
    expect(sentenceOf(host.entries("wait.started")[0] as Entry)).toBe("waits for signal go (came late)");
  });

  test("a label of over 256 characters is refused, and the signal stays for the next wait", async () => {
    const longest = "🙂".repeat(256);
    const host = await new Host(async (_input, step) => {
      const refusal: unknown = await step.waitFor("go", { label: `${longest}.` }).catch((error: unknown) => error);
      return [refusal, await step.waitFor("go", { label: longest })];
    })
      .signalAt(startAt, "go", 1)
      .drive();
    const message = "the wait for go: label must be text of at most 256 characters";
    expect(host.output).toMatchObject([{ code: "options_invalid", message }, 1]);
    expect(host.entries("signal.consumed").map(({ label }) => label)).toEqual([longest]);
  });

  test("guarantee 8: what a run waits for is told", async () => {
    const host = await new Host(
      async (_input, step) =>
        await Promise.all([step.waitFor("a", { timeout: "7 days" }), step.sleep("nap", "8 days")]),
    ).drive(startAt);
    expect(host.snapshot).toMatchObject({
      status: "waiting",
      waitingFor: [
        { kind: "signal", name: "a", until: startAt + 7 * dayMs },
        { kind: "timer", name: "nap" },
      ],
    });
    expect(host.snapshot.reason).toContain("waiting for signal a");
  });
});

function codeOfError(error: unknown): string {
  return error instanceof HoldfastError ? error.code : String(error);
}

function codeOf(call: () => unknown): string | null {
  try {
    call();
    return null;
  } catch (error) {
    return codeOfError(error);
  }
}
