/** The entries that end a run: the status and the error of each. */
import type { EntryOf, Fact } from "./entry.ts";
import type { StoredError } from "../error.ts";

export type EndEntry = EntryOf<"run.completed" | "run.failed" | "run.cancelled">;

export function isEnd<One extends Fact>(fact: One): fact is Extract<One, { kind: EndEntry["kind"] }> {
  return fact.kind === "run.completed" || fact.kind === "run.failed" || fact.kind === "run.cancelled";
}

/** The run's status from then on. */
export function endStatus({ kind }: Pick<EndEntry, "kind">): "completed" | "failed" | "cancelled" {
  switch (kind) {
    case "run.completed":
      return "completed";
    case "run.failed":
      return "failed";
    case "run.cancelled":
      return "cancelled";
    default:
      return kind satisfies never;
  }
}

/** The error of a run that did not complete; null of one that did. */
export function endError(end: EndEntry): StoredError | null {
  return end.kind === "run.completed" ? null : end.error;
}
