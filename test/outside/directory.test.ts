/**
 * The directory from outside, over deaths of the whole Worker and losses of its files: what it lists is
 * compared with what each run says of itself.
 */
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { each } from "./concurrency.ts";
import { build, client, runtime } from "./stage.ts";

type Listed = { readonly id: string; readonly status: string };

const kills = 3;
const perLife = 40;
const fates = ["end", "fail", "wait", "nap"] as const;
/** What a life of its own accord takes to list what it owes, on a machine that is busy. */
const patienceMs = 60_000;

/** Every run that was ever accepted. */
const accepted: string[] = [];

build("worker.ts");
beforeAll(() => runtime.start());

// Each begins where the one before ended.
describe("the directory", { shuffle: false }, () => {
  test(
    "killed under load again and again, it comes to list every accepted run once, as it is (1, 8)",
    { timeout: 180_000 },
    async () => {
      for (let life = 0; life < kills; life++) {
        const starting = startMany(`life${life}`, perLife);
        await pause(150 + life * 120);
        await runtime.kill();
        await runtime.start();
        await starting;
      }
      await agrees();
    },
  );

  test("a shard that has lost everything is restored from the runs", { timeout: 120_000 }, async () => {
    await runtime.kill();
    lose(shardFiles().slice(0, 1));
    await runtime.start();
    const left = await walk();
    expect(left.length).toBeLessThan(accepted.length);
    await rebuild();
    await agrees();
  });

  test("so is a directory of which nothing is left, while runs are started", { timeout: 120_000 }, async () => {
    await runtime.kill();
    lose(shardFiles());
    await runtime.start();
    await Promise.all([startMany("meanwhile", 30), rebuild()]);
    await agrees();
  });

  test("more shards on a live system lose nothing and double nothing", { timeout: 120_000 }, async () => {
    await runtime.kill();
    await runtime.start({ variables: { DIRECTORY_SHARDS: "7" } });
    await agrees();
    await startMany("raised", 40);
    // A run of before changes what is listed of it where it is listed.
    const collected = accepted.filter((id) => id.endsWith("-wait")).slice(0, 10);
    await each(collected, (id) => client.signal(id, "collected", {}, `${id}/collected`));
    await agrees();
    const listed = new Map((await walk()).map(({ id, status }) => [id, status]));
    expect(collected.map((id) => listed.get(id))).toEqual(collected.map(() => "completed"));
  });
});

async function startMany(name: string, count: number): Promise<void> {
  const ids = Array.from({ length: count }, (_, index) => `${name}-${index}-${fates[index % fates.length]}`);
  await each(ids, async (id) => {
    await client.start("parcel", id, { fate: id.slice(id.lastIndexOf("-") + 1) });
    accepted.push(id);
  });
}

/** Resolves once the listing holds every accepted run once, as the run itself says it is. */
async function agrees(): Promise<void> {
  const truth = new Map<string, string>();
  await each(accepted, async (id) => {
    const settled = id.endsWith("-end") || id.endsWith("-fail");
    truth.set(id, (await (settled ? client.end(id) : client.run(id))).status);
  });
  const wanted = [...truth].map(([id, status]) => ({ id, status })).toSorted(byId);
  let listed: Listed[] = [];
  for (const giveUpAt = Date.now() + patienceMs; Date.now() < giveUpAt; await pause(100)) {
    listed = (await walk()).toSorted(byId);
    if (JSON.stringify(listed) === JSON.stringify(wanted)) break;
  }
  expect(listed).toEqual(wanted);
  const { total } = await client.call<{ total: number }>({
    method: "GET",
    path: "/v1/directory/counts?workflow=parcel&groupBy=status",
  });
  expect(total).toBe(wanted.length);
}

function byId(one: Listed, other: Listed): number {
  return one.id < other.id ? -1 : 1;
}

/** The whole listing, page by page. */
async function walk(): Promise<Listed[]> {
  const listed: Listed[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const path: string = `/v1/runs?workflow=parcel&limit=50${cursor === "" ? "" : `&cursor=${cursor}`}`;
    const page: { runs: Listed[]; cursor: string | null } = await client.call({ method: "GET", path });
    listed.push(...page.runs.map(({ id, status }) => ({ id, status })));
    cursor = page.cursor;
  }
  return listed;
}

async function rebuild(): Promise<void> {
  const { id } = await client.call<{ id: string }>({ method: "POST", path: "/v1/directory/rebuild", body: {} });
  expect(await client.end(id)).toMatchObject({ status: "completed" });
}

/** The files of the directory's objects, the largest first. */
function shardFiles(): string[] {
  const folder = join(runtime.folder, "state", "DirectoryObject");
  const files = readdirSync(folder).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name));
  const size = (name: string): number => statSync(join(folder, name)).size;
  return files.toSorted((one, other) => size(other) - size(one)).map((name) => join(folder, name));
}

function lose(files: readonly string[]): void {
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) for (const suffix of ["", "-wal", "-shm"]) rmSync(file + suffix, { force: true });
}
