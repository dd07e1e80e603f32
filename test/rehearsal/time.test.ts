/** Virtual time: what passes it, what does not, and what goes on in real time meanwhile. */
import { defineWorkflow } from "holdfast";
import type { Step } from "holdfast";
import { RehearsalError, hang, rehearse } from "holdfast/testing";
import { expect, test, vi } from "vitest";

const flow = <Output>(handler: (input: unknown, step: Step) => Promise<Output>, options: object = {}) =>
  defineWorkflow("flow", { handler, ...options });

const later = <Value>(value: Value, ms = 20) =>
  new Promise<Value>((resolve) => {
    setTimeout(() => resolve(value), ms);
  });

test("time stands still until it is told to pass, and passes deadline by deadline", async () => {
  const seen: number[] = [];
  const naps = flow(async (_input, step) => {
    for (const duration of ["1 h", "2 days", "90 s"] as const) {
      await step.sleep(duration);
      seen.push(step.now());
    }
    return step.now();
  });
  const run = await rehearse(naps);
  const start = Date.UTC(2026, 0, 5, 9);
  expect([run.status, run.now.getTime(), seen]).toEqual(["waiting", start, []]);
  await run.skip("59 minutes");
  expect(seen).toEqual([]);
  await run.skip("3 days");
  expect(seen.slice(0, 2)).toEqual([start + 3_600_000, start + 3_600_000 + 2 * 86_400_000]);
  expect(run.now.getTime()).toBe(start + 3 * 86_400_000 + 59 * 60_000);
  expect([run.status, run.output]).toEqual(["completed", start + 3_600_000 + 2 * 86_400_000 + 90_000]);
});

test("retries are made as time passes; a step that hangs comes to its timeout", async () => {
  const poor = flow(async (_input, step) => {
    const found = await step.run("look", ({ attempt }) => (attempt < 3 ? Promise.reject(new Error("503")) : attempt));
    const slow = await step
      .run("slow", () => "never called", { timeout: "30 s", retry: { limit: 1, delay: "1 h" } })
      .catch((error: { code: string; attempts: number }) => [error.code, error.attempts]);
    return { found, slow };
  });
  const run = await rehearse(poor, undefined, { steps: { slow: hang } });
  expect(run.waitingFor).toMatchObject([{ kind: "retry", name: "look", error: "503" }]);
  expect(await run.result()).toEqual({ found: 3, slow: ["step_timeout", 2] });
  expect(run.now.getTime() - Date.UTC(2026, 0, 5, 9)).toBeGreaterThan(3_000_000);
});

test("what steps do in real time is waited for, and takes no virtual time", async () => {
  const real = flow(async (_input, step) => {
    const [a, b] = await Promise.all([step.run("a", () => later("a")), step.run("b", () => later("b", 5))]);
    return [a, b, step.now()];
  });
  const run = await rehearse(real, undefined, { startAt: "2026-03-01T00:00:00Z" });
  expect(run.output).toEqual(["a", "b", Date.UTC(2026, 2, 1)]);
});

test("a step that takes too long in real time is named", async () => {
  const slow = flow((_input, step) => step.run("upload", () => later(1, 60_000)));
  await expect(rehearse(slow, undefined, { patience: 40 })).rejects.toThrow(/step upload took more than 40 ms/);
});

test("a handler's own moments are waited for", async () => {
  const own = flow(async (_input, step) => {
    await later(null, 3);
    return await step.run("one", () => 1);
  });
  expect((await rehearse(own)).output).toBe(1);
});

test("what a handler awaits besides its steps is waited for as long as a step is, and named if it takes longer", async () => {
  const own = (ms: number) =>
    flow(async (_input, step) => {
      await later(null, ms);
      const one = await step.run("one", () => 1);
      await later(null, ms);
      return one;
    });
  expect((await rehearse(own(80))).output).toBe(1);
  const slow = rehearse(own(60_000), undefined, { patience: 40 });
  await expect(slow).rejects.toThrow(/what the handler of flow awaits besides its steps took more than 40 ms/);
});

test("a schema that takes its time is waited for, takes no virtual time, and is named if it takes longer", async () => {
  const judged = (ms: number) =>
    flow(async (_input, step) => {
      const validate = (value: unknown) => later({ value: value as string }, ms);
      const schema = { "~standard": { version: 1 as const, vendor: "test", validate } };
      const beside = step.sleep("10 s");
      const go = await step.waitFor("go", { schema });
      await beside;
      return [go, step.now()];
    });
  const run = await rehearse(judged(80));
  await run.signal("go", "x");
  expect(await run.result()).toEqual(["x", Date.UTC(2026, 0, 5, 9) + 10_000]);
  expect(run.history.find(({ kind }) => kind === "signal.consumed")).toMatchObject({ value: "x" });
  const slow = await rehearse(judged(60_000), undefined, { patience: 40 });
  await expect(slow.signal("go", "x")).rejects.toThrow(/a schema of flow took more than 40 ms/);
});

test("a cancelled handler that awaits something of its own is given up in virtual time", async () => {
  const lost = await rehearse(flow((_input, step) => step.sleep("1 day").catch(() => new Promise(() => {}))));
  await lost.cancel();
  await lost.end();
  expect([lost.status, lost.history.at(-1)?.["givenUp"]]).toEqual(["cancelled", true]);
});

test("false timers of the test's own do not stop it", async () => {
  vi.useFakeTimers();
  try {
    const run = await rehearse(flow(async (_input, step) => step.sleep("1 day")));
    await run.end();
    expect(run.status).toBe("completed");
  } finally {
    vi.useRealTimers();
  }
});

test("a run that never ends by itself says what it waits for; one that wakes for ever says so", async () => {
  const patient = await rehearse(flow((_input, step) => step.waitFor("go")));
  await expect(patient.end()).rejects.toThrow(/run rehearsal does not end by itself: waiting for signal go since/);
  await expect(patient.end()).rejects.toThrow(RehearsalError);
  await patient.signal("go", 5);
  expect(await patient.result()).toBe(5);
  const endless = await rehearse(
    flow(async (_input, step) => {
      await step.sleep("1 day");
      return await step.continueAsNew();
    }),
  );
  await expect(endless.end()).rejects.toThrow(/has woken 10000 times and goes on/);
  await endless.skip("3 days");
  expect(endless.history[0]).toMatchObject({ kind: "run.created", seq: expect.any(Number) });
});

test("the timeout of the run, its bail and its failure are what end() comes to, and result() throws", async () => {
  const slow = await rehearse(flow((_input, step) => step.waitFor("go"), { timeout: "2 days" }));
  await slow.end();
  expect([slow.status, slow.error?.code]).toEqual(["failed", "run_timeout"]);
  await expect(slow.result()).rejects.toMatchObject({ code: "run_timeout" });
});
