/** The terms of a workflow in words, as its page says them. */
import { expect, test } from "vitest";
import { termsOf } from "../../src/core/definition/terms.ts";
import { termsInWords } from "../../src/http/pages/terms.tsx";
import type { Definition } from "../../src/core/definition/definition.ts";
import { defineWorkflow } from "../../src/index.ts";
import { define } from "../engine/memory.ts";

function words(definition: Definition): Record<string, string> {
  const terms = termsInWords(termsOf(definition), "order");
  return Object.fromEntries(terms.map(([name, text, lane]) => [name, lane === undefined ? text : `${text} → ${lane}`]));
}

test("what nobody has set is said too", () => {
  const { definition } = defineWorkflow("order", { handler: () => null });
  expect(definition.version).toBe("1");
  expect(words(definition)).toEqual({
    "Steps are retried": "5 times, first after 1.0 s, each delay twice the one before, ±20 %",
    "A run may take": "as long as it needs",
    "It may take": "100,000 steps",
    "A finished run is kept": "30 d",
  });
});

test.each<[Partial<Definition>, Record<string, string>]>([
  [{ retry: { limit: 0 } }, { "Steps are retried": "never" }],
  [
    { retry: { limit: 1, delay: "1 minute", backoff: "constant", jitter: 0 } },
    { "Steps are retried": "once, first after 1 min" },
  ],
  [
    { retry: { backoff: "linear", maxDelay: "5 minutes", jitter: 0 } },
    { "Steps are retried": "5 times, first after 1.0 s, each delay longer by the first, at most 5 min" },
  ],
  [{ retry: () => null }, { "Steps are retried": "as a function of the workflow's decides" }],
  [
    { timeoutMs: 7_200_000, retentionMs: 86_400_000 },
    { "A run may take": "at most 2 h", "A finished run is kept": "1 d" },
  ],
  [{ limits: { steps: 50, perStep: { charge: 2 } } }, { "It may take": "50 steps, charge at most 2 times" }],
  [{ flow: { lane: { name: "bank", limit: 3 } } }, { Shares: "bank, 3 at once → bank" }],
  [{ flow: { lane: "bank" } }, { Shares: "bank → bank" }],
  [{ flow: { concurrency: 2 } }, { "At once": "2 runs that do not wait → concurrency:order" }],
  [{ flow: { concurrency: { limit: 2, scope: "step" } } }, { "At once": "2 executing steps → steps:order" }],
  [
    { flow: { concurrency: { limit: 2, hold: true, key: () => "a" } } },
    { "At once": "2 runs, waiting ones too for each key" },
  ],
  [{ flow: { rateLimit: { limit: 10, period: "1 minute" } } }, { "Starts beyond are refused": "10 in any 1 min" }],
  [
    { flow: { throttle: { limit: 10, period: "1 hour", key: () => "a" } } },
    { "Starts beyond wait": "10 in any 1 h for each key" },
  ],
  [{ flow: { singleton: { mode: "queue" } } }, { "One at a time": "a start beside it waits for its end" }],
  [
    { flow: { debounce: { period: "10 s", max: "1 minute" } } },
    { "Starts are one within": "10 s of each other, at most 1 min" },
  ],
  [{ flow: { priority: 5 } }, { Priority: "5" }],
  [{ flow: { priority: () => 5 } }, { Priority: "depends on the input" }],
])("%j", (options, expected) => {
  expect(words(define(() => null, options))).toMatchObject(expected);
});
