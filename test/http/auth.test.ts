/** Who may call what. The table of routes is walked, so a route without a role cannot be added. */
import { afterAll, describe, expect, test } from "vitest";
import { createApp, routes } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import type { Role } from "../../src/http/config.ts";
import { expectedRoles } from "./roles.ts";
import { failingService, reached, tokens } from "./service.ts";
import { audience, Team } from "./team.ts";

const service = failingService(reached);
const guarded = routes.flatMap(({ method, path, role, page }) =>
  role === "open" || page === true ? [] : [{ method, path, role }],
);
const pages = routes.flatMap(({ path, role, page }) => (role !== "open" && page === true ? [{ path, role }] : []));
const order: readonly Role[] = ["read", "operate", "admin"];

function appWith(env: Record<string, unknown>) {
  return createApp(service, () => parseConfig(env));
}

const team = await new Team().open();
afterAll(() => team.close());

const access = {
  ACCESS_TEAM_DOMAIN: team.issuer,
  ACCESS_AUD: audience,
  ACCESS_ROLES: "read:*@example.com,operate:olu@example.com,admin.shapes:adi@example.com,operate:nightly.access",
};
const shapeTokens = "read.shapes:rs-token-123,operate.shapes:os-token-123,admin.shapes:as-token-123";
/** The SHA-256 of h-token-123. */
const hashed = "admin:sha256:5457af87b394062732b77ea34fe0cfb55b72209693340227a37ca9d71e395eb1";
const locked = appWith({ API_TOKENS: `${tokens},${shapeTokens},${hashed}`, ...access });

type Credential = { readonly held: Role; readonly headers: Record<string, string> };

/** Everybody there is to be let in, and the role that they have. */
async function callers(): Promise<readonly (readonly [who: string, credential: Credential])[]> {
  const token = (held: Role, text: string): Credential => ({ held, headers: { authorization: `Bearer ${text}` } });
  const visitor = async (held: Role, claims: Record<string, string>): Promise<Credential> => {
    const headers = { "cf-access-jwt-assertion": await team.sign(claims), "sec-fetch-site": "same-origin" };
    return { held, headers };
  };
  return [
    ["read", token("read", "r-token-123")],
    ["operate", token("operate", "o-token-123")],
    ["admin", token("admin", "a-token-123")],
    ["read.shapes", token("read", "rs-token-123")],
    ["operate.shapes", token("operate", "os-token-123")],
    ["admin.shapes", token("admin", "as-token-123")],
    ["admin by its digest", token("admin", "h-token-123")],
    ["a person who reads", await visitor("read", { email: "ana@example.com" })],
    ["a person who operates", await visitor("operate", { email: "olu@example.com" })],
    ["a person who sees shapes", await visitor("admin", { email: "adi@example.com" })],
    ["a service", await visitor("operate", { common_name: "nightly.access" })],
  ];
}

async function ask(app: ReturnType<typeof appWith>, path: string, init: RequestInit = {}) {
  const response = await app.request(path, init);
  const text = await response.text();
  const { code, detail } = (text === "" ? {} : JSON.parse(text)) as { code?: string; detail?: string };
  return { status: response.status, code, detail, headers: response.headers };
}

function bearer(token: string): RequestInit {
  return { headers: { authorization: `Bearer ${token}` } };
}

function concrete(path: string): string {
  return path.replace(/:\w+/g, "some");
}

describe("the table of routes", () => {
  test("holds every route that is registered, and nothing else is", () => {
    const registered = locked.routes
      .filter(({ path }) => !path.endsWith("/*"))
      .map(({ method, path }) => `${method} ${path}`);
    expect(registered.toSorted()).toEqual(routes.map(({ method, path }) => `${method} ${path}`).toSorted());
  });

  test("guarantee 9: gives each route the role that is expected of it, and holds no other", () => {
    const table = Object.fromEntries(routes.map(({ method, path, role }) => [`${method} ${path}`, role]));
    expect(table).toEqual(expectedRoles);
  });

  test("a GET needs no more than read, and whatever else is in the API needs more", () => {
    for (const { method, path, role } of guarded) expect([path, role === "read"]).toEqual([path, method === "GET"]);
  });
});

/** Let in, and refused for what an empty request lacks, or by the service; the description of the API asks neither. */
const letIn = /^(?:.*: )?(?:404 (?:run|schedule)_not_found|400 (?:body|parameter)_invalid|200 undefined)$/;

describe.each(guarded)("$method $path", ({ method, path, role }) => {
  const target = concrete(path);

  test("guarantee 9: no token is 401, and says how to send one", async () => {
    const { status, code, headers } = await ask(locked, target, { method });
    expect([status, code, headers.get("www-authenticate")]).toEqual([401, "token_missing", 'Bearer realm="holdfast"']);
  });

  test("guarantee 9: with no token configured it is 503, naming the variable", async () => {
    for (const env of [{}, { API_TOKENS: "" }, { AUTH: "token" }]) {
      const { status, code, detail } = await ask(appWith(env), target, { method, ...bearer("a-token-123") });
      expect([status, code]).toEqual([503, "auth_unconfigured"]);
      expect(detail).toContain("API_TOKENS");
    }
  });

  test("every caller is answered as their role says, whatever they are shown", async () => {
    for (const [who, { held, headers }] of await callers()) {
      const { status, code } = await ask(locked, target, { method, headers });
      const allowed = order.indexOf(held) >= order.indexOf(role);
      // Who sees shapes may not have what would carry the data out.
      const isHidden = allowed && who.includes("shapes") && code === "payload_hidden";
      if (!isHidden) expect(`${who}: ${status} ${code}`).toMatch(allowed ? letIn : /: 403 role_insufficient$/);
    }
  });

  test("AUTH=none lets this machine in and nobody else", async () => {
    const app = appWith({ AUTH: "none" });
    const own = await ask(app, `http://localhost:8787${target}`, { method });
    expect(`${own.status} ${own.code}`).toMatch(letIn);
    const other = await ask(app, `http://example.com${target}`, { method });
    expect([other.status, other.code]).toEqual([403, "loopback_only"]);
  });
});

describe.each(pages)("the page $path", ({ path, role }) => {
  const target = concrete(path);

  test("guarantee 9: without a session it leads to the sign-in page, and back", async () => {
    const response = await locked.request(target);
    const next = target === "/" ? "" : `?next=${encodeURIComponent(target)}`;
    expect([response.status, response.headers.get("location")]).toEqual([303, `/sign-in${next}`]);
  });

  test("guarantee 9: with no token configured it is 503, and a page that says what to set", async () => {
    const response = await appWith({}).request(target, bearer("a-token-123"));
    expect(response.status).toBe(503);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(await response.text()).toContain("API_TOKENS");
  });

  test("everybody who is let in comes in with the role read, and what fails then is a page", async () => {
    expect(role).toBe("read");
    for (const [who, { headers }] of await callers()) {
      const response = await locked.request(target, { headers });
      const type = response.headers.get("content-type");
      expect([who, response.status, type]).toEqual([who, 404, "text/html; charset=utf-8"]);
    }
  });

  test("AUTH=none lets this machine in and nobody else", async () => {
    const app = appWith({ AUTH: "none" });
    expect((await app.request(`http://localhost:8787${target}`)).status).toBe(404);
    expect((await app.request(`http://example.com${target}`)).status).toBe(403);
  });
});

describe("a page of another site", () => {
  test("has no use of a session, or of what Access knows, at any route that changes something", async () => {
    const body = new URLSearchParams({ token: "a-token-123" });
    const own = { "sec-fetch-site": "same-origin" };
    const signedIn = await locked.request("/sign-in", { method: "POST", body, headers: own });
    const cookie = (signedIn.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    const assertion = await team.sign({ email: "adi@example.com" });
    const ambient = [{ cookie }, { "cf-access-jwt-assertion": assertion }];
    const changing = guarded.filter(({ method }) => method !== "GET");
    expect(changing.length).toBeGreaterThan(20);
    for (const { method, path } of changing) {
      for (const sent of ambient) {
        const headers = { ...sent, "sec-fetch-site": "cross-site", origin: "https://evil.example" };
        const { status, code } = await ask(locked, concrete(path), { method, headers });
        expect([method, path, status, code]).toEqual([method, path, 403, "origin_refused"]);
      }
    }
  });
});

describe("credentials", () => {
  test.each([
    ["nothing", undefined, "token_missing"],
    ["an empty header", "", "token_missing"],
    ["the scheme alone", "Bearer", "token_missing"],
    ["no token", "Bearer ", "token_missing"],
    ["two tokens", "Bearer r-token-123 a-token-123", "token_missing"],
    ["another scheme", "Basic ci10b2tlbi0xMjM6", "token_missing"],
    ["the bare token", "r-token-123", "token_missing"],
    ["an unknown token", "Bearer x-token-123", "token_unknown"],
    ["a prefix", "Bearer r-token-12", "token_unknown"],
    ["one character more", "Bearer r-token-1234", "token_unknown"],
    ["another case", "Bearer R-TOKEN-123", "token_unknown"],
    ["the role with it", "Bearer read:r-token-123", "token_unknown"],
    ["the whole list", `Bearer ${tokens}`, "token_unknown"],
  ])("%s is 401", async (_, authorization, code) => {
    const answer = await ask(locked, "/v1/runs", authorization === undefined ? {} : { headers: { authorization } });
    expect([answer.status, answer.code]).toEqual([401, code]);
    expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer /);
  });

  test.each(["Bearer r-token-123", "bearer r-token-123", "BEARER   r-token-123", " Bearer r-token-123 "])(
    "%j is let in",
    async (authorization) => {
      expect((await ask(locked, "/v1/runs", { headers: { authorization } })).code).toBe("run_not_found");
    },
  );

  test("a token in the query is not taken", async () => {
    expect((await ask(locked, "/v1/runs?access_token=r-token-123")).status).toBe(401);
  });

  test("every token of a role is known", async () => {
    const app = appWith({ API_TOKENS: "read:one,read:two,read:three" });
    for (const token of ["one", "two", "three"]) {
      expect((await ask(app, "/v1/runs", bearer(token))).code).toBe("run_not_found");
    }
  });

  test("a token that is configured whole and by its digest has the lower role", async () => {
    for (const list of [`read:h-token-123,${hashed}`, `${hashed},read:h-token-123`]) {
      const app = appWith({ API_TOKENS: list });
      expect((await ask(app, "/v1/runs", bearer("h-token-123"))).code).toBe("run_not_found");
      const removal = { ...bearer("h-token-123"), method: "DELETE" };
      expect((await ask(app, "/v1/runs/a", removal)).code).toBe("role_insufficient");
    }
  });

  test("a broken variable is 503, names it, and shows no token", async () => {
    const { status, code, detail } = await ask(appWith({ API_TOKENS: "read:good,secret" }), "/v1/runs", bearer("good"));
    expect([status, code]).toEqual([503, "config_invalid"]);
    expect(detail).toContain("API_TOKENS");
    expect(detail).not.toMatch(/good|secret/);
  });

  test("liveness needs neither token nor configuration", async () => {
    expect((await ask(appWith({ AUTH: "broken" }), "/health")).status).toBe(200);
  });

  test("what is not there is not said without a token", async () => {
    expect((await ask(locked, "/v1/nothing")).code).toBe("token_missing");
    expect((await ask(locked, "/v1/nothing", bearer("r-token-123"))).code).toBe("route_not_found");
  });
});

describe("AUTH=none", () => {
  const app = appWith({ AUTH: "none" });
  const loopback = ["localhost", "localhost:8787", "app.localhost", "127.0.0.1", "127.8.9.10:1", "127.1", "[::1]:8787"];
  const foreign = [
    "example.com",
    "localhost.example.com",
    "127.0.0.1.example.com",
    "10.0.0.1",
    "0.0.0.0",
    "[::2]",
    "mylocalhost",
  ];

  test.each(loopback)("%s is this machine", async (host) => {
    expect((await ask(app, `http://${host}/v1/runs`)).code).toBe("run_not_found");
    expect((await ask(app, "http://localhost/v1/runs", { headers: { host } })).code).toBe("run_not_found");
  });

  test.each(foreign)("%s is not", async (host) => {
    expect((await ask(app, `http://${host}/v1/runs`)).code).toBe("loopback_only");
    expect((await ask(app, "http://localhost/v1/runs", { headers: { host } })).code).toBe("loopback_only");
  });

  test.each([
    ["http://localhost:8787", "run_not_found"],
    ["http://127.0.0.1:3000", "run_not_found"],
    ["https://evil.example", "origin_refused"],
    ["http://localhost.evil.example", "origin_refused"],
    ["null", "origin_refused"],
    ["", "origin_refused"],
  ])("a page of %j", async (origin, code) => {
    expect((await ask(app, "http://localhost:8787/v1/runs", { headers: { origin } })).code).toBe(code);
  });

  test("with tokens the origin says nothing: no browser sends the token by itself", async () => {
    const headers = { authorization: "Bearer r-token-123", origin: "https://elsewhere.example" };
    expect((await ask(locked, "http://api.example/v1/runs", { headers })).code).toBe("run_not_found");
  });
});
