/** A page of the listing where the shards hold very different parts of it. */
import { describe, expect, it } from "vitest";
import { byNewest } from "../../src/core/cursor.ts";
import type { RunSummary } from "../../src/core/run.ts";
import { directoryShard, directoryShards } from "../../src/objects/address.ts";
import { listRuns } from "../../src/objects/listing.ts";
import { summaryOf } from "./summary.ts";

/** Told to this shard, wherever they would belong. */
async function put(batch: string, shard: number, count: number, from: number): Promise<RunSummary[]> {
  const runs = Array.from({ length: count }, (_, index) =>
    summaryOf(`${batch}-${shard}-${index}`, { createdAt: from + index, labels: { batch } }),
  );
  for (const run of runs) await directoryShard(shard).report(run);
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
    const batch = "lopsided";
    console.warn("begin", performance.now());
    // The newest in one shard, older ones in another; a third has one between those, the last none.
    const runs = [
      ...(await put(batch, 2, 24, 5000)),
      ...(await put(batch, 1, 16, 4000)),
      ...(await put(batch, 0, 1, 4008)),
    ];
    console.warn("put", performance.now());
    const expected = runs.toSorted(byNewest).map(({ id }) => id);
    for (const limit of [7, 23, 24, 40, 41]) expect(await walk(batch, limit)).toEqual(expected);
  });

  it("has a run once that two shards list", async () => {
    const batch = "twice";
    const [run] = await put(batch, 1, 1, 7000);
    await put(batch, 1, 20, 6000);
    await put(batch, 3, 20, 6500);
    if (run === undefined) throw new Error("nothing was put");
    await directoryShard(3).report({ ...run, seq: run.seq + 1, status: "completed" });
    const page = await listRuns({ labels: { batch }, limit: 15 });
    expect(page.runs.filter(({ id }) => id === run.id)).toMatchObject([{ status: "completed" }]);
    expect(await walk(batch, 9)).toHaveLength(41);
  });
});
