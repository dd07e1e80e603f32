/** How long somebody who asks is kept waiting, by a clock that the test turns. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Step } from "../../src/core/definition/step.ts";
import { encode } from "../../src/core/value/value.ts";
import { Queries, takeUpdate } from "../../src/objects/run/ask.ts";
import { Host } from "./host.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

async function slow(_input: never, step: Step) {
  step.query("never", () => new Promise(() => {}));
  step.update("patient", null, () => step.waitFor("go"));
  step.update("stuck", { "~standard": { version: 1, vendor: "test", validate: () => new Promise(() => {}) } }, () => 1);
  await step.waitFor("end");
}

function hosted() {
  const host = new Host(slow);
  return { host, run: host.run, keeper: { proceed: () => void host.drive() } };
}

const argument = encode(undefined, "");

test("an update that goes on after a minute is on record, and its caller is told so", async () => {
  const { host, run, keeper } = hosted();
  await host.drive();
  const answer = takeUpdate(run, keeper, { name: "patient", argument, key: "k", by: "test" });
  await host.clock.idle();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await answer).toEqual({ kind: "open", update: "update-1" });
  const again = takeUpdate(run, keeper, { name: "patient", argument, key: "k", by: "test" });
  host.run.signal({ name: "go", payload: encode("gone", ""), by: "test" });
  await host.drive();
  expect(await again).toEqual({ kind: "completed", update: "update-1", result: encode("gone", "") });
  expect(vi.getTimerCount()).toBe(0);
});

test("an update whose schema never answers is not taken, then or later", async () => {
  const { host, run, keeper } = hosted();
  await host.drive();
  const answer = takeUpdate(run, keeper, { name: "stuck", argument, by: "test" }).catch((error: unknown) => error);
  await host.clock.idle();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await answer).toMatchObject({ code: "update_not_found" });
  expect(host.entries("update.accepted")).toEqual([]);
});

test("a query that is not answered within ten seconds is given up", async () => {
  const { host, run } = hosted();
  await host.drive();
  const answer = new Queries().answer(() => run, "never").catch((error: unknown) => error);
  await host.clock.idle();
  await vi.advanceTimersByTimeAsync(9_999);
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(await answer).toMatchObject({ code: "query_timeout" });
  expect(vi.getTimerCount()).toBe(0);
});

test("a run is replayed for one query at a time, and none waits for the answer of another", async () => {
  let [now, most] = [0, 0];
  const host = new Host(async (_input: never, step: Step) => {
    most = Math.max(most, ++now);
    await Promise.all([step.run("a", () => 1), step.run("b", () => 2)]);
    now--;
    step.query("never", () => new Promise(() => {}));
    step.query("name", () => "its answer");
    await step.waitFor("end");
  });
  await host.drive();
  const queries = new Queries();
  const ask = (name: string): Promise<unknown> => queries.answer(() => host.run, name).catch((error: unknown) => error);
  const stuck = Promise.all(Array.from({ length: 4 }, () => ask("never")));
  const answer = { kind: "answered", result: encode("its answer", "") };
  const given = await Promise.all(Array.from({ length: 10 }, () => ask("name")));
  expect(given).toEqual(given.map(() => answer));
  expect([now, most]).toEqual([0, 1]);
  await vi.advanceTimersByTimeAsync(10_000);
  for (const error of await stuck) expect(error).toMatchObject({ code: "query_timeout" });
  expect(vi.getTimerCount()).toBe(0);
});

test("a run is not replayed for queries whose time was over in line", async () => {
  const { host, run } = hosted();
  await host.drive();
  // A replay that takes longer.
  vi.spyOn(host.clock, "turn").mockImplementation(() => new Promise(() => {}));
  const find = vi.fn(() => run);
  const queries = new Queries();
  const asked = Promise.all(
    Array.from({ length: 5 }, () => queries.answer(find, "never").catch((error) => error.code)),
  );
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await asked).toEqual(Array(5).fill("query_timeout"));
  expect(find).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});
