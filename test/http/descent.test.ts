/** What a run's page says of the children that it waits for. */
import { expect, onTestFinished, test, vi } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import type { RunSnapshot, Waiting } from "../../src/core/run/run.ts";
import { descentsOf } from "../../src/http/pages/descent.tsx";
import { failingService } from "./service.ts";

const child = (name: string): Waiting => ({ kind: "run", name, since: 1, until: null });
const signal = (more: object = {}): Waiting => ({ kind: "signal", name: "go", since: 1, until: null, ...more });

/** Those of a run that waits for these children, where each run waits as it is told; with what was read. */
async function descend(children: readonly string[], waits: Readonly<Record<string, readonly Waiting[] | "paused">>) {
  const service = failingService(new HoldfastError("run_not_found", "no such run"));
  const seen: string[] = [];
  const read = (id: string): Promise<RunSnapshot> => {
    seen.push(id);
    const of = waits[id];
    if (of === undefined) return service.runs.read(id);
    const waiting =
      of === "paused" ? { status: "paused", waitingFor: [child("x")] } : { status: "waiting", waitingFor: of };
    return Promise.resolve({ id, ...waiting } as unknown as RunSnapshot);
  };
  const run = { waitingFor: children.map(child) } as unknown as RunSnapshot;
  const found = await descentsOf({ ...service, runs: { ...service.runs, read } }, run);
  return { seen, found: found.map(({ id, last }) => `${id} ${last?.id ?? "unknown"}`) };
}

test("the line is followed to the run that waits for something else than a child, or stands still", async () => {
  const waits = { a: [child("b")], b: [child("c"), signal({ listener: true })], c: [signal()], d: "paused" } as const;
  expect((await descend(["a", "d"], waits)).found).toEqual(["a c", "d d"]);
  expect((await descend(["a"], { a: [signal(), child("b")] })).found).toEqual(["a a"]);
});

test("it ends where a child cannot be read", async () => {
  expect((await descend(["a", "gone"], { a: [child("gone")] })).found).toEqual(["a a", "gone unknown"]);
});

test("a child that fails or hangs, or one down the line, keeps no page of its ancestors from being shown", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const service = failingService(new TypeError("nobody foresaw this"));
  const parent = { id: "parent", status: "waiting", waitingFor: [child("hangs")] } as unknown as RunSnapshot;
  const read = (id: string) => {
    if (id === "parent") return Promise.resolve(parent);
    return id === "hangs" ? new Promise<never>(() => {}) : service.runs.read(id);
  };
  const run = { waitingFor: ["fails", "hangs", "parent"].map(child) } as unknown as RunSnapshot;
  const descents = descentsOf({ ...service, runs: { ...service.runs, read } }, run);
  await vi.advanceTimersByTimeAsync(2000);
  expect(await descents).toEqual([
    { id: "fails", last: null },
    { id: "hangs", last: null },
    { id: "parent", last: parent },
  ]);
  expect(vi.getTimerCount()).toBe(0);
});

test("however many children there are and however deep the line is, few of them are read", async () => {
  const deep = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`r${index}`, [child(`r${index + 1}`)]]));
  const one = await descend(["r0"], deep);
  expect([one.found, one.seen.length]).toEqual([["r0 r7"], 8]);
  const many = await descend(["r40", "r41", "r42", "r43", "r44"], deep);
  expect([many.found.length, many.seen.length]).toEqual([3, 24]);
});
