/** `npm start` as a user runs it: what it prints, what it answers, what is left when it has ended. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Client } from "./client.ts";
import { alive, ended, freePort, kill, lastingPort, treeOf } from "./process.ts";
import { Program, root } from "./program.ts";

/** A document with something odd in it: its run waits for a reviewer. */
const document: unknown = JSON.parse(
  readFileSync(join(root, "examples", "documents", "samples", "anomalous-invoice.json"), "utf8"),
);

type Waiting = { readonly kind: string; readonly url?: string };
type Run = {
  readonly id: string;
  readonly status: string;
  readonly reason: string | null;
  readonly updatedAt: string;
  readonly waitingFor: readonly Waiting[];
};

let folder: string;
let program: Program | null = null;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-start-"));
});

afterEach(async ({ task }) => {
  if (task.result?.state === "fail") console.error(program?.output.slice(-6000));
  await program?.kill();
  rmSync(folder, { recursive: true, force: true });
});

test("npm start says where it is, keeps runs over a restart, and ends when told to", { timeout: 300_000 }, async () => {
  const port = await lastingPort();
  const url = `http://localhost:${port}`;
  const client = new Client(url);

  const first = await start(port);
  await expect(client.call({ method: "GET", path: "/health" })).resolves.toEqual({ status: "ok" });
  await expect(client.text({ method: "GET", path: "/" })).resolves.toContain("<h1");
  await client.start("document-intake", "kept", document);
  const waiting = await waits(client);
  await first.stop(60_000);
  await expect(freePort(port), "nothing holds the port").resolves.toBe(port);

  const second = await start(port);
  const kept = await waits(client);
  expect(kept).toEqual({ ...waiting, reason: kept.reason });
  // Another server would run each of these runs as well.
  const command = ["npm", "start", "--", `--persist-to=${join(folder, "state")}`] as const;
  const env = { PORT: String(await lastingPort()) };
  const twin = new Program({ command, cwd: root, folder, env });
  await twin.says(`holdfast: ${url} has the runs in ${join(folder, "state")}`);
  await vi.waitUntil(() => twin.isOver, { timeout: 60_000 });
  // Signed before the restart, called after it.
  const hook = kept.waitingFor.find(({ kind }) => kind === "webhook")?.url ?? "";
  expect(hook).toMatch(new RegExp(`^${url}/hooks/`));
  await client.text({ method: "POST", path: `${hook.slice(url.length)}?decision=approve` });
  expect(await client.end("kept")).toMatchObject({ status: "completed", output: { outcome: "approved" } });
  // The shell between npm and the server outlives this.
  await second.stop(60_000, "SIGKILL");
});

test("npm start comes back when workerd crashes, whichever process of it that is", { timeout: 300_000 }, async () => {
  const port = await lastingPort();
  const client = new Client(`http://localhost:${port}`);
  const started = await start(port);
  await client.start("document-intake", "kept", document);
  await waits(client);
  const processes = (): number[] => {
    const command = (pid: number): string =>
      spawnSync("ps", ["-o", "args=", "-p", `${pid}`], { encoding: "utf8" }).stdout;
    return treeOf(started.pid).filter((pid) => command(pid).includes("workerd serve"));
  };
  // One takes the calls, for the other, which has the Worker.
  expect(processes()).toHaveLength(2);
  for (const pid of processes()) kill(pid);
  await started.says(`holdfast: ready again on http://localhost:${port}`, 120_000);
  await waits(client);
  await started.stop(60_000);
  await expect(freePort(port), "nothing holds the port").resolves.toBe(port);
});

test("npm start outlives the shell that it was called from", { timeout: 300_000 }, async () => {
  const port = await lastingPort();
  // Of a script of one command bash makes that command, so that nothing stands between npm and the server.
  const line = `npm start --script-shell=bash -- --persist-to ${join(folder, "state")} & wait`;
  const shell = new Program({ command: ["bash", "-c", line], cwd: root, folder, env: { PORT: String(port) } });
  program = shell;
  await shell.says(`Holdfast is ready on http://localhost:${port}`);
  const others = treeOf(shell.pid).filter((pid) => pid !== shell.pid);
  try {
    kill(shell.pid);
    const client = new Client(`http://localhost:${port}`);
    // Longer than the server takes to look for what started it, and to end.
    const delay = "3s";
    const body = { id: "late", delay, input: { what: "tea", approver: "ann@example.com", manager: "max@example.com" } };
    await client.call({ method: "POST", path: "/v1/workflows/ask-approval/runs", body });
    await vi.waitUntil(async () => (await client.run("late")).status === "waiting", { timeout: 60_000 });
  } finally {
    for (const pid of alive(others)) kill(pid);
    await ended(others, 60_000);
  }
});

async function start(port: number): Promise<Program> {
  const command = ["npm", "start", "--", "--persist-to", join(folder, "state")] as const;
  const started = new Program({ command, cwd: root, folder, env: { PORT: String(port) } });
  program = started;
  await started.says(`Holdfast is ready on http://localhost:${port}`);
  await started.says(`runs are kept in ${join(folder, "state")}`);
  await started.says(`HOLDFAST_URL=http://localhost:${port} npm run demo`);
  return started;
}

/**
 * The run once it waits for the reviewer and is at rest, which it tells the list: the end of a process a moment before
 * that is a death in its history.
 */
async function waits(client: Client): Promise<Run> {
  return await vi.waitUntil(
    async () => {
      const run = await client.call<Run>({ method: "GET", path: "/v1/runs/kept" });
      const { runs } = await client.call<{ runs: Run[] }>({ method: "GET", path: "/v1/runs?idPrefix=kept" });
      const isListed = runs.some(({ status, updatedAt }) => status === "waiting" && updatedAt === run.updatedAt);
      return isListed && run.waitingFor.some(({ kind }) => kind === "webhook") ? run : null;
    },
    { timeout: 60_000, interval: 100 },
  );
}
