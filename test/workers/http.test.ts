/** The HTTP API against the real thing: every route, and what the contract says of its edges. */
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { routes } from "../../src/http/app.ts";
import { repair } from "./flows/http.ts";
import { ask, historyOf, newId, refusal, runThatIs, start, tokens } from "./client.ts";
import { settings } from "./settings.ts";
import { evict } from "./storage.ts";

const rfc3339 = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const order = { id: "7", total: 12.5 };

describe("GET /health", () => {
  it("is alive, to anybody", async () => {
    const { status, body } = await ask("GET /health", { token: null });
    expect([status, body]).toEqual([200, { status: "ok" }]);
  });
});

describe("a binding that wrangler.toml does not have", () => {
  const classes = {
    RUNS: "RunObject",
    DIRECTORY: "DirectoryObject",
    SCHEDULER: "SchedulerObject",
    LANES: "LaneObject",
  };

  it.each(Object.entries(classes))("%s is an error that names it and says what to add", async (name, className) => {
    delete settings[name];
    const { status, body } = await ask("POST /v1/workflows/web-order/runs", { json: { input: order } });
    expect([status, body["code"]]).toEqual([503, "config_invalid"]);
    expect(body["detail"]).toContain(`name = "${name}" and class_name = "${className}"`);
  });

  it("but has as a variable is the same error", async () => {
    settings["LANES"] = "some text";
    expect(await refusal("GET /v1/runs")).toBe("503 config_invalid");
  });
});

describe("guarantee 9: closed by default", () => {
  const guarded = routes.filter(({ role, page }) => role !== "open" && page !== true);
  const order = ["read", "operate", "admin"] as const;

  it.each(guarded)("$method $path asks for a token, and for the role $role", async ({ method, path, role }) => {
    // Refused by whoever is let in to: an answer that is a stream would not end.
    const call = `${method} ${path.replace(/:\w+/g, "none")}?unknown=1`;
    expect(await refusal(call, { token: null })).toBe("401 token_missing");
    expect(await refusal(call, { token: "x-token-123" })).toBe("401 token_unknown");
    for (const held of order) {
      const answer = await refusal(call, { token: tokens[held] });
      const enough = order.findIndex((each) => each === held) >= order.findIndex((each) => each === role);
      expect(answer === "403 role_insufficient").toBe(!enough);
      expect(answer).not.toMatch(/^(401|5)/);
    }
  });
});

describe("GET /v1/workflows", () => {
  it("lists definitions with the JSON Schema of input and signals, and counts", async () => {
    await start("web-order", { input: order });
    const { status, body } = await ask("GET /v1/workflows");
    const names = (body["workflows"] as { name: string }[]).map(({ name }) => name);
    expect([status, names]).toEqual([200, expect.arrayContaining(["web-order", "web-echo", "web-planned"])]);
    const one = await ask("GET /v1/workflows/web-order");
    expect([one.status, one.body]).toMatchObject([
      200,
      {
        name: "web-order",
        version: "1",
        versions: ["1"],
        input: { type: "object", properties: { id: { type: "string" }, total: { type: "number" } } },
        signals: { approval: { type: "object", properties: { approved: { type: "boolean" } } } },
        schedules: [],
      },
    ]);
    // No other test starts one of this.
    await start("web-planned");
    const counts = async () => (await ask("GET /v1/workflows/web-planned")).body["counts"];
    const none = { queued: 0, running: 0, waiting: 0, paused: 0, failed: 0, cancelled: 0 };
    await expect.poll(counts).toEqual({ ...none, completed: 1 });
  });

  it("shows the schedules of each", async () => {
    const { body } = await ask("GET /v1/workflows/web-planned");
    expect(body["schedules"]).toMatchObject([{ id: "web-yearly", workflow: "web-planned", cron: "0 3 1 1 *" }]);
  });

  it("knows no others", async () => {
    expect(await refusal("GET /v1/workflows/none")).toBe("404 workflow_not_found");
    expect(await refusal(`GET /v1/workflows/${"x".repeat(300)}`)).toBe("404 workflow_not_found");
  });
});

describe("POST /v1/workflows/:name/runs", () => {
  it("starts a run: 201, its address and the whole run", async () => {
    const id = newId("new");
    const json = { id, input: order, labels: { city: "Bremen" } };
    const { status, body, headers } = await ask("POST /v1/workflows/web-order/runs", { json });
    expect([status, headers.get("location")]).toEqual([201, `/v1/runs/${id}`]);
    expect(body).toEqual({
      id,
      workflow: "web-order",
      version: "1",
      status: expect.stringMatching(/^(queued|running|waiting)$/),
      input: order,
      output: null,
      error: null,
      labels: { order: "7", city: "Bremen" },
      progress: null,
      parent: null,
      createdAt: rfc3339,
      startedAt: expect.toSatisfy((at) => at === null || typeof at === "string"),
      updatedAt: rfc3339,
      finishedAt: null,
      waitingFor: expect.any(Array),
      reason: expect.toSatisfy((reason) => reason === null || typeof reason === "string"),
      steps: { completed: expect.any(Number), failed: 0, running: expect.any(Number) },
      active: expect.any(Array),
      trace: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/),
      cost: expect.objectContaining({ rowsWritten: expect.any(Number), usd: expect.any(Number) }),
    });
    const run = await runThatIs(id, { status: "waiting" });
    expect(run.waitingFor).toEqual([{ kind: "signal", name: "approval", since: rfc3339, until: rfc3339 }]);
  });

  it("makes ids that sort by time", async () => {
    const first = await ask("POST /v1/workflows/web-echo/runs");
    await expect.poll(() => Date.now()).toBeGreaterThan(Date.parse(String(first.body["createdAt"])));
    const second = await ask("POST /v1/workflows/web-echo/runs");
    expect(first.status).toBe(201);
    expect(String(second.body["id"]) > String(first.body["id"])).toBe(true);
  });

  it("the same id again is 200 and the same run; with another input or workflow 409", async () => {
    const { id } = await start("web-order", { input: order });
    const again = await ask("POST /v1/workflows/web-order/runs", { json: { id, input: { total: 12.5, id: "7" } } });
    expect([again.status, again.body["id"], again.headers.get("location")]).toEqual([200, id, `/v1/runs/${id}`]);
    const other = { json: { id, input: { ...order, total: 13 } } };
    expect(await refusal("POST /v1/workflows/web-order/runs", other)).toBe("409 run_exists");
    expect(await refusal("POST /v1/workflows/web-echo/runs", { json: { id, input: order } })).toBe("409 run_exists");
    expect((await historyOf(id)).filter(({ kind }) => kind === "run.created")).toHaveLength(1);
  });

  it("the same Idempotency-Key again is 200 and the same run; with another body 409", async () => {
    const headers = { "idempotency-key": newId("key") };
    const first = await ask("POST /v1/workflows/web-order/runs", { json: { input: order }, headers });
    const again = await ask("POST /v1/workflows/web-order/runs", { json: { input: order }, headers });
    expect([first.status, again.status, again.body["id"]]).toEqual([201, 200, first.body["id"]]);
    const other = { json: { input: { ...order, total: 1 } }, headers };
    expect(await refusal("POST /v1/workflows/web-order/runs", other)).toBe("409 idempotency_conflict");
    const elsewhere = { json: { input: order }, headers };
    expect(await refusal("POST /v1/workflows/web-echo/runs", elsewhere)).toBe("409 idempotency_conflict");
  });

  it("an input that the workflow's labels cannot be made from is refused, and the workflow named", async () => {
    const { status, body } = await ask("POST /v1/workflows/web-labelled/runs", { json: { input: {} } });
    expect([status, body["code"], body["detail"]]).toEqual([
      400,
      "label_invalid",
      expect.stringContaining("web-labelled"),
    ]);
    expect((await start("web-labelled", { input: { who: { name: "Ann" } } }, "?wait=60s")).status).toBe("completed");
  });

  it("sixteen starts at once with one key are one run", async () => {
    const headers = { "idempotency-key": newId("race") };
    const call = (): ReturnType<typeof ask> =>
      ask("POST /v1/workflows/web-order/runs", { json: { input: order }, headers });
    const answers = await Promise.all(Array.from({ length: 16 }, call));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array.from({ length: 15 }, () => 200), 201]);
    expect(new Set(answers.map(({ body }) => body["id"])).size).toBe(1);
  });

  it("?wait answers with the end, and with the unfinished run if it has not come", async () => {
    const done = await ask("POST /v1/workflows/web-echo/runs?wait=60s", { json: { input: "hello" } });
    expect([done.status, done.body]).toMatchObject([201, { status: "completed", output: "hello", reason: null }]);
    const asleep = await ask("POST /v1/workflows/web-sleeper/runs?wait=50");
    expect([asleep.status, asleep.body]).toMatchObject([
      201,
      { status: "waiting", waitingFor: [{ kind: "timer", name: "nap" }] },
    ]);
  });

  it("an input that does not fit is 422, with every problem and its place", async () => {
    const { status, body } = await ask("POST /v1/workflows/web-order/runs", { json: { input: { id: 7 } } });
    expect([status, body]).toMatchObject([422, { code: "input_invalid", status: 422 }]);
    expect((body["errors"] as { path: string }[]).map(({ path }) => path).toSorted()).toEqual(["/id", "/total"]);
  });

  it("without a schema any JSON is taken, none included", async () => {
    for (const input of [null, 0, "", false, [], {}, [1, { a: null }]]) {
      expect((await start("web-echo", { input }, "?wait=60s")).output).toEqual(input);
    }
    const none = await ask("POST /v1/workflows/web-echo/runs?wait=60s");
    expect([none.status, none.body]).toMatchObject([
      201,
      { input: { $type: "undefined" }, output: { $type: "undefined" } },
    ]);
  });

  it("values that JSON cannot carry come back as they went", async () => {
    const input = {
      at: { $type: "Date", value: "2026-03-01T09:00:00.000Z" },
      map: { $type: "Map", value: [["a", { $type: "Set", value: [1] }]] },
      big: { $type: "BigInt", value: "12345678901234567890" },
      bytes: { $type: "Uint8Array", value: "AAEC/w==" },
      none: { $type: "undefined" },
      numbers: [{ $type: "NaN" }, { $type: "Infinity" }, { $type: "-Infinity" }, { $type: "-0" }],
      pattern: { $type: "RegExp", value: { source: "a+", flags: "gi" } },
      own: { $type: "Object", value: { $type: "Date" } },
      text: "ünï\u0000\ud800",
    };
    const run = await start("web-echo", { input }, "?wait=60s");
    expect(run).toMatchObject({ status: "completed", input, output: input, progress: { seen: input } });
  });

  it("one that has not begun at its notAfter is cancelled", async () => {
    const notAfter = new Date(Date.now() + 50).toISOString();
    const late = await start("web-echo", { delay: "1 hour", notAfter }, "?wait=60s");
    expect(late).toMatchObject({ status: "cancelled", error: { code: "start_expired" } });
    expect(await start("web-echo", { notAfter: "2035-01-01T00:00:00Z" }, "?wait=60s")).toMatchObject({
      status: "completed",
    });
  });

  it("a delay or a startAt holds it back, visibly", async () => {
    const before = Date.now();
    const run = await start("web-echo", { delay: "1 hour" });
    expect(run).toMatchObject({
      status: "queued",
      startedAt: null,
      waitingFor: [{ kind: "start", since: run.createdAt }],
    });
    const until = Date.parse(String(run.waitingFor[0]?.until));
    expect(until).toBeGreaterThanOrEqual(before + 3_600_000);
    expect(until).toBeLessThanOrEqual(Date.now() + 3_600_000);
    const later = await start("web-echo", { startAt: "2035-01-01T02:00:00+02:00" });
    expect(later).toMatchObject({
      status: "queued",
      waitingFor: [{ kind: "start", until: "2035-01-01T00:00:00.000Z" }],
    });
    expect(await start("web-echo", { startAt: "2020-01-01T00:00:00Z" }, "?wait=60s")).toMatchObject({
      status: "completed",
    });
    const soon = await start("web-echo", { delay: 100 }, "?wait=60s");
    expect(soon).toMatchObject({ status: "completed" });
  });

  it("an instant as far as RFC 3339 reaches is taken and shown", async () => {
    const startAt = "9999-12-31T23:59:59.000Z";
    expect(await start("web-echo", { startAt })).toMatchObject({ status: "queued", waitingFor: [{ until: startAt }] });
  });
});

describe("GET /v1/runs", () => {
  const list = async (query: string) =>
    (await ask(`GET /v1/runs?${query}`)).body as { runs: { id: string }[]; cursor: string | null };

  it("lists newest first, by workflow, status, label and time, a page at a time", async () => {
    const group = newId("group");
    const ids: string[] = [];
    for (const n of [1, 2, 3, 4, 5]) ids.unshift((await start("web-sleeper", { labels: { group, n: String(n) } })).id);
    const filter = `label.group=${group}`;
    await expect.poll(async () => (await list(filter)).runs.length).toBe(5);
    const all = await list(`${filter}&workflow=web-sleeper&status=waiting,running`);
    expect([all.runs.map(({ id }) => id), all.cursor]).toEqual([ids, null]);
    expect(Object.keys(all.runs[0] ?? {})).toEqual(
      expect.arrayContaining(["id", "workflow", "status", "labels", "createdAt"]),
    );

    const seen: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page = await list(`${filter}&limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`);
      expect(page.runs.length).toBeLessThanOrEqual(2);
      seen.push(...page.runs.map(({ id }) => id));
      cursor = page.cursor;
    }
    expect(seen).toEqual(ids);

    expect((await list(`${filter}&label.n=3`)).runs.map(({ id }) => id)).toEqual([ids[2]]);
    expect((await list(`${filter}&status=completed`)).runs).toEqual([]);
    expect((await list(`${filter}&workflow=web-echo`)).runs).toEqual([]);
    expect((await list(`${filter}&createdBefore=2020-01-01T00:00:00Z`)).runs).toEqual([]);
    expect((await list(`${filter}&createdAfter=2020-01-01T00:00:00%2B01:00`)).runs).toHaveLength(5);
    expect((await list(`${filter}&createdAfter=2020-01-01T00:00:00+01:00`)).runs).toHaveLength(5);
  });
});

describe("GET /v1/runs/:id", () => {
  it("waits for the end if asked", async () => {
    const { id } = await start("web-order", { input: order });
    const waiting = ask(`GET /v1/runs/${id}?wait=60s`);
    await ask(`POST /v1/runs/${id}/signals/approval`, { json: { approved: true } });
    const { status, body } = await waiting;
    const output = {
      charge: { amount: 12.5, at: { $type: "Date", value: "1970-01-01T00:00:00.000Z" } },
      approved: true,
    };
    expect([status, body]).toMatchObject([
      200,
      { status: "completed", output, finishedAt: rfc3339, waitingFor: [], reason: null },
    ]);
  });

  it("unknown is 404", async () => {
    expect(await refusal("GET /v1/runs/none")).toBe("404 run_not_found");
    expect(await refusal("GET /v1/runs/none/history")).toBe("404 run_not_found");
  });
});

describe("GET /v1/runs/:id/history", () => {
  it("guarantee 8: tells the whole story, a page at a time", async () => {
    const { id } = await start("web-order", { input: order });
    await ask(`POST /v1/runs/${id}/signals/approval`, { json: { approved: false }, token: tokens.operate });
    await runThatIs(id, { status: "completed" });
    const entries = await historyOf(id);
    expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, index) => index + 1));
    expect(entries.every(({ at }) => new Date(at).toISOString() === at)).toBe(true);
    const find = (kind: string) => entries.find((entry) => entry.kind === kind);
    expect(find("run.created")).toMatchObject({ id, workflow: "web-order", input: order, by: "admin", schedule: null });
    expect(find("step.completed")).toMatchObject({
      step: "charge",
      attempt: 1,
      startedAt: rfc3339,
      result: { amount: 12.5 },
    });
    expect(find("wait.started")).toMatchObject({ name: "approval", until: rfc3339 });
    const received = find("signal.received");
    expect(received).toMatchObject({ name: "approval", payload: { approved: false }, by: "operate" });
    expect(find("signal.consumed")).toMatchObject({ name: "approval", signal: received?.seq });
    expect(entries.at(-1)).toMatchObject({ kind: "run.completed", output: { approved: false } });

    const paged: unknown[] = [];
    let after: unknown = 0;
    while (after !== null) {
      const { body } = await ask(`GET /v1/runs/${id}/history?after=${String(after)}&limit=2`);
      paged.push(...(body["entries"] as unknown[]));
      after = body["next"];
    }
    expect(paged).toEqual(entries);
    expect((await ask(`GET /v1/runs/${id}/history?after=9999`)).body).toEqual({ entries: [], next: null });
  });

  it("guarantee 8: shows an error as structure", async () => {
    const { id } = await start("web-fragile", {}, "?wait=60s");
    const { body } = await ask(`GET /v1/runs/${id}`);
    const error = { name: "RangeError", message: "broken", code: "step_failed", step: "second", attempts: 1 };
    expect(body).toMatchObject({ status: "failed", error: { ...error, cause: expect.any(Object) } });
    expect((await historyOf(id)).find(({ kind }) => kind === "step.failed")).toMatchObject({
      step: "second",
      error: { message: "broken" },
    });
  });
});

describe("POST /v1/runs/:id/signals/:name", () => {
  it("guarantee 5: 202; the same key again is a duplicate; the same key with another payload 409", async () => {
    const { id } = await start("web-sleeper");
    const headers = { "idempotency-key": "signal-1" };
    const call = `POST /v1/runs/${id}/signals/poke`;
    const first = await ask(call, { json: { n: 1 }, headers });
    expect([first.status, first.body]).toEqual([202, { accepted: true, duplicate: false }]);
    const again = await ask(call, { json: { n: 1 }, headers });
    expect([again.status, again.body]).toEqual([202, { accepted: true, duplicate: true }]);
    expect(await refusal(call, { json: { n: 2 }, headers })).toBe("409 idempotency_conflict");
    expect((await historyOf(id)).filter(({ kind }) => kind === "signal.received")).toHaveLength(1);
  });

  it("takes any name a URL can carry, and any payload but null", async () => {
    const name = "ap/proval:7 ü%?#";
    const call = (id: string): string => `POST /v1/runs/${id}/signals/${encodeURIComponent(name)}`;
    for (const payload of [0, "", false, [], { $type: "Date", value: "2026-03-01T09:00:00.000Z" }]) {
      const { id } = await start("web-listen", { input: { name } });
      expect(await refusal(call(id), { raw: "null" })).toBe("422 signal_invalid");
      expect((await ask(call(id), { json: payload })).status).toBe(202);
      expect((await runThatIs(id, { status: "completed" })).output).toEqual(payload);
    }
    const { id } = await start("web-listen", { input: { name } });
    expect((await ask(call(id))).status).toBe(202);
    expect((await runThatIs(id, { status: "completed" })).output).toEqual({});
  });

  it("one that does not fit its schema is 422, to an ended run 409, to no run 404", async () => {
    const { id } = await start("web-order", { input: order });
    const call = `POST /v1/runs/${id}/signals/approval`;
    const { status, body } = await ask(call, { json: { approved: "yes" } });
    expect([status, body]).toMatchObject([422, { code: "signal_invalid", errors: [{ path: "/approved" }] }]);
    expect((await ask(call, { json: { approved: true } })).status).toBe(202);
    await runThatIs(id, { status: "completed" });
    expect(await refusal(call, { json: { approved: true } })).toBe("409 run_ended");
    expect(await refusal("POST /v1/runs/none/signals/approval", { json: {} })).toBe("404 run_not_found");
  });
});

describe("POST /v1/signals/:name", () => {
  it("reaches every run that waits for the name, and is kept for the next if none does", async () => {
    const name = newId("news");
    const labels = { name };
    const runs = [
      await start("web-listen", { input: { name }, labels }),
      await start("web-listen", { input: { name }, labels }),
    ];
    // Waiters are found in the directory, which may be late by a moment.
    const listed = async () => (await ask(`GET /v1/runs?status=waiting&label.name=${name}`)).body["runs"];
    await expect.poll(listed).toHaveLength(2);
    const json = { text: "to all" };
    const all = await ask(`POST /v1/signals/${name}`, { json });
    expect([all.status, all.body]).toEqual([202, { delivered: 2, buffered: false }]);
    for (const { id } of runs) expect((await runThatIs(id, { status: "completed" })).output).toEqual(json);

    const later = newId("later");
    const kept = await ask(`POST /v1/signals/${later}`, { json });
    expect([kept.status, kept.body]).toEqual([202, { delivered: 0, buffered: true }]);
    const { id } = await start("web-listen", { input: { name: later } });
    expect((await runThatIs(id, { status: "completed" })).output).toEqual(json);
  });
});

describe("POST /v1/runs/:id/{cancel,terminate,pause,resume,retry} and DELETE", () => {
  it("cancel and terminate end a run, with who and why", async () => {
    for (const [kind, code] of [
      ["cancel", "cancelled"],
      ["terminate", "terminated"],
    ] as const) {
      const { id } = await start("web-sleeper");
      const { status, body } = await ask(`POST /v1/runs/${id}/${kind}`, { json: { reason: "not needed" } });
      expect([status, body]).toMatchObject([200, { id }]);
      const run = await runThatIs(id, { status: "cancelled" });
      expect(run).toMatchObject({ error: { code, message: expect.stringContaining("not needed") }, waitingFor: [] });
      expect((await historyOf(id)).at(-1)).toMatchObject({ kind: "run.cancelled", by: "admin", reason: "not needed" });
      for (const again of ["terminate", "pause", "resume"]) {
        expect(await refusal(`POST /v1/runs/${id}/${again}`, {})).toBe("409 run_ended");
      }
    }
  });

  it("the same Idempotency-Key is the same action; with another action or reason 409", async () => {
    const { id } = await start("web-sleeper");
    const headers = { "idempotency-key": "p1" };
    const call = `POST /v1/runs/${id}/pause`;
    for (const _ of [1, 2]) expect((await ask(call, { json: { reason: "one" }, headers })).status).toBe(200);
    expect(await refusal(call, { json: { reason: "two" }, headers })).toBe("409 idempotency_conflict");
    expect(await refusal(`POST /v1/runs/${id}/resume`, { json: { reason: "one" }, headers })).toBe(
      "409 idempotency_conflict",
    );
    expect((await historyOf(id)).filter(({ kind }) => kind === "run.paused")).toHaveLength(1);
  });

  it("pause holds a run and resume lets it go; the body is optional", async () => {
    const { id } = await start("web-order", { input: order });
    await runThatIs(id, { status: "waiting" });
    expect((await ask(`POST /v1/runs/${id}/pause`)).body).toMatchObject({ id, status: "paused" });
    expect((await ask(`POST /v1/runs/${id}/signals/approval`, { json: { approved: true } })).status).toBe(202);
    expect(await runThatIs(id, { status: "paused" })).toMatchObject({ output: null });
    expect((await ask(`POST /v1/runs/${id}/resume`, { json: {} })).status).toBe(200);
    await runThatIs(id, { status: "completed" });
  });

  it.each([
    ["web-order", order],
    ["listen-at-once", { name: "resumed", count: 3, timeout: 3_600_000 }],
  ])("resume of %s answers with what it waits for, and not that its handler is at no step", async (name, input) => {
    const { id } = await start(name, { input });
    await runThatIs(id, { status: "waiting" });
    for (const isEvicted of [false, true]) {
      await ask(`POST /v1/runs/${id}/pause`);
      if (isEvicted) await evict(id);
      const { body } = await ask(`POST /v1/runs/${id}/resume`);
      expect(body).toMatchObject({ status: "waiting", reason: expect.stringMatching(/^waiting for signal /) });
    }
  });

  it.each([false, true])("retry answers with what the run waits for then; evicted before: %s", async (isEvicted) => {
    const { id } = await start("web-stumbling", {}, "?wait=60s");
    repair(id);
    if (isEvicted) await evict(id);
    const { body } = await ask(`POST /v1/runs/${id}/retry`);
    expect(body).toMatchObject({ status: "waiting", reason: expect.stringMatching(/^waiting for signal /) });
  });

  it("retry takes a failed run on from what failed, keeping what succeeded", async () => {
    const { id } = await start("web-fragile", {}, "?wait=60s");
    repair(id);
    expect((await ask(`POST /v1/runs/${id}/retry`)).status).toBe(200);
    expect(await runThatIs(id, { status: "completed" })).toMatchObject({ output: "whole", error: null });
    const completed = (await historyOf(id)).filter(({ kind }) => kind === "step.completed");
    expect(completed.map(({ step }) => step)).toEqual(["first", "second"]);
    const { id: done } = await start("web-echo", {}, "?wait=60s");
    expect(await refusal(`POST /v1/runs/${done}/retry`)).toMatch(/^409 (run_ended|not_retryable)$/);
  });

  it("DELETE removes an ended run, and its id is free again", async () => {
    const { id } = await start("web-sleeper");
    expect(await refusal(`DELETE /v1/runs/${id}`)).toBe("409 run_not_ended");
    await ask(`POST /v1/runs/${id}/terminate`);
    const { status, text } = await ask(`DELETE /v1/runs/${id}`);
    expect([status, text]).toEqual([204, ""]);
    for (const call of [`GET /v1/runs/${id}`, `GET /v1/runs/${id}/history`, `DELETE /v1/runs/${id}`]) {
      expect(await refusal(call)).toBe("404 run_not_found");
    }
    expect((await start("web-echo", { id, input: 1 }, "?wait=60s")).output).toBe(1);
  });

  it("DELETE with an Idempotency-Key has one answer, also while it is being done", async () => {
    for (let round = 0; round < 5; round++) {
      const { id } = await start("web-echo", {}, "?wait=60s");
      const remove = (reason: string) =>
        refusal(`DELETE /v1/runs/${id}`, { json: { reason }, headers: { "idempotency-key": id } });
      expect(await Promise.all(["one", "one", "one", "one"].map(remove))).toEqual(Array(4).fill("204 undefined"));
      expect(await remove("two")).toBe("409 idempotency_conflict");
      expect(await refusal(`DELETE /v1/runs/${id}`)).toBe("404 run_not_found");
    }
  });

  it("DELETE with an Idempotency-Key is done once, and removes no later run of that id", async () => {
    const id = newId("deleted");
    await start("web-echo", { id }, "?wait=60s");
    const call = `DELETE /v1/runs/${id}`;
    const asked = { headers: { "idempotency-key": "gone" }, json: { reason: "one" } };
    for (const _ of [1, 2]) expect((await ask(call, asked)).status).toBe(204);
    expect(await refusal(call, { ...asked, json: { reason: "two" } })).toBe("409 idempotency_conflict");
    expect(await refusal(call)).toBe("404 run_not_found");
    await start("web-echo", { id, input: 2 }, "?wait=60s");
    for (const evicted of [false, true]) {
      if (evicted) await evict(id);
      expect((await ask(call, asked)).status).toBe(204);
      expect((await ask(`GET /v1/runs/${id}`)).body).toMatchObject({ status: "completed", input: 2 });
    }
    expect((await ask(call)).status).toBe(204);
    expect(await refusal(call, asked)).toBe("404 run_not_found");
  });

  it("to no run they are 404", async () => {
    for (const kind of ["cancel", "terminate", "pause", "resume", "retry"]) {
      expect(await refusal(`POST /v1/runs/none/${kind}`)).toBe("404 run_not_found");
    }
  });
});

describe("GET /v1/schedules", () => {
  it("lists those of the code, with their next firings", async () => {
    const { status, body } = await ask("GET /v1/schedules");
    const schedules = body["schedules"] as Record<string, unknown>[];
    const yearly = schedules.find(({ id }) => id === "web-yearly");
    expect([status, yearly]).toMatchObject([
      200,
      { workflow: "web-planned", cron: "0 3 1 1 *", timezone: "Europe/Berlin", input: { year: true }, paused: false },
    ]);
    const next = (yearly?.["next"] ?? []) as readonly string[];
    expect(next[0]).toMatch(/^\d{4}-01-01T02:00:00\.000Z$/);
    const one = await ask("GET /v1/schedules/web-yearly");
    expect([one.status, one.body]).toEqual([200, yearly]);
    expect(await refusal("GET /v1/schedules/none")).toBe("404 schedule_not_found");
  });
});

describe("ANY /hooks/:token", () => {
  async function open(workflow: string, input: object = {}): Promise<{ id: string; path: string }> {
    const { id } = await start(workflow, { input });
    const run = await runThatIs(id, { status: "waiting", waitingFor: [{ kind: "webhook", name: "callback" }] });
    const url = new URL(String(run.waitingFor[0]?.url));
    expect(url.origin).toBe(env.PUBLIC_URL);
    return { id, path: url.pathname };
  }

  it("guarantee 1: resolves the wait with the call, once, without a token", async () => {
    const { id, path } = await open("web-open-hook");
    const headers = { "content-type": "application/json", "X-Custom": "yes" };
    const call = { token: null, json: { paid: true }, headers };
    const first = await ask(`PUT ${path}?a=1&b=%C3%BC`, call);
    expect([first.status, first.body]).toEqual([202, { accepted: true, duplicate: false }]);
    const again = await ask(`PUT ${path}`, call);
    expect([again.status, again.body]).toEqual([200, { duplicate: true }]);
    await ask(`POST /v1/runs/${id}/signals/end`);
    const { output } = await runThatIs(id, { status: "completed" });
    expect(output).toMatchObject({
      method: "PUT",
      query: { a: "1", b: "ü" },
      body: { paid: true },
      headers: { "x-custom": "yes" },
    });
    expect(await refusal(`PUT ${path}`, call)).toBe("410 run_ended");
  });

  it("looking does not resolve it; a GET does", async () => {
    const { id, path } = await open("web-hook");
    expect((await ask(`HEAD ${path}`, { token: null })).status).toBe(200);
    expect((await ask(`OPTIONS ${path}`, { token: null })).status).toBe(204);
    expect(await runThatIs(id, { status: "waiting" })).toMatchObject({ waitingFor: [{ kind: "webhook" }] });
    expect((await ask(`GET ${path}`, { token: null })).status).toBe(202);
    expect(await runThatIs(id, { status: "completed" })).toMatchObject({
      output: { call: { method: "GET", body: null } },
    });
  });

  it("answers what the workflow answers, as a page that cannot act", async () => {
    const { path } = await open("web-hook", { html: true });
    const { status, text, headers } = await ask(`POST ${path}`, { token: null });
    expect([status, text, headers.get("content-type")]).toEqual([201, "<p>thanks</p>", "text/html"]);
    expect(headers.get("content-security-policy")).toBe("sandbox");
  });

  it("a call that is refused leaves the wait open", async () => {
    const { id, path } = await open("web-hook");
    const json = { "content-type": "application/json" };
    expect(await refusal(`POST ${path}`, { token: null, raw: "{broken", headers: json })).toBe("400 body_invalid");
    expect(await refusal(`POST ${path}`, { token: null, headers: { "x-forged": "1" } })).toBe("403 webhook_rejected");
    expect(await refusal(`POST ${path}`, { token: null, raw: new Uint8Array(1024 * 1024 + 1) })).toBe(
      "413 body_too_large",
    );
    expect(
      (await ask(`POST ${path}`, { token: null, raw: "fine", headers: { "content-type": "text/plain" } })).status,
    ).toBe(202);
    expect(await runThatIs(id, { status: "completed" })).toMatchObject({ output: { call: { body: "fine" } } });
  });

  it("a body is read in the charset that it names; one that nobody knows, or that it is not in, is 400", async () => {
    const { id, path } = await open("web-hook");
    const send = (type: string, bytes: number[]) =>
      refusal(`POST ${path}`, { token: null, raw: Uint8Array.from(bytes), headers: { "content-type": type } });
    expect(await send("text/plain", [0xfc])).toBe("400 body_invalid");
    expect(await send("text/plain; charset=klingon", [0x61])).toBe("400 body_invalid");
    expect(await send("text/plain; charset=shift_jis", [0x93])).toBe("400 body_invalid");
    expect(await send("text/plain; charset=iso-8859-1", [0x67, 0xfc, 0x80])).toBe("202 undefined");
    expect(await runThatIs(id, { status: "completed" })).toMatchObject({ output: { call: { body: "gü€" } } });
    const other = await open("web-hook");
    const headers = { "content-type": "application/x-www-form-urlencoded; charset=ISO-8859-1" };
    expect((await ask(`POST ${other.path}`, { token: null, raw: "name=J%FCrgen+A", headers })).status).toBe(202);
    const done = await runThatIs(other.id, { status: "completed" });
    expect(done).toMatchObject({ output: { call: { body: { name: "Jürgen A" } } } });
  });

  it("unknown or forged is 404, expired 410", async () => {
    const { path } = await open("web-hook");
    const forged = [
      path.slice(0, -4),
      `${path}A`,
      path.replace(".", "A."),
      "/hooks/x",
      "/hooks/a.b",
      "/hooks/",
      "/hooks/%00",
    ];
    for (const other of forged) {
      expect([other, (await ask(`POST ${other}`, { token: null })).status]).toEqual([other, 404]);
      expect([other, (await ask(`HEAD ${other}`, { token: null })).status]).toEqual([other, 404]);
    }
    const { id } = await start("web-open-hook", { input: { timeout: "50ms" } });
    await runThatIs(id, { status: "waiting", waitingFor: [{ kind: "signal", name: "end" }] });
    const created = (await historyOf(id)).find(({ kind }) => kind === "webhook.created");
    const late = new URL(String(created?.["url"])).pathname;
    const look = async (): Promise<number> => (await ask(`HEAD ${late}`, { token: null })).status;
    const { length } = await historyOf(id);
    expect([await look(), (await historyOf(id)).length]).toEqual([410, length]);
    expect(await refusal(`POST ${late}`, { token: null })).toBe("410 webhook_expired");
    await ask(`POST /v1/runs/${id}/terminate`);
    expect(await look()).toBe(410);
    expect(await refusal(`POST ${late}`, { token: null })).toBe("410 run_ended");
    await ask(`DELETE /v1/runs/${id}`);
    expect(await look()).toBe(404);
    expect(await refusal(`POST ${late}`, { token: null })).toBe("404 webhook_not_found");
  });
});
