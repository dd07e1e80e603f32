/** The log of a deployment: a line of JSON for each event in the life of a run. */
import { abortAllDurableObjects, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ask, newId, refusal, runThatIs } from "./client.ts";
import { mend } from "./flows/traced.ts";
import { settings } from "./settings.ts";

type Line = Readonly<Record<string, unknown>> & { readonly event: string; readonly level: string };
let lines: Line[] = [];

beforeEach(() => {
  settings["LOG"] = "json";
  lines = [];
  for (const level of ["log", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((text: unknown) => {
      // What is not JSON is about the deployment, and no event of a run.
      if (typeof text === "string" && text.startsWith('{"event"'))
        lines.push({ level, ...(JSON.parse(text) as { event: string }) });
    });
  }
});

afterEach(() => {
  vi.restoreAllMocks();
});

const of = (run: string) => lines.filter((line) => line["run"] === run);
const eventsOf = (run: string) => of(run).map(({ event }) => event);
/** Lines are written after the answers. */
const written = async (run: string, last: string) => await expect.poll(() => eventsOf(run).at(-1)).toBe(last);

async function begin(workflow: string, input: unknown, wait = "?wait=60s"): Promise<string> {
  const id = newId(workflow);
  const headers = { "holdfast-actor": "ana" };
  const { status } = await ask(`POST /v1/workflows/${workflow}/runs${wait}`, { json: { id, input }, headers });
  expect(status).toBe(201);
  return id;
}

const because = { json: { reason: "the invoice" }, headers: { "holdfast-actor": "ana" } };

describe("the log", () => {
  it("says what became of a run: who, what, when, how long and in which trace", async () => {
    const id = await begin("traced-stairs", { steps: 2 });
    const { body } = await ask(`GET /v1/runs/${id}`);
    await written(id, "run.completed");
    const names = { run: id, workflow: "traced-stairs", version: "1", trace: body["trace"], level: "log" };
    expect(of(id)).toEqual([
      { ...names, event: "run.created", seq: 1, at: body["createdAt"], status: "running", by: "ana", role: "admin" },
      {
        ...{ ...names, event: "run.completed", seq: 5, at: body["finishedAt"], status: "completed" },
        durationMs: Date.parse(String(body["finishedAt"])) - Date.parse(String(body["createdAt"])),
      },
    ]);
  });

  it("says what failed, why, and who repaired it", async () => {
    const id = await begin("traced-fragile", null);
    mend(id);
    await ask(`POST /v1/runs/${id}/retry`, because);
    await written(id, "run.completed");
    const error = { code: "step_failed", step: "broken", message: "broken" };
    const brief = of(id).map(({ event, level, error, by, role, reason }) => ({
      event,
      level,
      error,
      by,
      role,
      reason,
    }));
    expect(brief.slice(1)).toMatchObject([
      { event: "step.failed", level: "warn", error },
      { event: "run.failed", level: "error", error },
      { event: "run.retried", level: "log", by: "ana", role: "admin", reason: "the invoice" },
      { event: "run.completed", level: "log" },
    ]);
  });

  it("says who paused, resumed, cancelled and deleted it", async () => {
    const id = await begin("traced-listener", { count: 1 }, "");
    for (const action of ["pause", "resume", "cancel"]) await ask(`POST /v1/runs/${id}/${action}`, because);
    await runThatIs(id, { status: "cancelled" });
    await ask(`DELETE /v1/runs/${id}`, because);
    const asked = { by: "ana", role: "admin", reason: "the invoice" };
    expect(eventsOf(id)).toEqual([
      "run.created",
      "run.paused",
      "run.resumed",
      "run.cancel_requested",
      "run.cancelled",
      "run.deleted",
    ]);
    expect(of(id).slice(1)).toMatchObject([asked, asked, asked, { ...asked, error: { code: "cancelled" } }, asked]);
  });

  it("says where a run went on as new", async () => {
    const id = await begin("traced-relay", { left: 1 });
    await written(id, "run.completed");
    expect(eventsOf(id)).toEqual(["run.created", "run.continued", "run.completed"]);
  });

  it("says that the process died under a run (guarantee 8)", async () => {
    const id = await begin("traced-listener", { count: 1 }, "");
    await runThatIs(id, { status: "waiting" });
    await written(id, "run.created");
    await abortAllDurableObjects();
    // Nothing of it was at work: no event.
    await ask(`POST /v1/runs/${id}/signals/go`, { json: {} });
    await written(id, "run.completed");
    expect(eventsOf(id)).toEqual(["run.created", "run.completed"]);
  });

  it("says that a run which was queued has begun", async () => {
    const id = newId("traced-stairs");
    await ask("POST /v1/workflows/traced-stairs/runs?wait=60s", { json: { id, input: { steps: 1 }, delay: "50ms" } });
    await written(id, "run.completed");
    const [created, started] = of(id);
    expect(created).toMatchObject({ event: "run.created", status: "queued" });
    expect(started).toMatchObject({ event: "run.started", status: "running", level: "log" });
  });

  it("says when a run is kept no longer", async () => {
    const id = await begin("traced-brief", null);
    await vi.waitFor(
      async () => {
        await runDurableObjectAlarm(env.RUNS.getByName(id));
        expect(eventsOf(id).at(-1)).toBe("run.expired");
      },
      { timeout: 60_000, interval: 50 },
    );
    expect((await ask(`GET /v1/runs/${id}`)).status).toBe(404);
  });

  it("of a fork does not say again what happened to the other run", async () => {
    const id = await begin("traced-fragile", null);
    const { status, body } = await ask(`POST /v1/runs/${id}/fork`, { json: { from: "broken" } });
    expect(status).toBe(201);
    const fork = String(body["id"]);
    await written(fork, "run.failed");
    expect(eventsOf(fork)).toEqual(["run.created", "run.started", "step.failed", "run.failed"]);
  });

  it("holds no value of a run", async () => {
    const id = newId("traced");
    const json = { id, input: { child: true, secret: "hush" }, labels: { secret: "hush" } };
    await ask("POST /v1/workflows/traced-journey/runs?wait=60s", { json });
    await written(id, "run.completed");
    expect(JSON.stringify(lines)).not.toMatch(/hush|a secret/);
  });
});

describe("the variable LOG", () => {
  it("turns it off", async () => {
    settings["LOG"] = "off";
    const id = await begin("traced-stairs", { steps: 1 });
    settings["LOG"] = "json";
    await written(await begin("traced-stairs", { steps: 1 }), "run.completed");
    expect(of(id)).toEqual([]);
  });

  it("that is neither is an error that names it", async () => {
    settings["LOG"] = "yaml";
    expect(await refusal("GET /v1/runs")).toBe("503 config_invalid");
    expect((await ask("GET /v1/runs")).body["detail"]).toContain("LOG");
  });
});
