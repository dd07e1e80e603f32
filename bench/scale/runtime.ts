/** Owns: the counted Worker in a runtime of its own, with so many shards, and the CPU time of that runtime. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createTestHarness } from "wrangler";
import type { Tally } from "./tally.ts";

const state = join(import.meta.dirname, "..", "..", ".wrangler", "scale");
const settings = {
  WRANGLER_SEND_METRICS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  X_LOCAL_OBSERVABILITY: "false",
  X_LOCAL_EXPLORER: "false",
};
/** Of `/proc/PID/stat`, by Linux's own definition of what it tells programs. */
const ticksPerSecond = 100;
/** A run's last errands are done within a second or so. */
const quietMs = 1200;

export type Tallies = Readonly<Record<string, Tally>>;

/** A call with a body is a POST unless it says otherwise. */
type Options = { readonly method?: string; readonly headers?: Readonly<Record<string, string>> };

export interface Runtime {
  /** @throws where the answer is no success */
  fetch(path: string, body?: unknown, options?: Options): Promise<unknown>;
  /** What every object took since this was last asked, or `settled`. */
  taken(): Promise<Tallies>;
  /** Waits until nothing more comes. */
  quiet(): Promise<void>;
  /** What was taken once nothing more comes. */
  settled(): Promise<Tallies>;
  /** Ends the memory of an object, where it has one; what it stored stays. */
  evict(className: string, name: string): Promise<void>;
  /** What a Cron Trigger does. */
  tick(): Promise<void>;
  /** Milliseconds of CPU time that this runtime has taken so far. */
  cpuMs(): number;
  close(): Promise<void>;
}

/** One at a time, because the runtime finds its folder through the environment. */
export async function start(shards: number): Promise<Runtime> {
  mkdirSync(state, { recursive: true });
  const folder = mkdtempSync(join(state, `${shards}-`));
  const before = runtimePids();
  const { TMPDIR } = process.env;
  Object.assign(process.env, settings, { TMPDIR: folder });
  const harness = createTestHarness({
    workers: [
      {
        configPath: join(import.meta.dirname, "counted.toml"),
        vars: { DIRECTORY_SHARDS: String(shards), LOG: "off" },
      },
    ],
  });
  await harness.listen();
  if (TMPDIR === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = TMPDIR;
  const pids = runtimePids().filter((pid) => !before.includes(pid));
  const worker = harness.getWorker();
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
    close: async () => {
      await harness.close();
      rmSync(folder, { recursive: true, force: true });
    },
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

function runtimePids(): number[] {
  return execFileSync("ps", ["-A", "-o", "pid=,ppid=,comm="], { encoding: "utf8" })
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, command]) => Number(parent) === process.pid && command?.includes("workerd"))
    .map(([pid]) => Number(pid));
}

/** @throws where there is no `/proc`: CPU time is taken on Linux only */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
}
