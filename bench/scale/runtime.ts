/** Owns: the counted Worker in a runtime of its own, with a number of shards, and the CPU time of that runtime. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { launch } from "../runtime.ts";
import type { Tally } from "./tally.ts";

/** The unit of times in `/proc/PID/stat` on Linux. */
const ticksPerSecond = 100;
/** After its end, a run has messages to send for about a second. */
const quietMs = 1200;

export type Tallies = Readonly<Record<string, Tally>>;

/** The calls of all methods. */
export function callsIn({ calls }: Pick<Tally, "calls">): number {
  return Object.values(calls).reduce((sum, count) => sum + count, 0);
}

/** A call with a body is a POST unless `method` is set. */
type Options = { readonly method?: string; readonly headers?: Readonly<Record<string, string>> };

export interface Runtime {
  /** @throws if the response is not a success */
  fetch(path: string, body?: unknown, options?: Options): Promise<unknown>;
  /** The usage of each object since the last call of this or `settled`. */
  taken(): Promise<Tallies>;
  /** Waits until all objects are idle. */
  quiet(): Promise<void>;
  /** The usage, when all objects are idle. */
  settled(): Promise<Tallies>;
  /** Evicts an object from memory; its storage stays. */
  evict(className: string, name: string): Promise<void>;
  /** Triggers the scheduler as a Cron Trigger does. */
  tick(): Promise<void>;
  /** The CPU time of this runtime so far, in milliseconds. */
  cpuMs(): number;
  close(): Promise<void>;
}

/** Only one can be started at a time. */
export async function start(shards: number): Promise<Runtime> {
  const vars = { DIRECTORY_SHARDS: String(shards), LOG: "off" };
  const { worker, pids, close } = await launch(join(import.meta.dirname, "counted.toml"), vars);
  const fetchJson: Runtime["fetch"] = async (path, body, { method, headers = {} } = {}) => {
    const sent = { ...headers, "content-type": "application/json" };
    const post = { method: "POST", headers: sent, body: JSON.stringify(body) };
    const response = await worker.fetch(`http://localhost${path}`, {
      ...(body === undefined ? {} : post),
      ...(method === undefined ? {} : { method }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} to ${path}: ${text}`);
    return text === "" || path === "/metrics" ? text : (JSON.parse(text) as unknown);
  };
  return {
    fetch: fetchJson,
    ...gather(async () => (await fetchJson("/tallies")) as Tallies),
    evict: (className, name) => worker.evictDurableObject(className, { name }).catch(() => undefined),
    tick: async () => void (await worker.scheduled({ cron: "* * * * *" })),
    cpuMs: () => pids.reduce((sum, pid) => sum + cpuMsOf(pid), 0),
    close,
  };
}

function gather(read: () => Promise<Tallies>): Pick<Runtime, "taken" | "quiet" | "settled"> {
  let sum: Tallies = {};
  const quiet = async (): Promise<void> => {
    for (;;) {
      const more = await read();
      sum = added(sum, more);
      if (Object.keys(more).length === 0) return;
      await pause(quietMs);
    }
  };
  const taken = async (): Promise<Tallies> => {
    const all = added(sum, await read());
    sum = {};
    return all;
  };
  const settled = async (): Promise<Tallies> => {
    await quiet();
    return await taken();
  };
  return { taken, quiet, settled };
}

function added(one: Tallies, other: Tallies): Tallies {
  const sum: Record<string, Tally> = { ...one };
  for (const [name, tally] of Object.entries(other)) {
    const known = sum[name] ?? { calls: {}, rowsWritten: 0, rowsRead: 0, awakeMs: 0 };
    const calls = { ...known.calls };
    for (const [method, count] of Object.entries(tally.calls)) calls[method] = (calls[method] ?? 0) + count;
    sum[name] = {
      calls,
      rowsWritten: known.rowsWritten + tally.rowsWritten,
      rowsRead: known.rowsRead + tally.rowsRead,
      awakeMs: known.awakeMs + tally.awakeMs,
    };
  }
  return sum;
}

/** @throws if there is no `/proc`, as CPU time is measured on Linux only */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
}
