/** Owns: one Worker in a runtime of its own, and what it leaves on disk and in memory. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { endpointOf } from "./endpoint.ts";
import type { Endpoint } from "./endpoint.ts";
import { launch, residentBytes } from "./runtime.ts";

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

/** One at a time. @param config of `workers` */
export async function serve(config: string): Promise<Server> {
  const { worker, folder, pids, close } = await launch(join(import.meta.dirname, "workers", `${config}.toml`));
  return {
    ...endpointOf(config, (path, init) => worker.fetch(`http://localhost${path}`, init)),
    evict: (className, name) => worker.evictDurableObject(className, { name }),
    objectBytes: (folderEnd) => objectBytes(folder, folderEnd),
    databaseOf: (id) => databaseOf(folder, id),
    memoryBytes: () => residentBytes(pids),
    kill: () => {
      for (const pid of pids) process.kill(pid, "SIGKILL");
    },
    close,
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
