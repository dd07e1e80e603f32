/** Deaths: that a good workflow comes to the same, and that each way to write a bad one is found. */
import { defineWorkflow } from "holdfast";
import type { Step } from "holdfast";
import { rehearse } from "holdfast/testing";
import { expect, test } from "vitest";
import * as z from "zod";

const flow = <Output>(handler: (input: unknown, step: Step) => Promise<Output>, options: object = {}) =>
  defineWorkflow("flow", { handler, ...options });

test("guarantee 2: what was done is not done again, what was under way is, with the same key", async () => {
  const paid = new Map<string, number>();
  const pay = (key: string) => paid.set(key, (paid.get(key) ?? 0) + 1).size;
  const shop = flow(async (_input, step) => {
    const [a, b] = await Promise.all([
      step.run("a", ({ idempotencyKey }) => void pay(idempotencyKey)),
      step.run("b", ({ idempotencyKey }) => void pay(idempotencyKey)),
    ]);
    await step.sleep("1 day");
    const won = await step.race({ go: () => step.waitFor("go"), late: () => step.sleep("late", "2 days") });
    await step.run("c", ({ idempotencyKey }) => void pay(idempotencyKey));
    return [a, b, won.key, step.uuid()];
  });
  const run = await rehearse(shop);
  await run.skip("2 days");
  await run.signal("go");
  expect(run.output).toMatchObject([undefined, undefined, "go", expect.any(String)]);
  const { deaths } = await run.crashEverywhere();
  expect(deaths).toBeGreaterThan(8);
  // A bank that honours keys has three payments, however often it was asked.
  expect(paid.size).toBe(3);
  expect(Math.max(...paid.values())).toBeGreaterThan(1);
});

test("what a retry does again because it was undone is no step that was done again", async () => {
  const paid = new Set<string>();
  const shop = flow(async (_input, step) => {
    await step.run("charge", ({ idempotencyKey }) => void paid.add(idempotencyKey), { undo: () => "refund" });
    await step.run("ship", () => Promise.reject(new Error("no carrier")), { retry: { limit: 0 } });
  });
  const run = await rehearse(shop);
  await run.retry();
  expect(run.status).toBe("failed");
  await run.crashEverywhere();
  // The payment that was given back, and the one that took its place.
  expect(paid.size).toBe(2);
});

test("the old side of a change is taken in every life where the rehearsal says so, of a child as well", async () => {
  const sides = async (_input: unknown, step: Step): Promise<boolean[]> => {
    const one = step.patched("one");
    await step.run("between", () => 1);
    return [one, step.patched("two")];
  };
  const child = defineWorkflow("child", { handler: sides });
  const parent = defineWorkflow("parent", {
    handler: async (input: undefined, step) => [await sides(input, step), await step.invoke(child, null)],
  });
  const children = { child: { patches: { two: false } } };
  const run = await rehearse(parent, undefined, { patches: { one: false, two: true }, children });
  expect(await run.result()).toEqual([
    [false, true],
    [true, false],
  ]);
  await run.crashEverywhere();
  const mistyped = rehearse(child, null, { patches: { tow: false } });
  await expect(mistyped).rejects.toThrow(
    'patches: "tow": the run has completed and never came to it; its patches were: one, two',
  );
  await expect(rehearse(child, null, { patches: { one: 0 } as never })).rejects.toThrow("must be true or false");
});

test("a change behind patched is taken in every life: a rehearsal knows no other code", async () => {
  const changed = flow(async (_input, step) => {
    const parts = Promise.all([1, 2, 3].map((n) => step.run("part", async () => await Promise.resolve(n))));
    const sides: unknown[] = [await parts, step.patched("a")];
    const won = await step.race({ go: () => step.waitFor("go"), nap: () => step.sleep("1 h") });
    sides.push(won.key, step.patched("b"));
    await step.run("late", () => 1);
    return [...sides, step.patched("c")];
  });
  const run = await rehearse(changed);
  await run.end();
  expect(run.output).toEqual([[1, 2, 3], true, "nap", true, true]);
  await run.crashEverywhere();
});

test("a run that has not ended is compared where it stands", async () => {
  const run = await rehearse(flow(async (_input, step) => [await step.run("a", () => 1), await step.waitFor("go")]));
  await run.crashEverywhere();
  await run.crash();
  expect(run.waitingFor).toMatchObject([{ kind: "signal", name: "go" }]);
  await run.signal("go", 2);
  expect(run.output).toEqual([1, 2]);
  await run.crashEverywhere();
});

test("a handler that looks at the world comes to something else, and is told after which commit", async () => {
  let world = 0;
  const run = await rehearse(
    flow(async (_input, step) => {
      const seen = ++world;
      await step.run("a", () => 1);
      return seen;
    }),
  );
  await expect(run.crashEverywhere()).rejects.toThrow(
    /after commit 1 of 3 \(.*began\), it came to something else: output: 2 instead of 1$/,
  );
});

test.each([
  [
    "another deadline",
    (world: number, step: Step) => step.sleep(world * 3_600_000),
    /waitingFor\[0\]\.until: Date\(.*\) instead of Date\(/,
  ],
  [
    "another progress",
    (world: number, step: Step) => (step.progress({ seen: world }), step.waitFor("go")),
    /progress\.seen: 2 instead of 1$/,
  ],
])("%s is something else as well", async (_what, wait, told) => {
  let world = 0;
  const run = await rehearse(flow((_input, step) => wait(++world, step)));
  await expect(run.crashEverywhere()).rejects.toThrow(told);
});

test("a handler that asks for other steps when it is run again is found", async () => {
  let lives = 0;
  const run = await rehearse(
    flow(async (_input, step) => {
      await step.run(`a${++lives}`, () => 1);
      await step.sleep("1 day");
      return 1;
    }),
  );
  await run.end();
  await expect(run.crashEverywhere()).rejects.toThrow(
    /after commit 2 of 5 \(a1: .*, the handler did not do what it had done: .*step a3/,
  );
});

test("a handler that keeps its place outside of the run is found", async () => {
  let done = false;
  const run = await rehearse(
    flow(async (_input, step) => {
      if (!done) await step.run("once", () => 1);
      done = true;
      await step.sleep("1 day");
      return 1;
    }),
  );
  await run.end();
  await expect(run.crashEverywhere()).rejects.toThrow(/when the process died after commit/);
});

test("what is compared can be chosen: a step that answers otherwise each time is no fault then", async () => {
  let tokens = 0;
  const run = await rehearse(flow((_input, step) => step.run("token", () => ++tokens)));
  await expect(run.crashEverywhere()).rejects.toThrow(/came to something else/);
  await run.crashEverywhere({ compare: ({ status }) => status });
});

test("deaths within a step that runs at most once are left out", async () => {
  const run = await rehearse(flow((_input, step) => step.run("once", () => 1, { atMostOnce: true })));
  expect(run.output).toBe(1);
  const { deaths } = await run.crashEverywhere();
  expect(deaths).toBe(3);
});

test("a run that goes on as new, and one that sleeps among deaths of its own", async () => {
  const loop = defineWorkflow("loop", {
    handler: async (n: number, step) => {
      await step.run("work", () => n);
      await step.sleep("1 h");
      if (n < 3) return await step.continueAsNew(n + 1);
      return `done ${n}`;
    },
  });
  const run = await rehearse(loop, 1);
  await run.crash();
  await run.skip("90 minutes");
  await run.crash();
  expect(await run.result()).toBe("done 3");
  await run.crashEverywhere();
});

test("an update that its own function refused may be refused again, whenever the process dies", async () => {
  const guarded = flow(async (_input, step) => {
    step.update("add", z.number(), async (n) => {
      if (n === 0) await step.run("check", () => 1);
      if (n <= 0) throw new RangeError(`${n} is not above 0`);
      return n;
    });
    return await step.waitFor("go");
  });
  const run = await rehearse(guarded);
  await expect(run.update("add", -1)).rejects.toThrow("-1 is not above 0");
  await expect(run.update("add", 0)).rejects.toThrow("0 is not above 0");
  expect(await run.update("add", 1)).toBe(1);
  await run.signal("go", 5);
  expect(run.output).toBe(5);
  expect((await run.crashEverywhere()).deaths).toBeGreaterThan(3);
});

test("an update that is refused only after a death is found", async () => {
  let calls = 0;
  const moody = flow(async (_input, step) => {
    step.update("add", undefined, () => {
      if (++calls > 1) throw new Error("once only");
    });
    return await step.waitFor("go");
  });
  const run = await rehearse(moody);
  await run.update("add");
  await expect(run.crashEverywhere()).rejects.toThrow(/when the process died after commit .*: once only/);
});

test("what differs is shown where it does, whatever it is and however far in", async () => {
  const long = "x".repeat(500);
  const outputs: readonly (readonly [(life: number) => unknown, string])[] = [
    [(life) => new Map([["k", life]]), 'output.get("k"): 2 instead of 1'],
    [(life) => ({ a: new Set(["s", life]) }), "output.a (what only one has): Set {2} instead of Set {1}"],
    [(life) => ({ all: Array.from({ length: 200 }), last: life }), "output.last: 2 instead of 1"],
    [
      (life) => [{ "a b": `${long}${life}` }],
      `output[0]["a b"]: …"${"x".repeat(20)}2" instead of …"${"x".repeat(20)}1"`,
    ],
    [(life) => new Date(life), "output: Date(1970-01-01T00:00:00.002Z) instead of Date(1970-01-01T00:00:00.001Z)"],
    [(life) => (life === 1 ? [1] : [1, new Map([[1n, null]])]), "output[1]: Map {1n => null} instead of nothing"],
    [(life) => (life === 1 ? null : { a: [undefined] }), 'output: {"a": [undefined]} instead of null'],
  ];
  for (const [output, shown] of outputs) {
    let lives = 0;
    const run = await rehearse(
      flow(async (_input, step) => {
        const life = ++lives;
        await step.run("a", () => 1);
        return output(life);
      }),
    );
    const told = await run.crashEverywhere().catch((error: Error) => error.message);
    expect(String(told).split("something else: ")[1]).toBe(shown);
  }
});

test("an error that only one of two lives came to is told apart from none", async () => {
  let lives = 0;
  const run = await rehearse(
    flow(async (_input, step) => {
      const life = ++lives;
      await step.run("a", () => 1);
      if (life > 1) throw new Error("late");
    }),
  );
  const compare = ({ error }: { error: Error | null }) => ({ error });
  await expect(run.crashEverywhere()).rejects.toThrow(/: error: \{.*"message": "late".*\} instead of null$/);
  await expect(run.crashEverywhere({ compare })).rejects.toThrow(/error: \w+\("late"\) instead of null/);
});

test("state in the module outlives a rehearsed death, as docs/testing.md says, unless a stand-in resets it", async () => {
  const memo = new Map<string, number>();
  const careless = flow(async (_input, step) => {
    await step.run("load", () => void memo.set("rate", 2));
    await step.sleep("1 day");
    return memo.get("rate") ?? null;
  });
  const hidden = await rehearse(careless);
  await hidden.crash();
  expect(await hidden.result()).toBe(2);
  await hidden.crashEverywhere();
  memo.clear();
  const run = await rehearse(careless, undefined, { steps: { load: () => memo.clear() } });
  expect(await run.result()).toBe(null);
});
