import { afterEach, expect, test, vi } from "vitest";
import { deliver } from "../../src/objects/outbox/collector.ts";

afterEach(() => vi.unstubAllGlobals());

test.each([
  ["in seconds", () => "120", 120_000, 120_000],
  ["as a date", () => new Date(Date.now() + 90_000).toUTCString(), 60_000, 90_000],
  ["in nonsense", () => "soon", 0, 0],
  ["not at all", () => null, 0, 0],
])("a collector that has no time says when to come back, %s", async (_, after, least, most) => {
  const header = after();
  const headers = new Headers(header === null ? {} : { "retry-after": header });
  vi.stubGlobal("fetch", async () => new Response(null, { status: 503, headers }));
  const collector = { url: "https://collector.test/v1/traces", headers: {}, service: "holdfast" };
  const delivery = await deliver(collector, [], new AbortController().signal);
  if (delivery.kind !== "busy") throw new Error(`it was ${delivery.kind}`);
  expect(delivery.waitMs).toBeGreaterThanOrEqual(least);
  expect(delivery.waitMs).toBeLessThanOrEqual(most);
});
