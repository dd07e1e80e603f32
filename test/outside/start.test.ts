/** `npm start` as a user runs it: what it prints, what it answers, what is left when it has ended. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Client } from "./client.ts";
import { freePort, lastingPort } from "./process.ts";
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

test("npm start says where it is, keeps runs over a restart, and ends when told to", { timeout: 120_000 }, async () => {
  const port = await lastingPort();
  const url = `http://localhost:${port}`;
  const client = new Client(url);

  const first = await start(port);
  await expect(client.call({ method: "GET", path: "/health" })).resolves.toEqual({ status: "ok" });
  await expect(client.text({ method: "GET", path: "/" })).resolves.toContain("<h1");
  await client.start("document-intake", "kept", document);
  const waiting = await waits(client);
  await first.stop(10_000);
  await expect(freePort(port), "nothing holds the port").resolves.toBe(port);

  const second = await start(port);
  const kept = await waits(client);
  expect(kept).toEqual({ ...waiting, reason: kept.reason });
  // Signed before the restart, called after it.
  const hook = kept.waitingFor.find(({ kind }) => kind === "webhook")?.url ?? "";
  expect(hook).toMatch(new RegExp(`^${url}/hooks/`));
  await client.text({ method: "POST", path: `${hook.slice(url.length)}?decision=approve` });
  expect(await client.run("kept", "20s")).toMatchObject({ status: "completed", output: { outcome: "approved" } });
  // The shell between npm and the server outlives this.
  await second.stop(10_000, "SIGKILL");
});

async function start(port: number): Promise<Program> {
  const command = ["npm", "start", "--", "--persist-to", join(folder, "state")] as const;
  const started = new Program({ command, cwd: root, folder, env: { PORT: String(port) } });
  program = started;
  await started.says(`Holdfast is ready on http://localhost:${port}`);
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
    { timeout: 20_000, interval: 100 },
  );
}
