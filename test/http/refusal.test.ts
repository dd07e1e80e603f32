/** Pages that say what went wrong. */
import { expect, test, vi } from "vitest";
import { HoldfastError } from "../../src/core/error.ts";
import { createApp } from "../../src/http/app.ts";
import { parseConfig } from "../../src/http/config.ts";
import { failingService, tokens } from "./service.ts";

const passing = Object.assign(new Error("reset"), { durableObjectReset: true });

async function pageFor(path: string, error: unknown, variables: Parameters<typeof parseConfig>[0] = {}) {
  const app = createApp(failingService(error), () => parseConfig({ API_TOKENS: tokens, ...variables }));
  const answer = await app.request(path, { headers: { authorization: "Bearer r-token-123", accept: "text/html" } });
  return { status: answer.status, text: await answer.text() };
}

test.each([
  ["500", "/schedules", new TypeError("nobody foresaw this")],
  ["503", "/lanes", passing],
  ["503", "/stats", passing],
  ["503", "/", new HoldfastError("key_missing", "no key")],
  ["404", "/nothing", passing],
])("a page that fails with %s leads on to the others: %s", async (wanted, path, error) => {
  const log = vi.spyOn(console, "error").mockReturnValue();
  const { status, text } = await pageFor(path, error);
  log.mockRestore();
  expect(String(status)).toBe(wanted);
  expect(text).toContain('<nav aria-label="Pages">');
  expect(text).toContain("Sign out (role read)");
});

test("guarantee 9: who was not let in gets no way to the others", async () => {
  const { status, text } = await pageFor("/lanes", passing, { API_TOKENS: "" });
  expect([status, text]).toEqual([503, expect.not.stringContaining("<nav")]);
});
