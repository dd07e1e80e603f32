/** The history in sentences: every kind of entry has one, made of the entry alone. */
import { describe, expect, test } from "vitest";
import type { Entry, Fact } from "../../src/core/history/entry.ts";
import { inLine } from "../../src/core/sentence/phrase.ts";
import { sentenceOf, zonedSentenceOf } from "../../src/core/sentence/sentence.ts";
import { encode } from "../../src/core/value/value.ts";

const at = Date.UTC(2026, 2, 2, 14, 2);
const hourMs = 3_600_000;
const error = {
  name: "Error",
  message: "503 from the bank",
  stack: "at secret.ts",
  cause: { name: "E", message: "x" },
};
const secret = encode("a secret", "it");
const ana = { by: "ana", role: "operate" } as const;
const made = { step: "charge", attempt: 2, startedAt: at - 120 };
const child = { id: "item-3", workflow: "resize" };

const creation = {
  ...{ kind: "run.created", id: "order-7", workflow: "order", version: "1", input: secret, labels: { a: "a secret" } },
  ...{ parent: null, schedule: null, startAt: null, notAfter: null, origin: "https://a.secret", key: "a secret" },
} as const;

/** A kind that is not here does not compile. */
const sentences: {
  readonly [Kind in Fact["kind"]]: readonly (readonly [Omit<Extract<Fact, { kind: Kind }>, "kind">, string])[];
} = {
  "run.created": [
    [
      { ...creation, ...ana, reason: "the customer called" },
      "ana (operate) started order (version 1): the customer called",
    ],
    [{ ...creation, by: "admin", startAt: at + hourMs }, "admin started order (version 1), to begin at 15:02"],
    [
      { ...creation, by: "admin", startAt: at + 24 * hourMs },
      "admin started order (version 1), to begin on 3 Mar 14:02",
    ],
    [
      { ...creation, by: "parent order-1", parent: { id: "order-1", workflow: "orders" } },
      "run order-1 of workflow orders started order (version 1)",
    ],
    [
      { ...creation, by: "schedule:nightly", schedule: { id: "nightly", at: at - 48 * hourMs } },
      "schedule nightly fired for 28 Feb 14:02: order (version 1), started by schedule:nightly",
    ],
    [
      { ...creation, ...ana, fork: { id: "order-6", step: "charge", upTo: 3, reason: "another price" } },
      "ana (operate) forked run order-6 from charge on: order (version 1): another price",
    ],
    [
      { ...creation, by: "admin", fork: { id: "order-6", step: null, upTo: 1, reason: null } },
      "admin forked run order-6 from its start: order (version 1)",
    ],
    [
      { ...creation, by: "admin", continuation: { count: 2, createdAt: at, keys: [] } },
      "the run went on as new, for the 2nd time: order (version 1)",
    ],
    [
      {
        ...{ ...creation, ...ana, reason: "mended" },
        continuation: { count: 1, createdAt: at, keys: [], restarted: { step: "charge", upTo: 3 } },
      },
      "ana (operate) had the run begin once more from charge on: order (version 1): mended",
    ],
  ],
  "run.debounced": [
    [
      { version: "1", input: secret, labels: {}, startAt: at + hourMs, ...ana, reason: "changed" },
      "ana (operate) started it once more; it takes the newest input and begins at 15:02: changed",
    ],
  ],
  "run.started": [[{ deployment: "one" }, "the run began"]],
  "run.interrupted": [
    [{ deployment: "one", held: true }, "the process died while the run was at work; it goes on from its journal"],
    [
      { deployment: "two", held: false },
      "the process was replaced by a deployment while the run was at work; it goes on from its journal",
    ],
  ],
  "run.recovered": [[{}, "the run is unharmed by the interruption"]],
  "run.paused": [
    [{ ...ana, reason: "checking the invoice" }, "ana (operate) paused the run: checking the invoice"],
    [{ by: "admin", reason: null }, "admin paused the run"],
  ],
  "run.resumed": [[{ ...ana, reason: "paid", shiftMs: hourMs }, "ana (operate) resumed the run after 1 h: paid"]],
  "run.retried": [
    [{ by: "admin", reason: null, cleared: [] }, "admin had the run try again"],
    [
      { by: "admin", reason: "it is back", cleared: ["a", "b", "c", "d", "e", "f", "g"] },
      "admin had the run try again, with a, b, c, d, e and 2 more to be done again: it is back",
    ],
  ],
  "run.cancel_requested": [
    [
      { ...ana, error, reason: "not needed", awaited: [] },
      "ana (operate) cancelled the run, which cleans up first: not needed",
    ],
  ],
  "run.action_noted": [
    [
      { ...ana, action: "cancel", reason: "not needed" },
      "ana (operate) wanted to cancel the run, which changed nothing: not needed",
    ],
  ],
  "run.completed": [[{ output: secret }, "the run completed"]],
  "run.failed": [[{ error }, "the run failed: 503 from the bank"]],
  "run.cancelled": [
    [
      { error: { ...error, code: "cancelled" }, ...ana, reason: "not needed" },
      "the run was cancelled by ana (operate): not needed",
    ],
    [
      { error: { ...error, code: "terminated" }, by: "admin", reason: null, givenUp: true },
      "the run was terminated by admin: 503 from the bank; its clean-up came to nothing and was not waited for",
    ],
  ],
  "step.attempt_failed": [
    [
      { ...made, limit: 6, error, retryAt: at + 4000 },
      "charge: attempt 2 of 6 failed after 120 ms (503 from the bank); next in 4 s",
    ],
    [
      { ...made, error, retryAt: null },
      "charge: attempt 2 failed after 120 ms (503 from the bank); no attempt is left",
    ],
  ],
  "step.attempt_started": [[{ step: "charge", attempt: 2 }, "charge: attempt 2 began"]],
  "step.dispatched": [
    [
      { step: "ask", attempt: 1, startedAt: at, until: at + 600_000, courier: 3 },
      "ask: a courier makes the request of attempt 1 until 14:12",
    ],
  ],
  "step.interrupted": [
    [{ step: "charge", deployment: "one", held: true }, "charge: cut off when the process died; it begins again"],
    [
      { step: "charge", deployment: "one", held: false },
      "charge: cut off when the process was replaced by a deployment; it begins again",
    ],
  ],
  "step.abandoned": [[made, "charge: attempt 2 was left behind after 120 ms, at work; nobody hears how it ends"]],
  "step.completed": [
    [{ ...made, result: secret }, "charge: done after 120 ms, in attempt 2"],
    [{ ...made, attempt: 1, result: secret, sensitive: true }, "charge: done after 120 ms"],
  ],
  "step.failed": [[{ ...made, error }, "charge: failed for good in attempt 2, after 120 ms (503 from the bank)"]],
  "step.added": [[{ step: "ship", call: "run" }, "the code now has step ship, which this history went on without"]],
  "step.removed": [
    [{ step: "ship", call: "wait" }, "the code no longer has signal ship of this history"],
    [{ step: "ship", call: "wait", retried: true }, "since the retry the run has not come to signal ship again"],
  ],
  "undo.started": [
    [
      { ends: "failed", error, steps: ["ship", "charge"], by: "engine", reason: null },
      "the run is to end as failed: 503 from the bank; first it undoes ship, charge",
    ],
  ],
  "undo.attempt_failed": [
    [
      { ...made, limit: 6, error, retryAt: at + 4000 },
      "undoing charge: attempt 2 of 6 failed after 120 ms (503 from the bank); next in 4 s",
    ],
  ],
  "undo.attempt_started": [[{ step: "charge", attempt: 1 }, "undoing charge: attempt 1 began"]],
  "undo.interrupted": [
    [
      { step: "charge", deployment: "one", held: true },
      "undoing charge: cut off when the process died; it begins again",
    ],
  ],
  "undo.completed": [[{ ...made, attempt: 1 }, "undoing charge: done after 120 ms"]],
  "undo.failed": [
    [{ ...made, error }, "undoing charge: failed for good in attempt 2, after 120 ms (503 from the bank)"],
  ],
  "child.started": [
    [
      { step: "resize", child, until: at + hourMs, policy: "cancel" },
      "resize: started run item-3 of workflow resize, and waits for it until 15:02",
    ],
    [
      { step: "resize", child, until: null, policy: "abandon", detached: true },
      "resize: started run item-3 of workflow resize, and does not wait for it",
    ],
  ],
  "child.completed": [[{ step: "resize", child, output: secret }, "resize: run item-3 of workflow resize completed"]],
  "child.failed": [
    [{ step: "resize", error }, "resize: a child could not be started (503 from the bank)"],
    [
      { step: "resize", child, error, left: true },
      "resize: run item-3 of workflow resize did not complete (503 from the bank); it may still go on",
    ],
  ],
  "child.stopped": [
    [{ child, policy: "cancel" }, "run item-3 of workflow resize was told to stop (cancel)"],
    [{ child, policy: "abandon" }, "run item-3 of workflow resize was left to itself"],
  ],
  "timer.set": [
    [{ name: "nap", call: "nap", wakeAt: at + hourMs }, "sleeps (nap) for 1 h, until 15:02"],
    [{ name: "sleep", call: "sleep#2", wakeAt: at + 7 * 24 * hourMs }, "sleeps for 7 days, until 9 Mar 14:02"],
  ],
  "timer.fired": [[{ name: "nap", call: "nap" }, "woke up (nap)"]],
  "wait.started": [
    [
      { name: "approval:7", call: "approval:7", until: at + 7 * 24 * hourMs },
      "waits for signal approval:7 until 9 Mar 14:02",
    ],
    [{ name: "approval:7", call: "approval:7", until: null }, "waits for signal approval:7"],
  ],
  "wait.withdrawn": [
    [
      {
        calls: [
          { call: "wait", id: "go" },
          { call: "sleep", id: "nap" },
        ],
      },
      "waits no more for signal go, sleep nap: a race was won by another",
    ],
  ],
  "wait.timed_out": [[{ name: "paid", call: "paid", wait: "webhook" }, "webhook paid did not come in time"]],
  "signal.received": [
    [{ name: "approval:7", payload: secret, by: "ana" }, "signal approval:7 came from ana"],
    [
      { name: "approval:7", payload: secret, ...ana, reason: "looks right", key: "a secret" },
      "signal approval:7 came from ana (operate): looks right",
    ],
  ],
  "signal.consumed": [
    [{ name: "go", call: "go", signal: 3 }, "signal go was taken by the handler"],
    [{ name: "go", call: "go", signal: 3, listener: true }, "signal go was heard by the handler"],
    [{ name: "go", call: "go", signal: 3, value: secret }, "signal go was taken by the handler"],
    [
      { name: "go", call: "go", signal: 3, error: { name: "HoldfastError", message: "it is not valid: no id" } },
      "signal go was taken by the handler, whose schema refused it: it is not valid: no id",
    ],
  ],
  "listener.added": [[{ name: "go" }, "listens for signal go"]],
  "update.accepted": [
    [
      { name: "price", update: "update-1", argument: secret, ...ana, reason: "a discount" },
      "update price came from ana (operate): a discount",
    ],
  ],
  "update.completed": [[{ name: "price", update: "update-1", result: secret }, "update price was answered"]],
  "update.failed": [[{ name: "price", update: "update-1", error }, "update price failed: 503 from the bank"]],
  "patch.adopted": [[{ patch: "p" }, "the run takes the new side of patch p"]],
  "lane.queued": [
    [{ lane: "mail", step: null }, "the run waits for a slot in lane mail"],
    [{ lane: "mail", step: "send" }, "send waits for a slot in lane mail"],
  ],
  "lane.entered": [[{ lane: "mail", step: null }, "the run has its slot in lane mail"]],
  "webhook.created": [
    [
      { name: "paid", call: "paid", url: "https://a.secret/hooks/token", until: at + hourMs },
      "waits for webhook paid until 15:02",
    ],
  ],
  "webhook.received": [[{ name: "paid", call: "paid", request: secret }, "webhook paid was called"]],
  "webhook.revoked": [
    [
      { name: "paid", call: "paid", url: "http://x/hooks/2", generation: 1, by: "ada", reason: "it leaked" },
      "the address of webhook paid was revoked by ada, and it has another: it leaked",
    ],
  ],
  "webhook.rejected": [
    [{ name: "paid", call: "paid", reason: "forged" }, "a call of webhook paid was refused: forged"],
  ],
  "log.written": [[{ level: "warn", message: "low on stock", data: secret }, "warn: low on stock"]],
  "progress.published": [[{ value: secret }, "the run told of its progress"]],
  "notice.started": [
    [
      { url: "https://hooks.example.com/a-secret?a-secret", of: 8, run: "notice-1" },
      "run notice-1 tells hooks.example.com of the end",
    ],
  ],
  "run.imported": [
    [
      { from: { id: "order-6", digest: "0".repeat(64) }, ...ana, reason: "moving house" },
      "ana (operate) imported the run, which was order-6 in another deployment: moving house",
    ],
  ],
};

const told = Object.entries(sentences).flatMap(([kind, each]) =>
  each.map(([fields, text]) => [text, { ...fields, kind, seq: 9, at } as unknown as Entry] as const),
);

describe("an entry says", () => {
  test.each(told)("%s", (text, entry) => expect(sentenceOf(entry)).toBe(text));
});

/** The entry with every name and message in it made of this text. */
function filled(value: unknown, text: string, key = ""): unknown {
  if (Array.isArray(value)) return value.map((each) => filled(each, text));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([field, each]) => [field, filled(each, text, field)]));
  }
  const isFixed = ["kind", "call", "wait", "policy", "ends", "level", "code"].includes(key);
  return typeof value === "string" && !isFixed ? text : value;
}

test("beside times of another zone it says that its own are UTC", () => {
  const nap = { kind: "timer.set", name: "nap", call: "nap", wakeAt: at + 24 * hourMs, seq: 1, at } as const;
  expect(zonedSentenceOf(nap)).toBe("sleeps (nap) for 1 day, until 3 Mar 14:02 UTC");
});

test("whatever people wrote, it is one line of 1 to 500 characters", () => {
  for (const text of ["", "x".repeat(5000), "a\nb\u2028c\u0000", "\ud800", "😀".repeat(400), "\u202eabc"]) {
    for (const [, entry] of told) {
      const sentence = sentenceOf(filled(entry, text) as Entry);
      expect(sentence.length).toBeGreaterThan(0);
      expect(sentence.length).toBeLessThanOrEqual(500);
      expect(sentence).toBe(inLine(sentence, 500));
    }
  }
});

test("it shows no value that the run works on, no key and no address", () => {
  for (const [text, entry] of told) {
    expect(JSON.stringify(sentenceOf(entry))).not.toMatch(/secret/);
    expect(text).not.toContain("secret");
  }
});

test("an entry of a kind that only newer code knows is told by its kind", () => {
  expect(sentenceOf({ kind: "moon.rose", seq: 1, at } as unknown as Entry)).toBe("moon.rose");
});
