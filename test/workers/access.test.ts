/**
 * Cloudflare Access in the runtime where promises belong to one request each: keys from a real server, asked for
 * by many requests at once, by one that goes away, and anew when they change.
 */
import { exports } from "cloudflare:workers";
import { beforeEach, describe, expect, inject, it, vi } from "vitest";
import { audience } from "../http/team.ts";
import { ask, historyOf, newId } from "./client.ts";
import { settings } from "./settings.ts";

const team = inject("team");
let settled = 0;

/** Keys belong to the configuration: with another audience beside the right one, none is known yet. */
beforeEach(async () => {
  settings["ACCESS_TEAM_DOMAIN"] = team;
  settings["ACCESS_AUD"] = `${audience},other-${(settled += 1)}`;
  settings["ACCESS_ROLES"] = "read:*@example.com,operate:ana@example.com";
  await tell("/mood", { status: 200, delayMs: 0 });
});

async function tell<Told>(path: string, json: unknown = {}): Promise<Told> {
  return await (await fetch(`${team}${path}`, { method: "POST", body: JSON.stringify(json) })).json<Told>();
}

const sign = (email: string) => tell<string>("/sign", { email });
const asked = () => tell<number>("/asked");

async function call(assertion: string, target = "GET /v1/lanes?limit=1", headers = {}): Promise<string> {
  const known = { "cf-access-jwt-assertion": assertion, "sec-fetch-site": "same-origin", ...headers };
  const { status, body } = await ask(target, { token: null, headers: known });
  return typeof body["code"] === "string" ? `${status} ${body["code"]}` : String(status);
}

it("a person starts, pauses and resumes a run, and the history has their name", async () => {
  const assertion = await sign("Ana@example.com");
  const id = newId("access");
  const headers = { "cf-access-jwt-assertion": assertion, origin: "http://example.com", "holdfast-actor": "nobody" };
  const json = { id, input: { name: "go" } };
  const { status } = await ask("POST /v1/workflows/web-listen/runs", { token: null, json, headers });
  expect(status).toBe(201);
  for (const action of ["pause", "resume"]) expect(await call(assertion, `POST /v1/runs/${id}/${action}`)).toBe("200");
  const told = (await historyOf(id)).filter(({ kind }) => /^run\.(?:created|paused|resumed)$/.test(kind));
  expect(told.map(({ by, role }) => ({ by, role }))).toEqual(
    told.map(() => ({ by: "ana@example.com", role: "operate" })),
  );
  expect(told.length).toBe(3);
  expect(await call(assertion, `DELETE /v1/runs/${id}`)).toBe("403 role_insufficient");
});

describe("the keys", () => {
  it("are there for all of many requests that come while none is known", async () => {
    const assertion = await sign("bea@example.com");
    await tell("/mood", { status: 200, delayMs: 50 });
    const answers = await Promise.all(Array.from({ length: 30 }, () => call(assertion)));
    expect(answers).toEqual(answers.map(() => "200"));
    const before = await asked();
    await tell("/mood", { status: 500, delayMs: 0 });
    for (let each = 0; each < 10; each += 1) expect(await call(assertion)).toBe("200");
    expect(await asked()).toBe(before);
  });

  it("are there for the next when the request that fetches them is gone", async () => {
    const assertion = await sign("bea@example.com");
    await tell("/mood", { status: 200, delayMs: 200 });
    const leaving = new AbortController();
    const gone = exports.default.fetch("http://example.com/v1/lanes?limit=1", {
      headers: { "cf-access-jwt-assertion": assertion },
      signal: leaving.signal,
    });
    await expect.poll(asked).toBeGreaterThan(0);
    leaving.abort();
    await gone.then((answer) => answer.body?.cancel()).catch(() => undefined);
    expect(await call(assertion)).toBe("200");
  });

  it("are fetched anew for a key that is new, by many at once", async () => {
    expect(await call(await sign("bea@example.com"))).toBe("200");
    await tell("/rotate");
    const fresh = await sign("bea@example.com");
    expect(await call(fresh)).toBe("401 token_unknown");
    const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 31_000);
    const answers = await Promise.all(Array.from({ length: 10 }, () => call(fresh)));
    clock.mockRestore();
    expect(answers).toEqual(answers.map(() => "200"));
  });

  it("that cannot be reached are 503, and nobody is locked out when they can be", async () => {
    const warned = vi.spyOn(console, "warn").mockReturnValue();
    const assertion = await sign("bea@example.com");
    await tell("/mood", { status: 503, delayMs: 0 });
    expect(await call(assertion)).toBe("503 access_keys_unavailable");
    await tell("/mood", { status: 200, delayMs: 0 });
    expect(await call(assertion)).toBe("200");
    expect(warned.mock.calls.filter(([said]) => String(said).includes("Cloudflare Access"))).toHaveLength(1);
  });
});

it("a forged assertion, one of another application and none at all let nobody in", async () => {
  const assertion = await sign("ana@example.com");
  const [head = "", body = "", mac = ""] = assertion.split(".");
  const none = btoa(JSON.stringify({ alg: "none" })).replaceAll("=", "");
  const other = await tell<string>("/sign", { email: "ana@example.com", aud: ["another"] });
  const late = await tell<string>("/sign", { email: "ana@example.com", exp: 1 });
  for (const forged of [`${none}.${body}.`, `${none}.${body}.${mac}`, `${head}.${body}.`, other, late, "garbage"]) {
    expect(await call(forged)).toBe("401 token_unknown");
  }
  expect(await call(assertion)).toBe("200");
  expect(await call(assertion, "POST /v1/runs/a/cancel", { "sec-fetch-site": "cross-site" })).toBe(
    "403 origin_refused",
  );
});

it("half of a configuration lets nobody in, and says which half is missing", async () => {
  const assertion = await sign("ana@example.com");
  settings["ACCESS_AUD"] = "";
  const { status, body } = await ask("GET /v1/runs", { headers: { "cf-access-jwt-assertion": assertion } });
  expect([status, body["code"], body["detail"]]).toEqual([
    503,
    "config_invalid",
    expect.stringContaining("ACCESS_AUD must be set"),
  ]);
});
