/** Statistics and metrics in the runtime they are made for: what runs did, over shards, lanes and 20,000 runs. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { isEnded } from "../../src/core/run/run.ts";
import type { RunSummary } from "../../src/core/run/run.ts";
import type { Stats } from "../../src/core/stats/stats.ts";
import type { DirectoryObject } from "../../src/objects/directory/directory.ts";
import { openDirectory } from "../../src/store/directory.ts";
import { StatisticsStore } from "../../src/store/statistics.ts";
import { countsOf, durationsOf, isNear, quantileOf, randomRuns, stepOf } from "../core/naivestats.ts";
import { readExposition, seriesOf } from "../http/exposition.ts";
import { ask, newId, runThatIs, start, tokens } from "./client.ts";
import { mended } from "./flows/stats.ts";
import { summaryOf } from "./summary.ts";

type StatsJson = Omit<Stats, "from" | "slices"> & {
  readonly slices: readonly (Omit<Stats["slices"][number], "at"> & { readonly at: string })[];
};

const soon = { timeout: 60_000, interval: 50 };

async function statsOf(query: string): Promise<StatsJson> {
  const { status, body } = await ask(`GET /v1/stats?${query}`, { token: tokens.read });
  expect([status, body]).toEqual([200, expect.objectContaining({ sliceMs: expect.any(Number) })]);
  return body as unknown as StatsJson;
}

/** The statistics of a workflow, once so many of its runs are listed as what they are. */
async function workflowThatIs(workflow: string, like: object): Promise<StatsJson["workflows"][number] | undefined> {
  return await vi.waitFor(async () => {
    const { workflows } = await statsOf(`workflow=${workflow}`);
    expect(workflows).toMatchObject([{ workflow, ...like }]);
    return workflows[0];
  }, soon);
}

async function metrics(query = ""): Promise<ReadonlyMap<string, number>> {
  const { status, text } = await ask(`GET /metrics${query}`, { token: tokens.read });
  expect(status).toBe(200);
  return readExposition(text).values;
}

// Some count all runs of a workflow, which those behind them start as well.
describe("statistics of runs", { shuffle: false }, () => {
  it("show a workflow that fails in one step, its rate, and attempts that failed on the way", async () => {
    const inputs = [{}, {}, { failures: 1 }, { failures: 2 }, { fatal: true }, { failures: 3, fatal: true }];
    await Promise.all(inputs.map((input) => start("stats-shaky", { input: { ...input, ms: 30 } }, "?wait=60s")));
    const stats = await workflowThatIs("stats-shaky", { completed: 4, failed: 2, cancelled: 0, open: 0 });
    expect(stats?.successRate).toBeCloseTo(4 / 6);
    expect(stats?.steps).toMatchObject([
      { step: "charge", completed: 4, failed: 2, failedAttempts: 1 + 2 + 1 + 4, failureRate: 2 / 6 },
      { step: "prepare", completed: 6, failed: 0, failedAttempts: 0, failureRate: 0 },
    ]);
    expect(stats?.steps[1]?.meanMs).toBeGreaterThanOrEqual(29);
    const { p50, p95, max } = stats?.durations ?? { p50: 0, p95: 0, max: 0 };
    expect(p50).toBeGreaterThanOrEqual(29);
    expect([p50 <= p95, p95 <= max]).toEqual([true, true]);

    const values = await metrics();
    const workflow = "stats-shaky";
    expect(values.get(seriesOf("holdfast_runs", { workflow, status: "completed" }))).toBe(4);
    expect(values.get(seriesOf("holdfast_runs", { workflow, status: "failed" }))).toBe(2);
    expect(values.get(seriesOf("holdfast_runs", { workflow, status: "queued" }))).toBe(0);
    expect(values.get(seriesOf("holdfast_run_success_ratio", { workflow }))).toBeCloseTo(4 / 6);
    expect(values.get(seriesOf("holdfast_run_duration_seconds", { workflow, quantile: "1" }))).toBe(max / 1000);
    expect(values.get(seriesOf("holdfast_step_failures", { workflow, step: "charge" }))).toBe(2);
    expect(values.get(seriesOf("holdfast_step_failed_attempts", { workflow, step: "charge" }))).toBe(8);
    expect(values.get(seriesOf("holdfast_step_completions", { workflow, step: "prepare" }))).toBe(6);
    expect(values.get(seriesOf("holdfast_scrape_shards"))).toBe(4);
  });

  it("keep what failed when a run is retried and completes, also over an eviction", async () => {
    const { id } = await start("stats-mendable", { input: {} }, "?wait=60s");
    await workflowThatIs("stats-mendable", { failed: 1, steps: [{ step: "fragile", completed: 0, failed: 1 }, {}] });
    await evictDurableObject(env.RUNS.getByName(id)).catch(() => {});
    mended.add(id);
    expect((await ask(`POST /v1/runs/${id}/retry`)).status).toBe(200);
    const stats = await workflowThatIs("stats-mendable", { completed: 1, failed: 0, successRate: 1 });
    expect(stats?.steps).toMatchObject([
      { step: "fragile", completed: 1, failed: 1, failedAttempts: 1, failureRate: 0.5 },
      { step: "before", completed: 1, failed: 0 },
    ]);
  });

  it("count children and items of a map by the step's name", async () => {
    await start("stats-parent", { input: { fatal: true } }, "?wait=60s");
    const stats = await workflowThatIs("stats-parent", { completed: 1 });
    expect(stats?.steps).toMatchObject([
      { step: "stats-shaky", completed: 1, failed: 1, failedAttempts: 1, failureRate: 0.5 },
      { step: "item", completed: 5, failed: 0, failedAttempts: 2 },
    ]);
  });

  it("count what a fork does, and not what it has copied", async () => {
    const { id } = await start("stats-mendable", { input: {}, id: newId("stats-forked") }, "?wait=60s");
    const forked = newId("stats-fork");
    mended.add(forked);
    const { status } = await ask(`POST /v1/runs/${id}/fork`, { json: { from: "fragile", id: forked } });
    expect(status).toBe(201);
    await runThatIs(forked, { status: "completed" });
    const summaries = await vi.waitFor(async () => {
      const runs = await Promise.all([0, 1, 2, 3].map((shard) => listed(shard, [id, forked])));
      expect(
        runs
          .flat()
          .map(({ status }) => status)
          .toSorted(),
      ).toEqual(["completed", "failed"]);
      return runs.flat();
    }, soon);
    const tallies = Object.fromEntries(summaries.map((run) => [run.id, run.tallies]));
    expect(tallies).toMatchObject({ [id]: { before: { completed: 1 }, fragile: { failed: 1 } } });
    expect(tallies[forked]).toMatchObject({ fragile: { completed: 1, failed: 0 } });
    expect(Object.keys(tallies[forked] ?? {})).toEqual(["fragile"]);
  });

  it("go on where a run goes on as new", async () => {
    await start("stats-round", { input: { left: 4 } }, "?wait=60s");
    const stats = await workflowThatIs("stats-round", { completed: 1 });
    expect(stats?.steps).toMatchObject([{ step: "turn", completed: 10, failed: 0 }]);
  });

  it("show how deep a lane is, and how long the next in line has waited", async () => {
    const lane = "stats lane";
    const runs = await Promise.all(Array.from({ length: 5 }, () => start("stats-narrow", { input: {} })));
    await vi.waitFor(async () => {
      const { lanes } = await statsOf("workflow=stats-narrow");
      expect(lanes.find(({ name }) => name === lane)).toMatchObject({ limit: 2, used: 2, waiting: 3 });
    }, soon);
    const values = await metrics();
    expect(values.get(seriesOf("holdfast_lane_slots_used", { lane }))).toBe(2);
    expect(values.get(seriesOf("holdfast_lane_slots_limit", { lane }))).toBe(2);
    expect(values.get(seriesOf("holdfast_lane_waiting", { lane }))).toBe(3);
    expect(values.get(seriesOf("holdfast_lane_next_wait_seconds", { lane }))).toBeGreaterThan(0);
    mended.add(lane);
    await Promise.all(runs.map(({ id }) => runThatIs(id, { status: "completed" })));
    const after = await metrics();
    expect(after.get(seriesOf("holdfast_lane_waiting", { lane }))).toBe(0);
    expect(after.has(seriesOf("holdfast_lane_next_wait_seconds", { lane }))).toBe(false);
  });

  it("name the workflows of the deployment that have no run, and refuse one that nobody knows", async () => {
    const { workflows } = await statsOf("from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z");
    const shaky = workflows.find(({ workflow }) => workflow === "stats-shaky");
    expect(shaky).toMatchObject({ completed: 0, open: 0, successRate: null, durations: null, steps: [] });
    const { status, body } = await ask("GET /v1/stats?workflow=stats-shakey");
    expect([status, body]).toMatchObject([404, { code: "workflow_not_found" }]);
    expect(body["detail"]).toContain('"stats-shakey"');
  });
});

describe("a run that failed with very much to say", () => {
  it("is counted with its steps, though the shard keeps less of its error", async () => {
    await inShard("wordy", async (_shard, sql) => {
      const tally = { completed: 0, failed: 1, failedAttempts: 4, ms: 9 };
      const error = { name: "Error", message: "no", stack: "s".repeat(100_000) };
      const ended = { status: "failed", finishedAt: 1500, error } as const;
      const { runs } = openDirectory(sql);
      runs.report(summaryOf("wordy", { ...ended, tallies: { charge: tally } }));
      const many = Array.from({ length: 50 }, (_, index) => [`${"\u0001".repeat(250)}${index}`, tally] as const);
      runs.report(summaryOf("absurd", { ...ended, createdAt: 1001, tallies: Object.fromEntries(many) }));
      const { workflows } = new StatisticsStore(sql).sample({ from: 0, until: 2000, sliceMs: 1000 });
      expect(workflows).toMatchObject([{ workflow: "pay", steps: [["charge", tally]] }]);
      const sizes = sql.exec<{ size: number }>("SELECT max(length(rest)) AS size FROM runs").one();
      expect(sizes.size).toBeLessThan(40_000);
    });
  });
});

describe("the oldest run that is open", () => {
  const age = async (workflow: string) =>
    (await metrics()).get(seriesOf("holdfast_oldest_open_run_age_seconds", { workflow }));

  it("is known by its age, and the next is, once it has ended", async () => {
    const workflow = "stats-parked";
    expect(await age(workflow)).toBeUndefined();
    const first = await start(workflow, { input: {} });
    await runThatIs(first.id, { status: "waiting" });
    await expect.poll(() => age(workflow)).toBeGreaterThan(0);
    const second = await start(workflow, { input: {} });
    await runThatIs(second.id, { status: "waiting" });
    /** Whether the age was that of this one, and of this one, at any instant while it was asked for: both, if that took long. */
    const isAgeOf = async (): Promise<boolean[]> => {
      const fromAt = Date.now();
      const sinceMs = 1000 * ((await age(workflow)) ?? Number.NaN);
      const [from, to] = [fromAt - sinceMs - 1, Date.now() - sinceMs + 1];
      return [first, second].map(({ createdAt }) => Date.parse(createdAt) >= from && Date.parse(createdAt) <= to);
    };
    await expect.poll(isAgeOf).toEqual([true, false]);
    await ask(`POST /v1/runs/${first.id}/signals/go`, { json: {} });
    await expect.poll(isAgeOf).toEqual([false, true]);
    await ask(`POST /v1/runs/${second.id}/signals/go`, { json: {} });
    await expect.poll(() => age(workflow)).toBeUndefined();
  });

  it("is the one that looking at all of them finds, whatever ends, begins and is taken up again", async () => {
    await inShard("oldest", async (_shard, sql) => {
      const { runs: directory } = openDirectory(sql);
      const statistics = new StatisticsStore(sql);
      const runs = new Map<string, RunSummary>();
      const report = (run: RunSummary) => {
        directory.report(run);
        statistics.note(run);
        runs.set(run.id, run);
      };
      for (const [seq, random] of randomRuns("oldest", 400, 1_000_000, 2_000_000).entries()) {
        const known = [...runs.values()][(seq * 7) % 50];
        // An older run changes, or a new one is there.
        const [id, createdAt] = seq % 3 === 0 && known !== undefined ? [known.id, known.createdAt] : [`r${seq}`, null];
        const workflow = known?.id === id ? known.workflow : random.workflow;
        report(summaryOf(id, { ...random, workflow, createdAt: createdAt ?? random.createdAt, seq: seq + 1 }));
        const expected = new Map<string, number>();
        for (const run of runs.values()) {
          if (isEnded(run.status)) continue;
          expected.set(run.workflow, Math.min(run.createdAt, expected.get(run.workflow) ?? Infinity));
        }
        const found = new Map(statistics.oldestOpen().map((one) => [one.workflow, one.createdAt]));
        expect(found).toEqual(expected);
      }
    });
  });

  it("is not looked for again where it was not", async () => {
    await inShard("reads", async (_shard, sql) => {
      const { runs } = openDirectory(sql);
      let read = 0;
      const counted = new Proxy(sql, {
        get: (target, property) => {
          if (property !== "exec") return Reflect.get(target, property) as unknown;
          return (query: string, ...bindings: unknown[]) => {
            const rows = target.exec<Record<string, SqlStorageValue>>(query, ...bindings);
            const all = rows.toArray();
            read += rows.rowsRead;
            return { toArray: () => all, [Symbol.iterator]: () => all[Symbol.iterator]() };
          };
        },
      });
      for (let index = 0; index < 500; index++) {
        const status = index === 480 ? "waiting" : "completed";
        runs.report(summaryOf(`r${index}`, { createdAt: index, status, finishedAt: 1000 }));
      }
      const statistics = new StatisticsStore(counted);
      expect(statistics.oldestOpen()).toEqual([{ workflow: "pay", createdAt: 480 }]);
      expect(read).toBeGreaterThanOrEqual(500);
      read = 0;
      expect(statistics.oldestOpen()).toEqual([{ workflow: "pay", createdAt: 480 }]);
      expect(read).toBeLessThan(20);
      // A window reads its own rows.
      read = 0;
      statistics.sample({ from: 100, until: 150, sliceMs: 1 });
      expect(read).toBeLessThanOrEqual(51);
    });
  });
});

describe("20,000 runs", () => {
  const from = Date.UTC(2019, 0, 1);
  const until = Date.UTC(2019, 0, 31);
  const window = `from=${new Date(from).toISOString()}&to=${new Date(until).toISOString()}`;
  const runs = randomRuns("twenty thousand", 20_000, from, until).map((run) => ({
    ...run,
    workflow: `many-${run.workflow}`,
  }));

  beforeAll(async () => {
    const summaries = runs.map((run, index) => summaryOf(`many-${index}`, { ...run, tallies: run.tallies ?? {} }));
    await Promise.all(
      [0, 1, 2, 3].map((shard) =>
        inShard(`shard-${shard}`, async (object) => {
          const mine = summaries.filter((_summary, index) => index % 4 === shard);
          for (let at = 0; at < mine.length; at += 500) {
            await Promise.all(mine.slice(at, at + 500).map((summary) => object.report(summary)));
          }
        }),
      ),
    );
  }, 300_000);

  const exactly = (workflow: string) => runs.filter((run) => run.workflow === workflow);
  const names = ["many-mail", "many-order", "many-report"];

  it("come to what they come to one by one", async () => {
    const stats = await statsOf(window);
    expect(stats.total).toMatchObject(countsOf(runs));
    const exact = durationsOf(runs);
    expect(stats.total.durations?.max).toBe(Math.max(...exact));
    expect(isNear(stats.total.durations?.p50 ?? 0, quantileOf(exact, 0.5))).toBe(true);
    expect(isNear(stats.total.durations?.p95 ?? 0, quantileOf(exact, 0.95))).toBe(true);
    const seen = stats.workflows.filter(({ workflow }) => workflow.startsWith("many-"));
    expect(seen.map(({ workflow }) => workflow)).toEqual(names);
    for (const { workflow, steps, durations, ...counts } of seen) {
      expect(counts).toMatchObject(countsOf(exactly(workflow)));
      expect(durations?.max).toBe(Math.max(...durationsOf(exactly(workflow))));
      expect(isNear(durations?.p95 ?? 0, quantileOf(durationsOf(exactly(workflow)), 0.95))).toBe(true);
      expect(steps).toHaveLength(5);
      for (const { step, completed, failed, failedAttempts } of steps) {
        expect({ completed, failed, failedAttempts }).toEqual({
          completed: stepOf(exactly(workflow), step).completed,
          failed: stepOf(exactly(workflow), step).failed,
          failedAttempts: stepOf(exactly(workflow), step).failedAttempts,
        });
      }
    }
  });

  it("are cut into slices that hold each run once", async () => {
    const { slices, sliceMs } = await statsOf(window);
    expect([slices.length, sliceMs]).toEqual([30, 24 * 60 * 60 * 1000]);
    for (const { at, durations, ...counts } of slices) {
      const own = runs.filter(({ createdAt }) => createdAt >= Date.parse(at) && createdAt < Date.parse(at) + sliceMs);
      expect(counts).toMatchObject(countsOf(own));
      expect(isNear(durations?.p50 ?? 0, quantileOf(durationsOf(own), 0.5))).toBe(true);
    }
  });

  it.each(names)("of one workflow are asked for alone: %s", async (workflow) => {
    const stats = await statsOf(`${window}&workflow=${workflow}`);
    expect(stats.workflows.map((each) => each.workflow)).toEqual([workflow]);
    expect(stats.total).toMatchObject(countsOf(exactly(workflow)));
  });

  it("are counted to the millisecond at both ends of the window", async () => {
    const [low, high] = [from + 1_234_567_891, from + 1_400_000_003];
    const own = runs.filter(({ createdAt }) => createdAt >= low && createdAt < high);
    const text = [low, high].map((at) => new Date(at).toISOString());
    expect((await statsOf(`from=${text[0]}&to=${text[1]}`)).total).toMatchObject(countsOf(own));
  });

  it("are in the metrics by what they are, the oldest that is open with its age", async () => {
    const values = await metrics();
    for (const workflow of names) {
      const own = exactly(workflow);
      for (const status of ["queued", "running", "waiting", "paused", "completed", "failed", "cancelled"] as const) {
        const count = own.filter((run) => run.status === status).length;
        expect(values.get(seriesOf("holdfast_runs", { workflow, status }))).toBe(count);
      }
      const oldest = Math.min(...own.flatMap(({ status, createdAt }) => (isEnded(status) ? [] : [createdAt])));
      const age = values.get(seriesOf("holdfast_oldest_open_run_age_seconds", { workflow })) ?? 0;
      expect(Math.abs(Date.now() - oldest - age * 1000)).toBeLessThan(10_000);
      // None of them began in the window of the scrape, nor is the workflow in the code.
      expect(values.has(seriesOf("holdfast_run_success_ratio", { workflow }))).toBe(false);
    }
  });
});

/** The object of a shard, and its storage. */
async function inShard<Result>(
  name: string,
  act: (shard: DirectoryObject, sql: SqlStorage) => Promise<Result>,
): Promise<Result> {
  return await runInDurableObject(env.DIRECTORY.getByName(name), (object, ctx) =>
    act(object as unknown as DirectoryObject, ctx.storage.sql),
  );
}

async function listed(shard: number, ids: readonly string[]): Promise<RunSummary[]> {
  return await inShard(`shard-${shard}`, async (object) => {
    const runs = await object.list({ limit: 200 }, null);
    return runs.filter(({ id }) => ids.includes(id));
  });
}
