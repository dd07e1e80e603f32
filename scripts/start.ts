/**
 * `npm start`: the Worker of wrangler.toml on this machine, through `wrangler dev`, with what a
 * laptop needs beside it. Arguments go on to wrangler, the port excepted, which is PORT's: `npm start -- --var LLM_URL:http://…`.
 */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

const root = join(import.meta.dirname, "..");
const stateFolder = join(root, ".wrangler");
const wrangler = join(root, "node_modules", "wrangler", "wrangler-dist", "cli.js");

/** How long wrangler may take to end before it is killed. */
const graceMs = 5_000;
const readyWithinMs = 60_000;

const port = readPort(process.env["PORT"]);
const url = `http://localhost:${port}`;

if (!(await isFree(port))) stop(`port ${port} is taken. Choose another one: PORT=${port + 1} npm start`);
const server = serve();
if (await isReady()) console.log(welcome());
else if (server.exitCode === null)
  console.error(`holdfast: no answer from ${url}/health yet; wrangler's output says why.`);

function readPort(text: string | undefined): number {
  if (text === undefined || text === "") return 8787;
  const number = Number(text);
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number;
  return stop(`PORT must be a number from 1 to 65535, not "${text}"`);
}

function stop(message: string): never {
  console.error(`holdfast: ${message}`);
  process.exit(1);
}

/** Asked beforehand, because wrangler would go on silently on another port. */
function isFree(candidate: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(candidate, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}

function serve(): ChildProcess {
  const given = process.argv.slice(2);
  const variables = ["AUTH:none", `PUBLIC_URL:${url}`, `SIGNING_SECRET:${signingSecret()}`];
  const child = spawn(
    process.execPath,
    [
      "--no-warnings",
      wrangler,
      "dev",
      ...["--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0"],
      ...["--show-interactive-dev-session=false"],
      // An option of wrangler's may be given once only.
      ...(given.some((option) => option.startsWith("--persist-to"))
        ? []
        : ["--persist-to", join(stateFolder, "state")]),
      // Variables may be given again: the last one counts.
      ...variables.flatMap((variable) => ["--var", variable]),
      ...given,
    ],
    {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
      // A laptop may be offline: nothing is fetched and nothing is sent.
      // Wrangler's own store of local traces makes every call several times slower.
      env: {
        WRANGLER_SEND_METRICS: "false",
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        X_LOCAL_OBSERVABILITY: "false",
        ...process.env,
      },
    },
  );
  child.on("exit", (code, signal) => process.exit(code ?? (signal === null ? 1 : 0)));
  endTogether(child);
  return child;
}

/** Webhook addresses outlive a restart, so the secret that signs them does too. */
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
 * Ends wrangler, which ends workerd, when this process is told to end. A signal to npm alone reaches
 * only the shell that npm put between, so the disappearance of that shell counts as one.
 */
function endTogether(child: ChildProcess): void {
  let ending = false;
  const end = (): void => {
    if (ending) return;
    ending = true;
    child.kill("SIGTERM");
    setTimeout(() => kill(child.pid), graceMs);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end();
  }, 500).unref();
}

/** A killed wrangler leaves its workerd behind, which would go on holding the port. */
function kill(pid: number | undefined): void {
  if (pid === undefined) return;
  const children = spawnSync("pgrep", ["-P", String(pid)], { encoding: "utf8" }).stdout ?? "";
  for (const each of [String(pid), ...children.split("\n").filter((line) => line !== "")]) {
    try {
      process.kill(Number(each), "SIGKILL");
    } catch {
      // It ended by itself in the meantime.
    }
  }
}

async function isReady(): Promise<boolean> {
  const giveUpAt = Date.now() + readyWithinMs;
  while (Date.now() < giveUpAt && server.exitCode === null) {
    const answer = await fetch(`${url}/health`).catch(() => null);
    if (answer?.ok === true) return true;
    await pause(100);
  }
  return false;
}

function welcome(): string {
  return `
  Holdfast is ready on ${url}
  No token is needed here (AUTH=none); runs are kept in .wrangler/state.

  The dashboard     ${url}
  What it can run   curl ${url}/v1/workflows
  Every run         curl ${url}/v1/runs
  See it work       npm run demo
  Stop              Ctrl-C
`;
}
