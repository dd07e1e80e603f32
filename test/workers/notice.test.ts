/** Ends of runs as they are told to the world: who hears of them, how often, and what becomes of it when they do not answer. */
import { Webhook } from "standardwebhooks";
import { beforeEach, describe, expect, inject, it, vi } from "vitest";
import { defineWorkflow } from "../../src/index.ts";
import { runObject } from "../../src/objects/address.ts";
import { ask, historyOf, newId, refusal, runThatIs, start } from "./client.ts";
import type { EntryJson, RunJson } from "./client.ts";
import type { Plan, Posted } from "./collector.ts";
import { repaired, told } from "./flows/notices.ts";
import { watched } from "./crashpoint.ts";
import { settings } from "./settings.ts";
import { inRun, passTime } from "./storage.ts";

const secretOf = (byte: number): string => `whsec_${btoa(String.fromCharCode(byte).repeat(32))}`;

beforeEach(() => {
  settings["NOTIFY_SECRET"] = secretOf(1);
  settings["NOTIFY_HOSTS"] = new URL(inject("collector")).host;
});

/** An address of the test's own, which answers as planned. */
async function listen(plan: Plan = []): Promise<string> {
  const url = `${inject("collector")}/${newId("told")}`;
  await fetch(url, { method: "PUT", body: JSON.stringify(plan) });
  return url;
}

async function heardAt(url: string): Promise<Posted[]> {
  return await (await fetch(url)).json<Posted[]>();
}

/** What the address has heard, once it is as much as that. */
async function heard(url: string, count: number): Promise<Posted[]> {
  return await vi.waitFor(
    async () => {
      const posts = await heardAt(url);
      expect(posts).toHaveLength(count);
      return posts;
    },
    { timeout: 60_000, interval: 20 },
  );
}

type Notice = { readonly type: string; readonly timestamp: string; readonly data: Record<string, unknown> };

const bodyOf = ({ body }: Posted): Notice => body as Notice;
const idOf = ({ headers }: Posted): string => headers["webhook-id"] ?? "";

/** As a subscriber does it: throws where it was not signed with the secret. */
function verify({ body, headers }: Posted, secret: string): void {
  new Webhook(secret).verify(JSON.stringify(body), headers);
}

/** The runs that tell of ends of this run, once their start is on its record. */
async function noticesOf(id: string, count = 1): Promise<EntryJson[]> {
  return await vi.waitFor(
    async () => {
      const started = (await historyOf(id)).filter(({ kind }) => kind === "notice.started");
      expect(started).toHaveLength(count);
      return started;
    },
    { timeout: 60_000, interval: 20 },
  );
}

async function noticeOf(id: string): Promise<string> {
  return String((await noticesOf(id))[0]?.["run"]);
}

type NextAttempt = { readonly error: string; readonly until: number; readonly failedAt: number };

/** The wait for the next attempt of a notice, once the last one has failed. */
async function nextAttempt(notice: string): Promise<NextAttempt> {
  const run = await runThatIs(notice, { waitingFor: [{ kind: "retry", name: "deliver" }] });
  const [wait] = run.waitingFor as unknown as { readonly until: string; readonly error: string }[];
  const failed = (await historyOf(notice)).findLast(({ kind }) => kind === "step.attempt_failed");
  return {
    error: wait?.error ?? "",
    until: Date.parse(wait?.until ?? ""),
    failedAt: Date.parse(failed?.at ?? ""),
  };
}

/** A pause begins with the answer: after the address heard the post, and before its failure was on record. */
async function expectPause(url: string, { until, failedAt }: NextAttempt, least: number, most: number): Promise<void> {
  const [post] = await heardAt(url);
  expect(until - (post?.at ?? NaN)).toBeGreaterThanOrEqual(least);
  expect(until - failedAt).toBeLessThanOrEqual(most);
}

/** Refuses what it is told, and is not called again before a test has it called. */
const busy: Plan = [{ status: 503, headers: { "retry-after": "3600" } }];
const tryAgain = (notice: string) => ask(`POST /v1/runs/${notice}/retry`);

describe("the end of a run", () => {
  it("is told to those whom its start and its workflow name, each once, signed as Standard Webhooks has it", async () => {
    const [one, other] = [await listen(), await listen()];
    const input = { urls: [one], output: { paid: { $type: "Date", value: "1970-01-01T00:00:00.000Z" } } };
    const run = await start("told", { input, notify: [other, one], labels: { team: "sales" } }, "?wait=60s");
    const [post] = await heard(one, 1);
    expect(post).toBeDefined();
    if (post === undefined) return;
    expect(bodyOf(post)).toEqual({
      type: "run.completed",
      timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
      data: {
        ...{ id: run.id, workflow: "told", version: "1", status: "completed", error: null },
        output: { paid: { $type: "Date", value: "1970-01-01T00:00:00.000Z" } },
        ...{ labels: { team: "sales" }, createdAt: run.createdAt, finishedAt: bodyOf(post).timestamp },
      },
    });
    verify(post, secretOf(1));
    expect(() => verify(post, secretOf(2))).toThrow("No matching signature");
    const [second] = await heard(other, 1);
    expect(second && idOf(second)).not.toBe(idOf(post));
    const notices = await noticesOf(run.id, 2);
    expect(notices.map(({ url }) => url).toSorted()).toEqual([one, other].toSorted());
    expect(notices.map(({ run: notice }) => notice)).toContain(idOf(post));
  });

  it("is on no record of a later life, where the run began once more before that was told", async () => {
    const url = await listen();
    const { id } = await start("told", { input: {}, notify: url }, "?wait=60s");
    await runObject(id).restart({ workflow: "told", version: "1", by: "test", reason: null });
    await noticesOf(id);
    const entries = await historyOf(id);
    const kinds = ["run.created", "run.started", "run.completed", "notice.started"];
    expect(entries.map(({ kind }) => kind)).toEqual(kinds);
    expect(entries.at(-1)?.["of"]).toBe(entries.at(-2)?.seq);
  });

  it("is told by an ordinary run, which nobody is told of", async () => {
    const url = await listen();
    const { id } = await start("told", { notify: url, input: {} }, "?wait=60s");
    const notice = await noticeOf(id);
    await runThatIs(notice, {
      ...{ workflow: "holdfast.notify", status: "completed", labels: { run: id }, parent: { id, workflow: "told" } },
      output: { delivered: true, status: 200 },
    });
    const kinds = (await historyOf(notice)).map(({ kind }) => kind);
    expect(kinds).toEqual(["run.created", "run.started", "step.completed", "run.completed"]);
    expect(await heardAt(url)).toHaveLength(1);
    expect(await refusal("POST /v1/workflows/holdfast.notify/runs", { json: {} })).toBe("404 workflow_not_found");
    expect(await refusal(`POST /v1/runs/${notice}/fork`, { json: {} })).toBe("404 workflow_not_found");
  });

  it("is told of a failed run and of a cancelled one", async () => {
    const url = await listen();
    await start("told", { input: { urls: [url], outcome: "fail" } }, "?wait=60s");
    expect(bodyOf((await heard(url, 1))[0] as Posted)).toMatchObject({
      type: "run.failed",
      data: { status: "failed", output: null, error: { message: "it broke", code: "step_failed", step: "break" } },
    });
    const waiting = await start("told", { input: { outcome: "wait" }, notify: url });
    await ask(`POST /v1/runs/${waiting.id}/cancel`, { json: { reason: "not needed" } });
    const cancelled = (await heard(url, 2)).map(bodyOf).find(({ type }) => type === "run.cancelled");
    expect(cancelled).toMatchObject({ data: { id: waiting.id, error: { message: "not needed", code: "cancelled" } } });
  });

  it("that follows a retry is another end, and told under another id", async () => {
    const url = await listen();
    const { id } = await start("told", { input: { urls: [url], outcome: "fail", output: "done" } }, "?wait=60s");
    await heard(url, 1);
    repaired.add(id);
    await ask(`POST /v1/runs/${id}/retry`);
    const posts = await heard(url, 2);
    expect(posts.map((post) => bodyOf(post).type)).toEqual(["run.failed", "run.completed"]);
    expect(new Set(posts.map(idOf)).size).toBe(2);
    await noticesOf(id, 2);
  });

  it("of a later run of the same id is told, too", async () => {
    const url = await listen();
    const id = newId("again");
    for (const count of [1, 2]) {
      await start("told", { id, input: { urls: [url] } }, "?wait=60s");
      const posts = await heard(url, count);
      expect(new Set(posts.map(idOf)).size).toBe(count);
      expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
    }
  });

  it("that was not told before a retry is told as it was", async () => {
    const url = await listen(busy);
    const { id } = await start("told", { input: { urls: [url], outcome: "fail" } }, "?wait=60s");
    const notice = await noticeOf(id);
    await nextAttempt(notice);
    repaired.add(id);
    await ask(`POST /v1/runs/${id}/retry`);
    await runThatIs(id, { status: "completed" });
    await heard(url, 2);
    await tryAgain(notice);
    const posts = await heard(url, 3);
    expect(posts.map((post) => bodyOf(post).type)).toEqual(["run.failed", "run.completed", "run.failed"]);
    expect(posts[2]?.body).toEqual(posts[0]?.body);
  });

  it("of starts that were merged is told to those of the newest", async () => {
    const [first, second] = [await listen(), await listen()];
    const run = await start("told-once", { input: { urls: [first] } });
    await ask("POST /v1/workflows/told-once/runs", { json: { input: { urls: [second], output: 2 } } });
    await passTime(run.id, 3_600_000);
    await runThatIs(run.id, { status: "completed", output: 2 });
    await heard(second, 1);
    expect(await heardAt(first)).toEqual([]);
  });

  it("is left out of a run that named nobody", async () => {
    const { id } = await start("told", { input: {} }, "?wait=60s");
    expect((await historyOf(id)).at(-1)?.kind).toBe("run.completed");
  });

  it("guarantee 8: is told in the history, without the path of the address, and draws nothing in the timeline", async () => {
    const url = await listen();
    const { id } = await start("told", { input: { urls: [url] } }, "?wait=60s");
    const [started] = await noticesOf(id);
    expect(started?.["text"]).toBe(`run ${String(started?.["run"])} tells ${new URL(url).host} of the end`);
    const { body } = await ask(`GET /v1/runs/${id}`);
    const timeline = (await ask(`GET /v1/runs/${id}/timeline`)).body;
    expect(timeline["endedAt"] ?? body["finishedAt"]).toBe(body["finishedAt"]);
  });
});

describe("an address that does not take it", () => {
  it("is called again after five seconds or so, with the same id and body and a signature of that time", async () => {
    const url = await listen([500]);
    const { id } = await start("told", { input: { urls: [url], output: 1 } }, "?wait=60s");
    const notice = await noticeOf(id);
    const next = await nextAttempt(notice);
    expect(next.error).toBe("the address was not told: it answered 500");
    await expectPause(url, next, 4500, 5500);
    await tryAgain(notice);
    const [first, second] = await heard(url, 2);
    expect(first !== undefined && second !== undefined && idOf(first) === idOf(second)).toBe(true);
    expect(second?.body).toEqual(first?.body);
    verify(second as Posted, secretOf(1));
    await runThatIs(notice, { status: "completed" });
  });

  it.each([
    ["in seconds", "120", 120_000, 120_000],
    ["as a date", () => new Date(Date.now() + 90_000).toUTCString(), 85_000, 91_000],
    ["for a year", "31536000", 86_400_000, 86_400_000],
    ["sooner than it would be", "1", 4500, 5500],
    ["in nonsense", "soon", 4500, 5500],
  ])("may say when, %s", async (_, after, least, most) => {
    const headers = { "retry-after": typeof after === "string" ? after : after() };
    const url = await listen([{ status: 429, headers }]);
    const { id } = await start("told", { input: { urls: [url] } }, "?wait=60s");
    await expectPause(url, await nextAttempt(await noticeOf(id)), least, most);
  });

  it("is not followed where it redirects", async () => {
    const elsewhere = await listen();
    const url = await listen([{ status: 307, headers: { location: elsewhere } }]);
    const { id } = await start("told", { input: { urls: [url] } }, "?wait=60s");
    const { error } = await nextAttempt(await noticeOf(id));
    expect(error).toBe("the address was not told: it answered 307, and redirects are not followed");
    expect(await heardAt(elsewhere)).toEqual([]);
  });

  it("and breaks the connection is called again", async () => {
    const url = await listen(["drop"]);
    const { id } = await start("told", { input: { urls: [url] } }, "?wait=60s");
    const notice = await noticeOf(id);
    expect((await nextAttempt(notice)).error).toBe("the address was not told: it could not be reached");
    await tryAgain(notice);
    await runThatIs(notice, { status: "completed" });
  });

  it("for ever, with 410, is called no more; a person may try it again", async () => {
    const url = await listen([410]);
    const { id } = await start("told", { input: { urls: [url] } }, "?wait=60s");
    const notice = await noticeOf(id);
    await runThatIs(notice, { status: "failed", error: { code: "non_retryable" } });
    await tryAgain(notice);
    await runThatIs(notice, { status: "completed" });
    expect(await heardAt(url)).toHaveLength(2);
  });
});

describe("in code", () => {
  it("an address may be named where a run is started", async () => {
    const url = await listen();
    const { id } = await told.start({}, { id: newId("told"), notify: url });
    expect(bodyOf((await heard(url, 1))[0] as Posted)).toMatchObject({ type: "run.completed", data: { id } });
    await expect(told.start({}, { notify: "http://10.0.0.1/" })).rejects.toMatchObject({ code: "notify_invalid" });
  });

  it.each([7, [7], {}, null])("a workflow that names no addresses is refused: %j", (notify) => {
    const options = { notify, handler: () => 1 } as unknown as Parameters<typeof defineWorkflow>[1];
    expect(() => defineWorkflow("odd", options)).toThrow(
      "notify must be an address, a list of addresses, or a function",
    );
  });
});

describe("a start that names an address", () => {
  const begin = (json: object) => refusal("POST /v1/workflows/told/runs", { json });

  it("that may not be called is refused, and there is no run", async () => {
    const id = newId("told");
    const json = { id, input: {}, notify: ["https://example.com/", "https://169.254.169.254/latest"] };
    const { status, body } = await ask("POST /v1/workflows/told/runs", { json });
    expect([status, body["code"]]).toEqual([422, "notify_invalid"]);
    expect(body["errors"]).toEqual([expect.objectContaining({ path: "/notify/1" })]);
    expect(await refusal(`GET /v1/runs/${id}`)).toBe("404 run_not_found");
    expect(await begin({ input: { urls: ["http://10.0.0.1/"] } })).toBe("422 notify_invalid");
    expect(await begin({ input: { urls: [7] } })).toBe("422 notify_invalid");
    expect(await begin({ input: null })).toBe("422 notify_invalid");
  });

  it("and no list of addresses is refused", async () => {
    for (const notify of [7, {}, [7], null, [null], Array.from({ length: 11 }, () => "https://example.com/")]) {
      expect(await begin({ input: {}, notify })).toBe("400 body_invalid");
    }
  });

  it.each([
    ["is not set", undefined],
    ["is empty", " , "],
    ["has no prefix", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"],
    ["is too short", "whsec_c2VjcmV0"],
    ["is no base64", `whsec_${"?".repeat(44)}`],
    ["is wrong in its second secret", `${secretOf(1)},whsec_x`],
  ])("is refused where NOTIFY_SECRET %s, which it names and does not show", async (_, secret) => {
    settings["NOTIFY_SECRET"] = secret;
    const { status, body, text } = await ask("POST /v1/workflows/told/runs", {
      json: { input: {}, notify: "https://example.com/" },
    });
    expect([status, body["code"]]).toEqual([503, "config_invalid"]);
    expect(body["detail"]).toContain("NOTIFY_SECRET");
    for (const part of secret?.split(",") ?? []) if (part.trim().length > 8) expect(text).not.toContain(part);
  });

  it("is another start under its Idempotency-Key where it names another", async () => {
    const headers = { "idempotency-key": newId("key") };
    const url = await listen();
    const first = await ask("POST /v1/workflows/told/runs", { json: { input: {}, notify: url }, headers });
    const again = await ask("POST /v1/workflows/told/runs", { json: { input: {}, notify: [url] }, headers });
    expect([first.status, again.status, again.body["id"]]).toEqual([201, 200, first.body["id"]]);
    const other = { json: { input: {}, notify: "https://example.com/" }, headers };
    expect(await refusal("POST /v1/workflows/told/runs", other)).toBe("409 idempotency_conflict");
  });
});

it("several secrets each sign, so that one can be replaced while subscribers still know the other", async () => {
  settings["NOTIFY_SECRET"] = `${secretOf(2)}, ${secretOf(1)}`;
  const url = await listen();
  await start("told", { input: { urls: [url] } });
  const [post] = await heard(url, 1);
  for (const secret of [secretOf(1), secretOf(2)]) expect(() => verify(post as Posted, secret)).not.toThrow();
  expect(() => verify(post as Posted, secretOf(3))).toThrow("No matching signature");
});

it("an address is judged at each attempt: what is no longer allowed is called no more", async () => {
  const url = await listen(busy);
  const { id } = await start("told", { input: { urls: [url] } }, "?wait=60s");
  const notice = await noticeOf(id);
  await nextAttempt(notice);
  const hosts = settings["NOTIFY_HOSTS"];
  delete settings["NOTIFY_HOSTS"];
  await tryAgain(notice);
  await runThatIs(notice, { status: "failed" });
  expect(await heardAt(url)).toHaveLength(1);
  settings["NOTIFY_HOSTS"] = hosts;
  await tryAgain(notice);
  await runThatIs(notice, { status: "completed" });
});

it("a run that was deleted is told of no more, and its notice holds no copy of it", async () => {
  const canary = newId("canary");
  const url = await listen(busy);
  const { id } = await start("told", { input: { urls: [url], output: canary } }, "?wait=60s");
  const notice = await noticeOf(id);
  await nextAttempt(notice);
  expect(JSON.stringify(await heardAt(url))).toContain(canary);
  expect((await ask(`DELETE /v1/runs/${id}`)).status).toBe(204);
  await tryAgain(notice);
  await runThatIs(notice, { status: "completed", output: { delivered: false } });
  expect(await heardAt(url)).toHaveLength(1);
  const rows = await inRun(notice, ({ storage }) => storage.sql.exec("SELECT data FROM journal").toArray());
  expect(JSON.stringify(rows)).not.toContain(canary);
});

describe("guarantee 1: whatever dies, the end is told once", () => {
  /** run.created + run.started, then run.completed, then notice.started. */
  it.each([
    ["the end is written and lost", { at: 3, how: "lost" }],
    ["the end is safe", { at: 3, how: "kept" }],
    ["the notice was started and that is lost", { at: 4, how: "lost" }],
    ["that it was started is safe", { at: 4, how: "kept" }],
  ] as const)("the process ends as %s", async (_, blow) => {
    const id = newId("told");
    const url = await listen();
    watched(id).blows = [blow];
    const json = { id, input: { urls: [url] } };
    await ask("POST /v1/workflows/told/runs", { json }).catch(() => undefined);
    await expect.poll(async () => (await ask(`GET /v1/runs/${id}`)).body).toMatchObject({ status: "completed" });
    const [post] = await heard(url, 1);
    const [started] = await noticesOf(id);
    expect(started?.["run"]).toBe(idOf(post as Posted));
    await runThatIs(idOf(post as Posted), { status: "completed" });
    expect(watched(id).blows).toEqual([]);
    expect(await heardAt(url)).toHaveLength(1);
  });

  it("also a notice whose own process ends as it is delivered, at least once and with the same id", async () => {
    const id = newId("told");
    const url = await listen([500]);
    await start("told", { id, input: { urls: [url] } }, "?wait=60s");
    const notice = await noticeOf(id);
    await nextAttempt(notice);
    watched(notice).blows = [];
    await inRun(notice, (ctx) => ctx.abort("struck by the test")).catch(() => undefined);
    await tryAgain(notice);
    const posts = await heard(url, 2);
    expect(new Set(posts.map(idOf))).toEqual(new Set([notice]));
  });
});

it("runs that tell are listed by the run they tell of", async () => {
  const urls = [await listen(), await listen(), await listen()];
  const { id } = await start("told", { input: { urls } }, "?wait=60s");
  await vi.waitFor(
    async () => {
      const { body } = await ask(`GET /v1/runs?workflow=holdfast.notify&label.run=${id}`);
      expect((body["runs"] as RunJson[]).map(({ status }) => status)).toEqual(["completed", "completed", "completed"]);
    },
    { timeout: 60_000, interval: 50 },
  );
});
