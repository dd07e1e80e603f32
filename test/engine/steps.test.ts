import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import { NonRetryableError, RetryAfterError } from "../../src/core/error.ts";
import type { Retry } from "../../src/core/definition/retry.ts";
import type { Schema } from "../../src/core/definition/schema.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { caught } from "./caught.ts";
import type { Caught } from "./caught.ts";
import { Host, act, play, signal, startAt } from "./host.ts";
import { define } from "./memory.ts";

/** Does one after the other, as libraries do it: the end of one calls the next. */
function oneByOne(): <Result>(task: () => Promise<Result>) => Promise<Result> {
  const waiting: (() => void)[] = [];
  let isBusy = false;
  return (task) =>
    new Promise((resolve, reject) => {
      const begin = (): void => {
        isBusy = true;
        void task()
          .then(resolve, reject)
          .then(() => {
            isBusy = false;
            waiting.shift()?.();
          });
      };
      if (isBusy) waiting.push(begin);
      else begin();
    });
}

/** What a run's first call of a kind that is never right is refused with. */
async function refusal(call: (step: Step) => unknown): Promise<string | undefined> {
  const host = await play(async (_input, step) => await call(step));
  expect(host.status).toBe("failed");
  return host.snapshot.error?.code;
}

describe("names", () => {
  test("guarantee 2: repeated names are told apart by their occurrence", async () => {
    const keys: string[] = [];
    const host = await play(async (_input, step) => {
      const note = ({ idempotencyKey }: { idempotencyKey: string }) => keys.push(idempotencyKey);
      await Promise.all([step.run("a", note), step.run("a", note), step.run("a#2", note), step.run("b", note)]);
    });
    expect(host.entries("step.completed").map(({ step }) => step)).toEqual(["a", "a#2", "a#2#1", "b"]);
    expect(new Set(keys).size).toBe(4);
  });

  test("idempotency keys are printable ASCII and differ where names do", async () => {
    const keys: string[] = [];
    await play(async (_input, step) => {
      for (const name of ["é0", "\u0e90", "a b", "a%20b", "%", "😀", "\n"]) {
        await step.run(name, ({ idempotencyKey }) => keys.push(idempotencyKey));
      }
    });
    for (const key of keys) expect(key).toMatch(/^[\x21-\x7e]+$/);
    expect(new Set(keys).size).toBe(7);
  });

  test.each([[""], ["x".repeat(257)], [7], [undefined], ["\ud800"]])("the name %j is refused", async (name) => {
    expect(await refusal((step) => step.run(name as string, () => 1))).toBe("name_invalid");
    expect(await refusal((step) => step.waitFor(name as string))).toBe("name_invalid");
  });

  test("256 characters are a name, also where each takes two units", async () => {
    const host = await play((_input, step) => step.run("😀".repeat(256), () => "kept"));
    expect(host.output).toBe("kept");
  });
});

describe("retries", () => {
  /** The delays between the attempts of a step that always fails. */
  async function delays(retry: Retry, thrown: () => unknown = () => new Error("no")): Promise<number[]> {
    const at: number[] = [];
    const host: Host = new Host(async (_input, step) => {
      const attempt = () => {
        at.push(host.clock.at);
        throw thrown();
      };
      await step.run("a", attempt, { retry });
    });
    await host.drive();
    expect(host.status).toBe("failed");
    return at.slice(1).map((one, i) => one - (at[i] ?? 0));
  }

  test("the default is five retries, a second, doubling, within 20 %", async () => {
    const spans = await delays({});
    expect(spans).toHaveLength(5);
    for (const [i, span] of spans.entries()) expect(Math.abs(span / (1000 * 2 ** i) - 1)).toBeLessThanOrEqual(0.2);
  });

  test("the other forms of a policy", async () => {
    expect(await delays({ limit: 0 })).toEqual([]);
    expect(await delays({ limit: 3, delay: "2 s", backoff: "linear", jitter: 0 })).toEqual([2000, 4000, 6000]);
    expect(await delays({ limit: 3, delay: 10, backoff: "constant", jitter: 0 })).toEqual([10, 10, 10]);
    expect(await delays({ limit: 3, delay: "1 h", maxDelay: "90 m", jitter: 0 })).toEqual([
      3_600_000, 5_400_000, 5_400_000,
    ]);
    expect(await delays((_error, attempt) => (attempt < 3 ? attempt * 100 : null))).toEqual([100, 200]);
    expect(
      await delays(() => {
        throw new Error("no idea");
      }),
    ).toEqual([]);
  });

  test("a RetryAfterError names its own delay and counts as an attempt", async () => {
    expect(await delays({ limit: 2, delay: 1, jitter: 0 }, () => new RetryAfterError("later", "3 h"))).toEqual([
      10_800_000, 10_800_000,
    ]);
  });

  test("a NonRetryableError ends it at once", async () => {
    expect(await delays({ limit: 9 }, () => new NonRetryableError("never"))).toEqual([]);
  });

  test.each([() => new RetryAfterError("bad", "soon"), () => new Error("plain")])(
    "a delay that is none fails the step once",
    async (thrown) => {
      let attempts = 0;
      const host = await play((_input, step) =>
        step.run(
          "a",
          () => {
            attempts++;
            throw thrown();
          },
          { retry: () => "soon" },
        ),
      );
      expect([attempts, host.snapshot.error?.code, host.snapshot.error?.step]).toEqual([1, "duration_invalid", "a"]);
    },
  );

  test("policies merge: workflow, then step", async () => {
    let attempts = 0;
    const host = new Host(
      define(
        (_input, step) =>
          step.run(
            "a",
            () => {
              attempts++;
              throw new Error("no");
            },
            { retry: { limit: 1 } },
          ),
        { retry: { delay: 5, jitter: 0 } },
      ),
    );
    await host.drive();
    expect([attempts, host.clock.at - startAt]).toEqual([2, 5]);
  });

  test("a timeout aborts the signal, counts, and what comes after it is ignored", async () => {
    const aborted: unknown[] = [];
    const host: Host = new Host(async (_input, step) => {
      const slow = async ({ attempt, signal }: { attempt: number; signal: AbortSignal }) => {
        signal.addEventListener("abort", () => aborted.push([attempt, (signal.reason as Caught).code]));
        await host.clock.after(attempt < 3 ? 60_000 : 10);
        return attempt;
      };
      return await step.run("a", slow, { timeout: "5 s", retry: { delay: "2 m", jitter: 0, backoff: "constant" } });
    });
    await host.drive();
    expect(host.output).toBe(3);
    expect(aborted).toEqual([
      [1, "step_timeout"],
      [2, "step_timeout"],
    ]);
    expect(host.entries("step.attempt_failed").map(({ error }) => error.code)).toEqual([
      "step_timeout",
      "step_timeout",
    ]);
    expect(host.clock.at - startAt).toBe(2 * 125_000 + 10);
  });

  test("guarantee 8: a step without a timeout of its own has ten minutes", async () => {
    const host: Host = new Host((_input, step) => step.run("a", () => new Promise(() => {}), { retry: { limit: 0 } }));
    await host.drive();
    expect([host.snapshot.error?.code, host.clock.at - startAt]).toEqual(["step_timeout", 600_000]);
  });
});

describe("errors", () => {
  test("a failure keeps name, message, stack, cause chain, and says which step and how often", async () => {
    class CardError extends Error {
      override readonly name = "CardError";
    }
    let seen: Caught | undefined;
    const host = await play(async (_input, step) => {
      const pay = () => {
        throw new CardError("declined", { cause: new TypeError("inner", { cause: "root" }) });
      };
      await step.run("pay", () => 1);
      seen = await caught(() => step.run("pay", pay, { retry: { limit: 1 } }));
      throw seen;
    });
    expect(seen).toBeInstanceOf(Error);
    expect(seen).toMatchObject({
      name: "CardError",
      message: "declined",
      code: "step_failed",
      step: "pay#2",
      attempts: 2,
    });
    expect(seen?.stack).toContain("steps.test.ts");
    expect(seen?.cause).toBeInstanceOf(TypeError);
    expect(seen?.cause).toMatchObject({ cause: { message: "root" } });
    expect(host.snapshot.error).toMatchObject({
      name: "CardError",
      code: "step_failed",
      step: "pay#2",
      attempts: 2,
      cause: { name: "TypeError" },
    });
  });

  test("built-in classes and members come back as such", async () => {
    await play(async (_input, step) => {
      const error = await caught(() =>
        step.run(
          "a",
          () => {
            throw new AggregateError([new RangeError("one")], "many");
          },
          { retry: { limit: 0 } },
        ),
      );
      expect(error).toBeInstanceOf(AggregateError);
      expect((error as AggregateError).errors[0]).toBeInstanceOf(RangeError);
    }).then(({ status }) => expect(status).toBe("completed"));
  });

  test.each([
    ["text", "text"],
    [undefined, "undefined"],
    [{ a: 1 }, '{"a":1}'],
  ])("thrown %j is an error too", async (thrown, message) => {
    const host = await play((_input, step) =>
      step.run(
        "a",
        () => {
          throw thrown;
        },
        { retry: { limit: 0 } },
      ),
    );
    expect(host.snapshot.error).toMatchObject({ message, code: "step_failed", step: "a" });
  });

  test("the handler's own error is handler_failed", async () => {
    const host = await play(() => {
      throw Object.assign(new Error("mine"), { code: "E_MINE" });
    });
    expect(host.snapshot).toMatchObject({ status: "failed", error: { message: "mine", code: "handler_failed" } });
  });
});

describe("values", () => {
  test.each([
    ["value_uncloneable", () => () => 1],
    ["value_uncloneable", () => new WeakMap()],
    ["value_too_large", () => "x".repeat(17 * 1024 * 1024)],
  ])("%s names the step and is not retried", async (code, make) => {
    let attempts = 0;
    const host = await play((_input, step) =>
      step.run("big", () => {
        attempts++;
        return make();
      }),
    );
    expect(host.snapshot.error).toMatchObject({ code, step: "big", attempts: 1 });
    expect(host.snapshot.error?.message).toContain("big");
    expect(attempts).toBe(1);
  });

  test("what structured clone carries comes back as it was, in the first life as in any other", async () => {
    const value = [
      undefined,
      null,
      -0,
      Number.NaN,
      1n,
      new Date(5),
      new Map([[{ a: 1 }, new Set([1])]]),
      new Uint8Array([1, 2]),
      /x/g,
      "\ud800",
    ];
    const given = { value };
    const host: Host = new Host(async (_input, step) => {
      const result = await step.run("a", () => given);
      expect(result).not.toBe(given);
      await step.sleep("1 d");
      return result;
    });
    await host.drive();
    const again = await host.reopen({ keep: host.journal.commits.length - 1 }).drive();
    expect([host.output, again.output]).toEqual([given, given]);
  });

  test("undefined and null are results, and the output of a run", async () => {
    const host = await play(async (_input, step) => [
      await step.run("u", () => undefined),
      await step.run("n", () => Promise.resolve(null)),
    ]);
    expect(host.output).toEqual([undefined, null]);
    expect((await play(() => {})).snapshot.output).toBe("-1");
  });

  test("an output that cannot be kept fails the run", async () => {
    expect((await play(() => () => 1)).snapshot.error).toMatchObject({ code: "value_uncloneable" });
  });
});

describe("inside of a step", () => {
  test("no call is made: it is refused, at once or after an await, and the step is not tried again", async () => {
    const host = await play(async (_input, step) => {
      const seen: unknown[] = [];
      const calls: (() => unknown)[] = [
        () => step.run("inner", () => 1),
        async () => (await Promise.resolve(), await step.sleep("1 s")),
        () => step.race({ a: () => step.waitFor("go") }),
        () => step.map("items", [1], () => 1),
      ];
      for (const call of calls) {
        seen.push((await caught(() => step.run("outer", call))).code);
      }
      // What the function only hands on goes on in the handler.
      const { promise, resolve } = Promise.withResolvers<void>();
      const beside = promise.then(() => step.run("beside", () => "fine"));
      await step.run("opens", () => resolve());
      return [...seen, await beside];
    });
    const refused = "step_nested";
    expect(host.output).toEqual([refused, refused, refused, refused, "fine"]);
    expect(host.entries("step.attempt_failed")).toEqual([]);
    expect(host.entries("step.completed").map(({ step }) => step)).toEqual(["opens", "beside"]);
  });

  test("a queue that both use calls back where the handler gave it the function, if that was bound", async () => {
    type Task = () => Promise<string>;
    const flow = (bind: (task: Task) => Task) => async (_input: unknown, step: Step) => {
      const queue = oneByOne();
      const first = step.run("first", () => queue(async () => await Promise.resolve()));
      const second = queue(bind(() => step.run("second", () => "fine"))).catch(({ code }: Caught) => code);
      await first;
      return await second;
    };
    expect((await play(flow((task) => task))).output).toBe("step_nested");
    // Nothing but the function's scope is bound: it sees the same order in every life.
    const host = await play(flow((task) => AsyncLocalStorage.bind(task)));
    expect(host.output).toBe("fine");
    const again = await host.reopen({ keep: 2 }).drive();
    expect([again.output, again.entries("step.completed").map(({ step }) => step)]).toEqual([
      "fine",
      ["first", "second"],
    ]);
  });

  test("nor is what a replay would not repeat: a function for messages", async () => {
    const calls: ((step: Step) => unknown)[] = [
      (step) => step.query("q", () => 1),
      (step) => step.update("u", null, () => 1),
      (step) => step.onSignal("s", () => 1),
    ];
    for (const call of calls) {
      const host = await play((_input, step) => step.run("outer", () => call(step)));
      expect(host.snapshot.error).toMatchObject({ code: "step_nested", step: "outer", attempts: 1 });
    }
    const host = await play((_input, step) => step.run("outer", () => [step.now(), step.info.id]));
    expect(host.status).toBe("completed");
  });

  test("the run can be ended: the step that does so is left as it is, and the handler gets no further", async () => {
    const ends: [(step: Step) => unknown, string, string][] = [
      [(step) => step.bail("enough"), "cancelled", "bailed"],
      [async (step) => (await Promise.resolve(), step.fail(new Error("no"))), "failed", "handler_failed"],
    ];
    for (const [call, status, code] of ends) {
      const host = await play(async (_input, step) => {
        await step.run("outer", () => call(step)).catch(() => {});
        return await step.run("next", () => 1);
      });
      expect([host.status, host.snapshot.error?.code]).toEqual([status, code]);
      expect(host.journal.entries.slice(2).map(({ kind }) => kind)).toEqual(["step.abandoned", `run.${status}`]);
    }
  });

  test("guarantee 3: what steps draw is the same in each attempt, and changes nothing of what the handler draws", async () => {
    const drawn: string[][] = [];
    const flow =
      (count: number) =>
      async (_input: unknown, step: Step): Promise<string> => {
        const draw = ({ attempt }: { attempt: number }): void => {
          drawn.push(Array.from({ length: count }, () => step.uuid()));
          if (attempt === 1) throw new Error("once more");
        };
        await step.run("draw", draw, { undo: () => void drawn.push([step.uuid()]) });
        await step.run("draw", draw);
        const own = step.uuid();
        await step.sleep("1 day");
        return step.fail(new Error(own));
      };
    const messages = new Set<string | undefined>();
    for (const [count, keep] of [
      [2, 0],
      [2, 5],
      [0, 0],
    ] as const) {
      const host = await new Host(flow(count)).drive();
      messages.add(host.snapshot.error?.message);
      if (keep > 0) messages.add((await host.reopen({ keep }).drive()).snapshot.error?.message);
    }
    expect(messages.size).toBe(1);
    const [first = [], again, second = [], , undo = []] = drawn;
    expect(again).toEqual(first);
    // Two draws, those of the second step, and that of the undo.
    expect(new Set([...first, ...second, ...undo, ...messages]).size).toBe(6);
  });

  test("nor is one in an undo, which fails for it and does not hang", async () => {
    const host = await play(async (_input, step) => {
      await step.run("a", () => 1, { undo: () => step.run("back", () => 1) });
      step.fail(new Error("enough"));
    });
    expect(host.entries("undo.failed")).toMatchObject([{ step: "a", error: { code: "step_nested" } }]);
  });
});

test("a failure that the handler awaits later, or never, is on record and ends no process, in no life", async () => {
  const unhandled: unknown[] = [];
  const hear = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", hear);
  const refuse = (): never => {
    throw new NonRetryableError("no");
  };
  const numbers: Schema = {
    "~standard": { version: 1, vendor: "own", validate: () => ({ issues: [{ message: "no number" }] }) },
  };
  const host = await new Host(async (_input, step) => {
    void step.run("never", refuse);
    const later = [
      step.run("later", refuse),
      step.waitFor("number", { schema: numbers }),
      step.map("all", [1], refuse),
    ];
    await step.sleep("1 d");
    return (await Promise.allSettled(later)).map(({ status }) => status);
  })
    .signalAt(startAt, "number", "seven")
    .drive();
  const again = await host.reopen({ keep: host.journal.commits.length - 1 }).drive();
  process.off("unhandledRejection", hear);
  expect(unhandled).toEqual([]);
  for (const { output } of [host, again]) expect(output).toEqual(["rejected", "rejected", "rejected"]);
  expect(host.entries("step.failed").map(({ step }) => step)).toEqual(["never", "later", "all"]);
});

test("what step.info shows is not the handler's to change", async () => {
  const host = await play(async (_input, step) => {
    const change = (): void => void Object.assign(step.info.labels, { tier: "silver" });
    return [(await caught(change)).name, Object.isFrozen(step.info)];
  });
  expect(host.output).toEqual(["TypeError", true]);
});

describe("limits and options", () => {
  test("limit_exceeded can be caught, and counts in every replay the same", async () => {
    const flow = define(
      async (_input, step) => {
        for (let i = 0; i < 3; i++) await step.run("tool", () => i);
        const error = await caught(() => step.run("tool", () => 9));
        await step.sleep("1 d");
        return [error.code, error.step, error.attempts];
      },
      { limits: { steps: 5, perStep: { tool: 3 } } },
    );
    const host = await new Host(flow).drive();
    const refused = ["limit_exceeded", "tool#4", 0];
    expect(host.output).toEqual(refused);
    expect((await host.reopen({ keep: host.journal.commits.length - 1 }).drive()).output).toEqual(refused);
  });

  test("a run that failed by a limit repeats what it did before, whatever call was refused", async () => {
    const flow = async (_input: unknown, step: Step): Promise<void> => {
      for (const name of ["other", "tool"]) {
        await step.run(name, () => Promise.reject(new NonRetryableError("no"))).catch(() => {});
      }
      await step.sleep("tool", "1 d");
    };
    const host = await play(define(flow, { limits: { steps: 2, perStep: {} } }));
    expect(host.snapshot.error).toMatchObject({ code: "limit_exceeded", step: "tool", attempts: 0 });
    void act(host.run, "retry");
    // The sleep is no failure of the step that has its name: all that failed may have led to it.
    expect(host.entries("run.retried")).toMatchObject([{ cleared: ["other", "tool"] }]);
  });

  test("past limits.steps every call is refused", async () => {
    const host = await play(
      define(
        async (_input, step) => {
          for (;;) await step.run("a", () => 1);
        },
        { limits: { steps: 4, perStep: {} } },
      ),
    );
    expect([host.snapshot.error?.code, host.snapshot.steps.completed]).toEqual(["limit_exceeded", 4]);
  });

  test.each<[string, (step: Step) => Promise<unknown>]>([
    ["limit_exceeded", (step) => step.run("a", () => 1)],
    ["duration_invalid", (step) => step.sleep("soon")],
  ])("guarantee 4: a handler that catches %s and calls again, for ever, fails with it", async (code, call) => {
    const laps = async (_input: unknown, step: Step): Promise<void> => {
      for (;;) await call(step).catch(() => {});
    };
    const host = await play(define(laps, { limits: { steps: 4, perStep: {} } }));
    expect([host.status, host.snapshot.error?.code]).toEqual(["failed", code]);
    expect(host.reopen({ keep: host.journal.commits.length - 1 }).status).toBe("running");
    expect((await host.reopen({ keep: host.journal.commits.length - 1 }).drive()).snapshot.error?.code).toBe(code);
  });

  test("as many calls as a fan-out makes may be refused beside each other", async () => {
    const host = await play(
      define(
        async (_input, step) => {
          const calls = Array.from({ length: 50_000 }, () => step.run("a", () => 1));
          return (await Promise.allSettled(calls)).filter(({ status }) => status === "rejected").length;
        },
        { limits: { steps: 4, perStep: {} } },
      ),
    );
    expect(host.output).toBe(49_996);
  });

  test("guarantee 4: what listeners are refused is counted anew with each signal", async () => {
    let refused = 0;
    const host = await play(
      define(
        async (_input, step) => {
          step.onSignal("go", () => {
            for (let i = 0; i < 60_000; i++) step.sleep("soon").catch(() => refused++);
          });
          await step.waitFor("end");
        },
        { limits: { steps: 4, perStep: {} } },
      ),
    );
    for (const payload of ["one", "two"]) {
      signal(host.run, "go", payload);
      await host.drive();
    }
    expect([host.status, refused]).toEqual(["waiting", 120_000]);
  });

  test("a bad timeout is told with the name of what it is of", async () => {
    const message = async (handler: (step: Step) => Promise<unknown>) =>
      (await play((_input, step) => handler(step))).snapshot.error?.message;
    expect(await message((step) => step.run("a", () => 1, { timeout: "soon" }))).toMatch(
      /^the timeout of step a "soon"/,
    );
    expect(await message((step) => step.waitFor("b", { timeout: -1 }))).toMatch(/^the timeout of the wait for b -1/);
    expect(await message((step) => step.webhook("c", { timeout: "" }))).toMatch(/^the timeout of webhook c ""/);
  });

  test("what is wrong with a policy, an option or a name is told with the name of the step", async () => {
    const message = async (call: (step: Step) => Promise<unknown>) =>
      (await play((_input, step) => call(step))).snapshot.error?.message;
    expect(await message((step) => step.run("a", () => 1, { retry: { limit: -1 } }))).toMatch(/^step a: retry\.limit /);
    expect(await message((step) => step.map("b", [], () => 1, { parallel: 2 } as never))).toMatch(
      /it takes .*concurrency, tolerate, settled$/,
    );
    expect(await message((step) => step.map("b", null as never, () => 1))).toMatch(/not null$/);
    expect(await message((step) => step.run(null as never, () => 1))).toMatch(/not null$/);
    expect(await message((step) => step.sleepUntil(new Date("tomorrow")))).toMatch(
      /^step sleep: \(an invalid date\) is not/,
    );
  });

  test("a thrown response says that it is one", async () => {
    const refuse = async (): Promise<never> => await Promise.reject(new Response("no", { status: 503 }));
    const host = await play((_input, step) => step.run("a", refuse, { retry: { limit: 0 } }));
    expect(host.snapshot.error?.message).toBe("[object Response]");
  });

  test.each([["-1 s"], [-1], [""], ["soon"], [Number.NaN], [undefined], ["3 fortnights"]])(
    "the duration %j fails the run without retry",
    async (span) => {
      expect(await refusal((step) => step.sleep(span as string))).toBe("duration_invalid");
      expect(await refusal((step) => step.waitFor("x", { timeout: span ?? (null as never) }))).toBe("duration_invalid");
      expect(await refusal((step) => step.run("x", () => 1, { timeout: span ?? (null as never) }))).toBe(
        "duration_invalid",
      );
    },
  );

  test("options nobody knows are refused", async () => {
    expect(await refusal((step) => step.run("a", () => 1, { retries: 3 } as never))).toBe("options_invalid");
    expect(await refusal((step) => step.run("a", 5 as never))).toBe("options_invalid");
    expect(await refusal((step) => step.run("a", () => 1, { retry: { limit: -1 } }))).toBe("options_invalid");
    expect(await refusal((step) => step.waitFor("a", { timeuot: 1 } as never))).toBe("options_invalid");
    expect(await refusal((step) => step.waitFor("a", null as never))).toBe("options_invalid");
    expect(await refusal((step) => step.sleepUntil("tomorrow"))).toBe("duration_invalid");
  });
});
