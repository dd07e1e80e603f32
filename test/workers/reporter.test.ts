/** The pauses between the reports of a run to its shard, which has taken the first. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Glance } from "../../src/core/run/snapshot.ts";
import { Reporter } from "../../src/objects/outbox/reporter.ts";
import { Host } from "../engine/host.ts";
import { newId } from "./client.ts";

const signal = { kind: "signal", name: newId("never-sent"), since: 0, until: null } as const;

let reporter: Reporter;
/** What the run looks like from now on. */
let changed: Partial<Glance>;
let sent: PromiseWithResolvers<void>;

/** Expects that a report is sent at once, and waits until it was. */
async function sends(): Promise<void> {
  sent = Promise.withResolvers();
  expect([reporter.attend(false), reporter.busy]).toEqual([null, true]);
  await sent.promise;
}

beforeEach(async () => {
  // The clock stands, so that a machine which stands still makes nothing due.
  vi.useFakeTimers({ toFake: ["Date"] });
  const { run } = new Host(async (_input, step) => await step.run("work", () => new Promise(() => {})));
  run.append({ kind: "run.started", deployment: "one" });
  changed = { status: "running" };
  reporter = new Reporter({
    run: {
      state: run.state,
      glance: () => ({ ...run.glance(), ...changed }),
      snapshot: () => ({ ...run.snapshot(), ...changed }),
    },
    receive: async () => ({ ok: true, value: { duplicate: false } }),
    safe: async () => {},
    changed: () => sent.resolve(),
    reported: () => {},
  });
  await sends();
  expect([reporter.attend(false), reporter.attend(true), reporter.busy]).toEqual([null, null, false]);
});

afterEach(() => void vi.useRealTimers());

it("what is parked anew is reported half a second after the last report", () => {
  const at = Date.now();
  changed = { status: "running", updatedAt: at + 7 };
  expect([reporter.attend(false), reporter.busy]).toEqual([at + 500, false]);
});

it("a signal that a parked run waits for is reported at once: until then no broadcast reaches it", async () => {
  changed = { status: "waiting", waitingFor: [{ ...signal, since: Date.now() }] };
  await sends();
});

it("one that a busy run waits for is reported a quarter of a second later, unless it is parked before", () => {
  const since = Date.now() + 100;
  changed = { status: "running", waitingFor: [{ ...signal, since }] };
  expect(reporter.attend(true)).toBe(since + 250);
});

it("a busy run that is still listed as it is changes nothing, and is not reported", () => {
  changed = { status: "running", updatedAt: Date.now() + 7 };
  expect([reporter.attend(true), reporter.busy]).toEqual([null, false]);
});

it("a busy run is listed with another status for a second, which looking again does not put off", () => {
  const at = Date.now();
  changed = { status: "paused" };
  expect(reporter.attend(true)).toBe(at + 1000);
  vi.setSystemTime(at + 2);
  expect(reporter.attend(true)).toBe(at + 1000);
  // Parked in between, it is not late any more.
  reporter.attend(false);
  vi.setSystemTime(at + 4);
  expect(reporter.attend(true)).toBe(at + 1004);
});
