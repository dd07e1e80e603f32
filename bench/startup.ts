/**
 * Owns: how long a Worker's script takes to be ready, in a process of the runtime that is new each time.
 * Most of that is the process itself: whoever shows it subtracts the time of a Worker that does nothing.
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";

const workerd = join(import.meta.dirname, "..", "node_modules", ".bin", "workerd");

/** Milliseconds from the start of the process to its first answer. @param file one script, as it is uploaded */
export async function startMs(file: string): Promise<number> {
  const config = join(dirname(file), "config.capnp");
  writeFileSync(config, configOf(basename(file)));
  const before = performance.now();
  const child = spawn(workerd, ["serve", config, "--control-fd=1"], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    const port = await listening(createInterface({ input: child.stdout }));
    const response = await fetch(`http://127.0.0.1:${port}/health`);
    await response.text();
    return performance.now() - before;
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

async function listening(lines: AsyncIterable<string>): Promise<number> {
  for await (const line of lines) {
    const said = JSON.parse(line) as { readonly event: string; readonly port: number };
    if (said.event === "listen") return said.port;
  }
  throw new Error("the runtime ended before it listened");
}

function configOf(script: string): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [(name = "main.js", esModule = embed "${script}")],
    compatibilityDate = "2026-10-20",
    bindings = [(name = "AUTH", text = "none")]
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]
);
`;
}
