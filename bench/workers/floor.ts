/**
 * The floor: a Durable Object behind a Worker of the same shape that inserts one row for each step
 * and does nothing else. No journal, no replay, no directory, no retries.
 */
import { DurableObject, env } from "cloudflare:workers";
import { Hono } from "hono";
import type { Context } from "hono";
import { list } from "./floorlist.ts";

/** With `sync` it is floor b, which is durable after each step; floor a is durable when it answers. */
export type FloorInput = { readonly count?: number; readonly ms?: number; readonly sync?: boolean };

/** Workflows that are parked until they are called again; all others end by themselves. */
const parked = new Set(["inbox", "hook"]);

export class RunObject extends DurableObject {
  #rows: number | null = null;
  #ended = false;
  #end = Promise.withResolvers<void>();

  /** @param binding the namespace of the child, for `family` */
  async run(workflow: string, input: FloorInput, binding = ""): Promise<unknown> {
    this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS steps (n INTEGER PRIMARY KEY, data TEXT NOT NULL)");
    this.#rows = 0;
    const { count = 0, ms = 0, sync = false } = input;
    if (workflow === "parallel" || workflow === "spread") {
      await Promise.all(Array.from({ length: count }, () => this.#step(sync)));
    } else for (let index = 0; index < count; index++) await this.#step(sync);
    if (workflow === "family") await this.#invoke(objectOf(binding, crypto.randomUUID()), sync);
    return workflow === "nap" ? await this.#nap(ms) : null;
  }

  /** Waits for the end of a parked run; other runs have ended before they can be read. */
  async read(isParked: boolean): Promise<void> {
    this.#load();
    if (isParked && !this.#ended) await this.#end.promise;
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

  /** One row when the child begins and one when it has ended, besides the row of the child. */
  async #invoke(child: RunObject, sync: boolean): Promise<void> {
    await this.#step(sync);
    await child.run("steps", { count: 1, sync });
    await this.#step(sync);
  }

  async #step(sync: boolean): Promise<void> {
    this.#insert();
    if (sync) await this.ctx.storage.sync();
  }

  #insert(): void {
    this.#rows = (this.#rows ?? 0) + 1;
    this.ctx.storage.sql.exec("INSERT INTO steps (n, data) VALUES (?, ?)", this.#rows, '{"result":1}');
  }

  /** Reads all rows after an eviction, as any engine has to. */
  #load(): void {
    this.#rows ??= this.ctx.storage.sql.exec("SELECT n, data FROM steps ORDER BY n").toArray().length;
  }
}

function objectOf(binding: string, id: string): RunObject {
  return (env as unknown as Record<string, DurableObjectNamespace>)[binding]?.getByName(id) as never;
}

/** @param binding the namespace of its objects */
export function floorApp(binding: string): Hono {
  const object = (id: string): RunObject => objectOf(binding, id);
  const app = new Hono();
  app.get("/health", (context) => context.json({ status: "ok" }));
  app.post("/v1/workflows/:name/runs", async (context) => {
    const { input } = await context.req.json<{ input: FloorInput }>();
    const workflow = context.req.param("name");
    const id = `${workflow}.${crypto.randomUUID()}`;
    const output = await object(id).run(workflow, input, binding);
    const waitingFor = workflow === "hook" ? [{ kind: "webhook", url: `http://floor/hooks/${id}` }] : [];
    return context.json(
      { id, workflow, status: parked.has(workflow) ? "waiting" : "completed", output, waitingFor },
      201,
    );
  });
  app.get("/v1/runs/:id", async (context) => {
    const id = context.req.param("id");
    await object(id).read(parked.has(id.split(".")[0] ?? ""));
    return context.json({ id, status: "completed", output: null });
  });
  const signal = async (context: Context): Promise<Response> => {
    await context.req.json();
    await object(context.req.param("id") ?? "").signal();
    return context.json({ accepted: true }, 202);
  };
  app.post("/v1/runs/:id/signals/:name", signal);
  app.post("/hooks/:id", signal);
  return app;
}

export { ListObject } from "./floorlist.ts";
export default floorApp("RUNS").route("/", list);
