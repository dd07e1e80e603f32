/**
 * workerd itself, without wrangler around it: it is up a tenth of a second after it was killed, so hundreds of
 * deaths, deployments and jumps of the clock are a matter of minutes. Its storage is on disk, as `wrangler dev` has it.
 */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import { build } from "esbuild";
import { lastingPort } from "./process.ts";
import { Program, root } from "./program.ts";

const objects = ["RunObject", "DirectoryObject", "SchedulerObject", "LaneObject"] as const;
const bindings = { RunObject: "RUNS", DirectoryObject: "DIRECTORY", SchedulerObject: "SCHEDULER", LaneObject: "LANES" };

/** What a life of the Worker is: its variables, which deployment it is, and what its clock is ahead. */
export type Life = {
  readonly variables?: Readonly<Record<string, string>>;
  readonly deployment?: string;
  /** How far its clock is ahead of this machine's, milliseconds; the Worker imports `clock.ts` to have it so. */
  readonly aheadMs?: number;
};

export class Runtime {
  readonly port: number;
  /** Holds the program, the state and the output; gone after `discard`. */
  readonly folder: string;
  readonly #variables: Readonly<Record<string, string>>;
  #program: Program | null = null;
  #reviving: Promise<unknown> = Promise.resolve();
  #aheadMs = 0;

  private constructor(port: number, variables: Readonly<Record<string, string>>) {
    this.port = port;
    this.folder = mkdtempSync(join(tmpdir(), "holdfast-runtime-"));
    this.#variables = variables;
  }

  /** Bundles the Worker of this file. @param variables of every life, beside those that each has */
  static async build(worker: string, variables: Readonly<Record<string, string>>): Promise<Runtime> {
    const runtime = new Runtime(await lastingPort(), variables);
    mkdirSync(join(runtime.folder, "state"));
    await build({
      entryPoints: [worker],
      outfile: join(runtime.folder, "worker.js"),
      bundle: true,
      format: "esm",
      target: "es2024",
      conditions: ["workerd", "worker", "browser"],
      external: ["cloudflare:*", "node:*"],
      logLevel: "error",
    });
    return runtime;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get isOver(): boolean {
    return this.#program?.isOver ?? true;
  }

  /** What the process holds in memory, in bytes; 0 where that cannot be told. */
  get memoryBytes(): number {
    try {
      const [, pages = "0"] = readFileSync(`/proc/${this.#program?.pid}/statm`, "utf8").split(" ");
      return Number(pages) * 4096;
    } catch {
      return 0;
    }
  }

  /** What the process has taken of the processors, in milliseconds; 0 where that cannot be told. */
  get cpuMs(): number {
    try {
      const stat = readFileSync(`/proc/${this.#program?.pid}/stat`, "utf8");
      const [user = "0", system = "0"] = stat
        .slice(stat.lastIndexOf(")") + 2)
        .split(" ")
        .slice(11, 13);
      return (Number(user) + Number(system)) * 10;
    } catch {
      return 0;
    }
  }

  /** Resolves once it takes calls; nothing is asked of the Worker. @returns when that was, epoch ms */
  async start(life: Life = {}): Promise<number> {
    const { variables = {}, deployment = "first", aheadMs = 0 } = life;
    this.#moveAlarms(aheadMs);
    const all = { ...this.#ownVariables(), ...this.#variables, ...variables, AHEAD_MS: String(aheadMs) };
    writeFileSync(join(this.folder, "config.capnp"), configuration(this.port, all, deployment));
    for (const giveUpAt = Date.now() + 60_000; !(await this.#isUp());) {
      if (Date.now() > giveUpAt) throw new Error(`workerd does not start:\n${this.tail()}`);
    }
    this.#program?.onExit((signal) => {
      if (signal !== "SIGKILL") this.#revive(life);
    });
    return Date.now();
  }

  /**
   * At times it dies by itself, as its allocator walks the stack for a sample (abseil-cpp, issue 2143). That is one more
   * death, which nobody asked for: the Worker comes back as it does after any other.
   */
  #revive(life: Life): void {
    if (!this.tail().includes("Received signal #11")) return;
    console.warn(`workerd died of a segmentation fault and is started again:\n${this.tail()}`);
    this.#reviving = this.start(life).catch(console.error);
  }

  async #isUp(): Promise<boolean> {
    // What is left of a process that was killed may hold the port a moment longer, and even take calls.
    while (await isOpen(this.port)) await pause(5);
    const command = [workerd, "serve", "--experimental", "config.capnp"] as const;
    const program = new Program({ command, cwd: this.folder, folder: this.folder });
    this.#program = program;
    while (!program.isOver && !(await isOpen(this.port))) await pause(5);
    await pause(20);
    if (!program.isOver) return true;
    await program.kill();
    return false;
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    await this.#reviving;
    await this.#program?.kill();
  }

  /** The end of what it wrote in this life. */
  tail(lines = 40): string {
    return this.#program?.output.split("\n").slice(-lines).join("\n") ?? "";
  }

  async discard(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #ownVariables(): Record<string, string> {
    return {
      AUTH: "none",
      LOG: "off",
      PUBLIC_URL: this.origin,
      SIGNING_SECRET: "a signing secret for tests only, 32 characters or more",
    };
  }

  /**
   * The platform's alarms go by the machine's clock; those that are set must go by the Worker's. Each is written
   * down twice: in the table of its class and in its object. Those far away stay, and come that much later.
   */
  #moveAlarms(aheadMs: number): void {
    const byNs = BigInt(aheadMs - this.#aheadMs) * 1_000_000n;
    this.#aheadMs = aheadMs;
    const state = join(this.folder, "state");
    for (const name of byNs === 0n ? [] : readdirSync(state)) {
      const move = new Mover(join(state, name), byNs);
      move.all(BigInt(Date.now() + farMs) * 1_000_000n);
    }
  }
}

const farMs = 2 * 86_400_000;
/** A process that was killed may hold its locks for a moment longer. */
const lockMs = 10_000;

class Mover {
  readonly #folder: string;
  readonly #byNs: bigint;

  constructor(folder: string, byNs: bigint) {
    this.#folder = folder;
    this.#byNs = byNs;
  }

  all(untilNs: bigint): void {
    const table = new DatabaseSync(join(this.#folder, "metadata.sqlite"), { timeout: lockMs });
    const select = table.prepare("SELECT actor_id AS id, scheduled_time AS at FROM _cf_ALARM WHERE scheduled_time < ?");
    select.setReadBigInts(true);
    const alarms = select.all(untilNs) as { id: string; at: bigint }[];
    const update = table.prepare("UPDATE _cf_ALARM SET scheduled_time = ? WHERE actor_id = ?");
    for (const { id, at } of alarms) {
      update.run(at - this.#byNs, id);
      this.#one(id);
    }
    table.close();
  }

  #one(id: string): void {
    const object = new DatabaseSync(join(this.#folder, `${id}.sqlite`), { timeout: lockMs });
    const tables = object.prepare("SELECT 1 FROM sqlite_master WHERE name = '_cf_METADATA'").all();
    if (tables.length > 0) object.prepare("UPDATE _cf_METADATA SET value = value - ? WHERE key = 1").run(this.#byNs);
    object.close();
  }
}

const workerd = join(root, "node_modules", "workerd", "bin", "workerd");

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

function configuration(port: number, variables: Readonly<Record<string, string>>, deployment: string): string {
  const [, date] = /^compatibility_date = "(.+)"$/m.exec(readFileSync(join(root, "wrangler.toml"), "utf8")) ?? [];
  const version = JSON.stringify({ id: deployment, tag: "", timestamp: "" });
  const all = [
    ...objects.map((name) => `(name = "${bindings[name]}", durableObjectNamespace = "${name}")`),
    ...Object.entries(variables).map(([name, value]) => `(name = "${name}", text = ${JSON.stringify(value)})`),
    `(name = "CF_VERSION_METADATA", json = ${JSON.stringify(version)})`,
  ];
  const namespaces = objects.map((name) => `(className = "${name}", uniqueKey = "${name}", enableSql = true)`);
  return `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "state", disk = (path = "state", writable = true)),
    (name = "internet", network = (allow = ["private", "local", "public"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const main :Workerd.Worker = (
  compatibilityDate = "${date}",
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  durableObjectNamespaces = [${namespaces.join(", ")}],
  durableObjectStorage = (localDisk = "state"),
  bindings = [${all.join(", ")}],
);
`;
}
