/** Runs and filters at random, such that every filter means some of the runs. */
import { createRandom } from "../../src/core/random.ts";
import { runStatuses } from "../../src/core/run.ts";
import type { RunSummary } from "../../src/core/run.ts";
import type { RunFilter } from "../../src/core/service.ts";
import { summaryOf } from "../workers/summary.ts";

const random = createRandom("filter");
const pick = <Item>(...items: readonly Item[]): Item => items[Math.floor(random.next() * items.length)] as Item;

export function someRun(index: number): RunSummary {
  const code = pick("step_failed", "cancelled", undefined);
  return summaryOf(pick("a", "ab", "b") + index, {
    workflow: pick("pay", "mail"),
    status: pick(...runStatuses),
    createdAt: pick(1, 2, 3),
    labels: pick<RunSummary["labels"]>({}, { who: "ann" }, { who: "bob", where: "here" }, { toString: "x" }),
    error: code === undefined ? null : { name: "Error", message: "no", code },
  });
}

export function someFilter(): RunFilter {
  const filter = {
    workflow: pick(undefined, undefined, "pay", "none"),
    status: pick(undefined, [], [pick(...runStatuses)], [...runStatuses]),
    labels: pick<RunFilter["labels"]>(undefined, {}, { who: "bob" }, { who: "bob", where: "here" }, { toString: "x" }),
    createdAfter: pick(undefined, 1, 2),
    createdBefore: pick(undefined, 2, 3),
    idPrefix: pick(undefined, "a", "ab", "ab1"),
    errorCode: pick(undefined, undefined, "step_failed"),
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
}
