/**
 * The document process: confirm receipt, read and check the document, have anomalies assessed, ask a
 * reviewer about them and remind them, tell the sender the outcome.
 *
 * An unreadable document is an outcome ("rejected"), not a failed run: the sender has to act, nobody
 * on the operating side does.
 */
import { defineWorkflow } from "holdfast";
import type { Step, WebhookCall } from "holdfast";
import * as z from "zod";
import { mail } from "../mail.ts";
import { findAnomalies } from "./anomaly.ts";
import type { Anomaly } from "./anomaly.ts";
import { assess, assessByRules } from "./assessment.ts";
import type { Assessment } from "./assessment.ts";
import { readDocument } from "./document.ts";
import type { Document } from "./document.ts";
import { confirmation, outcomeLetter, reviewRequest } from "./letter.ts";
import type { Outcome } from "./letter.ts";

const duration = z.union([
  z.number().min(0),
  z.string().regex(/^\d+(\.\d+)?\s*(ms|s|seconds?|m|minutes?|h|hours?|d|days?|w|weeks?)$/),
]);

const submission = z.object({
  /** The sender's own reference. */
  id: z.string().max(128).optional(),
  sender: z.email(),
  title: z.string().regex(/^[^\r\n]{1,200}$/, "one line of 1 to 200 characters"),
  text: z.string().max(100_000),
  /** Told from the text unless given. */
  kind: z.enum(["invoice", "delivery-note"]).optional(),
  reviewer: z.email().default("review@example.com"),
  remindAfter: duration.default("1 day"),
  reviewTimeout: duration.default("3 days"),
});
type Submission = z.output<typeof submission>;

/** A model may be slow and busy for minutes; none is worth waiting for longer than this. */
const patient = {
  timeout: "90s",
  retry: { limit: 4, delay: "2s", backoff: "exponential", maxDelay: "1 minute", jitter: 0.5 },
} as const;

export const documentIntake = defineWorkflow("document-intake", {
  input: submission,
  labels: (input) => ({ sender: input.sender }),
  handler: async (input, step) => {
    await step.run("confirm", (context) => mail().send(confirmation(input, step.info.id), context));

    const checked = await step.run("validate", () => validate(input));
    if (!checked.readable) return conclude(step, input, "rejected", "validation", checked.problems);
    const { document, anomalies } = checked;
    if (anomalies.length === 0) return conclude(step, input, "accepted", "validation", [], document);

    const assessment = await analyse(step, input, document, anomalies);
    const decision = await review(step, input, assessment, anomalies);
    const problems = decision === "rejected" ? anomalies.map((anomaly) => anomaly.message) : [];
    return conclude(
      step,
      input,
      decision,
      decision === "expired" ? "deadline" : "reviewer",
      problems,
      document,
      assessment,
    );
  },
});

type Doing = Pick<Step, "run" | "sleep" | "webhook" | "log">;

/** What is read and found is stored, so that a later change of the rules never changes a run under way. */
function validate(input: Submission) {
  const reading = readDocument(input.text, input.kind);
  if (!reading.readable) return reading;
  const today = new Date().toISOString().slice(0, 10);
  return { ...reading, anomalies: findAnomalies(reading.document, today) };
}

async function analyse(step: Doing, input: Submission, document: Document, anomalies: Anomaly[]): Promise<Assessment> {
  const subject = { title: input.title, document, anomalies };
  try {
    return await step.run("analyse", ({ signal }) => assess(subject, signal), patient);
  } catch (error) {
    // The review must not wait for a model that is out of order; the reviewer is told that none was asked.
    step.log.warn("the language model failed for good", { error });
    return await step.run("analyse-by-rules", () => assessByRules(anomalies, "the language model failed"));
  }
}

/** Asks the reviewer, reminds them once, and takes the first valid decision before the deadline. */
async function review(step: Doing, input: Submission, assessment: Assessment, anomalies: Anomaly[]): Promise<Outcome> {
  const hook = await step.webhook("review", {
    timeout: input.reviewTimeout,
    verify: (call) => decisionOf(call) !== null,
    respond: (call) => ({ status: 200, body: `Thank you. The document is ${decisionOf(call) ?? "undecided"}.\n` }),
  });
  const request = { url: hook.url, assessment, anomalies };
  await step.run("ask-reviewer", (context) => mail().send(reviewRequest(input, request, false), context));

  const answer = hook.received();
  const silence = step.sleep("remind-after", input.remindAfter).then(() => "silence" as const);
  if ((await Promise.race([answer, silence])) === "silence") {
    await step.run("remind-reviewer", (context) => mail().send(reviewRequest(input, request, true), context));
  }
  const call = await answer;
  return call === null ? "expired" : (decisionOf(call) ?? "expired");
}

/** `?decision=approve`, or a JSON or form body `{ decision }`; null for anything else, which leaves the wait open. */
function decisionOf(call: WebhookCall): "approved" | "rejected" | null {
  const body = z.object({ decision: z.string() }).safeParse(call.body);
  switch (body.success ? body.data.decision : call.query["decision"]) {
    case "approve":
      return "approved";
    case "reject":
      return "rejected";
    default:
      return null;
  }
}

async function conclude(
  step: Doing,
  input: Submission,
  outcome: Outcome,
  decidedBy: "validation" | "reviewer" | "deadline",
  problems: readonly string[],
  document: Document | null = null,
  assessment: Assessment | null = null,
) {
  await step.run("tell-sender", (context) => mail().send(outcomeLetter(input, outcome, problems), context));
  return { outcome, decidedBy, problems, document, assessment };
}
