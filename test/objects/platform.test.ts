import { expect, test } from "vitest";
import { checkPlatform } from "../../src/objects/deployment/platform.ts";

test("a runtime that would let objects sleep over their work is refused, with what to set", () => {
  expect(() => checkPlatform({ nodejs_als: true })).toThrow(/compatibility_date to 2026-10-01 or later/);
  expect(() => checkPlatform({ durable_object_io_tasks_prevent_eviction: false })).toThrow(
    expect.objectContaining({ code: "config_invalid" }),
  );
  checkPlatform({ durable_object_io_tasks_prevent_eviction: true });
});

test("where there is no Cloudflare nothing is asked for", () => {
  checkPlatform(undefined);
});
