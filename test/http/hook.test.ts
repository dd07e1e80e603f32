import { expect, test } from "vitest";
import type { HookRequest } from "../../src/core/hooks.ts";
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
