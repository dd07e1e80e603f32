/** The directory is a projection: what a shard lost is there again, from the runs. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { Catalog } from "../../src/objects/deployment/catalog.ts";
import { directoryOf, directoryShard, directoryShards, registerObject, shardOf } from "../../src/objects/address.ts";
import { rebuild as builtIn } from "../../src/objects/builtin/rebuild.ts";
import type { DirectoryRpc } from "../../src/objects/rpc/directory.ts";
import { RegisterStore } from "../../src/store/register.ts";
import { ask, newId, refusal, runThatIs, start } from "./client.ts";
import type { Ask, RunJson } from "./client.ts";
import { Rows } from "./rows.ts";
import { summaryOf } from "./summary.ts";
import { inRun } from "./storage.ts";

/** Everything that the shard kept is gone, and its memory with it. */
async function lose(shard: number): Promise<void> {
  const stub = env.DIRECTORY.getByName(`shard-${shard}`);
  const lost = runInDurableObject(stub, async (_object, ctx) => {
    await ctx.storage.deleteAll();
    await ctx.storage.sync();
    ctx.abort("lost by the test");
  });
  await lost.catch(() => undefined);
  await expect.poll(() => directoryShard(shard).counts()).toBeDefined();
}

async function idsOf(filter: string): Promise<string[]> {
  const { body } = await ask(`GET /v1/runs?limit=200&${filter}`);
  return (body["runs"] as { id: string }[]).map(({ id }) => id).toSorted();
}

/** Runs that wait, listed. */
async function waitingRuns(count: number): Promise<{ readonly batch: string; readonly ids: string[] }> {
  const batch = newId("batch");
  const ids = Array.from({ length: count }, () => newId("listed"));
  await Promise.all(ids.map((id) => start("listed-once", { id, input: { label: batch } })));
  const filter = `label.batch=${batch}&status=waiting`;
  await expect.poll(() => idsOf(filter)).toEqual(ids.toSorted());
  return { batch, ids: ids.toSorted() };
}

async function rebuild(body: object = {}, options: Ask = {}): Promise<RunJson> {
  const answer = await ask("POST /v1/directory/rebuild", { json: body, ...options });
  expect([answer.status, answer.body]).toEqual([202, expect.objectContaining({ workflow: "holdfast.rebuild" })]);
  expect(answer.headers.get("location")).toBe(`/v1/runs/${String(answer.body["id"])}`);
  return answer.body as unknown as RunJson;
}

async function rebuilt(body: object = {}): Promise<object & { readonly output: unknown; readonly progress?: unknown }> {
  const { id } = await rebuild(body);
  return await runThatIs(id, { status: "completed" });
}

async function isEnrolled(id: string): Promise<boolean> {
  return (await registerObject(shardOf(id)).enrolled("", 10_000)).some((run) => run.id === id);
}

describe("a rebuild", () => {
  it("lists again what one lost shard listed, and says how far it is", async () => {
    const { batch, ids } = await waitingRuns(24);
    const shard = shardOf(ids[0] ?? "");
    const lost = ids.filter((id) => shardOf(id) === shard);
    await lose(shard);
    expect(await idsOf(`label.batch=${batch}`)).toEqual(ids.filter((id) => !lost.includes(id)));
    const run = await rebuilt({ shard });
    const tally = { asked: expect.any(Number), listed: expect.any(Number), gone: 0 };
    expect(run).toMatchObject({ output: { ...tally, failures: [] }, progress: tally });
    expect((run.progress as { listed: number }).listed).toBeGreaterThanOrEqual(lost.length);
    expect(await idsOf(`label.batch=${batch}&status=waiting`)).toEqual(ids);
  });

  it("lists again what all of them listed, while runs are started, change and end", async () => {
    const { batch, ids } = await waitingRuns(40);
    for (const shard of directoryShards().keys()) await lose(shard);
    expect(await idsOf(`label.batch=${batch}`)).toEqual([]);
    const { id } = await rebuild();
    const signalled = ids.slice(0, 10);
    const [later] = await Promise.all([
      waitingRuns(10),
      ...signalled.map((each) => ask(`POST /v1/runs/${each}/signals/go`, { json: 1 })),
    ]);
    await runThatIs(id, { status: "completed" });
    expect(await idsOf(`label.batch=${batch}`)).toEqual(ids);
    expect(await idsOf(`label.batch=${later.batch}`)).toEqual(later.ids);
    await expect.poll(() => idsOf(`label.batch=${batch}&status=completed`)).toEqual(signalled);
    expect(await idsOf(`label.batch=${batch}&status=waiting`)).toEqual(ids.slice(10));
  });

  it("forgets runs that are gone, and keeps a newer run of the same id", async () => {
    const [ghost, again] = [newId("ghost"), newId("again")];
    await directoryOf(ghost).report(summaryOf(ghost, { createdAt: 1000 }));
    await directoryOf(again).report(summaryOf(again, { createdAt: 1000 }));
    await start("listed-once", { id: again });
    await expect.poll(() => idsOf(`idPrefix=${again}&status=waiting`)).toEqual([again]);
    const { output } = await rebuilt();
    expect((output as { gone: number }).gone).toBe(1);
    expect(await idsOf(`idPrefix=${ghost}`)).toEqual([]);
    expect([await isEnrolled(ghost), await isEnrolled(again)]).toEqual([false, true]);
  });

  it("goes through a register of many pages, and forgets also those that the shard lost", async () => {
    const { batch, ids } = await waitingRuns(1);
    const shard = shardOf(ids[0] ?? "");
    const ghosts = Array.from({ length: 200 }, (_unused, index) => ({ id: `a-ghost-${index}`, createdAt: 1000 }));
    await registerObject(shard).enrol(ghosts);
    await lose(shard);
    const { output } = await rebuilt({ shard });
    expect(output).toMatchObject({ gone: 200, failures: [] });
    expect(await idsOf(`label.batch=${batch}`)).toEqual(ids);
    const enrolled = (await registerObject(shard).enrolled("", 10_000)).map(({ id }) => id);
    expect(enrolled.filter((id) => id.startsWith("a-ghost-"))).toEqual([]);
  });

  it("asks a run again that did not answer", async () => {
    const { batch, ids } = await waitingRuns(1);
    const [id = ""] = ids;
    await lose(shardOf(id));
    const own = env.RUNS.getByName.bind(env.RUNS);
    let asked = 0;
    const names = vi.spyOn(env.RUNS, "getByName").mockImplementation((name) => {
      if (name !== id || ++asked > 1) return own(name);
      return { relist: () => Promise.reject(new Error("no answer")) } as never;
    });
    const { output } = await rebuilt({ shard: shardOf(id) });
    names.mockRestore();
    expect(output).toMatchObject({ failures: [] });
    expect(await idsOf(`label.batch=${batch}`)).toEqual(ids);
  });

  it("is one for one key, of a shard there is, for an admin", async () => {
    const keyed = { headers: { "idempotency-key": newId("rebuild-key") } };
    const first = await rebuild({ shard: 1 }, keyed);
    expect((await rebuild({ shard: 1 }, keyed)).id).toBe(first.id);
    expect(await refusal("POST /v1/directory/rebuild", { json: { shard: 2 }, ...keyed })).toBe(
      "409 idempotency_conflict",
    );
    expect(await refusal("POST /v1/directory/rebuild", { json: { shard: 4 } })).toBe("422 shard_invalid");
    for (const shard of [-1, 1.5, "1", null, [0]]) {
      expect(await refusal("POST /v1/directory/rebuild", { json: { shard } })).toBe("400 body_invalid");
    }
    expect(await refusal("POST /v1/directory/rebuild", { json: { shards: 1 } })).toBe("400 field_unknown");
    expect(await refusal("POST /v1/directory/rebuild?shard=1")).toBe("400 parameter_unknown");
    expect(await refusal("POST /v1/directory/rebuild", { token: "o-token-123" })).toBe("403 role_insufficient");
    expect(await refusal("POST /v1/workflows/holdfast.rebuild/runs", { json: {} })).toBe("404 workflow_not_found");
  });

  it("is built in: no workflow of the user's can be called that", () => {
    expect(() => new Catalog([builtIn])).toThrow(/one is built in/);
    expect(new Catalog([]).find(builtIn.name, builtIn.version)).toBe(builtIn);
    expect(new Catalog([]).names()).toEqual([]);
  });
});

describe("a shard that is new, or was lost", () => {
  it("offers what was buffered before to those who begin to wait", async () => {
    const name = newId("news");
    const id = Array.from({ length: 100 }, () => newId("late")).find((each) => shardOf(each) === 3) ?? "";
    const { body } = await ask(`POST /v1/signals/${name}`, { json: { n: 1 } });
    expect(body).toEqual({ delivered: 0, buffered: true });
    await lose(3);
    await start("listed-name", { id, input: { name } });
    await runThatIs(id, { status: "completed", output: { n: 1 } });
  });

  it("of an older deployment has everything it lists on its register, once it lists another", async () => {
    const id = newId("old");
    const shard = shardOf(id);
    await runInDurableObject(env.DIRECTORY.getByName(`shard-${shard}`), async (_object, ctx) => {
      ctx.storage.kv.delete("register-swept");
      ctx.storage.sql.exec(
        `INSERT INTO runs (created_at, id, workflow, status, seq, waits, labels, rest) VALUES (5, ?, 'w', 'running', 1, '[]', '[]', '{}')`,
        id,
      );
      await ctx.storage.sync();
      ctx.abort("another deployment takes over");
    }).catch(() => undefined);
    expect(await isEnrolled(id)).toBe(false);
    const next = Array.from({ length: 100 }, () => newId("next")).find((each) => shardOf(each) === shard) ?? "";
    const own = env.RUNS.getByName.bind(env.RUNS);
    const away = { enrol: () => Promise.reject(new Error("told to throw")) };
    const named = vi
      .spyOn(env.RUNS, "getByName")
      .mockImplementation((name) => (name.startsWith(".register") ? (away as never) : own(name)));
    // Asked within the object: what a call of it rejects with is told twice.
    await runInDurableObject(env.DIRECTORY.getByName(`shard-${shard}`), async (object) => {
      const failing = (object as unknown as DirectoryRpc).report(summaryOf(next));
      await expect(failing).rejects.toThrow("told to throw");
    });
    named.mockRestore();
    await directoryOf(next).report(summaryOf(next));
    expect([await isEnrolled(id), await isEnrolled(next)]).toEqual([true, true]);
    // Neither was ever a run: no other test shall find them gone.
    expect((await rebuilt({ shard })).output).toMatchObject({ gone: 2 });
  });
});

describe("a register", () => {
  it("strikes thousands at once with some reads for each, and leaves those that came later", async () => {
    await inRun(".register-alone", ({ storage }) => {
      const rows = new Rows(storage.sql);
      const store = new RegisterStore(rows.sql);
      const runs = Array.from({ length: 2000 }, (_, index) => ({ id: `run-${index}`, createdAt: 10 + index }));
      const later = runs.slice(0, 3).map(({ id, createdAt }) => ({ id, createdAt: createdAt + 1 }));
      store.enrol(runs);
      store.enrol(later);
      // A report that comes late takes nothing back.
      store.enrol(runs.slice(0, 3));
      rows.forget();
      store.strike(runs);
      expect(rows.read).toBeLessThan(10 * runs.length);
      expect(store.page("", 10)).toEqual(later);
      store.strike([...later, ...later]);
      expect(store.page("", 10)).toEqual([]);
    });
  });
});

describe("more shards", () => {
  const variables = env as unknown as { DIRECTORY_SHARDS: string };

  beforeAll(() => () => {
    variables.DIRECTORY_SHARDS = "4";
  });

  it.each(["1e2", "0x4", " 4", "4.0", "+4", "0", "four"])("are not %j of them", (count) => {
    variables.DIRECTORY_SHARDS = count;
    expect(() => directoryShards()).toThrow(expect.objectContaining({ code: "config_invalid" }));
  });

  it("raised live lose nothing and double nothing: a run stays where it was", async () => {
    variables.DIRECTORY_SHARDS = "4";
    const old = await waitingRuns(30);
    variables.DIRECTORY_SHARDS = "5";
    expect(directoryShards()).toHaveLength(5);
    expect(await idsOf(`label.batch=${old.batch}`)).toEqual(old.ids);
    const late = await waitingRuns(30);
    expect((await directoryShard(4).list({ limit: 200, labels: { batch: late.batch } }, null)).length).toBeGreaterThan(
      0,
    );
    const signalled = [...old.ids, ...late.ids];
    await Promise.all(signalled.map((id) => ask(`POST /v1/runs/${id}/signals/go`, { json: 1 })));
    for (const { batch, ids } of [old, late]) {
      await expect.poll(() => idsOf(`label.batch=${batch}&status=completed`)).toEqual(ids);
      expect((await ask(`GET /v1/directory/counts?label.batch=${batch}`)).body).toEqual({ total: 30, groups: [] });
    }
    expect((await rebuilt({ shard: 4 })).output).toMatchObject({ gone: 0, failures: [] });
    await Promise.all(signalled.slice(20, 40).map((id) => ask(`DELETE /v1/runs/${id}`)));
    expect(await idsOf(`label.batch=${old.batch}`)).toEqual(old.ids.slice(0, 20));
    expect(await idsOf(`label.batch=${late.batch}`)).toEqual(late.ids.slice(10));
  });
});
