/** The mails of the document process. */
import type { Message } from "../mail.ts";
import type { Anomaly } from "./anomaly.ts";
import type { Assessment } from "./assessment.ts";

type Submitted = { readonly sender: string; readonly title: string; readonly reviewer: string };
export type Review = { readonly url: string; readonly assessment: Assessment; readonly anomalies: readonly Anomaly[] };

export function confirmation({ sender, title }: Submitted, runId: string): Message {
  return {
    to: sender,
    subject: `Received: ${title}`,
    text: `We received your document "${title}" and are looking at it. Reference: ${runId}`,
  };
}

/** Links in mail are opened by scanners too: put a page with a button in front of them before you rely on them. */
export function reviewRequest({ reviewer, title }: Submitted, review: Review, reminder: boolean): Message {
  const { assessment, anomalies, url } = review;
  const lines = [
    `${title} needs your decision.`,
    "",
    assessment.summary,
    `Risk: ${assessment.risk}. Recommendation: ${assessment.recommendation}.`,
    "",
    ...anomalies.map((anomaly) => `- ${anomaly.message}`),
    "",
    `Approve: ${url}?decision=approve`,
    `Reject:  ${url}?decision=reject`,
  ];
  return { to: reviewer, subject: `${reminder ? "Reminder: review" : "Review"}: ${title}`, text: lines.join("\n") };
}

export type Outcome = "accepted" | "approved" | "rejected" | "expired";

export function outcomeLetter({ sender, title }: Submitted, outcome: Outcome, problems: readonly string[]): Message {
  const text = [`Your document "${title}" ${sentence[outcome]}`, ...problems.map((problem) => `- ${problem}`)];
  return { to: sender, subject: `${heading[outcome]}: ${title}`, text: text.join("\n") };
}

const heading: Record<Outcome, string> = {
  accepted: "Accepted",
  approved: "Approved",
  rejected: "Rejected",
  expired: "Not decided",
};
const sentence: Record<Outcome, string> = {
  accepted: "was accepted without remarks.",
  approved: "was reviewed and approved.",
  rejected: "was rejected.",
  expired: "was not decided in time. Please ask us, or send it again.",
};
