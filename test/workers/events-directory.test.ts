/** The listing followed as it changes: a client that lists once and applies what it is told stays right. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { DurableObject } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { fits } from "../../src/core/listing/filter.ts";
import { directoryShards } from "../../src/objects/address.ts";
import { followDirectory } from "../../src/objects/follow/feed.ts";
import { openDirectory } from "../../src/store/directory.ts";
import { someFilter, someRun } from "../core/filters.ts";
import { ask, newId, refusal, start } from "./client.ts";
import { Listener, connect, listen, openEvents, waiting } from "./listener.ts";
import { summaryOf } from "./summary.ts";
import { DirectoryObject } from "./worker.ts";

const go = (id: string, payload: object): Promise<unknown> => ask(`POST /v1/runs/${id}/signals/go`, { json: payload });
const feed = (filter = ""): Promise<Listener> => listen(`/v1/directory/events${filter}`);
const shards = ["shard-0", "shard-1", "shard-2", "shard-3"];

const isReady = ({ told }: Listener): boolean => told.some(({ name }) => name === "ready");
const readies = ({ told }: Listener): number => told.filter(({ name }) => name === "ready").length;

/** What a list shows that applied everything it was told: status by id. */
function listed({ told }: Pick<Listener, "told">): Record<string, unknown> {
  const list: Record<string, unknown> = {};
  for (const { name, data } of told) {
    if (name === "run") list[String(data["id"])] = data["status"];
    if (name === "removed") delete list[String(data["id"])];
  }
  return list;
}

/** How many follow each shard. */
const open = () =>
  Promise.all(
    shards.map((shard) => runInDurableObject(env.DIRECTORY.getByName(shard), (_, ctx) => ctx.getWebSockets().length)),
  );

const directoryPrototype = () => DirectoryObject.prototype as Required<DurableObject>;

async function readOn(reader: ReadableStreamDefaultReader<unknown>): Promise<void> {
  while (!(await reader.read()).done);
}

describe("the filter of the feed", () => {
  it("means the runs that the listing lists", async () => {
    const runs = Array.from({ length: 200 }, (_, index) => someRun(index));
    await runInDurableObject(env.DIRECTORY.getByName(newId("alone")), (_object, { storage }) => {
      const { runs: directory } = openDirectory(storage.sql);
      for (const run of runs) directory.report(run);
      for (let round = 0; round < 200; round++) {
        const filter = someFilter();
        const listed = directory.list({ ...filter, limit: 1000 }, null).map(({ id }) => id);
        const meant = runs.filter((run) => fits(run, filter)).map(({ id }) => id);
        expect([filter, listed.toSorted()]).toEqual([filter, meant.toSorted()]);
      }
    });
  });
});

describe("the feed of the directory", () => {
  it("says first that it is ready, then each run as the listing has it, until it is removed", async () => {
    const label = newId("label");
    const listener = await feed(`?label.test=${label}`);
    await listener.until(isReady);
    expect(listener.told[0]).toEqual({ id: null, name: "ready", data: {} });
    const { id } = await start("live-parked", { labels: { test: label } });
    await listener.until((each) => listed(each)[id] === "waiting");
    await go(id, { stop: true });
    await listener.until((each) => listed(each)[id] === "completed");
    const { runs } = (await ask(`GET /v1/runs?label.test=${label}`)).body as { runs: unknown[] };
    expect(listener.told.at(-1)).toEqual({ id: null, name: "run", data: runs[0] });
    await ask(`DELETE /v1/runs/${id}`);
    await listener.until(({ told }) => told.at(-1)?.name === "removed");
    expect(listener.told.at(-1)?.data).toEqual({ id });
    await listener.leave();
  });

  it("tells of the filter's runs only, and of one that fits no longer that it is gone", async () => {
    const label = newId("label");
    const waits = await feed(`?status=waiting&label.test=${label}`);
    const ended = await feed(`?status=completed,failed&label.test=${label}&workflow=live-parked`);
    const byPrefix = await feed(`?idPrefix=${label}-b`);
    const byError = await feed(`?errorCode=non_retryable&label.test=${label}`);
    for (const listener of [waits, ended, byPrefix, byError]) await listener.until(isReady);
    const ids = [`${label}-a`, `${label}-b1`, `${label}-b2`];
    for (const id of ids) await start("live-parked", { id, labels: { test: label } });
    await waits.until((each) => Object.keys(listed(each)).length === 3);
    await go(`${label}-a`, { stop: true });
    await waits.until((each) => Object.keys(listed(each)).length === 2);
    await ended.until((each) => listed(each)[`${label}-a`] === "completed");
    await byPrefix.until((each) => Object.keys(listed(each)).length === 2);
    expect(Object.keys(listed(byPrefix)).toSorted()).toEqual([`${label}-b1`, `${label}-b2`]);
    expect(Object.keys(listed(ended))).toEqual([`${label}-a`]);
    expect(byError.told.filter(({ name }) => name === "run")).toEqual([]);
    const others = byPrefix.told.filter(({ data }) => data["id"] === `${label}-a`);
    expect(others, "what could never fit is not mentioned").toEqual([]);
    for (const listener of [waits, ended, byPrefix, byError]) await listener.leave();
  });

  it("of one cause tells of what fails of it and of nothing else, until that is gone", async () => {
    const batch = newId("batch");
    const fail = async (message: string) =>
      (await start("listed-failing", { input: { message, batch, step: "charge" } }, "?wait=60s")).id;
    const first = await fail("order 17 was declined");
    const { causes } = (
      await vi.waitFor(async () => {
        const answer = await ask(`GET /v1/directory/causes?label.batch=${batch}`);
        expect(answer.body["causes"]).toHaveLength(1);
        return answer;
      }, waiting)
    ).body as { causes: { id: string }[] };
    const listener = await feed(`?cause=${causes[0]?.id}&label.batch=${batch}`);
    await listener.until(isReady);
    await fail("the bank is closed");
    const second = await fail("order 4 was declined");
    await listener.until((each) => listed(each)[second] === "failed");
    expect(listed(listener)).toEqual({ [second]: "failed" });
    for (const id of [first, second]) await ask(`DELETE /v1/runs/${id}`);
    await listener.until((each) => !(second in listed(each)));
    await listener.leave();
  });

  it("comes over a WebSocket as well", async () => {
    const label = newId("label");
    const { messages, socket } = await connect(`/v1/directory/events?label.test=${label}`);
    await expect.poll(() => messages, waiting).toEqual([{ event: "ready", data: {} }]);
    const { id } = await start("live-parked", { labels: { test: label } });
    await expect.poll(() => messages.at(-1), waiting).toMatchObject({ event: "run", data: { id, status: "waiting" } });
    socket.close();
  });

  it("merges what happens to a run, and keeps nobody's memory of all that a reader did not read", async () => {
    const prefix = newId("many");
    const slow = new Listener(await openEvents(`/v1/directory/events?idPrefix=${prefix}`), false);
    const quick = await feed(`?idPrefix=${prefix}`);
    while (!isReady(slow)) await slow.read();
    await quick.until(isReady);
    // More changes than anybody keeps, of more runs, and of one of them very many.
    const [shard] = directoryShards();
    const tell = async (index: number, seq: number) =>
      await shard?.report(summaryOf(`${prefix}-${index}`, { seq, createdAt: index + 1 }));
    for (let seq = 1; seq <= 200; seq++) await tell(0, seq);
    await quick.until(({ told }) => told.some(({ name }) => name === "run"));
    expect(quick.told.length).toBeLessThan(100);
    for (let from = 1; from <= 1500; from += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, index) => tell(from + index, 1)));
    }
    await quick.until((each) => Object.keys(listed(each)).length === 1501 || readies(each) > 1);
    while (readies(slow) < 2) await slow.read();
    await tell(0, 201);
    while (slow.told.at(-1)?.data["id"] !== `${prefix}-0`) await slow.read();
    expect(slow.told.filter(({ name }) => name === "run").length).toBeLessThan(1500);
    await slow.leave();
    await quick.leave();
  });

  it("outlives its shards: asleep they tell of the next change, aborted they are followed anew and listed again", async () => {
    const label = newId("label");
    const listener = await feed(`?label.test=${label}`);
    await listener.until(isReady);
    for (const shard of shards) await vi.waitFor(() => evictDurableObject(env.DIRECTORY.getByName(shard)), waiting);
    const first = await start("live-parked", { labels: { test: label } });
    await listener.until((each) => listed(each)[first.id] === "waiting");
    expect(readies(listener), "it slept with its sockets").toBe(1);
    const abort = runInDurableObject(env.DIRECTORY.getByName("shard-0"), (_object, ctx) => ctx.abort("lost"));
    await expect(abort).rejects.toThrow("lost");
    await listener.until((each) => readies(each) === 2);
    const second = await start("live-parked", { labels: { test: label } });
    await listener.until((each) => listed(each)[second.id] === "waiting");
    await listener.leave();
    await expect.poll(open, waiting).toEqual([0, 0, 0, 0]);
  });

  it("is ready once all shards are followed, and not before", async () => {
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    const shard = directoryPrototype();
    const { fetch } = shard;
    const dialled = vi.spyOn(shard, "fetch").mockImplementationOnce(async function (this: DurableObject, request) {
      await answered;
      return await fetch.call(this, request);
    });
    const listener = await feed(`?idPrefix=${newId("nobody")}`);
    await expect.poll(async () => (await open()).filter((count) => count > 0), waiting).toHaveLength(3);
    expect(isReady(listener)).toBe(false);
    answer();
    await listener.until(isReady);
    dialled.mockRestore();
    await listener.leave();
    await expect.poll(open, waiting).toEqual([0, 0, 0, 0]);
  });

  it("fails once a shard cannot be reached for long, and leaves those that can be", async () => {
    const reader = followDirectory({}).getReader();
    await reader.read();
    const now = Date.now();
    const dialled = vi.spyOn(directoryPrototype(), "fetch").mockImplementation(async () => {
      vi.spyOn(Date, "now").mockReturnValue(now + 120_000);
      throw new Error("told to throw");
    });
    const evicted = evictDurableObject(env.DIRECTORY.getByName("shard-0"), { webSockets: "close" });
    await expect(readOn(reader)).rejects.toThrow("told to throw");
    await evicted;
    dialled.mockRestore();
    vi.restoreAllMocks();
    await expect.poll(open, waiting).toEqual([0, 0, 0, 0]);
  });

  it("takes the filters of the listing and no others", async () => {
    expect(await refusal("GET /v1/directory/events?limit=5")).toBe("400 parameter_unknown");
    expect(await refusal("GET /v1/directory/events?cursor=x")).toBe("400 parameter_unknown");
    expect(await refusal("GET /v1/directory/events?status=odd")).toBe("400 parameter_invalid");
    expect(await refusal("GET /v1/directory/events", { token: null })).toBe("401 token_missing");
  });
});
