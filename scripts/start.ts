/**
 * `npm start`: runs the Worker of wrangler.toml on this machine with `wrangler dev` and the variables that a laptop needs.
 * Arguments are passed on to wrangler, as in `npm start -- --var LLM_URL:http://…`, except for the port, which is in PORT.
 */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const root = join(import.meta.dirname, "..");
const stateFolder = join(root, ".wrangler");
const wrangler = join(root, "node_modules", "wrangler", "wrangler-dist", "cli.js");

/** How long wrangler may take to exit before it is killed. */
const graceMs = 5_000;
const readyWithinMs = 60_000;
/** One that takes longer may have been stopped, as by Ctrl-Z. */
const answersWithinMs = 5_000;

/** What wrangler says when workerd has crashed, which can be its own fault: it starts another one. */
const crashed = "runtime crashed unexpectedly";
const answersAgainWithinMs = 10_000;

/** Where `npm run demo` looks unless HOLDFAST_URL says otherwise. */
const usualPort = 8787;
const port = readPort(process.env["PORT"]);
const url = `http://localhost:${port}`;
const given = process.argv.slice(2);
/** Where wrangler keeps the runs. */
const runsFolder = resolve(root, persistTo(given) ?? join(stateFolder, "state"));
/** Which process serves them, and where. */
const serverFile = join(runsFolder, "server");

if (!(await isFree(port))) stop(`port ${port} is taken. Choose another one: PORT=${port + 1} npm start`);
const other = await otherServer();
if (other !== null) {
  stop(
    `${other} has the runs in ${runsFolder}, and two servers would run each of them twice. ` +
      `With runs of its own: PORT=${port} npm start -- --persist-to FOLDER`,
  );
}
writeFileSync(serverFile, `${process.pid} ${url}\n`);
let ending = false;
let reviving = false;
let server = serve();
endTogether();
if (await isReady(readyWithinMs)) console.log(welcome());
else if (server.exitCode === null)
  console.error(`holdfast: no answer from ${url}/health yet; wrangler's output says why.`);

function readPort(text: string | undefined): number {
  if (text === undefined || text === "") return usualPort;
  const number = Number(text);
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number;
  return stop(`PORT must be a number from 1 to 65535, not "${text}"`);
}

function persistTo(options: readonly string[]): string | undefined {
  const at = options.findIndex((option) => /^--persist-to(=|$)/.test(option));
  return at < 0 ? undefined : (/=(.*)/.exec(options[at] ?? "")?.[1] ?? options[at + 1]);
}

/** The address of a server that has these runs; null if none is there. */
async function otherServer(): Promise<string | null> {
  mkdirSync(runsFolder, { recursive: true });
  if (!existsSync(serverFile)) return null;
  const [pid, address = ""] = readFileSync(serverFile, "utf8").trim().split(" ");
  return isAlive(Number(pid)) && (await answers(address)) ? address : null;
}

function stop(message: string): never {
  console.error(`holdfast: ${message}`);
  process.exit(1);
}

/** Checked first, because wrangler would silently use another port. */
function isFree(candidate: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(candidate, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

function serve(): ChildProcess {
  const variables = ["AUTH:none", `PUBLIC_URL:${url}`, `SIGNING_SECRET:${signingSecret()}`];
  const child = spawn(
    process.execPath,
    [
      "--no-warnings",
      wrangler,
      "dev",
      ...["--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0"],
      ...["--show-interactive-dev-session=false"],
      // Wrangler accepts an option only once.
      ...(persistTo(given) === undefined ? ["--persist-to", runsFolder] : []),
      // Variables may be given again: the last one counts.
      ...variables.flatMap((variable) => ["--var", variable]),
      ...given,
    ],
    {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      // A laptop may be offline, so wrangler's own requests are turned off. Its store of local traces makes calls several
      // times slower.
      env: {
        WRANGLER_SEND_METRICS: "false",
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        X_LOCAL_OBSERVABILITY: "false",
        ...(process.stdout.isTTY ? { FORCE_COLOR: "1" } : {}),
        ...process.env,
      },
    },
  );
  child.on("exit", (code, signal) => process.exit(code ?? (signal === null ? 1 : 0)));
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ] as const) {
    from.pipe(to, { end: false });
    from.on("data", (text: Buffer) => {
      if (text.includes(crashed)) void revive();
    });
  }
  return child;
}

/**
 * Starts wrangler again where nobody answers after a crash. One process of workerd takes the calls for the one that has the
 * Worker, and the one that replaces it takes them and lets them wait for ever.
 */
async function revive(): Promise<void> {
  if (reviving) return;
  reviving = true;
  if (!(await isReady(answersAgainWithinMs)) && !ending) {
    console.error("holdfast: workerd has crashed, and nobody answers since: wrangler is started again.");
    server.removeAllListeners("exit");
    kill(server.pid);
    while (!(await isFree(port))) await pause(100);
    if (ending) process.exit();
    server = serve();
    if (await isReady(readyWithinMs)) console.log(`holdfast: ready again on ${url}; all runs are kept.`);
  }
  reviving = false;
}

/** The secret is kept in a file, so that webhook addresses stay valid after a restart. */
function signingSecret(): string {
  const file = join(stateFolder, "signing-secret");
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    const secret = randomBytes(32).toString("hex");
    mkdirSync(stateFolder, { recursive: true });
    writeFileSync(file, `${secret}\n`, { mode: 0o600 });
    return secret;
  }
}

/**
 * Ends wrangler, which ends workerd, when this process gets a signal. A signal to npm reaches only the shell that npm
 * started in between, and a SIGKILL not even that, so the end of either counts as a signal too.
 */
function endTogether(): void {
  const end = (): void => {
    if (ending) return;
    ending = true;
    server.kill("SIGTERM");
    setTimeout(() => kill(server.pid), graceMs);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
  // Nobody reads what it says any more.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", end);
  const parent = process.ppid;
  const npm = npmAbove(parent);
  setInterval(() => {
    if (process.ppid !== parent || (npm !== null && !isAlive(npm))) end();
  }, 500).unref();
}

/**
 * npm, if this shell runs npm's script; else null. Many shells become the program that they end with: npm is the parent
 * then, and above it is whatever npm was called from, which may end without ending this.
 */
function npmAbove(shell: number): number | null {
  const script = process.env["npm_lifecycle_script"];
  const { stdout } = spawnSync("ps", ["-ww", "-o", "ppid=,args=", "-p", String(shell)], { encoding: "utf8" });
  const [, pid, command = ""] = /^\s*(\d+)\s+(.*)/.exec(stdout ?? "") ?? [];
  return script !== undefined && command.includes(script) ? Number(pid) : null;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Kills wrangler with its workerd, which would otherwise keep running on the port. */
function kill(pid: number | undefined): void {
  if (pid === undefined) return;
  const children = spawnSync("pgrep", ["-P", String(pid)], { encoding: "utf8" }).stdout ?? "";
  for (const each of [String(pid), ...children.split("\n").filter((line) => line !== "")]) {
    try {
      process.kill(Number(each), "SIGKILL");
    } catch {
      // It has exited meanwhile.
    }
  }
}

async function isReady(withinMs: number): Promise<boolean> {
  const giveUpAt = Date.now() + withinMs;
  while (Date.now() < giveUpAt && server.exitCode === null) {
    if (await answers(url)) return true;
    await pause(100);
  }
  return false;
}

async function answers(address: string): Promise<boolean> {
  const signal = AbortSignal.timeout(answersWithinMs);
  const answer = await fetch(`${address}/health`, { signal }).catch(() => null);
  return answer?.ok === true;
}

function welcome(): string {
  const demo = port === usualPort ? "npm run demo" : `HOLDFAST_URL=${url} npm run demo`;
  return `
  Holdfast is ready on ${url}
  No token is needed here (AUTH=none); runs are kept in ${runsFolder}.

  The dashboard     ${url}
  What it can run   curl ${url}/v1/workflows
  Every run         curl ${url}/v1/runs
  See it work       ${demo}
  Stop              Ctrl-C
`;
}
