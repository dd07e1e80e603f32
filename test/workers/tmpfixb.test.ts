import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { ask, newId, runThatIs, start } from "./client.ts";
it("rebuild over throwing run", { timeout: 500_000 }, async () => {
  const id = newId("odd");
  await start("listed-once", { id, input: { label: "x" } });
  await runThatIs(id, { status: "waiting" });
  await runInDurableObject(env.RUNS.getByName(id), (_o, ctx) => void ctx.storage.sql.exec("ALTER TABLE journal RENAME COLUMN data TO gone"));
  await evictDurableObject(env.RUNS.getByName(id)).catch(() => undefined);
  const got = await ask(`GET /v1/runs/${id}`).catch((e) => e);
  console.warn("GET", got.status, got.body);
  const rebuilt = await ask("POST /v1/directory/rebuild");
  const begun = Date.now();
  await vi.waitFor(async () => {
    const { body } = await ask(`GET /v1/runs/${String(rebuilt.body["id"])}`);
    console.warn((Date.now() - begun) / 1000, JSON.stringify(body).slice(0, 900));
    expect(body["status"]).toMatch(/completed|failed/);
  }, { timeout: 420_000, interval: 15_000 });
});
