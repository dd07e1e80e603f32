/** Single properties of a lane, by name. */
import { describe, expect, test } from "vitest";
import { decideClaim, startingMs, stillHolds } from "../../../src/core/lane/claim.ts";
import { Lane } from "../../../src/core/lane/lane.ts";
import { PriorityQueue } from "../../../src/core/lane/queue.ts";
import { noTerms } from "../../../src/core/lane/slot.ts";
import type { Slot } from "../../../src/core/lane/slot.ts";
import type { Ticket } from "../../../src/core/lane/ticket.ts";
import { cpuMs } from "../usage.ts";

const minuteMs = 60_000;

/** A lane that counts what it writes. */
function laneWith(slots: readonly Slot[] = []): { lane: Lane; writes: () => number } {
  let writes = 0;
  const count = (): void => void writes++;
  return {
    lane: new Lane(noTerms, slots, { put: count, drop: count, putTerms: () => undefined }),
    writes: () => writes,
  };
}

function ticket(runId: string, step: string | null = null): Ticket {
  return { runId, createdAt: 1, step };
}

function entrance(runId: string, limit: number | null, priority = 0) {
  return { ticket: ticket(runId), limit, periodMs: null, priority, hold: false };
}

function waiting(lane: Lane): string[] {
  return lane.queue(Infinity).map(({ ticket }) => ticket.runId);
}

describe("the order of the queue", () => {
  test("a unit of priority is a head start of one minute, and no more", () => {
    const { lane } = laneWith();
    lane.enter(entrance("holder", 1), 0);
    lane.enter(entrance("plain", 1), 0);
    lane.enter(entrance("favoured", 1, 1), minuteMs - 1);
    lane.enter(entrance("too late", 1, 1), minuteMs);
    lane.enter(entrance("patient", 1, -1), 0);
    expect(waiting(lane)).toEqual(["favoured", "plain", "too late", "patient"]);
  });

  test("nobody starves: who has waited longer than the head start is next", () => {
    const { lane } = laneWith();
    lane.enter(entrance("holder", 1), 0);
    lane.enter(entrance("low", 1, 0), 1);
    let holder = "holder";
    for (let round = 1; ; round++) {
      lane.enter(entrance(`high-${round}`, 1, 10), round * minuteMs);
      lane.leave(ticket(holder), round * minuteMs);
      holder = lane.holders(1)[0]?.ticket.runId ?? "";
      if (holder === "low") return expect(round).toBeLessThanOrEqual(11);
      expect(round).toBeLessThan(20);
    }
  });

  test("a priority beyond ten thousand counts as ten thousand, and what is no number as none", () => {
    const { lane } = laneWith();
    lane.enter(entrance("holder", 1), 0);
    lane.enter(entrance("first", 1, 10_000), 1);
    lane.enter(entrance("second", 1, Infinity), 2);
    lane.enter(entrance("fourth", 1, Number.NaN), 3);
    lane.enter(entrance("third", 1, 1), 3);
    expect(waiting(lane)).toEqual(["first", "second", "third", "fourth"]);
  });
});

describe("a slot", () => {
  test("that is free at once costs one written row, and one when it is given back", () => {
    const { lane, writes } = laneWith();
    lane.enter(entrance("run", 1), 0);
    expect(writes()).toBe(1);
    lane.leave(ticket("run"), 1);
    expect(writes()).toBe(2);
    lane.leave(ticket("run"), 2);
    expect(writes()).toBe(2);
  });

  test("asked for again is the same slot; a life before that of the same id has another", () => {
    const { lane } = laneWith();
    const first = lane.enter(entrance("run", 2), 0);
    expect(lane.enter(entrance("run", 2), 5)).toEqual(first);
    const other = lane.enter({ ...entrance("run", 2), ticket: { ...ticket("run"), createdAt: 2 } }, 6);
    expect([other.granted, other.turn > first.turn, lane.used]).toEqual([true, true, 2]);
  });

  test("a turn is never used twice, also not by a memory that finds nothing", () => {
    const first = laneWith().lane.enter(entrance("run", 1), 100);
    const second = laneWith().lane.enter(entrance("run", 1), 101);
    expect(second.turn).toBeGreaterThan(first.turn);
  });

  test("an answer about an older turn says nothing", () => {
    const { lane } = laneWith();
    lane.enter(entrance("holder", 1), 0);
    lane.enter(entrance("run", 1), 1);
    lane.leave(ticket("holder"), 2);
    const [slot] = lane.toNotify(2, 10);
    if (slot === undefined) throw new Error("nobody was told");
    lane.leave(ticket("run"), 3);
    lane.enter(entrance("run", 1), 4);
    lane.answered(slot, false, 5);
    lane.lost(slot, 5);
    expect(lane.holders(5).map(({ ticket }) => ticket.runId)).toEqual(["run"]);
  });

  test("as many holders are asked as can be, and the others next", () => {
    const { lane } = laneWith();
    for (const holder of ["a", "b", "c"]) lane.enter(entrance(holder, 3), 0);
    lane.enter(entrance("waits", 3), 1);
    const asked = (count: number) => lane.toCheck(minuteMs, count).map(({ ticket }) => ticket.runId);
    expect([asked(2), asked(2), asked(2)]).toEqual([["a", "b"], ["c"], []]);
  });

  test("a closed lane holds everybody and asks nobody", () => {
    const { lane } = laneWith();
    lane.enter(entrance("holder", 1), 0);
    lane.override(0, 1);
    expect(lane.enter(entrance("run", 1), 2)).toMatchObject({ granted: false, position: 1, used: 1, limit: 0 });
    expect([lane.toCheck(10 * minuteMs, 10), lane.wakeAt(10 * minuteMs)]).toEqual([[], null]);
    lane.override(null, 3);
    lane.leave(ticket("holder"), 4);
    expect(lane.enter(entrance("run", 1), 5).granted).toBe(true);
  });

  test("of a lane without a limit is always free; a limit that nobody states stays as it was", () => {
    const { lane } = laneWith();
    for (let run = 0; run < 100; run++) expect(lane.enter(entrance(`run-${run}`, null), 0).granted).toBe(true);
    expect(lane.enter(entrance("one", 100), 1).granted).toBe(false);
    expect(lane.enter(entrance("two", null), 2)).toMatchObject({ granted: false, limit: 100 });
  });

  test("goes by the code that runs here, whoever asks, and lets in whom that lets in before anybody does", () => {
    const { lane: before } = laneWith();
    for (const run of ["one", "two", "three"]) before.enter(entrance(run, 1), 0);
    const slots = [...before.holders(5), ...before.queue(5)];
    const book = { put: () => undefined, drop: () => undefined, putTerms: () => undefined };
    const raised = new Lane(before.terms, slots, book, { limit: 2, periodMs: null });
    raised.advance(1);
    expect([raised.limit, raised.used]).toEqual([2, 2]);
    expect(raised.enter(entrance("three", 1), 2)).toMatchObject({ granted: false, limit: 2 });
    expect(raised.enter(entrance("four", 9), 3)).toMatchObject({ granted: false, limit: 2 });
    raised.override(3, 4);
    expect([raised.limit, raised.used]).toEqual([3, 3]);
    const freed = new Lane(raised.terms, slots, book, { limit: null, periodMs: null });
    freed.override(null, 5);
    expect([freed.limit, freed.waiting]).toEqual([null, 0]);
  });

  test("an older override of all keys changes nothing; its own counts before theirs", () => {
    const { lane } = laneWith();
    lane.enter(entrance("run", 5), 0);
    lane.follow({ limit: 2, version: 7 }, 1);
    lane.follow({ limit: 9, version: 6 }, 2);
    expect(lane.limit).toBe(2);
    lane.override(3, 3);
    expect(lane.limit).toBe(3);
    lane.override(null, 4);
    lane.follow({ limit: null, version: 8 }, 5);
    expect(lane.limit).toBe(5);
  });
});

describe("a rate of starts", () => {
  test("refuses what is too many and says exactly when it is not", () => {
    const { lane } = laneWith();
    expect([0, 10, 20].map((at) => lane.admit(`run-${at}`, 2, 1000, at))).toEqual([
      { ok: true },
      { ok: true },
      { ok: false, retryAfterMs: 980 },
    ]);
    expect(lane.admit("run-20", 2, 1000, 999)).toEqual({ ok: false, retryAfterMs: 1 });
    expect(lane.admit("run-20", 2, 1000, 1000)).toEqual({ ok: true });
    expect(lane.admit("other", 2, 1000, 1000)).toEqual({ ok: false, retryAfterMs: 10 });
  });

  test("counts an id once within the period", () => {
    const { lane } = laneWith();
    for (let time = 0; time < 5; time++) expect(lane.admit("same", 1, 1000, time)).toEqual({ ok: true });
    expect([lane.used, lane.admit("same", 1, 1000, 1000), lane.used]).toEqual([1, { ok: true }, 1]);
  });

  test("of runs counts from when one last asks, because it has not begun before", () => {
    const { lane } = laneWith();
    const granted = (runId: string, now: number): boolean =>
      lane.enter({ ...entrance(runId, 1), periodMs: 1000 }, now).granted;
    expect([granted("a", 0), granted("b", 10), granted("a", 900)]).toEqual([true, false, true]);
    lane.advance(1899);
    expect([waiting(lane), lane.wakeAt(1899)]).toEqual([["b"], 1900]);
    lane.advance(1900);
    expect(waiting(lane)).toEqual([]);
  });

  test("of runs counts from when one leaves, because the answer that let it in took its time", () => {
    const { lane } = laneWith();
    const granted = (runId: string, now: number): boolean =>
      lane.enter({ ...entrance(runId, 1), periodMs: 1000 }, now).granted;
    expect([granted("a", 0), granted("b", 10)]).toEqual([true, false]);
    lane.leave(ticket("a"), 100);
    lane.advance(1099);
    expect([waiting(lane), lane.wakeAt(1099)]).toEqual([["b"], 1100]);
    lane.advance(1100);
    expect(waiting(lane)).toEqual([]);
  });

  test("closed or lowered, it names a time all the same", () => {
    const { lane } = laneWith();
    for (const id of ["a", "b", "c"]) lane.admit(id, 3, 1000, 0);
    lane.override(1, 1);
    expect(lane.admit("d", 3, 1000, 100)).toEqual({ ok: false, retryAfterMs: 900 });
    lane.override(0, 200);
    expect(lane.admit("d", 3, 1000, 200)).toEqual({ ok: false, retryAfterMs: 1000 });
  });
});

test("a slot of ten thousand costs what the first does", () => {
  const { lane } = laneWith();
  const size = 20_000;
  const spent = (from: number): number => {
    const before = cpuMs();
    for (let run = from; run < from + size; run++) lane.enter(entrance(`run-${run}`, 1), run);
    return cpuMs() - before;
  };
  spent(0);
  const early = spent(size);
  for (let part = 2; part < 5; part++) spent(part * size);
  const late = spent(5 * size);
  expect(lane.waiting).toBe(6 * size - 1);
  // Five times as long a queue; a scan for each request would take five times as long and more.
  expect(late).toBeLessThan(3 * early + 50);
  for (let run = 0; run < 6 * size; run++) lane.leave(ticket(`run-${run}`), 1e6);
  expect([lane.used, lane.waiting, lane.isEmpty]).toEqual([0, 0, true]);
});

test("a queue keeps its order however it is used", () => {
  const queue = new PriorityQueue<number>();
  for (let turn = 0; turn < 5000; turn++) queue.add(turn, turn % 7, turn);
  for (let turn = 0; turn < 5000; turn += 3) queue.remove(turn % 7, turn);
  queue.remove(3, 99_999);
  const left = [...Array(5000).keys()].filter((turn) => turn % 3 !== 0);
  const order = left.toSorted((one, other) => (one % 7) - (other % 7) || one - other);
  expect(queue.first(5000)).toEqual(order);
  const out: (number | undefined)[] = [];
  while (queue.size > 0) {
    const next = order[out.length] ?? 0;
    expect(queue.position(next % 7, next)).toBe(1);
    out.push(queue.shift());
  }
  expect([out, queue.shift()]).toEqual([order, undefined]);
});

describe("the key of a singleton or a debounce", () => {
  const holder = { runId: "a", claimedAt: 100, sinceAt: 50 };

  test("is held by a run that was claimed for and is not there yet, for half a minute", () => {
    expect(stillHolds(holder, null, "ended", 100 + startingMs - 1)).toBe(true);
    expect(stillHolds(holder, null, "ended", 100 + startingMs)).toBe(false);
  });

  test("is held until the run's end, or until it has begun", () => {
    const statuses = ["queued", "running", "waiting", "paused", "completed", "failed", "cancelled"] as const;
    const holds = (until: "begun" | "ended", startedAt: number | null) =>
      statuses.filter((status) => stillHolds(holder, { status, startedAt }, until, 1e9));
    expect(holds("ended", null)).toEqual(["queued", "running", "waiting", "paused"]);
    expect(holds("ended", 7)).toEqual(["queued", "running", "waiting", "paused"]);
    expect(holds("begun", 7)).toEqual([]);
    expect(holds("begun", null)).toContain("queued");
    expect(holds("begun", null)).not.toContain("cancelled");
  });

  test("goes to whoever asks when nobody has it, or by force, and the time it has been held is kept", () => {
    const ask = { runId: "b", until: "ended", force: false } as const;
    expect(decideClaim(null, ask, 200).claimed).toEqual({ claimed: true, holder: null, sinceAt: 200 });
    expect(decideClaim(holder, ask, 200)).toEqual({ claimed: { claimed: false, holder: "a", sinceAt: 50 }, holder });
    expect(decideClaim(holder, { ...ask, force: true }, 200)).toEqual({
      claimed: { claimed: true, holder: "a", sinceAt: 50 },
      holder: { runId: "b", claimedAt: 200, sinceAt: 50 },
    });
    expect(decideClaim(holder, { ...ask, runId: "a" }, 200).claimed).toMatchObject({ claimed: true, holder: null });
  });

  test("is held for half a minute more by a start that is repeated", () => {
    const at = holder.claimedAt + startingMs - 1;
    const again = decideClaim(holder, { runId: "a", until: "ended", force: false }, at).holder;
    expect(again).toEqual({ ...holder, claimedAt: at });
    expect(stillHolds(again, null, "ended", at + startingMs - 1)).toBe(true);
  });
});
