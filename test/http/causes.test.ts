/** Failures by cause, on the page of runs. */
import { expect, test } from "vitest";
import type { Cause } from "../../src/core/service/directory.ts";
import { Causes } from "../../src/http/pages/causes.tsx";

const hourMs = 3_600_000;

function causeThat(message: string, beganHoursAgo: number): Cause {
  const firstAt = Date.now() - beganHoursAgo * hourMs;
  const counted = { count: 1, firstAt, lastAt: Date.now(), run: "r", root: message, depth: 0 };
  return { id: message, workflow: "pay", code: null, step: null, message, ...counted };
}

/** Titles and messages, in the order in which they stand there. */
async function drawn(causes: readonly Cause[]): Promise<readonly string[]> {
  const html = String(await Causes({ causes, parameters: new Map(), isOpen: true }));
  return Array.from(
    html.matchAll(/<h3>([^<]*)<|cause-message">([^<]*)</g),
    ([, title, message]) => title ?? message ?? "",
  );
}

test("those that began lately stand first, the newest before all, as a deployment may have brought them", async () => {
  expect(
    await drawn([causeThat("old", 100), causeThat("new", 20), causeThat("older", 200), causeThat("newest", 1)]),
  ).toEqual(["New in the last 24 hours", "newest", "new", "Known for longer", "old", "older"]);
});

test("where all began lately, or none did, they stay by number", async () => {
  expect(await drawn([causeThat("a", 3), causeThat("b", 1)])).toEqual(["a", "b"]);
  expect(await drawn([causeThat("a", 30), causeThat("b", 40)])).toEqual(["a", "b"]);
});
