/** People and services behind Cloudflare Access: whose assertion is taken, what it lets them do, and as whom. */
import { createHmac, createPublicKey } from "node:crypto";
import { base64url, exportJWK, generateKeyPair, SignJWT } from "jose";
import type { JWTPayload } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { createRandom } from "../../src/core/random.ts";
import type { RunAction, Service } from "../../src/core/service/service.ts";
import { failingService, reached, tokens } from "./service.ts";
import { audience, Team } from "./team.ts";

const here = "https://holdfast.test";
const own = { "sec-fetch-site": "same-origin" };
const team = new Team();
beforeAll(() => team.open());
afterAll(() => team.close());
afterEach(() => {
  team.mood = { status: 200, delayMs: 0 };
  vi.restoreAllMocks();
});

const roles = "read:*@example.com,admin:Ana@Example.com,operate:ana@example.com,operate.shapes:olu@example.com";

function appWith(env: Record<string, unknown> = {}, service: Service = failingService(reached)) {
  const access = { ACCESS_TEAM_DOMAIN: team.issuer, ACCESS_AUD: audience, ACCESS_ROLES: roles };
  return createApp(service, () => parseConfig({ API_TOKENS: tokens, ...access, ...env }));
}

/** Each has keys of its own: they belong to the configuration, and this one is unlike all before it. */
let apps = 0;
const freshApp = () => appWith({ ACCESS_AUD: `other-${(apps += 1)},${audience}` });

type Ask = { readonly call?: string; readonly headers?: Record<string, string> };

async function ask(
  app: ReturnType<typeof appWith>,
  assertion: string | null,
  { call = "GET /v1/runs", headers }: Ask = {},
) {
  const [method = "", path = ""] = call.split(" ");
  const answer = await app.request(`${here}${path}`, {
    method,
    headers: { ...(assertion === null ? {} : { "cf-access-jwt-assertion": assertion }), ...own, ...headers },
  });
  return `${answer.status} ${(await answer.json<{ code: string }>()).code}`;
}

const letIn = "404 run_not_found";
const mail = (email: string): JWTPayload => ({ email });

describe("an assertion is taken", () => {
  test("from the team, for this application, in its time", async () => {
    expect(await ask(appWith(), await team.sign(mail("ana@example.com")))).toBe(letIn);
    expect(await ask(appWith(), await team.sign({ ...mail("ana@example.com"), aud: ["x", audience] }))).toBe(letIn);
    expect(await ask(appWith(), await team.sign({ ...mail("ana@example.com"), aud: audience }))).toBe(letIn);
  });

  test("by clocks that differ by seconds, and no further", async () => {
    const now = Math.floor(Date.now() / 1000);
    expect(await ask(appWith(), await team.sign({ ...mail("ana@example.com"), exp: now - 5 }))).toBe(letIn);
    expect(await ask(appWith(), await team.sign({ ...mail("ana@example.com"), nbf: now + 5 }))).toBe(letIn);
    const late = await team.sign({ ...mail("ana@example.com"), exp: now - 15 });
    expect(await ask(appWith(), late)).toBe("401 token_unknown");
  });

  test("not at all where Access is not set up: the header says nothing", async () => {
    const app = createApp(failingService(reached), () => parseConfig({ API_TOKENS: tokens }));
    expect(await ask(app, await team.sign(mail("ana@example.com")))).toBe("401 token_missing");
    expect(await ask(app, "garbage", { headers: { authorization: "Bearer r-token-123" } })).toBe(letIn);
  });

  test("without any token configured, and then nobody else is let in", async () => {
    const app = appWith({ API_TOKENS: "" });
    expect(await ask(app, await team.sign(mail("ana@example.com")))).toBe(letIn);
    expect(await ask(app, null)).toBe("401 token_missing");
    expect(await ask(app, null, { headers: { authorization: "Bearer any" } })).toBe("401 token_unknown");
    const page = await (await app.request(`${here}/sign-in`)).text();
    expect(page).toContain("Cloudflare Access");
    expect(page).not.toContain("<form method");
  });
});

/** Assertions that somebody made up, or that were made for others. */
async function forgeries(): Promise<Record<string, string>> {
  const right = team.claims(mail("ana@example.com"));
  const { kid, publicKey, privateKey } = team.newest;
  const part = (json: object) => base64url.encode(JSON.stringify(json));
  const unsigned = (head: object) => `${part(head)}.${part(right)}`;
  const hmac = (key: string | Buffer) => {
    const text = unsigned({ alg: "HS256", kid });
    return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
  };
  const jwk = await exportJWK(publicKey);
  const pem = createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "pem" });
  const stranger = await generateKeyPair("RS256");
  const good = await team.sign(mail("ana@example.com"));
  const [head = "", body = "", mac = ""] = good.split(".");
  const now = Math.floor(Date.now() / 1000);
  const signed = (claims: JWTPayload, header: object = {}) =>
    new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid, ...header }).sign(privateKey);
  const without = (name: string) => Object.fromEntries(Object.entries(right).filter(([key]) => key !== name));
  return {
    "another audience": await team.sign({ ...right, aud: ["another"] }),
    "no audience": await signed(without("aud")),
    "another team": await team.sign({ ...right, iss: "https://evil.cloudflareaccess.com" }),
    "a team with a slash": await team.sign({ ...right, iss: `${team.issuer}/` }),
    expired: await team.sign({ ...right, exp: now - 3600 }),
    "without an end": await signed(without("exp")),
    "without a beginning": await signed(without("iat")),
    "not valid yet": await team.sign({ ...right, nbf: now + 3600 }),
    "alg none": `${unsigned({ alg: "none" })}.`,
    "alg none, with a kid and a mac": `${unsigned({ alg: "none", kid })}.${mac}`,
    "HS256 with the public key as PEM": hmac(pem),
    "HS256 with the public key as JSON": hmac(JSON.stringify(jwk)),
    "HS256 with nothing": hmac(""),
    "PS256 of the right key": await new SignJWT(right)
      .setProtectedHeader({ alg: "PS256", kid })
      .sign(
        await crypto.subtle.importKey(
          "jwk",
          { ...(await exportJWK(privateKey)), alg: "PS256" } as JsonWebKey,
          { name: "RSA-PSS", hash: "SHA-256" },
          false,
          ["sign"],
        ),
      ),
    "another key under the same kid": await new SignJWT(right)
      .setProtectedHeader({ alg: "RS256", kid })
      .sign(stranger.privateKey),
    "a key that it brings along": await new SignJWT(right)
      .setProtectedHeader({ alg: "RS256", jwk: await exportJWK(stranger.publicKey) })
      .sign(stranger.privateKey),
    "an unknown kid": await signed(right, { kid: "unknown" }),
    "a critical header that is not understood": await new SignJWT(right)
      .setProtectedHeader({ alg: "RS256", kid, crit: ["x"], x: 1 })
      .sign(privateKey, { crit: { x: true } }),
    "other claims under the same signature": `${head}.${part({ ...right, email: "root@example.com" })}.${mac}`,
    "without its signature": `${head}.${body}.`,
    "cut off": good.slice(0, -2),
    "in two parts": `${head}.${body}`,
    "no JWT": "garbage",
    "no JSON": "a.b.c",
    nobody: await team.sign({}),
    "an empty name": await team.sign({ email: "" }),
    "a name that is no text": await team.sign({ email: ["ana@example.com"] }),
    "a service called like a person": await team.sign({ common_name: "ana@example.com" }),
    "a service with an address that is none": await team.sign({ email: "ana", common_name: "nightly.access" }),
    "a name without a host": await team.sign({ email: "ana" }),
    "a name that is too long": await team.sign({ email: `${"a".repeat(245)}@example.com` }),
    "a name of many lines": await team.sign({ email: "ana@example.com\nx" }),
  };
}

test("an assertion that is forged, or for others, is 401 and lets nobody in", async () => {
  const app = appWith({ ACCESS_ROLES: "admin:*" });
  for (const [what, assertion] of Object.entries(await forgeries())) {
    expect([what, await ask(app, assertion)]).toEqual([what, "401 token_unknown"]);
  }
  expect(await ask(app, await team.sign(mail("ana@example.com")))).toBe(letIn);
});

const seed = process.env["ACCESS_SEED"] ?? "access";
const changes = Number(process.env["ACCESS_CHANGES"] ?? 300);
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";

/** What is signed, as it stands, and the signature by its bytes: its last letter has bits that say nothing. */
function signedOf(assertion: string): string {
  const [head, body, mac = "", ...more] = assertion.split(".");
  return [head, body, Buffer.from(mac, "base64url").toString("hex"), ...more].join(".");
}

test("one with any letter changed, added or left out lets nobody in", async () => {
  const random = createRandom(seed);
  const below = (limit: number) => Math.floor(random.next() * limit);
  const app = appWith({ ACCESS_ROLES: "admin:*" });
  const right = await team.sign({ ...mail("ana@example.com"), exp: Math.floor(Date.now() / 1000) + 3600 });
  for (let each = 0; each < changes; each += 1) {
    const at = below(right.length);
    const letter = letters[below(letters.length)] ?? "";
    const changed = right.slice(0, at) + ["", letter, letter + (right[at] ?? "")][below(3)] + right.slice(at + 1);
    const headers = { "cf-connecting-ip": `address ${each}` };
    const expected = signedOf(changed) === signedOf(right) ? letIn : "401 token_unknown";
    expect([seed, each, changed, await ask(app, changed, { headers })]).toEqual([seed, each, changed, expected]);
  }
});

test("forged ones count as wrong credentials", async () => {
  const app = appWith();
  for (let each = 0; each < 100; each += 1) expect(await ask(app, "garbage")).toBe("401 token_unknown");
  expect(await ask(app, await team.sign(mail("ana@example.com")))).toBe("429 too_many_failures");
});

describe("what a person may do is what ACCESS_ROLES gives them", () => {
  test.each([
    [mail("ana@example.com"), "DELETE /v1/runs/a", letIn],
    [mail("ANA@EXAMPLE.COM"), "DELETE /v1/runs/a", letIn],
    [mail("olu@example.com"), "POST /v1/runs/a/cancel", letIn],
    [mail("olu@example.com"), "DELETE /v1/runs/a", "403 role_insufficient"],
    [mail("bea@example.com"), "GET /v1/runs", letIn],
    [mail("bea@example.com"), "POST /v1/runs/a/cancel", "403 role_insufficient"],
    [mail("bea@sub.example.com"), "GET /v1/runs", "403 role_insufficient"],
    [mail("bea@example.com.evil.test"), "GET /v1/runs", "403 role_insufficient"],
    [mail("ana@example.org"), "GET /v1/runs", "403 role_insufficient"],
    [{ common_name: "nightly.access" }, "GET /v1/runs", "403 role_insufficient"],
  ])("%j: %s is %s", async (claims, call, result) => {
    expect(await ask(appWith(), await team.sign(claims), { call })).toBe(result);
  });

  test.each([
    ["read:*", { common_name: "nightly.access" }, "GET /v1/runs", letIn],
    ["operate:nightly.access", { common_name: "nightly.access" }, "POST /v1/runs/a/cancel", letIn],
    ["operate:nightly.access", { common_name: "NIGHTLY.access" }, "GET /v1/runs", "403 role_insufficient"],
    ["admin:*@example.com", { common_name: "nightly.access" }, "GET /v1/runs", "403 role_insufficient"],
    ["read:*,admin:*@example.com", mail("ana@example.com"), "DELETE /v1/runs/a", letIn],
  ])("with %s, %j: %s is %s", async (granted, claims, call, result) => {
    expect(await ask(appWith({ ACCESS_ROLES: granted }), await team.sign(claims), { call })).toBe(result);
  });
});

test("the person's name is the author of what they do, whatever Holdfast-Actor says", async () => {
  const acts: RunAction[] = [];
  const service = failingService(reached);
  const act: Service["runs"]["act"] = (_id, action) => {
    acts.push(action);
    return Promise.reject(reached);
  };
  const app = appWith({}, { ...service, runs: { ...service.runs, act } });
  const headers = { "holdfast-actor": "somebody%20else", "holdfast-reason": "cleaning%20up" };
  await ask(app, await team.sign(mail("Ana@example.com")), { call: "POST /v1/runs/a/cancel", headers });
  expect(acts).toEqual([{ kind: "cancel", by: "ana@example.com", role: "admin", reason: "cleaning up" }]);
});

describe("beside another credential", () => {
  test("the token in the header counts", async () => {
    const assertion = await team.sign(mail("bea@example.com"));
    const call = "DELETE /v1/runs/a";
    expect(await ask(appWith(), assertion, { call, headers: { authorization: "Bearer a-token-123" } })).toBe(letIn);
    expect(await ask(appWith(), assertion, { headers: { authorization: "Bearer wrong" } })).toBe("401 token_unknown");
    expect(await ask(appWith(), "garbage", { headers: { authorization: "Bearer r-token-123" } })).toBe(letIn);
  });

  test("a session that somebody opened with a token counts, until it ends", async () => {
    const app = appWith();
    const init = { method: "POST", body: new URLSearchParams({ token: "a-token-123" }), headers: own };
    const signedIn = await app.request(`${here}/sign-in`, init);
    const cookie = (signedIn.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    const assertion = await team.sign(mail("bea@example.com"));
    const call = "DELETE /v1/runs/a";
    expect(await ask(app, assertion, { call, headers: { cookie } })).toBe(letIn);
    const foreign = { cookie, "sec-fetch-site": "cross-site" };
    expect(await ask(app, assertion, { call, headers: foreign })).toBe("403 origin_refused");
    const old = `__Host-holdfast_session=1.${"0".repeat(64)}`;
    expect(await ask(app, assertion, { call, headers: { cookie: old } })).toBe("403 role_insufficient");
    expect(await ask(app, assertion, { headers: { cookie: old } })).toBe(letIn);
  });
});

describe("nobody rides on a person's pass", () => {
  const foreign: Record<string, string>[] = [
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "none" },
    { "sec-fetch-site": "", origin: "https://evil.example" },
    { "sec-fetch-site": "cross-site", origin: here },
  ];

  test("a page of another address changes nothing, and opens no socket", async () => {
    const assertion = await team.sign(mail("ana@example.com"));
    for (const headers of foreign) {
      expect(await ask(appWith(), assertion, { call: "POST /v1/runs/a/cancel", headers })).toBe("403 origin_refused");
      const upgrade = { ...headers, upgrade: "websocket" };
      const call = "GET /v1/runs/a/events";
      expect(await ask(appWith(), assertion, { call, headers: upgrade })).toBe("403 origin_refused");
    }
    expect(await ask(appWith(), assertion, { call: "POST /v1/runs/a/cancel" })).toBe(letIn);
  });

  test("a person comes from a page: whoever does not say from where changes nothing", async () => {
    const headers = { "cf-access-jwt-assertion": await team.sign(mail("ana@example.com")) };
    const answer = await appWith().request(`${here}/v1/runs/a/cancel`, { method: "POST", headers });
    expect((await answer.json<{ code: string }>()).code).toBe("origin_refused");
  });

  test("a service needs no page, and a page needs to be of this address", async () => {
    const app = appWith({ ACCESS_ROLES: "operate:nightly.access" });
    const call = async (headers: Record<string, string>) => {
      const assertion = await team.sign({ common_name: "nightly.access" });
      const answer = await app.request(`${here}/v1/runs/a/cancel`, {
        method: "POST",
        headers: { "cf-access-jwt-assertion": assertion, ...headers },
      });
      return answer.status;
    };
    expect(await call({})).toBe(404);
    expect(await call({ origin: "https://evil.example" })).toBe(403);
    expect(await call({ "sec-fetch-site": "cross-site" })).toBe(403);
  });
});

test("the dashboard is open to whom Access lets in, and says who they are", async () => {
  const headers = { "cf-access-jwt-assertion": await team.sign(mail("ana@example.com")), accept: "text/html" };
  const empty = { list: () => Promise.resolve([]) };
  const service = failingService(reached);
  const app = appWith(
    {},
    {
      ...service,
      workflows: { ...service.workflows, ...empty },
      schedules: { ...service.schedules, ...empty },
    },
  );
  const answer = await app.request(`${here}/schedules`, { headers });
  expect(answer.status).toBe(200);
  const page = await answer.text();
  expect(page).toContain("ana@example.com");
  expect(page).toContain('href="/cdn-cgi/access/logout"');
  expect(page).not.toContain('action="/sign-out"');
});

describe("the keys", () => {
  test("are asked for once, however many come", async () => {
    const app = freshApp();
    const assertion = await team.sign(mail("ana@example.com"));
    expect(await ask(app, assertion)).toBe(letIn);
    const before = team.asked;
    for (let each = 0; each < 20; each += 1) expect(await ask(app, assertion)).toBe(letIn);
    expect(team.asked).toBe(before);
  });

  test("are asked for again for one that is new, and not more often than every half minute for one that is none", async () => {
    const app = freshApp();
    expect(await ask(app, await team.sign(mail("ana@example.com")))).toBe(letIn);
    await team.rotate();
    const fresh = await team.sign(mail("ana@example.com"));
    const before = team.asked;
    expect(await ask(app, fresh)).toBe("401 token_unknown");
    expect(team.asked).toBe(before);
    const now = Date.now();
    vi.spyOn(Date, "now").mockReturnValue(now + 31_000);
    expect(await ask(app, fresh)).toBe(letIn);
    expect(team.asked).toBe(before + 1);
  });

  test("are asked for again after ten minutes, and one that was taken back is known no longer", async () => {
    const app = freshApp();
    const old = await team.sign({ ...mail("ana@example.com"), exp: Math.floor(Date.now() / 1000) + 3600 });
    await team.rotate();
    team.forget();
    expect(await ask(app, await team.sign(mail("ana@example.com")))).toBe(letIn);
    const before = team.asked;
    const now = Date.now();
    vi.spyOn(Date, "now").mockReturnValue(now + 601_000);
    expect(await ask(app, await team.sign(mail("ana@example.com")))).toBe(letIn);
    expect(team.asked).toBe(before + 1);
    expect(await ask(app, old)).toBe("401 token_unknown");
  });

  test.each([
    [500, 101],
    [404, 1],
    [302, 1],
  ])("that cannot be read (%i, %i times) are 503 and nobody's fault, until they can be", async (status, times) => {
    const warn = vi.spyOn(console, "warn").mockReturnValue();
    const app = freshApp();
    const assertion = await team.sign(mail("ana@example.com"));
    team.mood = { status, delayMs: 0 };
    for (let each = 0; each < times; each += 1) expect(await ask(app, assertion)).toBe("503 access_keys_unavailable");
    expect(warn).toHaveBeenCalled();
    team.mood = { status: 200, delayMs: 0 };
    expect(await ask(app, assertion)).toBe(letIn);
  });

  test("that are nowhere are 503", async () => {
    vi.spyOn(console, "warn").mockReturnValue();
    const gone = await new Team().open();
    const assertion = await gone.sign(mail("ana@example.com"));
    await gone.close();
    expect(await ask(appWith({ ACCESS_TEAM_DOMAIN: gone.issuer }), assertion)).toBe("503 access_keys_unavailable");
  });

  test("that cannot be read keep nobody out who has a token", async () => {
    team.mood = { status: 500, delayMs: 0 };
    const headers = { authorization: "Bearer r-token-123" };
    expect(await ask(freshApp(), await team.sign(mail("ana@example.com")), { headers })).toBe(letIn);
  });
});
