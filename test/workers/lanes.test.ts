/** Lanes in the runtime they are made for: real objects, real alarms, and processes that die. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { DurableObject } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Lane } from "../../src/core/lane/lane.ts";
import { createRandom } from "../../src/core/random.ts";
import type { Entrance, Ticket } from "../../src/core/lane/ticket.ts";
import { Acquisition } from "../../src/engine/lane/acquisition.ts";
import { laneObject, laneRoll } from "../../src/objects/address.ts";
import { LaneRequests } from "../../src/objects/lane/requests.ts";
import type { LaneRollRpc, LaneRpc } from "../../src/objects/rpc/lane.ts";
import type { RunRpc } from "../../src/objects/rpc/run.ts";
import { LaneStore } from "../../src/store/lanes.ts";
import { RollStore } from "../../src/store/roll.ts";
import { newId, start } from "./client.ts";
import { lay } from "./faults/injector.ts";
import { speakFor } from "./holders.ts";
import { Rows } from "./rows.ts";
import { LaneObject, RunObject } from "./worker.ts";

const KeptLane = LaneObject.prototype as DurableObject as LaneRollRpc & DurableObject;
const KeptRun = RunObject.prototype as DurableObject as RunRpc & DurableObject;

const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

afterEach(() => {
  vi.useRealTimers();
});

function ticketOf(runId: string, step: string | null = null): Ticket {
  return { runId, createdAt: 1, step };
}

/** A lane that no other test uses. */
function newLane(limit: number | null = 1) {
  const name = newId("lane");
  const rpc = laneObject(name);
  return {
    name,
    rpc,
    enter: (runId: string, more: { priority?: number; hold?: boolean; step?: string; periodMs?: number } = {}) =>
      laneObject(name).enter({
        ticket: ticketOf(runId, more.step ?? null),
        limit,
        periodMs: more.periodMs ?? null,
        priority: more.priority ?? 0,
        hold: more.hold ?? false,
      }),
    leave: (runId: string) => laneObject(name).leave(ticketOf(runId)),
    /** Waiters and holders, next and longest first. */
    state: async () => {
      const info = await laneObject(name).read(1000);
      return { holders: info?.holders.map(({ run }) => run) ?? [], queue: info?.queue.map(({ run }) => run) ?? [] };
    },
    ring: () => runDurableObjectAlarm(env.LANES.getByName(`lane:${name}`)),
    /** Ends the process of the lane: what was not written by then never was. */
    kill: async () => {
      const dying = runInDurableObject(env.LANES.getByName(`lane:${name}`), (_object, ctx) => ctx.abort("killed"));
      await expect(dying).rejects.toThrow("killed");
    },
    /** Acts while no slot can be written. */
    broken: async <Value>(act: () => Promise<Value>): Promise<Value> => {
      const isSlot = (of: string) => of.startsWith("INSERT OR REPLACE INTO tickets");
      lay("lane", ({ object, of }) => (object === `lane:${name}` && isSlot(of) ? "broken" : null));
      try {
        return await act();
      } finally {
        lay("lane", null);
      }
    },
    inside: <Value>(look: (ctx: DurableObjectState) => Value | Promise<Value>) =>
      runInDurableObject(env.LANES.getByName(`lane:${name}`), (_object, ctx) => look(ctx)),
  };
}

function passTime(ms: number): void {
  const now = Date.now();
  vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(now + ms);
}

/** The requests of a run, what it asks of that lane, and memories of it, which say what they heard. */
function asking(lane: string) {
  const ticket = ticketOf("patient");
  const need = { lane, scope: "run", limit: 1, periodMs: null, hold: false, priority: 0 } as const;
  const [slot] = new Acquisition([need], ticket, false, null).slots;
  const memory = (asked: readonly unknown[]) => {
    const heard: unknown[] = [];
    const lanes = { takeRequests: () => asked, answered: (...got: unknown[]) => heard.push(...got) };
    return { run: { lanes } as never, heard };
  };
  return {
    requests: new LaneRequests(
      () => {},
      () => {},
    ),
    enter: { kind: "enter", slot, entrance: { ticket, limit: 1, periodMs: null, priority: 0, hold: false } },
    leave: { kind: "leave", lane, ticket },
    slot,
    memory,
  };
}

/** A lane whose one slot is held, and which another has awaited for so long that the holder is asked whether it still wants it. */
async function outwaited(holder: string, other: string) {
  const lane = newLane(1);
  await lane.enter(holder);
  await lane.enter(other);
  passTime(31 * secondMs);
  await lane.ring();
  return lane;
}

async function until(check: () => unknown): Promise<void> {
  await vi.waitFor(async () => void (await check()), { timeout: 25_000, interval: 5 });
}

describe("slots", () => {
  test("go to whoever comes first, and then to the next that is told", async () => {
    const lane = newLane(2);
    const [, , c] = [speakFor("a"), speakFor("b"), speakFor("c")];
    expect([(await lane.enter("a")).granted, (await lane.enter("b")).granted]).toEqual([true, true]);
    const place = await lane.enter("c");
    expect(place).toMatchObject({ granted: false, position: 1, used: 2, limit: 2 });
    expect(c.heard).toEqual([]);
    await lane.leave("a");
    await until(() => expect(c.heard).toEqual([{ what: "granted", lane: lane.name, turn: place.turn }]));
    expect(await lane.state()).toEqual({ holders: ["b", "c"], queue: [] });
    expect(await lane.enter("c")).toEqual({ granted: true, turn: place.turn });
  });

  test("of three hundred runs are never held by more than the limit, and everybody has one in the end", async () => {
    const lane = newLane(7);
    let [holding, most] = [0, 0];
    const had = new Set<string>();
    const take = async (runId: string): Promise<void> => {
      had.add(runId);
      most = Math.max(most, ++holding);
      await Promise.resolve();
      holding--;
      await lane.leave(runId);
    };
    const runs = Array.from({ length: 300 }, (_, index) => newId(`many-${index}`));
    for (const runId of runs) {
      speakFor(runId, {
        granted: async () => {
          // Told once more where the first answer came late: it has had its slot by then.
          const wanted = !had.has(runId);
          if (wanted) void take(runId);
          return await Promise.resolve(wanted);
        },
      });
    }
    await Promise.all(
      runs.map(async (runId) => {
        if ((await lane.enter(runId)).granted) await take(runId);
      }),
    );
    await expect.poll(() => had.size, { timeout: 240_000 }).toBe(300);
    expect(most).toBeLessThanOrEqual(7);
    await until(async () => expect(await lane.state()).toEqual({ holders: [], queue: [] }));
  });

  test("that are declined go on to the next, and one that is asked for and withdrawn leaves the queue", async () => {
    const lane = newLane(1);
    const [b, , d] = [speakFor("b", { granted: false }), speakFor("c", { granted: "gone" }), speakFor("d")];
    for (const runId of ["a", "b", "x", "c", "d"]) await lane.enter(runId);
    await lane.leave("x");
    await lane.leave("x");
    await lane.leave("a");
    await until(() => expect(d.heard).toHaveLength(1));
    expect(b.heard).toHaveLength(1);
    expect(await lane.state()).toEqual({ holders: ["d"], queue: [] });
  });

  test("a raised limit grants at once, and a closed lane opens again", async () => {
    const lane = newLane(1);
    const runs = ["a", "b", "c", "d"].map((each) => newId(each));
    for (const runId of runs) speakFor(runId);
    await lane.rpc.override(0);
    for (const runId of runs) expect((await lane.enter(runId)).granted).toBe(false);
    expect(await lane.rpc.override(3)).toMatchObject({ limit: 3, override: 3, used: 3, waiting: 1 });
    expect(await lane.rpc.override(null)).toMatchObject({ limit: 1, override: null, used: 3 });
    for (const runId of runs.slice(0, 3)) await lane.leave(runId);
    await until(async () => expect(await lane.state()).toEqual({ holders: runs.slice(3), queue: [] }));
  });

  test("steps of one run hold slots of their own", async () => {
    const lane = newLane(2);
    expect((await lane.enter("run", { step: "charge" })).granted).toBe(true);
    expect((await lane.enter("run", { step: "charge#2" })).granted).toBe(true);
    expect((await lane.enter("run", { step: "mail" })).granted).toBe(false);
    expect((await lane.enter("run", { step: "charge" })).granted).toBe(true);
  });
});

describe("when processes die", () => {
  test("guarantee 4: a lane that is killed still knows who holds and who waits", async () => {
    const lane = newLane(1);
    for (const runId of ["a", "b", "c"]) speakFor(runId);
    await lane.enter("a");
    const place = await lane.enter("b", { priority: -1 });
    await lane.enter("c");
    await lane.kill();
    expect(await lane.state()).toEqual({ holders: ["a"], queue: ["c", "b"] });
    expect((await lane.enter("b")).turn).toBe(place.turn);
    expect((await lane.enter("a")).granted).toBe(true);
  });

  test("guarantee 4: a grant whose message is lost with the lane is told by the next life", async () => {
    const lane = newLane(1);
    // No answer comes while the lane lives.
    const b = speakFor("b", { granted: () => new Promise(() => {}) });
    await lane.enter("a");
    await lane.enter("b");
    await lane.leave("a");
    await until(() => expect(b.heard).toHaveLength(1));
    await lane.kill();
    b.granted = true;
    // Nobody calls: the alarm alone brings the lane back.
    await until(async () => expect(await lane.ring()).toBe(true));
    await until(() => expect(b.heard).toHaveLength(2));
    expect(b.heard[1]).toEqual(b.heard[0]);
    expect(await lane.state()).toEqual({ holders: ["b"], queue: [] });
  });

  test("guarantee 4: whenever the lane is killed, no slot is held twice and everybody has one", async () => {
    const lane = newLane(2);
    const random = createRandom("killed lanes");
    const holding = new Set<string>();
    const served = new Set<string>();
    let most = 0;
    const persist = async <Value>(call: () => Promise<Value>): Promise<Value> => {
      for (;;) {
        try {
          return await call();
        } catch {
          // The lane died before it answered: asking again is the same request.
        }
      }
    };
    const serve = async (runId: string): Promise<void> => {
      if (served.has(runId)) return;
      served.add(runId);
      holding.add(runId);
      most = Math.max(most, holding.size);
      await scheduler.wait(random.next() * 20);
      holding.delete(runId);
      await persist(() => lane.leave(runId));
    };
    const runs = Array.from({ length: 60 }, (_, index) => newId(`chaos-${index}`));
    for (const runId of runs) {
      speakFor(runId, {
        granted: async () => {
          const wanted = holding.has(runId) || !served.has(runId);
          void serve(runId);
          // The lane may die before it hears that the run goes on.
          if (random.next() < 0.5) await scheduler.wait(random.next() * 10);
          return wanted;
        },
        holds: async () => await Promise.resolve(holding.has(runId)),
      });
    }
    const work = runs.map(async (runId) => {
      await scheduler.wait(random.next() * 400);
      const priority = Math.floor(random.next() * 5);
      const place = await persist(() => lane.enter(runId, { priority }));
      if (place.granted) await serve(runId);
    });
    for (let kills = 0; served.size < runs.length; kills++) {
      if (kills < 40) await lane.kill();
      await scheduler.wait(random.next() * 10);
      await lane.ring();
    }
    await Promise.all(work);
    expect(most).toBeLessThanOrEqual(2);
    await until(async () => expect(await lane.state()).toEqual({ holders: [], queue: [] }));
  });

  test("what the storage refuses never was: nobody has the slot that could not be recorded", async () => {
    const lane = newLane();
    await expect(lane.broken(() => lane.enter("a"))).rejects.toThrow("SQLITE_IOERR");
    expect(await lane.rpc.read(1)).toBeNull();
    expect((await lane.enter("b")).granted).toBe(true);
    expect(await lane.state()).toEqual({ holders: ["b"], queue: [] });
  });

  test("guarantee 4: an alarm that the storage fails at comes again", async () => {
    const lane = newLane();
    const b = speakFor("refused-b");
    await lane.enter("refused-a", { periodMs: minuteMs });
    await lane.enter("refused-b", { periodMs: minuteMs });
    await lane.leave("refused-a");
    passTime(2 * minuteMs);
    await lane.broken(() => lane.ring());
    expect(await lane.inside((ctx) => ctx.storage.getAlarm())).toBeLessThan(Date.now() + minuteMs);
    expect(b.heard).toEqual([]);
    await lane.ring();
    await until(() => expect(b.heard).toHaveLength(1));
  });

  test("guarantee 4: a run that cannot be reached is told again, and nobody else has its slot meanwhile", async () => {
    const lane = newLane(1);
    const [b, c] = [speakFor("b", { granted: "lost" }), speakFor("c")];
    for (const runId of ["a", "b", "c"]) await lane.enter(runId);
    await lane.leave("a");
    await until(() => expect(b.heard.length).toBeGreaterThan(0));
    const lost = b.heard.length;
    b.granted = true;
    await until(() => expect(b.heard.length).toBeGreaterThan(lost));
    expect(await lane.state()).toEqual({ holders: ["b"], queue: ["c"] });
    expect([b.heard.length, c.heard.length]).toEqual([lost + 1, 0]);
  });

  test("guarantee 4: a call that the lane never answers is given up, and made again", async () => {
    const name = newId("lane");
    const granted = { granted: true, turn: 7 };
    const answers = [new Promise<never>(() => {}), Promise.resolve(granted)];
    const hanging = { enter: () => answers.shift() };
    const own = env.LANES.getByName.bind(env.LANES);
    const named = vi
      .spyOn(env.LANES, "getByName")
      .mockImplementation((object) => (object === `lane:${name}` ? (hanging as never) : own(object)));
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { requests, enter, slot, memory } = asking(name);
    const { run, heard } = memory([enter]);
    requests.attend(run);
    await vi.advanceTimersByTimeAsync(30_000);
    vi.useRealTimers();
    await requests.idle();
    named.mockRestore();
    requests.deliver(run);
    expect(heard).toEqual([slot, granted]);
  });

  test("a slot that is given back while it is asked for is asked for first, and not told to another memory", async () => {
    const lane = newLane();
    const { requests, enter, leave, memory } = asking(lane.name);
    const kept = LaneObject.prototype as DurableObject as LaneRpc & DurableObject;
    const original = kept.enter;
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    const entering = vi.spyOn(kept, "enter").mockImplementationOnce(async function (this: LaneRpc, entrance) {
      await arrived;
      return await original.call(this, entrance);
    });
    const { run, heard } = memory([enter, leave]);
    requests.attend(run);
    await until(() => expect(entering).toHaveBeenCalledTimes(1));
    // Of this same lane, so what had been sent beside it has come.
    await lane.rpc.read(1);
    arrive();
    await requests.idle();
    await until(() => expect(entering).toHaveResolvedTimes(1));
    entering.mockRestore();
    expect(await lane.state()).toEqual({ holders: [], queue: [] });
    const next = memory([]);
    requests.deliver(next.run);
    expect([heard, next.heard]).toEqual([[], []]);
  });

  test("a slot that is asked for again while it is given back is asked for after that", async () => {
    const lane = newLane();
    const { requests, enter, leave, memory } = asking(lane.name);
    const kept = LaneObject.prototype as DurableObject as LaneRpc & DurableObject;
    const original = kept.leave;
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    const leaving = vi.spyOn(kept, "leave").mockImplementationOnce(async function (this: LaneRpc, ticket) {
      await arrived;
      return await original.call(this, ticket);
    });
    requests.attend(memory([enter, leave]).run);
    await until(() => expect(leaving).toHaveBeenCalledTimes(1));
    requests.attend(memory([enter]).run);
    // Of this same lane, so what had been sent beside the first has come with the second.
    for (let count = 0; count < 2; count++) await lane.rpc.read(1);
    arrive();
    await requests.idle();
    await until(() => expect(leaving).toHaveResolvedTimes(1));
    leaving.mockRestore();
    expect((await lane.state()).holders).toHaveLength(1);
  });

  test("a slot that is given back before it was asked for is not asked for", async () => {
    const lane = newLane();
    const { requests, enter, leave, slot, memory } = asking(lane.name);
    const { run, heard } = memory([leave, enter]);
    requests.attend(run);
    if (slot !== undefined) slot.left = true;
    await requests.idle();
    requests.deliver(run);
    expect([heard, await lane.state()]).toEqual([[slot, null], { holders: [], queue: [] }]);
  });

  test("guarantee 4: a dead run gives its slot back once somebody waits, and not before", async () => {
    // From here on time passes only where the test says so.
    passTime(0);
    const lane = newLane(2);
    const [live, dead] = [speakFor(newId("live")), newId("never-started")];
    await lane.enter("live");
    await lane.enter(dead);
    expect([live.heard, await lane.inside((ctx) => ctx.storage.getAlarm())]).toEqual([[], expect.any(Number)]);
    const holder = speakFor("live");
    const next = speakFor("next");
    await lane.enter("next");
    expect(await lane.state()).toEqual({ holders: ["live", dead], queue: ["next"] });
    passTime(29 * secondMs);
    await lane.ring();
    expect([holder.heard, next.heard]).toEqual([[], []]);
    passTime(2 * secondMs);
    await lane.ring();
    await until(() => expect(next.heard).toHaveLength(1));
    expect(holder.heard).toEqual([{ what: "holds", lane: lane.name, turn: expect.any(Number) }]);
    expect(await lane.state()).toEqual({ holders: ["live", "next"], queue: [] });
  });

  test("a holder that cannot be asked keeps its slot; one that says no loses it", async () => {
    const [holder, next] = [speakFor("h", { holds: "lost" }), speakFor("n")];
    const lane = await outwaited("h", "n");
    await until(() => expect(holder.heard).toHaveLength(1));
    expect(await lane.state()).toEqual({ holders: ["h"], queue: ["n"] });
    holder.holds = false;
    passTime(31 * secondMs);
    await lane.ring();
    await until(() => expect(next.heard).toHaveLength(1));
  });

  test("a holder whose journal is damaged loses its slot: once it is repaired, it asks for one again", async () => {
    const [holder, next] = [speakFor("damaged-holder", { holds: "damaged" }), speakFor("after-damaged")];
    await outwaited("damaged-holder", "after-damaged");
    await until(() => expect(next.heard).toHaveLength(1));
    expect(holder.heard).toHaveLength(1);
  });

  test("while as many as can be spoken to at once do not answer, its alarm comes in seconds, and not at once", async () => {
    const lane = newLane(0);
    const runs = Array.from({ length: 60 }, (_, index) => newId(`mute-${index}`));
    const told = runs.map((runId) => speakFor(runId, { granted: () => new Promise(() => {}) }));
    for (const runId of runs) await lane.enter(runId);
    await lane.rpc.override(60);
    await until(() => expect(told.filter(({ heard }) => heard.length > 0)).toHaveLength(50));
    passTime(20 * secondMs);
    await lane.ring();
    expect(((await lane.inside((ctx) => ctx.storage.getAlarm())) ?? 0) - Date.now()).toBeGreaterThan(secondMs);
    await lane.kill();
  });

  test("one that holds its slot while it is parked is woken less often", async () => {
    const lane = newLane(1);
    const holder = speakFor("p");
    await lane.enter("p", { hold: true });
    await lane.enter("q");
    passTime(4 * minuteMs);
    await lane.ring();
    await lane.ring();
    expect(holder.heard).toEqual([]);
    passTime(minuteMs + secondMs);
    await lane.ring();
    await until(() => expect(holder.heard).toHaveLength(1));
  });
});

describe("rates", () => {
  test("a throttle lets the next one in when the period is over, by its own alarm", async () => {
    const lane = newLane(1);
    const [b, c] = [speakFor("tb"), speakFor("tc")];
    const begun = Date.now();
    expect((await lane.enter("ta", { periodMs: 300 })).granted).toBe(true);
    await lane.enter("tb", { periodMs: 300 });
    await lane.enter("tc", { periodMs: 300 });
    await lane.leave("ta");
    await until(() => expect(b.heard).toHaveLength(1));
    expect(Date.now() - begun).toBeGreaterThanOrEqual(300);
    await until(() => expect(c.heard).toHaveLength(1));
    expect(Date.now() - begun).toBeGreaterThanOrEqual(600);
  });

  test("a rate limit counts a start once, also after the process died", async () => {
    const lane = newLane();
    const admit = (id: string) => laneObject(lane.name).admit({ id, limit: 2, periodMs: hourMs });
    expect([await admit("one"), await admit("one"), await admit("two")]).toEqual([
      { ok: true },
      { ok: true },
      { ok: true },
    ]);
    await lane.kill();
    expect([await admit("two"), await admit("three")]).toEqual([
      { ok: true },
      { ok: false, retryAfterMs: expect.any(Number) },
    ]);
    passTime(hourMs);
    expect(await admit("three")).toEqual({ ok: true });
  });
});

describe("the key of a singleton", () => {
  const claim = (lane: string, runId: string, force = false) =>
    laneObject(lane).claim({ runId, until: "ended", force });

  test("is held by a run that goes on, and free after its end", async () => {
    const { name, kill } = newLane();
    const { id } = await start("web-sleeper");
    expect(await claim(name, id)).toMatchObject({ claimed: true, holder: null });
    await kill();
    passTime(minuteMs);
    expect(await claim(name, "other")).toMatchObject({ claimed: false, holder: id });
    expect(await claim(name, "third", true)).toMatchObject({ claimed: true, holder: id });
  });

  test("goes to one of many that ask for it at once", async () => {
    const { name } = newLane();
    await claim(name, newId("gone"));
    passTime(minuteMs);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => claim(name, newId(`at-once-${index}`))));
    expect(answers.filter(({ claimed }) => claimed)).toHaveLength(1);
  });

  test("waits half a minute for a run that is being started, and no longer", async () => {
    const { name } = newLane();
    const id = newId("starting");
    await claim(name, id);
    expect(await claim(name, "other")).toMatchObject({ claimed: false, holder: id });
    passTime(30 * secondMs);
    expect(await claim(name, "other")).toMatchObject({ claimed: true, holder: null });
  });

  test("can be given back by who has it, and by nobody else", async () => {
    const { name } = newLane();
    await claim(name, "mine");
    await laneObject(name).release("yours");
    expect(await claim(name, "yours")).toMatchObject({ claimed: false });
    await laneObject(name).release("mine");
    expect(await claim(name, "yours")).toMatchObject({ claimed: true, holder: null });
  });
});

function request(runId: string): Entrance {
  return { ticket: ticketOf(runId), limit: 1, periodMs: null, priority: 0, hold: false };
}

/** Rows written by whatever `act` does with a lane that was used before. */
async function written(act: (lane: Lane) => void): Promise<number> {
  return await newLane().inside((ctx) => {
    const rows = new Rows(ctx.storage.sql);
    const store = new LaneStore(rows.sql);
    const lane = new Lane(store.state.terms, store.slots(), store);
    lane.enter(request("first"), 10);
    lane.leave(ticketOf("first"), 11);
    rows.forget();
    act(lane);
    return rows.written;
  });
}

describe("what is written", () => {
  test("a slot that is free at once costs two rows, taken and given back (budget)", async () => {
    const rows = await written((lane) => {
      lane.enter(request("run"), 20);
      lane.enter(request("run"), 21);
      lane.leave(ticketOf("run"), 22);
      lane.leave(ticketOf("run"), 23);
    });
    expect(rows).toBe(2);
  });

  test("a slot that is waited for costs four: it waits, is granted, told, and given back (budget)", async () => {
    const rows = await written((lane) => {
      lane.enter(request("holder"), 20);
      lane.enter(request("run"), 21);
      lane.leave(ticketOf("holder"), 22);
      for (const slot of lane.toNotify(22, 1)) lane.answered(slot, true, 23);
      lane.leave(ticketOf("run"), 24);
    });
    expect(rows).toBe(2 + 4);
  });

  test("a start that a throttle lets in at once costs three: it is granted, begins, and counts no more (budget)", async () => {
    const rows = await newLane().inside((ctx) => {
      const counted = new Rows(ctx.storage.sql);
      const store = new LaneStore(counted.sql);
      const lane = new Lane(store.state.terms, store.slots(), store);
      const start = (runId: string, now: number): void => {
        expect(lane.enter({ ...request(runId), periodMs: 1000 }, now).granted).toBe(true);
        lane.leave(ticketOf(runId), now + 5);
        lane.advance(now + 1005);
      };
      start("first", 10);
      counted.forget();
      start("run", 2000);
      return counted.written;
    });
    expect(rows).toBe(3);
  });
});

describe("what is left behind", () => {
  test("a lane that is only looked at stores nothing", async () => {
    const lane = newLane();
    expect(await lane.rpc.read(20)).toBe(null);
    await lane.leave("nobody");
    await lane.rpc.release("nobody");
    await lane.rpc.override(null, { by: "test", reason: null });
    await lane.rpc.follow({ limit: 1, version: 5 });
    const tables = await lane.inside((ctx) =>
      ctx.storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '_cf%'").toArray(),
    );
    expect(tables).toEqual([]);
  });

  test("nor does one with a limit in the code, if a limit that was never set is removed", async () => {
    const name = `rateLimit:flow-rated:${newId("unused")}`;
    expect(await laneObject(name).override(null)).toMatchObject({ override: null });
    expect(await laneObject(name).read(20)).toBe(null);
  });

  test("a lane that is used is on the roll, and an idle one neither on the roll nor in storage", async () => {
    const lane = newLane();
    await lane.enter("a");
    const listed = async () => (await laneRoll().names(lane.name.slice(0, -1), 200)).includes(lane.name);
    await until(async () => expect(await listed()).toBe(true));
    await lane.leave("a");
    await lane.ring();
    expect(await lane.rpc.read(1)).toMatchObject({ used: 0 });
    passTime(hourMs + secondMs);
    await lane.ring();
    expect([await listed(), await lane.rpc.read(1)]).toEqual([false, null]);
    await lane.enter("b");
    await until(async () => expect(await listed()).toBe(true));
  });

  test("a lane is on the roll also where that could not be reached at first, and nobody uses it again", async () => {
    const lane = newLane();
    const calls: string[] = [];
    lay("roll", ({ of }) => (calls.push(of), of === "register" ? "unsent" : null));
    await lane.enter("a");
    await until(() => expect(calls).toContain("register"));
    lay("roll", null);
    passTime(minuteMs);
    await lane.ring();
    const listed = async () => (await laneRoll().names(lane.name.slice(0, -1), 200)).includes(lane.name);
    await until(async () => expect(await listed()).toBe(true));
  });

  test("an idle lane leaves the roll also where that could not be reached at first", async () => {
    const lane = newLane();
    await lane.enter("a");
    const listed = async () => (await laneRoll().names(lane.name.slice(0, -1), 200)).includes(lane.name);
    await until(async () => expect(await listed()).toBe(true));
    await lane.leave("a");
    passTime(hourMs + secondMs);
    lay("roll", ({ of }) => (of === "unregister" ? "unsent" : null));
    await lane.ring();
    lay("roll", null);
    expect([await listed(), await lane.rpc.read(1)]).toEqual([true, expect.objectContaining({ used: 0 })]);
    await lane.ring();
    expect([await listed(), await lane.rpc.read(1)]).toEqual([false, null]);
  });

  test("guarantee 4: a lane that is used as it leaves the roll keeps who came, and comes back", async () => {
    const lane = newLane();
    await lane.enter("a");
    const listed = async () => (await laneRoll().names(lane.name.slice(0, -1), 200)).includes(lane.name);
    await until(async () => expect(await listed()).toBe(true));
    await lane.leave("a");
    passTime(hourMs + secondMs);
    const { unregister } = KeptLane;
    vi.spyOn(KeptLane, "unregister").mockImplementationOnce(async function (this: LaneRollRpc, name) {
      await lane.enter("b");
      await lane.state();
      return await unregister.call(this, name);
    });
    await lane.ring();
    expect(await lane.state()).toEqual({ holders: ["b"], queue: [] });
    await until(async () => expect(await listed()).toBe(true));
  });

  test("a key that is claimed again as its lane looks whether anybody has it is not taken away", async () => {
    const { name, ring } = newLane();
    const claim = (runId: string) => laneObject(name).claim({ runId, until: "ended", force: false });
    const runId = newId("claims-again");
    await claim(runId);
    passTime(hourMs + secondMs);
    const { read } = KeptRun;
    vi.spyOn(KeptRun, "read").mockImplementationOnce(async function (this: RunRpc, waitMs) {
      await claim(runId);
      return await read.call(this, waitMs);
    });
    await ring();
    expect(await claim(newId("other"))).toMatchObject({ claimed: false, holder: runId });
  });

  test("a lane in use, or with a limit of its own, is not idle", async () => {
    const [used, limited, following] = [newLane(), newLane(), newLane()];
    await used.enter("a");
    await limited.rpc.override(4);
    await following.enter("a");
    await following.leave("a");
    await following.rpc.follow({ limit: 3, version: 1 });
    passTime(2 * hourMs);
    for (const lane of [used, limited, following]) await lane.ring();
    expect([await used.rpc.read(1), await limited.rpc.read(1)]).toMatchObject([{ used: 1 }, { override: 4 }]);
    expect(await following.rpc.read(1)).toMatchObject({ used: 0, limit: 3 });
    // It is looked at again when it may be idle, and not at once.
    await limited.ring();
    const at = await limited.inside((ctx) => ctx.storage.getAlarm());
    expect(at).toBeGreaterThan(Date.now() + minuteMs);
  });

  test("a lane keeps its requests for a day, that a late repeat sets nothing", async () => {
    const lane = newLane();
    await lane.rpc.override(4, undefined, "k1");
    await lane.rpc.override(null, undefined, "k2");
    passTime(2 * hourMs);
    await lane.ring();
    expect(await lane.rpc.override(4, undefined, "k1")).toMatchObject({ override: null });
  });

  test("a lane knows every request of a day by its key, however many came after it", async () => {
    const lane = newLane();
    const set = (limit: number, key?: string) => laneObject(lane.name).override(limit, undefined, key);
    for (let index = 0; index < 150; index++) await set(index, `k${index}`);
    await set(500);
    await lane.kill();
    expect(await set(0, "k0")).toMatchObject({ override: 500 });
    expect(await set(7, "k0")).toBeNull();
    passTime(25 * hourMs);
    expect(await set(8, "k1")).toMatchObject({ override: 8 });
    expect(await lane.inside(({ storage }) => storage.sql.exec("SELECT key FROM requests").toArray())).toEqual([
      { key: "k1" },
    ]);
  });

  test("a lane knows the requests that an older version kept, and keeps them with its own", async () => {
    const lane = newLane();
    const set = (limit: number, key?: string) => laneObject(lane.name).override(limit, undefined, key);
    await set(5);
    const stateOf = (): Promise<string> =>
      lane.inside(({ storage }) => storage.sql.exec<{ state: string }>("SELECT state FROM lane").one().state);
    // It writes once more when it is on the roll.
    await until(async () => expect(await stateOf()).toContain('"registered":true'));
    const at = Date.now();
    await lane.inside(({ storage }) => {
      const kept = JSON.stringify([
        { key: "old", limit: 3, at },
        { key: "older", limit: 2, at: at - 25 * hourMs },
      ]);
      storage.sql.exec("UPDATE lane SET state = json_set(state, '$.requests', json(?))", kept);
    });
    await lane.kill();
    expect(await set(3, "old")).toMatchObject({ override: 5 });
    await set(6, "new");
    await lane.kill();
    expect(await set(3, "old")).toMatchObject({ override: 6 });
    expect(
      await lane.inside(({ storage }) => [
        storage.sql.exec("SELECT key FROM requests ORDER BY key").toArray(),
        storage.sql.exec("SELECT state -> '$.requests' AS requests FROM lane").one(),
      ]),
    ).toEqual([[{ key: "new" }, { key: "old" }], { requests: null }]);
  });

  test("a key that nobody has any more is forgotten", async () => {
    const lane = newLane();
    await lane.rpc.claim({ runId: newId("gone"), until: "ended", force: false });
    passTime(hourMs + secondMs);
    await lane.ring();
    expect(await lane.rpc.read(1)).toBe(null);
  });
});

describe("the limit of all keys", () => {
  test("reaches those in use and those to come, and is lifted again", async () => {
    const base = `concurrency:${newId("wf")}`;
    // Of another workflow, whose name begins like this one's.
    const other = `${base}b:key`;
    await laneObject(other).enter({ ...request("d"), limit: 5 });
    const enter = (key: string, runId: string) =>
      laneObject(`${base}:${key}`).enter({
        ticket: ticketOf(runId),
        limit: 5,
        periodMs: null,
        priority: 0,
        hold: false,
      });
    const limitOf = async (key: string) => (await laneObject(`${base}:${key}`).read(1))?.limit;
    const versionOf = () => laneRoll().register(`${base}:probe`);
    await enter("used", "a");
    await enter("own", "b");
    await laneObject(`${base}:own`).override(3);
    await until(async () => expect(await laneRoll().names(base, 5)).toContain(`${base}:used`));
    await until(async () => expect(await laneRoll().names(base, 5)).toContain(`${base}:own`));
    await until(async () => expect(await laneRoll().names(base, 5)).toContain(other));
    await laneRoll().overrideAll(base, 1);
    expect([await limitOf("used"), await limitOf("own")]).toEqual([1, 3]);
    expect((await laneObject(other).read(1))?.limit).toBe(5);
    await enter("new", "c");
    await until(async () => expect(await limitOf("new")).toBe(1));
    const { version } = await versionOf();
    await laneRoll().overrideAll(base, null);
    expect([await limitOf("used"), await limitOf("new")]).toEqual([5, 5]);
    expect(await versionOf()).toEqual({ limit: null, version: expect.any(Number) });
    expect((await versionOf()).version).toBeGreaterThan(version);
  });

  test("grants at once what it allows beyond the code's where a lane hears of it as it comes", async () => {
    const base = `concurrency:${newId("wf")}`;
    const b = speakFor("allowed");
    await laneRoll().overrideAll(base, 2);
    await laneObject(`${base}:key`).enter(request("a"));
    await laneObject(`${base}:key`).enter(request("allowed"));
    // Not only when it looks again by itself.
    await runInDurableObject(env.LANES.getByName(`lane:${base}:key`), (_object, { storage }) => storage.deleteAlarm());
    await until(() => expect(b.heard).toHaveLength(1));
  });

  test("is the last of two that were set within a millisecond", async () => {
    const base = `concurrency:${newId("wf")}`;
    const lane = `${base}:key`;
    await laneObject(lane).enter({ ...request("a"), limit: 5 });
    await until(async () => expect(await laneRoll().names(base, 1)).toEqual([lane]));
    passTime(0);
    await laneRoll().overrideAll(base, 2);
    await laneRoll().overrideAll(base, 3);
    expect((await laneObject(lane).read(1))?.limit).toBe(3);
  });

  test("reaches them also when it is set while another is passed on", async () => {
    const base = `concurrency:${newId("wf")}`;
    const lane = `${base}:key`;
    await laneObject(lane).enter({ ...request("a"), limit: 5 });
    await until(async () => expect(await laneRoll().names(base, 1)).toEqual([lane]));
    const kept = LaneObject.prototype as DurableObject as LaneRpc & DurableObject;
    const { follow } = kept;
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    const following = vi.spyOn(kept, "follow").mockImplementationOnce(async function (this: LaneRpc, override) {
      await follow.call(this, override);
      await answered;
    });
    const first = laneRoll().overrideAll(base, 2);
    await until(() => expect(following).toHaveBeenCalledTimes(1));
    const second = laneRoll().overrideAll(base, 3);
    await until(async () => expect((await laneRoll().register(`${base}:probe`)).limit).toBe(3));
    answer();
    await Promise.all([first, second]);
    following.mockRestore();
    expect((await laneObject(lane).read(1))?.limit).toBe(3);
  });

  test("is passed on to all of many, whichever could not be told at first", async () => {
    const base = `concurrency:${newId("wf")}`;
    // More than are told at once.
    const names = Array.from({ length: 60 }, (_, index) => `${base}:${index}`);
    for (const name of names) await laneRoll().register(name);
    const kept = LaneObject.prototype as DurableObject as LaneRpc & DurableObject;
    const following = vi.spyOn(kept, "follow").mockRejectedValueOnce(new Error("away for a moment"));
    // By a clock that is ahead, its alarm does not come by itself before the test has it come.
    passTime(hourMs);
    await laneRoll().overrideAll(base, 2);
    const roll = env.LANES.getByName("roll");
    const behind = () =>
      runInDurableObject(roll, (_object, { storage }) => {
        const store = new RollStore(storage.sql);
        return store.behind(base, store.override(base).version, "", 60).length;
      });
    expect([following.mock.calls.length, await behind()]).toEqual([60, 1]);
    expect(await runDurableObjectAlarm(roll)).toBe(true);
    expect([following.mock.calls.length, await behind()]).toEqual([61, 0]);
    following.mockRestore();
  });

  test("is passed on by the roll's alarm, and by all that come after, where the storage failed at first", async () => {
    const base = `concurrency:${newId("wf")}`;
    const lane = `${base}:key`;
    await laneObject(lane).enter({ ...request("a"), limit: 5 });
    await until(async () => expect(await laneRoll().names(base, 1)).toEqual([lane]));
    const roll = env.LANES.getByName("roll");
    await runInDurableObject(roll, (_object, { storage }) => {
      const exec = storage.sql.exec.bind(storage.sql);
      vi.spyOn(storage.sql, "exec").mockImplementation((query, ...bindings) => {
        if (!query.startsWith("SELECT base")) return exec(query, ...bindings);
        vi.mocked(storage.sql.exec).mockImplementation(exec);
        throw new Error("disk I/O error: SQLITE_IOERR");
      });
    });
    // By a clock that is ahead, its alarm does not come by itself before the test has it come.
    passTime(hourMs);
    await laneRoll().overrideAll(base, 2);
    expect((await laneObject(lane).read(1))?.limit).toBe(5);
    expect(await runDurableObjectAlarm(roll)).toBe(true);
    expect((await laneObject(lane).read(1))?.limit).toBe(2);
  });

  test("is passed on by the roll's next life when the process died before it was", async () => {
    const base = `concurrency:${newId("wf")}`;
    const lane = `${base}:key`;
    await laneObject(lane).enter({ ...request("a"), limit: 5 });
    await until(async () => expect(await laneRoll().names(base, 1)).toEqual([lane]));
    // A stub whose object has died stays broken.
    const roll = () => env.LANES.getByName("roll");
    const dying = runInDurableObject(roll(), async (_object, ctx) => {
      new RollStore(ctx.storage.sql).setOverride(base, { limit: 2, version: Date.now() });
      await ctx.storage.setAlarm(Date.now() + hourMs);
      await ctx.storage.sync();
      ctx.abort("killed");
    });
    await expect(dying).rejects.toThrow("killed");
    expect((await laneObject(lane).read(1))?.limit).toBe(5);
    expect(await runDurableObjectAlarm(roll())).toBe(true);
    expect((await laneObject(lane).read(1))?.limit).toBe(2);
    // Everybody has been told: the roll sleeps.
    expect(await runDurableObjectAlarm(roll())).toBe(false);
  });
});
