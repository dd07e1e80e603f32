/** What a step of the model's programs knows of the run it is in: what fails, fails ever less. */
import type { Entry } from "../../src/core/history/entry.ts";

/** How often the run has failed and was retried. */
export function episodeOf(entries: readonly Entry[]): number {
  return entries.filter(({ kind }, i) => {
    const before = entries.slice(0, i).findLast((each) => each.kind === "run.retried" || each.kind === "run.failed");
    return kind === "run.retried" && before?.kind === "run.failed";
  }).length;
}
