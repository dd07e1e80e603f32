/**
 * Payloads as a right of their own: runs hold a secret word wherever there is room for one, and every route of the
 * table is asked by somebody who sees all, somebody who sees no addresses, and somebody who sees shapes.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { routes } from "../../src/http/app.ts";
import { ask, newId, runThatIs } from "./client.ts";
import type { Answer, Ask } from "./client.ts";
import { sensitiveWord } from "./flows/redaction.ts";
import { connect } from "./listener.ts";
import { settings } from "./settings.ts";

const tokens = { all: "a-token-123", read: "r-token-123", blind: "as-token-123", reader: "rs-token-123" } as const;
type Who = keyof typeof tokens;

/** Of a length of which base64 is the same wherever it stands. */
const word = "canary-3b1f9c7e5d20";
const forms = [word, btoa(word), encodeURIComponent(word)];
const marks = { "holdfast-reason": `because ${word}`, "idempotency-key": newId("redaction") };

function says(text: string): boolean {
  return forms.some((form) => text.includes(form));
}

/** Addresses of webhooks that runs wait for. */
const addresses: string[] = [];

async function fetched(who: Who, call: string, options: Ask = {}): Promise<Answer> {
  return await ask(call, { token: tokens[who], ...options });
}

async function done(call: string, options: Ask = {}): Promise<Answer> {
  const answer = await fetched("all", call, options);
  expect([call, answer.status < 300, answer.text]).toEqual([call, true, answer.text]);
  return answer;
}

const reason = { "holdfast-reason": marks["holdfast-reason"] };

/** A run of `redaction-all` that has the word everywhere, and that ends as it is told. */
async function fill(ends?: "whole" | "broken" | "bailed"): Promise<string> {
  const id = newId("redaction");
  const input = { word, ...(ends === undefined ? {} : { ends }) };
  await done("POST /v1/workflows/redaction-all/runs", { json: { id, input }, headers: reason });
  const early = await runThatIs(id, {
    waitingFor: expect.arrayContaining([expect.objectContaining({ name: "typed" })]),
  });
  const url = early.waitingFor.find(({ kind }) => kind === "webhook")?.url ?? "";
  addresses.push(new URL(url).pathname);
  await done(`POST /v1/runs/${id}/updates/echo`, { json: { said: word }, headers: reason });
  await fetched("all", `POST /v1/runs/${id}/updates/broken`, { json: word });
  await done(`POST /v1/runs/${id}/signals/note`, { json: [word], headers: reason });
  const path = `${new URL(url).pathname}?query=${word}`;
  expect((await ask(`POST ${path}`, { token: null, json: word, headers: { "x-forged": word } })).status).toBe(403);
  await done(`POST ${path}`, { json: { word }, headers: { "x-word": word } });
  await done(`POST /v1/runs/${id}/signals/judged`, { json: word });
  await done(`POST /v1/runs/${id}/signals/refused`, { json: `refused ${word}` });
  await done(`POST /v1/runs/${id}/signals/typed`, { json: { word }, headers: reason });
  if (ends !== undefined) {
    await runThatIs(id, { status: { whole: "completed", broken: "failed", bailed: "cancelled" }[ends] });
    return id;
  }
  const open = await runThatIs(id, {
    waitingFor: expect.arrayContaining(["never", "open", "again"].map((name) => expect.objectContaining({ name }))),
  });
  addresses.push(new URL(open.waitingFor.find(({ kind }) => kind === "webhook")?.url ?? "").pathname);
  return id;
}

const runs = { open: "", whole: "", broken: "", bailed: "", cancelled: "", paused: "", again: "" };
const schedule = newId("redaction");

beforeAll(async () => {
  const shapes = "read.shapes:rs-token-123,admin.shapes:as-token-123";
  settings["API_TOKENS"] = `read:r-token-123,operate:o-token-123,admin:a-token-123,${shapes}`;
  const [open, whole, broken, bailed, cancelled, paused] = await Promise.all([
    ...[fill(), fill("whole"), fill("broken"), fill("bailed"), fill(), fill()],
  ]);
  Object.assign(runs, { open, whole, broken, bailed, cancelled, paused, again: newId("redaction") });
  await done(`POST /v1/runs/${cancelled}/cancel`, { json: { reason: `why ${word}` } });
  await done(`POST /v1/runs/${paused}/pause`, { json: { reason: `why ${word}` } });
  await done("POST /v1/workflows/redaction-again/runs", { json: { id: runs.again, input: { word, turn: 0 } } });
  const keyed = { json: word, headers: { "idempotency-key": newId("redaction") } };
  await done(`POST /v1/runs/${runs.again}/signals/go`, keyed);
  await done("POST /v1/schedules", {
    json: {
      id: schedule,
      workflow: "redaction-all",
      cron: "0 3 1 1 *",
      input: { word },
      paused: true,
      reason: `why ${word}`,
    },
  });
  await done("PATCH /v1/lanes/redaction-lane", { json: { limit: 7 }, headers: reason });
  await runThatIs(runs.cancelled, { status: "cancelled" });
});

const table = routes.filter(({ role }) => role !== "open");
const each = (path: (id: string) => string) => async () => Object.values(runs).map(path);

async function bars(): Promise<string[]> {
  const pages = await Promise.all(
    [runs.open, runs.broken].map(async (id) => {
      const { body } = await fetched("all", `GET /v1/runs/${id}/timeline`);
      return (body["bars"] as { key: string }[]).map(({ key }) => `/v1/runs/${id}/steps/${encodeURIComponent(key)}`);
    }),
  );
  return pages.flat();
}

async function entries(): Promise<string[]> {
  const { body } = await fetched("all", `GET /v1/runs/${runs.broken}/history`);
  return (body["entries"] as { seq: number }[]).map(({ seq }) => `/runs/${runs.broken}/history/${seq}`);
}

/** Where each route that shows something is gone to; `*`: a full token sees the word there. */
const visits: Readonly<Record<string, () => Promise<string[]>>> = {
  "GET /openapi.json": async () => ["/openapi.json"],
  "GET /metrics": async () => ["/metrics"],
  "GET /v1/workflows": async () => ["/v1/workflows"],
  "GET /v1/workflows/:name": async () => ["/v1/workflows/redaction-all"],
  "GET /v1/runs": async () => [
    "/v1/runs?workflow=redaction-all&limit=200",
    "/v1/runs?workflow=redaction-child",
    "/v1/runs",
  ],
  "GET /v1/runs/:id": each((id) => `/v1/runs/${id}`),
  "GET /v1/runs/:id/history": each((id) => `/v1/runs/${id}/history`),
  "GET /v1/runs/:id/events": async () =>
    [runs.whole, runs.broken, runs.bailed, runs.cancelled].map((id) => `/v1/runs/${id}/events`),
  "GET /v1/runs/:id/timeline": each((id) => `/v1/runs/${id}/timeline`),
  "GET /v1/runs/:id/steps/:key": bars,
  "GET /v1/runs/:id/queries/:name": async () =>
    ["word", "broken", "absent"].map((name) => `/v1/runs/${runs.open}/queries/${name}`),
  "GET /v1/directory/counts": async () => ["/v1/directory/counts?groupBy=workflow,status,errorCode"],
  "GET /v1/directory/causes": async () => ["/v1/directory/causes?workflow=redaction-all"],
  "GET /v1/schedules": async () => ["/v1/schedules"],
  "GET /v1/schedules/:id": async () => [`/v1/schedules/${schedule}`],
  "GET /v1/lanes": async () => ["/v1/lanes"],
  "GET /v1/lanes/:name": async () => ["/v1/lanes/redaction-lane"],
  "GET /v1/stats": async () => ["/v1/stats"],
  "GET /v1/webhooks": async () => ["/v1/webhooks"],
  "GET /": async () => ["/", "/?status=failed", "/?workflow=redaction-all"],
  "GET /runs/:id": async () => [
    ...Object.values(runs).map((id) => `/runs/${id}`),
    ...["result", "lost", "webhook:early", "wait:typed", "wait:judged", "wait:refused"].map(
      (step) => `/runs/${runs.broken}?step=${step}`,
    ),
  ],
  "GET /runs/:id/timeline": each((id) => `/runs/${id}/timeline`),
  "GET /runs/:id/children": each((id) => `/runs/${id}/children`),
  "GET /runs/:id/history": each((id) => `/runs/${id}/history`),
  "GET /runs/:id/history/:seq": entries,
  "GET /workflows": async () => ["/workflows"],
  "GET /workflows/:name": async () => ["/workflows/redaction-all"],
  "GET /schedules": async () => ["/schedules"],
  "GET /lanes": async () => ["/lanes", "/lanes?name=redaction-lane"],
  "GET /stats": async () => ["/stats"],
};

/** These have nothing to show of a payload. */
const bare = ["/openapi.json", "/metrics", "/v1/directory/counts", "/v1/stats", "/v1/webhooks", "/stats"];
const bareRoutes = [...bare, "/workflows", "/workflows/:name", "/runs/:id/children"].map((path) => `GET ${path}`);

describe("every GET of the table", () => {
  it("is visited here, or is a stream", () => {
    const routes = table.filter(({ method }) => method === "GET").map(({ method, path }) => `${method} ${path}`);
    expect(Object.keys(visits).concat("GET /v1/directory/events").toSorted()).toEqual(routes.toSorted());
  });

  it.each(Object.keys(visits))(
    "%s shows the word to a full token, and never to one that sees shapes",
    async (route) => {
      const paths = (await visits[route]?.()) ?? [];
      let shown = false;
      for (const path of paths) {
        const [full, blind] = await Promise.all([fetched("all", `GET ${path}`), fetched("reader", `GET ${path}`)]);
        expect([path, blind.status]).toEqual([path, full.status]);
        expect([path, says(blind.text) ? blind.text : ""]).toEqual([path, ""]);
        expect([path, full.text.includes(sensitiveWord), blind.text.includes(sensitiveWord)]).toEqual([
          path,
          false,
          false,
        ]);
        shown ||= says(full.text);
      }
      expect(shown).toBe(!bareRoutes.includes(route));
    },
  );

  it("shows the address of a webhook to those who may answer it, and to nobody else", async () => {
    const shown = { all: 0, read: 0, reader: 0, blind: 0 };
    const open = [runs.open, runs.paused];
    for (const path of ["/v1/runs/:id", "/v1/runs/:id/history", "/runs/:id", "/v1/runs?idPrefix=:id"]) {
      for (const id of open) {
        for (const who of ["all", "read", "reader", "blind"] as const) {
          const { text } = await fetched(who, `GET ${path.replace(":id", id)}`);
          if (addresses.some((address) => text.includes(address))) shown[who] += 1;
        }
      }
    }
    expect(shown).toEqual({ all: expect.any(Number), read: 0, reader: 0, blind: 0 });
    expect(shown.all).toBeGreaterThan(5);
    // What it says is theirs to see.
    expect(says((await fetched("read", `GET /v1/runs/${runs.open}/history`)).text)).toBe(true);
  });
});

describe("live events", () => {
  /** What is told on a socket until the change has been told. */
  async function told(
    who: Who,
    path: string,
    change: () => Promise<unknown>,
    until: (messages: string) => boolean,
  ): Promise<string> {
    const channel = await connect(path, { authorization: `Bearer ${tokens[who]}` });
    const text = () => JSON.stringify(channel.messages);
    await expect.poll(text).not.toBe("[]");
    await change();
    await expect.poll(() => until(text())).toBe(true);
    channel.socket.close();
    return text();
  }

  it("of a run say the word to a full token, and never to one that sees shapes", async () => {
    const path = `/v1/runs/${runs.open}/events`;
    const note = () => done(`POST /v1/runs/${runs.open}/signals/note`, { json: [word], headers: reason });
    const isLive = (text: string) => text.split('"kind":"signal.received"').length > 5;
    expect(says(await told("all", path, note, isLive))).toBe(true);
    const blind = await told("reader", path, note, isLive);
    expect([says(blind), blind.includes(sensitiveWord)]).toEqual([false, false]);
    expect(addresses.some((address) => blind.includes(address))).toBe(false);
  });

  it("of the directory say the word to a full token, and never to one that sees shapes", async () => {
    const path = `/v1/directory/events?idPrefix=${runs.open}`;
    const pause = async () => {
      await done(`POST /v1/runs/${runs.open}/resume`, { json: {} }).catch(() => undefined);
      await done(`POST /v1/runs/${runs.open}/pause`, { json: { reason: word } });
    };
    const isListed = (text: string) => text.includes('"event":"run"');
    expect(says(await told("all", path, pause, isListed))).toBe(true);
    const blind = await told("reader", path, pause, isListed);
    expect(says(blind)).toBe(false);
    expect(addresses.some((address) => blind.includes(address))).toBe(false);
  });
});

/** What is asked of each route that changes something; `:id` is a run of `redaction-all` that waits. */
const deeds: Readonly<Record<string, readonly (readonly [path: string, options?: Ask])[]>> = {
  "POST /v1/workflows/:name/runs": [
    ["/v1/workflows/redaction-child/runs?wait=60s", { json: { input: { word } } }],
    ["/v1/workflows/redaction-child/runs?wait=60s", { json: { input: { word, broken: true } } }],
    ["/v1/workflows/redaction-all/runs", { json: { input: { word }, update: { name: "echo", argument: word } } }],
    ["/v1/workflows/redaction-all/runs", { json: { input: { word }, update: { name: "broken" } } }],
  ],
  "POST /v1/workflows/:name/batch": [
    ["/v1/workflows/redaction-child/batch", { json: { runs: [{ input: { word } }, { input: word }] } }],
  ],
  "POST /v1/runs/:id/updates/:name": [
    ["/v1/runs/:id/updates/echo", { json: word }],
    ["/v1/runs/:id/updates/broken", { json: word }],
  ],
  "POST /v1/runs/:id/signals/:name": [["/v1/runs/:id/signals/note", { json: word, headers: reason }]],
  "POST /v1/signals/:name": [["/v1/signals/redaction-nobody", { json: word }]],
  "POST /v1/runs/:id/webhooks/:name/revoke": [["/v1/runs/:id/webhooks/open/revoke", { json: { reason: word } }]],
  "POST /v1/runs/:id/pause": [["/v1/runs/:id/pause", { json: { reason: word } }]],
  "POST /v1/runs/:id/resume": [["/v1/runs/:id/resume", { json: { reason: word } }]],
  "POST /v1/runs/:id/retry": [["/v1/runs/:id/retry", { json: { reason: word } }]],
  "POST /v1/runs/:id/fork": [
    ["/v1/runs/:id/fork?dryRun=true", { json: {} }],
    ["/v1/runs/:id/fork", { json: { reason: word } }],
    ["/v1/runs/:id/fork", { json: { from: "result", reason: word } }],
  ],
  "POST /v1/runs/:id/cancel": [["/v1/runs/:id/cancel", { json: { reason: word } }]],
  "POST /v1/runs/:id/terminate": [["/v1/runs/:id/terminate", { json: { reason: word } }]],
  "DELETE /v1/runs/:id": [["/v1/runs/:id", { json: { reason: word } }]],
  "POST /v1/runs/bulk": [
    ["/v1/runs/bulk?dryRun=true", { json: { action: "pause", filter: { idPrefix: "none-" } } }],
    ["/v1/runs/bulk", { json: { action: "pause", filter: { idPrefix: "none-" }, reason: word } }],
  ],
  "POST /v1/directory/rebuild": [["/v1/directory/rebuild", { json: { shard: 0 } }]],
  "POST /v1/directory/rekey": [["/v1/directory/rekey", { json: { reason: word } }]],
  // Refused below.
  "POST /v1/runs/import": [],
  "POST /v1/runs/:id/export": [],
  "POST /v1/schedules": [
    ["/v1/schedules", { json: { id: newId("made"), workflow: "redaction-child", cron: "0 3 1 1 *", input: { word } } }],
  ],
  "PATCH /v1/schedules/:id": [[`/v1/schedules/${schedule}`, { json: { timezone: "UTC", reason: word } }]],
  "POST /v1/schedules/:id/trigger": [[`/v1/schedules/${schedule}/trigger`, { json: { reason: word } }]],
  "POST /v1/schedules/:id/backfill": [
    [`/v1/schedules/${schedule}/backfill`, { json: { from: "2026-01-02T00:00:00Z", to: "2026-01-03T00:00:00Z" } }],
  ],
  "DELETE /v1/schedules/:id": [[`/v1/schedules/${schedule}`, { json: { reason: word } }]],
  "PATCH /v1/lanes/:name": [["/v1/lanes/redaction-lane", { json: { limit: 8 }, headers: reason }]],
};

describe("whatever changes something", () => {
  it("is done here, each route of the table", () => {
    const routes = table.filter(({ method }) => method !== "GET").map(({ method, path }) => `${method} ${path}`);
    expect(Object.keys(deeds).toSorted()).toEqual(routes.toSorted());
  });

  it("answers somebody who sees shapes with shapes", async () => {
    const target = await fill();
    for (const [route, calls] of Object.entries(deeds)) {
      const method = route.slice(0, route.indexOf(" "));
      for (const [path, options = {}] of calls) {
        const call = `${method} ${path.replace(":id", target)}`;
        const { status, text } = await fetched("blind", call, options);
        expect([call, status < 500 && ![401, 403, 404].includes(status), status]).toEqual([call, true, status]);
        expect([call, says(text) || text.includes(sensitiveWord) ? text : ""]).toEqual([call, ""]);
        expect([call, text.includes("/hooks/")]).toEqual([call, false]);
      }
    }
  });

  it("does not let them steer the data of others, or have it sent", async () => {
    const codeOf = async (call: string, json: object) => {
      const { status, body } = await fetched("blind", call, { json });
      return `${status} ${String(body["code"])}`;
    };
    const refused = (json: object) => codeOf(`POST /v1/runs/${runs.whole}/fork`, json);
    const notified = { input: { word }, notify: "https://example.com/end" };
    expect(await codeOf("POST /v1/workflows/redaction-child/runs", notified)).toBe("403 payload_hidden");
    expect(await codeOf(`POST /v1/runs/${runs.whole}/export`, {})).toBe("403 payload_hidden");
    expect(await codeOf("POST /v1/runs/import", {})).toBe("403 payload_hidden");
    expect(await refused({ from: "lost", results: { result: { word: "mine" } } })).toBe("403 payload_hidden");
    expect(await refused({ input: { word: "mine" } })).toBe("403 payload_hidden");
    expect((await fetched("all", `POST /v1/runs/${runs.whole}/fork`, { json: { input: { word } } })).status).toBe(201);
  });

  it("does not say what refused an update that came with a start, of a run that is there", async () => {
    const call = "POST /v1/workflows/redaction-all/runs";
    const json = { id: await fill(), input: {}, update: { name: "strict", argument: "else" } };
    const [full, blind] = await Promise.all([fetched("all", call, { json }), fetched("blind", call, { json })]);
    expect([full.status, full.body["code"], says(full.text)]).toEqual([422, "update_invalid", true]);
    expect([blind.status, blind.body["code"], says(blind.text)]).toEqual([422, "update_invalid", false]);
  });

  it("does not give the input of a schedule to another workflow, which might show it, or tell what refuses it", async () => {
    const id = newId("made");
    const input = { word };
    await done("POST /v1/schedules", { json: { id, workflow: "redaction-child", cron: "0 3 1 1 *", input } });
    const [call, json] = [`PATCH /v1/schedules/${id}`, { workflow: "redaction-strict" }];
    const [full, blind] = await Promise.all([fetched("all", call, { json }), fetched("blind", call, { json })]);
    expect([full.status, full.body["code"], says(full.text)]).toEqual([422, "input_invalid", true]);
    expect([blind.status, blind.body["code"], says(blind.text)]).toEqual([403, "payload_hidden", false]);
    const same = await fetched("blind", call, { json: { workflow: "redaction-child", cron: "0 4 1 1 *" } });
    expect([same.status, same.body["cron"], says(same.text)]).toEqual([200, "0 4 1 1 *", false]);
    const own = await fetched("blind", call, { json: { workflow: "redaction-all", input: { word: "mine" } } });
    expect([own.status, own.body["workflow"]]).toEqual([200, "redaction-all"]);
  });

  it("does not take a shape for a value", async () => {
    const { body } = await fetched("reader", `GET /v1/runs/${runs.whole}`);
    expect(body["input"]).toEqual({
      $type: "Shape",
      value: {
        word: "text, up to 256 characters",
        ends: "text, up to 16 characters",
      },
    });
    const again = await fetched("all", "POST /v1/workflows/redaction-child/runs", { json: { input: body["input"] } });
    expect([again.status, again.body["code"]]).toEqual([400, "body_invalid"]);
  });
});
