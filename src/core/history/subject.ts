/** The call that an entry belongs to. */
import type { CallKind, Entry } from "./entry.ts";

/** Null for an entry that belongs to no call. */
export function subjectOf(entry: Entry): { readonly kind: CallKind; readonly id: string } | null {
  switch (entry.kind) {
    case "step.attempt_failed":
    case "step.attempt_started":
    case "step.dispatched":
    case "step.interrupted":
    case "step.abandoned":
    case "step.completed":
    case "step.failed":
      return { kind: "run", id: entry.step };
    case "step.added":
    case "step.removed":
      return { kind: entry.call, id: entry.step };
    case "lane.queued":
    case "lane.entered":
      return entry.step === null ? null : { kind: "run", id: entry.step };
    case "timer.set":
    case "timer.fired":
      return { kind: "sleep", id: entry.call };
    case "wait.started":
      return { kind: "wait", id: entry.call };
    case "signal.consumed":
      return entry.listener === true ? null : { kind: "wait", id: entry.call };
    case "wait.timed_out":
      return { kind: entry.wait === "webhook" ? "webhook" : "wait", id: entry.call };
    case "webhook.created":
    case "webhook.received":
    case "webhook.rejected":
    case "webhook.revoked":
      return { kind: "webhook", id: entry.call };
    case "child.started":
    case "child.completed":
    case "child.failed":
      return { kind: "child", id: entry.step };
    default:
      return null;
  }
}
