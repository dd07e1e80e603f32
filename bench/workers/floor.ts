/**
 * The floor: a Durable Object behind a Worker of the same shape that inserts one row for each step
 * and does nothing else. No journal, no replay, no directory, no retries.
 */
import { DurableObject, env } from "cloudflare:workers";
import { Hono } from "hono";

/** `sync` makes it floor b: durable after each step, where floor a is durable when it answers. */
export type FloorInput = { readonly count?: number; readonly ms?: number; readonly sync?: boolean };

export class RunObject extends DurableObject {
  #rows: number | null = null;
  #ended = false;
  #end = Promise.withResolvers<void>();

  async run(workflow: string, input: FloorInput): Promise<unknown> {
    this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS steps (n INTEGER PRIMARY KEY, data TEXT NOT NULL)");
    this.#rows = 0;
    const { count = 0, ms = 0, sync = false } = input;
    if (workflow === "parallel") await Promise.all(Array.from({ length: count }, () => this.#step(sync)));
    else for (let index = 0; index < count; index++) await this.#step(sync);
    if (workflow === "nap") return await this.#nap(ms);
    return null;
  }

  /** The end, as soon as the signal has brought it. */
  async read(): Promise<void> {
    this.#load();
    if (!this.#ended) await this.#end.promise;
  }

  async signal(): Promise<void> {
    this.#load();
    this.#insert();
    this.#ended = true;
    this.#end.resolve();
  }

  override async alarm(): Promise<void> {
    this.#insert();
    this.#end.resolve();
  }

  async #nap(ms: number): Promise<number> {
    const before = Date.now();
    void this.ctx.storage.setAlarm(before + ms);
    await this.#end.promise;
    return Date.now() - before - ms;
  }

  async #step(sync: boolean): Promise<void> {
    this.#insert();
    if (sync) await this.ctx.storage.sync();
  }

  #insert(): void {
    this.#rows = (this.#rows ?? 0) + 1;
    this.ctx.storage.sql.exec("INSERT INTO steps (n, data) VALUES (?, ?)", this.#rows, '{"result":1}');
  }

  /** After an eviction: reads every row, as anything that resumes must. */
  #load(): void {
    this.#rows ??= this.ctx.storage.sql.exec("SELECT n, data FROM steps ORDER BY n").toArray().length;
  }
}

function object(id: string): RunObject {
  const { RUNS } = env as unknown as { RUNS: DurableObjectNamespace };
  return RUNS.getByName(id) as never;
}

const app = new Hono();

app.post("/v1/workflows/:name/runs", async (context) => {
  const { input } = await context.req.json<{ input: FloorInput }>();
  const id = crypto.randomUUID();
  const workflow = context.req.param("name");
  const output = await object(id).run(workflow, input);
  return context.json({ id, workflow, status: workflow === "inbox" ? "waiting" : "completed", output }, 201);
});

app.get("/v1/runs/:id", async (context) => {
  const id = context.req.param("id");
  await object(id).read();
  return context.json({ id, status: "completed", output: null });
});

app.post("/v1/runs/:id/signals/:name", async (context) => {
  await context.req.json();
  await object(context.req.param("id")).signal();
  return context.json({ accepted: true }, 202);
});

export default app;
