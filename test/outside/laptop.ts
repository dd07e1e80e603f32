/** A laptop on which `wrangler dev` runs the Worker of this folder, or another: it can be started, killed, started again. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lastingPort } from "./process.ts";
import { Program, root } from "./program.ts";

const wrangler = join(root, "node_modules", "wrangler", "wrangler-dist", "cli.js");

export class Laptop {
  readonly port: number;
  /** Holds the configuration, the state and the output; gone after `discard`. */
  readonly folder: string;
  readonly #variables: readonly string[];
  #program: Program | null = null;

  private constructor(port: number, variables: readonly string[], worker: string) {
    this.port = port;
    this.folder = mkdtempSync(join(tmpdir(), "holdfast-outside-"));
    this.#variables = variables;
    writeFileSync(join(this.folder, "wrangler.toml"), configuration(worker));
  }

  /**
   * @param variables of the Worker, as NAME:value, beside those that every laptop sets
   * @param worker the file that is served
   */
  static async unpack(variables: readonly string[], worker = join(import.meta.dirname, "worker.ts")): Promise<Laptop> {
    return new Laptop(await lastingPort(), variables, worker);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /**
   * Nothing is asked of the Worker.
   * @param variables of this life, as NAME:value: they count more than those of the laptop
   * @returns when wrangler said that it is ready, epoch ms
   */
  async start(variables: readonly string[] = []): Promise<number> {
    const given = variables.flatMap((variable) => ["--var", variable]);
    const command = [process.execPath, "--no-warnings", wrangler, "dev", ...this.#arguments(), ...given] as const;
    this.#program = new Program({ command, cwd: this.folder, folder: this.folder });
    await this.#program.says("Ready on");
    return Date.now();
  }

  /** `kill -9` of wrangler and of all that it started. */
  async kill(): Promise<void> {
    await this.#program?.kill();
  }

  /** The end of what wrangler and the Worker wrote. */
  tail(lines = 60): string {
    return this.#program?.output.split("\n").slice(-lines).join("\n") ?? "";
  }

  async discard(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
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

/** That of the repository, with this Worker and without what belongs to the examples. */
function configuration(worker: string): string {
  const [, date] = /^compatibility_date = "(.+)"$/m.exec(readFileSync(join(root, "wrangler.toml"), "utf8")) ?? [];
  const objects = [
    ["RUNS", "RunObject"],
    ["DIRECTORY", "DirectoryObject"],
    ["SCHEDULER", "SchedulerObject"],
    ["LANES", "LaneObject"],
  ] as const;
  const bindings = objects.map(([name, className]) => `{ name = "${name}", class_name = "${className}" }`);
  return `
name = "holdfast-outside"
main = ${JSON.stringify(worker)}
compatibility_date = "${date}"
durable_objects.bindings = [${bindings.join(", ")}]
version_metadata = { binding = "CF_VERSION_METADATA" }
migrations = [{ tag = "v1", new_sqlite_classes = [${objects.map(([, className]) => `"${className}"`).join(", ")}] }]
`;
}
