/** Journals that are damaged or come from the future: refused, left as they are, and nobody else is the worse for it. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it, vi } from "vitest";
import { gcm } from "../../src/core/cipher/aes.ts";
import { Vault, parseKeys } from "../../src/core/cipher/cipher.ts";
import type { Entry } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { createRandom } from "../../src/core/random.ts";
import { SqlJournal } from "../../src/store/journal.ts";
import { RunState } from "../../src/core/state/state.ts";
import { shardCount, shardOf } from "../../src/objects/address.ts";
import { Notifier } from "../../src/objects/outbox/notifier.ts";
import { ask, historyOf, newId, refusal, runThatIs, start } from "./client.ts";
import { settings } from "./settings.ts";
import { evict, forget, inRun, rowsOf } from "./storage.ts";
import type { Row } from "./storage.ts";
import { reportsTo, trouble } from "./shards.ts";

const seed = settings["DAMAGE_SEED"] || String(Date.now());
const flips = Number(settings["DAMAGE_FLIPS"] || 300);
const rowOf = (seq: number): number => seq * 4096;

type Damage = (sql: SqlStorage) => void;

/** Changes what is stored of the run, behind its back. */
async function damage(id: string, how: Damage): Promise<void> {
  await inRun(id, ({ storage }) => how(storage.sql));
  await forget(id);
}

const replace =
  (seq: number, before: string, after: string): Damage =>
  (sql) => {
    const { data } = sql.exec<Row>("SELECT row, data FROM journal WHERE row = ?", rowOf(seq)).one();
    expect(data).toContain(before);
    sql.exec("UPDATE journal SET data = ? WHERE row = ?", data.replace(before, after), rowOf(seq));
  };

const drop =
  (row: number): Damage =>
  (sql) => {
    expect(sql.exec("DELETE FROM journal WHERE row = ?", row).rowsWritten).toBe(1);
  };

function refuse(): never {
  throw new Error("disk I/O error: SQLITE_IOERR");
}

/** A run whose journal is: created and started, a step, a value of two parts, a step, a wait; due in an hour. */
async function victim(): Promise<string> {
  const { id } = await start("damage-victim");
  await listedAs(id, "waiting");
  return id;
}

/** Starts a run that waits for the signal, and is listed as one that does. */
async function parkedOn(name: string, id: string): Promise<void> {
  await start("listed-name", { id, input: { name } });
  await listedAs(id, "waiting");
}

async function listedAs(id: string, status: string): Promise<void> {
  await vi.waitFor(async () => {
    const { body } = await ask(`GET /v1/runs?idPrefix=${id}&status=${status}`);
    expect(body["runs"]).toHaveLength(1);
  }, 60_000);
}

/** What it does by its alarm, and how long it then rests, in ms. */
async function wake(id: string): Promise<number> {
  return await runInDurableObject(env.RUNS.getByName(id), async (object, { storage }) => {
    await object.alarm?.();
    return ((await storage.getAlarm()) ?? Infinity) - Date.now();
  });
}

function overwrite(seq: number, data: Uint8Array): Damage {
  return (sql) => void sql.exec("UPDATE journal SET data = ? WHERE row = ?", data, rowOf(seq));
}

const cases: readonly (readonly [what: string, how: Damage, code: string, says: RegExp, sound: number])[] = [
  ["a row cut off", replace(3, "}]", ""), "journal_corrupt", /begins with entry 3 is cut off or is no JSON/, 2],
  ["a row emptied", replace(3, "[", ""), "journal_corrupt", /entry 3/, 2],
  ["an entry missing", drop(rowOf(3)), "journal_corrupt", /entry 3 is missing: after 2 comes 4/, 2],
  ["its beginning missing", drop(rowOf(1)), "journal_corrupt", /does not begin with run\.created/, 4],
  ["the last part of a cut commit missing", drop(rowOf(4) + 1), "journal_corrupt", /begins with entry 4 is cut off/, 3],
  ["the first part of a cut commit missing", drop(rowOf(4)), "journal_corrupt", /row 16385 is there without/, 3],
  ["a row of bytes", overwrite(3, new Uint8Array([0, 255])), "journal_corrupt", /row 12288 is no text/, 2],
  ["a row of bytes in a cut commit", overwrite(4, new Uint8Array([91])), "journal_corrupt", /row 16384 is no text/, 3],
  ["two rows exchanged", (sql) => exchange(sql, 3, 5), "journal_corrupt", /where entry 3 belongs, there is another/, 2],
  ["a time that ran back", replace(5, '"at":', '"at":-'), "journal_corrupt", /entry 5 has no time/, 4],
  [
    "a kind of the future",
    replace(5, "step.completed", "step.teleported"),
    "journal_newer",
    /entry 5 is of the kind step\.teleported.*deploy the version again/,
    4,
  ],
  [
    "a field of the future",
    replace(1, '"input":"-1"', '"input":"v2:AAEC"'),
    "journal_newer",
    /entry 1, run\.created: its field input/,
    0,
  ],
  [
    "a sealing of the future",
    replace(5, "[{", "enc2.k1.AAAA[{"),
    "journal_newer",
    /row 20480 of the journal is sealed in form 2/,
    4,
  ],
];

function exchange(sql: SqlStorage, one: number, other: number): void {
  sql.exec("UPDATE journal SET row = -1 WHERE row = ?", rowOf(one));
  sql.exec("UPDATE journal SET row = ? WHERE row = ?", rowOf(one), rowOf(other));
  sql.exec("UPDATE journal SET row = ? WHERE row = -1", rowOf(other));
}

describe("a journal with", () => {
  it.concurrent.each(cases)(
    "%s is refused, kept as it is, read up to there, and can be removed",
    async (_what, how, code, says, sound) => {
      const id = await victim();
      await damage(id, how);
      const before = await rowsOf(id);
      const { status, body } = await ask(`GET /v1/runs/${id}`);
      expect([status, body["code"], body["detail"]]).toEqual([503, code, expect.stringMatching(says)]);
      for (const call of ["signals/go", "cancel", "terminate", "pause", "retry", "fork"]) {
        expect([call, await refusal(`POST /v1/runs/${id}/${call}`, { json: {} })]).toEqual([call, `503 ${code}`]);
      }
      expect(await refusal(`GET /v1/runs/${id}/events`)).toBe(`503 ${code}`);
      // By its alarm it rests, and is not at it again and again.
      const restMs = await wake(id);
      expect([restMs > 5000, restMs <= 3_600_000]).toEqual([true, true]);
      await forget(id);
      const { body: page } = await ask(`GET /v1/runs/${id}/history?limit=200`);
      const entries = (page["entries"] ?? []) as { readonly seq: number }[];
      expect(entries).toHaveLength(sound);
      expect(await refusal(`GET /v1/runs/${id}/history?after=${entries.at(-1)?.seq ?? 0}`)).toBe(`503 ${code}`);
      const { body: listing } = await ask(`GET /v1/runs?idPrefix=${id}`);
      expect(listing["runs"]).toMatchObject([{ id, status: "waiting" }]);
      expect(await rowsOf(id)).toEqual(before);
      expect(await refusal(`DELETE /v1/runs/${id}`, { token: "o-token-123" })).toBe("403 role_insufficient");
      expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
      expect(await refusal(`GET /v1/runs/${id}`)).toBe("404 run_not_found");
      expect((await ask(`GET /v1/runs?idPrefix=${id}`)).body["runs"]).toEqual([]);
      expect((await start("damage-victim", { id })).id).toBe(id);
    },
  );

  it("a value of the future fails nothing: the run rests, and goes on once it can be read", async () => {
    for (const [seq, value] of [
      [1, '"input":"-1"'],
      [3, '"result":"[1]"'],
    ] as const) {
      const id = await victim();
      const field = value.slice(0, value.indexOf(":") + 1);
      const alien = `${field}${JSON.stringify('[["Wormhole",1],"x"]')}`;
      await damage(id, replace(seq, value, alien));
      const before = await rowsOf(id);
      for (let times = 0; times < 2; times++) {
        const restMs = await wake(id);
        expect([restMs > 5000, restMs <= 3_600_000]).toEqual([true, true]);
        await forget(id);
      }
      expect(await rowsOf(id)).toEqual(before);
      await damage(id, replace(seq, alien, value));
      expect((await ask(`POST /v1/runs/${id}/signals/go`, { json: {} })).status).toBe(202);
      await runThatIs(id, { status: "completed" });
      expect((await historyOf(id)).map(({ kind }) => kind)).not.toContain("run.interrupted");
    }
  });

  it("is looked at again also where the storage fails as its newest sound entry is looked for", async () => {
    const id = await victim();
    await damage(id, drop(rowOf(3)));
    const restMs = await runInDurableObject(env.RUNS.getByName(id), async (object, { storage }) => {
      const exec = storage.sql.exec.bind(storage.sql);
      let opened = 0;
      const failing = vi.spyOn(storage.sql, "exec").mockImplementation((query, ...bindings) => {
        if (query.includes("sqlite_master") && ++opened > 1) throw new Error("the storage fails");
        return exec(query, ...bindings);
      });
      try {
        await object.alarm?.();
      } finally {
        failing.mockRestore();
      }
      expect(opened).toBe(2);
      return ((await storage.getAlarm()) ?? Infinity) - Date.now();
    });
    expect([restMs > 5000, restMs <= 3_600_000]).toEqual([true, true]);
    await ask(`DELETE /v1/runs/${id}`);
  });

  it("whose storage fails for a moment is looked at again at once, and only then after a while", async () => {
    const id = await victim();
    await evict(id);
    const rests = await runInDurableObject(env.RUNS.getByName(id), async (object, { storage }) => {
      const failing = vi.spyOn(storage.sql, "exec").mockImplementation(() => {
        throw new Error("disk I/O error");
      });
      const rested: number[] = [];
      const armed = vi.spyOn(storage, "setAlarm").mockImplementation(async (at) => {
        rested.push(Number(at) - Date.now());
      });
      for (let times = 0; times < 2; times++) await object.alarm?.();
      for (const spy of [failing, armed]) spy.mockRestore();
      await object.alarm?.();
      return rested;
    });
    expect(rests.map((ms) => ms > 5000)).toEqual([false, true]);
    expect((await ask(`POST /v1/runs/${id}/signals/go`, { json: {} })).status).toBe(202);
    await runThatIs(id, { status: "completed" });
  });

  it.each([
    ["was damaged before", drop(rowOf(3)), false],
    ["cannot be read any more", null, true],
  ])(
    "wakes soon where the storage refused its keyed deletion, whose mark is kept for a day: %s",
    async (_what, how, fails) => {
      const id = await victim();
      await ask(`POST /v1/runs/${id}/terminate`);
      if (how !== null) await damage(id, how);
      await inRun(id, ({ storage }) => {
        vi.spyOn(storage, "deleteAll").mockImplementation(async () => {
          if (fails) vi.spyOn(storage.sql, "exec").mockImplementation(refuse);
          refuse();
        });
      });
      const headers = { "idempotency-key": "delete it" };
      expect((await ask(`DELETE /v1/runs/${id}`, { headers })).status).toBe(503);
      const alarmAt = await inRun(id, async ({ storage }) => {
        vi.restoreAllMocks();
        return await storage.getAlarm();
      });
      expect((alarmAt ?? Infinity) - Date.now()).toBeLessThan(60_000);
      expect((await ask(`DELETE /v1/runs/${id}`, { headers })).status).toBe(204);
    },
  );

  it("has no slot of a lane: it goes to the next", async () => {
    const [id, next] = [newId("holder"), newId("next")];
    await start("damage-holder", { id });
    await runThatIs(id, { status: "waiting" });
    await start("damage-holder", { id: next });
    await runThatIs(next, { status: "queued" });
    await damage(id, drop(rowOf(1)));
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 6 * 60_000 });
    await runDurableObjectAlarm(env.LANES.getByName("lane:concurrency:damage-holder"));
    vi.useRealTimers();
    await runThatIs(next, { status: "waiting" });
    await ask(`DELETE /v1/runs/${id}`);
  });

  it("damage that comes to light as the run is being removed leaves a run that can be removed", async () => {
    const id = await victim();
    const shard = shardOf(id, shardCount());
    const told = () => reportsTo(shard).filter((each) => each === id).length;
    const before = told();
    trouble(shard, "hangs");
    try {
      expect((await ask(`POST /v1/runs/${id}/signals/go`, { json: {} })).status).toBe(202);
      // Its end is being told, and its object still at work.
      await expect.poll(told).toBeGreaterThan(before);
      const sound = await inRun(id, (ctx) => {
        const { data } = ctx.storage.sql.exec<Row>("SELECT row, data FROM journal WHERE row = ?", rowOf(1)).one();
        ctx.storage.sql.exec("UPDATE journal SET data = '{' WHERE row = ?", rowOf(1));
        // Whatever it comes to next, it gives its memory up.
        ctx.getWebSockets = () => {
          throw new Error("no sockets");
        };
        return data;
      });
      const removed = refusal(`DELETE /v1/runs/${id}`);
      await expect.poll(() => refusal(`POST /v1/runs/${id}/pause`)).toBe("404 run_not_found");
      trouble(shard, null);
      expect(await removed).toBe("503 journal_corrupt");
      await inRun(id, (ctx) => {
        Reflect.deleteProperty(ctx, "getWebSockets");
        ctx.storage.sql.exec("UPDATE journal SET data = ? WHERE row = ?", sound, rowOf(1));
      });
      expect(await refusal(`DELETE /v1/runs/${id}`)).toBe("204 undefined");
    } finally {
      trouble(shard, null);
    }
  });

  it.each([
    ["a kind of the future", /"kind":"run\.started"/, '"kind":"run.teleported"', "journal_newer"],
    ["a row whose key is gone", /^\[\{/, "enc1.gone.AAAA[{", "key_missing"],
  ])(
    "%s has a broadcast sent again: all others have it, and later this run too",
    async (_what, before, after, code) => {
      const name = newId("news");
      const [id, well] = [newId("later"), newId("well")];
      await Promise.all([id, well].map((each) => parkedOn(name, each)));
      const { row, data } = (await rowsOf(id))[0] ?? { row: 0, data: "" };
      expect(data).toMatch(before);
      const write = (text: string) =>
        damage(id, (sql) => void sql.exec("UPDATE journal SET data = ? WHERE row = ?", text, row));
      await write(data.replace(before, after));
      const send = () => ask(`POST /v1/signals/${name}`, { json: {}, headers: { "idempotency-key": name } });
      const refused = await send();
      expect([refused.status, refused.body["code"]]).toEqual([503, code]);
      await runThatIs(well, { status: "completed" });
      // Who is listed as waiting is asked once more, and has it already.
      await listedAs(well, "completed");
      await write(data);
      expect((await send()).body).toMatchObject({ delivered: 1, buffered: false });
      await runThatIs(id, { status: "completed" });
    },
  );

  it("a kind of the future, of a run that tells of an end, keeps the run that ended: it is read once a version knows it", async () => {
    const id = await victim();
    const state = Object.assign(new RunState(), { notices: [id] });
    const notifier = new Notifier({ state, note: () => {}, changed: () => {} });
    expect(await notifier.settled()).toBe(false);
    await damage(id, replace(5, "step.completed", "step.teleported"));
    await expect(notifier.settled()).rejects.toMatchObject({ code: "journal_newer" });
    await damage(id, replace(5, "step.teleported", "step"));
    expect(await notifier.settled()).toBe(true);
    await ask(`DELETE /v1/runs/${id}`);
  });

  it("harms nobody else: others get their broadcast, and are listed anew", async () => {
    const name = newId("news");
    const [id, well] = [newId("damaged"), newId("well")];
    await Promise.all([id, well].map((each) => parkedOn(name, each)));
    await damage(id, drop(rowOf(1)));
    const broadcast = await ask(`POST /v1/signals/${name}`, { json: {} });
    expect([broadcast.status, broadcast.body["delivered"]]).toEqual([202, 1]);
    await runThatIs(well, { status: "completed" });
    const rebuilt = await ask("POST /v1/directory/rebuild");
    const done = await vi.waitFor(
      async () => {
        const { body } = await ask(`GET /v1/runs/${String(rebuilt.body["id"])}`);
        expect(body).toMatchObject({ status: "completed" });
        return body;
      },
      { timeout: 60_000 },
    );
    expect(done["output"]).toMatchObject({
      failures: [{ run: id, message: expect.stringContaining("does not begin") }],
    });
    expect((await ask("GET /v1/stats")).status).toBe(200);
    // Deleted twice at once it is deleted once: the second would take a run that came between.
    const [one, two] = await Promise.all([ask(`DELETE /v1/runs/${id}`), ask(`DELETE /v1/runs/${id}`)]);
    expect([one.status, two.status].toSorted()).toEqual([204, 404]);
  });
});

describe("bytes changed at random", () => {
  const keys = `k1:${btoa(String.fromCharCode(...new Uint8Array(32).fill(7)))}`;
  const entries: readonly Entry[] = Array.from({ length: 12 }, (_unused, at) => ({
    ...{ seq: at + 1, at: 1_760_000_000_000 + at, kind: "log.written", level: "info", message: `line ${at} ünï😀` },
  }));

  it.each([
    ["sealed, never make another history", true],
    ["plain, make no other history than one whose texts differ", false],
  ])("%s", async (_what, sealed) => {
    const random = createRandom(`damage ${seed}`);
    const pick = (limit: number) => Math.floor(random.next() * limit);
    const counts = await inRun(newId("flips"), (ctx) => {
      const { storage } = ctx;
      const vault = new Vault(
        "it",
        () => (sealed ? parseKeys(keys) : null),
        (length) => crypto.getRandomValues(new Uint8Array(length)),
        () => gcm,
      );
      const journal = new SqlJournal(storage, undefined, vault);
      for (let at = 0; at < entries.length; at += 2) journal.append(entries.slice(at, at + 2));
      const rows = storage.sql.exec<Row>("SELECT row, data FROM journal ORDER BY row").toArray();
      const told = { refused: 0, equal: 0, texts: 0 };
      for (let times = 0; times < flips; times++) {
        const { row, data } = rows[pick(rows.length)] ?? { row: 0, data: "" };
        const bytes = new TextEncoder().encode(data);
        const at = pick(bytes.length);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << pick(8));
        storage.sql.exec("UPDATE journal SET data = CAST(? AS TEXT) WHERE row = ?", bytes, row);
        told[readAll(new SqlJournal(storage, undefined, vault))]++;
        storage.sql.exec("UPDATE journal SET data = ? WHERE row = ?", data, row);
      }
      return told;
    });
    if (settings["DAMAGE_FLIPS"])
      console.warn(`${flips} flips, ${sealed ? "sealed" : "plain"}, seed ${seed}: ${JSON.stringify(counts)}`);
    expect(counts.refused, `seed ${seed}`).toBeGreaterThan(sealed ? flips * 0.95 : flips / 4);
    if (sealed) expect(counts.texts, `seed ${seed}`).toBe(0);
  });

  /** What is read: nothing, for a stated reason; the same; or entries of the same places and kinds. */
  function readAll(journal: SqlJournal): "refused" | "equal" | "texts" {
    let read: Entry[];
    try {
      read = [...journal.read()];
    } catch (error) {
      if (error instanceof HoldfastError && /^(?:journal_(?:corrupt|newer)|key_missing)$/.test(error.code))
        return "refused";
      throw new Error(`seed ${seed}`, { cause: error });
    }
    if (JSON.stringify(read) === JSON.stringify(entries)) return "equal";
    const places = (list: readonly Entry[]) => list.map(({ seq, kind }) => `${seq} ${kind}`);
    expect(places(read), `seed ${seed}`).toEqual(places(entries));
    return "texts";
  }
});
