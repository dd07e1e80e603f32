import { afterEach, expect, test, vi } from "vitest";
import { Reporter } from "../../src/objects/outbox/reporter.ts";
import { Host } from "../engine/host.ts";

afterEach(() => {
  vi.useRealTimers();
});

test("a run that is at work is to be listed within a second of its start", () => {
  // No time passes between what it asks for and when.
  vi.useFakeTimers({ toFake: ["Date"] });
  const host = new Host(async (_input, step) => await step.run("work", () => new Promise(() => {})));
  const { run } = host;
  run.append({ kind: "run.started", deployment: "one" });
  const reporter = new Reporter({
    run,
    receive: async () => ({ ok: true, value: { duplicate: false } }),
    safe: async () => {},
    changed: () => {},
    reported: () => {},
  });
  const dueAt = reporter.attend(true);
  expect(dueAt).toBeGreaterThan(Date.now());
  expect(dueAt).toBeLessThan(Date.now() + 1000);
});

test("a report that failed is due in about a second, and not whenever the run is looked at; the next one later", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const warned = vi.spyOn(console, "warn").mockReturnValue();
  const { run } = new Host(() => null);
  let told = Promise.withResolvers<void>();
  const reporter = new Reporter({
    run,
    receive: async () => ({ ok: true, value: { duplicate: false } }),
    safe: async () => {},
    changed: () => told.resolve(),
    reported: () => {},
  });
  const fail = async (): Promise<number> => {
    told = Promise.withResolvers();
    // Outside of a Worker there is no directory.
    expect([reporter.attend(false), reporter.busy]).toEqual([null, true]);
    await told.promise;
    const dueAt = reporter.attend(false) ?? 0;
    expect([reporter.attend(true), reporter.busy]).toEqual([dueAt, false]);
    return dueAt - Date.now();
  };
  for (const meanMs of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    const pauseMs = await fail();
    expect(pauseMs).toBeGreaterThan(0.79 * meanMs);
    expect(pauseMs).toBeLessThan(1.21 * meanMs);
    vi.setSystemTime(Date.now() + Math.ceil(pauseMs));
  }
  // A clock that was set back does not put it off by more than the longest pause.
  await fail();
  vi.setSystemTime(Date.now() - 3_600_000);
  told = Promise.withResolvers();
  expect([reporter.attend(false), reporter.busy]).toEqual([null, true]);
  await told.promise;
  warned.mockRestore();
});
