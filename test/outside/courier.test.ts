/** Requests that are made elsewhere, in a real runtime: it evicts the runs by itself, and is killed with -9 under them. */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { openHttpServer } from "../workers/httpserver.ts";
import type { HttpServer } from "../workers/httpserver.ts";
import { Client } from "./client.ts";
import { each } from "./concurrency.ts";
import { Runtime } from "./runtime.ts";

/** The runtime evicts an object that has had nothing to do for ten seconds; it may be late. */
const evictedMs = 13_000;
const runs = 8;
const open: Runtime[] = [];
let httpServer: HttpServer;

beforeAll(async () => {
  httpServer = await openHttpServer();
});

afterAll(async () => {
  for (const runtime of open) await runtime.discard();
  await httpServer?.close();
});

async function runtimeOf(): Promise<{ runtime: Runtime; client: Client }> {
  const runtime = await Runtime.build(join(import.meta.dirname, "workers", "courier.ts"), {});
  open.push(runtime);
  onTestFailed(() => console.error(`the end of the output of workerd:\n${runtime.tail()}`));
  await runtime.start();
  return { runtime, client: new Client(runtime.origin) };
}

function came(box: string): number {
  return httpServer.boxes.get(box)?.length ?? 0;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const giveUpAt = Date.now() + 60_000; !isSo(); await pause(10)) {
    if (Date.now() > giveUpAt) throw new Error(`${what} does not come`);
  }
}

async function release(gate: string): Promise<void> {
  await fetch(`${httpServer.url}/gate/${gate}`, { method: "PUT" });
}

describe.concurrent("a request that is made elsewhere", () => {
  test("lets the runtime evict the run while it is out; one that is waited for in the run does not", async () => {
    const { runtime, client } = await runtimeOf();
    const url = `${httpServer.url}/ask?box=evicted&gate=evicted&body=7`;
    for (const workflow of ["away", "here"]) await client.start(workflow, workflow, url);
    await until("the request", () => came("evicted") === 2);
    await pause(evictedMs);
    await release("evicted");
    await each(["away", "here"], async (id) => expect(await client.end(id)).toMatchObject({ output: 7 }));
    const livesOf = async (id: string) => (await (await fetch(`${runtime.origin}/lives/${id}`)).json()) as number;
    expect([await livesOf("away"), await livesOf("here")]).toEqual([2, 1]);
    expect(came("evicted")).toBe(2);
  });

  test("survives kill -9: it is made again by itself with the same key, and recorded once (1, 2, 4)", async () => {
    const { runtime, client } = await runtimeOf();
    const ids = Array.from({ length: runs }, (_, index) => `killed-${index}`);
    for (const id of ids) await client.start("away", id, `${httpServer.url}/ask?box=${id}&gate=killed&body=7`);
    await until("every request", () => ids.every((id) => came(id) === 1));
    await runtime.kill();
    await runtime.start();
    // Nobody calls the Worker meanwhile.
    await until("every request once more", () => ids.every((id) => came(id) >= 2));
    await release("killed");
    await each(ids, async (id) => {
      expect(await client.end(id)).toMatchObject({ status: "completed", output: 7 });
      const kinds = (await client.history(id)).map(({ kind }) => kind).filter((kind) => kind.startsWith("step."));
      expect(kinds).toEqual(["step.dispatched", "step.completed"]);
      expect(new Set(httpServer.boxes.get(id)?.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
    });
  });
});
