/** Processes that a test started, and those that they started: found by pid, ended by pid. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

type Process = { readonly pid: number; readonly parent: number };

/** The process and all that descend from it, itself first; only those that are alive. */
export function treeOf(root: number): number[] {
  const all = processes();
  const tree = all.some(({ pid }) => pid === root) ? [root] : [];
  for (const parent of tree) tree.push(...all.filter((each) => each.parent === parent).map(({ pid }) => pid));
  return tree;
}

/** Those of the pids that are alive. */
export function alive(pids: readonly number[]): number[] {
  const all = new Set(processes().map(({ pid }) => pid));
  return pids.filter((pid) => all.has(pid));
}

/** `kill -9` of the whole tree at once. @returns what it consisted of */
export function strike(root: number): number[] {
  // Stopped first, so that it starts nothing while its tree is looked at.
  send(root, "SIGSTOP");
  const tree = treeOf(root);
  for (const pid of tree) kill(pid);
  return tree;
}

export function kill(pid: number): void {
  send(pid, "SIGKILL");
}

/** Resolves when none of the processes is alive any more. @throws when some still are after `withinMs` */
export async function ended(pids: readonly number[], withinMs: number): Promise<void> {
  const giveUpAt = Date.now() + withinMs;
  for (let left = alive(pids); left.length > 0; left = alive(left)) {
    if (Date.now() > giveUpAt) throw new Error(`processes ${left.join(", ")} have not ended`);
    await pause(10);
  }
}

/** A port that nobody listens on. @param wanted this one, if it is free @throws when it is taken */
export function freePort(wanted = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(wanted, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

/**
 * For one who comes back to it after a death. Out of the range that the system gives to whoever connects: while
 * nothing listens, somebody who calls the port would else at times be given it himself, and be connected with himself.
 */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = await freePort(10_000 + Math.floor(Math.random() * 20_000)).catch(() => null);
    if (port !== null) return port;
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** Without those that are dead and merely not yet asked for. */
function processes(): Process[] {
  return process.platform === "linux" ? readProc() : readPs();
}

function readProc(): Process[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      // The command, in parentheses, may hold blanks and parentheses itself.
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return state === "Z" || state === "X" ? [] : [{ pid: Number(name), parent: Number(parent) }];
    } catch {
      return [];
    }
  });
}

function readPs(): Process[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid=,stat="], { encoding: "utf8" });
  return stdout.split("\n").flatMap((line) => {
    const [pid, parent, state = "Z"] = line.trim().split(/\s+/);
    return state.startsWith("Z") ? [] : [{ pid: Number(pid), parent: Number(parent) }];
  });
}
