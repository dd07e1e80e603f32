/** A Worker of this folder in a runtime of its own, and calls of the binding that it has. */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createTestHarness } from "wrangler";
import { settings } from "../../../bench/runtime.ts";
import type { Call, Params, Program } from "./programs.ts";

export type Told = { readonly name: string; readonly message: string };
export type Status = { readonly status: string; readonly output: unknown; readonly error: Told | null };
export type Answer<Value> = { readonly value: Value; readonly error: (Told & { readonly code: unknown }) | null };
export type Server = Awaited<ReturnType<typeof serve>>;

export async function serve(config: "hosted" | "moved") {
  Object.assign(process.env, settings);
  const harness = createTestHarness({ workers: [{ configPath: join(import.meta.dirname, `${config}.toml`) }] });
  await harness.listen();
  const worker = harness.getWorker();
  const call = async <Value>(op: Call["op"], id: string, argument?: unknown, path = "/flows") => {
    const body = JSON.stringify({ op, id, argument });
    const response = await worker.fetch(`http://localhost${path}`, { method: "POST", body });
    return (await response.json()) as Answer<Value>;
  };
  const status = async (id: string) => (await call<Status>("status", id)).value;
  /** Asks until it is one of these. */
  const until = async (id: string, ...wanted: readonly string[]): Promise<Status> => {
    for (const giveUpAt = Date.now() + 60_000; ; await pause(20)) {
      const seen = await status(id);
      if (wanted.includes(seen.status)) return seen;
      if (Date.now() > giveUpAt) throw new Error(`${id} is ${seen.status}, and not ${wanted.join(" or ")}`);
    }
  };
  const create = async (id: string, params: Params) => void (await call("create", id, { id, params }));
  return {
    call,
    status,
    until,
    create,
    /** An instance of the program, when it has ended. */
    run: async (program: Program, id: string = program): Promise<Status> => {
      await create(id, { program, given: 7 });
      return await until(id, "complete", "errored", "terminated");
    },
    fetch: (path: string, init: { method?: string; body?: string; headers?: Record<string, string> } = {}) =>
      worker.fetch(`http://localhost${path}`, init),
    /** Ends the memory of the instance. */
    evict: (name: string) => worker.evictDurableObject("RunObject", { name }),
    close: () => harness.close(),
  };
}
