/**
 * The state of an earlier release, as it was on disk when that was killed under runs at every stage: whoever upgrades has
 * it. Each object reads what it wrote then, and every run goes on to the end that it would have had.
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeAll, describe, expect, test } from "vitest";
import { each } from "./concurrency.ts";
import { build, client, runtime } from "./stage.ts";

type Golden = {
  /** When it was killed, epoch ms. */
  readonly at: number;
  /** The run that was started by key, and the path of the webhook that nobody has called. */
  readonly keyed: string;
  readonly hook: string;
  /** Which runs it listed, with their statuses. */
  readonly list: Readonly<Record<string, string>>;
  readonly objects: Readonly<Record<string, readonly string[]>>;
};

const file = join(import.meta.dirname, "..", "golden", "004-deployment.json");
const golden = JSON.parse(readFileSync(file, "utf8")) as Golden;
const hourMs = 3_600_000;
/** The next firing of the schedule that was not paused. */
const firingAt = Date.parse("2026-11-24T04:00:00Z");

build("workers/release.ts");
beforeAll(async () => {
  for (const [name, statements] of Object.entries(golden.objects)) restore(name, statements);
  await begin(0);
});

function pathOf(name: string): string {
  return join(runtime.folder, "state", `${name}.sqlite`);
}

function restore(name: string, statements: readonly string[]): void {
  const path = pathOf(name);
  mkdirSync(dirname(path), { recursive: true });
  const database = new DatabaseSync(path);
  database.exec(["BEGIN", ...statements, "COMMIT"].join(";\n"));
  database.close();
}

/** The Worker's clock is this long past the instant at which the earlier release was killed. */
async function begin(afterMs: number): Promise<void> {
  await runtime.kill();
  const variables = { RELEASE: "new", DIRECTORY_SHARDS: "2" };
  await runtime.start({ variables, deployment: `new-${afterMs}`, aheadMs: golden.at + afterMs - Date.now() });
  await client.call({ method: "GET", path: "/health" });
}

const get = <Body>(path: string): Promise<Body> => client.call<Body>({ method: "GET", path });
const post = <Body>(path: string, body: unknown, key?: string): Promise<Body> =>
  client.call<Body>({ method: "POST", path, body, ...(key === undefined ? {} : { key }) });
const send = (id: string, name: string, body: unknown, key = `${id} ${JSON.stringify(body)}`) =>
  client.signal(id, name, body, key);

async function listed(query = ""): Promise<Record<string, string>> {
  const { runs } = await get<{ runs: { id: string; status: string }[] }>(`/v1/runs?limit=200${query}`);
  return Object.fromEntries(runs.map(({ id, status }) => [id, status]));
}

async function open(): Promise<string[]> {
  const runs = Object.entries(await listed());
  return runs.flatMap(([id, status]) => (/completed|failed|cancelled/.test(status) ? [] : [id]));
}

const made = ["20", "21", "22"].map((day) => `made:202611${day}T040000Z`);

/** What they were at had not ended: that is done again, by this release. */
const inFlight = { flight: "completed", map: "completed", fetch: "completed" };

// Each begins where the one before ended.
describe("the state of an earlier release (7)", { shuffle: false }, () => {
  test("its runs are listed and found as they were, by everything that was known of them", async () => {
    await expect.poll(() => listed()).toEqual({ ...golden.list, ...inFlight });
    expect(await listed("&status=failed")).toEqual({ fail: "failed" });
    expect(await listed("&errorCode=terminated")).toEqual({ terminated: "cancelled" });
    expect(await listed("&label.at=none&label.team=sales")).toEqual({ delayed: "queued" });
    const { result } = await get<{ result: number }>("/v1/runs/ask/queries/sum");
    expect(result).toBe(5);
  });

  test("its lanes and schedules are as they were", async () => {
    const { lanes } = await get<{ lanes: object[] }>("/v1/lanes");
    expect(lanes).toMatchObject([
      { name: "concurrency:lined", used: 0 },
      { name: "concurrency:lined:all", limit: 1, used: 1, waiting: 2, holders: [{ run: "lined-0" }] },
      { name: "dock", limit: 2, override: 2 },
      { name: "throttle:throttled", limit: 1, used: 1, waiting: 2 },
    ]);
    const { schedules } = await get<{ schedules: object[] }>("/v1/schedules");
    expect(schedules).toMatchObject([
      { id: "nightly", paused: true, pausedReason: "audit" },
      { id: "made", workflow: "turn", cron: "0 4 * * *", overlap: "buffer-all", input: "made", backfills: [{}] },
    ]);
  });

  test("what is asked once more changes nothing (5)", async () => {
    const schedule = { id: "made", workflow: "turn", cron: "0 4 * * *", overlap: "buffer-all", input: "made" };
    // First, because what is accepted here would be known from then on.
    const conflicts: readonly (readonly [string, object, string])[] = [
      ["/v1/workflows/stage/runs", { input: { at: "none" } }, "start-key"],
      ["/v1/runs/sleep/signals/buffered", { n: 3 }, "signal-key"],
      ["/v1/runs/ask/updates/add", { by: 3 }, "update-key"],
      ["/v1/signals/kept", { kept: false }, "broadcast-key"],
      ["/v1/schedules", { ...schedule, id: "other" }, "schedule-key"],
    ];
    for (const conflict of conflicts) await expect(post(...conflict)).rejects.toThrow(/: 409 .*idempotency_conflict/);
    const { id } = await post<{ id: string }>("/v1/workflows/stage/runs", { input: { at: "signal" } }, "start-key");
    expect(id).toBe(golden.keyed);
    expect(await send("sleep", "buffered", { n: 1 }, "signal-key")).toMatchObject({ duplicate: true });
    expect(await post("/v1/runs/ask/updates/add", { by: 2 }, "update-key")).toEqual({ result: 2 });
    expect(await post("/v1/signals/kept", { kept: true }, "broadcast-key")).toEqual({ delivered: 0, buffered: true });
    expect(await post("/v1/schedules", schedule, "schedule-key")).toMatchObject({ id: "made" });
    expect(await client.start("single", "single-1", { k: "a" })).toMatchObject({ id: "single-0" });
    expect(await client.start("bounced", "bounced-2", { k: "a", n: 2 })).toMatchObject({ id: "bounced-0" });
    expect(Object.keys(await listed()).sort()).toEqual(Object.keys(golden.list).sort());
  });

  test(
    "every run goes on to the end that it would have had, and does nothing again (2, 4, 5)",
    { timeout: 180_000 },
    async () => {
      await client.start("stage", "late", { at: "late" });
      await post("/v1/signals/everybody", { all: true });
      await post("/v1/runs/ask/updates/add", { by: 4 });
      await client.call({ method: "POST", path: golden.hook, body: { paid: true } });
      await each(["exhausted", "fail"], (id) => post(`/v1/runs/${id}/retry`, {}));
      await post("/v1/runs/paused/resume", {});
      const waiting = ["signal", "ask", "drawn", "renewed", "single-0", golden.keyed];
      const several = [0, 1, 2].flatMap((n) => [`lined-${n}`, `docked-${n}`]);
      await each([...waiting, ...several, "race"], (id) => send(id, "go", id));
      await send("race", "go", "second");
      for (const id of made) {
        await expect.poll(() => get<object>(`/v1/runs/${id}`).catch(() => null)).toMatchObject({ id });
        await send(id, "go", id);
        await client.end(id);
      }
      for (const hours of [1, 2]) {
        await begin(hours * hourMs + 60_000);
        if (hours === 1)
          await each(["bounced-0", "throttled-0", "throttled-1", "throttled-2"], (id) => send(id, "go", id));
      }
      await each(Object.keys(ends), async (id) => {
        const { status, output, error } = await client.end(id);
        expect({ id, status, output, ...(error === null ? {} : { error }) }).toMatchObject({ id, ...ends[id] });
      });
      await expect.poll(() => open()).toEqual([]);
    },
  );

  test("a schedule fires once, also where it never fired before, and one that was paused does not (6)", async () => {
    await begin(firingAt + 1000 - golden.at);
    await expect.poll(() => open()).toEqual(["made:20261124T040000Z"]);
    expect(await listed("&workflow=nightly")).toEqual({});
  });

  test("shards that are lost are rebuilt from what they had registered", async () => {
    const before = await listed();
    await runtime.kill();
    for (const shard of Object.keys(golden.objects).filter((name) => /^DirectoryObject\/(?!metadata)/.test(name))) {
      for (const part of ["", "-wal", "-shm"]) rmSync(`${pathOf(shard)}${part}`, { force: true });
    }
    await begin(firingAt + 1000 - golden.at);
    const { id } = await post<{ id: string }>("/v1/directory/rebuild", {});
    expect(await client.end(id)).toMatchObject({ status: "completed" });
    await expect.poll(() => listed()).toEqual({ ...before, [id]: "completed" });
  });
});

/** The first step of each was done by the earlier release, the last one by this. */
const completed = (got: unknown, first = "old") => ({ status: "completed", output: [first, got, "new"] });
const gone = (id: string, input: unknown) => [id, { status: "completed", output: [input, id, "new"] }] as const;

const ends: Readonly<Record<string, object>> = {
  flight: completed("new"),
  retry: completed("new"),
  sleep: completed([{ n: 1 }, { n: 2 }]),
  signal: completed("signal"),
  [golden.keyed]: completed(golden.keyed),
  timeout: completed(null),
  webhook: completed({ paid: true }),
  child: completed("new"),
  map: completed(["old", "new", "old"]),
  race: completed(["go", "second"]),
  undo: { status: "failed", error: { name: "RangeError", undone: ["charge"] } },
  ask: completed(9),
  drawn: completed(true),
  fetch: completed([200, "new"]),
  exhausted: completed("new"),
  broadcast: completed({ all: true }),
  late: completed({ kept: true }, "new"),
  fail: completed("new"),
  paused: completed({ early: true }),
  delayed: completed(null, "new"),
  renewed: { status: "completed", output: [2, "old", "renewed"] },
  ...Object.fromEntries(
    [0, 1, 2].flatMap((n) => [gone(`lined-${n}`, n), gone(`docked-${n}`, n), gone(`throttled-${n}`, n)]),
  ),
  ...Object.fromEntries([
    gone("single-0", { k: "a" }),
    gone("bounced-0", { k: "a", n: 2 }),
    ...made.map((id) => gone(id, "made")),
  ]),
};
