/** Headers of every answer, and which pages of other origins may read one. */
import { describe, expect, test } from "vitest";
import { createApp, routes } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { failingService, reached, tokens } from "./service.ts";

const service = failingService(reached);
const app = appWith();
const admin = { authorization: "Bearer a-token-123" };

function appWith(env: Record<string, unknown> = {}) {
  return createApp(service, () => parseConfig({ API_TOKENS: tokens, ...env }));
}

function concrete(path: string): string {
  return path.replace(/:\w+/g, "some");
}

const calls = routes.map(({ method, path }) => ({
  method: method === "ALL" ? "POST" : method,
  path: concrete(path),
}));
const astray = [
  { method: "GET", path: "/nothing" },
  { method: "PUT", path: "/v1/runs" },
  { method: "OPTIONS", path: "/v1/runs" },
];

describe("every answer", () => {
  test.each([...calls, ...astray])(
    "$method $path is sealed, whoever asks and whatever it is",
    async ({ method, path }) => {
      for (const headers of [{}, admin, { authorization: "Bearer wrong" }, { ...admin, accept: "text/html" }]) {
        const answer = await app.request(`https://holdfast.test${path}`, { method, headers });
        const seals = Object.fromEntries(
          [
            ...["x-content-type-options", "x-frame-options", "strict-transport-security"],
            ...["cross-origin-opener-policy", "cross-origin-resource-policy"],
          ].map((name) => [name, answer.headers.get(name)]),
        );
        expect(seals).toEqual({
          "x-content-type-options": "nosniff",
          "x-frame-options": "DENY",
          "strict-transport-security": "max-age=31536000",
          "cross-origin-opener-policy": "same-origin",
          "cross-origin-resource-policy": "same-origin",
        });
        const policy = answer.headers.get("content-security-policy") ?? "";
        expect(policy).toMatch(/^default-src 'none'/);
        expect(policy).toContain("frame-ancestors 'none'");
        expect(policy).not.toMatch(/unsafe|\*/);
        expect(answer.headers.get("referrer-policy")).toMatch(/^(?:no-referrer|same-origin)$/);
        expect(answer.headers.get("cache-control")).toMatch(/^(?:no-store|public, max-age=31536000, immutable)$/);
        expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
      }
    },
  );

  test.each([...calls, ...astray])("$method $path with a host that is none is no failure", async ({ method, path }) => {
    for (const host of ["localhost:99999", "a b", "["]) {
      for (const headers of [{}, admin, { ...admin, accept: "text/html" }]) {
        const request = new Request(`http://localhost${path}`, { method, headers });
        // workerd makes the address of whatever was sent; nobody can make such a request in here.
        Object.defineProperty(request, "url", { value: `http://${host}${path}` });
        const answer = await app.fetch(request);
        const { code } = (await answer.json().catch(() => ({ code: null }))) as { code: string | null };
        if (path.startsWith("/v1/")) expect([400, 404, 405, 204]).toContain(answer.status);
        expect([null, "header_invalid", "run_not_found", "method_not_allowed"]).toContain(code);
        expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
      }
    }
  });

  test("asks for https for ever only where it was https", async () => {
    const answer = await app.request("http://localhost:8787/v1/runs", { headers: admin });
    expect(answer.headers.get("strict-transport-security")).toBeNull();
  });
});

describe("a page of another origin", () => {
  const origin = "https://app.example.com";
  const open = appWith({ CORS_ORIGINS: `https://other.example.com,${origin}` });
  const ask = (target: typeof app, path: string, headers: Record<string, string>, method = "GET") =>
    target.request(`https://holdfast.test${path}`, { method, headers });
  const allowed = (answer: Response) => answer.headers.get("access-control-allow-origin");
  const preflight = {
    origin,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization",
  };

  test("reads nothing unless its origin is listed, each route of the table", async () => {
    for (const { method, path } of calls) {
      expect([path, allowed(await ask(app, path, { ...admin, origin }, method))]).toEqual([path, null]);
      const stranger = { ...admin, origin: "https://evil.example" };
      expect([path, allowed(await ask(open, path, stranger, method))]).toEqual([path, null]);
      const listed = await ask(open, path, { ...admin, origin }, method);
      expect([path, allowed(listed)]).toEqual([path, path.startsWith("/v1/") ? origin : null]);
      expect(listed.headers.get("access-control-allow-credentials")).toBeNull();
    }
  });

  test.each([
    "https://app.example.com.evil.test",
    "http://app.example.com",
    "https://app.example.com:444",
    "https://APP.example.com",
    "null",
    "",
  ])("%j is not one that is like it", async (other) => {
    expect(allowed(await ask(open, "/v1/runs", { ...admin, origin: other }))).toBeNull();
    expect(allowed(await ask(open, "/v1/runs", { ...preflight, origin: other }, "OPTIONS"))).toBeNull();
  });

  test("asks first, without a token, and is told what it may send", async () => {
    const answer = await ask(open, "/v1/runs/a/cancel", preflight, "OPTIONS");
    expect([answer.status, allowed(answer)]).toEqual([204, origin]);
    expect(answer.headers.get("access-control-allow-methods")).toBe("GET,HEAD,POST,PATCH,DELETE");
    expect(answer.headers.get("access-control-allow-headers")).toMatch(/Authorization.*Idempotency-Key/);
    expect(answer.headers.get("vary")).toContain("Origin");
    expect((await ask(app, "/v1/runs/a/cancel", preflight, "OPTIONS")).status).toBe(401);
    expect((await ask(open, "/v1/runs/a", { origin }, "OPTIONS")).status).toBe(401);
  });

  test("reads why it was refused, and when to come back", async () => {
    const answer = await ask(open, "/v1/runs", { origin, authorization: "Bearer wrong" });
    expect([answer.status, allowed(answer)]).toEqual([401, origin]);
    expect(answer.headers.get("access-control-expose-headers")).toContain("Retry-After");
    expect(answer.headers.get("vary")).toContain("Origin");
  });

  test("has no use of a cookie, or of what Cloudflare Access knows", async () => {
    const body = new URLSearchParams({ token: "a-token-123" });
    const own = { "sec-fetch-site": "same-origin" };
    const signedIn = await open.request("https://holdfast.test/sign-in", { method: "POST", body, headers: own });
    const cookie = (signedIn.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    expect(allowed(await ask(open, "/v1/runs", { origin, cookie }))).toBeNull();
    expect(allowed(await ask(open, "/v1/runs", { origin, "cf-access-jwt-assertion": "a.b.c" }))).toBeNull();
    expect((await ask(open, "/v1/runs/a/cancel", { origin, cookie }, "POST")).status).toBe(403);
    // They are in nobody's way who has a token as well.
    expect(allowed(await ask(open, "/v1/runs", { ...admin, origin, cookie }))).toBe(origin);
  });

  test("of a broken configuration is allowed nothing, and the route says what is wrong", async () => {
    const answer = await ask(appWith({ CORS_ORIGINS: "*" }), "/v1/runs", { ...admin, origin });
    expect([answer.status, allowed(answer)]).toEqual([503, null]);
    expect(await answer.json()).toMatchObject({
      code: "config_invalid",
      detail: expect.stringContaining("CORS_ORIGINS"),
    });
  });
});
