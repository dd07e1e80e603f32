/** A program in a process of its own: what it says, how it is ended. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { alive, ended, kill, strike, treeOf } from "./process.ts";

/** The repository's own folder. */
export const root = join(import.meta.dirname, "..", "..");

export type Start = {
  readonly command: readonly [string, ...string[]];
  readonly cwd: string;
  /** Where the output and what wrangler keeps for itself go. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
};

export class Program {
  readonly #child: ChildProcess;
  readonly #log: string;
  /** Where its own output begins in the log. */
  readonly #from: number;
  /** All it was seen to consist of: those that outlive their parent are no longer found through it. */
  #seen: number[] = [];
  readonly #onExit = (): void => this.#strike();

  constructor({ command: [program, ...rest], cwd, folder, env }: Start) {
    this.#log = join(folder, "output.txt");
    const log = openSync(this.#log, "a");
    this.#from = statSync(this.#log).size;
    this.#child = spawn(program, rest, {
      cwd,
      stdio: ["ignore", log, log],
      env: { ...process.env, ...quiet(folder), ...env },
    });
    closeSync(log);
    // Should the test itself be ended, nothing stays behind.
    process.once("exit", this.#onExit);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** It has ended by itself, or was ended. */
  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Calls back once it ends, with the signal that ended it, if one did. */
  onExit(react: (signal: NodeJS.Signals | null) => void): void {
    this.#child.once("exit", (_code, signal) => react(signal));
  }

  /** All that it wrote so far. */
  get output(): string {
    return readFileSync(this.#log).subarray(this.#from).toString();
  }

  /** Resolves once it wrote the text. @throws when it ended or took longer than `withinMs` */
  async says(text: string, withinMs = 60_000): Promise<void> {
    const giveUpAt = Date.now() + withinMs;
    while (!this.output.includes(text)) {
      if (this.isOver || Date.now() > giveUpAt) {
        throw new Error(`it did not say "${text}"${this.isOver ? " and ended" : ""}`);
      }
      await pause(10);
    }
  }

  /** Tells it to end, as a service manager does; resolves when nothing of it is left. Only the first process gets the signal. */
  async stop(withinMs: number, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#look();
    this.#child.kill(signal);
    await ended(this.#seen, withinMs);
    process.off("exit", this.#onExit);
  }

  /** `kill -9` of all of it at once; resolves when nothing of it is left. */
  async kill(): Promise<void> {
    this.#strike();
    await ended(this.#seen, 60_000);
    process.off("exit", this.#onExit);
  }

  #strike(): void {
    if (this.#child.pid !== undefined) this.#seen.push(...strike(this.#child.pid));
    // Pids are used again, but not so soon.
    for (const pid of alive(this.#seen)) kill(pid);
  }

  #look(): void {
    if (this.#child.pid !== undefined) this.#seen = treeOf(this.#child.pid);
  }
}

/** Nothing is fetched, sent, or written into the home directory. */
function quiet(folder: string): Record<string, string> {
  return {
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_LOG_PATH: join(folder, "logs"),
    WRANGLER_REGISTRY_PATH: join(folder, "registry"),
  };
}
