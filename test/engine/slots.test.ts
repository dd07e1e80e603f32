import { describe, expect, test } from "vitest";
import type { Flow } from "../../src/core/definition/definition.ts";
import { NonRetryableError } from "../../src/core/error.ts";
import { fold } from "../../src/core/state/fold.ts";
import type { LaneNeed } from "../../src/core/lane/need.ts";
import { createRandom } from "../../src/core/random.ts";
import { RunState } from "../../src/core/state/state.ts";
import type { Step } from "../../src/core/definition/step.ts";
import { encode } from "../../src/core/value/value.ts";
import { Slots } from "../../src/engine/lane/slots.ts";
import { receiveHook } from "../../src/engine/wait/hook.ts";
import { nextAskAt } from "../../src/engine/lane/acquisition.ts";
import type { Slot } from "../../src/engine/lane/acquisition.ts";
import { answered } from "./couriers.ts";
import { SimulatedCouriers } from "./simulatedcouriers.ts";
import { LaneSimulation, Ledger, need } from "./simulation.ts";
import type { SimulatedRun } from "./simulation.ts";
import { act, created, signal, startAt } from "./host.ts";
import { define } from "./memory.ts";
import type { Handler } from "./memory.ts";

const minute = 60_000;

/** One step of 5 ms, then another. */
function worker(ledger: Ledger, ms = 5) {
  return async (_input: unknown, step: Step) => {
    await step.run("one", () => ledger.work(step.info.id, ms));
    await step.run("two", () => ledger.work(step.info.id, ms));
  };
}

function waitsOf(simulated: SimulatedRun): unknown[] {
  return simulated.run.snapshot().waitingFor.map(({ kind, name }) => [kind, name]);
}

describe("a run that needs a slot", () => {
  test("gets in at once where one is free, and pays no row for it", async () => {
    const simulation = new LaneSimulation();
    const simulated = simulation.add("a", worker(new Ledger(simulation)), [need("mail", 1)]);
    await simulation.drive();
    expect(simulated.kinds).toEqual([
      "run.created",
      "run.started",
      "step.completed",
      "step.completed",
      "run.completed",
    ]);
    expect(simulation.lane("mail").isEmpty).toBe(true);
  });

  test("waits where none is, is queued meanwhile, and says so on record once", async () => {
    const simulation = new LaneSimulation();
    simulation.add("a", worker(new Ledger(simulation), 5 * minute), [need("mail", 1)]);
    await simulation.drive(20);
    const b = simulation.add("b", worker(new Ledger(simulation)), [need("mail", 1)]);
    await simulation.drive(4 * minute);
    expect([b.status, waitsOf(b)]).toEqual(["queued", [["lane", "mail"]]]);
    expect(b.kinds).toEqual(["run.created", "lane.queued"]);
    await simulation.drive();
    expect(b.kinds).toEqual([
      "run.created",
      "lane.queued",
      "lane.entered",
      "run.started",
      "step.completed",
      "step.completed",
      "run.completed",
    ]);
  });

  test("is told where it stands", async () => {
    const simulation = new LaneSimulation();
    simulation.add("a", worker(new Ledger(simulation), minute), [need("mail", 1)]);
    await simulation.drive(20);
    simulation.add("b", worker(new Ledger(simulation)), [need("mail", 1)]);
    await simulation.drive(50);
    simulation.add("c", worker(new Ledger(simulation)), [need("mail", 1)]);
    await simulation.drive(100);
    const { lanes } = simulation.runs.get("c")?.run ?? {};
    expect([...(lanes?.slots.places ?? [])]).toEqual([["mail", { position: 2, used: 1, limit: 1 }]]);
  });

  test("begins in the order of the line", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const ids = Array.from({ length: 20 }, (_, index) => `run-${index}`);
    for (const [index, id] of ids.entries()) {
      simulation.at(index * 20, () => simulation.add(id, worker(ledger, 200), [need("mail", 1)]));
    }
    await simulation.drive();
    expect([...new Set(ledger.begun)]).toEqual(ids);
    expect(ledger.most).toBe(1);
  });

  test("goes back to the end of nothing: the first of a higher priority is next", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const priorities = { low: 0, high: 5, mid: 2 };
    simulation.add("first", worker(ledger, 500), [need("mail", 1)]);
    for (const [id, priority] of Object.entries(priorities)) {
      simulation.at(50, () => simulation.add(id, worker(ledger), [need("mail", 1, { priority })]));
    }
    await simulation.drive();
    expect([...new Set(ledger.begun)]).toEqual(["first", "high", "mid", "low"]);
  });

  test("asks for a rate once, before it begins", async () => {
    const periodMs = 10 * minute;
    // However long each message takes.
    for (let seed = 0; seed < 40; seed++) {
      const simulation = new LaneSimulation(`rate once ${seed}`);
      const ledger = new Ledger(simulation);
      const handler = async (_input: unknown, step: Step) => {
        await step.run("one", () => ledger.work(step.info.id, 5));
        await step.sleep("nap", minute);
        await step.run("two", () => ledger.work(step.info.id, 5));
      };
      const runs = ["a", "b", "c"].map((id) => simulation.add(id, handler, [need("rate", 1, { periodMs })]));
      await simulation.drive();
      const started = runs
        .map((simulated) => simulated.entries("run.started")[0]?.at ?? 0)
        .sort((one, other) => one - other);
      expect((started[1] ?? 0) - (started[0] ?? 0), `seed ${seed}`).toBeGreaterThanOrEqual(periodMs);
      expect((started[2] ?? 0) - (started[1] ?? 0), `seed ${seed}`).toBeGreaterThanOrEqual(periodMs);
      expect(runs.map(({ status }) => status)).toEqual(["completed", "completed", "completed"]);
    }
  });

  test("is let in by a rate as it begins, whatever is paused, evicted or dies between the two", async () => {
    const [limit, periodMs] = [2, 10_000];
    for (let seed = 0; seed < 40; seed++) {
      const random = createRandom(`rate ${seed}`);
      const below = (count: number): number => Math.floor(random.next() * count);
      const simulation = new LaneSimulation(`rate ${seed}`);
      const ledger = new Ledger(simulation);
      for (let run = 0; run < 8; run++) {
        const ms = below(20_000);
        simulation.at(ms, () => simulation.add(`run-${run}`, worker(ledger), [need("rate", limit, { periodMs })]));
        for (let times = below(3), at = ms + below(8); times > 0; times--, at += 2 * below(8_000)) {
          const simulated = (): SimulatedRun | undefined => simulation.runs.get(`run-${run}`);
          const what = below(3);
          if (what === 0) simulation.at(at, () => simulated()?.kill());
          if (what === 1) simulation.at(at, () => simulated()?.evict());
          simulation.at(at + 1, () => simulated()?.act((one) => act(one, "pause")));
          simulation.at(at + 2 + below(9_000), () => simulated()?.act((one) => act(one, "resume")));
        }
      }
      await simulation.drive();
      const runs = [...simulation.runs.values()];
      expect(runs.map(({ status }) => status)).toEqual(runs.map(() => "completed"));
      const begun = runs
        .map((simulated) => simulated.entries("run.started")[0]?.at ?? 0)
        .sort((one, other) => one - other);
      for (const [index, at] of begun.slice(limit).entries()) {
        expect(at - (begun[index] ?? 0), `seed ${seed}`).toBeGreaterThanOrEqual(periodMs);
      }
    }
  });

  test("that may not begin after an instant is cancelled in its line", async () => {
    const simulation = new LaneSimulation();
    simulation.add("a", worker(new Ledger(simulation), 10 * minute), [need("mail", 1)]);
    await simulation.drive(20);
    const b = simulation.add("b", worker(new Ledger(simulation)), [need("mail", 1)], {
      notAfter: simulation.clock.at + minute,
    });
    await simulation.drive(2 * minute);
    expect([b.status, b.run.state.end]).toMatchObject(["cancelled", { error: { code: "start_expired" } }]);
    expect(simulation.lane("mail").waiting).toBe(0);
  });

  test("whose version is gone asks for nothing", async () => {
    const simulation = new LaneSimulation();
    const simulated = simulation.add("a", worker(new Ledger(simulation)), [need("mail", 1)], { version: "0" });
    await simulation.drive(minute);
    expect([simulated.kinds, simulation.lanes.size]).toEqual([["run.created"], 0]);
  });

  test("whose version goes while it is at work gives its slot back as soon as that shows", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const a = simulation.add("a", worker(ledger, 500), [need("mail", 1)]);
    await simulation.drive(20);
    const b = simulation.add("b", worker(ledger), [need("mail", 1)]);
    await simulation.drive(40);
    const { definition } = a;
    a.definition = undefined;
    a.kill();
    await simulation.drive(2000);
    expect([a.status, b.status]).toEqual(["waiting", "completed"]);
    a.definition = definition;
    a.kill();
    await simulation.drive();
    expect([a.status, ledger.most]).toEqual(["completed", 1]);
    expect(simulation.lane("mail").isEmpty).toBe(true);
  });
});

test("a rate does not count a run anew whose version goes after it has begun", async () => {
  const simulation = new LaneSimulation();
  const needs = [need("rate", 1, { periodMs: minute })];
  const a = simulation.add("a", (_input, step) => step.sleep("nap", "1 hour"), needs);
  await simulation.drive(1000);
  const b = simulation.add("b", (_input, step) => step.sleep("nap", "1 hour"), needs);
  simulation.at(30_000, () => {
    a.definition = undefined;
    a.evict();
    a.act(() => {});
  });
  await simulation.drive(2 * minute);
  expect((b.run.state.startedAt ?? Infinity) - (a.run.state.startedAt ?? 0)).toBeLessThan(minute + 100);
});

describe("a parked run", () => {
  const napper = (ledger: Ledger) => async (_input: unknown, step: Step) => {
    await step.run("one", () => ledger.work(step.info.id, 5));
    await step.sleep("nap", minute);
    await step.run("two", () => ledger.work(step.info.id, 5));
  };

  test("gives its slot back, and waits for one before it goes on", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const a = simulation.add("a", napper(ledger), [need("mail", 1)]);
    await simulation.drive(1000);
    expect([a.status, simulation.lane("mail").isEmpty]).toEqual(["waiting", true]);
    simulation.add("b", worker(ledger, minute), [need("mail", 1)]);
    await simulation.drive(1.5 * minute);
    expect([a.status, waitsOf(a)[0]]).toEqual(["queued", ["lane", "mail"]]);
    await simulation.drive();
    expect([a.status, ledger.most]).toEqual(["completed", 1]);
    expect(a.kinds).toEqual([
      "run.created",
      "run.started",
      "step.completed",
      "timer.set",
      "lane.queued",
      "lane.entered",
      "timer.fired",
      "step.completed",
      "run.completed",
    ]);
  });

  test("that holds keeps it, also through an eviction", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const a = simulation.add("a", napper(ledger), [need("mail", 1, { hold: true })]);
    await simulation.drive(100);
    const b = simulation.add("b", napper(ledger), [need("mail", 1, { hold: true })]);
    simulation.at(1000, () => {
      a.evict();
      b.evict();
    });
    // Longer than any lease: the lane asks whether it is still held.
    await simulation.drive(40_000);
    expect([a.status, b.status]).toEqual(["waiting", "queued"]);
    await simulation.drive();
    expect(ledger.begun).toEqual(["a", "a", "b", "b"]);
  });

  test("asks for nothing when a signal comes that it does not wait for", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const a = simulation.add("a", async (_input, step) => void (await step.waitFor("go")), [need("mail", 1)]);
    await simulation.drive(1000);
    simulation.add("b", worker(ledger, 10 * minute), [need("mail", 1)]);
    await simulation.drive(2000);
    a.act((run) => signal(run, "other", 1));
    await simulation.drive(3000);
    expect([a.status, simulation.lane("mail").waiting]).toEqual(["waiting", 0]);
    a.act((run) => signal(run, "go", 1));
    await simulation.drive(4000);
    expect([a.status, simulation.lane("mail").waiting]).toEqual(["queued", 1]);
    await simulation.drive();
    expect(a.status).toBe("completed");
  });

  test.for([false, true])(
    "guarantee 4: takes a signal that came in time for the wait, evicted: %s",
    async (evicted) => {
      const simulation = new LaneSimulation();
      const seen: unknown[] = [];
      const handler = async (_input: unknown, step: Step) => {
        seen.push(await step.waitFor("go", { timeout: minute }));
        seen.push(await step.waitFor("late", { timeout: 1000 }));
      };
      const a = simulation.add("a", handler, [need("mail", 1)]);
      await simulation.drive(1000);
      simulation.add("b", worker(new Ledger(simulation), 10 * minute), [need("mail", 1)]);
      simulation.at(30_000, () => a.act((run) => signal(run, "go", "in time")));
      if (evicted) simulation.at(40_000, () => a.evict());
      // The wait's time comes while the run is held.
      simulation.at(2 * minute, () => a.act((run) => signal(run, "late", "buffered")));
      await simulation.drive(5 * minute);
      expect([a.status, a.kinds.includes("wait.timed_out")]).toEqual(["queued", false]);
      await simulation.drive();
      expect(seen.slice(-2)).toEqual(["in time", "buffered"]);
    },
  );

  test("guarantee 4: a wait that timed out while the run was held ends when it is let in", async () => {
    const simulation = new LaneSimulation();
    const a = simulation.add("a", async (_input, step) => await step.waitFor("go", { timeout: minute }), [
      need("mail", 1),
    ]);
    await simulation.drive(1000);
    simulation.add("b", worker(new Ledger(simulation), 10 * minute), [need("mail", 1)]);
    simulation.at(2 * minute, () => a.act((run) => signal(run, "go", "too late")));
    await simulation.drive();
    expect(a.kinds).toEqual([
      "run.created",
      "run.started",
      "wait.started",
      "lane.queued",
      "signal.received",
      "lane.entered",
      "wait.timed_out",
      "run.completed",
    ]);
  });

  test("gives back what it asked for after the last need that it holds, and nobody waits for ever", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const needs = [need("mail", 1), need("own", 1, { hold: true })];
    for (let index = 0; index < 6; index++) simulation.add(`both-${index}`, napper(ledger), needs);
    for (let index = 0; index < 6; index++) simulation.add(`mail-${index}`, napper(ledger), [need("mail", 1)]);
    await simulation.drive();
    expect([...simulation.runs.values()].map(({ status }) => status)).toEqual(
      Array.from({ length: 12 }, () => "completed"),
    );
  });
});

describe("a run that is held", () => {
  async function held(definition = {}): Promise<{ simulation: LaneSimulation; b: SimulatedRun; ledger: Ledger }> {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    simulation.add("a", worker(ledger, 10 * minute), [need("mail", 1)]);
    await simulation.drive(100);
    const b = simulation.add("b", define(worker(ledger), definition), [need("mail", 1)]);
    await simulation.drive(200);
    return { simulation, b, ledger };
  }

  test.for(["cancel", "terminate"] as const)("leaves its line at once: %s", async (kind) => {
    const { simulation, b } = await held();
    b.act((run) => act(run, kind));
    await simulation.drive(300);
    expect([b.status, simulation.lane("mail").waiting]).toEqual(["cancelled", 0]);
  });

  test.for(["cancel", "terminate"] as const)("leaves its line at once, out of memory: %s", async (kind) => {
    const { simulation, b } = await held();
    b.evict();
    b.act((run) => act(run, kind));
    await simulation.drive(300);
    expect([b.status, simulation.lane("mail").waiting]).toEqual(["cancelled", 0]);
  });

  test.for(["cancel", "terminate"] as const)(
    "is not queued by an answer that comes behind its end: %s",
    async (kind) => {
      const simulation = new LaneSimulation();
      const { run, journal } = simulation.add("b", worker(new Ledger(simulation)), [need("mail", 1)]);
      run.advance();
      const [request] = run.lanes.takeRequests();
      if (request?.kind !== "enter") throw new Error("nothing is asked");
      await act(run, kind);
      run.lanes.answered(request.slot, { granted: false, turn: 9, position: 1, used: 1, limit: 1 });
      run.advance();
      expect(journal.kinds).toEqual(["run.created", "run.cancelled"]);
      expect(run.lanes.takeRequests()).toMatchObject([{ kind: "leave", lane: "mail" }]);
    },
  );

  test("leaves its line while it is paused, and goes on after it is resumed", async () => {
    const { simulation, b } = await held();
    b.act((run) => act(run, "pause"));
    await simulation.drive(300);
    expect([b.status, simulation.lane("mail").waiting]).toEqual(["paused", 0]);
    b.act((run) => act(run, "resume"));
    await simulation.drive();
    expect([b.status, b.entries("lane.queued").length]).toEqual(["completed", 1]);
  });

  test("times out as a whole, and leaves its line", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const napping = async (_input: unknown, step: Step) => {
      await step.sleep("nap", minute);
      await step.run("work", () => ledger.work(step.info.id, 5));
    };
    const a = simulation.add("a", define(napping, { timeoutMs: 2 * minute }), [need("mail", 1)]);
    await simulation.drive(100);
    simulation.add("b", worker(ledger, 10 * minute), [need("mail", 1)]);
    await simulation.drive(3 * minute);
    expect([a.status, a.run.state.end]).toMatchObject(["failed", { error: { code: "run_timeout" } }]);
    expect([simulation.lane("mail").waiting, (a.run.state.end?.at ?? 0) - (a.run.state.startedAt ?? 0)]).toEqual([
      0,
      2 * minute,
    ]);
  });

  test("times out as a whole, and undoes without a slot, also in a new memory", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const done: string[] = [];
    const charging = async (_input: unknown, step: Step) => {
      await step.run("charge", () => ledger.work(step.info.id, 5), { undo: () => void done.push("refund") });
      await step.sleep("nap", minute);
      await step.run("work", () => ledger.work(step.info.id, 5));
    };
    const a = simulation.add("a", define(charging, { timeoutMs: 5 * minute }), [need("mail", 1)]);
    await simulation.drive(100);
    simulation.add("b", worker(ledger, 10 * minute), [need("mail", 1)]);
    simulation.at(3 * minute, () => a.evict());
    await simulation.drive(6 * minute);
    expect([a.run.state.end?.kind, done]).toEqual(["run.failed", ["refund"]]);
  });

  test.each([
    ["is cancelled", 1],
    ["is cancelled", 4],
    ["times out", 1],
    ["times out", 4],
  ])(
    "guarantee 8: waits for a step that can be undone, and that a death cut off, where it %s after %d deaths",
    async (how, deaths) => {
      const simulation = new LaneSimulation();
      const ledger = new Ledger(simulation);
      // Takes longer than it may.
      const charging = (_input: unknown, step: Step) =>
        step.run("charge", () => ledger.work(step.info.id, 2 * minute), { undo: () => {} });
      const a = simulation.add("a", define(charging, { timeoutMs: minute }), [need("mail", 1)]);
      await simulation.drive(10_000);
      for (let death = 1; death <= deaths; death++) {
        a.kill();
        // Somebody else has its slot by now.
        if (death === deaths) simulation.loses = () => true;
        await simulation.drive(10_000 * (1 + death));
      }
      expect(a.status).toBe("queued");
      if (how === "is cancelled") a.act((run) => act(run, "cancel"));
      const since = how === "is cancelled" ? simulation.now : minute;
      await simulation.drive(5 * minute);
      expect(a.run.state.end?.kind).toBe(how === "is cancelled" ? "run.cancelled" : "run.failed");
      expect(a.entries("step.failed")).toMatchObject([{ step: "charge", error: { code: "step_timeout" } }]);
      expect((a.run.state.end?.at ?? 0) - startAt - since).toBeLessThan(31_000);
    },
  );

  test("cleans up and undoes without a slot once it is cancelled", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const done: string[] = [];
    const handler = async (_input: unknown, step: Step) => {
      await step.run("charge", () => ledger.work(step.info.id, 5), { undo: () => void done.push("refund") });
      try {
        await step.sleep("nap", minute);
      } finally {
        await step.run("clean", () => void done.push("clean"));
      }
    };
    const a = simulation.add("a", handler, [need("mail", 1), need("steps", 1, { scope: "step" })]);
    await simulation.drive(100);
    simulation.add("b", worker(ledger, 10 * minute), [need("mail", 1), need("steps", 1, { scope: "step" })]);
    await simulation.drive(2 * minute);
    expect(a.status).toBe("queued");
    a.act((run) => act(run, "cancel"));
    await simulation.drive(3 * minute);
    expect([a.status, done]).toEqual(["cancelled", ["clean", "refund"]]);
    expect(simulation.lane("mail").waiting).toBe(0);
  });

  test("guarantee 4: asks again by itself where the grant was lost", async () => {
    const { simulation, b } = await held();
    simulation.loses = (what) => what === "granted";
    await simulation.drive();
    expect(b.status).toBe("completed");
  });

  test("guarantee 4: asks again by itself where the lane could not be reached", async () => {
    const simulation = new LaneSimulation();
    const simulated = simulation.add("a", worker(new Ledger(simulation)), [need("mail", 1)]);
    let losses = 2;
    simulation.loses = (what) => what === "enter" && losses-- > 0;
    await simulation.drive();
    expect(simulated.kinds.slice(0, 4)).toEqual(["run.created", "lane.queued", "lane.entered", "run.started"]);
    expect(simulated.status).toBe("completed");
  });

  test("guarantee 4: a slot that was given back unheard is free again after its lease", async () => {
    const simulation = new LaneSimulation();
    simulation.loses = (what) => what === "leave";
    const runs = ["a", "b", "c"].map((id) => simulation.add(id, worker(new Ledger(simulation)), [need("mail", 1)]));
    await simulation.drive();
    expect(runs.map(({ status }) => status)).toEqual(["completed", "completed", "completed"]);
    expect(simulation.now).toBeLessThan(3 * minute);
  });

  test("guarantee 4: no alarm that asks again is taken for a death", async () => {
    const { simulation, b } = await held();
    const naps = simulation.add("naps", async (_input, step) => await step.sleep("nap", minute), [need("mail", 1)]);
    for (let at = 1000; at < 19 * minute; at += 10_000) {
      simulation.at(at, () => {
        b.evict();
        naps.evict();
      });
    }
    await simulation.drive();
    expect([b.status, naps.status]).toEqual(["completed", "completed"]);
    expect([...b.kinds, ...naps.kinds]).not.toContain("run.interrupted");
  });
});

describe("steps that need slots", () => {
  const steps = (limit: number) => [need("steps", limit, { scope: "step" })];
  const parallel = (ledger: Ledger, count: number) => async (_input: unknown, step: Step) => {
    const items = Array.from({ length: count }, (_, index) => index);
    await Promise.all(items.map((index) => step.run(`item-${index}`, () => ledger.work(step.info.id, 50))));
  };

  test("never more than the limit at work, of several runs together, and all of them end", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const runs = ["a", "b", "c"].map((id) => simulation.add(id, parallel(ledger, 60), steps(4)));
    await simulation.drive();
    expect(runs.map(({ status }) => status)).toEqual(["completed", "completed", "completed"]);
    expect([ledger.most, ledger.begun.length]).toEqual([4, 180]);
    expect(simulation.lane("steps").isEmpty).toBe(true);
  });

  test("a run stands in line with some of its steps at a time", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const a = simulation.add("a", parallel(ledger, 200), steps(1));
    await simulation.drive(30);
    expect(simulation.lane("steps").waiting).toBeLessThanOrEqual(32);
    await simulation.drive();
    expect([a.status, ledger.most]).toEqual(["completed", 1]);
  });

  test("a paused run leaves the line in which its steps stand", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    simulation.add("a", worker(ledger, 10 * minute), steps(1));
    await simulation.drive(100);
    const b = simulation.add("b", worker(ledger), steps(1));
    await simulation.drive(minute);
    expect(simulation.lane("steps").waiting).toBe(1);
    b.act((run) => act(run, "pause"));
    await simulation.drive(2 * minute);
    expect([b.status, simulation.lane("steps").waiting]).toEqual(["paused", 0]);
    b.act((run) => act(run, "resume"));
    await simulation.drive();
    expect([b.status, ledger.most]).toEqual(["completed", 1]);
  });

  test("one that waits for its slot does not begin once the run has failed, while others are waited for", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const begun: string[] = [];
    const failing = async (_input: unknown, step: Step) => {
      const work = (name: string) => (): Promise<void> => {
        begun.push(name);
        return ledger.work(step.info.id, minute / 3);
      };
      const undo = (): void => {};
      const both = ["one", "other"].map((name) => step.run(name, work(name), { undo }));
      await Promise.all([...both, step.sleep("nap", 1000).then(() => step.fail(new Error("no")))]);
    };
    simulation.add("b", worker(ledger, 5000), steps(2));
    await simulation.drive(100);
    const a = simulation.add("a", failing, steps(2));
    await simulation.drive();
    expect([a.status, begun.length]).toEqual(["failed", 1]);
    expect(a.run.state.end).toMatchObject({ error: { undone: begun } });
    expect(simulation.lane("steps").isEmpty).toBe(true);
  });

  test.each(["fails", "is cancelled"])(
    "guarantee 8: one that a death cut off is waited for without its slot, and undone, where the run %s",
    async (how) => {
      const simulation = new LaneSimulation();
      const ledger = new Ledger(simulation);
      const charging = async (_input: unknown, step: Step) => {
        const work = () => ledger.work(step.info.id, minute / 3);
        const charge = step.run("charge", work, { undo: () => {} });
        step.run("once", work, { undo: () => {}, atMostOnce: true }).catch(() => {});
        if (how === "fails") await step.sleep("nap", 1000).then(() => step.fail(new Error("no")));
        await charge;
      };
      const a = simulation.add("a", charging, steps(2));
      await simulation.drive(10_000);
      a.kill();
      // Whoever waited for it has its slot by now.
      simulation.loses = () => true;
      await simulation.drive(2000);
      if (how === "is cancelled") a.act((run) => act(run, "cancel"));
      await simulation.drive(minute);
      expect(a.run.snapshot()).toMatchObject({
        status: how === "fails" ? "failed" : "cancelled",
        error: { undone: ["charge"] },
      });
      expect(a.entries("step.failed")).toMatchObject([{ step: "once", error: { code: "step_interrupted" } }]);
    },
  );

  test.each(["is cancelled", "times out", "has failed"])(
    "guarantee 8: the same where the run itself has no slot yet after the death, and %s",
    async (how) => {
      const simulation = new LaneSimulation();
      const ledger = new Ledger(simulation);
      const seen: string[] = [];
      const charging = async (_input: unknown, step: Step) => {
        const { journal } = a;
        // What a dead process comes to counts for nothing.
        const note = (text: string) => void (journal.closed || seen.push(text));
        const work = () => ledger.work("a", minute / 3).then(() => note("charged"));
        const charge = step.run("charge", work, { undo: () => note("refunded") });
        if (how === "has failed") await step.sleep("nap", 1000).then(() => step.fail(new Error("no")));
        await charge;
      };
      const flow = define(charging, { timeoutMs: how === "times out" ? 10_500 : null });
      const a: SimulatedRun = simulation.add("a", flow, [need("mail", 1)]);
      await simulation.drive(10_000);
      a.kill();
      simulation.loses = () => true;
      if (how === "is cancelled") a.act((run) => act(run, "cancel"));
      if (how === "has failed") void a.act((run) => run.awake());
      await simulation.drive(10 * minute);
      const status = how === "is cancelled" ? "cancelled" : "failed";
      expect(a.run.snapshot()).toMatchObject({ status, error: { undone: ["charge"] } });
      expect(seen).toEqual(["charged", "refunded"]);
    },
  );

  test("a run whose only step waits is queued, and parked", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    simulation.add("a", worker(ledger, 10 * minute), steps(1));
    await simulation.drive(100);
    const b = simulation.add("b", worker(ledger), steps(1));
    await simulation.drive(200);
    expect([b.status, waitsOf(b)]).toEqual(["queued", [["lane", "steps"]]]);
    expect(b.run.snapshot().steps.running).toBe(0);
    b.evict();
    await simulation.drive();
    expect([b.status, b.kinds.includes("step.interrupted"), b.kinds.includes("run.interrupted")]).toEqual([
      "completed",
      false,
      false,
    ]);
  });

  test("one that kills its process again and again is counted, though it is evicted in line for its slot each time (4)", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    let begun = 0;
    const killer = async (_input: unknown, step: Step) => {
      await step.run("killer", () => {
        begun++;
        simulation.at(simulation.now + 10, () => {
          a.kill();
          // Its slot is taken back before it asks for it again, and is another's for a while.
          simulation.lane("steps").leave({ runId: "a", createdAt: startAt, step: "killer" }, simulation.clock.at);
          simulation.add(`other ${begun}`, worker(ledger, minute), steps(1));
          simulation.at(simulation.now + 30_000, () => a.evict());
        });
        return new Promise(() => {});
      });
    };
    const a = simulation.add("a", killer, steps(1));
    for (let at = 0; begun < 12 && at < 60 && a.status !== "failed"; at++) await simulation.drive(at * minute);
    expect([a.status, a.run.snapshot().error?.code]).toEqual(["failed", "step_crashed"]);
    expect(begun).toBeLessThanOrEqual(6);
  });

  test("the timeout of an attempt counts from its beginning, and every retry asks anew", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    simulation.add("a", worker(ledger, minute), steps(1));
    await simulation.drive(100);
    let attempts = 0;
    const b = simulation.add(
      "b",
      async (_input, step) => {
        const fn = async () => {
          await ledger.work("b", 500);
          if (++attempts < 3) throw new Error("again");
        };
        await step.run("flaky", fn, { timeout: 1000, retry: { delay: 10, jitter: 0, backoff: "constant" } });
      },
      steps(1),
    );
    await simulation.drive();
    expect([b.status, attempts, ledger.most]).toEqual(["completed", 3, 1]);
    expect(b.entries("step.attempt_failed").map(({ error }) => error.message)).toEqual(["again", "again"]);
    expect(simulation.lane("steps").isEmpty).toBe(true);
  });

  test("beside a slot of the run's own, both limits hold and nobody waits for ever", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const needs = [need("mail", 2), ...steps(1)];
    const ids = Array.from({ length: 8 }, (_, index) => `run-${index}`);
    const runs = ids.map((id) => simulation.add(id, worker(ledger, 30), needs));
    await simulation.drive();
    expect(runs.map(({ status }) => status)).toEqual(ids.map(() => "completed"));
    expect(ledger.most).toBe(1);
  });
});

describe("a step whose request a courier makes", () => {
  const asks: Handler = async (_input, step) => {
    await step.fetch("ask", "https://example.com/");
    await step.run("next", () => 1);
  };

  test.each([false, true])("keeps its slot until it is answered, in a pause too (evicted: %s)", async (isEvicted) => {
    const simulation = new LaneSimulation();
    const couriers = new SimulatedCouriers(simulation, () => ({ end: answered("yes"), ms: 5 * minute }));
    simulation.couriers = (id, isDead) => couriers.of(id, isDead);
    const needs = [need("mail", 1, { scope: "step" })];
    const a = simulation.add("a", asks, needs);
    simulation.at(1000, () => a.act((run) => act(run, "pause")));
    await simulation.drive(2000);
    if (isEvicted) a.evict();
    const b = simulation.add("b", asks, needs);
    await simulation.drive(4 * minute);
    expect([a.status, b.status, b.entries("step.dispatched").length]).toEqual(["paused", "queued", 0]);
    await simulation.drive(6 * minute);
    expect([a.status, a.kinds.at(-1), b.entries("step.dispatched").length]).toEqual(["paused", "step.completed", 1]);
    void a.act((run) => act(run, "resume"));
    await simulation.drive();
    expect([a.status, b.status, simulation.lane("mail").isEmpty]).toEqual(["completed", "completed", true]);
  });

  test.each([true, false])(
    "gives the run's slot back as it is answered, though it was evicted meanwhile; in a pause: %s",
    async (isPaused) => {
      const simulation = new LaneSimulation();
      const couriers = new SimulatedCouriers(simulation, () => ({ end: answered("yes"), ms: 5 * minute }));
      simulation.couriers = (id, isDead) => couriers.of(id, isDead);
      const asksAndWaits: Handler = async (_input, step) => {
        const go = step.waitFor("go");
        await step.fetch("ask", "https://example.com/");
        await go;
      };
      const a = simulation.add("a", asksAndWaits, [need("mail", 1)]);
      await simulation.drive(1000);
      if (isPaused) void a.act((run) => act(run, "pause"));
      await simulation.drive(2000);
      a.evict();
      const b = simulation.add("b", worker(new Ledger(simulation)), [need("mail", 1)]);
      await simulation.drive(5 * minute - 1000);
      expect(b.status).toBe("queued");
      await simulation.drive(5 * minute + 1000);
      expect([a.kinds.includes("step.completed"), b.status]).toEqual([true, "completed"]);
    },
  );

  test("has it handed over as soon as a run that was called meanwhile has its slot again, where a death kept it from its courier (4)", async () => {
    const simulation = new LaneSimulation();
    const couriers = new SimulatedCouriers(simulation, () => ({ end: answered("yes"), ms: 1000 }));
    simulation.couriers = (id, isDead) => couriers.of(id, isDead);
    const a = simulation.add("a", asks, [need("mail", 1)]);
    a.journal.onAppend = () => {
      if (a.kinds.at(-1) !== "step.dispatched") return;
      queueMicrotask(() => {
        a.kill();
        void a.act((run) => run.awake());
      });
    };
    await simulation.drive(10_000);
    expect([a.status, a.entries("step.dispatched").length]).toEqual(["completed", 1]);
  });
});

describe("what wakes a parked run while others have its slot", () => {
  /** A run that is parked, and another that has the slot for ten minutes. */
  async function parked(handler: Handler): Promise<{ simulation: LaneSimulation; a: SimulatedRun }> {
    const simulation = new LaneSimulation();
    const a = simulation.add("a", handler, [need("mail", 1)]);
    await simulation.drive(1000);
    simulation.add("b", worker(new Ledger(simulation), 10 * minute), [need("mail", 1)]);
    await simulation.drive(2000);
    expect(a.status).toBe("waiting");
    return { simulation, a };
  }

  test.for([false, true])(
    "the call of a webhook is answered at once, what follows waits; evicted: %s",
    async (evicted) => {
      let ran = 0;
      const { simulation, a } = await parked(async (_input, step) => {
        const hook = await step.webhook("hook");
        const call = await hook.received();
        await step.run("after", () => void ran++);
        return call?.body;
      });
      if (evicted) a.evict();
      const body = new TextEncoder().encode('{"paid":true}');
      const headers = { "content-type": "application/json" };
      const call = a.act((run) => receiveHook(run, "hook", { method: "POST", headers, query: {}, body }));
      await simulation.drive(3000);
      expect(await call).toEqual({ duplicate: false });
      await simulation.drive(4000);
      expect([a.status, ran, a.kinds.at(-1)]).toEqual(["queued", 0, "lane.queued"]);
      await simulation.drive();
      expect([a.status, ran]).toEqual(["completed", 1]);
    },
  );

  test("what it called in line for its slot had not begun, however often it was evicted and called meanwhile", async () => {
    const { simulation, a } = await parked(async (_input, step) => {
      const hook = await step.webhook("hook");
      await hook.received();
      await step.run("after", () => {});
    });
    const request = { method: "POST", headers: {}, query: {}, body: new Uint8Array() };
    void a.act((run) => receiveHook(run, "hook", request));
    await simulation.drive(3000);
    for (let at = 10_000; at < 3 * minute; at += 20_000) {
      simulation.at(at, () => a.evict()).at(at + 10_000, () => a.act((run) => run.awake()));
    }
    await simulation.drive(4 * minute);
    expect([a.status, a.kinds.at(-1)]).toEqual(["queued", "lane.queued"]);
    a.evict();
    await simulation.drive();
    expect([a.status, a.kinds.filter((kind) => kind.endsWith("interrupted"))]).toEqual(["completed", []]);
  });

  test("what was at work when its process died is marked, in line for its slot, once (4)", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const a = simulation.add("a", worker(ledger, minute), [need("mail", 1)]);
    await simulation.drive(1000);
    a.kill();
    // Its slot is taken back before it asks for it again.
    simulation.lane("mail").leave({ runId: "a", createdAt: startAt, step: null }, simulation.clock.at);
    simulation.add("b", worker(ledger, 5 * minute), [need("mail", 1)]);
    for (let at = 10_000; at < 3 * minute; at += 20_000) {
      simulation.at(at, () => a.act((run) => run.awake())).at(at + 10_000, () => a.evict());
    }
    await simulation.drive(4 * minute);
    expect([a.status, a.entries("step.interrupted").length]).toEqual(["queued", 1]);
    await simulation.drive();
    expect([a.status, a.entries("step.interrupted").length]).toEqual(["completed", 1]);
  });

  test("a signal that comes once it was evicted, and replayed by a call without its slot (4, 5)", async () => {
    const { simulation, a } = await parked(async (_input, step) => await step.waitFor("go"));
    a.evict();
    void a.act((run) => run.awake());
    await simulation.drive(3000);
    expect(a.status).toBe("waiting");
    a.act((run) => signal(run, "go", "now"));
    await simulation.drive(4000);
    expect([a.status, a.kinds.at(-1)]).toEqual(["queued", "lane.queued"]);
    await simulation.drive();
    expect([a.status, a.kinds.filter((kind) => kind === "signal.consumed").length]).toEqual(["completed", 1]);
  });

  test("a signal that a listener takes", async () => {
    const heard: unknown[] = [];
    const { simulation, a } = await parked(async (_input, step) => {
      step.onSignal("news", (payload) => void heard.push(payload));
      await step.waitFor("end");
    });
    a.act((run) => signal(run, "news", "first"));
    await simulation.drive(3000);
    expect([a.status, heard]).toEqual(["queued", []]);
    await simulation.drive();
    expect([a.status, heard]).toEqual(["waiting", ["first"]]);
    expect(simulation.lane("mail").isEmpty).toBe(true);
  });

  test("takes a signal that it does not wait for into its buffer, evicted as it is, and is queued nowhere", async () => {
    const { simulation, a } = await parked(async (_input, step) => {
      const nap = step.sleep("nap", "1 hour");
      const go = step.waitFor("go", { timeout: "2 hours" });
      await Promise.all([nap, go]);
    });
    a.evict();
    a.act((run) => signal(run, "other", 1));
    await simulation.drive(3000);
    expect([a.status, simulation.lane("mail").waiting]).toEqual(["waiting", 0]);
    // Its deadline and the signal that it does wait for set it going all the same.
    await simulation.drive(70 * minute);
    expect(a.kinds).toContain("timer.fired");
    a.evict();
    a.act((run) => signal(run, "go", 1));
    await simulation.drive();
    expect([a.status, a.kinds.filter((kind) => kind === "lane.queued")]).toEqual(["completed", []]);
  });

  test("its next attempt", async () => {
    let attempts = 0;
    const { simulation, a } = await parked(async (_input, step) => {
      const fn = () => {
        if (++attempts < 2) throw new Error("again");
      };
      await step.run("flaky", fn, { retry: { delay: minute, jitter: 0 } });
    });
    await simulation.drive(2 * minute);
    expect([a.status, attempts]).toEqual(["queued", 1]);
    await simulation.drive();
    expect([a.status, attempts]).toEqual(["completed", 2]);
  });

  test("a signal that it was about to be given as it was paused", async () => {
    const simulation = new LaneSimulation();
    const validate = async (value: unknown) => {
      await simulation.clock.after(1000);
      return { value };
    };
    const schema = { "~standard": { version: 1, vendor: "test", validate } } as const;
    const a = simulation.add("a", (_input, step) => step.waitFor("go", { schema }), [need("mail", 1)]);
    a.act((run) => signal(run, "go", "first"));
    await simulation.drive(500);
    a.act((run) => act(run, "pause"));
    await simulation.drive(minute);
    expect(simulation.lane("mail").isEmpty).toBe(true);
    a.act((run) => act(run, "resume"));
    await simulation.drive();
    expect(a.status).toBe("completed");
  });
});

describe("a run that begins again", () => {
  test("as new keeps its slot from one life to the next", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const round = async (input: { readonly left?: number }, step: Step) => {
      await step.run("work", () => ledger.work(step.info.id, 500));
      const { left = 3 } = input;
      if (left > 0) await step.continueAsNew({ left: left - 1 });
    };
    const a = simulation.add("a", define(round, { flow: { lane: "mail" } }), [need("mail", 1)]);
    await simulation.drive(100);
    const b = simulation.add("b", worker(ledger), [need("mail", 1)]);
    await simulation.drive();
    expect([a.status, b.status]).toEqual(["completed", "completed"]);
    expect(ledger.begun).toEqual(["a", "a", "a", "a", "b", "b"]);
  });

  test("as new gives back the slots of steps that it left at work", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const leaver = define(
      async (input: { readonly isNew?: true }, step: Step) => {
        if (input.isNew === true) return await step.sleep("1 h");
        void step.run("work", () => ledger.work("a", 10 * minute));
        await step.sleep("1 s");
        return await step.continueAsNew({ isNew: true });
      },
      { flow: { concurrency: { limit: 1, scope: "step" } } },
    );
    const needs = [need("steps:flow", 1, { scope: "step" })];
    const a = simulation.add("a", leaver, needs);
    await simulation.drive(100);
    const b = simulation.add("b", worker(ledger), needs);
    await simulation.drive(minute);
    expect([a.status, b.status]).toEqual(["waiting", "completed"]);
  });

  const key = (input: { readonly key: string }): string => input.key;

  /** Works for half a second under each key, one life after the other. */
  function mover(ledger: Ledger, flow: Flow<never>) {
    return define(
      async (input: { readonly key: string }, step: Step) => {
        await step.run("work", () => ledger.work(step.info.id, 500));
        if (input.key === "one") await step.continueAsNew({ key: "two" });
      },
      { flow },
    );
  }

  const first = { input: encode({ key: "one" }, "the input") };

  test.each([false, true])(
    "as new with another key goes over to the lane of that one, killed there: %s",
    async (killed) => {
      const simulation = new LaneSimulation();
      const ledger = new Ledger(simulation);
      const [one, two] = ["concurrency:flow:one", "concurrency:flow:two"];
      const a = simulation.add("a", mover(ledger, { concurrency: { limit: 1, key } }), [need(one, 1)], first);
      await simulation.drive(20);
      const there = simulation.add("there", worker(ledger, minute), [need(two, 1)]);
      const behind = simulation.add("behind", worker(ledger), [need(one, 1)]);
      await simulation.drive(1000);
      expect([a.status, waitsOf(a), there.status, behind.status]).toEqual([
        "queued",
        [["lane", two]],
        "running",
        "completed",
      ]);
      expect([simulation.lane(one).isEmpty, simulation.lane(two).waiting]).toEqual([true, 1]);
      if (killed) a.kill();
      await simulation.drive();
      expect([a.status, there.status]).toEqual(["completed", "completed"]);
      expect(a.kinds).toEqual([
        ...["run.created", "lane.queued", "lane.entered", "run.started"],
        ...["step.completed", "run.completed"],
      ]);
      expect([simulation.lane(one).isEmpty, simulation.lane(two).isEmpty]).toEqual([true, true]);
    },
  );

  test("as new with another key is the run that it was for those that wait for its end", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    const own = "singleton:flow:one";
    const needs = [need(own, 1, { hold: true }), need("concurrency:flow:one", 1)];
    const flow: Flow<never> = { singleton: { mode: "queue", key }, concurrency: { limit: 1, key } };
    const a = simulation.add("a", mover(ledger, flow), needs, first);
    await simulation.drive(20);
    simulation.add("behind", worker(ledger), [need(own, 1, { hold: true })]);
    await simulation.drive();
    expect(a.run.state.created?.lanes?.map(({ lane }) => lane)).toEqual([own, "concurrency:flow:two"]);
    expect(ledger.begun).toEqual(["a", "a", "behind", "behind"]);
  });

  test("after it failed waits for a slot like any other", async () => {
    const simulation = new LaneSimulation();
    const ledger = new Ledger(simulation);
    let fails = true;
    const handler = async (_input: unknown, step: Step) => {
      await step.run("work", async () => {
        await ledger.work(step.info.id, 5);
        if (fails) throw new NonRetryableError("no");
      });
    };
    const a = simulation.add("a", handler, [need("mail", 1)]);
    await simulation.drive(100);
    expect([a.status, simulation.lane("mail").isEmpty]).toEqual(["failed", true]);
    simulation.add("b", worker(ledger, minute), [need("mail", 1)]);
    await simulation.drive(200);
    fails = false;
    a.act((run) => act(run, "retry"));
    await simulation.drive(300);
    expect(a.status).toBe("queued");
    await simulation.drive();
    expect([a.status, ledger.most]).toEqual(["completed", 1]);
  });

  test("with other needs, as a later start of its debounce has them, asks for those alone", async () => {
    const simulation = new LaneSimulation();
    const later = simulation.clock.at + minute;
    const a = simulation.add("a", worker(new Ledger(simulation)), [need("old", 1)], { startAt: later });
    await simulation.drive(100);
    const merged = { version: "1", input: "{}", labels: {}, startAt: later, by: "test", lanes: [need("new", 1)] };
    a.act((run) => run.append({ kind: "run.debounced", ...merged, input: encode({}, "input") }));
    await simulation.drive();
    expect([a.status, simulation.lane("new").terms.limit, simulation.lanes.has("old")]).toEqual([
      "completed",
      1,
      false,
    ]);
  });
});

describe("what a lane says to a run", () => {
  function slotsOf(lanes: readonly LaneNeed[]): { state: RunState; slots: Slots; enter: () => Slot } {
    const state = new RunState();
    fold(state, { kind: "run.created", seq: 1, at: startAt, ...created({}), lanes });
    fold(state, { kind: "run.started", seq: 2, at: startAt, deployment: "one" });
    const slots = new Slots(() => state, startAt);
    const enter = (): Slot => {
      slots.isWanted = true;
      slots.prepare(startAt);
      const [request] = slots.takeRequests().filter(({ kind }) => kind === "enter");
      if (request?.kind !== "enter") throw new Error("nothing is asked");
      return request.slot;
    };
    return { state, slots, enter };
  }

  test("a slot that it said it does not hold is asked for in a new turn: the lane may be about to take the old one back", () => {
    const { slots, enter } = slotsOf([need("mail", 1)]);
    const ticket = { runId: "run-1", createdAt: startAt, step: null };
    expect(slots.holds("mail", ticket, false)).toBe(false);
    slots.deny("mail", ticket, 7);
    slots.answered(enter(), { granted: true, turn: 7 }, startAt);
    expect(slots.isOpen).toBe(false);
    slots.prepare(startAt);
    const requests = slots.takeRequests();
    expect(requests.map(({ kind }) => kind)).toEqual(["leave", "enter"]);
    const [, again] = requests;
    if (again?.kind !== "enter") throw new Error("it is not asked for again");
    slots.answered(again.slot, { granted: true, turn: 8 }, startAt);
    expect(slots.isOpen).toBe(true);
  });

  test("an answer that comes once the run is cancelled puts it in no line: it cleans up without a slot", () => {
    const { state, slots, enter } = slotsOf([need("mail", 1)]);
    const slot = enter();
    const error = { name: "Cancelled", message: "enough", code: "cancelled" } as const;
    const cancelled = { seq: 3, at: startAt, by: "test", reason: null, error, awaited: [] };
    fold(state, { kind: "run.cancel_requested", ...cancelled });
    const refused = { granted: false, turn: 9, position: 1, used: 1, limit: 1 } as const;
    expect([slots.answered(slot, refused, startAt), slots.isOpen]).toEqual([[], true]);
    slots.prepare(startAt);
    expect(slots.takeRequests()).toMatchObject([{ kind: "leave", lane: "mail" }]);
  });

  test("a message that names another turn is not believed", () => {
    const { slots, enter } = slotsOf([need("mail", 1)]);
    const ticket = { runId: "run-1", createdAt: startAt, step: null };
    slots.answered(enter(), { granted: false, turn: 9, position: 1, used: 1, limit: 1 }, startAt);
    expect([slots.granted("mail", ticket, 5), slots.isOpen]).toEqual([[], false]);
    // Asking again tells.
    expect(enter().lane).toBe("mail");
  });

  test("a message that is faster than the answer to the question counts", () => {
    const { slots, enter } = slotsOf([need("mail", 1)]);
    const ticket = { runId: "run-1", createdAt: startAt, step: null };
    const slot = enter();
    slots.granted("mail", ticket, 9);
    expect(slots.isOpen).toBe(false);
    slots.answered(slot, { granted: false, turn: 9, position: 1, used: 1, limit: 1 }, startAt);
    expect(slots.isOpen).toBe(true);
  });
});

test("a queued run asks again after 1, 3, 7, 15 and 31 minutes, then every half hour", () => {
  const times: number[] = [];
  for (let at = nextAskAt(0, 0); at < 150 * minute; at = nextAskAt(0, at)) times.push(at / minute);
  expect(times).toEqual([1, 3, 7, 15, 31, 61, 91, 121]);
  const year = 365 * 24 * 60 * minute;
  expect(nextAskAt(0, year) - year).toBeLessThanOrEqual(30 * minute);
  expect((nextAskAt(0, year) / minute) % 30).toBe(1);
});

/** Sleeps, waits, steps and retries, and a need of each kind. */
const mixed = (ledger: Ledger) => async (_input: unknown, step: Step) => {
  await step.run("one", () => ledger.work(step.info.id, 20));
  const [, answer] = await Promise.all([
    step.run(
      "flaky",
      async ({ attempt }) => {
        await ledger.work(step.info.id, 10);
        if (attempt < 3) throw new Error("again");
      },
      { retry: { delay: 200, jitter: 0 } },
    ),
    step.waitFor("go", { timeout: 5000 }),
    step.sleep("nap", 700),
  ]);
  await step.run("two", () => ledger.work(step.info.id, 20));
  return answer;
};

describe("guarantee 4: whatever dies", () => {
  test.for(Array.from({ length: 30 }, (_, index) => index + 1))(
    "no more than the limit are at work, and all end (seed %i)",
    async (seed) => {
      const simulation = new LaneSimulation(`simulation ${seed}`);
      const random = createRandom(`kills ${seed}`);
      const ledger = new Ledger(simulation);
      const hold = seed % 2 === 0;
      const needs = [
        need("own", 5, { hold }),
        need("mail", 3),
        ...(seed % 3 === 0 ? [need("s", 2, { scope: "step" })] : []),
      ];
      const ids = Array.from({ length: 25 }, (_, index) => `run-${index}`);
      const runs = ids.map((id) => simulation.add(id, mixed(ledger), needs));
      for (const simulated of runs) {
        simulation.at(Math.floor(random.next() * 8000), () => simulated.act((run) => signal(run, "go", "gone")));
        for (let kills = 0; kills < 4; kills++)
          simulation.at(Math.floor(random.next() * 10_000), () => simulated.kill());
        for (let evictions = 0; evictions < 4; evictions++) {
          simulation.at(Math.floor(random.next() * 10_000), () => simulated.evict());
        }
      }
      simulation.loses = () => random.next() < 0.05;
      await simulation.drive();
      expect(Object.fromEntries(runs.map(({ id, status }) => [id, status]))).toEqual(
        Object.fromEntries(ids.map((id) => [id, "completed"])),
      );
      expect(ledger.most).toBeLessThanOrEqual(seed % 3 === 0 ? 2 : 6);
    },
  );

  test.each([
    ["waits for its slot again", []],
    ["is held back with its run", [need("own", 1)]],
  ])(
    "a step that a death cut off gives its slot back at the end of a cancelled run, where it %s",
    async (_what, own) => {
      const simulation = new LaneSimulation();
      let lives = 0;
      const flow: Handler = async (_input, step) => {
        lives++;
        await step.run("charge", () => simulation.clock.after(lives > 1 ? 1000 : minute), { undo: () => {} });
      };
      const a = simulation.add("a", flow, [...own, need("mail", 1, { scope: "step" })]);
      simulation.at(1500, () => a.kill());
      simulation.at(2000, () => a.act((run) => act(run, "cancel")));
      await simulation.drive(10_000);
      expect(a.run.snapshot()).toMatchObject({ status: "cancelled", error: { undone: ["charge"] } });
      expect(["own", "mail"].map((name) => simulation.lane(name).isEmpty)).toEqual([true, true]);
    },
  );

  test.each([
    ["waits for its slot again", []],
    ["is held back with its run", [need("own", 1)]],
  ])("so does one that cannot be undone, which does not begin again, where it %s", async (_what, own) => {
    const simulation = new LaneSimulation();
    const flow: Handler = async (_input, step) => await step.run("charge", () => simulation.clock.after(minute));
    const a = simulation.add("a", flow, [...own, need("mail", 1, { scope: "step" })]);
    simulation.at(1500, () => a.kill());
    simulation.at(2000, () => a.act((run) => act(run, "cancel")));
    await simulation.drive(10_000);
    expect(a.run.snapshot().status).toBe("cancelled");
    expect(["own", "mail"].map((name) => simulation.lane(name).isEmpty)).toEqual([true, true]);
  });

  test("a run survives a death after every entry, while others want its slot", async () => {
    const crash = async (keep: number): Promise<string[]> => {
      const simulation = new LaneSimulation(`crash ${keep}`);
      const ledger = new Ledger(simulation);
      const needs = [need("mail", 1), need("s", 1, { scope: "step" })];
      const others = ["b", "c"].map((id) => simulation.add(id, mixed(ledger), needs));
      const a = simulation.add("a", mixed(ledger), needs);
      const die = (): void => {
        a.journal.onAppend = () => {
          if (a.journal.commits.length === keep) queueMicrotask(() => a.kill());
        };
      };
      die();
      for (const simulated of [...others, a])
        simulation.at(1500, () => simulated.act((run) => signal(run, "go", "gone")));
      await simulation.drive();
      expect([keep, ...[a, ...others].map(({ status }) => status)]).toEqual([
        keep,
        "completed",
        "completed",
        "completed",
      ]);
      expect([keep, ledger.most]).toEqual([keep, 1]);
      return a.kinds;
    };
    const { length } = await crash(0);
    expect(length).toBeGreaterThan(15);
    for (let keep = 1; keep < length; keep++) await crash(keep);
  });
});
