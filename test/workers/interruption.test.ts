/**
 * Runs whose process ends wherever it can: at every write of the journal, at every rest, twice, and
 * in the middle of a resume. Nobody calls them meanwhile but the signals and webhooks they wait for.
 */
import { abortAllDurableObjects } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import anomalous from "../../examples/documents/samples/anomalous-invoice.json" with { type: "json" };
import broken from "../../examples/documents/samples/broken-invoice.json" with { type: "json" };
import invoice from "../../examples/documents/samples/clean-invoice.json" with { type: "json" };
import { clicked, is, pause, play, sent } from "./play.ts";
import type { Ending, Program } from "./play.ts";
import { interrupted, wholeOf } from "./stage.ts";
import { traceOf } from "./trace.ts";

let made = 0;

const card = { id: "A-1", address: "12 Quay Street, Galway", totalCents: 8990, card: "4242" };
const programs: readonly Program[] = [
  {
    title: "a document that is in order",
    workflow: "document-intake",
    input: (to) => ({ ...invoice, sender: to }),
    calls: [],
  },
  {
    title: "a document that cannot be read",
    workflow: "document-intake",
    input: (to) => ({ ...broken, sender: to }),
    calls: [],
  },
  {
    title: "a document that is approved",
    workflow: "document-intake",
    input: (to) => ({ ...anomalous, sender: to, reviewer: `r-${to}` }),
    calls: [clicked(is("timer.set", "remind-after"), "review", { decision: "approve" })],
  },
  {
    title: "a document that is rejected after a reminder",
    workflow: "document-intake",
    input: (to) => ({ ...anomalous, sender: to, reviewer: `r-${to}`, remindAfter: "50ms" }),
    calls: [clicked(is("step.completed", "remind-reviewer"), "review", { decision: "reject" })],
  },
  {
    title: "a document that nobody decides on",
    workflow: "document-intake",
    input: (to) => ({ ...anomalous, sender: to, reviewer: `r-${to}`, remindAfter: "50ms", reviewTimeout: "5s" }),
    calls: [],
  },
  { title: "an order", workflow: "order", input: (email) => ({ ...card, email, failPayments: 1 }), calls: [] },
  {
    title: "an order with a bad card",
    workflow: "order",
    input: (email) => ({ ...card, email, card: "declined" }),
    calls: [],
  },
  {
    title: "an order that cannot be shipped",
    workflow: "order",
    input: (email) => ({ ...card, email, undeliverable: true }),
    calls: [],
  },
  { title: "a report", workflow: "daily-report", input: (to) => ({ to }), calls: [] },
  {
    title: "everything at once",
    workflow: "gauntlet",
    input: () => ({}),
    calls: [
      sent(is("run.started"), "early", { early: true }, "early"),
      sent(is("run.started"), "twice", { n: 1 }, "one"),
      sent(is("step.completed", "slept"), "twice", { n: 2 }, "two"),
      clicked(is("step.completed", "publish"), "hook", { from: "outside" }),
      sent(is("wait.started", "answer"), "answer", { n: 42 }, "answer"),
    ],
  },
];

interrupted(programs);

describe("everything at once ends again and again", () => {
  it(
    "every run, every mail and the directory, and all ends well (guarantees 1 to 5)",
    { timeout: 100_000 },
    async () => {
      const name = `storm-${++made}`;
      const undisturbed = await Promise.all(programs.map(wholeOf));
      let over = false;
      const storm = (async () => {
        for (let times = 0; times < 8 && !over; times++) {
          await pause(100 + Math.random() * 900);
          await abortAllDurableObjects();
        }
      })();
      const played = await Promise.all(programs.map((program, index) => play(program, `${name}-${index}`, [])));
      over = true;
      await storm;
      // A mail whose own object ended failed, and was sent again: attempts may differ, nothing else.
      const rough = (ending: Ending) => {
        const { end, mails: letters, repeated } = traceOf(ending);
        return { end, mails: letters, repeated };
      };
      expect(played.map(rough)).toEqual(undisturbed.map(rough));
    },
  );
});
