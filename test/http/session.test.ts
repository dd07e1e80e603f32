/** Signing in, what a session may do, who may not ride on it, and how it ends. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { createSession, sessionMs, tokenOfSession } from "../../src/http/auth/session.ts";
import { failingService, reached, tokens } from "./service.ts";

const here = "http://holdfast.test";
const own = { "sec-fetch-site": "same-origin" };

function appWith(env: Record<string, unknown>) {
  return createApp(failingService(reached), () => parseConfig(env));
}

const locked = appWith({ API_TOKENS: tokens });

type SignIn = { readonly token?: string; readonly next?: string; readonly headers?: Record<string, string> };

function signIn(app: ReturnType<typeof appWith>, { token = "o-token-123", next, headers = own }: SignIn = {}) {
  const body = new URLSearchParams({ token, ...(next === undefined ? {} : { next }) });
  return app.request(`${here}/sign-in`, { method: "POST", body, headers });
}

/** The cookie that signing in with the token gives. */
async function cookieOf(token: string): Promise<string> {
  const answer = await signIn(locked, { token });
  return (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}

async function ask(path: string, headers: Record<string, string>, method = "GET") {
  const answer = await locked.request(`${here}${path}`, { method, headers });
  return `${answer.status} ${(await answer.json<{ code: string }>()).code}`;
}

describe("signing in", () => {
  test("a token becomes a cookie that no script can read and no other site sends", async () => {
    const answer = await signIn(locked);
    expect([answer.status, answer.headers.get("location")]).toEqual([303, "/"]);
    expect(answer.headers.get("set-cookie")).toMatch(
      /^holdfast_session=\d+\.[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=604800$/,
    );
  });

  test("over https the cookie is bound to this host and to https", async () => {
    const body = new URLSearchParams({ token: "o-token-123" });
    const init = { method: "POST", body, headers: own };
    const answer = await locked.request("https://holdfast.test/sign-in", init);
    expect(answer.headers.get("set-cookie")).toMatch(/^__Host-holdfast_session=.*; Secure$/);
  });

  test("the cookie does not contain the token", async () => {
    expect(await cookieOf("o-token-123")).not.toContain("o-token");
  });

  test("a wrong token is 401, the page again, no cookie, and a text that says so", async () => {
    for (const token of ["wrong", "", "operate:o-token-123", "o-token-12"]) {
      const answer = await signIn(locked, { token, next: "/runs/a" });
      expect([answer.status, answer.headers.get("set-cookie")]).toEqual([401, null]);
      const page = await answer.text();
      expect(page).toContain("not known here");
      expect(page).toContain('value="/runs/a"');
    }
  });

  test("without configured tokens both the page and the form are 503 and say what to set", async () => {
    const app = appWith({});
    for (const answer of [await app.request(`${here}/sign-in`), await signIn(app)]) {
      expect(answer.status).toBe(503);
      expect(await answer.text()).toContain("npx wrangler secret put API_TOKENS");
    }
  });

  test("with AUTH=none there is nothing to sign in to, and strangers are refused", async () => {
    const app = appWith({ AUTH: "none" });
    const answer = await app.request("http://localhost/sign-in?next=%2Fstats");
    expect([answer.status, answer.headers.get("location")]).toEqual([303, "/stats"]);
    expect((await app.request(`${here}/sign-in`)).status).toBe(403);
  });

  test.each([
    ["/runs/a?step=run%3Ab%232", "/runs/a?step=run%3Ab%232"],
    ["/stats", "/stats"],
    ["//evil.example", "/"],
    ["/\\evil.example", "/"],
    ["/\t/evil.example", "/"],
    ["/..//evil.example", "/"],
    ["/%2e%2e//evil.example", "/"],
    ["/a\\b", "/a/b"],
    ["https://evil.example/", "/"],
    ["javascript:alert(1)", "/"],
    ["evil.example", "/"],
    ["", "/"],
  ])("next=%j leads to %j", async (next, location) => {
    const answer = await signIn(locked, { next });
    // What a browser would make of it is on this host, whatever it looks like.
    const target = answer.headers.get("location") ?? "";
    expect(new URL(target, here).host).toBe("holdfast.test");
    expect(target).toBe(location);
  });

  test("another site's form does not sign anybody in", async () => {
    const cross: Record<string, string>[] = [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { origin: "https://evil.example" },
    ];
    for (const headers of cross) {
      const answer = await signIn(locked, { headers: headers });
      expect([answer.status, answer.headers.get("set-cookie")]).toEqual([403, null]);
    }
    // A program, which is no page, sends neither header.
    for (const headers of [{ origin: here }, {}]) expect((await signIn(locked, { headers })).status).toBe(303);
  });

  test("a form that never ends is refused", async () => {
    const answer = await locked.request(`${here}/sign-in`, { method: "POST", body: "x".repeat(20_000), headers: own });
    expect(answer.status).toBe(413);
  });
});

describe("a session", () => {
  test.each([
    ["r-token-123", "GET /v1/runs", "404 run_not_found"],
    ["r-token-123", "POST /v1/runs/a/cancel", "403 role_insufficient"],
    ["o-token-123", "POST /v1/runs/a/cancel", "404 run_not_found"],
    ["o-token-123", "DELETE /v1/runs/a", "403 role_insufficient"],
    ["a-token-123", "DELETE /v1/runs/a", "404 run_not_found"],
  ])("of the token %s: %s is %s", async (token, call, result) => {
    const [method = "", path = ""] = call.split(" ");
    expect(await ask(path, { cookie: await cookieOf(token), ...own }, method)).toBe(result);
  });

  test("the header counts where both are sent", async () => {
    const cookie = await cookieOf("a-token-123");
    expect(await ask("/v1/runs", { cookie, authorization: "Bearer wrong" })).toBe("401 token_unknown");
  });

  test("a cookie that is empty is none", async () => {
    expect(await ask("/v1/runs", { cookie: "holdfast_session=" })).toBe("401 token_missing");
  });

  test("changes nothing for a page of another address", async () => {
    const cookie = await cookieOf("a-token-123");
    const foreign: Record<string, string>[] = [
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: "http://other.holdfast.test" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { "sec-fetch-site": "none" },
      { "sec-fetch-site": "cross-site", origin: here },
    ];
    for (const headers of foreign) {
      expect(await ask("/v1/runs/a/cancel", { cookie, ...headers }, "POST")).toBe("403 origin_refused");
    }
    // A program sends neither header, and rides on nobody.
    const proxied = { origin: "https://shown.test", host: "shown.test" };
    for (const headers of [{}, own, { origin: here }, { origin: "https://holdfast.test" }, proxied]) {
      expect(await ask("/v1/runs/a/cancel", { cookie, ...headers }, "POST")).toBe("404 run_not_found");
    }
  });

  test("opens no socket for a page of another address", async () => {
    const cookie = await cookieOf("a-token-123");
    const headers = { cookie, upgrade: "websocket", connection: "upgrade" };
    expect(await ask("/v1/runs/a/events", { ...headers, origin: "https://evil.example" })).toBe("403 origin_refused");
    expect(await ask("/v1/runs/a/events", { ...headers, origin: here })).toBe("404 run_not_found");
  });

  test("ends at once when its token is removed", async () => {
    const cookie = await cookieOf("o-token-123");
    const app = appWith({ API_TOKENS: "read:r-token-123,operate:another" });
    expect((await app.request(`${here}/v1/runs`, { headers: { cookie } })).status).toBe(401);
  });

  test("takes the role that its token has now", async () => {
    const cookie = await cookieOf("o-token-123");
    const app = appWith({ API_TOKENS: "read:o-token-123" });
    const headers = { cookie, ...own };
    expect((await app.request(`${here}/v1/runs/a/cancel`, { method: "POST", headers })).status).toBe(403);
  });

  test("ends after a week, and its end cannot be moved", async () => {
    const config = parseConfig({ API_TOKENS: "admin:secret" });
    const [, session = ""] =
      /=([^;]+)/.exec(await createSession(new Request(here), { role: "admin", text: "secret" }, config, 1000)) ?? [];
    expect(await tokenOfSession(session, config, 1000 + sessionMs - 1)).toMatchObject({ role: "admin" });
    expect(await tokenOfSession(session, config, 1000 + sessionMs)).toBeNull();
    const later = session.replace(/^\d+/, (expires) => String(Number(expires) + 1));
    expect(await tokenOfSession(later, config, 1000)).toBeNull();
  });

  test.each(["", "x", "1.2", `9999999999999.${"0".repeat(64)}`, `99999999999999999.${"0".repeat(64)}`])(
    "that somebody made up (%j) is none",
    async (session) => {
      expect(await ask("/v1/runs", { cookie: `holdfast_session=${session}` })).toMatch(/^401 token_/);
    },
  );

  test("is found among other cookies", async () => {
    const cookie = `a=b; ${await cookieOf("r-token-123")}; holdfast_theme=dark`;
    expect(await ask("/v1/runs", { cookie })).toBe("404 run_not_found");
  });

  test("that has ended leads pages to sign in again", async () => {
    const headers = { cookie: `holdfast_session=1.${"0".repeat(64)}`, accept: "text/html" };
    const answer = await locked.request(`${here}/`, { headers });
    expect([answer.status, answer.headers.get("location")]).toEqual([303, "/sign-in"]);
  });
});

describe("a token of which only the SHA-256 is configured", () => {
  const sha256 = createHash("sha256").update("o-token-123").digest("hex");
  const secrets = ["the first signing secret", "the second signing secret"] as const;

  const open = async (env: Record<string, unknown>) => {
    const answer = await signIn(appWith(env));
    return { status: answer.status, cookie: (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "", answer };
  };
  const status = async (env: Record<string, unknown>, cookie: string) =>
    (await appWith(env).request(`${here}/v1/runs`, { headers: { cookie, ...own } })).status;

  test.each([sha256, sha256.toUpperCase()])("is known by it: %s", async (digest) => {
    const app = appWith({ API_TOKENS: `operate:sha256:${digest}` });
    const call = (token: string) => app.request(`${here}/v1/runs`, { headers: { authorization: `Bearer ${token}` } });
    expect((await call("o-token-123")).status).toBe(404);
    expect((await call(`sha256:${digest}`)).status).toBe(401);
    expect((await call(digest)).status).toBe(401);
  });

  test("signs in where SIGNING_SECRET is set, and elsewhere is told what to set", async () => {
    for (const signing of [undefined, "", "too short", `${secrets[0]},short`]) {
      const { answer } = await open({ API_TOKENS: `operate:sha256:${sha256}`, SIGNING_SECRET: signing });
      expect([answer.status, answer.headers.get("set-cookie")]).toEqual([503, null]);
      expect(await answer.text()).toContain("SIGNING_SECRET");
    }
    const env = { API_TOKENS: `operate:sha256:${sha256}`, SIGNING_SECRET: secrets[0] };
    const { status: made, cookie } = await open(env);
    expect([made, await status(env, cookie)]).toEqual([303, 404]);
  });

  test("has sessions that nobody opens with the digest alone, or with the secret alone", async () => {
    const env = { API_TOKENS: `operate:sha256:${sha256}`, SIGNING_SECRET: secrets[0] };
    const forged = [
      await open({ API_TOKENS: `operate:${sha256}` }).then(() =>
        createSession(new Request(here), { role: "operate", text: sha256 }, parseConfig({}), Date.now()),
      ),
      await createSession(
        new Request(here),
        { role: "operate", text: `sha256:${sha256}` },
        parseConfig({}),
        Date.now(),
      ),
      await createSession(new Request(here), { role: "operate", text: secrets[0] }, parseConfig({}), Date.now()),
      await createSession(
        new Request(here),
        { role: "operate", sha256 },
        parseConfig({ SIGNING_SECRET: secrets[1] }),
        Date.now(),
      ),
    ];
    for (const cookie of forged) expect(await status(env, cookie.split(";")[0] ?? "")).toBe(401);
  });

  test("keeps its sessions while SIGNING_SECRET is rotated, and loses them with the secret", async () => {
    const list = { API_TOKENS: `operate:sha256:${sha256}` };
    const { cookie } = await open({ ...list, SIGNING_SECRET: secrets[0] });
    expect(await status({ ...list, SIGNING_SECRET: `${secrets[1]}, ${secrets[0]}` }, cookie)).toBe(404);
    expect(await status({ ...list, SIGNING_SECRET: secrets[1] }, cookie)).toBe(401);
    expect(await status(list, cookie)).toBe(401);
  });

  test("does not disturb sessions of tokens that stand there whole, with or without a secret", async () => {
    const cookie = await cookieOf("o-token-123");
    const list = `operate:o-token-123,admin:sha256:${"0".repeat(64)}`;
    for (const signing of ["", "short", secrets[0]]) {
      expect(await status({ API_TOKENS: list, SIGNING_SECRET: signing }, cookie)).toBe(404);
    }
  });
});

describe("tokens are rotated without an instant in which nobody can call", () => {
  const [old, fresh] = ["old-token-123", "new-token-123"];
  const hash = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
  const answers = async (env: Record<string, unknown>, cookie: string) =>
    await Promise.all(
      [{ authorization: `Bearer ${old}` }, { authorization: `Bearer ${fresh}` }, { cookie, ...own }].map(
        async (headers) => (await appWith(env).request(`${here}/v1/runs/a/cancel`, { method: "POST", headers })).status,
      ),
    );

  test.each([
    ["whole", old, fresh],
    ["by their digests", hash(old), hash(fresh)],
    ["from whole to digest", old, hash(fresh)],
  ])("%s: old, then both, then new", async (_, first, second) => {
    const env = (list: string) => ({ API_TOKENS: list, SIGNING_SECRET: "a signing secret for this" });
    const answer = await signIn(appWith(env(`operate:${first}`)), { token: old });
    const cookie = (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    expect(await answers(env(`operate:${first}`), cookie)).toEqual([404, 401, 404]);
    expect(await answers(env(`operate:${first},operate:${second}`), cookie)).toEqual([404, 404, 404]);
    expect(await answers(env(`operate:${second}`), cookie)).toEqual([401, 404, 401]);
  });
});

describe("signing out", () => {
  test("takes the cookie away", async () => {
    const answer = await locked.request(`${here}/sign-out`, { method: "POST", headers: own });
    expect([answer.status, answer.headers.get("location")]).toEqual([303, "/sign-in"]);
    expect(answer.headers.get("set-cookie")).toMatch(/^holdfast_session=; .*Max-Age=0$/);
  });

  test("is not done by another site", async () => {
    const headers = { "sec-fetch-site": "cross-site" };
    expect((await locked.request(`${here}/sign-out`, { method: "POST", headers })).status).toBe(403);
  });
});

describe("what a page may run", () => {
  test("is this address's own script and style, nothing inline, in no frame", async () => {
    const answer = await locked.request(`${here}/sign-in`);
    const policy = answer.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("style-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(answer.headers.get("cache-control")).toBe("no-store");
    const page = await answer.text();
    expect(page).not.toMatch(/<script>|<style|\sstyle=|\son\w+=/);
  });

  test("is kept for ever by the browser, under a name that changes with it", async () => {
    const page = await (await locked.request(`${here}/sign-in`)).text();
    const files = [...page.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path = ""]) => path);
    expect(files.length).toBe(3);
    for (const file of files) {
      const answer = await locked.request(`${here}${file}`);
      expect(answer.status).toBe(200);
      expect(answer.headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
    }
    expect((await locked.request(`${here}/assets/app.000000000000.js`)).status).toBe(404);
  });
});
