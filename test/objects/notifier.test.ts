import { expect, test, vi } from "vitest";
import { Notifier } from "../../src/objects/outbox/notifier.ts";
import { Host } from "../engine/host.ts";

test("a notice that could not be started is due in about a second, and not whenever it is looked at", async () => {
  const warned = vi.spyOn(console, "warn").mockReturnValue();
  const { created } = new Host(() => null).run.state;
  const pendingNotices = new Map([[3, new Set(["https://orders.example.com/"])]]);
  const tried = Promise.withResolvers<void>();
  const notifier = new Notifier({
    state: { created, pendingNotices } as never,
    note: () => {},
    changed: () => tried.resolve(),
  });
  // Outside of a Worker no run is started.
  expect([notifier.attend(), notifier.busy]).toEqual([null, true]);
  await tried.promise;
  const dueAt = notifier.attend();
  expect(notifier.busy).toBe(false);
  expect(dueAt).toBeGreaterThan(Date.now());
  expect(dueAt).toBeLessThan(Date.now() + 1500);
  warned.mockRestore();
});
