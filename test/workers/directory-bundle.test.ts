/** Ends that several runs owe to one shard at the same time: told in few calls, and each as surely as by itself. */
import { afterEach, describe, expect, it, vi } from "vitest";
import type { RunSnapshot, RunSummary } from "../../src/core/run/run.ts";
import { RunState } from "../../src/core/state/state.ts";
import { encode } from "../../src/core/value/value.ts";
import { directoryShard, shardOf } from "../../src/objects/address.ts";
import { reportEnd } from "../../src/objects/directory/bundle.ts";
import { Reporter } from "../../src/objects/outbox/reporter.ts";
import type { ReportAnswer } from "../../src/objects/rpc/directory.ts";
import { ask, newId, start } from "./client.ts";
import { bundlesTo, reportsTo, trouble } from "./shards.ts";
import { summaryOf } from "./summary.ts";
import { inRun } from "./storage.ts";

const shard = 1;

afterEach(() => {
  trouble(shard, null);
});

/** Ids of runs that this shard lists. */
function idsOf(what: string, count: number): string[] {
  const ids: string[] = [];
  while (ids.length < count) {
    const id = newId(what);
    if (shardOf(id) === shard) ids.push(id);
  }
  return ids;
}

async function listed(id: string, status: RunSummary["status"], timeout = 10_000): Promise<void> {
  const find = async (): Promise<RunSummary | undefined> => {
    const runs = await directoryShard(shard).list({ idPrefix: id, limit: 200 }, null);
    return runs.find((run) => run.id === id);
  };
  await vi.waitFor(async () => expect(await find()).toMatchObject({ status }), { timeout, interval: 10 });
}

function ended(id: string, over: Partial<RunSummary> = {}): RunSummary {
  return summaryOf(id, { status: "completed", ...over });
}

async function inObject<Result>(id: string, act: (ctx: DurableObjectState) => Promise<Result>): Promise<Result> {
  return await inRun(id, (ctx) => act(ctx));
}

/** Each of the objects tells the end of its run, all at the same time. */
async function tellAll(ids: readonly string[]): Promise<Promise<ReportAnswer>[]> {
  let ready = 0;
  const heard = ids.map((id) =>
    inObject(id, async () => {
      ready++;
      while (ready < ids.length) await scheduler.wait(1);
      return await reportEnd(shard, ended(id));
    }),
  );
  await expect.poll(() => ready, { interval: 1 }).toBe(ids.length);
  return heard;
}

describe("runs that end at the same time", () => {
  it("are told of in few calls, each once (budget)", async () => {
    const ids = idsOf("crowd", 24);
    const before = bundlesTo(shard).length;
    expect(await Promise.all(await tellAll(ids))).toEqual(ids.map(() => ({ offers: [], rows: 2 })));
    const bundles = bundlesTo(shard).slice(before);
    const single = ids.length - bundles.flat().length;
    expect(bundles.length + single).toBeLessThanOrEqual(ids.length / 2);
    expect(
      reportsTo(shard)
        .filter((id) => ids.includes(id))
        .toSorted(),
    ).toEqual(ids.toSorted());
    await Promise.all(ids.map((id) => listed(id, "completed")));
  });

  it("are told of one by one to a shard that takes them no other way", async () => {
    const ids = idsOf("older", 6);
    await Promise.all(ids.map((id) => start("listed-once", { id })));
    await Promise.all(ids.map((id) => listed(id, "waiting")));
    trouble(shard, "single");
    await Promise.all(ids.map((id) => ask(`POST /v1/runs/${id}/signals/go`, { json: 1 })));
    await Promise.all(ids.map((id) => listed(id, "completed")));
  });

  it("are listed when the object dies that speaks for all of them", async () => {
    const ids = idsOf("orphan", 8);
    const before = bundlesTo(shard).length;
    trouble(shard, "hangs");
    const heard = new Map((await tellAll(ids)).map((each, index) => [ids[index], each]));
    await expect.poll(() => bundlesTo(shard).length, { interval: 5 }).toBeGreaterThan(before);
    const [sender = "", ...others] = bundlesTo(shard)[before] ?? [];
    const dying = heard.get(sender)?.catch(() => "died");
    await expect(inObject(sender, async (ctx) => ctx.abort("ended by the test"))).rejects.toThrow("ended by the test");
    expect(await dying).toBe("died");
    // The others ask by themselves, while nobody has an answer yet.
    const told = (id: string): number => reportsTo(shard).filter((each) => each === id).length;
    const alone = (): number => Math.min(...others.map(told));
    await expect.poll(alone).toBeGreaterThanOrEqual(2);
    trouble(shard, null);
    await Promise.all(others.map(async (id) => await heard.get(id)));
    await Promise.all(others.map((id) => listed(id, "completed")));
  });
});

describe("an end that is told with others", () => {
  it("is told all the same when the object dies that gathers them, before it has sent anything", async () => {
    const [dead = "", id = ""] = idsOf("gathered", 2);
    const dying = inObject(dead, async (ctx) => {
      void reportEnd(shard, ended(dead));
      await Promise.resolve();
      ctx.abort("ended by the test");
    });
    await expect(dying).rejects.toThrow("ended by the test");
    const heard = await inObject(id, async () => await reportEnd(shard, ended(id)));
    expect(heard).toEqual({ offers: [], rows: 2 });
    await listed(id, "completed");
    expect(reportsTo(shard)).not.toContain(dead);
  });

  it("is refused alone where the shard cannot take it", async () => {
    const [bad = "", ...good] = idsOf("refused", 4);
    const tell = (run: RunSummary): Promise<ReportAnswer> => inObject(run.id, async () => await reportEnd(shard, run));
    // No run has such labels: they cannot be written.
    const refused = tell(ended(bad, { labels: null as unknown as RunSummary["labels"] })).catch(() => "refused");
    const heard = await Promise.all(good.map((id) => tell(ended(id))));
    expect(heard).toEqual(good.map(() => ({ offers: [], rows: 2 })));
    expect(await refused).toBe("refused");
    await Promise.all(good.map((id) => listed(id, "completed")));
  });

  it("goes only once it is on record for good, and holds up no other", async () => {
    const [unsafe = "", id = ""] = idsOf("unsafe", 2);
    await inObject(unsafe, async () => {
      const record = Promise.withResolvers<void>();
      const heard = Promise.withResolvers<number | undefined>();
      const run: RunSnapshot = {
        ...ended(unsafe),
        input: encode(null, "input"),
        output: null,
        progress: null,
        active: [],
      };
      const reporter = new Reporter({
        run: { state: new RunState(), glance: () => run, snapshot: () => run },
        receive: async () => ({ ok: true, value: { duplicate: false, more: false } }),
        safe: () => record.promise,
        changed: () => undefined,
        reported: heard.resolve,
      });
      reporter.attend(false);
      await reportEnd(shard, ended(id));
      expect(reportsTo(shard)).toContain(id);
      expect(reportsTo(shard)).not.toContain(unsafe);
      record.resolve();
      expect(await heard.promise).toBe(2);
    });
  });
});
