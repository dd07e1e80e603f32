/**
 * Owns: a Worker in a local runtime of its own, driven through wrangler's test harness and not through the proxy of
 * `wrangler dev`; and the processes that the runtime consists of.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { createTestHarness } from "wrangler";
import type { WorkerHandle } from "wrangler";

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

export type Runtime = {
  readonly worker: WorkerHandle;
  /** Where it keeps its files. */
  readonly folder: string;
  readonly pids: readonly number[];
  readonly close: () => Promise<void>;
};

/**
 * One at a time, because the runtime finds its folder through the environment.
 * @param vars variables besides those of the configuration
 */
export async function launch(configPath: string, vars: Readonly<Record<string, string>> = {}): Promise<Runtime> {
  mkdirSync(state, { recursive: true });
  const folder = mkdtempSync(join(state, `${basename(configPath, ".toml")}-`));
  const before = childPids();
  const { TMPDIR } = process.env;
  Object.assign(process.env, settings, { TMPDIR: folder });
  const harness = createTestHarness({ workers: [{ configPath, vars }] });
  await harness.listen();
  if (TMPDIR === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = TMPDIR;
  return {
    worker: harness.getWorker(),
    folder,
    pids: childPids().filter((pid) => !before.includes(pid)),
    close: async () => {
      await harness.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
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

/** Bytes that these processes hold in memory. */
export function residentBytes(pids: readonly number[]): number {
  return processes()
    .filter(({ pid }) => pids.includes(pid))
    .reduce((sum, { bytes }) => sum + bytes, 0);
}
