/** What the web layer answers by itself: unknown routes, methods, errors, headers, bodies. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import { createApp } from "../../src/http/app.ts";
import { maxJsonBytes } from "../../src/http/body.ts";
import { parseConfig } from "../../src/http/config.ts";
import { failingService, reached, tokens } from "./service.ts";

function appThat(error: unknown) {
  return createApp(failingService(error), () => parseConfig({ API_TOKENS: tokens }));
}

const app = appThat(reached);
const headers = { authorization: "Bearer a-token-123" };

afterEach(() => void vi.restoreAllMocks());

describe("problems", () => {
  test("have the fields of RFC 9457, a code, and the issues of a schema", async () => {
    const issues = [{ path: "/total", message: "must be a number" }];
    const failing = appThat(new HoldfastError("input_invalid", "the input is not valid", { issues }));
    const response = await failing.request("/v1/workflows/order/runs", { method: "POST", headers });
    expect(response.status).toBe(422);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.json()).toEqual({
      type: "urn:holdfast:problem:input_invalid",
      title: "Unprocessable Content",
      status: 422,
      detail: "the input is not valid",
      code: "input_invalid",
      errors: issues,
    });
  });

  test.each([
    ["an error", new TypeError("secret detail 1")],
    ["an error of an object", Object.assign(new Error("secret detail 2"), { remote: true, durableObjectId: "d0ff" })],
    ["no error at all", "secret detail 3"],
    ["nothing", undefined],
  ])("%s nobody foresaw is 500, logged and not shown", async (_, error) => {
    const log = vi.spyOn(console, "error").mockReturnValue();
    const response = await appThat(error).request("/v1/runs", { headers });
    const text = await response.text();
    expect([response.status, (JSON.parse(text) as { code: string }).code]).toEqual([500, "internal"]);
    expect(text).not.toMatch(/secret|d0ff|TypeError| at /);
    expect(log.mock.calls).toEqual([[expect.any(String), error]]);
  });

  test.each([
    ["overloaded", { overloaded: true, remote: true, durableObjectId: "d0ff" }],
    ["overloaded", { overloaded: true, retryable: true }],
    ["unavailable", { retryable: true }],
    ["unavailable", { durableObjectReset: true }],
  ])("an object that is %s is 503 with Retry-After", async (code, marks) => {
    const response = await appThat(Object.assign(new Error("inner workings"), marks)).request("/v1/runs", { headers });
    const text = await response.text();
    expect([response.status, (JSON.parse(text) as { code: string }).code]).toEqual([503, code]);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(text).not.toMatch(/inner|d0ff/);
  });

  test.each([
    ["full", "database or disk is full: SQLITE_FULL", 507, "storage_full", null],
    ["broken for a moment", "disk I/O error: SQLITE_IOERR", 503, "unavailable", "1"],
  ])("storage that is %s says so", async (_, message, status, code, after) => {
    const response = await appThat(new Error(message)).request("/v1/runs", { headers });
    expect([response.status, await response.json()]).toMatchObject([status, { code }]);
    expect(response.headers.get("retry-after")).toBe(after);
  });

  test("a run that ended is a conflict; on a webhook's address it is gone", async () => {
    const ended = appThat(new HoldfastError("run_ended", "it has ended"));
    expect((await ended.request("/v1/runs/a/pause", { method: "POST", headers })).status).toBe(409);
    const hook = await ended.request("/hooks/abc", { method: "POST" });
    expect([hook.status, await hook.json()]).toMatchObject([410, { code: "run_ended", status: 410, title: "Gone" }]);
  });
});

describe("routes and methods", () => {
  test.each([
    "/v2",
    "/nothing",
    "/v1",
    "/v1/",
    "/v1/run",
    "/v1/runs/",
    "/v1/runs/a/",
    "/v1/runs/a/b",
    "/V1/runs",
    "//v1/runs",
    "/health/",
    "/v1/runs/a/nothing",
  ])("%s is not there", async (path) => {
    const response = await app.request(`http://localhost${path}`, { headers });
    expect([response.status, await response.json()]).toMatchObject([404, { code: "route_not_found" }]);
  });

  test.each(["x';id;'.example", 'a"b.example', "a$(id).example", "a`id`", "a&b", "{a}"])(
    "a host %s, which no name has, is refused: the addresses of webhooks begin with it",
    async (host) => {
      for (const path of ["/v1/runs", "/v1/nothing", "/hooks/abc"]) {
        const response = await app.request(`http://${host}${path}`, { method: "POST", headers });
        expect([path, response.status, await response.json()]).toMatchObject([path, 400, { code: "header_invalid" }]);
      }
    },
  );

  test.each([
    "a_b.example",
    "a.example.:8443",
    "xn--4ca.example",
    "ä.example",
    "10.0.0.1:1",
    "[::1]:8787",
    "LOCALHOST",
  ])("a host %s is one", async (host) => {
    expect((await app.request(`http://${host}/v1/runs`, { headers })).status).toBe(404);
  });

  test.each([
    ["PUT", "/v1/runs", "GET, HEAD, OPTIONS"],
    ["POST", "/v1/runs", "GET, HEAD, OPTIONS"],
    ["PATCH", "/v1/runs/a", "GET, HEAD, DELETE, OPTIONS"],
    ["GET", "/v1/runs/a/cancel", "POST, OPTIONS"],
    ["HEAD", "/v1/runs/a/cancel", "POST, OPTIONS"],
    ["DELETE", "/v1/workflows/a/runs", "POST, OPTIONS"],
    ["POST", "/health", "GET, HEAD, OPTIONS"],
    ["QUERY", "/v1/runs", "GET, HEAD, OPTIONS"],
  ])("%s %s is 405 with Allow", async (method, path, allow) => {
    const response = await app.request(path, { method, headers });
    expect([response.status, response.headers.get("allow")]).toEqual([405, allow]);
    if (method !== "HEAD") expect(await response.json()).toMatchObject({ code: "method_not_allowed", status: 405 });
  });

  test("OPTIONS says what an address takes, to those with a token, and allows no other origin", async () => {
    const init = { method: "OPTIONS", headers: { ...headers, origin: "https://elsewhere.example" } };
    const response = await app.request("/v1/runs/a", init);
    expect([response.status, response.headers.get("allow")]).toEqual([204, "GET, HEAD, DELETE, OPTIONS"]);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    expect((await app.request("/v1/runs/a", { method: "OPTIONS" })).status).toBe(401);
    expect((await app.request("/v1/nothing", init)).status).toBe(404);
  });

  test("HEAD answers as GET does, without the body", async () => {
    const response = await app.request("/health", { method: "HEAD" });
    expect([response.status, await response.text()]).toEqual([200, ""]);
    expect((await app.request("/v1/runs/a", { method: "HEAD", headers })).status).toBe(404);
  });

  test("looking at a webhook's address does not call it", async () => {
    const service = failingService(new Error("called"));
    const look = () => Promise.resolve();
    const broken = createApp({ ...service, hooks: { ...service.hooks, look } }, () =>
      parseConfig({ API_TOKENS: tokens }),
    );
    expect((await broken.request("/hooks/abc", { method: "HEAD" })).status).toBe(200);
    expect((await broken.request("/hooks/abc", { method: "OPTIONS" })).status).toBe(204);
    expect((await app.request("/hooks/abc", { method: "HEAD" })).status).toBe(404);
  });

  test.each(["/health", "/v1/runs", "/v1/nothing", "/hooks/abc"])("%s is neither kept nor guessed at", async (path) => {
    const response = await app.request(path);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
  });
});

describe("bodies", () => {
  const post = async (body: BodyInit, more: Record<string, string> = {}, path = "/v1/workflows/a/runs") => {
    const init = { method: "POST", body, headers: { ...headers, ...more }, duplex: "half" };
    const response = await app.request(path, init);
    return [response.status, ((await response.json()) as { code: string }).code];
  };

  test.each([
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/json; charset=utf-8",
    "",
  ])("of type %j are read as JSON", async (type) => {
    expect(await post(`{"input":1}`, { "content-type": type })).toEqual([404, "run_not_found"]);
  });

  test("with a byte order mark are read", async () => {
    expect(await post(new TextEncoder().encode('\u{feff}{"input":1}'))).toEqual([404, "run_not_found"]);
  });

  test("in parts are not", async () => {
    const form = new FormData();
    form.set("input", "1");
    expect(await post(form)).toEqual([415, "content_type_unsupported"]);
  });

  test("that are packed are told to be so, and not taken for text that is broken", async () => {
    const packed = new Blob(["{}"]).stream().pipeThrough(new CompressionStream("gzip"));
    const answer = await post(await new Response(packed).arrayBuffer(), { "content-encoding": "gzip" });
    expect(answer).toEqual([415, "content_type_unsupported"]);
    expect(await post("{}", { "content-encoding": "identity" })).toEqual([404, "run_not_found"]);
  });

  test("are counted as they come in, and no further than the limit", async () => {
    let sent = 0;
    const cancel = vi.fn<() => void>();
    const endless = new ReadableStream<Uint8Array>({
      cancel,
      pull(controller) {
        sent += 1024 * 1024;
        controller.enqueue(new Uint8Array(1024 * 1024).fill(0x20));
      },
    });
    expect(await post(endless)).toEqual([413, "body_too_large"]);
    expect(sent).toBeLessThan(maxJsonBytes + 4 * 1024 * 1024);
    expect(cancel).toHaveBeenCalledTimes(1);
  });

  test("up to the limit are taken, in pieces too", async () => {
    const pieces = [`{"input":"`, "x".repeat(1_000_000), `é"}`].map((text) => new TextEncoder().encode(text));
    expect(await post(new Blob(pieces).stream())).toEqual([404, "run_not_found"]);
  });

  test.each([
    ["runs/a/fork", { results: { pay: { $type: "Nothing" } } }, "/results/pay/$type"],
    ["runs/bulk", { action: "cancel", filter: { labels: { team: 7 } } }, "/filter/labels"],
    ["runs/bulk", { action: "cancel", filter: { labels: { "": "x" } } }, "/filter/labels"],
    ["runs/bulk", { action: "cancel", filter: { status: 7 } }, "/filter/status"],
    ["workflows/a/runs", { signal: { name: "go", payload: [{ $type: "Nothing" }] } }, "/signal/payload/0/$type"],
    ["workflows/a/runs", { update: { name: "go", argument: { $type: "Date" } } }, "/update/argument/value"],
    ["workflows/a/runs", { input: { $type: "Nothing" } }, "/input/$type"],
  ])("%s of %j is refused at %s", async (path, body, place) => {
    const init = { method: "POST", body: JSON.stringify(body), headers };
    const response = await app.request(`/v1/${path}`, init);
    expect([response.status, await response.json()]).toMatchObject([400, { errors: [{ path: place }] }]);
  });

  test("of runs that arrive are limited to 64 MiB, by what they say before any of it is read", async () => {
    const said = (bytes: number) => post("{}", { "content-length": String(bytes) }, "/v1/runs/import");
    expect(await said(64 * 1024 * 1024)).toEqual([404, "run_not_found"]);
    expect(await said(64 * 1024 * 1024 + 1)).toEqual([413, "value_too_large"]);
  });

  test("of webhooks are limited to 1 MiB", async () => {
    expect(await post(new Uint8Array(1024 * 1024), {}, "/hooks/abc")).toEqual([404, "run_not_found"]);
    expect(await post(new Uint8Array(1024 * 1024 + 1), {}, "/hooks/abc")).toEqual([413, "body_too_large"]);
  });

  test("of a length that is declared are read at once, and are no longer than the limit whatever it says", async () => {
    expect(await post('{"input":1}', { "content-length": "11" })).toEqual([404, "run_not_found"]);
    const full = { "content-length": String(1024 * 1024) };
    expect(await post(new Uint8Array(1024 * 1024), full, "/hooks/abc")).toEqual([404, "run_not_found"]);
    const short = { "content-length": "5" };
    expect(await post(new Uint8Array(1024 * 1024 + 1), short, "/hooks/abc")).toEqual([413, "body_too_large"]);
  });
});

describe("limits", () => {
  const key = (length: number) => "k".repeat(length);
  const addresses = (count: number) => ({ notify: Array.from({ length: count }, () => "https://example.com/") });
  const span = (to: string) => ({ from: "2026-01-01T00:00:00Z", to });
  const schedule = (id: string) => ({ id, workflow: "a", cron: "* * * * *" });

  /** The last that is taken, and the first that is not: in the place of the `#`, or as the body. */
  test.each<[call: string, last: unknown, beyond: unknown]>([
    ["GET /v1/runs?limit=#", 200, 201],
    ["GET /v1/runs?limit=#", 1, 0],
    ["GET /v1/runs/a?wait=#", 60_000, 60_001],
    ["GET /v1/runs?label.#=x", key(256), key(257)],
    ["GET /v1/directory/counts?groupBy=label.#", key(256), key(257)],
    ["GET /v1/directory/counts?groupBy=workflow,status,errorCode,#", "label.a", "label.a,label.b"],
    ["GET /v1/stats?from=2025-01-01T00:00:00Z&to=#", "2026-02-05T00:00:00Z", "2026-02-05T00:00:00.001Z"],
    ["GET /v1/stats?from=2025-01-01T00:00:00Z&to=#", "2025-01-01T00:00:00.001Z", "2025-01-01T00:00:00Z"],
    ["GET /metrics?window=#", 60_000, 59_999],
    ["GET /metrics?window=#", "400d", "401d"],
    ["GET /v1/schedules/a?next=#", 200, 201],
    ["PATCH /v1/lanes/a", { limit: 1_000_000 }, { limit: 1_000_001 }],
    ["POST /v1/workflows/a/runs", addresses(10), addresses(11)],
    ["POST /v1/schedules", schedule("..."), schedule("..")],
    ["POST /v1/schedules/a/backfill", span("2026-01-01T00:00:00.001Z"), span("2026-01-01T00:00:00Z")],
  ])("of %s are exact (%#)", async (call, last, beyond) => {
    const [method = "", path = ""] = call.split(" ");
    const codeOf = async (given: unknown): Promise<string> => {
      const body = method === "GET" ? null : JSON.stringify(given);
      const response = await app.request(path.replace("#", String(given)), { method, headers, body });
      return (await response.json<{ code: string }>()).code;
    };
    expect(await codeOf(last)).toBe("run_not_found");
    expect(await codeOf(beyond)).toMatch(/^(?:parameter|body)_invalid$/);
  });

  test("of an Idempotency-Key are exact", async () => {
    const codeOf = async (length: number): Promise<string> => {
      const init = { method: "POST", headers: { ...headers, "idempotency-key": key(length) } };
      return (await (await app.request("/v1/workflows/a/runs", init)).json<{ code: string }>()).code;
    };
    expect([await codeOf(256), await codeOf(257)]).toEqual(["run_not_found", "idempotency_key_invalid"]);
  });
});

describe("many starts with one call", () => {
  test("are made a few at a time, so that those of one singleton do not take all calls that a request may make", async () => {
    let [now, most, all] = [0, 0, 0];
    const service = failingService(reached);
    const start = async (): Promise<never> => {
      all += 1;
      most = Math.max(most, ++now);
      await Promise.resolve();
      now -= 1;
      throw reached;
    };
    const busy = createApp({ ...service, runs: { ...service.runs, start } }, () => parseConfig({ API_TOKENS: tokens }));
    const body = JSON.stringify({ runs: Array.from({ length: 12 }, () => ({})) });
    const response = await busy.request("/v1/workflows/a/batch", { method: "POST", headers, body });
    const { runs } = (await response.json()) as { runs: { problem: { detail: string } }[] };
    expect(new Set(runs.map(({ problem }) => problem.detail))).toEqual(new Set([reached.message]));
    expect([most, all]).toEqual([5, 12]);
  });
});
