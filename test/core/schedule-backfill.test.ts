/** Slots of the past: which they are, in which order they start, and what a failure does. */
import { describe, expect, test } from "vitest";
import * as backfill from "../../src/core/schedule/backfill.ts";
import type { Backfill } from "../../src/core/schedule/backfill.ts";
import { cronOf } from "../../src/core/schedule/cron.ts";
import { createRandom } from "../../src/core/random.ts";
import { firingRunId } from "../../src/core/schedule/schedule.ts";

const hourMs = 3_600_000;
const noon = Date.UTC(2026, 0, 1, 12);
const now = Date.UTC(2026, 6, 1);

function open(change: Partial<Parameters<typeof backfill.openBackfill>[0]> = {}): Backfill {
  const range = { fromAt: noon, untilAt: noon + 3 * hourMs, firings: 3 };
  const rule = { schedule: "nightly", cron: "0 * * * *", timezone: "UTC" };
  return backfill.openBackfill({ ...rule, ...range, overlap: "allow-all", by: "admin", ...change });
}

/** Starts everything, one after the other; runs end as soon as they are asked for. */
function play(from: Backfill): number[] {
  const slots: number[] = [];
  let one = from;
  while (!backfill.isDone(one)) {
    one = backfill.take(one, now);
    if (one.starting === null) continue;
    const { slotAt, runId } = one.starting;
    slots.push(slotAt);
    one = backfill.ended(backfill.begun(one, runId, now), runId);
  }
  expect([one.started, one.firings]).toEqual([slots.length, slots.length]);
  return slots;
}

describe("guarantee 6: a backfill starts each slot of its range once", () => {
  test("from its beginning, up to its end and not at it", () => {
    expect(play(open())).toEqual([noon, noon + hourMs, noon + 2 * hourMs]);
  });

  test.each(Array.from({ length: 20 }, (_, seed) => seed))("as many as were counted, seed %i", (seed) => {
    const random = createRandom(`backfill ${seed}`);
    const pick = <Value>(from: readonly Value[]): Value => from[Math.floor(random.next() * from.length)] as Value;
    const [cron, spanMs] = pick([
      ["*/7 * * * *", 8 * hourMs],
      ["30 2 * * *", 90 * 24 * hourMs],
      ["0 * * * *", 60 * hourMs],
      ["15,45 */3 * * 1-5", 200 * hourMs],
    ] as const);
    const timezone = pick(["UTC", "America/New_York", "Australia/Lord_Howe", "America/Nuuk"]);
    const fromAt = Date.UTC(2026, 2, 1) + Math.floor(random.next() * 60 * 24 * hourMs);
    const untilAt = fromAt + Math.floor(random.next() * spanMs);
    const parsed = cronOf({ cron, timezone });
    let firings = 0;
    for (let nextAt = fromAt; nextAt < untilAt;) {
      const counted = backfill.countSlots(parsed, nextAt, untilAt, 7);
      firings += counted.count;
      nextAt = counted.nextAt;
    }
    const slots: number[] = [];
    for (let at = parsed.next(fromAt - 1); at !== null && at < untilAt; at = parsed.next(at)) slots.push(at);
    const overlap = pick(["allow-all", "buffer-all"] as const);
    expect(play(open({ cron, timezone, fromAt, untilAt, firings, overlap }))).toEqual(slots);
    expect(firings).toBe(slots.length);
  });

  test("a start that was taken is owed until it is known what became of it", () => {
    const taken = backfill.take(open(), now);
    expect(taken).toMatchObject({ nextAt: noon + 1, starting: { slotAt: noon, runId: firingRunId("nightly", noon) } });
    expect(backfill.take(taken, now)).toBe(taken);
    expect(backfill.isDue(taken, now)).toBe(false);
    expect(backfill.isDue(taken, now + 1_000)).toBe(true);
    expect(backfill.begun(taken, "another", now)).toBe(taken);
  });
});

describe("buffer-all", () => {
  const id = firingRunId("nightly", noon);
  const running = backfill.begun(backfill.take(open({ overlap: "buffer-all" }), now), id, now);

  test("waits for the run before, and asks for it later and later", () => {
    expect(running).toMatchObject({ running: id, started: 1, checkAt: now + 1_000 });
    expect(backfill.take(running, now)).toBe(running);
    const checked = backfill.checked(backfill.checked(running, now), now);
    expect(checked.checkAt).toBe(now + 2_000);
    expect(backfill.dueAt(checked, now)).toBe(now + 2_000);
    expect(backfill.take(backfill.ended(checked, id), now).starting).toMatchObject({ slotAt: noon + hourMs });
  });

  test("a run that ends before its start is answered is not waited for", () => {
    const taken = backfill.take(open({ overlap: "buffer-all" }), now);
    const over = backfill.ended(taken, id);
    expect(over).toMatchObject({ starting: null, running: null, started: 1 });
    expect(backfill.begun(over, id, now)).toBe(over);
  });

  test("the end of another run is no news", () => {
    expect(backfill.ended(running, "another")).toBe(running);
  });
});

describe("a start that fails", () => {
  const id = firingRunId("nightly", noon);
  const taken = backfill.take(open(), now);

  test("is made again, later each time, for a day", () => {
    let one = taken;
    let at = now;
    const waits: number[] = [];
    for (;;) {
      const again = backfill.deferred(one, id, at);
      if (again === null) break;
      one = again;
      const { retryAt = at } = one.starting ?? {};
      waits.push(retryAt - at);
      at = retryAt;
    }
    expect(waits.slice(0, 3)).toEqual([1_000, 2_000, 4_000]);
    expect(Math.max(...waits)).toBe(300_000);
    expect(at - now).toBeGreaterThan(24 * hourMs);
  });

  test("for good is counted, and the next slot comes", () => {
    const refused = backfill.refused(taken, id);
    expect(refused).toMatchObject({ refused: 1, started: 0, starting: null });
    expect(backfill.take(refused, now).starting).toMatchObject({ slotAt: noon + hourMs });
  });
});
