/** The directory in the runtime it is made for: what it lists, counts and costs. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { sumUp } from "../../src/core/stats/summation.ts";
import { byNewest } from "../../src/core/listing/cursor.ts";
import { runStatuses } from "../../src/core/run/run.ts";
import type { RunSummary } from "../../src/core/run/run.ts";
import type { RunQuery } from "../../src/core/service/directory.ts";
import { directoryOf } from "../../src/objects/address.ts";
import { lagMs } from "../../src/objects/directory/lag.ts";
import {
  askShards,
  byWorkflow,
  countGroups,
  countMatching,
  countRuns,
  listCauses,
  listRuns,
} from "../../src/objects/directory/listing.ts";
import { DirectoryStore, openDirectory } from "../../src/store/directory.ts";
import { migrate } from "../../src/store/migration.ts";
import { start } from "./client.ts";
import { summaryOf, waitFor } from "./summary.ts";
import { Rows } from "./rows.ts";
import { inRun } from "./storage.ts";

let made = 0;

/** A shard of its own, with its tables, and no object's memory of it. */
async function inShard<Result>(test: (directory: DirectoryStore, sql: SqlStorage) => Result): Promise<Result> {
  const stub = env.DIRECTORY.getByName(`alone-${++made}`);
  return await runInDurableObject(stub, (_object, ctx) => test(openDirectory(ctx.storage.sql).runs, ctx.storage.sql));
}

function ids(directory: DirectoryStore, query: Partial<RunQuery> = {}): string[] {
  return directory.list({ limit: 100, ...query }, null).map(({ id }) => id);
}

/** Rows written by whatever `act` executes. */
function written(sql: SqlStorage, act: (counted: SqlStorage) => void): number {
  const rows = new Rows(sql);
  act(rows.sql);
  return rows.written;
}

describe("a shard", () => {
  it("gives back what it was told, labels, error and waits included", async () => {
    const told = summaryOf("full", {
      labels: { customer: "7", __proto__x: "y" },
      error: { name: "Error", message: "no", code: "step_failed", cause: { name: "TypeError", message: "deep" } },
      parent: { id: "p", workflow: "w" },
      schedule: { id: "s", at: 12 },
      waitingFor: [waitFor("a"), { kind: "timer", name: "t", since: 1, until: 2 }],
      reason: "waiting for signal a",
    });
    await inShard((directory) => {
      expect(directory.report(told)).toBe("listed");
      expect(directory.list({ limit: 5 }, null)).toEqual([told]);
    });
  });

  it("never goes back: an older report is ignored, whenever it comes", async () => {
    await inShard((directory) => {
      expect(directory.report(summaryOf("a", { seq: 5, status: "completed" }))).toBe("listed");
      expect(directory.report(summaryOf("a", { seq: 4, status: "waiting", waitingFor: [waitFor("x")] }))).toBe("older");
      expect(directory.list({ limit: 5 }, null)).toMatchObject([{ id: "a", seq: 5, status: "completed" }]);
      expect(directory.waiters("x")).toEqual([]);
      expect(directory.counts()).toEqual([{ workflow: "pay", status: "completed", count: 1 }]);
    });
  });

  it("takes a change of status that has no entry of its own", async () => {
    await inShard((directory) => {
      directory.report(summaryOf("a", { seq: 5, status: "waiting" }));
      expect(directory.report(summaryOf("a", { seq: 5, status: "running" }))).toBe("listed");
      expect(directory.list({ limit: 5 }, null)).toMatchObject([{ status: "running" }]);
    });
  });

  it("writes one row a report, none for one that says nothing new, one for a removal (budget)", async () => {
    await inShard((_directory, sql) => {
      const report = (summary: RunSummary) => written(sql, (counted) => new DirectoryStore(counted).report(summary));
      expect(report(summaryOf("a", { seq: 1, status: "running", labels: { k: "v" } }))).toBe(1);
      expect(report(summaryOf("a", { seq: 2, status: "waiting", waitingFor: [waitFor("x")] }))).toBe(1);
      expect(report(summaryOf("a", { seq: 3, status: "completed" }))).toBe(1);
      expect(report(summaryOf("a", { seq: 3, status: "completed" }))).toBe(0);
      expect(report(summaryOf("a", { seq: 2, status: "waiting" }))).toBe(0);
      expect(written(sql, (counted) => new DirectoryStore(counted).remove("a", 1000))).toBe(1);
      expect(written(sql, (counted) => new DirectoryStore(counted).remove("a", 1000))).toBe(0);
    });
  });

  it("opens again without writing a row", async () => {
    await inShard((_directory, sql) => {
      expect(written(sql, (counted) => openDirectory(counted))).toBe(0);
    });
  });

  it("that an older deployment filled is filtered by what came later", async () => {
    await inRun(`database-${++made}`, (ctx) => {
      const { sql } = ctx.storage;
      sql.exec(`CREATE TABLE runs (
        created_at INTEGER NOT NULL, id TEXT NOT NULL, workflow TEXT NOT NULL, status TEXT NOT NULL,
        seq INTEGER NOT NULL, waits TEXT, labels TEXT NOT NULL, rest TEXT NOT NULL, PRIMARY KEY (created_at, id)
      ) WITHOUT ROWID, STRICT`);
      const rests = [{ error: null }, { error: { name: "Error", message: "no", code: "step_failed" } }, { error: {} }];
      for (const [index, rest] of rests.entries()) {
        sql.exec(
          "INSERT INTO runs VALUES (?, ?, 'pay', 'failed', 1, '[]', '[]', ?)",
          ...[index, `old${index}`, JSON.stringify({ waitingFor: [], steps: {}, ...rest })],
        );
      }
      const { runs } = openDirectory(sql);
      expect(ids(runs, { errorCode: "step_failed" })).toEqual(["old1"]);
      expect(runs.groups({}, ["errorCode"]).groups).toEqual([
        { key: [null], count: 2 },
        { key: ["step_failed"], count: 1 },
      ]);
    });
  });

  it("takes a report that differs in the count of time and use only for the same", async () => {
    await inShard((directory, sql) => {
      const waiting = { status: "waiting", seq: 4, reason: "sleeping for another 6 days" } as const;
      const used = { rowsWritten: 9, requests: 9, awakeMs: 9, bytesStored: 9 };
      expect(directory.report(summaryOf("a", waiting))).toBe("listed");
      const again = { ...waiting, reason: "sleeping for another 23 hours", usage: used };
      expect(written(sql, (counted) => new DirectoryStore(counted).report(summaryOf("a", again)))).toBe(0);
      expect(directory.report(summaryOf("a", again))).toBe("same");
      expect(directory.report(summaryOf("a", { ...waiting, reason: "no code of version 1" }))).toBe("listed");
      expect(directory.report(summaryOf("a", { ...again, seq: 5 }))).toBe("listed");
      expect(directory.list({ limit: 1 }, null)).toMatchObject([{ reason: again.reason, usage: used }]);
    });
  });

  it("forgets a removed run, and takes a new one of the same id", async () => {
    await inShard((directory) => {
      directory.report(summaryOf("a", { seq: 90, createdAt: 10, status: "completed" }));
      directory.report(summaryOf("b", { seq: 1, createdAt: 10 }));
      directory.remove("a", 10);
      expect(ids(directory)).toEqual(["b"]);
      directory.report(summaryOf("a", { seq: 1, createdAt: 20 }));
      expect(directory.list({ limit: 5 }, null)).toMatchObject([{ id: "a", seq: 1, createdAt: 20 }, { id: "b" }]);
    });
  });

  it("keeps a summary of any size within a row, and the waits with it", async () => {
    const error = { name: "Error", message: "m".repeat(3_000_000), code: "step_failed", stack: "s".repeat(1000) };
    const waitingFor = Array.from({ length: 5000 }, (_, index) => waitFor(`${"n".repeat(250)}${index}`));
    await inShard((directory, sql) => {
      directory.report(summaryOf("large", { error, waitingFor, status: "waiting", workflow: "pay" }));
      directory.report(summaryOf("small", { waitingFor: [waitFor("y")] }));
      const [row] = sql
        .exec<{ size: number }>("SELECT max(length(rest) + ifnull(length(waits), 0)) AS size FROM runs")
        .toArray();
      expect(row?.size).toBeLessThan(500_000);
      const large = directory.list({ limit: 5 }, null).find(({ id }) => id === "large");
      expect(large).toMatchObject({ status: "waiting", error: { name: "Error", code: "step_failed" } });
      // Too many names to write down: such a run is asked for every name.
      expect(directory.waiters("y").toSorted()).toEqual(["large", "small"]);
    });
  });

  it("filters by workflow, status and time, the lower bound inclusive, the upper exclusive", async () => {
    await inShard((directory) => {
      for (const [index, status] of runStatuses.entries()) {
        directory.report(
          summaryOf(status, { status, createdAt: index * 10, workflow: index % 2 === 0 ? "even" : "odd" }),
        );
      }
      expect(ids(directory, { workflow: "odd" })).toEqual(["failed", "paused", "running"]);
      expect(ids(directory, { workflow: "od%" })).toEqual([]);
      expect(ids(directory, { status: ["failed", "queued", "failed"] })).toEqual(["failed", "queued"]);
      expect(ids(directory, { status: [] })).toHaveLength(7);
      expect(ids(directory, { createdAfter: 20, createdBefore: 40 })).toEqual(["paused", "waiting"]);
      expect(ids(directory, { createdAfter: 40, createdBefore: 20 })).toEqual([]);
      expect(ids(directory, { workflow: "even", status: ["waiting", "failed"], createdAfter: 1 })).toEqual(["waiting"]);
      expect(
        directory.list({ limit: 9, createdBefore: 60 }, { createdAt: 30, id: "paused" }).map(({ id }) => id),
      ).toEqual(["waiting", "running", "queued"]);
      expect(directory.list({ limit: 9, createdBefore: 30 }, { createdAt: 50, id: "z" }).map(({ id }) => id)).toEqual([
        "waiting",
        "running",
        "queued",
      ]);
    });
  });

  it("filters by labels whatever is in their names and values", async () => {
    const hostile = [
      "a.b",
      "a b",
      '"',
      "'",
      "\\",
      "$",
      "$.a",
      "[0]",
      "",
      "ü😀",
      "%",
      "_",
      "a\u0000b",
      "\n",
      "1",
      "true",
      "null",
      "__proto__",
      "\ud800",
    ];
    await inShard((directory) => {
      for (const [index, text] of hostile.entries()) {
        directory.report(
          summaryOf(`key${index}`, {
            createdAt: 1,
            labels: Object.fromEntries([
              [text, "v"],
              ["all", "yes"],
            ]),
          }),
        );
        directory.report(summaryOf(`value${index}`, { createdAt: 2, labels: { k: text, all: "yes" } }));
      }
      for (const [index, text] of hostile.entries()) {
        expect(ids(directory, { labels: Object.fromEntries([[text, "v"]]) })).toEqual([`key${index}`]);
        expect(ids(directory, { labels: { k: text } })).toEqual([`value${index}`]);
        expect(ids(directory, { labels: { all: "yes", k: text } })).toEqual([`value${index}`]);
      }
      expect(ids(directory, { labels: { k: "v" } })).toEqual([]);
      expect(ids(directory, { labels: { k: "') OR 1=1 --" } })).toEqual([]);
      // More labels than a statement may have parameters.
      expect(
        ids(directory, {
          labels: Object.fromEntries(hostile.concat(Array.from({ length: 150 }, String)).map((text) => [text, "v"])),
        }),
      ).toEqual([]);
    });
  });

  it("knows who waits for a name, whatever is in it, and only for signals", async () => {
    const names = ["a", "A", "a%", '"', "ü😀", "a\u0000b", "\\n", "approval:7", "a.b"];
    await inShard((directory) => {
      for (const [index, name] of names.entries()) {
        directory.report(
          summaryOf(`run${index}`, {
            status: "waiting",
            waitingFor: [waitFor(name), waitFor("twice"), waitFor("twice")],
          }),
        );
      }
      directory.report(
        summaryOf("hook", { status: "waiting", waitingFor: [{ kind: "webhook", name: "a", since: 1, until: null }] }),
      );
      for (const [index, name] of names.entries()) expect(directory.waiters(name)).toEqual([`run${index}`]);
      expect(directory.waiters("twice")).toHaveLength(names.length);
      directory.report(summaryOf("run0", { seq: 2, status: "completed" }));
      expect(directory.waiters("a")).toEqual([]);
    });
  });

  it("counts the same from memory as from its rows", async () => {
    await inShard((directory, sql) => {
      directory.counts();
      for (let index = 0; index < 300; index++) {
        const status = runStatuses[(index * 5) % 7] ?? "queued";
        const id = `r${index % 40}`;
        if (index % 11 === 0) directory.remove(id, 1000);
        else directory.report(summaryOf(id, { seq: index, status, workflow: `w${(index % 40) % 3}` }));
      }
      const sorted = (counts: ReturnType<DirectoryStore["counts"]>) =>
        counts.map((count) => JSON.stringify(count)).toSorted();
      expect(sorted(directory.counts())).toEqual(sorted(new DirectoryStore(sql).counts()));
      expect(directory.counts().reduce((sum, { count }) => sum + count, 0)).toBe(ids(directory).length);
    });
  });
});

describe("the whole directory", () => {
  /** Random ids, spread over all shards; every fourth instant is shared. */
  async function fill(workflow: string, count: number, from: number): Promise<RunSummary[]> {
    const runs = Array.from({ length: count }, (_, index) =>
      summaryOf(crypto.randomUUID(), { workflow, createdAt: from + Math.floor(index / 4) * 10 }),
    );
    await Promise.all(runs.map((run) => directoryOf(run.id).report(run)));
    return runs.toSorted(byNewest);
  }

  async function walk(query: RunQuery, between: () => Promise<unknown>): Promise<string[]> {
    const seen: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await listRuns(cursor === undefined ? query : { ...query, cursor });
      expect(page.runs.length).toBeLessThanOrEqual(query.limit);
      seen.push(...page.runs.map(({ id }) => id));
      cursor = page.cursor;
      await between();
    }
    return seen;
  }

  it("lists newest first across its shards, in pages of any size", async () => {
    const runs = await fill("ordered", 60, 5000);
    for (const limit of [1, 7, 59, 60, 61, 200]) {
      expect(await walk({ workflow: "ordered", limit }, async () => {})).toEqual(runs.map(({ id }) => id));
    }
  });

  it("ends with a full last page, without an empty one after it", async () => {
    await fill("exact", 20, 5000);
    const first = await listRuns({ workflow: "exact", limit: 20 });
    expect([first.runs.length, first.cursor]).toEqual([20, null]);
    expect(await listRuns({ workflow: "none", limit: 20 })).toEqual({ runs: [], cursor: null });
  });

  it("misses and repeats nothing while runs are started and change", async () => {
    const runs = await fill("walked", 50, 1000);
    let later = 100_000;
    const seen = await walk({ workflow: "walked", limit: 8 }, async () => {
      await fill("walked", 6, (later += 1000));
      for (const run of runs.slice(0, 5)) await directoryOf(run.id).report({ ...run, seq: later, status: "completed" });
    });
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(runs.map(({ id }) => id));
  });

  it("shows whoever reads it what was reported before, also what has still to go on the register", async () => {
    const shown = { workflow: "unheard", status: "failed" } as const;
    const error = { name: "Error", message: "no" };
    const runs = ["one", "two", "three"].map((id) => summaryOf(`unheard-${id}`, { ...shown, error, finishedAt: 1003 }));
    const reports = runs.map((run) => directoryOf(run.id).report(run));
    const filter = { workflow: "unheard" };
    const window = { from: 0, until: 2000, sliceMs: 2000 };
    // All asked at once: who waits for the reports would have them arrive for the others.
    const [page, counts, count, groups, causes, samples, censuses] = await Promise.all([
      listRuns({ ...filter, limit: 5 }),
      countRuns(),
      countMatching(filter, ""),
      countGroups(filter, ["status"]),
      listCauses(filter),
      askShards((shard) => shard.sample({ ...filter, ...window })),
      askShards((shard) => shard.census()),
    ]);
    expect(page.runs.map(({ id }) => id).toSorted()).toEqual(runs.map(({ id }) => id).toSorted());
    expect(counts.get("unheard")?.failed).toBe(3);
    expect([count, groups.total, causes[0]?.count]).toEqual([3, 3, 3]);
    expect(sumUp(window, samples, ["unheard"]).workflows[0]?.failed).toBe(3);
    expect(byWorkflow(censuses.flatMap((shard) => shard.counts)).get("unheard")?.failed).toBe(3);
    await Promise.all(reports);
  });

  it("lists a run as ended to whoever was just told of its end", async () => {
    // No time passes between the answers and the list, and the pause that is made then is as long as the machine needs.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const ends = [1, 2, 3].map(() => start("traced-stairs", { input: { steps: 1 } }, "?wait=60s"));
    const told = (await Promise.all(ends)).map(({ id, status }) => ({ id, status }));
    const pauses = vi.spyOn(scheduler, "wait").mockImplementation(async () => {
      for (const end of told) {
        const listed = () => directoryOf(end.id).list({ limit: 1, idPrefix: end.id }, null);
        await expect.poll(listed).toMatchObject([end]);
      }
    });
    const listing = listRuns({ workflow: "traced-stairs", limit: 3 });
    const [[pauseMs] = [0]] = pauses.mock.calls;
    pauses.mockRestore();
    vi.useRealTimers();
    expect(pauseMs).toBeGreaterThan(lagMs);
    const seen = (await listing).runs.map(({ id, status }) => `${id} ${status}`);
    expect(seen.toSorted()).toEqual(told.map(({ id }) => `${id} completed`).toSorted());
  });

  it("refuses a cursor under another filter", async () => {
    await fill("bound", 5, 1000);
    const { cursor } = await listRuns({ workflow: "bound", limit: 2 });
    await expect(listRuns({ workflow: "other", limit: 2, cursor: cursor ?? "" })).rejects.toMatchObject({
      code: "cursor_invalid",
    });
    expect((await listRuns({ workflow: "bound", limit: 3, cursor: cursor ?? "" })).runs).toHaveLength(3);
  });

  it("counts by workflow and status over all shards", async () => {
    const runs = await fill("counted", 30, 1000);
    for (const run of runs.slice(0, 12)) await directoryOf(run.id).report({ ...run, seq: 9, status: "failed" });
    for (const run of runs.slice(0, 2)) await directoryOf(run.id).remove(run.id, run.createdAt);
    expect((await countRuns()).get("counted")).toEqual({
      queued: 0,
      running: 18,
      waiting: 0,
      paused: 0,
      completed: 0,
      failed: 10,
      cancelled: 0,
    });
    expect((await countRuns()).get("unheard of")).toBeUndefined();
  });
});

describe("migrations", () => {
  async function inDatabase(test: (sql: SqlStorage) => void): Promise<void> {
    await inRun(`database-${++made}`, (ctx) => test(ctx.storage.sql));
  }
  const first = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)";
  const second = "ALTER TABLE notes ADD COLUMN mark TEXT";
  const third = "UPDATE notes SET mark = text || '!'; CREATE TABLE marks (id INTEGER PRIMARY KEY)";

  it("keep no version while there is one step", async () => {
    await inDatabase((sql) => {
      expect(written(sql, (counted) => migrate(counted, [first]))).toBe(2);
      expect(written(sql, (counted) => migrate(counted, [first]))).toBe(0);
      expect(sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").toArray()).toEqual([]);
    });
  });

  it("carry an old database through every later step, once each, and write nothing when up to date", async () => {
    await inDatabase((sql) => {
      migrate(sql, [first]);
      sql.exec("INSERT INTO notes (text) VALUES ('a')");
      migrate(sql, [first, second]);
      migrate(sql, [first, second]);
      migrate(sql, [first, second, third]);
      expect(written(sql, (counted) => migrate(counted, [first, second, third]))).toBe(0);
      expect(sql.exec("SELECT text, mark FROM notes").toArray()).toEqual([{ text: "a", mark: "a!" }]);
    });
  });

  it("make a new database of all steps at once", async () => {
    await inDatabase((sql) => {
      migrate(sql, [first, second, third]);
      migrate(sql, [first, second, third]);
      expect(sql.exec("SELECT mark FROM notes").toArray()).toEqual([]);
    });
  });

  it("remember the steps that were done when a later one fails", async () => {
    await inDatabase((sql) => {
      expect(() => migrate(sql, [first, second, "UPDATE nowhere SET x = 1"])).toThrow("nowhere");
      migrate(sql, [first, second, third]);
      expect(sql.exec("SELECT mark FROM notes").toArray()).toEqual([]);
    });
  });

  it("leave a database alone that newer code has moved on", async () => {
    await inDatabase((sql) => {
      migrate(sql, [first, second, third]);
      expect(written(sql, (counted) => migrate(counted, [first, second]))).toBe(0);
      migrate(sql, [first, second, third]);
    });
  });
});
