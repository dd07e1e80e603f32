import { describe, expect, test, vi } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import type { HookRequest, Hooks } from "../../src/core/service/hooks.ts";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { failingService, reached, tokens } from "./service.ts";

/** The headers that a webhook's run is given of a call with these. */
async function given(headers: Readonly<Record<string, string>>): Promise<unknown> {
  const calls: HookRequest[] = [];
  const service = failingService(reached);
  const receive = (_token: string, call: HookRequest) => {
    calls.push(call);
    return Promise.resolve({ duplicate: false });
  };
  const app = createApp({ ...service, hooks: { ...service.hooks, receive } }, () =>
    parseConfig({ API_TOKENS: tokens }),
  );
  expect((await app.request("https://example.com/hooks/token", { method: "POST", headers })).status).toBe(202);
  return calls[0]?.headers;
}

test("what lets its sender in here stays out of the run, which others read", async () => {
  const session =
    "__Host-holdfast_session=1.f; holdfast_session=2.f; CF_Authorization=a.b.c; CF_Binding=x; CF_AppSession=y";
  expect(await given({ "x-kept": "1", "cf-access-jwt-assertion": "a.b.c", cookie: session })).toEqual({
    "x-kept": "1",
  });
  expect(
    await given({ "cf-access-client-secret": "s", "cf-access-token": "t", cookie: `mine=1; ${session}; b=2` }),
  ).toEqual({ cookie: "mine=1; b=2" });
  expect(await given({ authorization: "Bearer theirs", cookie: "a=holdfast_session=1" })).toEqual({
    authorization: "Bearer theirs",
    cookie: "a=holdfast_session=1",
  });
});

describe("a person who opens an address in a browser", () => {
  const browser = { accept: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8" };

  /** The answer to a call with these headers, where the run answers so. */
  async function visited(receive: Hooks["receive"], headers: Readonly<Record<string, string>>): Promise<Response> {
    const service = failingService(reached);
    const app = createApp({ ...service, hooks: { ...service.hooks, receive } }, () =>
      parseConfig({ API_TOKENS: tokens }),
    );
    return await app.request("https://example.com/hooks/token", { headers });
  }

  test.each([
    { duplicate: false, status: 202, title: "Received" },
    { duplicate: true, status: 200, title: "Already received" },
  ])("is told in words whether the call counts: $title", async ({ duplicate, status, title }) => {
    const response = await visited(() => Promise.resolve({ duplicate }), browser);
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toContain("text/html");
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(response.headers.get("referrer-policy")).toBe("no-referrer");
    expect(await response.text()).toContain(`<h1>${title}</h1>`);
  });

  test.each([
    { code: "webhook_expired", status: 410, title: "No longer open" },
    { code: "run_ended", status: 410, title: "No longer open" },
    { code: "webhook_not_found", status: 404, title: "Unknown address" },
    { code: "webhook_rejected", status: 403, title: "Not accepted" },
    { code: "webhook_unavailable", status: 503, title: "Not now" },
  ] as const)("is told in words why it does not: $code", async ({ code, status, title }) => {
    const refuse = () => Promise.reject(new HoldfastError(code, "the <b>wait</b> is over"));
    const response = await visited(refuse, browser);
    expect(response.status).toBe(status);
    const html = await response.text();
    expect(html).toContain(`<h1>${title}</h1><p>The &lt;b&gt;wait&lt;/b&gt; is over.</p>`);
    expect(html).toContain(`<code>${status} ${code}</code>`);
  });

  const answering = (status: number, headers: Record<string, string>, body: string) =>
    visited(() => Promise.resolve({ duplicate: false, response: { status, headers, body } }), browser);

  test("gets what the workflow itself answers, with a policy of its own where it has one", async () => {
    const response = await answering(200, {}, "Thank you.");
    expect(await response.text()).toBe("Thank you.");
    expect(response.headers.get("content-security-policy")).toBe("sandbox");
    const own = await answering(200, { "content-security-policy": "default-src 'self'" }, "Thank you.");
    expect(own.headers.get("content-security-policy")).toBe("default-src 'self'");
  });

  test.each([204, 205, 304])(
    "gets the workflow's status %d, which has no body, whatever it gave as one",
    async (status) => {
      const response = await answering(status, {}, "Thank you.");
      expect([response.status, await response.text()]).toEqual([status, ""]);
    },
  );

  test("and a program gets JSON, as ever", async () => {
    const response = await visited(() => Promise.resolve({ duplicate: false }), { accept: "*/*" });
    expect(await response.json()).toEqual({ accepted: true, duplicate: false });
    const refused = await visited(() => Promise.reject(new HoldfastError("webhook_expired", "over")), {});
    expect(refused.headers.get("content-type")).toBe("application/problem+json");
    expect(await refused.json()).toMatchObject({ code: "webhook_expired", status: 410 });
  });
});

test.each(["config_invalid", "key_missing", "journal_corrupt", "journal_newer"] as const)(
  "a call that cannot be taken as things are, %s, is told no more than that",
  async (code) => {
    const service = failingService(new HoldfastError(code, "the key k1 is missing"));
    const logged = vi.spyOn(console, "error").mockReturnValue();
    const app = createApp(service, () => parseConfig({ API_TOKENS: tokens }));
    const response = await app.request("https://example.com/hooks/token", { method: "POST" });
    expect(await response.json()).toMatchObject({ code, detail: expect.not.stringContaining("k1") });
    expect(logged).toHaveBeenCalledOnce();
    logged.mockRestore();
  },
);

test.each([
  [{ PUBLIC_URL: "https://orders.example.com" }, "https://orders.example.com/webhooks/a%20b"],
  [{}, "https://internal.example:8443/webhooks/a%20b"],
])("webhooks are listed with the address that others know the Worker by: %j", async (settings, url) => {
  const service = failingService(reached);
  const known = { name: "a b", workflow: "orders", methods: ["POST"], verify: null };
  const hooks = { ...service.hooks, list: () => Promise.resolve([known]) };
  const app = createApp({ ...service, hooks } as never, () => parseConfig({ API_TOKENS: tokens, ...settings }));
  const headers = { authorization: "Bearer r-token-123" };
  const response = await app.request("https://internal.example:8443/v1/webhooks", { headers });
  expect(await response.json()).toMatchObject({ webhooks: [{ url }] });
});

test.each([
  ["/v1/workflows/orders/runs", {}],
  ["/v1/workflows/orders/batch", { runs: [{}] }],
  ["/v1/runs/a/fork", {}],
  ["/v1/runs/import", {}],
  ["/v1/schedules/nightly/trigger", {}],
  ["/webhooks/github", {}],
])("a run that POST %s starts has its webhooks where the request came in", async (path, body) => {
  const origins: unknown[] = [];
  const make = (...args: unknown[]): Promise<never> => {
    origins.push((args.at(-1) as { origin?: string }).origin);
    return Promise.reject(reached);
  };
  const { runs, schedules, hooks, ...others } = failingService(reached);
  const webhook = { name: "github", workflow: "orders", methods: ["POST"], verify: "none", maxBytes: 10 };
  const service = {
    ...others,
    runs: { ...runs, start: make, fork: make, import: make },
    schedules: { ...schedules, trigger: make },
    hooks: { ...hooks, find: () => Promise.resolve(webhook), receiveInbound: make },
  };
  const app = createApp(service, () => parseConfig({ API_TOKENS: tokens }));
  const headers = { authorization: "Bearer a-token-123" };
  const request = { method: "POST", headers, body: JSON.stringify(body) };
  await app.request(`https://internal.example:8443${path}`, request);
  expect(origins).toEqual(["https://internal.example:8443"]);
});
