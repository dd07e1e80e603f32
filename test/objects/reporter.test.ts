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
