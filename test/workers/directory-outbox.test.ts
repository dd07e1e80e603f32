/** What a run owes to its shard: told in time, beside its own work, and at last, whatever dies or hangs. */
import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { directoryOf, registerName, registerObject, shardOf } from "../../src/objects/address.ts";
import { ask, historyOf, newId, refusal, runThatIs, start } from "./client.ts";
import { release, retentionMs } from "./flows/directory.ts";
import { watched } from "./crashpoint.ts";
import { patient } from "./patience.ts";
import { removalsOf, reportsTo, rowsOf, trouble } from "./shards.ts";
import { evict, inRun, passTime } from "./storage.ts";
import { summaryOf } from "./summary.ts";

afterEach(() => {
  for (const shard of [0, 1, 2, 3]) trouble(shard, null);
});

/** The run as it is listed; undefined where it is not. */
async function listed(id: string): Promise<Record<string, unknown> | undefined> {
  const { status, body } = await ask(`GET /v1/runs?idPrefix=${id}`);
  expect(status).toBe(200);
  return (body["runs"] as Record<string, unknown>[]).find((run) => run["id"] === id);
}

async function listedAs(id: string, status: string | null): Promise<void> {
  await expect.poll(async () => (await listed(id))?.["status"] ?? null).toBe(status);
}

async function isEnrolled(id: string): Promise<boolean> {
  const runs = await registerObject(shardOf(id)).enrolled("", 10_000);
  return runs.some((run) => run.id === id);
}

/** Rows that the shard of the run has written so far, and its register. */
async function rowsFor(id: string): Promise<number> {
  const names = [`shard-${shardOf(id)}`, registerName(shardOf(id))];
  const stubs = [env.DIRECTORY.getByName(names[0] ?? ""), env.RUNS.getByName(names[1] ?? "")];
  const rows = await Promise.all(
    stubs.map((stub, index) => runInDurableObject(stub, () => rowsOf(names[index] ?? ""))),
  );
  return rows.reduce((sum, each) => sum + each, 0);
}

describe("a run is listed", () => {
  it("also while it is at work", async () => {
    const { id } = await start("listed-busy");
    await listedAs(id, "running");
    release(id);
    await listedAs(id, "completed");
  });

  it("anew where it went on and soon ended once more as before", async () => {
    const { id } = await start("listed-failing", { input: { message: "no", batch: newId("batch") } }, "?wait=60s");
    await listedAs(id, "failed");
    const before = (await listed(id))?.["finishedAt"];
    expect((await ask(`POST /v1/runs/${id}/retry`)).status).toBe(200);
    await expect.poll(async () => (await historyOf(id)).at(-1)?.kind).toBe("run.failed");
    const { finishedAt } = (await ask(`GET /v1/runs/${id}`)).body;
    expect(finishedAt).not.toBe(before);
    await expect.poll(async () => (await listed(id))?.["finishedAt"]).toBe(finishedAt);
  });

  it("as ended no sooner than that is durable: it could not be taken back (guarantee 1)", async () => {
    const { id } = await start("listed-once");
    await listedAs(id, "waiting");
    let settle = (): void => undefined;
    await inRun(id, ({ storage }) => {
      vi.spyOn(storage, "sync").mockImplementation(() => new Promise((resolve) => (settle = resolve)));
    });
    await ask(`POST /v1/runs/${id}/signals/go`, { json: 1 });
    await runThatIs(id, { status: "completed" });
    // One that ends later, and is listed by the same shard.
    const other = Array.from({ length: 100 }, () => newId("later")).find((each) => shardOf(each) === shardOf(id));
    await start("listed-once", { id: other, signal: { name: "go", payload: 1 } });
    await listedAs(other ?? "", "completed");
    expect((await listed(id))?.["status"]).toBe("waiting");
    await inRun(id, () => {
      vi.restoreAllMocks();
      settle();
    });
    await listedAs(id, "completed");
  });

  it("anew where it was paused once more, of another error", async () => {
    const { id } = await start("listed-stuck");
    await listedAs(id, "paused");
    expect(await listed(id)).toMatchObject({ error: { message: "down 1" } });
    expect((await ask(`POST /v1/runs/${id}/retry`)).status).toBe(200);
    await runThatIs(id, { status: "paused", error: { message: "down 2" } });
    const { error, reason, updatedAt } = (await ask(`GET /v1/runs/${id}`)).body;
    const listing = async () => expect(await listed(id)).toMatchObject({ error, reason, updatedAt });
    await vi.waitFor(listing, { timeout: 60_000 });
  });

  it("anew where something happened to it that it does not wait for", async () => {
    const { id } = await start("listed-once");
    await listedAs(id, "waiting");
    expect((await ask(`POST /v1/runs/${id}/signals/other`, { json: 1 })).status).toBe(202);
    const { updatedAt } = (await ask(`GET /v1/runs/${id}`)).body;
    await expect.poll(async () => (await listed(id))?.["updatedAt"]).toBe(updatedAt);
  });

  it("at four rows at most for one that starts, waits once and ends (budget)", async () => {
    // The tables of the shard and of its register are there before.
    const first = newId("rows");
    const shard = shardOf(first);
    await start("listed-once", { id: first });
    await listedAs(first, "waiting");
    // One that is held up while it is at work is listed as such too; one in twenty shows what it takes otherwise.
    const rows: number[] = [];
    while (rows.length < 20 && Math.min(...rows) > 4) {
      const id = Array.from({ length: 100 }, () => newId("rows")).find((each) => shardOf(each) === shard) ?? "";
      const before = await rowsFor(id);
      await start("listed-once", { id });
      await listedAs(id, "waiting");
      await evict(id);
      await ask(`POST /v1/runs/${id}/signals/go`, { json: 1 });
      await listedAs(id, "completed");
      await runThatIs(id, { status: "completed" });
      rows.push((await rowsFor(id)) - before);
    }
    expect(Math.min(...rows)).toBeGreaterThanOrEqual(3);
    expect(Math.min(...rows)).toBeLessThanOrEqual(4);
  });

  it("as its newest life says, under its first creation, when it goes on as new", async () => {
    const { id, createdAt } = await start("listed-renewed", { input: { life: 1 } });
    await listedAs(id, "waiting");
    expect(await listed(id)).toMatchObject({ createdAt });
    const { body } = await ask(`GET /v1/runs?idPrefix=${id}`);
    expect(body["runs"]).toHaveLength(1);
    await ask(`POST /v1/runs/${id}/signals/go`, { json: 1 });
    await listedAs(id, "completed");
  });
});

describe("a removed run leaves both places", () => {
  it("when its retention is over", async () => {
    const { id } = await start("listed-briefly");
    await listedAs(id, "completed");
    expect(await isEnrolled(id)).toBe(true);
    await passTime(id, retentionMs);
    await listedAs(id, null);
    await expect.poll(async () => (await ask(`GET /v1/runs/${id}`)).status).toBe(404);
    await expect.poll(() => isEnrolled(id)).toBe(false);
  });

  it("when it is deleted, and a report that was on its way lists it no more", async () => {
    const { id } = await start("listed-once");
    await listedAs(id, "waiting");
    const shard = shardOf(id);
    trouble(shard, "hangs");
    await ask(`POST /v1/runs/${id}/signals/go`, { json: 1 });
    await runThatIs(id, { status: "completed" });
    const removal = ask(`DELETE /v1/runs/${id}`);
    // The object waits for its report; it and the removal are taken one after the other.
    trouble(shard, null);
    expect((await removal).status).toBe(204);
    await listedAs(id, null);
    await expect.poll(() => isEnrolled(id)).toBe(false);
    expect((await listed(id)) ?? null).toBeNull();
  });

  it("for good, whatever is removed after it, and a new run of its id is listed", async () => {
    const id = newId("gone");
    const shard = directoryOf(id);
    const gone = summaryOf(id, { createdAt: 1 });
    await shard.report(gone);
    await shard.remove(id, 1);
    await shard.remove(newId("another"), 1);
    expect(await shard.report(gone)).toEqual({ offers: [], rows: 0, refused: true });
    expect(await shard.report({ ...gone, createdAt: 2 })).toEqual({ offers: [], rows: 2 });
    await shard.remove(id, 2);
  });

  it("also where the shard cannot be reached when the time has come", async () => {
    const { id } = await start("listed-briefly");
    await listedAs(id, "completed");
    trouble(shardOf(id), "throws");
    await passTime(id, retentionMs);
    expect(removalsOf(shardOf(id))).toContain(id);
    expect((await ask(`GET /v1/runs/${id}`)).status).toBe(200);
    trouble(shardOf(id), null);
    // Its next attempt.
    await passTime(id, 60 * retentionMs);
    await listedAs(id, null);
    await expect.poll(async () => (await ask(`GET /v1/runs/${id}`)).status).toBe(404);
  });

  it("also where its object dies as it tries once more", async () => {
    const { id } = await start("listed-briefly");
    const shard = shardOf(id);
    const attempts = (): number => removalsOf(shard).filter((each) => each === id).length;
    await listedAs(id, "completed");
    trouble(shard, "throws");
    await expect.poll(attempts).toBeGreaterThanOrEqual(2);
    const refused = attempts();
    trouble(shard, "hangs");
    await expect.poll(attempts).toBeGreaterThan(refused);
    await abortAllDurableObjects();
    trouble(shard, null);
    await expect.poll(async () => (await ask(`GET /v1/runs/${id}`)).status).toBe(404);
    await listedAs(id, null);
  });
});

describe("a removal", () => {
  it("that was begun and not heard of leaves the run listed at last", async () => {
    const batch = newId("batch");
    const { id } = await start("listed-failing", { input: { message: "no", batch } }, "?wait=60s");
    await listedAs(id, "failed");
    trouble(shardOf(id), "mute");
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBeGreaterThanOrEqual(500);
    trouble(shardOf(id), null);
    await listedAs(id, null);
    expect((await ask(`GET /v1/runs/${id}`)).status).toBe(200);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 11 * 60_000 });
    try {
      await listedAs(id, "failed");
    } finally {
      vi.useRealTimers();
    }
  });

  it("in whose midst every object dies leaves the run listed", async () => {
    const batch = newId("batch");
    const { id } = await start("listed-failing", { input: { message: "no", batch } }, "?wait=60s");
    await listedAs(id, "failed");
    trouble(shardOf(id), "mute");
    const removal = refusal(`DELETE /v1/runs/${id}`);
    await listedAs(id, null);
    await abortAllDurableObjects();
    trouble(shardOf(id), null);
    expect(await removal).toMatch(/^5/);
    await listedAs(id, "failed");
  });

  it("takes no retry with it that was accepted (guarantee 1)", async () => {
    const batch = newId("batch");
    const { id } = await start("listed-failing", { input: { message: "no", batch } }, "?wait=60s");
    const shard = shardOf(id);
    await listedAs(id, "failed");
    trouble(shard, "hangs");
    const removal = ask(`DELETE /v1/runs/${id}`);
    await expect.poll(() => removalsOf(shard)).toContain(id);
    expect(await refusal(`POST /v1/runs/${id}/retry`)).toBe("404 run_not_found");
    trouble(shard, null);
    expect((await removal).status).toBe(204);
    expect((await ask(`GET /v1/runs/${id}`)).status).toBe(404);
  });

  it("that failed lets the run be retried, and listed", async () => {
    const batch = newId("batch");
    const { id } = await start("listed-failing", { input: { message: "no", batch } }, "?wait=60s");
    await listedAs(id, "failed");
    trouble(shardOf(id), "throws");
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBeGreaterThanOrEqual(500);
    trouble(shardOf(id), null);
    expect((await ask(`POST /v1/runs/${id}/retry`)).status).toBe(200);
    await vi.waitFor(
      async () => {
        const kinds = (await historyOf(id)).map(({ kind }) => kind);
        expect(kinds.filter((kind) => kind === "run.failed")).toHaveLength(2);
      },
      { timeout: 60_000 },
    );
    await listedAs(id, "failed");
  });
});

describe("a clock that was set back", () => {
  it("leaves nothing untold", async () => {
    const { id } = await start("listed-once");
    await listedAs(id, "waiting");
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 3_600_000 });
    try {
      await ask(`POST /v1/runs/${id}/pause`);
      await listedAs(id, "paused");
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("an unavailable shard", () => {
  it("that hangs holds up no timer and no step, and is told once it answers", async () => {
    const id = newId("hung");
    trouble(shardOf(id), "hangs");
    // Whoever waited for the shard would never go on.
    patient(10_000);
    await start("listed-busy", { id });
    await expect.poll(() => reportsTo(shardOf(id))).toContain(id);
    release(id);
    await runThatIs(id, { status: "completed" });
    vi.restoreAllMocks();
    trouble(shardOf(id), null);
    await listedAs(id, "completed");
  });

  it("that throws is told again, by a run that was parked and evicted, and nobody calls it dead", async () => {
    const id = newId("owing");
    trouble(shardOf(id), "throws");
    await start("listed-once", { id });
    // Long enough for the run to rest between two attempts.
    await expect.poll(() => reportsTo(shardOf(id)).filter((each) => each === id).length).toBeGreaterThan(2);
    for (let evicted = 0; evicted < 2; evicted++) {
      const told = reportsTo(shardOf(id)).length;
      await vi.waitFor(() => evictDurableObject(env.RUNS.getByName(id)), { timeout: 60_000, interval: 50 });
      await expect.poll(() => reportsTo(shardOf(id)).length).toBeGreaterThan(told);
    }
    trouble(shardOf(id), null);
    await listedAs(id, "waiting");
    expect((await historyOf(id)).map(({ kind }) => kind)).not.toContain("run.interrupted");
  });
});

describe("a run that is killed", () => {
  it.each([
    { when: "when its start is on record", at: 2, how: "kept" as const },
    { when: "as it begins to wait", at: 4, how: "kept" as const },
    { when: "before it begins to wait", at: 3, how: "lost" as const },
  ])("$when is listed all the same (guarantee 1)", async ({ at, how }) => {
    const id = newId("killed");
    watched(id).blows = [{ at, how }];
    await start("listed-once", { id });
    await listedAs(id, "waiting");
    expect(watched(id).blows).toEqual([]);
  });

  it("as it ends is listed as ended", async () => {
    const id = newId("killed");
    const run = watched(id);
    await start("listed-once", { id });
    await listedAs(id, "waiting");
    const { length } = await historyOf(id);
    run.blows = [{ at: length + 4, how: "kept" }];
    // The answer may die with the object.
    await ask(`POST /v1/runs/${id}/signals/go`, { json: 1 }).catch(() => undefined);
    await listedAs(id, "completed");
    await runThatIs(id, { status: "completed" });
  });
});
