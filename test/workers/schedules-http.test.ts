/** Schedules over HTTP, in the whole Worker: every route, what it refuses, and runs that really start. */
import { abortAllDurableObjects } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { ask, historyOf, newId, refusal, runThatIs, tokens } from "./client.ts";
import type { Answer, Ask } from "./client.ts";
import { mend } from "./flows/fork.ts";

/** Once a year, so that nothing fires but what is asked for. */
const yearly = "0 3 1 1 *";
const hourMs = 3_600_000;

async function make({
  id = newId("made"),
  ...fields
}: { readonly id?: string; readonly [field: string]: unknown } = {}): Promise<string> {
  const answer = await ask("POST /v1/schedules", { json: { id, workflow: "web-echo", cron: yearly, ...fields } });
  expect([answer.status, answer.body]).toEqual([201, expect.objectContaining({ id })]);
  return id;
}

async function find(id: string): Promise<Record<string, unknown>> {
  return (await ask(`GET /v1/schedules/${id}`)).body;
}

/** Waits until the schedule is like this. */
async function scheduleThatIs(id: string, like: object): Promise<void> {
  await expect.poll(() => find(id)).toMatchObject(like);
}

/** Runs of a schedule are called after it. */
async function runsOf(id: string, workflow: string): Promise<Record<string, unknown>[]> {
  const { body } = await ask(`GET /v1/runs?workflow=${workflow}&limit=200`);
  return (body["runs"] as Record<string, unknown>[]).filter((run) => String(run["id"]).startsWith(`${id}:`));
}

/** The code and the pointers to what is wrong. */
async function problemOf(call: string, options: Ask): Promise<string> {
  const { status, body } = await ask(call, options);
  const paths = ((body["errors"] ?? []) as { path: string }[]).map(({ path }) => path);
  return [status, body["code"], ...paths].join(" ");
}

describe("POST /v1/schedules", () => {
  it("makes a schedule and shows all of it", async () => {
    const id = newId("made");
    const json = {
      ...{ id, workflow: "web-echo", cron: "0 7 * * MON-FRI", timezone: "Europe/Berlin" },
      ...{ input: { at: { $type: "Date", value: "2026-01-01T00:00:00.000Z" } }, overlap: "buffer-one" },
      ...{ catchUp: "2 hours", jitter: 90_000, pauseOnFailure: true },
    };
    const { status, body, headers } = await ask("POST /v1/schedules", { json });
    expect([status, headers.get("location")]).toEqual([201, `/v1/schedules/${id}`]);
    expect(body).toEqual({
      ...json,
      catchUp: 2 * hourMs,
      ...{ paused: false, pausedAt: null, pausedBy: null, pausedReason: null },
      ...{ source: "api", lastError: null, backfills: [], next: body["next"] },
    });
    expect(body["next"]).toHaveLength(5);
    expect(await find(id)).toEqual(body);
    const { body: all } = await ask("GET /v1/schedules?workflow=web-echo");
    expect(all["schedules"]).toContainEqual(body);
    const { body: workflow } = await ask("GET /v1/workflows/web-echo");
    expect(workflow["schedules"]).toContainEqual(body);
  });

  it("calls it like its workflow where it is given no id", async () => {
    const json = { workflow: "web-listen", cron: yearly };
    const made = await ask("POST /v1/schedules", { json });
    expect([made.status, made.body["id"]]).toEqual([201, "web-listen"]);
    const other = { ...json, cron: "0 4 1 1 *" };
    expect((await ask("POST /v1/schedules", { json: other })).status).toBe(409);
    expect((await ask("DELETE /v1/schedules/web-listen")).status).toBe(204);
  });

  it("makes it once: the same again is 200, another under its id 409", async () => {
    const json = { id: newId("made"), workflow: "web-echo", cron: yearly };
    expect((await ask("POST /v1/schedules", { json })).status).toBe(201);
    const again = await ask("POST /v1/schedules", { json: { ...json, timezone: "UTC" } });
    expect([again.status, again.headers.get("location")]).toEqual([200, `/v1/schedules/${json.id}`]);
    expect(await refusal("POST /v1/schedules", { json: { ...json, cron: "0 4 1 1 *" } })).toBe("409 schedule_exists");
    expect(await refusal("POST /v1/schedules", { json: { ...json, id: "web-yearly" } })).toBe("409 schedule_exists");
  });

  it("makes it once for an Idempotency-Key", async () => {
    const headers = { "idempotency-key": newId("key") };
    const json = { id: newId("made"), workflow: "web-echo", cron: yearly };
    expect((await ask("POST /v1/schedules", { json, headers })).status).toBe(201);
    expect((await ask("POST /v1/schedules", { json, headers })).status).toBe(200);
    const other = { ...json, id: newId("made") };
    expect(await refusal("POST /v1/schedules", { json: other, headers })).toBe("409 idempotency_conflict");
  });

  it("takes an id of any text", async () => {
    const id = `${newId("made")} é/#2`;
    const { headers } = await ask("POST /v1/schedules", { json: { id, workflow: "web-echo", cron: yearly } });
    const location = headers.get("location") ?? "";
    expect((await ask(`GET ${location}`)).body).toMatchObject({ id });
    const { status, body } = await ask(`POST ${location}/trigger?wait=60s`);
    expect([status, body]).toMatchObject([201, { status: "completed" }]);
    expect((await ask(`DELETE ${location}`)).status).toBe(204);
  });

  it.each<[Record<string, unknown>, string]>([
    [{ id: "" }, "400 body_invalid /id"],
    [{ id: 7 }, "400 body_invalid /id"],
    [{ id: "x".repeat(257) }, "400 body_invalid /id"],
    [{ id: "\ud800" }, "400 body_invalid /id"],
    [{ id: "." }, "400 body_invalid /id"],
    [{ id: ".." }, "400 body_invalid /id"],
    [{ workflow: undefined }, "400 body_invalid /workflow"],
    [{ workflow: "none" }, "404 workflow_not_found /workflow"],
    [{ cron: undefined }, "400 body_invalid /cron"],
    [{ cron: 5 }, "400 body_invalid /cron"],
    [{ cron: "never" }, "422 schedule_invalid /cron"],
    [{ cron: "61 * * * *" }, "422 schedule_invalid /cron"],
    [{ cron: "0 0 31 2 *" }, "422 schedule_invalid /cron"],
    [{ cron: "? * * * *" }, "422 schedule_invalid /cron"],
    [{ timezone: "Mars/Olympus" }, "422 schedule_invalid /timezone"],
    [{ timezone: null }, "400 body_invalid /timezone"],
    [{ overlap: "queue" }, "400 body_invalid /overlap"],
    [{ catchUp: "soon" }, "422 schedule_invalid /catchUp"],
    [{ catchUp: true }, "400 body_invalid /catchUp"],
    [{ jitter: -1 }, "422 schedule_invalid /jitter"],
    [{ paused: "yes" }, "400 body_invalid /paused"],
    [{ pauseOnFailure: 1 }, "400 body_invalid /pauseOnFailure"],
    [{ reason: 1 }, "400 body_invalid /reason"],
    [{ every: "1 h" }, "400 field_unknown /every"],
    [{ input: { $type: "Nothing" } }, "400 body_invalid /input"],
    [{ input: "x".repeat(70_000) }, "413 value_too_large /input"],
    [{ workflow: "web-order" }, "422 input_invalid /input"],
    [{ workflow: "web-order", input: { id: "a", total: "1" } }, "422 input_invalid /input/total"],
  ])("with %j is refused", async (fields, problem) => {
    const id = newId("bad");
    const json = { id, workflow: "web-echo", cron: yearly, ...fields };
    const found = await problemOf("POST /v1/schedules", { json });
    expect(found.startsWith(problem) ? problem : found).toBe(problem);
    expect(await refusal(`GET /v1/schedules/${id}`)).toBe("404 schedule_not_found");
  });

  it.each<[Ask, string]>([
    [{ raw: "{" }, "400 json_invalid"],
    [{ raw: "[]" }, "400 body_invalid"],
    [{ json: {}, headers: { "idempotency-key": "" } }, "400 idempotency_key_invalid"],
    [{ json: {}, token: null }, "401 token_missing"],
    [{ json: {}, token: tokens.operate }, "403 role_insufficient"],
  ])("sent as %j is refused", async (options, code) => {
    expect(await refusal("POST /v1/schedules", options)).toBe(code);
  });
});

describe("GET /v1/schedules and /v1/schedules/:id", () => {
  it("lists the next firings, as many as asked for", async () => {
    const id = await make({ cron: "30 2 * * *", timezone: "America/New_York" });
    for (const [next, count] of [
      ["", 5],
      ["?next=0", 0],
      ["?next=200", 200],
    ] as const) {
      const { body } = await ask(`GET /v1/schedules/${id}${next}`, { token: tokens.read });
      expect(body["next"]).toHaveLength(count);
    }
  });

  it.each([
    ["GET /v1/schedules/none", "404 schedule_not_found"],
    ["GET /v1/schedules/web-yearly?next=201", "400 parameter_invalid"],
    ["GET /v1/schedules/web-yearly?next=-1", "400 parameter_invalid"],
    ["GET /v1/schedules/web-yearly?limit=1", "400 parameter_unknown"],
    ["GET /v1/schedules?state=on", "400 parameter_unknown"],
    ["GET /v1/schedules?workflow=", "400 parameter_invalid"],
    ["PUT /v1/schedules/web-yearly", "405 method_not_allowed"],
  ])("%s is %s", async (call, code) => {
    expect(await refusal(call)).toBe(code);
  });

  it("lists those of one workflow", async () => {
    const id = await make({ workflow: "web-sleeper" });
    const { body } = await ask("GET /v1/schedules?workflow=web-sleeper");
    expect((body["schedules"] as { id: string; workflow: string }[]).map(({ workflow }) => workflow)).toContain(
      "web-sleeper",
    );
    expect(body["schedules"]).toContainEqual(expect.objectContaining({ id }));
    expect((await ask("GET /v1/schedules?workflow=none")).body).toEqual({ schedules: [] });
  });
});

describe("PATCH /v1/schedules/:id", () => {
  it("changes what is named and keeps the rest", async () => {
    const id = await make({ input: { n: 1 }, overlap: "allow-all" });
    const json = { cron: "0 5 * * *", timezone: "Asia/Tokyo", jitter: "5 s", input: null };
    const { status, body } = await ask(`PATCH /v1/schedules/${id}`, { json });
    expect([status, body]).toMatchObject([200, { ...json, jitter: 5_000, overlap: "allow-all", workflow: "web-echo" }]);
    expect((body["next"] as string[])[0]).toMatch(/T20:00:00\.000Z$/);
    expect((await ask(`PATCH /v1/schedules/${id}`, {})).body).toEqual(body);
  });

  it("pauses and resumes, with who and why", async () => {
    const id = await make();
    const paused = await ask(`PATCH /v1/schedules/${id}`, { json: { paused: true, reason: "holidays" } });
    expect(paused.body).toMatchObject({ paused: true, pausedBy: "admin", pausedReason: "holidays" });
    expect(Date.parse(String(paused.body["pausedAt"]))).toBeLessThanOrEqual(Date.now());
    expect(paused.body["next"]).toHaveLength(5);
    const resumed = await ask(`PATCH /v1/schedules/${id}`, { json: { paused: false } });
    expect(resumed.body).toMatchObject({ paused: false, pausedAt: null, pausedReason: null });
  });

  it("pauses one in the code, and refuses anything else of it", async () => {
    const call = "PATCH /v1/schedules/web-yearly";
    expect((await ask(call, { json: { paused: true } })).body).toMatchObject({ paused: true, source: "code" });
    await abortAllDurableObjects();
    expect(await find("web-yearly")).toMatchObject({ paused: true });
    expect(await refusal(call, { json: { paused: false, cron: yearly } })).toBe("409 schedule_in_code");
    expect((await ask(call, { json: { paused: false } })).body).toMatchObject({ paused: false });
    expect(await refusal("DELETE /v1/schedules/web-yearly")).toBe("409 schedule_in_code");
  });

  it.each<[Record<string, unknown>, string]>([
    [{ id: "other" }, "400 field_unknown /id"],
    [{ cron: "never" }, "422 schedule_invalid /cron"],
    [{ timezone: "" }, "422 schedule_invalid /timezone"],
    [{ workflow: "none" }, "404 workflow_not_found /workflow"],
    [{ workflow: "web-order" }, "422 input_invalid /input"],
    [{ catchUp: null }, "400 body_invalid /catchUp"],
    [{ paused: null }, "400 body_invalid /paused"],
  ])("with %j is refused and changes nothing", async (json, problem) => {
    const id = await make();
    const before = await find(id);
    expect(await problemOf(`PATCH /v1/schedules/${id}`, { json })).toBe(problem);
    expect(await find(id)).toEqual(before);
  });

  it("of none is 404, without the role 403", async () => {
    expect(await refusal("PATCH /v1/schedules/none", { json: {} })).toBe("404 schedule_not_found");
    const options = { json: { paused: true }, token: tokens.operate };
    expect(await refusal("PATCH /v1/schedules/web-yearly", options)).toBe("403 role_insufficient");
  });
});

describe("DELETE /v1/schedules/:id", () => {
  it("removes it, once", async () => {
    const id = await make();
    const headers = { "idempotency-key": newId("key") };
    expect((await ask(`DELETE /v1/schedules/${id}`, { json: { reason: "done" }, headers })).status).toBe(204);
    expect((await ask(`DELETE /v1/schedules/${id}`, { json: { reason: "done" }, headers })).status).toBe(204);
    expect(await refusal(`DELETE /v1/schedules/${id}`)).toBe("404 schedule_not_found");
    expect(await refusal(`GET /v1/schedules/${id}`)).toBe("404 schedule_not_found");
    expect(await refusal(`POST /v1/schedules/${id}/trigger`)).toBe("404 schedule_not_found");
  });
});

describe("guarantee 6: a schedule made over HTTP", () => {
  it("starts one run at each of its times, by itself, with its input", async () => {
    const id = await make({ cron: "* * * * * *", input: { n: 7 } });
    await expect.poll(async () => (await runsOf(id, "web-echo")).length).toBeGreaterThan(2);
    await ask(`PATCH /v1/schedules/${id}`, { json: { paused: true } });
    const runs = await runsOf(id, "web-echo");
    expect(new Set(runs.map((run) => run["id"])).size).toBe(runs.length);
    const run = await runThatIs(String(runs[0]?.["id"]), { status: "completed" });
    expect(run.output).toEqual({ n: 7 });
  });

  it("pauses itself when a run of it fails, and says which", async () => {
    const id = await make({ cron: "* * * * * *", workflow: "web-fragile", pauseOnFailure: true });
    await scheduleThatIs(id, { paused: true, pausedBy: "schedule" });
    const { pausedReason } = await find(id);
    const failed = /^run (\S+) failed$/.exec(String(pausedReason))?.[1] ?? "";
    await runThatIs(failed, { status: "failed" });
  });

  it("shows what became of a firing whose input no longer fits", async () => {
    const id = await make({ cron: "* * * * * *", workflow: "web-labelled", input: {} });
    await expect.poll(async () => (await find(id))["lastError"]).not.toBeNull();
    await ask(`DELETE /v1/schedules/${id}`);
    expect(await runsOf(id, "web-labelled")).toEqual([]);
  });
});

describe("POST /v1/schedules/:id/trigger", () => {
  it("starts a run now, also while paused, and answers as a start does", async () => {
    const id = await make({ input: [1, 2], paused: true });
    const { status, body, headers } = await ask(`POST /v1/schedules/${id}/trigger?wait=60s`, {
      json: { reason: "to see" },
      token: tokens.operate,
    });
    expect([status, body]).toMatchObject([201, { workflow: "web-echo", status: "completed", output: [1, 2] }]);
    expect(headers.get("location")).toBe(`/v1/runs/${String(body["id"])}`);
    const { body: history } = await ask(`GET /v1/runs/${String(body["id"])}/history`);
    expect((history["entries"] as unknown[])[0]).toMatchObject({ by: "operate", schedule: { id } });
    expect((await ask(`POST /v1/schedules/${id}/trigger`)).body["id"]).not.toBe(body["id"]);
  });

  it("starts one run for an Idempotency-Key, also when the input has changed since", async () => {
    const id = await make({ input: 1 });
    const headers = { "idempotency-key": newId("key") };
    const trigger = (): Promise<Answer> => ask(`POST /v1/schedules/${id}/trigger?wait=60s`, { headers });
    const first = await trigger();
    await ask(`PATCH /v1/schedules/${id}`, { json: { input: 2 } });
    const second = await trigger();
    expect([first.status, second.status, second.body["id"]]).toEqual([201, 200, first.body["id"]]);
    const options = { headers, json: { reason: "another" } };
    expect(await refusal(`POST /v1/schedules/${id}/trigger`, options)).toBe("409 idempotency_conflict");
    // The same key means something else for another schedule.
    const other = await make();
    expect((await ask(`POST /v1/schedules/${other}/trigger`, { headers })).status).toBe(409);
  });

  it("starts one in the code, and refuses what it does not know", async () => {
    expect((await ask("POST /v1/schedules/web-yearly/trigger?wait=60s")).body).toMatchObject({ status: "completed" });
    const call = "POST /v1/schedules/web-yearly/trigger";
    expect(await refusal(call, { json: { input: 1 } })).toBe("400 field_unknown");
    expect(await refusal(`${call}?wait=2m`)).toBe("400 parameter_invalid");
    expect(await refusal(call, { token: tokens.read })).toBe("403 role_insufficient");
  });
});

describe("POST /v1/schedules/:id/backfill", () => {
  const from = "2026-01-01T00:00:00Z";
  const to = "2026-01-01T04:00:00Z";

  it("starts each firing of the range once, its beginning included, its end not", async () => {
    // On no other day of the year: one that fires meanwhile is no run of the backfill.
    const id = await make({ cron: "0 * 1 1 *", input: "past" });
    const backfill = () => ask(`POST /v1/schedules/${id}/backfill`, { json: { from, to } });
    expect(await backfill()).toMatchObject({ status: 202, body: { firings: 4 } });
    await scheduleThatIs(id, { backfills: [] });
    expect(await backfill()).toMatchObject({ status: 202, body: { firings: 4 } });
    await scheduleThatIs(id, { backfills: [] });
    for (const hour of ["00", "01", "02", "03"]) {
      const run = await runThatIs(`${id}:20260101T${hour}0000Z`, { status: "completed" });
      expect(run.output).toBe("past");
    }
    await expect.poll(() => runsOf(id, "web-echo")).toHaveLength(4);
    const { body } = await ask(`GET /v1/runs/${id}:20260101T000000Z/history`);
    expect((body["entries"] as unknown[])[0]).toMatchObject({
      by: "admin",
      schedule: { id, at: `${from.slice(0, -1)}.000Z` },
    });
  });

  it("says what is in its way: runs of an earlier schedule of that id, with another input", async () => {
    const fields = { id: newId("anew"), cron: "0 * 1 1 *" };
    const json = { from, to: "2026-01-01T02:00:00Z" };
    const backfill = async (id: string): Promise<void> => {
      expect((await ask(`POST /v1/schedules/${id}/backfill`, { json })).body).toEqual({ firings: 2 });
      await scheduleThatIs(id, { backfills: [] });
    };
    const id = await make({ ...fields, input: "old" });
    await backfill(id);
    const first = `${id}:20260101T000000Z`;
    await ask(`PATCH /v1/schedules/${id}`, { json: { input: "other" } });
    await backfill(id);
    expect(await find(id)).toMatchObject({ lastError: null });
    await ask(`DELETE /v1/schedules/${id}`);
    await make({ ...fields, input: "old" });
    await backfill(id);
    expect(await find(id)).toMatchObject({ lastError: null });
    await ask(`DELETE /v1/schedules/${id}`);
    await make({ ...fields, input: "new" });
    await runThatIs(first, { status: "completed" });
    await ask(`DELETE /v1/runs/${first}`);
    await backfill(id);
    expect(await runThatIs(first, { status: "completed" })).toMatchObject({ output: "new" });
    const second = `${id}:20260101T010000Z`;
    expect(await find(id)).toMatchObject({ lastError: { message: expect.stringContaining(second) } });
    expect(await runThatIs(second, {})).toMatchObject({ input: "old" });
  });

  it("says what is in its way: a run that somebody gave the id of a firing", async () => {
    const id = await make({ cron: "0 * 1 1 *", input: "own" });
    const taken = `${id}:20260101T010000Z`;
    expect((await ask("POST /v1/workflows/web-echo/runs", { json: { id: taken, input: "other" } })).status).toBe(201);
    expect((await ask(`POST /v1/schedules/${id}/backfill`, { json: { from, to } })).body).toEqual({ firings: 4 });
    await scheduleThatIs(id, { backfills: [], lastError: { message: expect.stringContaining(taken) } });
  });

  it("goes on after every object died in its midst", async () => {
    // In no other minute of the year: one that fires meanwhile is no run of the backfill.
    const id = await make({ cron: "* * 1 1 *" });
    const json = { from, to: "2026-01-01T02:00:00Z" };
    expect((await ask(`POST /v1/schedules/${id}/backfill`, { json })).body).toEqual({ firings: 120 });
    await expect.poll(async () => (await runsOf(id, "web-echo")).length, { interval: 5 }).toBeGreaterThan(5);
    await abortAllDurableObjects();
    await scheduleThatIs(id, { backfills: [], lastError: null });
    await expect.poll(() => runsOf(id, "web-echo")).toHaveLength(120);
  });

  it("one after the other waits for each run to end, and says how far it is", async () => {
    const id = await make({ cron: "0 * * * *", workflow: "web-sleeper" });
    const json = { from, to, overlap: "buffer-all" };
    expect((await ask(`POST /v1/schedules/${id}/backfill`, { json })).body).toEqual({ firings: 4 });
    const shown = { from: "2026-01-01T00:00:00.000Z", to: "2026-01-01T04:00:00.000Z", overlap: "buffer-all" };
    for (const [started, hour] of [
      [1, "00"],
      [2, "01"],
    ] as const) {
      await scheduleThatIs(id, { backfills: [{ ...shown, firings: 4, started, refused: 0 }] });
      expect(await refusal(`GET /v1/runs/${id}:20260101T0${started}0000Z`)).toBe("404 run_not_found");
      await ask(`POST /v1/runs/${id}:20260101T${hour}0000Z/terminate`);
    }
    expect((await ask(`DELETE /v1/schedules/${id}`)).status).toBe(204);
  });

  it.each<[Record<string, unknown>, string]>([
    [{ to }, "400 body_invalid /from"],
    [{ from }, "400 body_invalid /to"],
    [{ from: 0, to }, "400 body_invalid /from"],
    [{ from: "yesterday", to }, "400 body_invalid /from"],
    [{ from: "2026-02-30T00:00:00Z", to }, "400 body_invalid /from"],
    [{ from: to, to: from }, "400 body_invalid /to"],
    [{ from, to: from }, "400 body_invalid /to"],
    [{ from, to, overlap: "skip" }, "400 body_invalid /overlap"],
    [{ from, to, limit: 1 }, "400 field_unknown /limit"],
    [{ from: "2020-01-01T00:00:00Z", to }, "422 backfill_too_large /to"],
  ])("with %j is refused", async (json, problem) => {
    const id = await make({ cron: "0,30 * * * *", timezone: "Europe/Berlin" });
    expect(await problemOf(`POST /v1/schedules/${id}/backfill`, { json })).toBe(problem);
    expect(await find(id)).toMatchObject({ backfills: [] });
  });

  it("of a range without firings is none; of no schedule 404; without the role 403", async () => {
    const id = await make();
    const json = { from, to: "2026-01-01T03:00:00Z" };
    expect(await ask(`POST /v1/schedules/${id}/backfill`, { json })).toMatchObject({
      status: 202,
      body: { firings: 0 },
    });
    expect(await refusal("POST /v1/schedules/none/backfill", { json })).toBe("404 schedule_not_found");
    const options = { json, token: tokens.operate };
    expect(await refusal(`POST /v1/schedules/${id}/backfill`, options)).toBe("403 role_insufficient");
  });
});

/** A run that a schedule started, beside it or in its place: its id. */
const strays: Readonly<Record<string, (id: string) => Promise<string>>> = {
  "a fork": async (id) => {
    const { status, body } = await ask(`POST /v1/runs/${id}/fork`);
    expect(status).toBe(201);
    return String(body["id"]);
  },
  "an import": async (id) => {
    const { text } = await ask(`POST /v1/runs/${id}/export`);
    expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    expect((await ask("POST /v1/runs/import", { raw: text })).status).toBe(201);
    return id;
  },
};

describe("a run that a schedule started", () => {
  it.each(Object.keys(strays))(
    "tells it nothing as %s: neither that it goes on nor that it failed (guarantee 6)",
    async (how) => {
      const id = await make({ workflow: "fork-twice-broken", overlap: "skip", pauseOnFailure: true });
      const { body } = await ask(`POST /v1/schedules/${id}/trigger`);
      await scheduleThatIs(id, { paused: true, pausedReason: `run ${String(body["id"])} failed` });
      const stray = (await strays[how]?.(String(body["id"]))) ?? "";
      await runThatIs(stray, { status: "failed" });
      expect((await historyOf(stray))[0]).toMatchObject({ schedule: { id } });
      mend(stray);
      expect((await ask(`POST /v1/runs/${stray}/retry`)).status).toBe(200);
      await runThatIs(stray, { status: "waiting" });
      // The next firing is not skipped, though the stray goes on.
      await ask(`PATCH /v1/schedules/${id}`, { json: { paused: false, cron: "* * * * * *" } });
      await scheduleThatIs(id, { paused: true, pausedReason: expect.stringMatching(/Z failed$/) });
      await ask(`PATCH /v1/schedules/${id}`, { json: { paused: false, cron: yearly } });
      await ask(`POST /v1/runs/${stray}/signals/go`);
      await runThatIs(stray, { status: "failed", error: { message: "broken again" } });
      // It is gone once it has told whom it had to.
      expect((await ask(`DELETE /v1/runs/${stray}`)).status).toBe(204);
      expect(await find(id)).toMatchObject({ paused: false });
    },
  );
});
