/**
 * Owns: one Worker in a runtime of its own, driven through wrangler's test harness and not through
 * the proxy of `wrangler dev`.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { createTestHarness } from "wrangler";
import { endpointOf } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";

/** On the disk of the checkout, as the state of `npm start` is. */
const state = join(import.meta.dirname, "..", ".wrangler", "bench");

/**
 * Nothing is fetched and nothing is sent. The local trace store is switched off for all alike:
 * left on, it costs several times what is measured.
 */
export const settings = {
  WRANGLER_SEND_METRICS: "false",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  X_LOCAL_OBSERVABILITY: "false",
  X_LOCAL_EXPLORER: "false",
  // Else it tells the standard output, which is the table's, of a runtime that was killed on purpose.
  WRANGLER_LOG: "error",
};

export interface Server extends Endpoint {
  /** Ends the memory of an object; what it stored stays. */
  evict(className: string, name: string): Promise<void>;
  /** Bytes on disk of each object of a class: database, log and index of the log. */
  objectBytes(folderEnd: string): Map<string, number>;
  /** Path of the database of the object with this id; its log is beside it. */
  databaseOf(id: string): string;
  /** Bytes the processes of this runtime hold in memory. */
  memoryBytes(): number;
  /** Ends the runtime as a power cut would; wrangler starts another on the same files. */
  kill(): void;
  close(): Promise<void>;
}

/** One at a time, because the runtime finds its folder through the environment. */
export async function serve(config: string): Promise<Server> {
  mkdirSync(state, { recursive: true });
  const folder = mkdtempSync(join(state, `${config}-`));
  const before = childPids();
  const { TMPDIR } = process.env;
  Object.assign(process.env, settings, { TMPDIR: folder });
  const harness = createTestHarness({
    workers: [{ configPath: join(import.meta.dirname, "workers", `${config}.toml`) }],
  });
  await harness.listen();
  if (TMPDIR === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = TMPDIR;
  const pids = childPids().filter((pid) => !before.includes(pid));
  const worker = harness.getWorker();
  return {
    ...endpointOf(config, (path, init) => worker.fetch(`http://localhost${path}`, init)),
    evict: (className, name) => worker.evictDurableObject(className, { name }),
    objectBytes: (folderEnd) => objectBytes(folder, folderEnd),
    databaseOf: (id) => databaseOf(folder, id),
    memoryBytes: () => residentBytes(pids),
    kill: () => {
      for (const pid of pids) process.kill(pid, "SIGKILL");
    },
    close: async () => {
      await harness.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function objectBytes(folder: string, folderEnd: string): Map<string, number> {
  const bytes = new Map<string, number>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const id = /^([0-9a-f]{64})\.sqlite/.exec(entry.name)?.[1];
    if (id === undefined || !entry.parentPath.endsWith(folderEnd)) continue;
    bytes.set(id, (bytes.get(id) ?? 0) + statSync(join(entry.parentPath, entry.name)).size);
  }
  return bytes;
}

function databaseOf(folder: string, id: string): string {
  const name = `${id}.sqlite`;
  const entry = readdirSync(folder, { recursive: true, withFileTypes: true }).find((each) => each.name === name);
  if (entry === undefined) throw new Error(`there is no database of the object ${id}`);
  return join(entry.parentPath, name);
}

type Process = { readonly pid: number; readonly parent: number; readonly bytes: number; readonly command: string };

function processes(): Process[] {
  return execFileSync("ps", ["-A", "-o", "pid=,ppid=,rss=,comm="], { encoding: "utf8" })
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .map(([pid, parent, kib, command]) => ({
      pid: Number(pid),
      parent: Number(parent),
      bytes: Number(kib) * 1024,
      command: command ?? "",
    }));
}

function childPids(): number[] {
  return processes()
    .filter(({ parent, command }) => parent === process.pid && command.includes("workerd"))
    .map(({ pid }) => pid);
}

function residentBytes(pids: readonly number[]): number {
  return processes()
    .filter(({ pid }) => pids.includes(pid))
    .reduce((sum, { bytes }) => sum + bytes, 0);
}
