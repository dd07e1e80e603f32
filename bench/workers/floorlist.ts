/**
 * The floor of a directory: one object with one table, and an index for its only query. Listing a run takes two rows written.
 */
import { DurableObject, env } from "cloudflare:workers";
import { Hono } from "hono";

export type Listed = {
  readonly id: string;
  readonly workflow: string;
  readonly status: string;
  readonly createdAt: string;
};

export class ListObject extends DurableObject {
  async fill(runs: readonly Listed[]): Promise<void> {
    const { sql } = this.ctx.storage;
    sql.exec("CREATE TABLE IF NOT EXISTS runs (n INTEGER PRIMARY KEY, workflow TEXT, status TEXT, data TEXT NOT NULL)");
    sql.exec("CREATE INDEX IF NOT EXISTS listed ON runs (workflow, status)");
    for (const run of runs) {
      const { workflow, status } = run;
      sql.exec("INSERT INTO runs (workflow, status, data) VALUES (?, ?, ?)", workflow, status, JSON.stringify(run));
    }
  }

  async list(workflow: string, status: string, limit: number): Promise<string[]> {
    const query = "SELECT data FROM runs WHERE workflow = ? AND status = ? ORDER BY n DESC LIMIT ?";
    return this.ctx.storage.sql
      .exec<{ data: string }>(query, workflow, status, limit)
      .toArray()
      .map(({ data }) => data);
  }
}

function object(): ListObject {
  return (env as unknown as { LIST: DurableObjectNamespace }).LIST.getByName("list") as never;
}

export const list = new Hono();

list.get("/v1/runs", async (context) => {
  const { workflow = "", status = "", limit } = context.req.query();
  const rows = await object().list(workflow, status, Number(limit));
  return context.json({ runs: rows.map((row) => JSON.parse(row) as Listed), cursor: null });
});

list.post("/fill", async (context) => {
  await object().fill(await context.req.json<readonly Listed[]>());
  return context.json(null);
});
