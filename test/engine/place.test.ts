/** What the runtime carries along with an author's code, as an AsyncLocalStorage of theirs holds it. */
import { AsyncLocalStorage } from "node:async_hooks";
import { expect, test } from "vitest";
import type { Step } from "../../src/core/definition/step.ts";
import { decode, encode } from "../../src/core/value/value.ts";
import { receiveUpdate } from "../../src/engine/ask/update.ts";
import type { Run } from "../../src/engine/run.ts";
import { Host, play, signal } from "./host.ts";
import { need, LaneSimulation } from "./simulation.ts";

const tenant = new AsyncLocalStorage<string>();

/** A step for each tenant, whose function says whom it works for. */
function forEach(work: (step: Step, name: string) => Promise<unknown>) {
  const names = ["ann", "ben", "cem"];
  return async (_input: unknown, step: Step) =>
    await Promise.all(names.map((name) => tenant.run(name, () => work(step, name))));
}

test.for([
  ["throws at once", () => Promise.reject(new Error("not yet"))],
  ["throws without a promise", () => refuse()],
  ["fails after a while", async (host: Host) => host.clock.after(5).then(refuse)],
  ["takes too long", async () => await new Promise(() => {})],
] as const)("a step that %s is called again where it was called, and so is its policy", async ([, fails]) => {
  const asked: unknown[] = [];
  const host: Host = new Host(
    forEach((step) => {
      const work = (attempt: number): unknown => (attempt < 3 ? fails(host) : tenant.getStore());
      const retry = (): number => asked.push(tenant.getStore());
      return step.run("work", ({ attempt }) => work(attempt), { retry, timeout: "1 m" });
    }),
  );
  await host.drive();
  expect(host.output).toEqual(["ann", "ben", "cem"]);
  expect(new Set(asked)).toEqual(new Set(["ann", "ben", "cem"]));
});

test("a step that is put on record before it begins, begins where it was called", async () => {
  const host = await play(forEach((step) => step.run("work", () => tenant.getStore(), { atMostOnce: true })));
  expect(host.output).toEqual(["ann", "ben", "cem"]);
});

test("a step begins where it was called, whenever the process dies", async () => {
  const flow = forEach(async (step, name) => {
    const first = await step.run(`first ${name}`, () => tenant.getStore());
    await step.sleep("1 h");
    return [first, await step.run(`second ${name}`, () => tenant.getStore())];
  });
  const host = await play(flow);
  const told = ["ann", "ben", "cem"].map((name) => [name, name]);
  expect(host.output).toEqual(told);
  for (let keep = 1; keep < host.journal.commits.length; keep++)
    expect((await host.reopen({ keep }).drive()).output, `after commit ${keep}`).toEqual(told);
});

test("a step that had to wait for its slot begins where it was called", async () => {
  const simulation = new LaneSimulation();
  const flow = forEach((step) => step.run("work", () => tenant.getStore()));
  const { run } = simulation.add("a", flow, [need("work", 1, { scope: "step" })]);
  await simulation.drive();
  const { output } = run.snapshot();
  expect(output === null ? null : decode(output)).toEqual(["ann", "ben", "cem"]);
});

test("a step is undone where it was called, in every attempt", async () => {
  const undone: unknown[] = [];
  const host = await play(async (_input, step) => {
    await forEach((each) =>
      each.run("work", () => {}, {
        undo: (_result, { attempt }) => {
          undone.push(tenant.getStore());
          if (attempt === 1) refuse();
        },
      }),
    )(null, step);
    step.fail(new Error("enough"));
  });
  expect(host.status).toBe("failed");
  expect(undone).toEqual(["cem", "cem", "ben", "ben", "ann", "ann"]);
});

test("guarantee 3: the functions of messages are called where they were registered, in every life", async () => {
  const heard: unknown[] = [];
  const host = new Host(async (_input, step) => {
    await forEach(async (each, name) => {
      each.query(`of ${name}`, () => tenant.getStore());
      each.update(`for ${name}`, null, async () => [
        tenant.getStore(),
        await each.run("work", () => tenant.getStore()),
      ]);
      each.onSignal(`to ${name}`, () => void heard.push(tenant.getStore()));
    })(null, step);
    await step.waitFor("end");
  });
  await host.drive();
  const ask = async (run: Run): Promise<unknown> => {
    const answers = [];
    for (const name of ["ann", "ben"]) {
      const request = { name: `for ${name}`, argument: encode(null, ""), by: "test" };
      answers.push(await (await receiveUpdate(run, request, () => true)).end);
    }
    return answers;
  };
  const answers = tenant.run("whoever asks", () => ask(host.run));
  await host.drive();
  const told = (name: string) => expect.objectContaining({ result: encode([name, name], "") });
  expect(await answers).toEqual([told("ann"), told("ben")]);
  tenant.run("whoever signals", () => ["ann", "cem"].map((name) => signal(host.run, `to ${name}`, 1)));
  await host.drive();
  const again = host.reopen({ cold: false });
  await tenant.run("whoever wakes it", () => again.drive());
  expect(heard).toEqual(["ann", "cem", "ann", "cem"]);
  const answer = await tenant.run("whoever asks", () => again.run.replica().answer("of ben"));
  expect(answer).toEqual({ kind: "answered", result: encode("ben", "") });
});

function refuse(): never {
  throw new Error("not yet");
}
