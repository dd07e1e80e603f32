/**
 * Runs whose process ends wherever it can: at every write of the journal, at every rest, twice, and
 * in the middle of a resume. Nobody calls them meanwhile but the signals and webhooks they wait for.
 */
import anomalous from "../../examples/documents/samples/anomalous-invoice.json" with { type: "json" };
import broken from "../../examples/documents/samples/broken-invoice.json" with { type: "json" };
import invoice from "../../examples/documents/samples/clean-invoice.json" with { type: "json" };
import { clicked, is, sent } from "./driver.ts";
import type { Program } from "./driver.ts";
import { interrupted } from "./stage.ts";

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
    input: (to) => ({ ...anomalous, sender: to, reviewer: `r-${to}`, remindAfter: "50ms", reviewTimeout: "12s" }),
    calls: [],
    length: 13,
    // The deadline came before the reminder was due.
    isLate: ({ entries }) => {
      const deadline = entries.find((entry) => entry.kind === "webhook.created")?.until ?? Infinity;
      return entries.some((entry) => entry.kind === "timer.set" && entry.wakeAt > deadline);
    },
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
