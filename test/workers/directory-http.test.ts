/** The directory over HTTP: filters, counts, causes, and what is refused. */
import { describe, expect, it } from "vitest";
import { byNewest } from "../../src/core/listing/cursor.ts";
import type { RunSummary } from "../../src/core/run/run.ts";
import { directoryShard, directoryShards } from "../../src/objects/address.ts";
import { listRuns } from "../../src/objects/directory/listing.ts";
import { ask, historyOf, newId, refusal, runThatIs, start } from "./client.ts";
import { summaryOf } from "./summary.ts";

async function idsOf(query: string): Promise<string[]> {
  const { status, body } = await ask(`GET /v1/runs?${query}`);
  expect([status, body]).toEqual([200, expect.anything()]);
  return (body["runs"] as { id: string }[]).map(({ id }) => id).toSorted();
}

/** Runs that fail of these messages, each in the step given, once the directory lists them. */
async function failures(
  messages: readonly { message: string; step?: string }[],
): Promise<{ batch: string; ids: string[] }> {
  const batch = newId("batch");
  const ids = await Promise.all(
    messages.map(async (failure) => (await start("listed-failing", { input: { ...failure, batch } }, "?wait=60s")).id),
  );
  await expect.poll(() => idsOf(`label.batch=${batch}&status=failed`)).toHaveLength(ids.length);
  return { batch, ids };
}

describe("filters", () => {
  it("find runs by the beginning of their id and by the code of their error", async () => {
    const { batch, ids } = await failures([{ message: "no", step: "charge" }, { message: "no" }, { message: "no" }]);
    const [first = ""] = ids;
    expect(await idsOf(`idPrefix=${first}`)).toEqual([first]);
    expect(await idsOf(`idPrefix=${first.slice(0, -1)}&label.batch=${batch}`)).toContain(first);
    expect(await idsOf(`idPrefix=${first}x`)).toEqual([]);
    expect(await idsOf(`label.batch=${batch}&errorCode=step_failed`)).toEqual([first]);
    expect(await idsOf(`label.batch=${batch}&errorCode=handler_failed`)).toEqual(ids.slice(1).toSorted());
    expect(await idsOf(`label.batch=${batch}&errorCode=run_timeout`)).toEqual([]);
  });

  it("bind a cursor, these as well", async () => {
    const { batch } = await failures([{ message: "a" }, { message: "b" }, { message: "c" }]);
    const query = `label.batch=${batch}&errorCode=handler_failed&idPrefix=listed-failing`;
    const cursor = String((await ask(`GET /v1/runs?${query}&limit=2`)).body["cursor"]);
    expect(await idsOf(`${query}&limit=2&cursor=${cursor}`)).toHaveLength(1);
    expect(await refusal(`GET /v1/runs?label.batch=${batch}&errorCode=handler_failed&limit=2&cursor=${cursor}`)).toBe(
      "400 cursor_invalid",
    );
  });

  it("mean the same runs in a bulk action", async () => {
    const { batch, ids } = await failures([{ message: "no", step: "charge" }, { message: "no" }]);
    const dryRun = async (filter: object) =>
      (await ask("POST /v1/runs/bulk?dryRun=true", { json: { action: "delete", filter } })).body;
    expect(await dryRun({ labels: { batch }, errorCode: "step_failed" })).toEqual({ count: 1 });
    expect(await dryRun({ idPrefix: ids[1] })).toEqual({ count: 1 });
    const json = { action: "delete", filter: { labels: { batch }, errorCode: "step_failed" } };
    const { body } = await ask("POST /v1/runs/bulk", { json });
    await runThatIs(String(body["id"]), { status: "completed", output: { total: 1, succeeded: 1 } });
    expect(await idsOf(`label.batch=${batch}`)).toEqual([ids[1]]);
    for (const filter of [
      { idPrefix: ".a" },
      { idPrefix: 1 },
      { errorCode: "" },
      { errorCode: ["a"] },
      { cause: "a" },
    ]) {
      expect(await refusal("POST /v1/runs/bulk?dryRun=true", { json: { action: "delete", filter } })).toBe(
        "400 body_invalid",
      );
    }
  });

  it.each([
    ["idPrefix=", "parameter_invalid"],
    ["idPrefix=.register-0", "parameter_invalid"],
    [`idPrefix=${"a".repeat(129)}`, "parameter_invalid"],
    ["idPrefix=a&idPrefix=b", "parameter_repeated"],
    ["errorCode=", "parameter_invalid"],
    [`errorCode=${"a".repeat(257)}`, "parameter_invalid"],
    ["cause=", "parameter_invalid"],
    ["cause=ABCDEFGHIJKLMN", "parameter_invalid"],
    ["code=a", "parameter_unknown"],
  ])("that cannot be meant are refused: %s", async (query, code) => {
    expect(await refusal(`GET /v1/runs?${query}`)).toBe(`400 ${code}`);
    expect(await refusal(`GET /v1/directory/counts?${query}`)).toBe(`400 ${code}`);
    expect(await refusal(`GET /v1/directory/causes?${query}`)).toBe(`400 ${code}`);
  });
});

describe("counts", () => {
  it("group runs by what is asked for, the largest group first", async () => {
    const { batch } = await failures([{ message: "a" }, { message: "b" }, { message: "c", step: "charge" }]);
    const filter = `label.batch=${batch}`;
    expect((await ask(`GET /v1/directory/counts?${filter}`)).body).toEqual({ total: 3, groups: [] });
    expect((await ask(`GET /v1/directory/counts?${filter}&groupBy=status,errorCode`)).body).toEqual({
      total: 3,
      groups: [
        { key: { status: "failed", errorCode: "handler_failed" }, count: 2 },
        { key: { status: "failed", errorCode: "step_failed" }, count: 1 },
      ],
    });
    expect((await ask(`GET /v1/directory/counts?${filter}&groupBy=workflow,label.batch,label.none`)).body).toEqual({
      total: 3,
      groups: [{ key: { workflow: "listed-failing", "label.batch": batch, "label.none": null }, count: 3 }],
    });
    expect((await ask(`GET /v1/directory/counts?label.batch=${batch}x&groupBy=status`)).body).toEqual({
      total: 0,
      groups: [],
    });
  });

  it.each(["", "id", "label.", "status,", "status,status", "workflow,status,errorCode,label.a,label.b"])(
    "by %j are refused",
    async (groupBy) => {
      expect(await refusal(`GET /v1/directory/counts?groupBy=${groupBy}`)).toBe("400 parameter_invalid");
    },
  );

  it("and causes take the role read, and no page", async () => {
    for (const path of ["counts", "causes"]) {
      expect((await ask(`GET /v1/directory/${path}`, { token: "r-token-123" })).status).toBe(200);
      expect(await refusal(`GET /v1/directory/${path}`, { token: null })).toBe("401 token_missing");
      expect(await refusal(`GET /v1/directory/${path}?limit=5`)).toBe("400 parameter_unknown");
    }
    expect(await refusal("GET /v1/directory/causes?groupBy=status")).toBe("400 parameter_unknown");
  });
});

describe("causes", () => {
  it("gather what failed alike: workflow, step, code, and the message but for its numbers", async () => {
    const { batch, ids } = await failures([
      { message: "order 17 was declined by 10.0.0.1", step: "charge" },
      { message: "order 4 was declined by 10.1.0.77", step: "charge" },
      { message: "order a7f-22 was declined by 10.0.0.1", step: "charge" },
      { message: "the order was declined", step: "charge" },
      { message: "order 17 was declined by 10.0.0.1", step: "refund" },
      { message: "order 17 was declined by 10.0.0.1" },
    ]);
    const { body } = await ask(`GET /v1/directory/causes?label.batch=${batch}`);
    const causes = body["causes"] as Record<string, unknown>[];
    expect(causes).toHaveLength(4);
    const [first] = causes;
    expect(first).toMatchObject({ workflow: "listed-failing", code: "step_failed", step: "charge", count: 3 });
    expect(ids.slice(0, 3)).toContain(first?.["run"]);
    const newest = await ask(`GET /v1/runs/${String(first?.["run"])}`);
    expect(first).toMatchObject({
      message: (newest.body["error"] as { message: string }).message,
      lastAt: newest.body["finishedAt"],
    });
    expect(String(first?.["firstAt"]) <= String(first?.["lastAt"])).toBe(true);
    expect(causes.slice(1).map(({ step, code, count }) => [step, code, count])).toEqual(
      expect.arrayContaining([
        ["charge", "step_failed", 1],
        ["refund", "step_failed", 1],
        [null, "handler_failed", 1],
      ]),
    );
    expect((await ask(`GET /v1/directory/causes?label.batch=${batch}&status=completed`)).body).toEqual({ causes: [] });
  });

  it("are each a filter: what shares workflow, step and code with it is left alone by a bulk retry", async () => {
    const declined = ["order 17 was declined", "order 4 was declined", "order 5 was declined"];
    const { batch, ids } = await failures(
      [...declined, "the bank is closed", "the bank is closed"].map((message) => ({ message, step: "charge" })),
    );
    const query = `label.batch=${batch}`;
    const { causes } = (await ask(`GET /v1/directory/causes?${query}`)).body as { causes: Record<string, unknown>[] };
    expect(causes.map(({ code, step, count }) => [code, step, count])).toEqual([
      ["step_failed", "charge", 3],
      ["step_failed", "charge", 2],
    ]);
    const cause = String(causes[0]?.["id"]);
    const own = ids.slice(0, 3);
    expect(await idsOf(`${query}&cause=${cause}`)).toEqual(own.toSorted());
    expect((await ask(`GET /v1/directory/causes?${query}&cause=${cause}`)).body).toEqual({ causes: [causes[0]] });
    expect((await ask(`GET /v1/directory/counts?${query}&cause=${cause}`)).body).toEqual({ total: 3, groups: [] });
    const page = (await ask(`GET /v1/runs?${query}&cause=${cause}&limit=2`)).body;
    expect(await idsOf(`${query}&cause=${cause}&limit=2&cursor=${String(page["cursor"])}`)).toHaveLength(1);
    expect(await refusal(`GET /v1/runs?${query}&limit=2&cursor=${String(page["cursor"])}`)).toBe("400 cursor_invalid");

    const json = { action: "retry", filter: { labels: { batch }, cause } };
    expect((await ask("POST /v1/runs/bulk?dryRun=true", { json })).body).toEqual({ count: 3 });
    const { body } = await ask("POST /v1/runs/bulk", { json });
    await runThatIs(String(body["id"]), { status: "completed", output: { total: 3, succeeded: 3 } });
    for (const id of ids) {
      const retried = (await historyOf(id)).filter(({ kind }) => kind === "run.retried");
      expect([id, retried.length]).toEqual([id, own.includes(id) ? 1 : 0]);
    }
  });
});

/** Told to this shard, wherever they would belong. */
async function put(batch: string, shard: number, count: number, from: number): Promise<RunSummary[]> {
  const runs = Array.from({ length: count }, (_, index) =>
    summaryOf(`${batch}-${shard}-${index}`, { createdAt: from + index, labels: { batch } }),
  );
  await Promise.all(runs.map((run) => directoryShard(shard).report(run)));
  return runs;
}

async function walk(batch: string, limit: number): Promise<string[]> {
  const seen: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await listRuns({ labels: { batch }, limit, ...(cursor === undefined ? {} : { cursor }) });
    seen.push(...page.runs.map(({ id }) => id));
    cursor = page.cursor;
  }
  return seen;
}

describe("a page over several shards", () => {
  it("is whole where one shard has all of the newest", async () => {
    expect(directoryShards()).toHaveLength(4);
    const batch = newId("lopsided");
    // The newest in one shard, older ones in another; a third has one between those, the last none.
    const runs = [
      ...(await put(batch, 2, 24, 5000)),
      ...(await put(batch, 1, 16, 4000)),
      ...(await put(batch, 0, 1, 4008)),
    ];
    const expected = runs.toSorted(byNewest).map(({ id }) => id);
    for (const limit of [7, 23, 24, 40, 41]) expect(await walk(batch, limit)).toEqual(expected);
  });

  it("has a run once that two shards list", async () => {
    const batch = newId("twice");
    const run = (await put(batch, 1, 20, 6000)).at(-1);
    await put(batch, 3, 20, 6500);
    if (run === undefined) throw new Error("nothing was put");
    await directoryShard(3).report({ ...run, seq: run.seq + 1, status: "completed" });
    const page = await listRuns({ labels: { batch }, limit: 25 });
    expect(page.runs.filter(({ id }) => id === run.id)).toMatchObject([{ status: "completed" }]);
    expect(await walk(batch, 9)).toHaveLength(40);
  });
});
