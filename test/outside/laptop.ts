/** A laptop on which `wrangler dev` runs the Worker of this folder: it can be started, killed, started again. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort, killTree, strike } from "./process.ts";

export const root = join(import.meta.dirname, "..", "..");
const wrangler = join(root, "node_modules", "wrangler", "wrangler-dist", "cli.js");
const readyWithinMs = 60_000;

export class Laptop {
  readonly port: number;
  /** Holds the configuration, the state and the output; gone after `discard`. */
  readonly folder: string;
  readonly #variables: readonly string[];
  #child: ChildProcess | null = null;
  readonly #onExit = (): void => void (this.#child?.pid !== undefined && strike(this.#child.pid));

  private constructor(port: number, variables: readonly string[]) {
    this.port = port;
    this.folder = mkdtempSync(join(tmpdir(), "holdfast-outside-"));
    this.#variables = variables;
    writeFileSync(join(this.folder, "wrangler.toml"), configuration());
    process.once("exit", this.#onExit);
  }

  /** @param variables of the Worker, as NAME:value, beside those that every laptop sets */
  static async unpack(variables: readonly string[]): Promise<Laptop> {
    return new Laptop(await freePort(), variables);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Nothing is asked of the Worker. @returns when wrangler said that it is ready, epoch ms */
  async start(): Promise<number> {
    if (this.#child !== null) throw new Error("it is running");
    const output = openSync(this.#output, "a");
    const from = statSync(this.#output).size;
    const child = spawn(process.execPath, ["--no-warnings", wrangler, "dev", ...this.#arguments()], {
      cwd: this.folder,
      stdio: ["ignore", output, output],
      env: { ...process.env, ...quiet(this.folder) },
    });
    closeSync(output);
    this.#child = child;
    const giveUpAt = Date.now() + readyWithinMs;
    while (!readFileSync(this.#output, "utf8").slice(from).includes("Ready on")) {
      if (child.exitCode !== null || Date.now() > giveUpAt) throw new Error(`wrangler dev is not ready:\n${this.tail()}`);
      await pause(10);
    }
    return Date.now();
  }

  /** `kill -9` of wrangler and of all that it started. */
  async kill(): Promise<void> {
    const pid = this.#child?.pid;
    this.#child = null;
    if (pid !== undefined) await killTree(pid);
  }

  /** The end of what wrangler and the Worker wrote. */
  tail(lines = 60): string {
    return readFileSync(this.#output, "utf8").split("\n").slice(-lines).join("\n");
  }

  async discard(): Promise<void> {
    await this.kill();
    process.off("exit", this.#onExit);
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #output(): string {
    return join(this.folder, "output.txt");
  }

  #arguments(): string[] {
    const variables = [
      "AUTH:none",
      `PUBLIC_URL:${this.origin}`,
      "SIGNING_SECRET:a signing secret for tests only, 32 characters or more",
      ...this.#variables,
    ];
    return [
      ...["--ip", "127.0.0.1", "--port", String(this.port), "--inspector-port", "0"],
      ...["--persist-to", join(this.folder, "state"), "--show-interactive-dev-session=false"],
      ...variables.flatMap((variable) => ["--var", variable]),
    ];
  }
}

/** Nothing is fetched, sent, or written into the home directory. */
export function quiet(folder: string): Record<string, string> {
  return {
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_LOG_PATH: join(folder, "logs"),
    WRANGLER_REGISTRY_PATH: join(folder, "registry"),
  };
}

/** That of the repository, with the Worker of this folder and without what belongs to the examples. */
function configuration(): string {
  const [, date] = /^compatibility_date = "(.+)"$/m.exec(readFileSync(join(root, "wrangler.toml"), "utf8")) ?? [];
  const objects = [
    ["RUNS", "RunObject"],
    ["DIRECTORY", "DirectoryObject"],
    ["SCHEDULER", "SchedulerObject"],
  ] as const;
  const bindings = objects.map(([name, className]) => `{ name = "${name}", class_name = "${className}" }`);
  return `
name = "holdfast-outside"
main = ${JSON.stringify(join(import.meta.dirname, "worker.ts"))}
compatibility_date = "${date}"
durable_objects.bindings = [${bindings.join(", ")}]
migrations = [{ tag = "v1", new_sqlite_classes = [${objects.map(([, className]) => `"${className}"`).join(", ")}] }]
`;
}
