/** The entries that end a run, and what they say of it. */
import type { Entry, EntryOf } from "./entry.ts";
import type { StoredError } from "./error.ts";

export type EndEntry = EntryOf<"run.completed" | "run.failed" | "run.cancelled">;

export function isEnd(entry: Entry): entry is EndEntry {
  return entry.kind === "run.completed" || entry.kind === "run.failed" || entry.kind === "run.cancelled";
}

/** What the run is from then on. */
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

/** Why it did not complete; null where it did. */
export function endError(end: EndEntry): StoredError | null {
  return end.kind === "run.completed" ? null : end.error;
}
