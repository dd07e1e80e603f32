/** What a run that is made begins with. */
import { expect, test } from "vitest";
import { undefinedValue } from "../../src/core/value/value.ts";
import { creationOf } from "../../src/objects/run/creation.ts";
import type { CheckedStart } from "../../src/objects/rpc/start.ts";

const request: CheckedStart = {
  ...{ id: "one", workflow: "order", version: "1", input: undefinedValue, labels: {}, parent: null, schedule: null },
  by: "ana",
};

test("a delay counts from the run's creation, not from the request before it", () => {
  expect(creationOf({ ...request, startAt: 1_050, delayMs: 50 }, 1_020).startAt).toBe(1_070);
});

test("a debounced one begins no sooner than its period is over", () => {
  expect(creationOf({ ...request, startAt: 9_000, delayMs: 50 }, 1_020).startAt).toBe(9_000);
});

test("an instant that was asked for stays, also one in the past", () => {
  expect(creationOf({ ...request, startAt: 1_050 }, 2_000).startAt).toBe(1_050);
  expect(creationOf(request, 2_000).startAt).toBeNull();
});
