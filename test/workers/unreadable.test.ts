/** Rows that cannot be read, for want of a key or because they are damaged: nobody but what they stand for is the worse for it. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { openDirectory } from "../../src/store/directory.ts";
import { ask, newId, refusal, runThatIs, start } from "./client.ts";
import { settings } from "./settings.ts";
import { summaryOf, waitFor } from "./summary.ts";

const keyOf = (id: string, fill: number) => `${id}:${btoa(String.fromCharCode(...new Uint8Array(32).fill(fill)))}`;
const [one, two] = [keyOf("k1", 1), keyOf("k2", 2)];
const yearly = { workflow: "canary-child", cron: "0 0 1 1 *", input: { word: "w" } };

const scheduler = () => env.SCHEDULER.getByName("scheduler");

async function inScheduler(act: (sql: SqlStorage) => void): Promise<void> {
  await runInDurableObject(scheduler(), (_object, { storage }) => act(storage.sql));
  await evictDurableObject(scheduler()).catch(() => undefined);
}

async function wake(): Promise<void> {
  await runInDurableObject(scheduler(), async (object) => await object.alarm?.());
}

async function made(id: string): Promise<string> {
  expect((await ask("POST /v1/schedules", { json: { id, ...yearly } })).status).toBe(201);
  return id;
}

async function expectRestUnharmed(): Promise<void> {
  for (const call of ["GET /v1/schedules", "GET /v1/workflows", "GET /metrics", "GET /schedules", "GET /"]) {
    expect([call, (await ask(call)).status]).toEqual([call, 200]);
  }
  const other = await made(newId("other"));
  expect((await ask(`POST /v1/schedules/${other}/trigger`, { json: {} })).status).toBe(201);
  expect((await ask(`GET /v1/schedules/${other}`)).status).toBe(200);
}

async function listedOf(id: string): Promise<unknown> {
  const { body } = await ask("GET /v1/schedules");
  return (body["schedules"] as { readonly id: string }[]).find((schedule) => schedule.id === id);
}

describe("a schedule that cannot be read", () => {
  it.each([
    ["plans", "plan", "{garbage"],
    ["plans", "plan", "{}"],
    ["schedules", "state", "{garbage"],
    ["schedules", "state", '{"running":5}'],
  ])("stops itself and nobody else, and can be deleted: %s.%s %s", async (table, column, garbage) => {
    const id = await made(newId("broken"));
    await inScheduler((sql) => sql.exec(`UPDATE ${table} SET ${column} = ? WHERE id = ?`, garbage, id));
    await wake();
    await expectRestUnharmed();
    for (const call of ["GET /v1/schedules/ID", "PATCH /v1/schedules/ID", "POST /v1/schedules/ID/trigger"]) {
      const options = call.startsWith("GET") ? {} : { json: { paused: true } };
      const sent = call.includes("trigger") ? { json: {} } : options;
      expect(await refusal(call.replace("ID", id), sent)).toBe("503 journal_corrupt");
    }
    expect(await refusal("POST /v1/schedules", { json: { id, ...yearly } })).toBe("503 journal_corrupt");
    expect(await listedOf(id)).toMatchObject({
      id,
      next: [],
      lastError: { message: expect.stringContaining("journal_corrupt") },
    });
    await runInDurableObject(scheduler(), (_object, { storage }) => {
      expect(storage.sql.exec(`SELECT ${column} AS text FROM ${table} WHERE id = ?`, id).one()).toEqual({
        text: garbage,
      });
    });
    expect((await ask(`DELETE /v1/schedules/${id}`)).status).toBe(204);
    expect(await refusal(`GET /v1/schedules/${id}`)).toBe("404 schedule_not_found");
    expect(await listedOf(id)).toBeUndefined();
    await made(id);
  });

  it("of the code begins anew once what is known of it was deleted", async () => {
    const { body } = await ask("GET /v1/schedules");
    const own = (body["schedules"] as { readonly id: string; readonly source: string }[]).find(
      ({ source }) => source === "code",
    );
    const path = `/v1/schedules/${encodeURIComponent(own?.id ?? "")}`;
    await inScheduler((sql) => sql.exec("INSERT OR REPLACE INTO schedules (id, state) VALUES (?, '[')", own?.id));
    expect(await refusal(`GET ${path}`)).toBe("503 journal_corrupt");
    expect((await ask(`DELETE ${path}`)).status).toBe(204);
    expect((await ask(`GET ${path}`)).body).toMatchObject({ id: own?.id, lastError: null });
    expect(await refusal(`DELETE ${path}`)).toBe("409 schedule_in_code");
  });

  it("is as it was, and looked at again, once its key is back", async () => {
    settings["ENCRYPTION_KEYS"] = one;
    // Keys come with a deployment, which makes every object anew.
    await evictDurableObject(scheduler()).catch(() => undefined);
    const id = await made(newId("locked"));
    settings["ENCRYPTION_KEYS"] = two;
    await evictDurableObject(scheduler()).catch(() => undefined);
    expect(await refusal(`GET /v1/schedules/${id}`)).toBe("503 key_missing");
    await expectRestUnharmed();
    expect(await listedOf(id)).toMatchObject({ lastError: { message: expect.stringContaining("key_missing") } });
    await runInDurableObject(scheduler(), async (object, { storage }) => {
      await object.alarm?.();
      expect(await storage.getAlarm()).toBeLessThanOrEqual(Date.now() + 60_000);
    });
    settings["ENCRYPTION_KEYS"] = `${two},${one}`;
    await wake();
    expect((await ask(`GET /v1/schedules/${id}`)).body).toMatchObject({ id, lastError: null, input: { word: "w" } });
    const change = { cron: "* * * * *", catchUp: "1h" };
    expect((await ask(`PATCH /v1/schedules/${id}`, { json: change })).status).toBe(200);
    await runInDurableObject(scheduler(), (_object, { storage }) => {
      expect(storage.sql.exec<{ state: string }>("SELECT state FROM schedules WHERE id = ?", id).one().state).toMatch(
        /^enc1\.k2\./,
      );
    });
    expect((await ask(`DELETE /v1/schedules/${id}`)).status).toBe(204);
  });

  it("keeps its backfills, one of which cannot be read, until it can", async () => {
    const id = await made(newId("filled"));
    const plan = await runInDurableObject(scheduler(), (_object, { storage }) => {
      const { text } = storage.sql.exec<{ text: string }>("SELECT plan AS text FROM plans WHERE id = ?", id).one();
      return text;
    });
    const fill = { ...backfillOf(id), firings: 1 };
    await inScheduler((sql) => {
      sql.exec("UPDATE plans SET plan = '{' WHERE id = ?", id);
      sql.exec("INSERT INTO backfills (number, backfill) VALUES (900002, '{'), (900001, ?)", JSON.stringify(fill));
    });
    await wake();
    await expectRestUnharmed();
    await runInDurableObject(scheduler(), (_object, { storage }) => {
      storage.sql.exec("UPDATE plans SET plan = ? WHERE id = ?", plan, id);
    });
    await wake();
    await runThatIs(`${id}:20200101T000000Z`, { status: "completed" });
    // A further one does not take its place.
    const json = { from: "2021-01-01T00:00:00Z", to: "2021-01-02T00:00:00Z" };
    expect((await ask(`POST /v1/schedules/${id}/backfill`, { json })).status).toBe(202);
    await runThatIs(`${id}:20210101T000000Z`, { status: "completed" });
    await inScheduler((sql) => {
      expect(sql.exec("SELECT backfill FROM backfills WHERE number = 900002").one()).toEqual({ backfill: "{" });
      sql.exec("DELETE FROM backfills WHERE number = 900002");
    });
  });
});

function backfillOf(schedule: string) {
  const [fromAt, untilAt] = [Date.UTC(2020, 0, 1), Date.UTC(2020, 0, 2)];
  const open = { started: 0, refused: 0, nextAt: fromAt, starting: null, running: null, checkAt: null, checks: 0 };
  return { schedule, cron: yearly.cron, timezone: "UTC", fromAt, untilAt, overlap: "allow-all", by: "test", ...open };
}

describe("a broadcast", () => {
  it("that malformed keys keep from being buffered says so", async () => {
    settings["ENCRYPTION_KEYS"] = "k1:short";
    expect(await refusal(`POST /v1/signals/${newId("bad")}`, { json: {} })).toBe("503 config_invalid");
  });
});

describe("a row of the directory that is damaged", () => {
  const harms = [
    ["labels", "garbage"],
    ["labels", "5"],
    // SQLite refuses to write what it cannot read itself, and it reads more than JSON.
    ["rest", "{garbage:1}"],
    ["rest", "{}"],
    ["rest", '{"sealed":1,}'],
    ["waits", "garbage"],
  ] as const;

  it.each(harms)("is left out of the list, and written anew by the same report: %s %s", async (column, garbage) => {
    const stub = env.DIRECTORY.getByName(newId("alone"));
    await runInDurableObject(stub, (_object, { storage }) => {
      const { runs } = openDirectory(storage.sql);
      const error = { name: "Error", message: "no", code: "step_failed" };
      const told = ["a", "b", "c"].map((id, at) =>
        summaryOf(id, {
          createdAt: at + 1,
          status: "failed",
          error,
          labels: { of: "me" },
          waitingFor: [waitFor("go")],
        }),
      );
      for (const summary of told) runs.report(summary);
      storage.sql.exec(`UPDATE runs SET ${column} = ? WHERE id = 'b'`, garbage);
      const left = column === "waits" ? ["c", "b", "a"] : ["c", "a"];
      const ids = (query = {}) => runs.list({ limit: 3, ...query }, null).map(({ id }) => id);
      expect(ids()).toEqual(left);
      expect(runs.list({ limit: 2 }, null)).toHaveLength(2);
      for (const query of [{ errorCode: "step_failed" }, { labels: { of: "me" } }]) {
        expect(ids(query)).toEqual(left);
        expect(runs.count(query, "")).toBeGreaterThanOrEqual(2);
      }
      for (const field of ["errorCode", "label.of", "status"] as const) runs.groups({}, [field]);
      expect(runs.causes({})[0]?.count).toBeGreaterThanOrEqual(2);
      expect(runs.waiters("go")).toContain("b");
      expect(runs.reseal({ createdAt: 0, id: "" }, 10)).toMatchObject({ rows: 3 });
      const [, b] = told;
      expect(b === undefined ? null : runs.report(b)).toBe("listed");
      expect(ids({ labels: { of: "me" }, errorCode: "step_failed" })).toEqual(["c", "b", "a"]);
      expect(b === undefined ? null : runs.report(b)).toBe("same");
    });
  });

  it("does not keep pages and statistics from being read, and a rebuild lists its run again", async () => {
    const { id } = await start("canary-child", { input: { word: "w" } }, "?wait=60s");
    const listed = async (): Promise<number> => {
      const { status, body } = await ask(`GET /v1/runs?idPrefix=${id}`);
      expect(status).toBe(200);
      return (body["runs"] as unknown[]).length;
    };
    await expect.poll(listed).toBe(1);
    for (let shard = 0; shard < 8; shard++) {
      await runInDurableObject(env.DIRECTORY.getByName(`shard-${shard}`), (_object, { storage }) => {
        storage.sql.exec("UPDATE runs SET labels = 'x', rest = '{garbage:1}' WHERE id = ?", id);
      });
    }
    for (const call of [
      "GET /",
      "GET /v1/stats",
      "GET /v1/directory/causes",
      "GET /v1/runs?label.a=b",
      "GET /metrics",
    ]) {
      expect([call, (await ask(call)).status]).toEqual([call, 200]);
    }
    expect(await listed()).toBe(0);
    await ask("POST /v1/directory/rebuild");
    await expect.poll(listed).toBe(1);
  });
});
