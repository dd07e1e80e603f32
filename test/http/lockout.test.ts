/** Wrong credentials: how many one address has, and what it is answered afterwards. */
import { describe, expect, test, vi } from "vitest";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { addressOf, Lockout } from "../../src/http/auth/lockout.ts";
import { failingService, reached, tokens } from "./service.ts";

const minute = 60_000;
/** Of a hostile network. */
const addresses = Number(process.env["GUARD_ADDRESSES"] ?? 200_000);

function codeOf(ask: () => void): string {
  try {
    ask();
    return "passed";
  } catch (error) {
    const { code, headers } = error as { code: string; headers: Record<string, string> };
    return `${code} ${headers["retry-after"]}`;
  }
}

describe("one address", () => {
  test("has a hundred tries in a minute, and then waits for the end of it", () => {
    const lockout = new Lockout();
    for (let each = 0; each < 100; each += 1) {
      expect(codeOf(() => lockout.check("a", 1000 + each))).toBe("passed");
      lockout.fail("a", 1000 + each);
    }
    expect(codeOf(() => lockout.check("a", 1100))).toBe("too_many_failures 60");
    expect(codeOf(() => lockout.check("b", 1100))).toBe("passed");
    expect(codeOf(() => lockout.check("a", 1000 + minute - 1))).toBe("too_many_failures 1");
    expect(codeOf(() => lockout.check("a", 1000 + minute))).toBe("passed");
  });

  test("begins anew with the first failure after its minute", () => {
    const lockout = new Lockout();
    for (let each = 0; each < 100; each += 1) lockout.fail("a", 0);
    lockout.fail("a", minute);
    expect(codeOf(() => lockout.check("a", minute))).toBe("passed");
    for (let each = 0; each < 99; each += 1) lockout.fail("a", minute + 1);
    expect(codeOf(() => lockout.check("a", minute + 1))).toBe("too_many_failures 60");
  });

  test("is not locked out for long by a clock that is set back", () => {
    const lockout = new Lockout();
    for (let each = 0; each < 100; each += 1) lockout.fail("a", 1_000_000);
    expect(codeOf(() => lockout.check("a", 10))).toBe("passed");
  });
});

test("however many addresses there are, ten thousand are known at most, and the newest of them", () => {
  const lockout = new Lockout();
  for (let each = 0; each < addresses; each += 1) lockout.fail(`address ${each}`, 0);
  expect(lockout.size).toBeLessThanOrEqual(10_000);
  for (let each = 0; each < 99; each += 1) lockout.fail(`address ${addresses - 1}`, 0);
  expect(codeOf(() => lockout.check(`address ${addresses - 1}`, 0))).toBe("too_many_failures 60");
});

test.each([
  [undefined, ""],
  ["203.0.113.7", "203.0.113.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:0DB8:0001:2:ffff::1", "2001:db8:1:2"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["::1", "0:0:0:0"],
  ["::ffff:203.0.113.7", "::ffff:203.0.113.7"],
])("the address %s counts as %j", (header, address) => {
  const headers = header === undefined ? {} : { "cf-connecting-ip": header };
  expect(addressOf(new Request("http://holdfast.test", { headers }))).toBe(address);
});

describe("over HTTP", () => {
  const from = { "cf-connecting-ip": "203.0.113.7" };
  const wrong: Record<string, Record<string, string>> = {
    "a token": { authorization: "Bearer wrong" },
    "a session": { cookie: `holdfast_session=9999999999999.${"0".repeat(64)}` },
  };

  function appOf() {
    return createApp(failingService(reached), () => parseConfig({ API_TOKENS: tokens }));
  }

  async function ask(app: ReturnType<typeof appOf>, headers: Record<string, string>, path = "/v1/runs") {
    const answer = await app.request(`http://holdfast.test${path}`, { headers: { ...from, ...headers } });
    return { status: answer.status, pause: Number(answer.headers.get("retry-after") ?? 0), answer };
  }

  test.each(Object.entries(wrong))(
    "%s that is wrong counts, and then the right one tells nothing",
    async (_, headers) => {
      const app = appOf();
      for (let each = 0; each < 100; each += 1) expect((await ask(app, headers)).status).toBe(401);
      for (const credential of [headers, { authorization: "Bearer a-token-123" }]) {
        const { status, pause, answer } = await ask(app, credential);
        expect([status, pause > 50 && pause <= 60]).toEqual([429, true]);
        expect(await answer.json()).toMatchObject({ code: "too_many_failures" });
      }
      const elsewhere = { authorization: "Bearer a-token-123", "cf-connecting-ip": "203.0.113.8" };
      expect((await ask(app, elsewhere)).status).toBe(404);
      // What needs no credential is answered, and what lacks one hears so.
      expect((await ask(app, {}, "/health")).status).toBe(200);
      expect((await ask(app, {})).status).toBe(401);
    },
  );

  test("the sign-in form counts, and is then a page that says when to come back", async () => {
    const app = appOf();
    const signIn = (token: string) =>
      app.request("http://holdfast.test/sign-in", {
        method: "POST",
        body: new URLSearchParams({ token }),
        headers: { ...from, "sec-fetch-site": "same-origin" },
      });
    for (let each = 0; each < 100; each += 1) expect((await signIn("wrong")).status).toBe(401);
    const answer = await signIn("a-token-123");
    expect([answer.status, answer.headers.get("set-cookie")]).toEqual([429, null]);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(50);
    expect(await answer.text()).toContain("too_many_failures");
  });

  test("missing ones, old sessions, right ones and those of too small a role do not count", async () => {
    const app = appOf();
    const harmless: Record<string, string>[] = [
      {},
      { authorization: "Basic abc" },
      { authorization: "Bearer r-token-123" },
      { cookie: `holdfast_session=1.${"0".repeat(64)}` },
    ];
    for (const headers of harmless) for (let each = 0; each < 101; each += 1) await ask(app, headers);
    const headers = { ...from, authorization: "Bearer r-token-123" };
    for (let each = 0; each < 101; each += 1) await app.request("/v1/runs/a/cancel", { method: "POST", headers });
    expect((await ask(app, { authorization: "Bearer a-token-123" })).status).toBe(404);
  });

  test("the minute passes", async () => {
    const app = appOf();
    const now = Date.now();
    const clock = vi.spyOn(Date, "now").mockReturnValue(now);
    for (let each = 0; each < 100; each += 1) await ask(app, { authorization: "Bearer wrong" });
    expect((await ask(app, { authorization: "Bearer a-token-123" })).status).toBe(429);
    clock.mockReturnValue(now + minute);
    expect((await ask(app, { authorization: "Bearer a-token-123" })).status).toBe(404);
    clock.mockRestore();
  });
});
