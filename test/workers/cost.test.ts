/** What a run took of the platform: counted, on record, and never less. */
import { abortAllDurableObjects, evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { costOf } from "../../src/core/run/price.ts";
import { ask, historyOf, newId, runThatIs, start } from "./client.ts";
import { alarmOf, inRun } from "./storage.ts";

type Cost = {
  readonly rowsWritten: number;
  readonly requests: number;
  readonly secondsAwake: number;
  readonly bytesStored: number;
  readonly usd: number;
};

async function costOfRun(id: string): Promise<Cost> {
  return (await ask(`GET /v1/runs/${id}`)).body["cost"] as Cost;
}

async function begin(workflow: string, input: unknown, wait = "?wait=60s"): Promise<string> {
  return (await start(workflow, { input }, wait)).id;
}

/** Counts the rows that the object of this run writes from now on, and the alarms it sets. */
async function countRows(id: string): Promise<() => number> {
  return await inRun(id, ({ storage }) => {
    let alarms = 0;
    const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
    const exec = storage.sql.exec.bind(storage.sql);
    storage.sql.exec = <Row extends Record<string, SqlStorageValue>>(query: string, ...bindings: unknown[]) => {
      const cursor = exec<Row>(query, ...bindings);
      cursors.push(cursor);
      return cursor;
    };
    const setAlarm = storage.setAlarm.bind(storage);
    storage.setAlarm = (at) => {
      alarms++;
      return setAlarm(at);
    };
    return () => alarms + cursors.reduce((sum, cursor) => sum + cursor.rowsWritten, 0);
  });
}

const counts = ({ rowsWritten, requests, secondsAwake }: Cost) => [rowsWritten, requests, secondsAwake];

function expectNoLess(later: Cost, earlier: Cost): void {
  for (const [i, count] of counts(later).entries()) expect(count).toBeGreaterThanOrEqual(counts(earlier)[i] ?? 0);
}

describe("the cost of a run", () => {
  it("is its rows, requests, seconds and bytes, and what that is in dollars", async () => {
    const most = 100 + 2 + 6;
    let cost = await costOfRun(await begin("traced-stairs", { steps: 100 }));
    // One that is held up while it is at work is listed as such too; one in three shows what it takes otherwise.
    for (let tries = 1; tries < 3 && cost.rowsWritten > most; tries++) {
      cost = await costOfRun(await begin("traced-stairs", { steps: 100 }));
    }
    // A commit for each step and two around them; then what its alarm and its listing take.
    expect(cost.rowsWritten).toBeGreaterThanOrEqual(100 + 2);
    expect(cost.rowsWritten).toBeLessThanOrEqual(most);
    expect(cost.requests).toBeGreaterThanOrEqual(2);
    expect(cost.requests).toBeLessThanOrEqual(5);
    expect(cost.secondsAwake).toBeGreaterThan(0);
    expect(cost.secondsAwake).toBeLessThan(10);
    expect(cost.bytesStored).toBeGreaterThan(4096);
    const { secondsAwake, usd, ...usage } = cost;
    expect(usd).toBeCloseTo(costOf({ ...usage, awakeMs: secondsAwake * 1000 }), 6);
  });

  it("has as many bytes as there are, but for the page that the local runtime keeps the object's name in", async () => {
    for (const steps of [1, 3, 10, 100]) {
      const id = await begin("traced-stairs", { steps });
      const { bytesStored } = await costOfRun(id);
      const stored = await inRun(id, ({ storage }) => storage.sql.databaseSize);
      expect([0, 4096]).toContain(stored - bytesStored);
    }
  });

  it("counts each row that the storage says was written", async () => {
    const id = await begin("traced-listener", { count: 40 }, "");
    await runThatIs(id, { status: "waiting" });
    const before = await costOfRun(id);
    const written = await countRows(id);
    for (let sent = 0; sent < 40; sent++) await ask(`POST /v1/runs/${id}/signals/go`, { json: {} });
    await runThatIs(id, { status: "completed" });
    const after = await costOfRun(id);
    const took = after.rowsWritten - before.rowsWritten;
    // Beside its own rows, the directory wrote at most one each time it was called: of all calls, those that the
    // test did not make.
    const others = after.requests - before.requests - 40;
    expect(took).toBeGreaterThanOrEqual(written() - 1);
    expect(took).toBeLessThanOrEqual(written() + others + 2);
  });

  it("counts each call that the object takes", async () => {
    const id = await begin("traced-listener", { count: 2 }, "");
    await runThatIs(id, { status: "waiting" });
    await ask(`POST /v1/runs/${id}/signals/go`, { json: {} });
    const before = await costOfRun(id);
    for (let reads = 0; reads < 30; reads++) await ask(`GET /v1/runs/${id}`);
    await ask(`POST /v1/runs/${id}/signals/go`, { json: {} });
    // One call, however long it takes.
    expect((await ask(`GET /v1/runs/${id}?wait=60s`)).body).toMatchObject({ status: "completed" });
    const after = await costOfRun(id);
    // Thirty reads, a signal, and what the directory and the alarm take beside them.
    expect(after.requests - before.requests).toBeGreaterThanOrEqual(31);
    expect(after.requests - before.requests).toBeLessThanOrEqual(31 + 8);
  });

  it("counts the time in which something was under way, and no other", async () => {
    const id = await begin("traced-pause", { ms: 400 });
    const { secondsAwake } = await costOfRun(id);
    expect(secondsAwake).toBeGreaterThanOrEqual(0.39);
    const fromAt = Date.now();
    const parked = await begin("traced-listener", { count: 1 }, "");
    await runThatIs(parked, { status: "waiting" });
    // It is listed as that: nothing is under way any more.
    await expect.poll(() => alarmOf(parked)).toBe(null);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await ask(`POST /v1/runs/${parked}/signals/go`, { json: {} });
    await runThatIs(parked, { status: "completed" });
    const allMs = Date.now() - fromAt;
    expect((await costOfRun(parked)).secondsAwake * 1000).toBeLessThan(allMs - 1400);
  });

  it("goes on over evictions and deaths, and is never less than it was shown (monotonic)", async () => {
    const id = await begin("traced-listener", { count: 12 }, "");
    let shown = await costOfRun(id);
    for (let sent = 0; sent < 12; sent++) {
      await vi.waitFor(
        async () => {
          await ask(`POST /v1/runs/${id}/signals/go`, { json: {}, headers: { "idempotency-key": `${id}:${sent}` } });
          const history = await historyOf(id);
          expect(history.filter(({ kind }) => kind === "signal.consumed")).toHaveLength(sent + 1);
        },
        { timeout: 60_000 },
      );
      const live = await costOfRun(id);
      expectNoLess(live, shown);
      expect(live.rowsWritten).toBeGreaterThan(shown.rowsWritten);
      expect(live.requests).toBeGreaterThan(shown.requests);
      if (sent % 3 === 0) await abortAllDurableObjects();
      else if (sent % 3 === 1) await evictDurableObject(env.RUNS.getByName(id)).catch(() => {});
      const later = await costOfRun(id);
      expectNoLess(later, live);
      shown = later;
    }
    await runThatIs(id, { status: "completed" });
    expectNoLess(await costOfRun(id), shown);
  });

  it("goes on when the run goes on as new", async () => {
    const one = await costOfRun(await begin("traced-relay", { left: 0 }));
    const five = await costOfRun(await begin("traced-relay", { left: 4 }));
    expect(five.rowsWritten).toBeGreaterThan(one.rowsWritten + 4 * 4);
  });

  it("is never less than it was shown where the run dies just after it went on as new (monotonic)", async () => {
    const id = await begin("traced-onward", { life: 1 }, "");
    await vi.waitFor(
      async () => {
        const [created, , step] = await historyOf(id);
        expect([created?.["continuation"], step?.["step"]]).toEqual([expect.anything(), "step"]);
      },
      { timeout: 60_000 },
    );
    const shown = await costOfRun(id);
    await abortAllDurableObjects();
    expectNoLess(await costOfRun(id), shown);
  });

  it("begins anew with a fork, and with a run of an id that is free again", async () => {
    const id = await begin("traced-stairs", { steps: 300 });
    const { body } = await ask(`POST /v1/runs/${id}/fork`, { json: { from: "stair#2" } });
    const fork = String(body["id"]);
    expect((await historyOf(fork)).filter(({ seq }) => seq === 2)[0]).not.toHaveProperty("used");
    await ask(`DELETE /v1/runs/${id}`);
    await ask("POST /v1/workflows/traced-stairs/runs?wait=60s", { json: { id, input: { steps: 1 } } });
    expect((await costOfRun(id)).rowsWritten).toBeLessThan(20);
  });

  it("is four rows besides the steps of a run that ends at once, two of them alarms (budget)", async () => {
    const id = newId("rows");
    const written = await countRows(id);
    await ask("POST /v1/workflows/traced-stairs/runs?wait=60s", { json: { id, input: { steps: 3 } } });
    await vi.waitFor(async () => expect(await alarmOf(id)).toBeGreaterThan(Date.now() + 3_600_000), 60_000);
    // Created with the table, and ended; the watch over its report, and its retention.
    expect(written()).toBe(3 + 4);
  });

  it("is three rows of a run that waits for a signal, and it keeps no alarm (budget)", async () => {
    const id = newId("rows");
    const written = await countRows(id);
    await ask("POST /v1/workflows/traced-listener/runs", { json: { id, input: { count: 1 } } });
    await runThatIs(id, { status: "waiting" });
    await expect.poll(() => alarmOf(id)).toBe(null);
    // Created with the table, and waiting; the watch over its report.
    expect(written()).toBe(3);
  });

  it("is six rows besides the steps of a run that sleeps for less than a second: it is woken by the alarm that watches over it", async () => {
    const id = newId("rows");
    const written = await countRows(id);
    await ask("POST /v1/workflows/nap/runs?wait=60s", { json: { id, input: { ms: 700 } } });
    await vi.waitFor(async () => expect(await alarmOf(id)).toBeGreaterThan(Date.now() + 3_600_000), 60_000);
    // Created with the table, and asleep; awake, and ended; the alarm of its sleep, and its retention.
    expect(written()).toBe(2 + 6);
  });

  it("takes no row of its own: a step is still one", async () => {
    const id = await begin("traced-stairs", { steps: 50 });
    const rows = await inRun(id, ({ storage }) =>
      storage.sql.exec<{ count: number }>("SELECT count(*) AS count FROM journal").one(),
    );
    expect(rows.count).toBe(50 + 2);
    const tables = await inRun(id, ({ storage }) =>
      storage.sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").toArray(),
    );
    expect(tables.map(({ name }) => name).filter((name) => !name.startsWith("_cf"))).toEqual(["journal"]);
    // On record with the first commit and the last, and with few between.
    const noted = (await historyOf(id)).filter(({ used }) => used !== undefined);
    expect(noted.length).toBeGreaterThanOrEqual(2);
    expect(noted.length).toBeLessThanOrEqual(6);
  });

  it("is listed with the run", async () => {
    const id = await begin("traced-stairs", { steps: 3 });
    await vi.waitFor(async () => {
      const { body } = await ask("GET /v1/runs?workflow=traced-stairs");
      const listed = (body["runs"] as { id: string; status: string; cost: Cost }[]).find((run) => run.id === id);
      expect(listed).toMatchObject({ status: "completed", cost: { rowsWritten: (await costOfRun(id)).rowsWritten } });
    }, 60_000);
  });
});
