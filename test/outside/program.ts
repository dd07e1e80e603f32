/** A program of this repository, started as a user starts it. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { quiet, root } from "./laptop.ts";
import { ended, killTree, strike, treeOf } from "./process.ts";

export class Program {
  readonly #child: ChildProcess;
  readonly #output: string;
  readonly #onExit = (): void => void (this.#child.pid !== undefined && strike(this.#child.pid));

  constructor(command: readonly [string, ...string[]], env: Readonly<Record<string, string>>, folder: string) {
    this.#output = join(folder, "output.txt");
    const output = openSync(this.#output, "a");
    const [program, ...rest] = command;
    this.#child = spawn(program, rest, {
      cwd: root,
      stdio: ["ignore", output, output],
      env: { ...process.env, ...quiet(folder), ...env },
    });
    closeSync(output);
    process.once("exit", this.#onExit);
  }

  get output(): string {
    return readFileSync(this.#output, "utf8");
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Told to end as a service manager tells it; resolves when it and all that it started are gone. */
  async stop(withinMs: number): Promise<void> {
    const tree = this.#child.pid === undefined ? [] : treeOf(this.#child.pid);
    this.#child.kill("SIGTERM");
    await ended(tree, withinMs);
    process.off("exit", this.#onExit);
  }

  async kill(): Promise<void> {
    if (this.#child.pid !== undefined) await killTree(this.#child.pid);
    process.off("exit", this.#onExit);
  }
}
