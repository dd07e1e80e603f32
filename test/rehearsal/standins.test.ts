/** Stand-ins of steps, requests and children; and errors of a rehearsal. */
import { NonRetryableError, defineWorkflow } from "holdfast";
import type { Step } from "holdfast";
import { RehearsalError, hang, rehearse } from "holdfast/testing";
import { expect, test } from "vitest";
import * as z from "zod";

const flow = <Output>(handler: (input: unknown, step: Step) => Promise<Output>, options: object = {}) =>
  defineWorkflow("flow", { handler, ...options });

const inEarnest = (): never => {
  throw new NonRetryableError("in earnest");
};

test("a step is replaced by its name; its stand-in knows which one it is", async () => {
  const twice = flow(async (_input, step) => [await step.run("a", inEarnest), await step.run("a", inEarnest)]);
  const run = await rehearse(twice, undefined, {
    id: "order:7",
    steps: { a: async ({ step, attempt, idempotencyKey }) => ({ step, attempt, idempotencyKey }) },
  });
  expect(run.output).toMatchObject([
    { step: "a", attempt: 1 },
    { step: "a#2", attempt: 1 },
  ]);
  expect((run.output as { idempotencyKey: string }[])[1]?.idempotencyKey).toMatch(/^order:7:.*:a#2$/);
});

test("what it throws is judged by the step's retries", async () => {
  const poor = flow((_input, step) => step.run("a", () => 1, { retry: { limit: 2, delay: "1 h" } }));
  const run = await rehearse(poor, undefined, {
    steps: {
      a: ({ attempt }) => {
        throw new Error(`503, ${attempt}`);
      },
    },
  });
  await run.end();
  expect([run.status, run.error?.code, run.error?.message]).toEqual(["failed", "step_failed", "503, 3"]);
  const entries = run.history.filter(({ kind }) => kind === "step.attempt_failed");
  expect(entries.map(({ text }) => text)).toEqual([expect.stringContaining("attempt 1 of 3"), expect.any(String)]);
});

test("items of a map are replaced by the map's name", async () => {
  const fan = flow((_input, step) => step.map("double", [1, 2, 3], inEarnest));
  const steps = { double: ({ item, index }: { item?: unknown; index?: number }) => `${index}: ${Number(item) * 2}` };
  expect((await rehearse(fan, undefined, { steps })).output).toEqual(["0: 2", "1: 4", "2: 6"]);
});

test("what was replaced is not undone in earnest, but as it is told to be", async () => {
  const saga = flow(async (_input, step) => {
    await step.run("reserve", inEarnest, { undo: inEarnest });
    await step.run("charge", inEarnest, { undo: inEarnest });
    return step.fail(new Error("no carrier"));
  });
  const undone: unknown[] = [];
  const run = await rehearse(saga, undefined, {
    steps: { reserve: () => "r", charge: () => "c" },
    undos: { charge: ({ step, result }) => undone.push([step, result]) },
  });
  await run.end();
  expect([run.status, run.error?.undone, undone]).toEqual(["failed", ["charge", "reserve"], [["charge", "c"]]]);
  await run.crashEverywhere();
});

test("requests are answered by stand-ins, and made by nobody", async () => {
  const asking = flow(async (_input, step) => {
    const made = await step.fetch<{ id: number }>("make", {
      url: "https://api.example.com/a?b=1",
      method: "POST",
      body: { n: 1 },
    });
    const text = await step.fetch("text", "https://api.example.com/t").catch((error: { code: string }) => error.code);
    return [made.status, made.body, text];
  });
  const requests: unknown[] = [];
  const run = await rehearse(asking, undefined, {
    steps: {
      make: async ({ request, attempt }) => {
        requests.push([request?.method, request?.url, await request?.json(), request?.headers.get("idempotency-key")]);
        return attempt === 1 ? { status: 503 } : { body: { id: 7 } };
      },
      text: () => new Response("gone", { status: 404 }),
    },
  });
  expect(run.waitingFor).toMatchObject([{ kind: "retry", name: "make" }]);
  await run.end();
  expect(run.output).toEqual([200, { id: 7 }, "non_retryable"]);
  expect(requests).toEqual(
    Array.from({ length: 2 }, () => [
      "POST",
      "https://api.example.com/a?b=1",
      { n: 1 },
      expect.stringMatching(/:make$/),
    ]),
  );
  await run.crashEverywhere();
  await expect(rehearse(asking)).rejects.toThrow(/step make makes a request to https:\/\/api.example.com/);
  const hung = await rehearse(asking, undefined, { steps: { make: hang, text: hang }, lenient: true });
  await hung.end();
  expect(hung.error?.code).toBe("step_timeout");
});

const child = defineWorkflow("child", {
  input: z.object({ n: z.number() }),
  handler: async ({ n }, step) => {
    const doubled = await step.run("double", () => 2 * n);
    const extra = await step.waitFor<number>("extra");
    return doubled + extra;
  },
});

test("a child that is named by its definition runs as it is, and is a rehearsal of its own", async () => {
  const parent = flow((_input, step) => step.invoke(child, { n: 4 }));
  const run = await rehearse(parent);
  expect(run.waitingFor).toMatchObject([{ kind: "run", workflow: "child" }]);
  await run.child(child).signal("extra", 1);
  expect([run.output, run.child("child").status]).toEqual([9, "completed"]);
  await run.crashEverywhere();
  const replaced = await rehearse(parent, undefined, { children: { child: { steps: { double: () => 100 } } } });
  await replaced.child(child).signal("extra", 1);
  expect(replaced.output).toBe(101);
});

test("a whole child is replaced by what it answers, or throws", async () => {
  const parent = flow(async (_input, step) => {
    const all = await step.map("each", [{ n: 1 }, { n: 2 }], child, { settled: true });
    const named = await step.invoke("elsewhere", { to: "x" });
    return [all.map(({ status }) => status), named];
  });
  const run = await rehearse(parent, undefined, {
    children: {
      child: ({ n }: { n: number }) => (n === 1 ? "one" : Promise.reject(new Error("no"))),
      elsewhere: (input) => ({ input }),
    },
  });
  await run.end();
  expect(run.output).toEqual([["fulfilled", "rejected"], { input: { to: "x" } }]);
  expect(run.child("elsewhere").output).toEqual({ input: { to: "x" } });
  expect(() => run.child("nobody")).toThrow(/0 children of workflow nobody/);
  await run.crashEverywhere();
});

test("a child that hangs comes to the timeout of whoever waits for it; end() names it where there is none", async () => {
  const since = performance.now();
  const children = { elsewhere: hang };
  const patient = flow((_input, step) =>
    step.invoke("elsewhere", {}, { timeout: "2 days" }).catch((error: Error) => error.cause),
  );
  const run = await rehearse(patient, undefined, { children });
  expect(run.waitingFor).toMatchObject([{ kind: "run", workflow: "elsewhere" }]);
  expect(await run.result()).toMatchObject({ code: "step_timeout" });
  await run.crashEverywhere();
  const endless = await rehearse(
    flow((_input, step) => step.invoke("elsewhere", {})),
    undefined,
    { children },
  );
  await expect(endless.end()).rejects.toThrow(/does not end by itself: waiting for run .*elsewhere/);
  // No real time is waited for.
  expect(performance.now() - since).toBeLessThan(3000);
});

test("a child that nobody knows is the rehearsal's fault, not the run's", async () => {
  const parent = flow((_input, step) => step.invoke("elsewhere", {}).catch(() => "caught"));
  await expect(rehearse(parent)).rejects.toThrow(/a child of workflow elsewhere, which the rehearsal does not know/);
});

test("signals to others can be looked at; those to runs of the rehearsal arrive", async () => {
  const teller = flow(async (_input, step) => {
    await step.signal("order-7", "paid", { cents: 12 });
    await step.signal(step.info.id, "self", 1);
    return await step.waitFor("self");
  });
  const run = await rehearse(teller);
  expect([run.output, run.sent]).toEqual([1, [{ to: "order-7", name: "paid", payload: { cents: 12 } }]]);
  await run.crashEverywhere();
  expect(run.sent).toHaveLength(1);
});

test("what is waited for anew each time it is waited for is waited for once", async () => {
  let queries = 0;
  // oxlint-disable-next-line unicorn/no-thenable
  const query = { then: (done: (rows: number) => void) => void setTimeout(() => done(++queries), 5) };
  const run = await rehearse(flow((_input, step) => step.run("rows", () => query)));
  await run.end();
  expect([run.output, queries]).toEqual([1, 1]);
});

test("a stand-in that is never asked for is an error once the run has completed", async () => {
  const branch = defineWorkflow("branch", {
    input: z.object({ pay: z.boolean() }),
    handler: async ({ pay }, step) => (pay ? await step.run("charge", () => 1) : await step.run("skip", () => 2)),
  });
  const steps = { charg: () => 5 };
  await expect(rehearse(branch, { pay: true }, { steps })).rejects.toThrow(
    'steps: "charg": the run has completed and never came to it; its steps were: charge',
  );
  expect((await rehearse(branch, { pay: true }, { steps, lenient: true })).output).toBe(1);
  const failing = { charge: () => Promise.reject(new NonRetryableError("declined")), later: () => 1 };
  expect((await rehearse(branch, { pay: true }, { steps: failing })).status).toBe("failed");
  const children = { none: () => 1 };
  await expect(rehearse(branch, { pay: true }, { children })).rejects.toThrow(/"none".* were: none/);
});

test("a mistyped undo, or step of a child, is an error as well", async () => {
  const undo = () => {};
  const saga = flow(async (fails, step) => {
    await step.run("a", () => 1, { undo });
    await step.run("b", () => 1);
    return fails === true ? step.fail(new Error("no")) : 1;
  });
  for (const name of ["aa", "b"]) {
    const undos = { [name]: undo };
    await expect(rehearse(saga, false, { undos })).rejects.toThrow(`undos: "${name}": the run has completed and`);
    await expect(rehearse(saga, true, { undos })).rejects.toThrow(/the run undid steps itself .* were: a \(lenient/);
  }
  expect((await rehearse(saga, true, { undos: { a: undo } })).error?.undone).toEqual(["a"]);
  // What was to come may be among what all tests share.
  const shared = { steps: { a: () => 1 }, undos: { later: undo } };
  expect((await rehearse(saga, true, shared)).status).toBe("failed");

  const parent = flow((_input, step) => step.map("each", [{ n: 1 }], child));
  const children = { child: { steps: { dobule: () => 4 } } };
  const run = await rehearse(parent, undefined, { children });
  await expect(run.child(child).signal("extra", 1)).rejects.toThrow(
    'steps: "dobule": the children of workflow child have completed and never came to it; their steps were: double',
  );
});

test("wrong use is refused by name", async () => {
  const plain = flow(async () => 1);
  await expect(rehearse({} as typeof plain)).rejects.toThrow(/takes a workflow/);
  await expect(rehearse(plain, undefined, { step: {} } as object)).rejects.toThrow(
    /^rehearse has no option "step"; it takes steps, undos/,
  );
  await expect(rehearse(plain, undefined, { steps: { a: 1 } } as object)).rejects.toThrow(/"a" must be a function/);
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [{ step: {} }, /children: "c" has no option "step"; it takes workflow, steps, undos/],
    [{ steps: { a: 1 } }, /children: "c": steps: "a" must be a function/],
    [5, /children: "c": must be a function, or/],
  ];
  for (const [c, why] of wrong) {
    await expect(rehearse(plain, undefined, { children: { c } } as object)).rejects.toThrow(why);
  }
  const mistyped = { comapre: () => 1 } as object;
  await expect((await rehearse(plain)).crashEverywhere(mistyped)).rejects.toThrow(
    'crashEverywhere has no option "comapre"; it takes compare',
  );
  await expect(rehearse(plain, undefined, { id: "no id" })).rejects.toMatchObject({ code: "id_invalid" });
  await expect(rehearse(child, { n: "4" } as unknown as { n: number })).rejects.toMatchObject({
    code: "input_invalid",
  });
  expect(new RehearsalError("x").name).toBe("RehearsalError");
});
